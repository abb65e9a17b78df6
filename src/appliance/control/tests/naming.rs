//! What reports call commands, targets and events.

use serde_json::{Value, json};

use super::{
    super::{Handling, current_event_name},
    world::{World, directive},
};
use crate::{
    appliance::duties::{self, By},
    cic::{directive, names},
};

/// Commands, their targets in directives, and what reports call these (interfaces,
/// DeviceControl): the reference's targets and those of the guide's text.
const NAMES: &[(&[&str], &[&str], Option<&str>)] = &[
    (&["TurnOn", "TurnOff"], &["airplane", "bluetooth", "cellular", "flashlight", "gps"], None),
    (&["TurnOn", "TurnOff"], &["power", "wifi", "screenautobrightness"], None),
    (&["TurnOn", "TurnOff"], &["energysave", "powersave"], Some("powersave")),
    (&["TurnOn", "TurnOff"], &["ring", "silent", "vibrate", "soundmode"], Some("soundmode")),
    (&["Increase", "Decrease", "SetValue"], &["channel", "screenbrightness", "volume"], None),
    (&["Open"], &["home", "settings"], None),
    (&["OpenScreen"], &["settings"], None),
    (
        &[
            "BtConnect",
            "BtConnectByPINCode",
            "BtDelete",
            "BtDisconnect",
            "BtPlay",
            "BtRescan",
            "BtStartPairing",
            "BtStopPairing",
        ],
        &[""],
        Some("bluetooth"),
    ),
    (&["LaunchApp"], &["naversearchapp://search", "카카오톡"], Some("app")),
];

#[test]
fn every_command_and_target_of_the_guide_is_reported_by_its_name() {
    let rows = NAMES.iter().flat_map(|(commands, targets, reported)| {
        let pairs = commands.iter().flat_map(|c| targets.iter().map(move |t| (*c, *t)));
        pairs.map(|(command, target)| (command, target, reported.unwrap_or(target)))
    });
    for (command, target, reported) in rows {
        let mut w = World::new();
        for ok in [true, false] {
            let payload = json!({"target": target, "value": "3"});
            w.ask(&format!("DeviceControl.{command}"), "m", &payload);
            w.answer("m", ok).unwrap();
            let seen = w.seen();
            let name = if ok { "ActionExecuted" } else { "ActionFailed" };
            match (command, ok) {
                ("LaunchApp", true) => assert!(seen.is_empty(), "only a failure is reported"),
                _ => assert_eq!(seen[0], format!("{name} {command} {reported}")),
            }
        }
    }
}

#[test]
fn every_command_that_awaits_a_result_is_in_the_table_of_names() {
    let named = |name| NAMES.iter().any(|(commands, ..)| commands.contains(&name));
    for (namespace, name) in names::directives().filter(|(n, _)| *n == "DeviceControl") {
        let duty = duties::duty(namespace, name).unwrap();
        assert_eq!(duty.within == duties::Within::ResultTime, named(name), "{name}");
    }
}

#[test]
fn every_example_of_the_guide_goes_where_its_duty_says() {
    let mut seen = 0;
    for entry in std::fs::read_dir("tests/cic-examples/directives").unwrap() {
        let directive = directive::decode(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let duty = duties::duty(&directive.namespace, &directive.name).unwrap();
        let mut w = World::new();
        let handling = w.control.order(&directive, w.now);
        // The guide's SynchronizeState is about the device of these tests.
        let is_own = directive.is("DeviceControl", "SynchronizeState");
        let withheld = duty.by == By::Gateway || is_own;
        let wanted = if withheld { Handling::Withhold } else { Handling::Deliver };
        assert_eq!(handling, wanted, "{}", directive.full_name());
        seen += 1;
    }
    assert_eq!(seen, 94);
}

#[test]
fn the_state_of_another_client_is_passed_on_and_the_own_is_not() {
    let name = "DeviceControl.SynchronizeState";
    let rows = [
        (json!({"deviceId": super::world::OWN}), Handling::Withhold),
        (json!({"deviceId": super::world::OWN.to_uppercase()}), Handling::Withhold),
        (json!({"deviceId": "another", "deviceState": {}}), Handling::Deliver),
        (json!({"deviceState": {}}), Handling::Deliver),
    ];
    for (payload, wanted) in rows {
        let mut w = World::new();
        assert_eq!(w.order(name, "m", &payload), wanted, "{payload}");
        w.saw(&[]);
    }
    let mut w = World::new();
    let unknown = directive("DeviceControl.Teleport", "m", &Value::Object(Default::default()));
    assert_eq!(w.control.order(&unknown, w.now), Handling::Deliver);
}

#[test]
fn the_name_of_2019_becomes_that_of_2022() {
    let old = current_event_name("DeviceControl", "BtRequestToCancelPinCodeInput");
    assert_eq!(old, "BtRequestToCancelPINCodeInput");
    let others = [
        ("DeviceControl", "BtRequestToCancelPINCodeInput"),
        ("DeviceControl", "BtRequestForPINCode"),
        ("Other", "BtRequestToCancelPinCodeInput"),
    ];
    for (namespace, name) in others {
        assert_eq!(current_event_name(namespace, name), name);
    }
}
