//! What profiles do.

mod documentation;
mod mistakes;

use serde_json::{json, value::RawValue};

use super::*;
use crate::appliance::{context, message::ContextReport};

fn shipped(name: &str) -> Profile {
    Profile::parse(&format!("{name}.toml"), library::shipped(name).unwrap()).unwrap()
}

fn directive(name: &str, payload: &Value) -> Directive {
    Directive {
        namespace: "DeviceControl".into(),
        name: name.into(),
        message_id: "m1".into(),
        dialog_request_id: None,
        payload: RawValue::from_string(payload.to_string()).unwrap(),
    }
}

/// An appliance of this model that has published this.
fn appliance(profile: &Profile, published: &[(&str, &str)]) -> Contexts {
    let mut contexts = Contexts::new(profile.default_contexts().clone());
    for (topic, payload) in published {
        say(profile, &mut contexts, topic, payload);
    }
    contexts
}

fn say(profile: &Profile, contexts: &mut Contexts, topic: &str, payload: &str) {
    let mapped = profile.state(topic, payload.as_bytes()).unwrap().unwrap();
    assert_eq!(mapped.invalid, [""; 0]);
    for part in mapped.parts {
        assert_eq!(contexts.merge(part), []);
    }
}

fn told(command: &Command) -> (&str, Value) {
    (&command.topic, serde_json::from_slice(&command.payload).unwrap())
}

#[test]
fn the_shipped_profiles_have_no_mistake_and_their_contexts_can_be_sent() {
    for (name, text) in library::SHIPPED {
        let profile = Profile::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        let contexts = appliance(&profile, &[]);
        for context in ["Device.Display", "Device.Audio"] {
            assert!(contexts.get(context).is_some(), "{name} {context}");
        }
        for context in profile.default_contexts().names() {
            let Some(sent) = contexts.get(context) else { continue };
            let report = ContextReport {
                namespace: context.split('.').next().unwrap().into(),
                name: context.split('.').nth(1).unwrap().into(),
                payload: sent.to_owned(),
            };
            assert_eq!(Contexts::default().take(report), [], "{name} {context}");
        }
    }
    assert_eq!(library::SHIPPED.len(), 6);
}

#[test]
fn an_item_that_lacks_only_what_is_reported_is_complete_then() {
    for (name, reported) in [
        ("speaker", json!({"volume": {"value": 5}})),
        ("television", json!({"power": {"state": "idle"}, "volume": {"value": 100}})),
        (
            "display-speaker",
            json!({"screenAutoBrightness": {"state": "on"}, "screenBrightness": {"value": 0}}),
        ),
    ] {
        let mut contexts = appliance(&shipped(name), &[]);
        let report = ContextReport {
            namespace: "Device".into(),
            name: "DeviceState".into(),
            payload: RawValue::from_string(reported.to_string()).unwrap(),
        };
        assert_eq!(contexts.take(report), [], "{name}");
        let state = contexts.device_state();
        for item in reported.as_object().unwrap().keys() {
            assert!(state[item]["actions"].is_array(), "{name} {item}");
        }
    }
}

#[test]
fn firmware_with_its_own_json_has_a_device_state() {
    let profile = shipped("air-conditioner");
    let status = r#"{"power": "on", "temp": 23, "eco": false, "beep": 2}"#;
    let mut contexts = appliance(&profile, &[("up/x/status", status)]);
    let want = json!({
        "power": {"actions": ["TurnOff", "TurnOn"], "state": "active"},
        "energySavingMode": {"actions": ["TurnOff", "TurnOn"], "state": "off"},
        "volume": {"actions": ["Decrease", "Increase", "SetValue"], "min": 0, "max": 3, "value": 2},
    });
    assert_eq!(Value::Object(contexts.device_state()), want);
    say(&profile, &mut contexts, "up/x/status", r#"{"power": "off"}"#);
    let state = contexts.device_state();
    assert_eq!((&state["power"]["state"], &state["volume"]["value"]), (&json!("idle"), &json!(2)));
    say(&profile, &mut contexts, "up/x/status", "");
    assert_eq!(contexts.device_state(), state, "clearing a retained message says nothing");
}

#[test]
fn plain_texts_are_messages_too() {
    let contexts =
        appliance(&shipped("refrigerator"), &[("up/x/eco", "on"), ("up/x/volume", "7\n")]);
    let state = contexts.device_state();
    assert_eq!(state["energySavingMode"]["state"], "on");
    assert_eq!(state["volume"]["value"], 7);
}

#[test]
fn what_a_message_says_wrongly_is_named_and_the_rest_is_taken() {
    let profile = shipped("air-conditioner");
    let map = |payload: &str| profile.state("up/x/status", payload.as_bytes()).unwrap();
    let mapped = map(r#"{"power": "standby", "beep": "loud", "eco": true}"#).unwrap();
    let want = [
        "/power of up/x/status is \"standby\", not one of off, on",
        "/beep of up/x/status: Device.DeviceState.volume.value must be an integer",
    ];
    assert_eq!(mapped.invalid, want);
    assert_eq!(mapped.parts[0].payload.get(), r#"{"energySavingMode":{"state":"on"}}"#);
    let nothing = map("null").unwrap();
    assert!(nothing.parts.is_empty() && nothing.invalid.is_empty());
    assert_eq!(map("{\"power\"").unwrap_err().0, ErrorCode::InvalidJson);
    assert!(profile.state("up/x/other", b"{}").is_none());
}

#[test]
fn numbers_are_brought_into_the_form_that_cic_wants() {
    let profile = shipped("air-conditioner");
    let rows = [("2", 2), ("2.0", 2), ("1.6", 2), ("\"2\"", 2), ("\" 1.2 \"", 1)];
    for (beep, want) in rows {
        let message = format!("{{\"beep\": {beep}}}");
        let contexts = appliance(&profile, &[("up/x/status", &message)]);
        assert_eq!(contexts.device_state()["volume"]["value"], want, "{beep}");
    }
}

#[test]
fn control_directives_become_messages_of_the_appliance() {
    let profile = shipped("air-conditioner");
    let status = r#"{"power": "off", "eco": false, "beep": 2}"#;
    let contexts = appliance(&profile, &[("up/x/status", status)]);
    let rows = [
        ("TurnOn", json!({"target": "power"}), json!({"power": "on"})),
        ("TurnOn", json!({"target": "energysave"}), json!({"eco": true})),
        ("TurnOff", json!({"target": "powersave"}), json!({"eco": false})),
        ("Increase", json!({"target": "volume"}), json!({"beep": 3})),
        ("Increase", json!({"target": "volume", "value": "9"}), json!({"beep": 3})),
        ("Decrease", json!({"target": "volume", "value": "1"}), json!({"beep": 1})),
        ("Decrease", json!({"target": "volume", "value": "5"}), json!({"beep": 0})),
        ("SetValue", json!({"target": "volume", "value": "1"}), json!({"beep": 1})),
        ("SetValue", json!({"target": "volume", "value": "99"}), json!({"beep": 3})),
    ];
    for (name, payload, want) in rows {
        let command = profile.command(&directive(name, &payload), &contexts).unwrap().unwrap();
        assert_eq!(told(&command), ("down/x/set", want), "{name} {payload}");
    }
}

#[test]
fn a_directive_without_a_rule_is_not_the_profiles() {
    let profile = shipped("air-conditioner");
    let contexts = appliance(&profile, &[]);
    let other = |name: &str, payload| profile.command(&directive(name, &payload), &contexts);
    assert!(other("TurnOn", json!({"target": "wifi"})).is_none());
    assert!(other("TurnOn", json!({})).is_none());
    assert!(other("BtConnect", json!({})).is_none());
    let mut strange = directive("TurnOn", &json!({"target": "power"}));
    strange.namespace = "Settings".into();
    assert!(profile.command(&strange, &contexts).is_none());
}

#[test]
fn a_command_whose_value_is_not_known_fails() {
    let profile = shipped("air-conditioner");
    let asked = |contexts: &Contexts, name: &str, value: Value| {
        let payload = json!({"target": "volume", "value": value});
        profile.command(&directive(name, &payload), contexts).unwrap().map(|_| ())
    };
    let unknown = "its present value is not known".to_owned();
    assert_eq!(asked(&appliance(&profile, &[]), "Increase", Value::Null), Err(unknown));
    let known = appliance(&profile, &[("up/x/status", r#"{"beep": 1}"#)]);
    let not = |text: &str| Err(text.to_owned());
    assert_eq!(asked(&known, "Increase", json!("much")), not("\"much\" is no amount"));
    assert_eq!(asked(&known, "SetValue", json!("loud")), not("\"loud\" is no number"));
}

#[test]
fn success_is_recognised_by_the_state() {
    let profile = shipped("air-conditioner");
    let mut contexts = appliance(&profile, &[("up/x/status", r#"{"power": "off", "beep": 2}"#)]);
    let on = directive("TurnOn", &json!({"target": "power"}));
    let louder = directive("Increase", &json!({"target": "volume"}));
    let [on, louder] = [on, louder].map(|d| profile.command(&d, &contexts).unwrap().unwrap());
    assert!(!on.expect.is_met(&contexts) && !louder.expect.is_met(&contexts));
    say(&profile, &mut contexts, "up/x/status", r#"{"power": "on"}"#);
    assert!(on.expect.is_met(&contexts) && !louder.expect.is_met(&contexts));
    say(&profile, &mut contexts, "up/x/status", r#"{"beep": 3}"#);
    assert!(louder.expect.is_met(&contexts));
    let louder = directive("Increase", &json!({"target": "volume"}));
    let louder = profile.command(&louder, &contexts).unwrap().unwrap();
    assert!(louder.expect.is_met(&contexts), "at its loudest it will report no change");
}

#[test]
fn success_is_recognised_by_an_answer() {
    let profile = shipped("refrigerator");
    let contexts = appliance(&profile, &[]);
    let eco = directive("TurnOn", &json!({"target": "energysave"}));
    let command = profile.command(&eco, &contexts).unwrap().unwrap();
    assert_eq!(told(&command), ("down/x/command", json!({"id": "m1", "eco": "on"})));
    assert!(!command.expect.is_met(&contexts));
    let rows = [
        ("up/x/done", r#"{"id": "m1", "done": true}"#, Some(true)),
        ("up/x/done", r#"{"id": "m0", "done": true}"#, None),
        ("up/x/done", "{}", None),
        ("up/x/done", "no JSON", None),
        ("up/x/eco", r#"{"id": "m1"}"#, None),
    ];
    for (topic, payload, want) in rows {
        assert_eq!(command.expect.answer(topic, payload.as_bytes()), want, "{topic} {payload}");
    }
    let said = profile.state("up/x/done", b"{}").unwrap().unwrap();
    assert!(said.parts.is_empty(), "the topic is known although it says nothing of the state");
}

#[test]
fn an_answer_may_say_no() {
    let text = r#"
        [items.channel]
        actions = ["Increase", "SetValue"]
        step = 2
        [[command]]
        directive = "Increase"
        target = "channel"
        topic = "down/x/ch"
        payload = "UP {step}"
        expect = "sent"
        [[command]]
        directive = "SetValue"
        target = "channel"
        topic = "down/x/ch"
        payload = "{value}"
        expect = { topic = "up/x/ch", value = "OK", failed = "NO" }"#;
    let profile = Profile::parse("tv.toml", text).unwrap();
    let contexts = appliance(&profile, &[]);
    let command = |name: &str, value: Value| {
        let payload = json!({"target": "channel", "value": value});
        profile.command(&directive(name, &payload), &contexts).unwrap().unwrap()
    };
    let up = command("Increase", Value::Null);
    assert_eq!((&*up.payload, up.expect.is_met(&contexts)), (&b"UP 2"[..], true));
    assert_eq!(command("Increase", json!("3")).payload, b"UP 3");
    assert_eq!(command("SetValue", json!("11")).payload, b"11");
    let named = command("SetValue", json!("KBS \"1\""));
    assert_eq!(named.payload, b"KBS \"1\"");
    let answers = [&b"OK"[..], b"NO", b"WAIT"].map(|said| named.expect.answer("up/x/ch", said));
    assert_eq!(answers, [Some(true), Some(false), None]);
}

#[test]
fn a_profile_on_a_shipped_base_changes_only_what_it_names() {
    let text = "base = \"air-conditioner\"\nmodels = [\"AC-2\"]\n\
                [contexts.\"Speaker.VolumeState\"]\nmuted = false\nvolume = 1\n\
                [[state]]\ntopic = \"up/x/pw\"\nto = \"power.state\"\n\
                map = { 1 = \"active\", 0 = \"idle\" }\n\
                [[command]]\ndirective = \"TurnOn\"\ntarget = \"power\"\ntopic = \"down/x/pw\"\n\
                payload = 1\nexpect = \"sent\"\n";
    let profile = Profile::parse("dir/ac-2.toml", text).unwrap();
    assert_eq!((profile.name(), &*profile.models), ("ac-2", &["AC-2".to_owned()][..]));
    let contexts =
        appliance(&profile, &[("up/x/pw", "1"), ("up/x/status", r#"{"power": "?", "beep": 1}"#)]);
    let state = contexts.device_state();
    assert_eq!(
        (&state["power"]["state"], &state["volume"]["value"]),
        (&json!("active"), &json!(1))
    );
    assert!(contexts.get("Speaker.VolumeState").is_some());
    assert!(contexts.get("Device.Audio").is_some());
    let [on, off] = ["TurnOn", "TurnOff"]
        .map(|name| profile.command(&directive(name, &json!({"target": "power"})), &contexts));
    assert_eq!(on.unwrap().unwrap().topic, "down/x/pw");
    assert_eq!(off.unwrap().unwrap().topic, "down/x/set");
}

#[test]
fn every_target_of_a_directive_is_an_item_that_exists() {
    let items = tables::of(context::DEVICE_STATE).unwrap().fields().unwrap();
    for (_, targets) in consistency::DIRECTIVES {
        for target in targets.iter().filter(|target| !["home", "settings"].contains(target)) {
            let item = tables::item_of(target).unwrap();
            assert!(items.iter().any(|known| known.name == item), "{target}");
        }
    }
}
