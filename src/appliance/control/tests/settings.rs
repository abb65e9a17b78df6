//! Settings.

use serde_json::{Value, json};

use super::{
    super::{Configuration, Handling, MAX_WAITING, settings::MAX_SETTINGS},
    world::{TIMEOUT, World},
};

const UPDATE: &str = "Settings.Update";
const EXPECT: &str = "Settings.ExpectReport";

fn report(configuration: &Value) -> String {
    format!("Settings.Report {}", json!({ "configuration": configuration }))
}

/// An appliance that has reported its settings, which CIC knows.
fn with(configuration: &Value) -> World {
    let mut w = World::new();
    w.report_settings(configuration);
    w.saw(&[&report(configuration)]);
    w
}

fn update(w: &mut World, id: &str, configuration: &Value) {
    w.ask(UPDATE, id, &json!({ "configuration": configuration }));
}

#[test]
fn cic_is_told_what_the_appliance_reported_last() {
    let mut w = with(&json!({"a": "1", "b": "2"}));
    assert_eq!(w.order(EXPECT, "m", &json!({})), Handling::Withhold);
    w.saw(&[&report(&json!({"a": "1", "b": "2"}))]);
}

#[test]
fn of_an_appliance_that_has_reported_none_the_settings_are_empty() {
    let mut w = World::new();
    assert_eq!(w.order(EXPECT, "m", &json!({})), Handling::Withhold);
    w.saw(&[&report(&json!({}))]);
}

#[test]
fn a_change_on_the_device_is_told_once_and_a_repetition_is_no_change() {
    let mut w = with(&json!({"a": "1"}));
    w.report_settings(&json!({"a": "1"}));
    w.saw(&[]);
    w.report_settings(&json!({"a": "2"}));
    w.saw(&[&report(&json!({"a": "2"}))]);
    w.control.set_connected(false);
    w.control.set_connected(true);
    w.report_settings(&json!({"a": "2"}));
    w.saw(&["Settings.RequestVersionSpec {}"]);
}

#[test]
fn changes_while_cic_is_away_are_told_once_it_is_back() {
    let mut w = with(&json!({"a": "1"}));
    w.control.set_connected(false);
    w.report_settings(&json!({"a": "2"}));
    w.report_settings(&json!({"a": "3"}));
    w.saw(&[]);
    w.control.set_connected(true);
    w.saw(&["Settings.RequestVersionSpec {}", &report(&json!({"a": "3"}))]);
}

#[test]
fn another_account_is_told_anew() {
    let mut w = with(&json!({"a": "1"}));
    w.control.set_connected(false);
    w.control.unpaired();
    w.control.set_connected(true);
    w.saw(&["Settings.RequestVersionSpec {}", &report(&json!({"a": "1"}))]);
}

#[test]
fn an_update_that_was_carried_out_leaves_other_settings_as_they_were() {
    let mut w = with(&json!({"a": "1", "b": "1"}));
    update(&mut w, "m", &json!({"b": "2", "c": "3"}));
    w.saw(&[]);
    w.answer("m", true).unwrap();
    w.saw(&[&report(&json!({"a": "1", "b": "2", "c": "3"}))]);
    w.report_settings(&json!({"a": "1", "b": "2", "c": "3"}));
    w.saw(&[]);
}

#[test]
fn new_settings_answer_an_update_before_its_result_does() {
    let mut w = with(&json!({"volume": "1"}));
    update(&mut w, "m", &json!({"volume": "99"}));
    w.report_settings(&json!({"volume": "10"}));
    w.saw(&[&report(&json!({"volume": "10"}))]);
    assert!(w.answer("m", true).is_ok(), "it is awaited all the same");
    w.saw(&[]);
    w.order(EXPECT, "n", &json!({}));
    w.saw(&[&report(&json!({"volume": "10"}))]);
}

#[test]
fn an_update_that_changes_nothing_is_answered_too() {
    let mut w = with(&json!({"a": "1"}));
    update(&mut w, "m", &json!({"a": "1"}));
    w.report_settings(&json!({"a": "1"}));
    w.saw(&[&report(&json!({"a": "1"}))]);
    w.pass(TIMEOUT);
    w.saw(&[]);
}

#[test]
fn what_the_broker_repeats_is_no_answer() {
    let mut w = with(&json!({"a": "1"}));
    update(&mut w, "m", &json!({"a": "2"}));
    w.report_settings(&json!({"a": "1"}));
    w.saw(&[]);
    w.answer("m", true).unwrap();
    w.saw(&[&report(&json!({"a": "2"}))]);
}

#[test]
fn a_refused_or_unanswered_update_is_answered_with_what_is_known() {
    let mut w = with(&json!({"a": "1"}));
    update(&mut w, "m", &json!({"a": "2"}));
    w.answer_with("m", false, Some("locked"), Vec::new()).unwrap();
    w.saw(&["failed Update : the appliance refused: locked", &report(&json!({"a": "1"}))]);
    update(&mut w, "n", &json!({"a": "2"}));
    w.pass(TIMEOUT);
    w.saw(&["failed Update : the appliance did not answer in time", &report(&json!({"a": "1"}))]);
    update(&mut w, "o", &json!({"a": "2"}));
    w.report_settings(&json!({"a": "3"}));
    w.answer_with("o", false, Some("bent"), Vec::new()).unwrap();
    w.saw(&[&report(&json!({"a": "3"})), "failed Update : the appliance refused: bent"]);
}

#[test]
fn settings_answer_the_update_that_they_fulfil() {
    let mut w = with(&json!({"a": "1", "b": "1"}));
    update(&mut w, "m", &json!({"a": "2"}));
    update(&mut w, "n", &json!({"b": "2"}));
    w.report_settings(&json!({"a": "1", "b": "2"}));
    w.saw(&[&report(&json!({"a": "1", "b": "2"}))]);
    w.answer("n", true).unwrap();
    w.saw(&[]);
    w.answer("m", true).unwrap();
    w.saw(&[&report(&json!({"a": "2", "b": "2"}))]);
}

#[test]
fn an_update_that_cannot_be_read_is_answered_and_not_delivered() {
    for bad in [json!({}), json!({"configuration": {"a": 1}}), json!({"configuration": [1]})] {
        let mut w = with(&json!({"a": "1"}));
        assert_eq!(w.order(UPDATE, "m", &bad), Handling::Invalid, "{bad}");
        w.saw(&["failed Update : unusable payload", &report(&json!({"a": "1"}))]);
    }
}

#[test]
fn updates_that_wait_are_bounded() {
    let mut w = with(&json!({"a": "1"}));
    for n in 0..MAX_WAITING {
        update(&mut w, &n.to_string(), &json!({"a": "2"}));
    }
    let more = json!({"configuration": {"a": "3"}});
    assert_eq!(w.order(UPDATE, "more", &more), Handling::Invalid);
    let full = "failed Update : too many directives wait for their result";
    w.saw(&[full, &report(&json!({"a": "1"}))]);
}

#[test]
fn a_configuration_is_a_flat_object_of_texts_and_bounded() {
    let many = |count: usize| (0..count).map(|n| (n.to_string(), json!("x"))).collect::<Value>();
    let rows = [
        (json!({"configuration": {}}), true),
        (json!({"configuration": {"key": "value"}, "more": 1}), true),
        (json!({"configuration": many(MAX_SETTINGS)}), true),
        (json!({"configuration": many(MAX_SETTINGS + 1)}), false),
        (json!({"configuration": {"a": "x".repeat(40_000)}}), false),
        (json!({"configuration": {"a": {"b": "c"}}}), false),
        (json!({"configuration": {"a": true}}), false),
        (json!({"configuration": {"a": null}}), false),
        (json!({"configuration": "a"}), false),
        (json!({"key": "value"}), false),
        (json!([]), false),
    ];
    for (payload, good) in rows {
        let shown: String = payload.to_string().chars().take(60).collect();
        assert_eq!(Configuration::parse(&payload.to_string()).is_ok(), good, "{shown}");
    }
}

#[test]
fn updates_cannot_make_the_settings_grow_without_bound() {
    let mut w = World::new();
    for n in 0..10_u8 {
        let payload = json!({ n.to_string(): "x".repeat(20_000) });
        update(&mut w, "m", &payload);
        w.answer("m", true).unwrap();
    }
    let longest = w.seen().iter().map(String::len).max().unwrap();
    assert!(longest < 40_000);
}
