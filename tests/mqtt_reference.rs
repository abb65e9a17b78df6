//! What `docs/mqtt.md` says is what the gateway does: its examples are read by the gateway's own
//! decoder, or are just what it publishes, and nothing is missing.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use bytes::Bytes;
use cic_gateway::{
    appliance::{
        alerts::{Alert, AlertAction, AlertKind, Phase},
        context::{Contexts, Defaults},
        control::Configuration,
        focus::{Channel, Effect, Focus},
        message::{
            About, AttachmentRef, DialogueState, Down, ErrorCode, InputError, SessionState,
            StopReason, Up,
        },
    },
    cic::directive::Directive,
    clock::{Clock, SystemClock},
    ids::ApplianceId,
    mqtt::{Qos, native},
};
use serde_json::{Value, value::RawValue};

const REFERENCE: &str = include_str!("../docs/mqtt.md");

/// All topics below an appliance's own, as the contract with firmware lists them.
const TOPICS: &[&str] = &[
    "up/status",
    "up/state",
    "up/state/{Namespace.Name}",
    "up/recognize",
    "up/audio/{utterance}",
    "up/text",
    "up/speech",
    "up/playback",
    "up/button",
    "up/alert",
    "up/result",
    "up/settings",
    "up/event",
    "up/x/...",
    "down/session",
    "down/dialogue",
    "down/capture",
    "down/text",
    "down/directive",
    "down/audio/{contentId}",
    "down/cancel",
    "down/focus",
    "down/alert",
    "down/error",
    "down/x/...",
];

/// An example: its topic and payload.
struct Example {
    topic: &'static str,
    payload: &'static str,
}

/// The blocks whose first line names a topic.
fn examples() -> Vec<Example> {
    let mut blocks = REFERENCE.split("\n```").skip(1).step_by(2);
    let mut found = Vec::new();
    for block in blocks.by_ref() {
        let (opening, payload) = block.split_once('\n').unwrap();
        if let Some((_, topic)) = opening.split_once(' ') {
            found.push(Example { topic, payload });
        }
    }
    found
}

/// The columns of a topic's row.
fn row(topic: &str) -> Vec<&'static str> {
    let start = format!("| `{topic}` |");
    let line = REFERENCE.lines().find(|line| line.starts_with(&start));
    line.unwrap_or_else(|| panic!("no row for {topic}")).split('|').map(str::trim).collect()
}

fn decode(example: &Example) -> Up {
    let payload = Bytes::from_static(example.payload.as_bytes());
    let decoded = native::decode(example.topic, payload, false, Instant::now());
    decoded.unwrap_or_else(|wrong| panic!("{}: {wrong:?}", example.topic))
}

#[test]
fn every_topic_has_a_row_and_those_with_json_or_text_an_example() {
    let examples: BTreeSet<_> = examples().iter().map(|example| example.topic).collect();
    for topic in TOPICS {
        row(topic);
        let start = topic.trim_end_matches(|c| c != '/').trim_end_matches('/');
        let is_shown = match topic.contains(['{', '.']) {
            true => examples.iter().any(|shown| shown.starts_with(&format!("{start}/"))),
            false => examples.contains(topic),
        };
        assert!(is_shown || topic.contains("/audio/"), "no example of {topic}");
    }
}

#[test]
fn what_appliances_are_told_to_publish_is_understood() {
    let ups: Vec<_> =
        examples().into_iter().filter(|example| example.topic.starts_with("up/")).collect();
    assert!(ups.len() >= 18, "{}", ups.len());
    for example in &ups {
        let (reports, invalid) = match decode(example) {
            Up::State { reports, invalid } => (reports, invalid),
            Up::Result { result, invalid } => (result.state, invalid),
            Up::Settings(configuration) => {
                assert_ne!(configuration, Configuration::default());
                continue;
            }
            _ => continue,
        };
        let mut contexts = Contexts::new(Arc::new(Defaults::default()));
        let complaints: Vec<_> =
            reports.into_iter().flat_map(|report| contexts.take(report)).collect();
        assert!(invalid.is_empty() && complaints.is_empty(), "{}: {complaints:?}", example.topic);
    }
}

#[test]
fn what_appliances_are_told_to_expect_is_published() {
    let root = "cic/v1";
    let appliance = ApplianceId::parse("a").unwrap();
    let mut published = Vec::new();
    for down in downs() {
        native::encode(root, &appliance, &down, &mut published);
    }
    let mut shown: Vec<_> =
        examples().into_iter().filter(|example| example.topic.starts_with("down/")).collect();
    for publication in published {
        let topic = publication.topic.strip_prefix("cic/v1/a/").unwrap();
        let json: Value = serde_json::from_slice(&publication.payload).unwrap();
        let at = shown.iter().position(|example| {
            example.topic == topic
                && serde_json::from_str::<Value>(example.payload).is_ok_and(|shown| shown == json)
        });
        shown.remove(at.unwrap_or_else(|| panic!("not in the reference: {topic} {json}")));
        let general = if topic.starts_with("down/x/") { "down/x/..." } else { topic };
        let row = row(general);
        assert_eq!(row[2] == "1", publication.qos == Qos::AtLeastOnce, "{topic}");
        assert_eq!(row[3].starts_with("yes"), publication.retain, "{topic}");
    }
    let rest: Vec<_> = shown.iter().map(|example| example.topic).collect();
    assert!(rest.is_empty(), "never published like that: {rest:?}");
}

#[test]
fn every_code_and_state_is_explained() {
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
    for code in codes {
        assert!(REFERENCE.contains(&format!("\n| `{code}` |")), "{code}");
    }
    let states = SessionState::ALL.iter().map(|state| state.as_str());
    let kinds = AlertKind::ALL.iter().map(|kind| kind.as_str());
    let channels = Channel::ALL.iter().map(|channel| channel.as_str());
    for word in states.chain(kinds).chain(channels) {
        assert!(REFERENCE.contains(&format!("`{word}`")), "{word}");
    }
}

/// The messages that the reference shows.
fn downs() -> Vec<Down> {
    let raw = |json: &str| RawValue::from_string(json.into()).unwrap();
    let speak = r#"{"token":"speak-1","format":"AUDIO_MPEG","url":"cid:c1","ttsLang":"ko"}"#;
    vec![
        Down::Session {
            state: SessionState::Connected,
            since: "2026-03-02T09:00:01Z".parse().unwrap(),
            reason: None,
        },
        Down::Dialogue {
            state: DialogueState::Listening,
            dialog_request_id: Some("42ef".into()),
            utterance: Some("u1".into()),
        },
        Down::CaptureStop {
            utterance: "u1".into(),
            reason: StopReason::Recognized,
            recognized_text: Some("order a pizza".into()),
        },
        Down::CaptureListen {
            timeout_in_milliseconds: 7000,
            explicit: true,
            expect_speech_id: "8f2c".into(),
        },
        Down::Text { utterance: "u1".into(), text: "order a".into() },
        Down::Directive {
            directive: Directive {
                namespace: "SpeechSynthesizer".into(),
                name: "Speak".into(),
                message_id: "m3".into(),
                dialog_request_id: Some("42ef".into()),
                payload: raw(speak),
            },
            attachments: vec![AttachmentRef {
                content_id: "c1".into(),
                content_type: "application/octet-stream".into(),
            }],
        },
        Down::Cancel { dialog_request_id: Some("42ef".into()), tokens: vec!["speak-1".into()] },
        alarm_over_music(),
        Down::Alert(AlertAction::Ring, Arc::new(timer())),
        Down::Error(InputError {
            topic: "up/text".into(),
            code: ErrorCode::InvalidPayload,
            message: empty_text(),
            about: About::default(),
        }),
        Down::Firmware { topic: "down/x/set".into(), payload: r#"{"power": "off"}"#.into() },
    ]
}

fn timer() -> Alert {
    let scheduled_time = "2026-03-02T18:40:00+09:00";
    Alert {
        token: "timer-1".into(),
        kind: AlertKind::Timer,
        scheduled_time: scheduled_time.into(),
        due: scheduled_time.parse().unwrap(),
        label: None,
        assets: None,
        asset_play_order: None,
        phase: Phase::Ringing,
        since: scheduled_time.parse().unwrap(),
    }
}

/// What the focus machine says when an alarm rings while music plays.
fn alarm_over_music() -> Down {
    let (mut focus, now) = (Focus::default(), SystemClock.now());
    focus.started(Channel::Content, &"music".into(), now);
    focus.started(Channel::Alert, &"alarm".into(), now);
    match focus.poll_effect() {
        Some(Effect::Tell(places)) => Down::Focus(places),
        other => panic!("{other:?}"),
    }
}

/// What the decoder says of a text that is empty.
fn empty_text() -> String {
    let wrong = native::decode("up/text", r#"{"text": ""}"#.into(), false, Instant::now());
    wrong.unwrap_err().message
}
