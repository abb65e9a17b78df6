//! Bluetooth connections and their real result.

use std::time::Duration;

use serde_json::json;

use super::{
    super::bluetooth::CONNECT_PATIENCE,
    world::{TIMEOUT, World, bluetooth, state},
};

const CONNECT: &str = "DeviceControl.BtConnect";
const PIN: &str = "DeviceControl.BtConnectByPINCode";
const EXECUTED: &str = "ActionExecuted BtConnect bluetooth";

#[test]
fn the_real_result_is_reported_once_the_state_has_it() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({"address": "aa"}));
    w.answer_with("m", true, None, vec![bluetooth("on", &[])]).unwrap();
    w.saw(&["apply 1", EXECUTED]);
    w.control.note_state(&bluetooth("on", &["aa"]));
    w.saw(&[]);
    w.control.note_state(&bluetooth("off", &["aa"]));
    w.saw(&["ReportState"]);
    w.control.note_state(&bluetooth("off", &[]));
    w.pass(CONNECT_PATIENCE);
    w.saw(&[]);
}

#[test]
fn a_result_that_shows_the_connection_is_followed_by_the_report() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({}));
    w.answer_with("m", true, None, vec![bluetooth("off", &["aa"])]).unwrap();
    w.saw(&["apply 1", EXECUTED, "ReportState"]);
}

#[test]
fn a_state_that_came_before_the_result_counts_after_it() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({"address": "aa"}));
    w.control.note_state(&bluetooth("on", &[]));
    w.control.note_state(&bluetooth("off", &["AA"]));
    w.saw(&[]);
    w.answer("m", true).unwrap();
    w.saw(&[EXECUTED, "ReportState"]);
}

#[test]
fn a_failed_attempt_shows_in_the_state_and_is_reported_too() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({"address": "aa"}));
    w.answer("m", true).unwrap();
    w.control.note_state(&bluetooth("on", &[]));
    w.control.note_state(&bluetooth("off", &[]));
    w.saw(&[EXECUTED, "ReportState"]);
}

#[test]
fn another_connected_device_or_an_older_state_is_not_the_result() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({"address": "aa"}));
    w.answer_with("m", true, None, vec![bluetooth("off", &["bb"])]).unwrap();
    w.saw(&["apply 1", EXECUTED]);
    w.control.note_state(&state(&json!({"volume": {"value": 3}})));
    w.saw(&[]);
    w.pass(CONNECT_PATIENCE - Duration::from_millis(1));
    w.saw(&[]);
    w.pass(Duration::from_millis(1));
    w.saw(&["ReportState"]);
}

#[test]
fn of_a_refused_connection_the_real_result_is_known() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({}));
    w.answer_with("m", false, Some("out of range"), Vec::new()).unwrap();
    let failed = "failed BtConnect bluetooth: the appliance refused: out of range";
    w.saw(&["ActionFailed BtConnect bluetooth", failed, "ReportState"]);
}

#[test]
fn of_one_that_is_not_answered_it_may_still_come() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({}));
    w.pass(TIMEOUT);
    assert_eq!(w.seen()[0], "ActionFailed BtConnect bluetooth");
    w.control.note_state(&bluetooth("off", &["aa"]));
    w.saw(&["ReportState"]);
}

#[test]
fn a_pin_continues_the_connection_and_one_report_ends_both() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({"address": "aa"}));
    w.answer_with("m", true, None, vec![bluetooth("on", &["bb"])]).unwrap();
    w.saw(&["apply 1", EXECUTED]);
    w.pass(Duration::from_secs(20));
    w.ask(PIN, "n", &json!({"pinCode": "1234"}));
    w.answer("n", true).unwrap();
    w.saw(&["ActionExecuted BtConnectByPINCode bluetooth"]);
    w.pass(Duration::from_secs(20));
    w.saw(&[]);
    w.control.note_state(&bluetooth("off", &["aa", "bb"]));
    w.saw(&["ReportState"]);
}

#[test]
fn a_result_of_another_order_may_bring_the_connection() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({}));
    w.answer("m", true).unwrap();
    w.ask("DeviceControl.TurnOn", "n", &json!({"target": "gps"}));
    w.answer_with("n", true, None, vec![bluetooth("off", &["aa"])]).unwrap();
    w.saw(&[EXECUTED, "apply 1", "ActionExecuted TurnOn gps", "ReportState"]);
}

#[test]
fn a_new_session_asks_by_itself() {
    let mut w = World::new();
    w.ask(CONNECT, "m", &json!({}));
    w.answer("m", true).unwrap();
    w.control.set_connected(false);
    w.control.note_state(&bluetooth("off", &["aa"]));
    w.pass(CONNECT_PATIENCE);
    w.saw(&[EXECUTED]);
}

#[test]
fn other_bluetooth_orders_have_no_second_report() {
    for name in ["BtDelete", "BtDisconnect", "BtPlay", "BtRescan", "BtStartPairing"] {
        let mut w = World::new();
        w.ask(&format!("DeviceControl.{name}"), "m", &json!({}));
        w.answer("m", true).unwrap();
        w.control.note_state(&bluetooth("off", &["aa"]));
        w.pass(CONNECT_PATIENCE);
        w.saw(&[&format!("ActionExecuted {name} bluetooth")]);
    }
}
