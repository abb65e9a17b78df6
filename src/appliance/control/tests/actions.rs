//! Orders of DeviceControl, and what becomes of them.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{Handling, MAX_WAITING, UnknownMessage},
    world::{TIMEOUT, World, state},
};
use crate::appliance::outbox::Care;

const WIFI: &str = "DeviceControl.TurnOn";

#[test]
fn what_the_appliance_has_done_is_reported_with_its_new_state() {
    let mut w = World::new();
    w.ask(WIFI, "m", &json!({"target": "wifi"}));
    w.saw(&[]);
    w.pass(TIMEOUT - Duration::from_millis(1));
    let on = state(&json!({"wifi": {"state": "on"}}));
    assert_eq!(w.answer_with("m", true, None, vec![on]), Ok(()));
    w.saw(&["apply 1", "ActionExecuted TurnOn wifi"]);
    w.pass(TIMEOUT);
    w.saw(&[]);
}

#[test]
fn what_it_could_not_do_is_reported_and_its_reason_shown_to_operators() {
    let mut w = World::new();
    w.ask(WIFI, "m", &json!({"target": "wifi"}));
    assert_eq!(w.answer_with("m", false, Some("no antenna"), Vec::new()), Ok(()));
    w.saw(&["ActionFailed TurnOn wifi", "failed TurnOn wifi: the appliance refused: no antenna"]);
    w.ask(WIFI, "n", &json!({"target": "gps"}));
    let long = "x".repeat(10_000);
    assert_eq!(w.answer_with("n", false, Some(&long), Vec::new()), Ok(()));
    assert!(w.seen()[1].len() < 300);
    w.ask(WIFI, "o", &json!({"target": "gps"}));
    assert_eq!(w.answer("o", false), Ok(()));
    assert!(w.seen()[1].ends_with("refused: without a reason"));
}

#[test]
fn an_appliance_that_says_nothing_has_failed() {
    let mut w = World::new();
    w.ask(WIFI, "m", &json!({"target": "wifi"}));
    assert_eq!(w.control.poll_timeout(), Some(w.now.mono + TIMEOUT));
    w.pass(TIMEOUT);
    w.saw(&[
        "ActionFailed TurnOn wifi",
        "failed TurnOn wifi: the appliance did not answer in time",
    ]);
    assert_eq!(w.control.poll_timeout(), None);
}

#[test]
fn late_double_and_foreign_results_are_unknown_but_their_state_is_true() {
    let mut w = World::new();
    w.ask(WIFI, "m", &json!({"target": "wifi"}));
    w.pass(TIMEOUT);
    w.seen();
    let on = || vec![state(&json!({"wifi": {"state": "on"}}))];
    assert_eq!(w.answer_with("m", true, None, on()), Err(UnknownMessage), "late");
    w.saw(&["apply 1"]);
    w.ask(WIFI, "n", &json!({"target": "wifi"}));
    assert_eq!(w.answer("n", true), Ok(()));
    assert_eq!(w.answer("n", true), Err(UnknownMessage), "double");
    w.saw(&["ActionExecuted TurnOn wifi"]);
    assert_eq!(w.answer("never", false), Err(UnknownMessage));
    w.saw(&[]);
}

#[test]
fn results_may_come_in_another_order_than_the_directives() {
    let mut w = World::new();
    w.ask(WIFI, "a", &json!({"target": "wifi"}));
    w.ask("DeviceControl.Increase", "b", &json!({"target": "volume", "value": "3"}));
    w.ask("DeviceControl.SetValue", "c", &json!({"target": "channel", "value": "7"}));
    assert_eq!(w.answer("c", true), Ok(()));
    assert_eq!(w.answer("a", true), Ok(()));
    w.pass(TIMEOUT);
    w.saw(&[
        "ActionExecuted SetValue channel",
        "ActionExecuted TurnOn wifi",
        "ActionFailed Increase volume",
        "failed Increase volume: the appliance did not answer in time",
    ]);
}

#[test]
fn directives_without_an_id_and_with_the_same_id_are_answered_oldest_first() {
    for id in ["", "23bdfff7-b655-46d4-8655-8bb473bf2bf5"] {
        let mut w = World::new();
        w.ask(WIFI, id, &json!({"target": "wifi"}));
        w.ask(WIFI, id, &json!({"target": "gps"}));
        assert_eq!(w.answer(id, true), Ok(()));
        w.saw(&["ActionExecuted TurnOn wifi"]);
        assert_eq!(w.answer(id, true), Ok(()));
        w.saw(&["ActionExecuted TurnOn gps"]);
        assert_eq!(w.answer(id, true), Err(UnknownMessage));
    }
}

#[test]
fn more_than_can_wait_fail_at_once() {
    let mut w = World::new();
    for n in 0..MAX_WAITING {
        w.ask(WIFI, &n.to_string(), &json!({"target": "wifi"}));
    }
    assert_eq!(w.order(WIFI, "more", &json!({"target": "gps"})), Handling::Invalid);
    w.saw(&[
        "ActionFailed TurnOn gps",
        "failed TurnOn gps: too many directives wait for their result",
    ]);
    assert_eq!(w.answer("7", true), Ok(()));
    w.ask(WIFI, "more", &json!({"target": "gps"}));
}

#[test]
fn what_cannot_be_carried_out_fails_at_once_and_is_not_delivered() {
    // Directive, payload, what is reported of it.
    let rows = [
        ("TurnOn", json!({"target": "teleporter"}), "ActionFailed TurnOn teleporter"),
        ("TurnOff", json!({"target": "volume"}), "ActionFailed TurnOff volume"),
        ("Increase", json!({"target": "wifi"}), "ActionFailed Increase wifi"),
        ("SetValue", json!({"target": "WIFI"}), "ActionFailed SetValue WIFI"),
        ("Open", json!({"target": "door"}), "ActionFailed Open door"),
        ("OpenScreen", json!({"target": "home"}), "ActionFailed OpenScreen home"),
        ("TurnOn", json!({}), "ActionFailed TurnOn "),
        ("TurnOn", json!({"target": 1}), "ActionFailed TurnOn "),
        ("LaunchApp", json!({}), "ActionFailed LaunchApp app"),
    ];
    for (name, payload, report) in rows {
        let mut w = World::new();
        let handling = w.order(&format!("DeviceControl.{name}"), "m", &payload);
        assert_eq!(handling, Handling::Invalid, "{name} {payload}");
        let seen = w.seen();
        assert_eq!(seen[0], report);
        assert!(seen[1].starts_with("failed "), "{seen:?}");
        assert_eq!(w.answer("m", true), Err(UnknownMessage));
    }
}

#[test]
fn what_is_kept_of_a_directive_is_bounded() {
    let mut w = World::new();
    let long = "x".repeat(200_000);
    assert_eq!(w.order(WIFI, &long, &json!({"target": "wifi"})), Handling::Invalid);
    assert_eq!(w.order(WIFI, "m", &json!({ "target": long })), Handling::Invalid);
    assert!(w.seen().iter().all(|seen| seen.len() < 300));
}

#[test]
fn what_became_of_an_order_is_never_lost_and_the_rest_may_be() {
    let mut w = World::new();
    w.ask(WIFI, "a", &json!({"target": "wifi"}));
    w.ask(WIFI, "b", &json!({"target": "wifi"}));
    w.answer("a", true).unwrap();
    w.answer("b", false).unwrap();
    w.order("DeviceControl.ExpectReportState", "c", &json!({}));
    w.order("Settings.ExpectReport", "d", &json!({}));
    w.order("Clova.HandleDelegatedEvent", "e", &json!({"delegationId": "x"}));
    w.seen();
    let wanted = [
        ("RequestVersionSpec", Care::Some),
        ("ActionExecuted", Care::Keep),
        ("ActionFailed", Care::Keep),
        ("ReportState", Care::Keep),
        ("Report", Care::Retry),
        ("ProcessDelegatedEvent", Care::Some),
    ];
    assert_eq!(w.cares, wanted);
}

#[test]
fn a_lost_session_does_not_end_the_wait_for_the_appliance() {
    let mut w = World::new();
    w.ask(WIFI, "m", &json!({"target": "wifi"}));
    w.control.set_connected(false);
    assert_eq!(w.answer("m", true), Ok(()));
    w.saw(&["ActionExecuted TurnOn wifi"]);
}

#[test]
fn after_the_account_is_gone_nobody_is_told_anything() {
    let mut w = World::new();
    w.ask(WIFI, "a", &json!({"target": "wifi"}));
    w.ask(WIFI, "b", &json!({"target": "wifi"}));
    w.ask("DeviceControl.BtConnect", "c", &json!({}));
    w.order(
        "DeviceControl.ExpectReportState",
        "d",
        &json!({"durationInSeconds": 9, "intervalInSeconds": 1}),
    );
    w.answer_with("a", true, None, vec![state(&json!({}))]).unwrap();
    w.control.unpaired();
    w.saw(&["apply 1"]);
    assert_eq!(w.control.poll_timeout(), None);
    assert_eq!(w.answer("b", true), Err(UnknownMessage));
    w.saw(&[]);
}
