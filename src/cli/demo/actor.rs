//! One appliance of the demo: it speaks, and what happens to it is told.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Narrator, PATIENCE, Provisioned};
use crate::sim::{
    appliance::{Heard, SimulatedAppliance, read_wav},
    cic::scenario::embedded,
};

/// An appliance, and who tells of it.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) appliance: SimulatedAppliance,
    pub(super) provisioned: Provisioned,
    pub(super) narrator: Narrator,
}

impl Actor {
    /// Its user says something.
    pub(super) fn say(&self, recording: &str, text: &str, answers: Option<String>) -> Result<()> {
        let wav = embedded(&format!("speech/{recording}.wav")).context("no such recording")?;
        self.tell("user", &format!("\"{text}\""));
        self.appliance.say(read_wav(wav)?, answers);
        Ok(())
    }

    /// Tells what happens until the dialogue has ended; returns the question that CLOVA asks. With
    /// `interrupt`, returns so long after the answer has begun to play.
    pub(super) async fn follow(&self, interrupt: Option<Duration>) -> Result<Option<String>> {
        let mut end_of_speech: Option<Instant> = None;
        let mut until: Option<Instant> = None;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let next = self.appliance.next(left.unwrap_or(PATIENCE)).await;
            let (at, heard) = match next {
                Some(next) => next,
                None if until.is_some() => return Ok(None),
                None => bail!("nothing happened for {PATIENCE:?}"),
            };
            match &heard {
                Heard::Capture(value) if value["action"] == "listen" => {
                    self.tell("clova", "asks back: the microphone opens");
                    return Ok(value["expectSpeechId"].as_str().map(str::to_owned));
                }
                Heard::Capture(value) if value["reason"] == "failed" => bail!("the request failed"),
                Heard::Capture(_) => end_of_speech = Some(at),
                Heard::FirstAudio { .. } => {
                    if let Some(ended) = end_of_speech.take() {
                        let took = at.saturating_duration_since(ended).as_secs_f64() * 1000.0;
                        let told = format!("first audio {took:.1} ms after the end of speech");
                        self.tell(self.name, &told);
                        until = interrupt.map(|after| at + after);
                    }
                }
                Heard::Dialogue(value) if value["state"] == "idle" => return Ok(None),
                _ => {}
            }
            self.describe(&heard);
        }
    }

    /// Tells what happens up to something.
    pub(super) async fn follow_until(
        &self,
        wanted: impl Fn(&Heard) -> bool,
        what: &str,
    ) -> Result<Heard> {
        loop {
            let next = self.appliance.next(PATIENCE).await;
            let (_, heard) = next.with_context(|| format!("{what} did not come"))?;
            self.describe(&heard);
            if wanted(&heard) {
                return Ok(heard);
            }
        }
    }

    /// Tells what happens until all of this has happened, in whatever order: different topics are
    /// not ordered against each other.
    pub(super) async fn follow_all(
        &self,
        wanted: &[(&dyn Fn(&Heard) -> bool, &str)],
    ) -> Result<()> {
        let mut open = wanted.to_vec();
        while let Some((_, what)) = open.first() {
            let next = self.appliance.next(PATIENCE).await;
            let (_, heard) = next.with_context(|| format!("{what} did not come"))?;
            self.describe(&heard);
            open.retain(|(fits, _)| !fits(&heard));
        }
        Ok(())
    }

    /// Skips what happens up to something.
    pub(super) async fn expect(
        &self,
        wanted: impl Fn(&Heard) -> bool,
        what: &str,
    ) -> Result<Heard> {
        let found = self.appliance.wait_for(wanted, PATIENCE).await;
        let missing = || format!("the {}: {what} did not come within {PATIENCE:?}", self.name);
        found.map(|(_, heard)| heard).with_context(missing)
    }

    fn tell(&self, who: &str, what: &str) {
        self.narrator.tell(who, what);
    }

    fn describe(&self, heard: &Heard) {
        if let Some((who, what)) = told(heard) {
            self.tell(who.unwrap_or(self.name), &what);
        }
    }
}

/// Who does what, if it is worth telling; the appliance itself without a name.
fn told(heard: &Heard) -> Option<(Option<&'static str>, String)> {
    let (clova, gateway) = (Some("clova"), Some("gateway"));
    Some(match heard {
        Heard::Text(value) => (clova, format!("understands \"{}\"", text(&value["text"]))),
        Heard::Capture(_) => (clova, "has heard enough: the microphone closes".into()),
        Heard::Directive(value) => (gateway, format!("hands on {}", directive(value))),
        Heard::Cancel(_) => {
            (gateway, "drops the rest of the old answer: a newer request counts".into())
        }
        Heard::Played { file: Some(file), bytes, .. } => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            (None, format!("has played {name} ({bytes} bytes of MP3)"))
        }
        Heard::Alert(value) if value["action"] == "set" => {
            (gateway, format!("sets the speaker's {}", text(&value["type"]).to_lowercase()))
        }
        Heard::Focus(value) if value["content"] != "none" => (gateway, focus(value)),
        Heard::Error(value) => (gateway, format!("reports {value}")),
        Heard::Ordered { outcome: Ok(now), .. } => (None, format!("has done it: {now}")),
        Heard::Ordered { outcome: Err(why), .. } => (None, format!("cannot do it: {why}")),
        Heard::Stream { url, title, .. } => {
            (None, format!("plays \"{title}\" from {url} (not downloaded here)"))
        }
        Heard::Media { state, offset, .. } if *state != "started" => {
            (None, format!("has {state} the music at {:.1} s", offset.as_secs_f64()))
        }
        Heard::Ducked { ducked: true, .. } => (None, "makes the music quieter".into()),
        Heard::Ducked { ducked: false, .. } => (None, "makes the music as loud as before".into()),
        _ => return None,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A directive, with what a person would want to know of it.
fn directive(value: &Value) -> String {
    let name = format!("{}.{}", text(&value["namespace"]), text(&value["name"]));
    let payload = &value["payload"];
    let shown = match text(&value["namespace"]) {
        "Clova" => payload["text"].as_str().map(|shown| format!(" \"{shown}\"")),
        "DeviceControl" => Some(format!(" {payload}")),
        _ => None,
    };
    format!("{name}{}", shown.unwrap_or_default())
}

/// What `down/focus` says.
fn focus(places: &Value) -> String {
    let names = [
        ("alert", "the alarm"),
        ("dialogue", "CLOVA's answer"),
        ("content", "the music"),
        ("notification", "a notification"),
    ];
    let all = |place: &str| {
        let there = names.iter().filter(|(channel, _)| places[channel] == place);
        there.map(|(_, name)| *name).collect::<Vec<_>>().join(" and ")
    };
    match (all("foreground"), all("background")) {
        (front, back) if back.is_empty() => format!("says that {front} is in front"),
        (front, back) if front.is_empty() => {
            format!("says that {back} is to be in the background, behind the user")
        }
        (front, back) => format!("says that {front} is in front, {back} in the background"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn focus_and_directives_are_told_in_plain_words() {
        let rows = [
            (json!({"content": "foreground"}), "says that the music is in front"),
            (
                json!({"alert": "foreground", "content": "background"}),
                "says that the alarm is in front, the music in the background",
            ),
            (
                json!({"content": "background", "alert": "background"}),
                "says that the alarm and the music is to be in the background, behind the user",
            ),
        ];
        for (places, want) in rows {
            assert_eq!(focus(&places), want);
        }
        let order = json!({"namespace": "DeviceControl", "name": "Increase",
            "payload": {"target": "volume"}});
        assert_eq!(directive(&order), "DeviceControl.Increase {\"target\":\"volume\"}");
    }
}
