//! Buttons, the directives that press them, and RequestPlayerInfo.

use serde_json::{Value, json};

use super::{
    super::{Button, NotConnected, NotPlayback},
    world::{World, value},
};

#[test]
fn each_button_becomes_cics_event_and_nothing_happens_here() {
    let rows = [
        (Button::Play(None), "ResumeCommandIssued", json!({})),
        (Button::Play(Some("t".into())), "PlayCommandIssued", json!({"token": "t"})),
        (Button::Pause, "PauseCommandIssued", json!({})),
        (Button::Resume, "ResumeCommandIssued", json!({})),
        (Button::Stop, "StopCommandIssued", json!({})),
        (Button::Next, "NextCommandIssued", json!({})),
        (Button::Previous, "PreviousCommandIssued", json!({})),
        (Button::Repeat, "SetRepeatModeCommandIssued", json!({"repeatMode": "REPEAT_ONE"})),
        (
            Button::Custom("CUSTOM_BUTTON_2".into()),
            "CustomCommandIssued",
            json!({"button": "CUSTOM_BUTTON_2"}),
        ),
    ];
    for (button, event, payload) in rows {
        let mut w = World::playing();
        w.enqueue("b");
        w.press(&button).unwrap();
        w.saw(&[&format!("ask {event} {payload}")]);
        assert_eq!(w.events(event)[0].namespace, "PlaybackController");
        assert_eq!(w.activity(), "PLAYING 0");
        w.connected(false);
        assert_eq!(w.press(&button), Err(NotConnected));
        w.connected(true);
        w.saw(&[]);
    }
}

#[test]
fn the_repeat_button_asks_for_the_other_mode() {
    let mut w = World::playing();
    w.control("TurnOnRepeatMode");
    w.forget_seen();
    w.press(&Button::Repeat).unwrap();
    w.saw(&[r#"ask SetRepeatModeCommandIssued {"repeatMode":"NONE"}"#]);
    assert_eq!(w.state()["repeatMode"], "REPEAT_ONE", "until CIC says otherwise");
}

#[test]
fn each_expected_command_is_issued_and_names_its_source_if_a_target_was_named() {
    for command in ["Next", "Pause", "Previous", "Resume", "Stop"] {
        let mut w = World::playing();
        let expect = format!("PlaybackController.Expect{command}Command");
        w.order(&expect, &json!({}));
        w.saw(&[&format!("ask {command}CommandIssued {{}}")]);
        for namespace in ["AudioPlayer", "MediaPlayer"] {
            w.order(&expect, &json!({"target": {"namespace": namespace}}));
            let source = json!({"source": {"namespace": namespace}});
            w.saw(&[&format!("ask {command}CommandIssued {source}")]);
        }
        for target in [json!("AudioPlayer"), json!({}), json!({"namespace": 1})] {
            let wrong = w.try_order(&expect, &json!({ "target": target }));
            assert!(matches!(wrong, Err(NotPlayback::Payload(_))), "{target}");
        }
        w.saw(&[]);
    }
}

#[test]
fn expect_play_command_is_issued_with_handover_and_token_unchanged() {
    let handover = json!({"customData": "{\"x\": 1}", "deviceId": "d", "more": null});
    let rows = [
        json!({}),
        json!({"token": "t"}),
        json!({ "handover": handover }),
        json!({"handover": handover, "token": "t"}),
    ];
    for payload in rows {
        let mut w = World::playing();
        let mut order = payload.clone();
        order["unknown"] = json!(1);
        w.order("PlaybackController.ExpectPlayCommand", &order);
        assert_eq!(value(&w.events("PlayCommandIssued")[0].payload), payload);
    }
    for payload in [json!({"token": 1}), json!({"handover": "x"})] {
        let wrong = World::new().try_order("PlaybackController.ExpectPlayCommand", &payload);
        assert!(matches!(wrong, Err(NotPlayback::Payload(_))), "{payload}");
    }
}

#[test]
fn player_info_is_requested_by_the_current_streams_token() {
    let mut w = World::playing();
    w.order("TemplateRuntime.ExpectRequestPlayerInfo", &json!({}));
    w.saw(&[r#"ask RequestPlayerInfo {"token":"a"}"#]);
    assert_eq!(w.events("RequestPlayerInfo")[0].namespace, "TemplateRuntime");
    let mut w = World::new();
    w.order("TemplateRuntime.ExpectRequestPlayerInfo", &Value::Object(Default::default()));
    w.saw(&["count player_info_without_stream"]);
}
