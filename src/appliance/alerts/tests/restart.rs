//! The process dies and starts again with what was kept.

use serde_json::json;

use super::world::{HOUR, MINUTE, World};

#[test]
fn an_acknowledged_alert_survives_and_rings_in_time() {
    let mut w = World::new();
    w.have("a", 60);
    w.restart(10);
    w.saw(&[]);
    w.audible(true, true);
    w.saw(&["set a"]);
    w.pass(51);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn one_that_was_not_kept_yet_is_gone_and_was_never_acknowledged() {
    let mut w = World::new();
    w.set("a", 60);
    w.begin_save();
    w.saw(&[]);
    w.restart(1);
    assert_eq!(w.has(), "");
}

#[test]
fn one_overdue_within_the_window_rings_when_the_appliance_is_there() {
    let mut w = World::new();
    w.have("a", 60);
    w.restart(20 * MINUTE);
    w.pass(MINUTE);
    w.saw(&[]);
    w.audible(true, true);
    w.saw(&["set a", "ring a", "AlertStarted a"]);
}

#[test]
fn one_overdue_beyond_the_window_is_missed() {
    let mut w = World::new();
    w.have("a", 60);
    w.restart(2 * HOUR);
    w.pass(1);
    w.saw(&["delete a", "synchronize"]);
    w.save();
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("", ""));
}

#[test]
fn a_ringing_one_rings_again_under_its_token_and_is_not_started_twice() {
    let mut w = World::new();
    w.have_ringing("a");
    w.restart(5);
    assert_eq!(w.active(), "a");
    w.audible(true, true);
    w.saw(&["ring a"]);
    w.connected(true);
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
}

#[test]
fn a_ringing_one_has_only_the_rest_of_its_time() {
    let mut w = World::new();
    w.have_ringing("a");
    w.restart(40 * MINUTE);
    w.pass(19 * MINUTE);
    w.saw(&[]);
    w.pass(2 * MINUTE);
    w.saw(&["stop a", "AlertStopped a"]);
}

#[test]
fn one_that_has_rung_longer_than_the_time_out_ends_at_once() {
    let mut w = World::new();
    w.have_ringing("a");
    w.restart(2 * HOUR);
    w.pass(1);
    w.saw(&["stop a", "AlertStopped a"]);
    w.audible(true, true);
    w.saw(&["stop a"]);
}

#[test]
fn a_stopped_one_stays_stopped_and_is_not_announced() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.save();
    w.restart(5);
    w.audible(true, true);
    w.synchronize(&[a]);
    w.save();
    w.pass(HOUR);
    w.saw(&[]);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("a", ""));
}

#[test]
fn a_stopped_one_that_is_deleted_after_the_restart_does_not_come_back() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.save();
    w.restart(5);
    w.audible(true, true);
    w.delete("a");
    w.synchronize(&[a]);
    w.save();
    w.saw(&["DeleteAlertSucceeded a", "delete a"]);
    assert_eq!(w.has(), "");
}

#[test]
fn a_clock_that_stood_earlier_at_the_start_does_not_lengthen_the_ringing() {
    let mut w = World::new();
    w.have_ringing("a");
    w.step_clock(-(5 * HOUR as i64));
    w.restart(1);
    w.pass(HOUR + 1);
    w.saw(&["stop a", "AlertStopped a"]);
}
