use super::*;
use crate::sim::appliance::Kind;

fn body(kind: Kind) -> Body {
    Body::new(&ApplianceSettings { kind, ..ApplianceSettings::default() })
}

/// What it publishes: topic, whether it is kept, and payload.
fn published(body: &mut Body) -> Vec<(String, bool, Value)> {
    let mut all = Vec::new();
    while let Some(output) = body.poll_output() {
        if let Output::Publish { rest, retain, payload } = output {
            let payload = serde_json::from_str(&payload).unwrap_or_else(|_| json!(payload));
            all.push((rest, retain, payload));
        }
    }
    all
}

fn directive(full_name: &str, payload: Value) -> Value {
    let (namespace, name) = full_name.split_once('.').unwrap();
    json!({"namespace": namespace, "name": name, "messageId": "m1", "payload": payload})
}

fn do_and_see(body: &mut Body, full_name: &str, payload: Value) -> Vec<(String, bool, Value)> {
    body.directive(&directive(full_name, payload), Instant::now());
    published(body)
}

#[test]
fn every_kind_says_in_its_own_way_how_it_is() {
    let rows: [(Kind, &[&str]); 4] = [
        (Kind::Speaker, &["state"]),
        (Kind::Television, &["state"]),
        (Kind::AirConditioner, &["x/status"]),
        (Kind::Fridge, &["x/eco", "x/volume"]),
    ];
    for (kind, want) in rows {
        let mut body = body(kind);
        body.greet();
        let said = published(&mut body);
        let topics: Vec<_> = said.iter().map(|(topic, ..)| topic.as_str()).collect();
        assert_eq!(topics, want, "{kind:?}");
        assert!(said.iter().all(|(_, retain, _)| *retain), "{kind:?}");
    }
}

#[test]
fn an_order_is_answered_with_the_new_state_or_with_the_reason() {
    let mut body = body(Kind::Television);
    let louder = json!({"target": "volume", "value": "5"});
    let said = do_and_see(&mut body, "DeviceControl.Increase", louder);
    let (result, state) = (&said[0].2, &said[1].2);
    assert_eq!((&*said[0].0, said[0].1, &*said[1].0, said[1].1), ("result", false, "state", true));
    assert_eq!((&result["messageId"], &result["ok"]), (&json!("m1"), &json!(true)));
    assert_eq!(result["state"]["Device.DeviceState"]["volume"]["value"], 25);
    assert_eq!(result["state"], *state);
    let said = do_and_see(&mut body, "DeviceControl.BtRescan", json!({}));
    let want = json!({"messageId": "m1", "ok": false, "reason": "it does not know BtRescan"});
    assert_eq!(said, [("result".to_owned(), false, want)]);
    for not_an_order in NO_ORDERS {
        let name = format!("DeviceControl.{not_an_order}");
        assert!(do_and_see(&mut body, &name, json!({})).is_empty(), "{name}");
    }
}

#[test]
fn settings_are_changed_kept_and_answered() {
    let mut body = body(Kind::Speaker);
    let update = json!({"configuration": {"VoiceTypeChange": "V002"}});
    let said = do_and_see(&mut body, "Settings.Update", update.clone());
    let want = [
        ("settings".to_owned(), true, update),
        ("result".to_owned(), false, json!({"messageId": "m1", "ok": true})),
    ];
    assert_eq!(said, want);
    body.greet();
    assert_eq!(published(&mut body)[1].0, "settings");
    let many: BTreeMap<_, _> = (0..300).map(|n| (format!("k{n}"), "v")).collect();
    let said = do_and_see(&mut body, "Settings.Update", json!({"configuration": many}));
    assert_eq!((said.len(), &said[0].2["ok"]), (1, &json!(false)));
}

#[test]
fn sound_can_be_muted_and_turned_up_by_the_player() {
    let mut body = body(Kind::Speaker);
    let rows = [("Mute", 5, true), ("VolumeUp", 6, true), ("Unmute", 6, false)];
    for (name, volume, muted) in rows {
        let said = do_and_see(&mut body, &format!("PlaybackController.{name}"), json!({}));
        let want = json!({"volume": volume, "muted": muted});
        assert_eq!(said[0].2["Speaker.VolumeState"], want, "{name}");
    }
}

#[test]
fn media_are_controlled_and_what_is_for_others_is_left_alone() {
    let mut body = body(Kind::Speaker);
    let stream = json!({"token": "s", "url": "https://music.example/s.mp3"});
    let play = json!({"audioItem": {"stream": stream}});
    assert_eq!(do_and_see(&mut body, "AudioPlayer.Play", play)[0].2["state"], "started");
    let other = json!({"target": {"namespace": "MediaPlayer"}});
    assert!(do_and_see(&mut body, "PlaybackController.Pause", other).is_empty());
    let own = json!({"target": {"namespace": "AudioPlayer"}});
    assert_eq!(do_and_see(&mut body, "PlaybackController.Pause", own)[0].2["state"], "paused");
    assert_eq!(do_and_see(&mut body, "PlaybackController.Resume", json!({}))[0].0, "playback");
    let unknown = json!({"topic": "up/playback", "code": "invalid_payload", "token": "s"});
    body.complain(&unknown);
    assert_eq!((body.poll_timeout(), published(&mut body)), (None, Vec::new()));
}

#[test]
fn notifications_light_and_sound_until_they_are_cleared() {
    let mut body = body(Kind::Speaker);
    let asset = |id: &str| json!({"assetId": id, "url": format!("https://sound.example/{id}")});
    let both = json!({"light": "DEFAULT", "assets": [asset("a"), asset("b")],
        "assetPlayOrder": ["b", "a", "c"]});
    let rows: [(&str, Value, bool, &[&str]); 3] = [
        ("Notify", both, true, &["https://sound.example/b", "https://sound.example/a"]),
        ("SetIndicator", json!({"light": "NONE", "new": false}), true, &[]),
        ("ClearIndicator", json!({}), false, &[]),
    ];
    for (name, payload, want_light, want) in rows {
        body.directive(&directive(&format!("Notifier.{name}"), payload), Instant::now());
        match body.poll_output() {
            Some(Output::Tell(Heard::Notified { light, sounds })) => {
                assert_eq!(
                    (light, sounds),
                    (want_light, want.iter().map(|s| (*s).into()).collect())
                );
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn firmware_of_its_own_kind_is_obeyed_and_tells_its_status() {
    let mut body = body(Kind::AirConditioner);
    body.firmware("x/set", br#"{"power": "on"}"#);
    let said = published(&mut body);
    assert_eq!((&*said[0].0, said[0].1, &said[0].2["power"]), ("x/status", true, &json!("on")));
    body.firmware("x/nothing", b"{}");
    let heard = body.poll_output();
    assert!(
        matches!(&heard, Some(Output::Tell(Heard::Firmware { outcome: Err(_), .. }))),
        "{heard:?}"
    );
}

#[test]
fn a_directive_that_the_broker_repeats_is_not_new() {
    let mut body = body(Kind::Speaker);
    let with_id = |id: &str| json!({"messageId": id});
    assert!(body.is_new(&with_id("a")) && body.is_new(&with_id("b")));
    assert!(!body.is_new(&with_id("a")));
    assert!(body.is_new(&json!({})) && body.is_new(&json!({})));
    (0..REMEMBERED).for_each(|n| assert!(body.is_new(&with_id(&n.to_string()))));
    assert!(body.is_new(&with_id("a")), "what is remembered is bounded");
}
