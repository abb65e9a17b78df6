//! What reaches a connected appliance's core from both sides, and what comes of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cic_gateway::{
    appliance::{
        alerts::AlertSettings,
        core::{Core, CoreSettings, Input, Output, SaveResult},
        ledger::Kept,
        message::Down,
    },
    cic::{
        directive, link,
        message::{Command, Notice, Outcome, Source},
    },
    clock::Now,
    ids::ApplianceId,
    mqtt::{native, topics},
    profile::Profiles,
};
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const ROOT: &str = "cic/v1";

/// A directive of CIC, on the downchannel and as an answer.
pub fn directive(input: &[u8]) {
    let Ok(directive) = directive::decode(input) else { return };
    let payload = directive.payload.get();
    assert!(payload.starts_with('{') && serde_json::from_str::<IgnoredAny>(payload).is_ok());
    if serde_json::from_str::<Value>(payload).is_err() {
        // Half a surrogate pair, or a number without bounds: JSON all the same (RFC 8259 sections 6
        // and 8.2), and relayed as it came; only the gateway's own reading of it fails.
        return;
    }
    let mut home = Home::connected();
    let source = Source::Downchannel;
    home.feed(Input::Session(1, Notice::Directive { source, directive: directive.clone() }));
    home.pass();
    home.say("up/text", br#"{"text":"x"}"#);
    home.feed(Input::Session(1, Notice::Directive { source, directive }));
    home.pass();
}

/// Topic, NUL, payload.
pub fn mqtt(input: &[u8]) {
    let at = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (topic, payload) = (String::from_utf8_lossy(&input[..at]), input.get(at + 1..));
    let Some((id, rest)) = topics::split(ROOT, &topic) else { return };
    let is_id = ApplianceId::parse(id).is_ok();
    assert!(
        is_id
            || !id.bytes().all(|b| b.is_ascii_alphanumeric())
            || id.len() > 64
            || id.is_empty()
            || id == "gateway"
    );
    assert!(topics::label(rest).len() < 32, "a label is one of a few");
    let mut home = Home::connected();
    home.say(rest, payload.unwrap_or_default());
    home.pass();
    home.say("up/text", br#"{"text":"x"}"#);
    home.pass();
}

/// `up/state`, and then the context of a request.
pub fn state(input: &[u8]) {
    let mut home = Home::connected();
    home.say("up/state", input);
    home.say("up/text", br#"{"text":"x"}"#);
    let request = home.last_event.take().expect("a request");
    assert_eq!(request["event"]["header"]["name"], "Recognize");
    let mut names = Vec::new();
    for object in request["context"].as_array().expect("a context") {
        assert!(object["payload"].is_object(), "{object}");
        let header = &object["header"];
        names.push((header["namespace"].as_str().unwrap(), header["name"].as_str().unwrap()));
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each context once");
}

/// One connected appliance.
struct Home {
    core: Core,
    now: Now,
    last_event: Option<Value>,
}

impl Home {
    fn connected() -> Self {
        let wall = "2026-03-02T09:00:00Z".parse().unwrap();
        let now = Now { mono: Instant::now(), wall };
        let core = Core::new(settings(), Kept::default(), now);
        let mut home = Self { core, now, last_event: None };
        let expires_at = wall.checked_add(Duration::from_secs(864_000)).unwrap();
        home.feed(Input::Tokens { issued_at: wall, expires_at });
        home.say("up/status", b"online");
        home.say("up/state", br#"{"Speaker.VolumeState":{"volume":3,"muted":false}}"#);
        home.feed(Input::Session(1, Notice::ChannelOpen));
        let hello = json!({"directive": {"header": {"namespace": "Clova", "name": "Hello",
            "messageId": "m"}, "payload": {}}});
        let directive = directive::decode(hello.to_string().as_bytes()).unwrap();
        let source = Source::Downchannel;
        home.feed(Input::Session(1, Notice::Directive { source, directive }));
        assert!(home.last_event.is_some(), "it asks for its alerts");
        home
    }

    fn say(&mut self, topic: &str, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        self.feed(match native::decode(topic, payload, false, self.now.mono) {
            Ok(up) => Input::Up(up),
            Err(error) => Input::Rejected(error),
        });
    }

    fn feed(&mut self, input: Input) {
        self.core.handle(input, self.now);
        self.perform();
    }

    /// Lets a minute pass, or as much as twenty deadlines.
    fn pass(&mut self) {
        let end = self.now.mono + Duration::from_secs(60);
        for _ in 0..20 {
            let Some(due) = self.core.poll_timeout().filter(|due| *due < end) else { break };
            self.now = self.now.plus(due.saturating_duration_since(self.now.mono));
            self.core.handle_timeout(self.now);
            self.perform();
        }
    }

    /// The world does as it is told, at once.
    fn perform(&mut self) {
        for _ in 0..5_000 {
            let Some(output) = self.core.poll_output() else { return };
            match output {
                Output::Down(down) => check(&down),
                Output::Save(_) => self.core.handle(Input::Saved(SaveResult::Kept), self.now),
                Output::Session(Command::Event { key, metadata }) => {
                    self.last_event = Some(serde_json::from_slice(&metadata).expect("JSON"));
                    let took = Duration::ZERO;
                    for notice in [
                        Notice::Sent { key },
                        Notice::Response { key, status: 204, took },
                        Notice::Finished { key, outcome: Outcome::Done },
                    ] {
                        self.core.handle(Input::Session(1, notice), self.now);
                    }
                }
                Output::Session(Command::OpenUpload { metadata, .. }) => {
                    serde_json::from_slice::<Value>(&metadata).expect("JSON");
                }
                _ => {}
            }
        }
        panic!("it does not come to an end");
    }
}

/// What is published has a topic that a broker takes, and is JSON unless it is audio or the
/// firmware's own.
fn check(down: &Down) {
    let (kitchen, mut out) = (ApplianceId::parse("kitchen").unwrap(), Vec::new());
    native::encode(ROOT, &kitchen, down, &mut out);
    let is_raw = matches!(down, Down::Audio { .. } | Down::Firmware { .. });
    for publication in out {
        assert!(topics::is_topic(&publication.topic), "{}", publication.topic);
        assert!(publication.topic.starts_with("cic/v1/kitchen/down/"), "{}", publication.topic);
        let json = serde_json::from_slice::<Value>(&publication.payload);
        assert!(is_raw || json.is_ok_and(|json| json.is_object()), "{publication:?}");
    }
}

fn settings() -> CoreSettings {
    thread_local! {
        static SETTINGS: CoreSettings = CoreSettings {
            device_id: "device".into(),
            lang: "ko".into(),
            max_utterance: Duration::from_secs(60),
            linger: Duration::from_secs(60),
            result_timeout: Duration::from_secs(4),
            profile: Profiles::load(None, &TimeZone::UTC).unwrap().for_model("display-speaker").clone(),
            alerts: AlertSettings {
                forget_offline: false,
                past_due_window: Duration::from_secs(1800),
                ring_timeout: Duration::from_secs(3600),
            },
            link: link::Policy::default(),
            seed: 1,
        };
    }
    SETTINGS.with(CoreSettings::clone)
}
