use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    appliance::message::{
        About, AttachmentRef, DialogueState, Down, ErrorCode, InputError, SessionState, StopReason,
        Up,
    },
    cic::directive::Directive,
    ids::ApplianceId,
    mqtt::Publication,
};

fn up(topic: &str, payload: &str) -> Result<Up, ErrorCode> {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    decode(topic, payload, false, Instant::now()).map_err(|error| error.code)
}

#[test]
fn every_topic_is_read() {
    assert!(matches!(up("up/status", "online"), Ok(Up::Status { online: true, .. })));
    assert!(matches!(up("up/status", "offline"), Ok(Up::Status { online: false, .. })));
    let Ok(Up::State { reports, .. }) =
        up("up/state", r#"{"Speaker.VolumeState":{"volume":1},"Device.Display":{}}"#)
    else {
        panic!("state");
    };
    assert_eq!(reports.len(), 2);
    let Ok(Up::State { reports, .. }) = up("up/state/Speaker.VolumeState", r#"{"volume":1}"#)
    else {
        panic!("one state");
    };
    assert_eq!(
        (reports[0].namespace.as_str(), reports[0].name.as_str()),
        ("Speaker", "VolumeState")
    );
    let Ok(Up::Recognize(r)) = up(
        "up/recognize",
        r#"{"utterance":"u1","lang":"ko","expectSpeechId":"q",
        "initiator":{"type":"WAKEWORD","inputSource":"SELF","payload":{"wakeWord":{"name":"hey_clova",
        "indices":{"startIndexInSamples":4800,"endIndexInSamples":20800}}}}}"#,
    ) else {
        panic!("recognize");
    };
    assert_eq!((r.utterance.as_str(), r.lang.as_deref()), ("u1", Some("ko")));
    assert_eq!(r.expect_speech_id, Some("q".into()));
    assert!(matches!(
        up("up/recognize", r#"{"utterance":"u1","cancel":true}"#),
        Ok(Up::CancelUtterance(_))
    ));
    assert!(matches!(up("up/audio/u1", "abcd"), Ok(Up::Audio { data, .. }) if data == "abcd"));
    assert!(matches!(up("up/audio/u1", ""), Ok(Up::Audio { data, .. }) if data.is_empty()));
    assert!(matches!(up("up/text", r#"{"text":"hi"}"#), Ok(Up::Text { .. })));
    assert!(matches!(up("up/speech", r#"{"token":"t","state":"started"}"#), Ok(Up::Speech { .. })));
    assert!(matches!(up("up/event", r#"{"namespace":"A","name":"B"}"#), Ok(Up::Event { .. })));
}

#[test]
fn a_context_that_cannot_be_used_does_not_take_the_others_with_it() {
    let state = r#"{"Speaker":{},"Speaker.VolumeState":{"volume":1},"Device.Display":7}"#;
    let Ok(Up::State { reports, invalid }) = up("up/state", state) else { panic!() };
    assert_eq!(reports.len(), 1);
    assert_eq!(invalid.len(), 2, "{invalid:?}");
    assert!(invalid[0].starts_with("Device.Display"), "{invalid:?}");
}

#[test]
fn buttons_and_alert_reports_are_read() {
    use crate::appliance::message::{AlertProgress, Button};
    let rows = [
        (r#"{"button":"stopAlert"}"#, Some(Button::StopAlert(None))),
        (r#"{"button":"stopAlert","token":"t"}"#, Some(Button::StopAlert(Some("t".into())))),
        (r#"{"button":"deleteAlert","token":"t"}"#, Some(Button::DeleteAlert("t".into()))),
        (r#"{"button":"deleteAlert"}"#, None),
        (r#"{"button":"selfDestruct"}"#, None),
        (r#"{}"#, None),
    ];
    for (payload, want) in rows {
        match (up("up/button", payload), want) {
            (Ok(Up::Button(button)), Some(want)) => assert_eq!(button, want, "{payload}"),
            (Err(code), None) => assert_eq!(code, ErrorCode::InvalidPayload, "{payload}"),
            (other, _) => panic!("{payload}: {other:?}"),
        }
    }
    let failed = up("up/alert", r#"{"token":"t","state":"failed"}"#);
    assert!(matches!(failed, Ok(Up::Alert { state: AlertProgress::Failed, .. })));
    assert!(up("up/alert", r#"{"token":"t","state":"asleep"}"#).is_err());
}

#[test]
fn what_cannot_be_used_is_named() {
    use ErrorCode::{
        AudioOddLength, InvalidContext, InvalidJson, InvalidPayload, PayloadTooLarge, UnknownTopic,
    };
    let large = "x".repeat(MAX_JSON + 2);
    let rows: &[(&str, &str, ErrorCode)] = &[
        ("up/status", "maybe", InvalidPayload),
        ("up/state", "{", InvalidJson),
        ("up/state", "[]", InvalidPayload),
        ("up/state/Speaker.Volume/x", "{}", InvalidContext),
        ("up/recognize", "{}", InvalidPayload),
        ("up/recognize", "", InvalidJson),
        ("up/recognize", r#"{"utterance":"a/b"}"#, InvalidPayload),
        ("up/recognize", r#"{"utterance":"u","lang":"fr"}"#, InvalidPayload),
        (
            "up/recognize",
            r#"{"utterance":"u","initiator":{"type":"SHOUT","inputSource":"SELF"}}"#,
            InvalidPayload,
        ),
        ("up/recognize", r#"{"utterance":"u","initiator":{"type":"TAP"}}"#, InvalidPayload),
        ("up/recognize", r#"{"utterance":5} x"#, InvalidJson),
        ("up/audio/u1", "abc", AudioOddLength),
        ("up/audio/u1", &large, PayloadTooLarge),
        ("up/audio/", "ab", UnknownTopic),
        ("up/audio/a/b", "ab", UnknownTopic),
        ("up/text", r#"{"text":""}"#, InvalidPayload),
        ("up/text", r#"{"text":7}"#, InvalidPayload),
        ("up/text", &large, PayloadTooLarge),
        ("up/speech", r#"{"token":"t","state":"paused"}"#, InvalidPayload),
        ("up/event", r#"{"namespace":"A","name":"B","payload":[]}"#, InvalidPayload),
        ("up/event", r#"{"namespace":"","name":"B"}"#, InvalidPayload),
        ("up/nonsense", "{}", UnknownTopic),
        ("sideways", "{}", UnknownTopic),
    ];
    for (topic, payload, code) in rows {
        let got = up(topic, payload).map(|_| ());
        assert_eq!(got, Err(*code), "{topic} {}", &payload[..payload.len().min(80)]);
    }
    let not_utf8 =
        decode("up/text", Bytes::from_static(b"{\"text\":\"\xff\"}"), false, Instant::now());
    assert_eq!(not_utf8.map(|_| ()).map_err(|error| error.code), Err(InvalidJson));
}

#[test]
fn an_error_names_its_utterance() {
    let named = |topic: &str, payload: &'static str| {
        decode(topic, payload.into(), false, Instant::now()).unwrap_err().about.utterance
    };
    assert_eq!(named("up/audio/u7", "abc"), Some("u7".into()));
    assert_eq!(named("up/recognize", r#"{"utterance":"u8","lang":"fr"}"#), Some("u8".into()));
}

fn down(down: Down) -> Vec<(String, String, bool)> {
    let mut out = Vec::new();
    encode("cic/v1", &ApplianceId::parse("a").unwrap(), &down, &mut out);
    let text =
        |p: Publication| (p.topic, String::from_utf8_lossy(&p.payload).into_owned(), p.retain);
    out.into_iter().map(text).collect()
}

fn payload(message: Down) -> (String, Value) {
    let (topic, payload, _) = down(message).remove(0);
    (topic, serde_json::from_str(&payload).unwrap())
}

#[test]
fn every_message_is_written_as_the_contract_says() {
    let directive = Directive {
        namespace: "SpeechSynthesizer".into(),
        name: "Speak".into(),
        message_id: "m".into(),
        dialog_request_id: Some("d".into()),
        payload: RawValue::from_string(r#"{"url": "cid:c","n":1.50}"#.into()).unwrap(),
    };
    let attachment = AttachmentRef { content_id: "c".into(), content_type: "audio/mpeg".into() };
    let rows = [
        (
            Down::Session {
                state: SessionState::Connected,
                since: "2026-03-02T09:00:00Z".parse().unwrap(),
                reason: None,
            },
            "session",
            json!({"state":"connected","since":"2026-03-02T09:00:00Z"}),
        ),
        (
            Down::Dialogue {
                state: DialogueState::Listening,
                dialog_request_id: Some("d".into()),
                utterance: Some("u1".into()),
            },
            "dialogue",
            json!({"state":"listening","dialogRequestId":"d","utterance":"u1"}),
        ),
        (
            Down::CaptureStop {
                utterance: "u1".into(),
                reason: StopReason::Recognized,
                recognized_text: Some("hi".into()),
            },
            "capture",
            json!({"action":"stop","utterance":"u1","reason":"recognized","recognizedText":"hi"}),
        ),
        (
            Down::CaptureListen {
                timeout_in_milliseconds: 7000,
                explicit: true,
                expect_speech_id: "q".into(),
            },
            "capture",
            json!({"action":"listen","timeoutInMilliseconds":7000,"explicit":true,"expectSpeechId":"q"}),
        ),
        (
            Down::Text { utterance: "u1".into(), text: "wha".into() },
            "text",
            json!({"utterance":"u1","text":"wha"}),
        ),
        (
            Down::Directive { directive, attachments: vec![attachment] },
            "directive",
            json!({"namespace":"SpeechSynthesizer","name":"Speak","messageId":"m","dialogRequestId":"d",
                "payload":{"url":"cid:c","n":1.50},"attachments":[{"contentId":"c","contentType":"audio/mpeg"}]}),
        ),
        (
            Down::Cancel { dialog_request_id: Some("d".into()), tokens: vec!["t".into()] },
            "cancel",
            json!({"dialogRequestId":"d","tokens":["t"]}),
        ),
        (
            Down::Error(InputError {
                topic: "up/text".into(),
                code: ErrorCode::InvalidJson,
                message: "why".into(),
                about: About { token: Some("t".into()), ..About::default() },
            }),
            "error",
            json!({"topic":"up/text","code":"invalid_json","message":"why","token":"t"}),
        ),
    ];
    for (message, name, want) in rows {
        assert_eq!(down(message.clone())[0].2, name == "session", "only session is retained");
        assert_eq!(payload(message), (format!("cic/v1/a/down/{name}"), want));
    }
}

#[test]
fn audio_is_cut_to_16_kib_and_ends_with_an_empty_message() {
    let long = Down::Audio { content_id: "c".into(), data: Bytes::from(vec![7; 40_000]) };
    let sizes: Vec<_> = down(long).iter().map(|(_, payload, _)| payload.len()).collect();
    assert_eq!(sizes, [16_384, 16_384, 7_232]);
    let end = Down::Audio { content_id: "c".into(), data: Bytes::new() };
    assert_eq!(down(end), [("cic/v1/a/down/audio/c".to_owned(), String::new(), false)]);
}
