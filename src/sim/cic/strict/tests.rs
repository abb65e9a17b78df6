use serde_json::json;

use super::*;
use crate::cic::names;

fn examples(kind: &str) -> Vec<(String, Value)> {
    let dir = std::fs::read_dir(format!("tests/cic-examples/{kind}")).unwrap();
    let paths = dir.map(|entry| entry.unwrap().path());
    let read = paths.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    });
    read.collect()
}

/// Samples that contradict the tables of the same guide.
const SLIPS: &[&str] = &["AudioPlayer.StreamRequested.2.json", "SpeechRecognizer.Recognize.2.json"];

#[test]
fn the_guides_examples_pass() {
    let mut refused = Vec::new();
    for (file, example) in examples("events") {
        let header = &example["event"]["header"];
        let name = [&header["namespace"], &header["name"]].map(|v| v.as_str().unwrap());
        if check_event(&name.join("."), &example["event"]["payload"]).is_err() {
            refused.push(file.clone());
        }
        let context = example["context"].as_array().unwrap();
        assert_eq!(check_context(context), Ok(()), "{file}");
    }
    refused.sort();
    assert_eq!(refused, SLIPS);
    for (file, example) in examples("context") {
        assert_eq!(check_context(&[example]), Ok(()), "{file}");
    }
}

#[test]
fn every_row_names_an_event_that_exists() {
    for (name, _) in EVENTS {
        let (namespace, name) = name.split_once('.').unwrap();
        assert!(names::known_event(namespace, name).is_some(), "{namespace}.{name}");
    }
}

#[test]
fn wrong_payloads_are_refused_by_field() {
    let stream = json!({"url": "u", "urlPlayable": true, "durationInMilliseconds": null});
    let rows = [
        ("TextRecognizer.Recognize", json!({"text": 1}), "payload.text must be a text"),
        ("TextRecognizer.Recognize", json!({}), "payload.text is missing"),
        ("SpeechRecognizer.Recognize", json!({"lang": "fr"}), "one of ko, en, ja"),
        (
            "SpeechRecognizer.Recognize",
            json!({"lang": "ko", "initiator": {"type": "TAP", "inputSource": "SELF", "payload": {}}}),
            "payload.initiator.payload.deviceUUID is missing",
        ),
        ("SpeechSynthesizer.SpeechStopped", json!({"token": null}), "must be a text"),
        ("Alerts.SetAlertFailed", json!({"token": "t", "type": "EGG"}), "payload.type"),
        (
            "AudioPlayer.PlayStarted",
            json!({"token": "t", "offsetInMilliseconds": 1.5}),
            "whole number",
        ),
        (
            "AudioPlayer.ReportPlaybackState",
            json!({"playerActivity": "PLAYING", "repeatMode": "NONE", "stream": stream}),
            "payload.token is missing",
        ),
        ("Settings.Report", json!({"configuration": {"a": 1}}), "an object of texts"),
        (
            "TemplateRuntime.RequestPlayerInfo",
            json!({"token": "t", "range": {"after": 0}}),
            "at least 1",
        ),
    ];
    for (name, payload, want) in rows {
        let wrong = check_event(name, &payload).unwrap_err();
        assert!(wrong.contains(want), "{name}: {wrong}");
    }
    assert_eq!(check_event("DeviceControl.ReportState", &json!({"x": 1})), Ok(()));
}

#[test]
fn wrong_context_objects_are_refused_by_field() {
    let object = |name: &str, payload: Value| {
        let (namespace, name) = name.split_once('.').unwrap();
        json!({"header": {"namespace": namespace, "name": name}, "payload": payload})
    };
    let volume = || object("Speaker.VolumeState", json!({"volume": 3, "muted": false}));
    let rows = [
        (object("Speaker.VolumeState", json!({"volume": "3", "muted": false})), "volume"),
        (object("Speaker.VolumeState", json!({"volume": -1, "muted": false})), "volume"),
        (object("Device.Display", json!({"size": "huge"})), "one of none"),
        (object("Device.Display", json!({"size": "m100"})), "orientation is missing"),
        (
            object(
                "Device.Display",
                json!({"size": "custom", "orientation": "portrait", "dpi": 1}),
            ),
            "contentLayer is missing",
        ),
        (object("Device.Audio", json!({"acceptContentType": [{}]})), "[].mimeType"),
        (object("Alerts.AlertsState", json!({"allAlerts": []})), "activeAlerts is missing"),
        (
            object(
                "AudioPlayer.PlaybackState",
                json!({"playerActivity": "PAUSED", "repeatMode": "NONE"}),
            ),
            "offsetInMilliseconds is missing",
        ),
        (
            object(
                "SpeechSynthesizer.SpeechState",
                json!({"token": "t", "playerActivity": "IDLE"}),
            ),
            "one of PLAYING",
        ),
        (volume(), "twice"),
        (json!({"header": {"namespace": "A"}, "payload": {}}), "lacks"),
    ];
    for (wrong, want) in rows {
        let told = check_context(&[volume(), wrong.clone()]).unwrap_err();
        assert!(told.contains(want), "{wrong}: {told}");
    }
    assert_eq!(
        check_context(&[volume(), object("Device.Display", json!({"size": "none"}))]),
        Ok(())
    );
}
