//! One appliance's playback with a clock.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{
    Button, Effect, Heard, NotConnected, NotPlayback, Playback, Report, Reported, UnknownStream,
};
use crate::{cic::directive::Directive, clock::Now};

pub(super) struct World {
    pub playback: Playback,
    pub now: Now,
    /// Every effect since they were last taken.
    pub effects: Vec<Effect>,
    /// What was told, reported and asked since it was last looked at.
    seen: Vec<String>,
    messages: u32,
}

impl World {
    /// Noon; CIC is there, and nothing plays.
    pub fn new() -> Self {
        let now = Now { mono: Instant::now(), wall: "2026-03-02T12:00:00Z".parse().unwrap() };
        let playback = Playback::default();
        let mut world = Self { playback, now, effects: vec![], seen: vec![], messages: 0 };
        world.connected(true);
        world
    }

    /// `a` plays since now, from a URL that everybody can play.
    pub fn playing() -> Self {
        Self::playing_stream(&json!({}))
    }

    /// The same, with more in its stream.
    pub fn playing_stream(more: &Value) -> Self {
        let mut world = Self::new();
        world.play("a", "REPLACE_ALL", more);
        world.heard("a", Reported::Started, world.begin(more));
        world.forget_seen();
        world
    }

    fn begin(&self, stream: &Value) -> u64 {
        stream["beginAtInMilliseconds"].as_u64().unwrap_or(0)
    }

    pub fn try_order(&mut self, name: &str, payload: &Value) -> Result<(), NotPlayback> {
        self.messages += 1;
        let directive = directive(name, &format!("m{}", self.messages), payload);
        self.try_directive(&directive)
    }

    pub fn try_directive(&mut self, directive: &Directive) -> Result<(), NotPlayback> {
        let result = self.playback.order(directive, self.now);
        self.drain();
        result
    }

    #[track_caller]
    pub fn order(&mut self, name: &str, payload: &Value) {
        self.try_order(name, payload).unwrap();
    }

    /// A directive of PlaybackController with an empty payload.
    #[track_caller]
    pub fn control(&mut self, name: &str) {
        self.order(&format!("PlaybackController.{name}"), &json!({}));
    }

    /// A Play of a playable URL, with more in its stream. Its item id is `id-{token}`.
    #[track_caller]
    pub fn play(&mut self, token: &str, behavior: &str, more: &Value) {
        self.order("AudioPlayer.Play", &play(token, behavior, more));
    }

    #[track_caller]
    pub fn replace(&mut self, token: &str) {
        self.play(token, "REPLACE_ALL", &json!({}));
    }

    #[track_caller]
    pub fn enqueue(&mut self, token: &str) {
        self.play(token, "ENQUEUE", &json!({}));
    }

    /// A Play whose stream must be asked for.
    #[track_caller]
    pub fn play_opaque(&mut self, token: &str, behavior: &str) {
        self.play(token, behavior, &opaque(token));
    }

    #[track_caller]
    pub fn deliver(&mut self, token: &str, stream: &Value) {
        let payload = json!({"audioItemId": format!("id-{token}"), "audioStream": stream});
        self.order("AudioPlayer.StreamDeliver", &payload);
    }

    pub fn try_heard(
        &mut self,
        token: &str,
        state: Reported,
        offset: Option<u64>,
        total: Option<u64>,
    ) -> Result<(), UnknownStream> {
        let heard = Heard { token: token.into(), state, offset, total };
        let result = self.playback.report_heard(&heard, self.now);
        self.drain();
        result
    }

    #[track_caller]
    pub fn heard(&mut self, token: &str, state: Reported, offset: u64) {
        self.try_heard(token, state, Some(offset), None).unwrap();
    }

    pub fn press(&mut self, button: &Button) -> Result<(), NotConnected> {
        let result = self.playback.press(button, self.now);
        self.drain();
        result
    }

    pub fn connected(&mut self, connected: bool) {
        self.playback.set_connected(connected, self.now);
        self.drain();
    }

    pub fn refuse_stream(&mut self, token: &str, stream: &Value) {
        let payload = json!({"audioItemId": format!("id-{token}"), "audioStream": stream});
        let payload = serde_json::value::to_raw_value(&payload).unwrap();
        self.playback.stream_refused(&payload, self.now);
        self.drain();
    }

    /// Seconds pass, and the machine is called whenever it wants to be.
    pub fn pass(&mut self, seconds: u64) {
        self.pass_by(Duration::from_secs(seconds));
    }

    pub fn pass_by(&mut self, by: Duration) {
        let end = self.now.plus(by);
        for _ in 0..100_000 {
            let Some(at) = self.playback.poll_timeout().filter(|at| *at <= end.mono) else {
                self.now = end;
                return;
            };
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.wake();
        }
        panic!("it wants to be called far too often");
    }

    /// The timer fires now, perhaps late.
    pub fn wake(&mut self) {
        self.playback.handle_timeout(self.now);
        let next = self.playback.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now.mono), "it wants to be called at once again");
        self.drain();
    }

    /// What was told, reported and asked since the last look.
    #[track_caller]
    pub fn saw(&mut self, want: &[&str]) {
        assert_eq!(std::mem::take(&mut self.seen), want);
    }

    pub fn forget_seen(&mut self) {
        self.seen.clear();
        self.effects.clear();
    }

    pub fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(self.playback.state(self.now).get()).unwrap()
    }

    /// `playerActivity offset` of the context.
    pub fn activity(&self) -> String {
        let state = self.state();
        format!("{} {}", state["playerActivity"].as_str().unwrap(), state["offsetInMilliseconds"])
    }

    /// The events of this name since effects were last taken.
    pub fn events(&self, name: &str) -> Vec<Report> {
        let of_name = |effect: &Effect| match effect {
            Effect::Report(report) | Effect::Ask(report) if report.name == name => {
                Some(report.clone())
            }
            _ => None,
        };
        self.effects.iter().filter_map(of_name).collect()
    }

    /// The last Play that the appliance was told.
    pub fn told(&self) -> Directive {
        let plays = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Tell(directive) if directive.name == "Play" => Some(directive.clone()),
            _ => None,
        });
        *plays.unwrap()
    }

    pub fn drain(&mut self) {
        let mut cancelled = String::new();
        while let Some(effect) = self.playback.poll_effect() {
            check(&effect);
            let text = text(&effect);
            match &effect {
                Effect::Cancel(token) => cancelled = format!("play {token} "),
                _ if cancelled.is_empty() => {}
                _ => assert!(!text.starts_with(&cancelled), "the two may overtake each other"),
            }
            self.seen.push(text);
            self.effects.push(effect);
        }
    }
}

pub(super) fn directive(name: &str, message_id: &str, payload: &Value) -> Directive {
    let (namespace, name) = name.split_once('.').unwrap();
    Directive {
        namespace: namespace.into(),
        name: name.into(),
        message_id: message_id.into(),
        dialog_request_id: Some("d".into()),
        payload: serde_json::value::to_raw_value(payload).unwrap(),
    }
}

/// The payload of a Play.
pub(super) fn play(token: &str, behavior: &str, more: &Value) -> Value {
    let mut stream = json!({
        "token": token, "url": format!("https://e.net/{token}.mp3"), "urlPlayable": true,
        "beginAtInMilliseconds": 0,
    });
    stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "audioItem": {"audioItemId": format!("id-{token}"), "stream": stream, "type": "x"},
        "playBehavior": behavior, "source": {"name": "y"},
    })
}

/// What makes a stream one that must be asked for.
pub(super) fn opaque(token: &str) -> Value {
    json!({"url": format!("clova:{token}"), "urlPlayable": false})
}

pub(super) fn value(raw: &serde_json::value::RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

/// What holds for each effect by itself: events and their context agree (flows 4.1).
fn check(effect: &Effect) {
    let Effect::Report(report) = effect else { return };
    let (payload, state) = (value(&report.payload), value(&report.state));
    if payload["token"].is_string() {
        assert_eq!(payload["offsetInMilliseconds"], state["offsetInMilliseconds"], "{payload}");
        let token = &state["stream"]["token"];
        assert!(token.is_null() || payload["token"] == *token, "{payload} {state}");
    }
    let want = match report.name {
        "PlayStarted" | "PlayResumed" => "PLAYING",
        "PlayPaused" => "PAUSED",
        "PlayStopped" | "PlayFinished" => "STOPPED",
        _ => return,
    };
    assert_eq!(state["playerActivity"], want, "{}", report.name);
}

fn text(effect: &Effect) -> String {
    match effect {
        Effect::Tell(directive) if directive.name == "Play" => {
            let stream = &value(&directive.payload)["audioItem"]["stream"];
            assert_eq!(stream["urlPlayable"], true, "always with a playable URL");
            let token = stream["token"].as_str().unwrap();
            match &stream["beginAtInMilliseconds"] {
                Value::Null => format!("play {token} 0"),
                begin => format!("play {token} {begin}"),
            }
        }
        Effect::Tell(directive) => format!("tell {}", directive.name),
        Effect::Cancel(token) => format!("cancel {token}"),
        Effect::Report(report) => report_text(report),
        Effect::Ask(report) => {
            let payload = value(&report.payload);
            match &payload["audioItemId"] {
                Value::Null => format!("ask {} {payload}", report.name),
                id => format!("ask {} {}", report.name, id.as_str().unwrap()),
            }
        }
        Effect::Sounding(sounds) => (if *sounds { "sounds" } else { "silent" }).into(),
        Effect::Count(what) => format!("count {what}"),
    }
}

fn report_text(report: &Report) -> String {
    let payload = value(&report.payload);
    let name = report.name.replace("ProgressReport", "");
    match (&payload["clearBehavior"], &payload["playerActivity"]) {
        (Value::String(behavior), _) => format!("{name} {behavior}"),
        (_, Value::String(activity)) => format!("{name} {activity}"),
        _ => {
            let (token, offset) = (&payload["token"], &payload["offsetInMilliseconds"]);
            format!("{name} {} {offset}", token.as_str().unwrap())
        }
    }
}
