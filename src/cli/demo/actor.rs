//! One appliance of the demo: it speaks, and what happens to it is told.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Narrator, PATIENCE, Provisioned};
use crate::sim::{
    appliance::{Heard, SimulatedAppliance, read_wav},
    cic::scenario::embedded,
};

/// Something that is to happen, and what it is called.
pub(super) type Wanted<'a> = (&'a dyn Fn(&Heard) -> bool, &'a str);

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

    /// Tells what happens until the dialogue has ended, or until CLOVA asks back. With
    /// `interrupt`, returns so long after the answer has begun to play.
    pub(super) async fn follow(&self, interrupt: Option<Duration>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut end_of_speech: Option<Instant> = None;
        let mut until: Option<Instant> = None;
        let end = Instant::now() + PATIENCE;
        loop {
            let left = until.unwrap_or(end).saturating_duration_since(Instant::now());
            let (at, heard) = match self.appliance.next(left).await {
                Some(next) => next,
                None if until.is_some() => return Ok(outcome),
                None => bail!("the {}'s request has not ended after {PATIENCE:?}", self.name),
            };
            outcome.note(&heard);
            match &heard {
                Heard::Capture(value) if value["action"] == "listen" => {
                    self.tell("clova", "asks back: the microphone opens");
                    return Ok(outcome);
                }
                Heard::Capture(value) if value["reason"] == "failed" => bail!("the request failed"),
                Heard::Capture(_) => end_of_speech = Some(at),
                Heard::FirstAudio { .. } => {
                    if let Some(ended) = end_of_speech.take() {
                        let took = at.saturating_duration_since(ended).as_secs_f64() * 1000.0;
                        let told = format!("plays the first sound, {took:.1} ms after that");
                        self.tell(self.name, &told);
                        until = interrupt.map(|after| at + after);
                    }
                }
                Heard::Dialogue(value) if value["state"] == "idle" => return Ok(outcome),
                _ => {}
            }
            self.describe(&heard);
        }
    }

    /// Tells what happens until all of this has happened, in whatever order: different topics are
    /// not ordered against each other.
    pub(super) async fn follow_all(&self, wanted: &[Wanted<'_>]) -> Result<()> {
        let mut open = wanted.to_vec();
        let end = Instant::now() + PATIENCE;
        while let Some((_, what)) = open.first() {
            let left = end.saturating_duration_since(Instant::now());
            let next = self.appliance.next(left).await;
            let missing = || format!("the {}: {what} did not come in {PATIENCE:?}", self.name);
            let (_, heard) = next.with_context(missing)?;
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
        let missing = || format!("the {}: {what} did not come in {PATIENCE:?}", self.name);
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

/// What came of a request.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What CLOVA understood.
    understood: String,
    /// The question that it asked.
    pub(super) question: Option<String>,
    /// Answers that were played to their end.
    played: Vec<PathBuf>,
    /// Texts for a screen.
    pub(super) shown: Vec<String>,
    /// Whether an older answer was dropped.
    pub(super) has_cancelled: bool,
}

impl Outcome {
    fn note(&mut self, heard: &Heard) {
        match heard {
            Heard::Text(value) => self.understood = text(&value["text"]).to_owned(),
            Heard::Capture(value) => {
                self.question = value["expectSpeechId"].as_str().map(str::to_owned);
            }
            Heard::Played { file: Some(file), .. } => self.played.push(file.clone()),
            Heard::Directive(value) if value["name"] == "RenderText" => {
                self.shown.push(text(&value["payload"]["text"]).to_owned());
            }
            Heard::Cancel(_) => self.has_cancelled = true,
            _ => {}
        }
    }

    /// CLOVA has understood this, and its recorded answer has been played, every byte of it.
    pub(super) fn expect(&self, understood: &str, answer: &str) -> Result<()> {
        ensure!(self.understood == understood, "CLOVA understood {:?}", self.understood);
        let file = self.played.last().context("no answer was played to its end")?;
        let sent = embedded(&format!("answers/{answer}.mp3")).context("no such answer")?;
        let played = std::fs::read(file).with_context(|| file.display().to_string())?;
        ensure!(played == sent, "{} is not what CLOVA sent", file.display());
        Ok(())
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
            (gateway, "drops the rest of the old answer: the newer request counts".into())
        }
        Heard::Played { file: Some(file), bytes, .. } => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            (None, format!("has played {name} to its end ({bytes} bytes of MP3)"))
        }
        Heard::Alert(value) if value["action"] == "set" => {
            let kind = text(&value["type"]).to_lowercase();
            (gateway, format!("has the {kind} in its database, and sets it on the speaker"))
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

/// What `down/focus` says: what is to be heard in front, and what quietly behind it.
fn focus(places: &Value) -> String {
    let names = [
        ("alert", "the alarm"),
        ("dialogue", "the answer"),
        ("content", "the music"),
        ("notification", "a notification"),
    ];
    let all = |place: &str| {
        let there = names.iter().filter(|(channel, _)| places[channel] == place);
        there.map(|(_, name)| *name).collect::<Vec<_>>().join(" and ")
    };
    match (all("foreground"), all("background")) {
        (front, back) if back.is_empty() => format!("puts {front} in front"),
        (front, back) if front.is_empty() => format!("puts {back} in the background"),
        (front, back) => format!("puts {front} in front, {back} behind"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_must_be_the_one_that_was_sent_and_must_fit_the_question() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("answer.mp3");
        std::fs::write(&file, embedded("answers/time.mp3").expect("it is built in")).expect("room");
        let mut outcome = Outcome::default();
        outcome.note(&Heard::Text(json!({"text": "what time is it"})));
        assert!(outcome.expect("what time is it", "time").is_err(), "nothing was played");
        let (token, bytes, length) = ("t".to_owned(), 1, Duration::ZERO);
        outcome.note(&Heard::Played { token, bytes, length, file: Some(file.clone()) });
        assert!(outcome.expect("what time is it", "time").is_ok());
        assert!(outcome.expect("what is it", "time").is_err(), "it was misunderstood");
        assert!(outcome.expect("what time is it", "everest").is_err(), "another answer");
        std::fs::write(&file, b"half of it").expect("room");
        assert!(outcome.expect("what time is it", "time").is_err(), "not all of it");
    }

    #[test]
    fn focus_and_directives_are_told_in_plain_words() {
        let rows = [
            (json!({"content": "foreground"}), "puts the music in front"),
            (
                json!({"alert": "foreground", "content": "background"}),
                "puts the alarm in front, the music behind",
            ),
            (
                json!({"content": "background", "alert": "background"}),
                "puts the alarm and the music in the background",
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
