//! What a simulated appliance does, for people.

use serde_json::Value;

use crate::sim::appliance::Heard;

/// Tells what happened to an appliance.
pub(super) fn describe(heard: &Heard) {
    match heard {
        Heard::Alert(value) => {
            let (action, kind) = (text(&value["action"]), text(&value["type"]));
            let label = value["label"].as_str().map(|label| format!(" \"{label}\""));
            let (label, due) = (label.unwrap_or_default(), text(&value["scheduledTime"]));
            println!("alert: {action} {kind}{label} of {due}");
        }
        Heard::Rings { .. } => println!("RINGS"),
        Heard::Silent { .. } => println!("silent"),
        Heard::Capture(value) if value["action"] == "listen" => println!("CLOVA asks back"),
        Heard::Capture(value) => println!("stop listening: {}", text(&value["reason"])),
        Heard::Text(value) => println!("understood so far: {}", text(&value["text"])),
        Heard::Directive(value) => {
            println!("told to {}.{}", text(&value["namespace"]), text(&value["name"]));
        }
        Heard::Cancel(_) => println!("told to drop an older answer"),
        Heard::Url { url, .. } => println!("would play {url}; it is not downloaded"),
        Heard::Played { bytes: 0, .. } => println!("went on as if it had been played"),
        Heard::Played { bytes, length, file, .. } => {
            let seconds = length.as_secs_f64();
            let kept = file.as_ref().map(|file| format!(", kept in {}", file.display()));
            println!("played {seconds:.1} s ({bytes} bytes){}", kept.unwrap_or_default());
        }
        Heard::CutOff { bytes, why, .. } => println!("cut off after {bytes} bytes: {why}"),
        Heard::Dropped(what) => println!("dropped {what}"),
        other => describe_doings(other),
    }
}

/// What it does besides speaking.
fn describe_doings(heard: &Heard) {
    match heard {
        Heard::Ordered { command, target, outcome } => match outcome {
            Ok(now) => println!("{command} {target}: done, {now}"),
            Err(why) => println!("{command} {target}: not done, {why}"),
        },
        Heard::Firmware { topic, payload, outcome } => match outcome {
            Ok(now) => println!("{topic} {payload}: done, {now}"),
            Err(why) => println!("{topic} {payload}: not done, {why}"),
        },
        Heard::Stream { url, title, .. } => {
            println!("would play \"{title}\" from {url}; it is not downloaded");
        }
        Heard::Media { state, offset, .. } => {
            println!("music: {state} at {:.1} s", offset.as_secs_f64());
        }
        Heard::Ducked { ducked: true, .. } => println!("music: quieter, something is in front"),
        Heard::Ducked { ducked: false, .. } => println!("music: in front again"),
        Heard::Configured(settings) => println!("settings are now {settings:?}"),
        Heard::Notified { light, sounds } => {
            let light = if *light { "on" } else { "off" };
            println!("notification light {light}{}", list(sounds));
        }
        _ => {}
    }
}

fn list(sounds: &[String]) -> String {
    match sounds {
        [] => String::new(),
        sounds => format!("; would play {}", sounds.join(", ")),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
