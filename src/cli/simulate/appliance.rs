//! `simulate appliance`: a speaker at a real broker.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{attend, broker_url::BrokerUrl};
use crate::{
    cic::tls,
    ids::ApplianceId,
    secret::Secret,
    sim::appliance::{
        ApplianceSettings, Heard, Initiator, MqttVersion, SimulatedAppliance, Speech, read_wav,
    },
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cic-gateway simulate appliance kitchen --mqtt mqtt://kitchen:PASSWORD@127.0.0.1 --text 'what time is it'
  cic-gateway simulate appliance kitchen --mqtt mqtts://broker.lan --ca ca.pem --wav question.wav --hold --out answers
  cic-gateway simulate appliance kitchen --mqtt mqtt://127.0.0.1 --text 'set a timer for five seconds' --wait-for-alert --stop-after 3s

The password may also come from the environment: CIC_APPLIANCE_PASSWORD.";

/// What is hopeless may still change at once, as when the appliance is being paired.
const HOPELESS: Duration = Duration::from_secs(5);
/// Longest answer that is waited for.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

/// Options of `simulate appliance`.
#[derive(Debug, Args)]
pub struct ApplianceArgs {
    /// Its id; also its MQTT user name, unless the URL names another
    id: ApplianceId,
    /// Its MQTT password, unless it stands in the URL
    #[arg(long, env = "CIC_APPLIANCE_PASSWORD", default_value = "", hide_env_values = true)]
    password: String,
    /// Say this recording (16 kHz, 16 bit, mono WAV); may be repeated
    #[arg(long, value_name = "FILE")]
    wav: Vec<PathBuf>,
    /// Type this request, after the recordings; may be repeated
    #[arg(long, value_name = "T")]
    text: Vec<String>,
    /// The broker: mqtt://[USER[:PASSWORD]@]HOST[:PORT], or mqtts:// for TLS
    #[arg(long, default_value = "mqtt://127.0.0.1:1883", value_name = "URL", value_parser = BrokerUrl::parse)]
    mqtt: BrokerUrl,
    /// Trust this certificate authority too (PEM); the public ones are trusted anyway
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Version of MQTT: 3 means 3.1.1
    #[arg(long, value_enum, default_value_t = Version::V5)]
    mqtt_version: Version,
    /// The gateway's mqtt.topic_root
    #[arg(long, default_value = "cic/v1", value_name = "TOPIC")]
    topic_root: String,
    /// Push to talk: hold a button while speaking; its release ends the utterance
    #[arg(long, conflicts_with = "wake_word")]
    hold: bool,
    /// The recordings begin with this wake word, for example hey_clova
    #[arg(long, value_name = "NAME")]
    wake_word: Option<String>,
    /// How long the wake word lasts
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, requires = "wake_word")]
    wake_word_length: u64,
    /// Language of the recordings [default: the appliance's own]
    #[arg(long, value_parser = ["ko", "en", "ja"])]
    lang: Option<String>,
    /// Write the answers into this folder (answer-01.mp3 and so on)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How long an answer "plays" that is a URL, which is not downloaded
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    url_time: u64,
    /// Give up when nothing happens for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Afterwards, wait until an alert rings, however long that takes; with --stop-after, until it
    /// has been stopped
    #[arg(long)]
    pub(super) wait_for_alert: bool,
    /// Press the stop button when alerts have rung for so long, for example 3s
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    pub(super) stop_after: Option<Duration>,
    /// Afterwards, stay and tell what happens until Ctrl-C
    #[arg(long, conflicts_with = "wait_for_alert")]
    pub(super) keep_running: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "3")]
    V3,
    #[value(name = "5")]
    V5,
}

/// Carries out the command.
pub(super) async fn run(args: ApplianceArgs) -> Result<()> {
    let recordings = args.wav.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    }
    let appliance = SimulatedAppliance::start(settings(&args)?)?;
    let talk = Talk { id: args.id.to_string(), appliance, args };
    talk.connect().await?;
    let mut question = None;
    for pcm in recordings {
        question = talk.say(pcm, question).await?;
    }
    for text in &talk.args.text {
        talk.appliance.type_text(text, question.take());
        question = talk.follow(Duration::ZERO).await?;
    }
    if talk.args.keep_running || talk.args.wait_for_alert {
        attend::attend(&talk.appliance, &talk.args).await?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    read_wav(&bytes).with_context(|| path.display().to_string())
}

fn settings(args: &ApplianceArgs) -> Result<ApplianceSettings> {
    let broker = args.mqtt.clone();
    ensure!(args.ca.is_none() || broker.tls, "--ca needs a broker with TLS: --mqtt mqtts://HOST");
    let ca = args
        .ca
        .as_ref()
        .map(|path| std::fs::read(path).with_context(|| format!("--ca {}", path.display())));
    let ca = ca.transpose()?;
    let tls = broker.tls.then(|| tls::client_config(ca.as_deref(), &[])).transpose();
    Ok(ApplianceSettings {
        id: args.id.to_string(),
        user: broker.user,
        password: broker.password.unwrap_or_else(|| Secret::from(args.password.clone())),
        host: broker.host,
        port: broker.port,
        tls: tls.context("--ca")?,
        version: match args.mqtt_version {
            Version::V3 => MqttVersion::V3,
            Version::V5 => MqttVersion::V5,
        },
        root: args.topic_root.clone(),
        out: args.out.clone(),
        url_time: Duration::from_millis(args.url_time),
    })
}

/// One appliance, and what is made of it.
struct Talk {
    id: String,
    appliance: SimulatedAppliance,
    args: ApplianceArgs,
}

impl Talk {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.args.timeout)
    }

    /// Waits for broker and session; says what stands in the way.
    async fn connect(&self) -> Result<()> {
        let mut end = Instant::now() + self.timeout();
        let mut last = None;
        while let Some((at, heard)) =
            self.appliance.next(end.saturating_duration_since(Instant::now())).await
        {
            match heard {
                Heard::NoBroker(trouble) => bail!(trouble),
                Heard::Session(session) => {
                    match session["state"].as_str() {
                        Some("connected") => {
                            println!("connected");
                            return Ok(());
                        }
                        Some("unpaired" | "unauthorized" | "stopped") => {
                            end = end.min(at + HOPELESS);
                        }
                        _ => {}
                    }
                    last = Some(session);
                }
                _ => {}
            }
        }
        bail!(no_session(&self.id, &self.args.topic_root, last.as_ref()))
    }

    async fn say(&self, pcm: Vec<u8>, answers: Option<String>) -> Result<Option<String>> {
        let length = Duration::from_secs_f64(pcm.len() as f64 / 32_000.0);
        let initiator = match &self.args.wake_word {
            Some(name) => {
                let length = Duration::from_millis(self.args.wake_word_length);
                Initiator::WakeWord { name: name.clone(), length }
            }
            None if self.args.hold => Initiator::Hold,
            None => Initiator::Tap,
        };
        let lang = self.args.lang.clone();
        self.appliance.speak(Speech { initiator, lang, answers, ..Speech::new(pcm) });
        self.follow(length).await
    }

    /// Tells what happens until the dialogue has ended or a question is asked. Nothing needs to
    /// happen for as long as the user speaks, or an answer plays.
    async fn follow(&self, speaking: Duration) -> Result<Option<String>> {
        let (mut busy, mut cut_off) = (speaking, 0);
        loop {
            let patience = self.timeout() + busy;
            let Some((_, heard)) = self.appliance.next(patience).await else {
                bail!("nothing happened for {} s", patience.as_secs());
            };
            describe(&heard);
            match &heard {
                Heard::FirstAudio { .. } | Heard::Url { .. } => busy = LONGEST_ANSWER,
                Heard::Capture(_)
                | Heard::Played { .. }
                | Heard::CutOff { .. }
                | Heard::Cancel(_) => busy = Duration::ZERO,
                _ => {}
            }
            match heard {
                Heard::CutOff { .. } => cut_off += 1,
                Heard::Dialogue(value) if value["state"] == "idle" => {
                    ensure!(cut_off == 0, "{cut_off} answer(s) could not be played to the end");
                    return Ok(None);
                }
                Heard::Capture(value) if value["action"] == "listen" => {
                    return Ok(value["expectSpeechId"].as_str().map(str::to_owned));
                }
                Heard::Capture(value) if value["reason"] == "failed" => bail!("the request failed"),
                Heard::NoBroker(trouble) => bail!(trouble),
                // Told again, as what it means for the Speak.
                Heard::Error(value) if value["code"] == "attachment_incomplete" => {}
                Heard::Error(value) => bail!("the gateway reports {value}"),
                _ => {}
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Why there is no session, as far as an appliance can know.
fn no_session(id: &str, root: &str, last: Option<&Value>) -> String {
    let Some(session) = last else {
        return format!(
            "no gateway answered: is one running at this broker, with the topic root {root}, and \
             does it know {id} (cic-gateway appliance list)?"
        );
    };
    let (state, since, reason) =
        (text(&session["state"]), text(&session["since"]), text(&session["reason"]));
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let hint = match state {
        "unpaired" | "unauthorized" => {
            format!("; pair it: cic-gateway appliance pair {id} --code CODE")
        }
        "stopped" => "; the gateway is not running".to_owned(),
        _ => String::new(),
    };
    format!("{id} has no session with CLOVA: {state} since {since}{reason}{hint}")
}

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
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_missing_session_is_told_as_the_gateway_told_it() {
        let since = "2026-01-01T00:00:00Z";
        let rows = [
            (
                Some(json!({"state": "unpaired", "since": since})),
                "kitchen has no session with CLOVA: unpaired since 2026-01-01T00:00:00Z; pair it: \
                 cic-gateway appliance pair kitchen --code CODE",
            ),
            (
                Some(json!({"state": "disconnected", "since": since, "reason": "dns"})),
                "kitchen has no session with CLOVA: disconnected since 2026-01-01T00:00:00Z (dns)",
            ),
            (
                None,
                "no gateway answered: is one running at this broker, with the topic root cic/v1, \
                 and does it know kitchen (cic-gateway appliance list)?",
            ),
        ];
        for (last, want) in rows {
            assert_eq!(no_session("kitchen", "cic/v1", last.as_ref()), want);
        }
    }
}
