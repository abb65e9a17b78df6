//! StopAlert and the buttons.

use serde_json::json;

use super::{
    super::{Effect, Refused},
    world::{HOUR, MINUTE, World, tokens},
};
use crate::ids::Token;

#[test]
fn stop_alert_stops_a_ringing_one_and_it_stays_until_it_is_deleted() {
    let mut w = World::new();
    w.have_ringing("a");
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("a", ""));
    w.save();
    assert_eq!(w.kept(), "a stopped");
    w.pass(HOUR);
    w.saw(&[]);
    w.delete("a");
    w.save();
    w.saw(&["DeleteAlertSucceeded a", "delete a"]);
}

#[test]
fn stop_alert_for_what_does_not_ring_ends_nothing_to_come() {
    let mut w = World::new();
    w.have("a", 60);
    w.stop("a");
    w.saw(&[]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn a_second_stop_alert_is_not_reported_again() {
    let mut w = World::new();
    w.have_ringing("a");
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    w.stop("a");
    w.saw(&[]);
    w.delete("a");
    w.save();
    w.saw(&["DeleteAlertSucceeded a", "delete a"]);
    w.stop("a");
    w.saw(&[]);
}

#[test]
fn stop_alert_for_what_nobody_knows_is_answered_because_it_is_silent() {
    let mut w = World::new();
    w.stop("unknown");
    w.saw(&["AlertStopped unknown"]);
    assert!(w.try_order("StopAlert", &json!({"token": "a"})).is_err());
    w.saw(&[]);
}

#[test]
fn stop_alert_of_another_type_does_not_stop_it() {
    let mut w = World::new();
    w.have_ringing("a");
    w.order("StopAlert", &json!({"token": "a", "type": "TIMER"}));
    assert_eq!(w.active(), "a");
}

#[test]
fn the_stop_button_asks_cic_and_its_directive_stops() {
    let mut w = World::new();
    w.have_ringing("a");
    w.press_stop(Some("a"));
    w.saw(&["ask RequestAlertStop a"]);
    assert_eq!(w.active(), "a", "not stopped yet");
    w.press_stop(Some("a"));
    w.saw(&[]);
    w.pass(1);
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    w.pass(HOUR);
    w.saw(&[]);
}

#[test]
fn an_alert_whose_stop_is_never_ordered_stops_all_the_same() {
    let mut w = World::new();
    w.have_ringing("a");
    w.press_stop(Some("a"));
    w.pass(10);
    w.saw(&["ask RequestAlertStop a", "stop a", "AlertStopped a"]);
    w.stop("a");
    w.saw(&[]);
}

#[test]
fn an_alert_whose_stop_was_asked_for_stops_with_the_session() {
    let mut w = World::new();
    w.have_ringing("a");
    w.have_ringing("b");
    w.press_stop(Some("a"));
    w.connected(false);
    w.saw(&["ask RequestAlertStop a", "stop a", "AlertStopped a"]);
    assert_eq!(w.active(), "b", "nobody asked for that one");
}

#[test]
fn without_cic_the_stop_button_stops_at_once() {
    let mut w = World::new();
    w.have_ringing("a");
    w.connected(false);
    w.press_stop(Some("a"));
    w.saw(&["stop a", "AlertStopped a"]);
    w.save();
    assert_eq!((w.active().as_str(), w.kept().as_str()), ("", "a stopped"));
}

#[test]
fn the_stop_button_without_a_token_means_every_ringing_alert() {
    let mut w = World::new();
    w.have_ringing("a");
    w.have_ringing("b");
    w.have("c", 3600);
    w.press_stop(None);
    w.saw(&["ask RequestAlertStop a", "ask RequestAlertStop b"]);
    w.connected(false);
    w.saw(&["stop a", "AlertStopped a", "stop b", "AlertStopped b"]);
    w.press_stop(None);
    w.saw(&[]);
    assert_eq!(w.has(), "a stopped, b stopped, c set");
}

#[test]
fn the_stop_button_does_nothing_to_an_alert_that_waits() {
    let mut w = World::new();
    w.have("a", 60);
    w.press_stop(Some("a"));
    w.connected(false);
    w.press_stop(Some("a"));
    w.saw(&[]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
    let unknown = Token::from("unknown");
    assert_eq!(w.alerts.stop_pressed(Some(&unknown), w.now), Err(Refused::Unknown));
}

#[test]
fn the_delete_button_only_asks_cic() {
    let mut w = World::new();
    w.have("a", 60);
    let (a, unknown) = (Token::from("a"), Token::from("unknown"));
    assert_eq!(w.alerts.delete_pressed(&a), Ok(()));
    w.drain();
    w.saw(&["ask RequestDeleteAlert a"]);
    assert_eq!(w.has(), "a set");
    assert_eq!(w.alerts.delete_pressed(&unknown), Err(Refused::Unknown));
    w.connected(false);
    assert_eq!(w.alerts.delete_pressed(&a), Err(Refused::NotConnected));
    w.drain();
    w.saw(&[]);
}

#[test]
fn nobody_stops_it_and_without_cic_it_ends_after_the_ring_time_out() {
    let mut w = World::new();
    w.have_ringing("a");
    w.connected(false);
    w.pass(HOUR - 3);
    w.saw(&[]);
    w.pass(5);
    w.saw(&["stop a", "AlertStopped a"]);
}

#[test]
fn with_cic_the_automatic_end_is_asked_for_like_a_button() {
    let mut w = World::new();
    w.have_ringing("a");
    w.pass(HOUR);
    w.saw(&["ask RequestAlertStop a"]);
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    w.have_ringing("b");
    w.pass(HOUR + MINUTE);
    w.saw(&["ask RequestAlertStop b", "stop b", "AlertStopped b"]);
}

#[test]
fn an_appliance_that_cannot_ring_is_counted_and_nothing_else_happens() {
    let mut w = World::new();
    w.have_ringing("a");
    w.alerts.failed_to_ring(&"a".into()).unwrap();
    w.drain();
    w.saw(&[]);
    assert_eq!((w.became("failed"), w.active().as_str()), (1, "a"));
    assert_eq!(w.alerts.failed_to_ring(&"unknown".into()), Err(Refused::Unknown));
}

#[test]
fn a_report_about_an_alert_that_was_just_deleted_is_no_mistake_of_the_appliance() {
    let mut w = World::new();
    w.have_ringing("a");
    w.delete("a");
    w.save();
    assert!(w.alerts.knows(&"a".into()) && !w.alerts.knows(&"b".into()));
    assert_eq!(w.alerts.failed_to_ring(&"a".into()), Ok(()));
    w.drain();
    assert_eq!(w.became("failed"), 1);
}

#[test]
fn two_that_ring_are_both_active_and_each_has_its_own_stop() {
    let mut w = World::new();
    w.have("a", 60);
    w.have("b", 60);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a", "ring b", "AlertStarted b"]);
    assert_eq!(w.active(), "a b");
    w.set("c", 3600);
    let active = |effect: &Effect| match effect {
        Effect::Stage { state, report: Some(report), .. } if report.token == Some("c".into()) => {
            Some(tokens(state.get(), "activeAlerts"))
        }
        _ => None,
    };
    assert_eq!(w.effect(active).as_deref(), Some("a b"), "in every event, also a staged one");
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    assert_eq!(w.active(), "b");
}
