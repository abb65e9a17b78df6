use serde_json::{Value, json};

use super::*;

/// An event with these contexts.
fn event(name: &str, payload: Value, contexts: &[(&str, Value)]) -> Metadata {
    let object = |(name, payload): &(&str, Value)| {
        let (namespace, name) = name.split_once('.').unwrap();
        json!({"header": {"namespace": namespace, "name": name}, "payload": payload})
    };
    Metadata {
        name: name.into(),
        message_id: random_uuid(),
        dialogue: None,
        payload,
        context: contexts.iter().map(object).collect(),
    }
}

fn directive(full_name: &str, payload: Value) -> Value {
    let (namespace, name) = full_name.split_once('.').unwrap();
    wire::directive(namespace, name, Some("dialogue"), payload)
}

fn stream(token: &str) -> Value {
    json!({
        "token": token, "url": "clova:x", "urlPlayable": false, "beginAtInMilliseconds": 1000,
        "durationInMilliseconds": 60000, "customData": "opaque",
        "progressReport": {
            "progressReportDelayInMilliseconds": null,
            "progressReportIntervalInMilliseconds": 20000,
            "progressReportPositionInMilliseconds": 30000,
        },
    })
}

fn play(token: &str) -> Value {
    let item = json!({"audioItemId": format!("item-{token}"), "stream": stream(token)});
    directive("AudioPlayer.Play", json!({"audioItem": item, "playBehavior": "REPLACE_ALL"}))
}

/// A report of a stream that carries the fitting context.
fn report(name: &str, token: &str, offset: u64, activity: &str, stream: &Value) -> Metadata {
    let state = json!({
        "playerActivity": activity, "repeatMode": "NONE", "offsetInMilliseconds": offset,
        "stream": stream,
    });
    let payload = json!({"token": token, "offsetInMilliseconds": offset});
    event(&format!("AudioPlayer.{name}"), payload, &[("AudioPlayer.PlaybackState", state)])
}

fn refused(dossier: &mut Dossier, event: &Metadata, want: &str) {
    let wrong = dossier.take(event, &[]).unwrap_err();
    assert!(wrong.contains(want), "{}: {wrong}", event.name);
}

#[test]
fn a_stream_is_asked_for_as_it_was_sent_and_merged_leaf_by_leaf() {
    let mut dossier = Dossier::default();
    dossier.note(&play("t"));
    let state = ("AudioPlayer.PlaybackState", json!({}));
    let ask = |item: &str, stream: Value| {
        let payload = json!({"audioItemId": item, "audioStream": stream});
        event("AudioPlayer.StreamRequested", payload, std::slice::from_ref(&state))
    };
    refused(&mut dossier, &ask("item-x", stream("t")), "never sent");
    refused(&mut dossier, &ask("item-t", json!({"token": "t"})), "another stream");
    let answer = dossier.take(&ask("item-t", stream("t")), &[]).unwrap();
    let header = &answer[0]["directive"]["header"];
    assert_eq!(
        (&header["name"], &header["dialogRequestId"]),
        (&json!("StreamDeliver"), &json!("dialogue"))
    );
    let mut deliver = answer[0].clone();
    let brings = &mut deliver["directive"]["payload"]["audioStream"];
    brings["progressReport"] = json!({
        "progressReportDelayInMilliseconds": 3000,
        "progressReportIntervalInMilliseconds": null,
        "progressReportPositionInMilliseconds": 50000,
    });
    dossier.note(&deliver);
    let seen = dossier.streams().remove(0);
    assert_eq!(seen.requested, 1);
    let merged = &seen.merged["progressReport"];
    let fields = ["Delay", "Interval", "Position"]
        .map(|kind| merged[format!("progressReport{kind}InMilliseconds")].as_u64());
    assert_eq!(fields, [Some(3000), Some(20000), Some(50000)], "the guide's own example");
    assert_eq!(seen.merged["customData"], "opaque");
}

#[test]
fn reports_of_a_stream_come_in_order_inside_its_section_and_with_its_state() {
    let mut dossier = Dossier::default();
    dossier.note(&play("t"));
    let s = stream("t");
    let good = |name: &str, offset, activity: &str| report(name, "t", offset, activity, &s);
    for early in ["PlayResumed", "PlayFinished", "ProgressReportIntervalPassed"] {
        refused(&mut dossier, &good(early, 1000, "PLAYING"), "which is Sent");
    }
    refused(&mut dossier, &report("PlayStarted", "x", 1000, "PLAYING", &s), "never sent");
    refused(&mut dossier, &good("PlayStarted", 0, "PLAYING"), "outside the section");
    refused(&mut dossier, &good("PlayStarted", 61_001, "PLAYING"), "outside the section");
    let mut other = good("PlayStarted", 1000, "PLAYING");
    other.payload["offsetInMilliseconds"] = 2000.into();
    refused(&mut dossier, &other, "differ");
    let changed = report("PlayStarted", "t", 1000, "PLAYING", &json!({"token": "t"}));
    refused(&mut dossier, &changed, "not as it was sent");
    let rows = [
        ("PlayStarted", 1000, "PLAYING"),
        ("ProgressReportIntervalPassed", 21_000, "PLAYING"),
        ("PlayPaused", 22_000, "PAUSED"),
        ("PlayResumed", 22_000, "PLAYING"),
        ("ProgressReportPositionPassed", 30_000, "PLAYING"),
        ("PlayFinished", 61_000, "STOPPED"),
    ];
    for (name, offset, activity) in rows {
        assert_eq!(dossier.take(&good(name, offset, activity), &[]), Ok(Vec::new()), "{name}");
    }
    let seen = dossier.streams().pop().unwrap();
    assert_eq!(seen.reports, rows.map(|(name, ..)| name), "what was refused does not count");
    assert_eq!(seen.stage, StreamStage::Finished);
    refused(&mut dossier, &good("PlayStopped", 61_000, "STOPPED"), "which is Finished");
    dossier.take(&good("PlayStarted", 1000, "PLAYING"), &[]).unwrap();
    let unwanted = good("ProgressReportDelayPassed", 4000, "PLAYING");
    refused(&mut dossier, &unwanted, "nobody asked for");
    refused(&mut dossier, &good("PlayPaused", 4000, "PLAYING"), "playerActivity");
}

#[test]
fn questions_about_playback_are_answered_once_and_as_asked() {
    let mut dossier = Dossier::default();
    let state = ("AudioPlayer.PlaybackState", json!({"playerActivity": "IDLE"}));
    let event = |name: &str, payload| event(name, payload, std::slice::from_ref(&state));
    let report = event("AudioPlayer.ReportPlaybackState", json!({"playerActivity": "IDLE"}));
    refused(&mut dossier, &report, "nobody asked");
    dossier.note(&directive("AudioPlayer.ExpectReportPlaybackState", json!({})));
    assert!(dossier.take(&report, &[]).is_ok());
    refused(&mut dossier, &report, "nobody asked");
    dossier.note(&directive("AudioPlayer.ClearQueue", json!({"clearBehavior": "CLEAR_ALL"})));
    let cleared =
        |how: &str| event("AudioPlayer.PlaybackQueueCleared", json!({"clearBehavior": how}));
    refused(&mut dossier, &cleared("CLEAR_ENQUEUED"), "no ClearQueue");
    assert!(dossier.take(&cleared("CLEAR_ALL"), &[]).is_ok());
}

#[test]
fn a_button_repeats_what_its_directive_says_and_is_answered_by_what_it_asks_for() {
    let mut dossier = Dossier::default();
    let source = json!({"source": {"namespace": "AudioPlayer"}});
    let press =
        |name: &str, payload: Value| event(&format!("PlaybackController.{name}"), payload, &[]);
    let target = json!({"target": {"namespace": "AudioPlayer"}});
    dossier.note(&directive("PlaybackController.ExpectPauseCommand", target.clone()));
    refused(&mut dossier, &press("PauseCommandIssued", json!({})), "does not repeat");
    let answer = dossier.take(&press("PauseCommandIssued", source), &[]).unwrap();
    let answer = &answer[0]["directive"];
    assert_eq!((&answer["header"]["name"], &answer["payload"]), (&json!("Pause"), &target));
    let handover = json!({"customData": "c", "deviceId": "d"});
    let wanted = json!({"token": "t", "handover": handover});
    dossier.note(&directive("PlaybackController.ExpectPlayCommand", wanted.clone()));
    refused(&mut dossier, &press("PlayCommandIssued", json!({"token": "t"})), "does not repeat");
    let rows = [
        ("PlayCommandIssued", wanted, "Play"),
        ("ResumeCommandIssued", json!({}), "Resume"),
        ("StopCommandIssued", json!({}), "Stop"),
        ("NextCommandIssued", json!({}), "Next"),
        ("PreviousCommandIssued", json!({}), "Previous"),
        ("SetRepeatModeCommandIssued", json!({"repeatMode": "REPEAT_ONE"}), "SetRepeatMode"),
    ];
    for (name, payload, want) in rows {
        let answer = dossier.take(&press(name, payload), &[]).unwrap();
        assert_eq!(answer[0]["directive"]["header"]["name"], want, "{name}");
    }
}

#[test]
fn orders_are_answered_once_with_the_targets_of_reports_and_the_new_state() {
    let mut dossier = Dossier::default();
    let state = ("Device.DeviceState", json!({}));
    let acted = |name: &str, command: &str, target: &str| {
        let payload = json!({"command": command, "target": target});
        event(&format!("DeviceControl.{name}"), payload, std::slice::from_ref(&state))
    };
    let rows = [
        ("TurnOn", json!({"target": "energysave"}), "powersave"),
        ("TurnOff", json!({"target": "vibrate"}), "soundmode"),
        ("SetValue", json!({"target": "volume", "value": "3"}), "volume"),
        ("BtRescan", json!({}), "bluetooth"),
        ("Open", json!({"target": "home"}), "home"),
    ];
    for (command, payload, target) in rows {
        let executed = acted("ActionExecuted", command, target);
        refused(&mut dossier, &executed, "is to be answered");
        dossier.note(&directive(&format!("DeviceControl.{command}"), payload));
        let bare = Metadata { context: Value::Null, ..acted("ActionExecuted", command, target) };
        refused(&mut dossier, &bare, "without Device.DeviceState");
        assert!(dossier.take(&executed, &[]).is_ok(), "{command}");
        refused(&mut dossier, &executed, "is to be answered");
    }
    dossier.note(&directive("DeviceControl.LaunchApp", json!({"target": "x://y"})));
    refused(&mut dossier, &acted("ActionExecuted", "LaunchApp", "app"), "only when it fails");
    assert!(dossier.take(&acted("ActionFailed", "LaunchApp", "app"), &[]).is_ok());
    refused(&mut dossier, &event("DeviceControl.ReportState", json!({}), &[]), "without");
    let delegated = event("Clova.ProcessDelegatedEvent", json!({"delegationId": "d"}), &[]);
    refused(&mut dossier, &delegated, "not delegated");
    dossier.note(&directive("Clova.HandleDelegatedEvent", json!({"delegationId": "d"})));
    assert!(dossier.take(&delegated, &[]).is_ok());
    let spec = dossier.take(&event("Settings.RequestVersionSpec", json!({}), &[]), &[]).unwrap();
    assert_eq!(spec[0]["directive"]["payload"]["spec"]["voiceType"]["default"]["key"], "V001");
}

#[test]
fn speech_is_reported_in_order_and_tracks_only_by_tokens_that_were_shown() {
    let mut dossier = Dossier::default();
    let token = |name: &str, token: &str| event(name, json!({ "token": token }), &[]);
    refused(&mut dossier, &token("SpeechSynthesizer.SpeechStarted", "s"), "never sent");
    dossier.note(&directive("SpeechSynthesizer.Speak", json!({"token": "s"})));
    refused(&mut dossier, &token("SpeechSynthesizer.SpeechFinished", "s"), "wrong time");
    for name in ["SpeechStarted", "SpeechFinished"] {
        let event = token(&format!("SpeechSynthesizer.{name}"), "s");
        assert!(dossier.take(&event, &[]).is_ok());
        refused(&mut dossier, &event, "wrong time");
    }
    refused(&mut dossier, &token("TemplateRuntime.LikeCommandIssued", "t"), "never shown");
    dossier.note(&play("t"));
    let ask = json!({"token": "t", "range": {"before": 1, "after": 2}});
    let info = event("TemplateRuntime.RequestPlayerInfo", ask, &[]);
    let info = dossier.take(&info, &[]).unwrap().remove(0);
    assert_eq!(info["directive"]["payload"]["playableItems"].as_array().unwrap().len(), 4);
    dossier.note(&info);
    let more = token("TemplateRuntime.MoreCommandIssued", "t-after-2");
    let list = dossier.take(&more, &[]).unwrap().remove(0);
    dossier.note(&list);
    let mut chosen = token("TemplateRuntime.SelectCommandIssued", "t-after-2-1");
    let list = dossier.take(&chosen, &[]).unwrap().remove(0);
    dossier.note(&list);
    chosen.payload["token"] = "t-after-2-1-2".into();
    let play = dossier.take(&chosen, &[]).unwrap().remove(0);
    assert_eq!(play["directive"]["header"]["name"], "Play");
}
