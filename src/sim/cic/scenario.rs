//! What the simulated CIC understands and answers, from a TOML file (see `assets/scenario.toml`).

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

pub(super) use super::steps::{AlertStep, Verb};
use super::{
    fault::{FaultToml, Injection},
    steps::{AlertToml, Way},
};

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or of another shape.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A file that it names cannot be read.
    #[error("{0}: {1}")]
    File(String, String),
    /// A fault that does not exist, or not so.
    #[error("{0}")]
    Fault(String),
}

/// Recordings that are known by heart, replies, and faults.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(super) recordings: Arc<Vec<Recording>>,
    pub(super) replies: Arc<Vec<Reply>>,
    pub(super) deliveries: Arc<Vec<Delivery>>,
    pub(super) faults: Vec<Injection>,
}

/// A recording and its text.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) pcm: Vec<u8>,
    pub(super) text: String,
}

/// What StreamRequested is answered with.
#[derive(Debug)]
pub(super) struct Delivery {
    /// For streams whose token contains this.
    token: String,
    /// `audioStream`; none refuses it.
    pub(super) stream: Option<Value>,
}

impl Delivery {
    pub(super) fn fits(&self, token: &str) -> bool {
        token.contains(&self.token)
    }
}

/// An answer to some requests.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) when: Option<String>,
    pub(super) answers: Option<String>,
    /// Or to an event of this name.
    pub(super) event: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// One thing that an answer holds.
#[derive(Debug)]
pub(super) enum Step {
    Speak {
        mp3: Bytes,
        placed: Placed,
    },
    Expect {
        question: String,
        timeout: u64,
        explicit: bool,
    },
    Directive {
        namespace: String,
        name: String,
        payload: Value,
        dialogue: DialogueId,
        /// On the downchannel, as from the app, instead of in the response.
        on_channel: bool,
    },
    Alert(AlertStep),
}

/// Where an attachment stands among the parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Placed {
    /// Before its directive.
    Before,
    /// Right behind its directive.
    #[default]
    After,
    /// Behind everything else.
    Last,
}

/// Which dialogue id a directive carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DialogueId {
    /// That of the request.
    #[default]
    Own,
    /// That of an earlier request.
    Stale,
    /// One that the client never created.
    Foreign,
    /// None.
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    recording: Vec<RecordingToml>,
    #[serde(default)]
    reply: Vec<ReplyToml>,
    #[serde(default)]
    stream: Vec<StreamToml>,
    #[serde(default)]
    fault: Vec<FaultToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StreamToml {
    token: String,
    audio_stream: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingToml {
    file: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyToml {
    when: Option<String>,
    answers: Option<String>,
    event: Option<String>,
    steps: Vec<StepToml>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum StepToml {
    Speak {
        speak: String,
        #[serde(default)]
        attachment: Placed,
    },
    Expect {
        expect: String,
        #[serde(default = "seven_seconds")]
        timeout: u64,
        #[serde(default = "yes")]
        explicit: bool,
    },
    Directive {
        directive: String,
        #[serde(default)]
        payload: Option<Value>,
        #[serde(default)]
        dialogue: DialogueId,
        #[serde(default)]
        on: Way,
    },
    Alert(AlertToml),
}

fn seven_seconds() -> u64 {
    7000
}

fn yes() -> bool {
    true
}

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../assets/", $name)) as &[u8]),)*]
    };
}

/// The files of the scenario that is built in.
const EMBEDDED: &[(&str, &[u8])] = embedded![
    "speech/time.wav",
    "speech/story.wav",
    "speech/everest.wav",
    "speech/pizza.wav",
    "speech/large.wav",
    "speech/timer.wav",
    "speech/stop-timer.wav",
    "speech/tv-up.wav",
    "speech/music.wav",
    "speech/alarm.wav",
    "speech/stop-alarm.wav",
    "answers/time.mp3",
    "answers/story-1.mp3",
    "answers/story-2.mp3",
    "answers/story-3.mp3",
    "answers/everest.mp3",
    "answers/which-size.mp3",
    "answers/ordered.mp3",
    "answers/sorry.mp3",
    "answers/music.mp3",
    "answers/timer-set.mp3",
    "answers/timer-stopped.mp3",
    "answers/alert-set.mp3",
    "answers/alert-stopped.mp3",
    "answers/alert-deleted.mp3",
    "answers/alert-failed.mp3",
];

/// One of the recorded utterances that are built in (WAV), by its name under `assets/`.
pub fn embedded(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

impl Scenario {
    /// The one that is built in: time, story, Mount Everest, pizza.
    pub fn builtin() -> Self {
        let missing = |name: &str| ScenarioError::File(name.into(), "is not built in".into());
        Self::build(include_str!("../../../assets/scenario.toml"), |name| {
            embedded(name).map(Bytes::from_static).ok_or_else(|| missing(name))
        })
        .expect("the built-in scenario is read by a test")
    }

    /// Reads a scenario; the files that it names are looked for below `base`.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn parse(text: &str, base: &Path) -> Result<Self, ScenarioError> {
        Self::build(text, |name| {
            let path = base.join(name);
            let failed = |error: std::io::Error| {
                ScenarioError::File(path.display().to_string(), error.to_string())
            };
            std::fs::read(&path).map(Bytes::from).map_err(failed)
        })
    }

    fn build(
        text: &str,
        read: impl Fn(&str) -> Result<Bytes, ScenarioError>,
    ) -> Result<Self, ScenarioError> {
        let file: File = toml::from_str(text)?;
        let recordings = file.recording.into_iter().map(|recording| {
            let bytes = read(&recording.file)?;
            let wav = hound::WavReader::new(&bytes[..])
                .and_then(|wav| wav.into_samples::<i16>().collect::<Result<Vec<_>, _>>());
            let samples =
                wav.map_err(|error| ScenarioError::File(recording.file, error.to_string()))?;
            let pcm = samples.into_iter().flat_map(i16::to_le_bytes).collect();
            Ok(Recording { pcm, text: recording.text })
        });
        let recordings = recordings.collect::<Result<Vec<_>, ScenarioError>>()?;
        let replies = file.reply.into_iter().map(|reply| {
            let steps = reply.steps.into_iter().map(|step| Step::build(step, &read));
            let steps = steps.collect::<Result<_, _>>()?;
            let when = reply.when.map(|when| when.to_lowercase());
            Ok(Reply { when, answers: reply.answers, event: reply.event, steps })
        });
        let replies = replies.collect::<Result<Vec<_>, ScenarioError>>()?;
        let deliveries = file.stream.into_iter().map(|stream| {
            let StreamToml { token, audio_stream } = stream;
            Delivery { token, stream: audio_stream }
        });
        let deliveries = Arc::new(deliveries.collect());
        let faults = file.fault.into_iter().map(FaultToml::build);
        let faults = faults.collect::<Result<_, _>>().map_err(ScenarioError::Fault)?;
        let (recordings, replies) = (Arc::new(recordings), Arc::new(replies));
        Ok(Self { recordings, replies, deliveries, faults })
    }

    /// Adds a fault, written as a TOML table in a line: `{ on = "event", kind = "goaway" }`.
    ///
    /// # Errors
    /// [`ScenarioError::Toml`] and [`ScenarioError::Fault`].
    pub fn add_fault(&mut self, text: &str) -> Result<(), ScenarioError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Line {
            fault: FaultToml,
        }
        let line: Line = toml::from_str(&format!("fault = {text}"))?;
        self.faults.push(line.fault.build().map_err(ScenarioError::Fault)?);
        Ok(())
    }

    /// The reply to an event that is no request.
    pub(super) fn reply_to(&self, event: &str) -> Option<&Reply> {
        self.replies.iter().find(|reply| reply.event.as_deref() == Some(event))
    }

    /// The reply to a request with this text, or to the answer of this question.
    pub(super) fn reply(&self, text: &str, question: Option<&str>) -> Option<&Reply> {
        let text = text.to_lowercase();
        let mut replies = self.replies.iter();
        match question {
            Some(question) => replies.find(|reply| reply.answers.as_deref() == Some(question)),
            None => {
                replies.find(|reply| reply.when.as_ref().is_some_and(|when| text.contains(when)))
            }
        }
    }
}

/// `Namespace.Name` in two.
pub(super) fn named(directive: &str) -> (&str, &str) {
    directive.split_once('.').unwrap_or((directive, ""))
}

/// An empty payload.
pub(super) fn nothing() -> Value {
    Value::Object(Default::default())
}

impl Reply {
    /// Whether it answers whatever has no other answer.
    pub(super) fn is_for_anything(&self) -> bool {
        self.when.as_deref() == Some("")
    }
}

impl Step {
    fn build(
        step: StepToml,
        read: &impl Fn(&str) -> Result<Bytes, ScenarioError>,
    ) -> Result<Self, ScenarioError> {
        Ok(match step {
            StepToml::Speak { speak, attachment } => {
                Self::Speak { mp3: read(&speak)?, placed: attachment }
            }
            StepToml::Expect { expect, timeout, explicit } => {
                Self::Expect { question: expect, timeout, explicit }
            }
            StepToml::Directive { directive, payload, dialogue, on } => {
                let (namespace, name) = named(&directive);
                let (namespace, name) = (namespace.to_owned(), name.to_owned());
                let payload = payload.unwrap_or_else(nothing);
                let on_channel = on == Way::Channel;
                Self::Directive { namespace, name, payload, dialogue, on_channel }
            }
            StepToml::Alert(step) => Self::Alert(step.build()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenario_answers_what_its_recordings_ask() {
        let scenario = Scenario::builtin();
        assert_eq!(scenario.recordings.len(), 11);
        for recording in scenario.recordings.iter() {
            assert!(recording.pcm.len() > 32_000, "{}", recording.text);
        }
        assert!(
            scenario.reply("What TIME is it?", None).is_some_and(|reply| reply.steps.len() == 2)
        );
        assert!(scenario.reply("gibberish", None).is_some());
        assert!(scenario.reply("large", Some("pizza-size")).is_some());
        assert!(scenario.reply("large", Some("unknown")).is_none());
    }

    #[test]
    fn a_broken_scenario_is_refused() {
        let parse = |text: &str| Scenario::parse(text, Path::new(".")).map(drop);
        assert!(
            parse("[[reply]]\nwhen = \"x\"\nsteps = [{ speak = \"/nonexistent.mp3\" }]").is_err()
        );
        assert!(parse("[[reply]]\nwhen = \"x\"\nsteps = [{ speek = \"x\" }]").is_err());
        assert!(parse("[[replies]]").is_err());
        let step = |step: &str| parse(&format!("[[reply]]\nwhen = \"x\"\nsteps = [{step}]"));
        assert!(step(r#"{ alert = "set", type = "TIMER", in = 5, every = 60 }"#).is_ok());
        assert!(step(r#"{ alert = "set", type = "EGG", in = 5 }"#).is_err());
        assert!(step(r#"{ alert = "ring", type = "TIMER" }"#).is_err());
        assert!(step(r#"{ directive = "AudioPlayer.Play", on = "channel" }"#).is_ok());
        assert!(step(r#"{ directive = "AudioPlayer.Play", on = "paper" }"#).is_err());
        assert!(parse("[[fault]]\non = \"event\"\nkind = \"hiccup\"").is_err());
    }

    #[test]
    fn faults_come_from_the_file_and_from_lines() {
        let text = "[[fault]]\non = \"event\"\nat = 3\nkind = \"goaway\"";
        let mut scenario = Scenario::parse(text, Path::new(".")).unwrap();
        scenario.add_fault(r#"{ on = "channel", kind = "late-hello", milliseconds = 5 }"#).unwrap();
        assert_eq!(scenario.faults.len(), 2);
        assert!(scenario.add_fault("{}").is_err());
        assert!(scenario.add_fault("{ on = \"event\", kind = \"goaway\" }\nx = 1").is_err());
    }
}
