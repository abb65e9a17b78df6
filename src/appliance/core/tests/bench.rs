//! An appliance's core with everything around it played by the test.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json, value::RawValue};

use crate::{
    appliance::{
        alerts::AlertSettings,
        core::{Core, CoreSettings, Input, Measure, Output, SaveResult},
        focus::{Channel, Place},
        ledger::Kept,
        message::{ContextReport, DialogueState, Down, ErrorCode, Recognize, SpeechProgress, Up},
    },
    cic::{
        directive::Directive,
        link,
        message::{AttachmentEvent, Command, Notice, Outcome, RequestKey, Source},
    },
    clock::{Clock, ManualClock},
    ids::DialogRequestId,
    profile::Profile,
};

pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) clock: ManualClock,
    profile: Arc<Profile>,
    pub(super) generation: u64,
    pub(super) out: Vec<Output>,
}

impl Bench {
    /// An appliance that is paired, online and connected.
    pub(super) fn connected() -> Self {
        Self::offline().connect()
    }

    /// Online, with a first state, and connected.
    pub(super) fn connect(self) -> Self {
        let mut bench = self;
        bench.up(Up::Status { online: true, retained: false });
        let state = vec![context("Speaker", "VolumeState", r#"{"volume":3,"muted":false}"#)];
        bench.up(Up::State { reports: state, invalid: vec![] });
        bench.generation = bench.connect_generation().expect("a session is wanted");
        bench.notice(Notice::ChannelOpen);
        bench.hello();
        bench.clear();
        bench
    }

    /// Hello, and what is asked after it, answered with nothing.
    pub(super) fn hello(&mut self) {
        self.directive(Source::Downchannel, "Clova.Hello", None, json!({}));
        let (key, name, _) = self.events().pop().expect("alerts are asked for");
        assert_eq!(name, "Alerts.RequestSynchronizeAlert");
        self.finish(key, Outcome::Done);
        // Behind whatever waited.
        if let Some((key, name, _)) = self.events().pop()
            && name == "Settings.RequestVersionSpec"
        {
            self.finish(key, Outcome::Done);
        }
    }

    pub(super) fn offline() -> Self {
        Self::offline_as(Profile::parse("bare.toml", "models = [\"bare\"]").unwrap())
    }

    /// An appliance of a model with this profile.
    pub(super) fn offline_as(profile: Profile) -> Self {
        let clock = ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap());
        Self::started(clock, Kept::default(), profile.into())
    }

    /// The next process after `before`, at the same moment.
    pub(super) fn restarted(before: &Self, kept: Kept) -> Self {
        Self::started(before.clock.clone(), kept, before.profile.clone())
    }

    pub(super) fn clock_wall(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Sets the wall clock forwards, or backwards.
    pub(super) fn step_clock(&self, seconds: i64) {
        let wall = self.clock_wall().checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self.clock.step_wall_to(wall);
    }

    fn started(clock: ManualClock, kept: Kept, profile: Arc<Profile>) -> Self {
        let settings = CoreSettings {
            device_id: "device-1".into(),
            lang: "en".into(),
            max_utterance: Duration::from_secs(60),
            linger: Duration::from_secs(60),
            result_timeout: Duration::from_secs(4),
            profile: profile.clone(),
            alerts: AlertSettings {
                forget_offline: false,
                past_due_window: Duration::from_secs(1800),
                ring_timeout: Duration::from_secs(3600),
            },
            link: link::Policy::default(),
            seed: 1,
        };
        let now = clock.now();
        let mut core = Core::new(settings, kept, now);
        let expires_at = now.wall.checked_add(Duration::from_secs(864_000)).unwrap();
        core.handle(Input::Tokens { issued_at: now.wall, expires_at }, now);
        Self { core, clock, profile, generation: 0, out: Vec::new() }
    }

    pub(super) fn feed(&mut self, input: Input) {
        self.core.handle(input, self.clock.now());
        self.collect();
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.out.push(output);
        }
    }

    pub(super) fn up(&mut self, up: Up) {
        self.feed(Input::Up(up));
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.feed(Input::Session(self.generation, notice));
    }

    /// Lets time pass, waking the core whenever it asks to be woken.
    pub(super) fn pass(&mut self, by: Duration) {
        let end = self.clock.now().mono + by;
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= end) {
            let now = self.clock.now().mono;
            self.clock.advance(due.saturating_duration_since(now));
            self.core.handle_timeout(self.clock.now());
            self.collect();
        }
        let now = self.clock.now().mono;
        self.clock.advance(end.saturating_duration_since(now));
    }

    pub(super) fn directive(
        &mut self,
        source: Source,
        name: &str,
        id: Option<&str>,
        payload: Value,
    ) {
        let (namespace, name) = name.split_once('.').unwrap();
        let directive = Directive {
            namespace: namespace.into(),
            name: name.into(),
            message_id: "m".into(),
            dialog_request_id: id.map(Into::into),
            payload: RawValue::from_string(payload.to_string()).unwrap(),
        };
        self.notice(Notice::Directive { source, directive });
    }

    pub(super) fn speak(&mut self, source: Source, id: Option<&str>, token: &str, cid: &str) {
        let payload = json!({"token": token, "format": "AUDIO_MPEG", "url": format!("cid:{cid}")});
        self.directive(source, "SpeechSynthesizer.Speak", id, payload);
    }

    pub(super) fn attach(&mut self, source: Source, cid: &str) {
        for event in [
            AttachmentEvent::Begin { content_type: "application/octet-stream".into() },
            AttachmentEvent::Data(Bytes::from(format!("bytes of {cid}"))),
            AttachmentEvent::End,
        ] {
            self.notice(Notice::Attachment { source, content_id: cid.into(), event });
        }
    }

    pub(super) fn say(&mut self, utterance: &str, answers: Option<&str>) -> (RequestKey, String) {
        self.up(Up::Recognize(Recognize {
            utterance: utterance.into(),
            lang: None,
            initiator: None,
            expect_speech_id: answers.map(Into::into),
        }));
        let (key, metadata) = self.last_upload();
        let id = metadata["event"]["header"]["dialogRequestId"].as_str().unwrap().to_owned();
        self.audio(utterance, 6400);
        (key, id)
    }

    pub(super) fn audio(&mut self, utterance: &str, length: usize) {
        let (data, received) = (Bytes::from(vec![1; length]), self.clock.now().mono);
        self.up(Up::Audio { utterance: utterance.into(), data, received });
    }

    /// A whole request whose upload is complete; its response is still open.
    pub(super) fn ask(&mut self, utterance: &str) -> (Source, RequestKey, String) {
        let (key, id) = self.say(utterance, None);
        self.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some(&id), json!({}));
        self.notice(Notice::Sent { key });
        (Source::Response(key), key, id)
    }

    pub(super) fn finish(&mut self, key: RequestKey, outcome: Outcome) {
        self.notice(Notice::Finished { key, outcome });
    }

    pub(super) fn report(&mut self, token: &str, state: SpeechProgress) {
        self.up(Up::Speech { token: token.into(), state });
    }

    /// What the lights showed last: the state, and whose turn it is.
    pub(super) fn lights(&self) -> Option<(DialogueState, Option<DialogRequestId>)> {
        self.out.iter().rev().find_map(|output| match output {
            Output::Down(Down::Dialogue { state, dialog_request_id, .. }) => {
                Some((*state, dialog_request_id.clone()))
            }
            _ => None,
        })
    }

    /// How many of this code were counted for operators.
    pub(super) fn counted_errors(&self, code: ErrorCode) -> usize {
        let is_it = |output: &&Output| matches!(output, Output::Measure(Measure::InputError(counted)) if *counted == code);
        self.out.iter().filter(is_it).count()
    }

    /// What became of events, as operators see it.
    pub(super) fn counted_events(&self) -> Vec<String> {
        let event = |output: &Output| match output {
            Output::Measure(Measure::Event { namespace, name, result }) => {
                Some(format!("{namespace}.{name} {result}"))
            }
            _ => None,
        };
        self.out.iter().filter_map(event).collect()
    }

    /// How many saves have been asked for.
    pub(super) fn saves(&self) -> usize {
        self.out.iter().filter(|output| matches!(output, Output::Save(_))).count()
    }

    /// The store has taken the save that is under way.
    pub(super) fn keep_all(&mut self) {
        self.feed(Input::Saved(SaveResult::Kept));
    }

    pub(super) fn clear(&mut self) {
        self.out.clear();
    }

    pub(super) fn connect_generation(&self) -> Option<u64> {
        self.out.iter().rev().find_map(|output| match output {
            Output::Connect { generation } => Some(*generation),
            _ => None,
        })
    }

    pub(super) fn last_upload(&self) -> (RequestKey, Value) {
        let upload = self.out.iter().rev().find_map(|output| match output {
            Output::Session(Command::OpenUpload { key, metadata }) => {
                Some((*key, serde_json::from_slice(metadata).unwrap()))
            }
            _ => None,
        });
        upload.expect("an upload was opened")
    }

    /// Events sent with their keys, as `Namespace.Name` and the whole metadata.
    pub(super) fn events(&self) -> Vec<(RequestKey, String, Value)> {
        let event = |output: &Output| match output {
            Output::Session(Command::Event { key, metadata }) => {
                let value: Value = serde_json::from_slice(metadata).unwrap();
                let header = &value["event"]["header"];
                let text = |name: &str| header[name].as_str().unwrap().to_owned();
                let name = format!("{}.{}", text("namespace"), text("name"));
                Some((*key, name, value))
            }
            _ => None,
        };
        self.out.iter().filter_map(event).collect()
    }

    /// What was published, in short, but for what sounds how.
    pub(super) fn downs(&self) -> Vec<String> {
        let down = |output: &Output| match output {
            Output::Down(Down::Focus(_)) => None,
            Output::Down(down) => Some(short(down)),
            _ => None,
        };
        self.out.iter().filter_map(down).collect()
    }

    /// What was said to sound how.
    pub(super) fn focus(&self) -> Vec<String> {
        let focus = |output: &Output| match output {
            Output::Down(down @ Down::Focus(_)) => Some(short(down)),
            _ => None,
        };
        self.out.iter().filter_map(focus).collect()
    }

    pub(super) fn published(&self, text: &str) -> bool {
        self.downs().iter().any(|down| down == text)
    }

    pub(super) fn commands(&self) -> Vec<String> {
        let command = |output: &Output| match output {
            Output::Session(Command::FinishUpload { .. }) => Some("finish".to_owned()),
            Output::Session(Command::Abort { .. }) => Some("abort".to_owned()),
            Output::Session(Command::Audio { data, .. }) => Some(format!("audio {}", data.len())),
            _ => None,
        };
        self.out.iter().filter_map(command).collect()
    }
}

pub(super) fn context(namespace: &str, name: &str, payload: &str) -> ContextReport {
    let payload = RawValue::from_string(payload.into()).unwrap();
    ContextReport { namespace: namespace.into(), name: name.into(), payload }
}

pub(super) fn short(down: &Down) -> String {
    match down {
        Down::Session { state, .. } => format!("session {}", state.as_str()),
        Down::Dialogue { state, .. } => format!("dialogue {}", state.as_str()),
        Down::CaptureStop { utterance, reason, .. } => {
            format!("stop {utterance} {}", reason.as_str())
        }
        Down::CaptureListen { expect_speech_id, .. } => format!("listen {expect_speech_id}"),
        Down::Text { text, .. } => format!("text {text}"),
        Down::Directive { directive, .. } => {
            let payload: Value = directive.payload_as().unwrap();
            format!("{} {}", directive.full_name(), payload["token"].as_str().unwrap_or("-"))
        }
        Down::Firmware { topic, payload } => {
            format!("{topic} {}", String::from_utf8_lossy(payload))
        }
        Down::Focus(places) => {
            let place = |(channel, place): (Channel, Place)| match place {
                Place::Foreground => Some(channel.as_str().to_owned()),
                Place::Background => Some(format!("({})", channel.as_str())),
                Place::None => None,
            };
            let sounding: Vec<_> = places.iter().filter_map(place).collect();
            format!("focus {}", sounding.join(" "))
        }
        Down::Alert(action, alert) => format!("alert {} {}", action.as_str(), alert.token),
        Down::Audio { content_id, data } if data.is_empty() => format!("end {content_id}"),
        Down::Audio { content_id, .. } => format!("audio {content_id}"),
        Down::Cancel { tokens, .. } => format!("cancel {tokens:?}"),
        Down::Error(error) => format!("error {}", error.code.as_str()),
    }
}
