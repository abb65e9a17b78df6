//! `simulate appliance`: an appliance at a real broker.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    args::{ApplianceArgs, settings},
    attend,
    describe::describe,
};
use crate::sim::appliance::{Heard, Initiator, SimulatedAppliance, Speech, read_wav};

/// What is hopeless may still change at once, as when the appliance is being paired.
const HOPELESS: Duration = Duration::from_secs(5);
/// Longest answer that is waited for.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

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
    for button in &talk.args.press {
        talk.press(button).await?;
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

    /// Presses a button of the player after a while, and tells what happens until something has
    /// come of it.
    async fn press(&self, button: &str) -> Result<()> {
        let at = Instant::now() + self.args.press_after;
        while let Some((_, heard)) =
            self.appliance.next(at.saturating_duration_since(Instant::now())).await
        {
            describe(&heard);
        }
        println!("button {button}");
        self.appliance.press(button);
        loop {
            let Some((_, heard)) = self.appliance.next(self.timeout()).await else {
                bail!("nothing came of the button {button} within {} s", self.args.timeout);
            };
            describe(&heard);
            match heard {
                Heard::Media { .. } => return Ok(()),
                Heard::Directive(value) if !moves_media(&value) => return Ok(()),
                Heard::NoBroker(trouble) => bail!(trouble),
                Heard::Error(value) => bail!("the gateway reports {value}"),
                _ => {}
            }
        }
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

/// Whether the appliance reports on `up/playback` when it has carried this out.
fn moves_media(directive: &Value) -> bool {
    matches!(text(&directive["name"]), "Pause" | "Play" | "Resume" | "Stop")
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
