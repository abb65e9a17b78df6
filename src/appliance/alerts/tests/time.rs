//! Clocks that are set, stand still, or belong to another zone.

use serde_json::json;

use super::world::{HOUR, MINUTE, World, noon, secs, settings};
use super::{super::AlertSettings, store::Kept};

/// The window is long, so that no step makes an alert missed.
fn patient() -> World {
    let settings = AlertSettings { past_due_window: secs(12 * HOUR), ..settings() };
    let mut w = World::started(settings, Kept::new(), noon());
    w.audible(true, true);
    w.connected(true);
    w
}

#[test]
fn a_step_forwards_over_the_due_time_rings_within_thirty_seconds() {
    for (due, step) in [(30 * MINUTE, HOUR), (10, 20), (HOUR, HOUR)] {
        let mut w = patient();
        w.have("a", due as i64);
        w.step_clock(step as i64);
        w.pass(31);
        w.saw(&["ring a", "AlertStarted a"]);
    }
}

#[test]
fn a_step_forwards_makes_the_next_one_ring_at_its_wall_clock_time() {
    let mut w = patient();
    w.have("a", 90 * MINUTE as i64);
    w.step_clock(HOUR as i64);
    w.pass(30 * MINUTE - 1);
    w.saw(&[]);
    w.pass(2);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn a_step_backwards_postpones_it_and_it_never_rings_before_its_time() {
    let mut w = World::new();
    w.have("a", 60);
    w.step_clock(-(HOUR as i64));
    w.pass(HOUR + 59);
    w.saw(&[]);
    w.pass(2);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn a_step_backwards_right_after_ringing_rings_no_second_time() {
    let mut w = World::new();
    w.have_ringing("a");
    w.step_clock(-(HOUR as i64));
    w.pass(30 * MINUTE);
    w.saw(&[]);
    assert_eq!(w.active(), "a");
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    w.pass(2 * HOUR);
    w.saw(&[]);
}

#[test]
fn a_step_backwards_after_stopping_rings_no_second_time_even_after_synchronising() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.step_clock(-(HOUR as i64));
    w.synchronize(std::slice::from_ref(&a));
    w.save();
    w.delete("a");
    w.save();
    w.synchronize(&[a]);
    w.save();
    w.seen_is_forgotten();
    w.pass(2 * HOUR);
    w.saw(&[]);
    assert_eq!(w.all(), "");
}

#[test]
fn a_step_while_it_rings_neither_ends_nor_lengthens_it() {
    for step in [HOUR as i64, -(HOUR as i64)] {
        let mut w = World::new();
        w.have_ringing("a");
        w.connected(false);
        w.step_clock(step);
        w.pass(HOUR - 5);
        w.saw(&[]);
        w.pass(10);
        w.saw(&["stop a", "AlertStopped a"]);
    }
}

#[test]
fn after_a_suspension_it_rings_within_thirty_seconds() {
    let mut w = World::new();
    w.have("a", 20 * MINUTE as i64);
    w.step_clock(25 * MINUTE as i64);
    w.pass(30);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn a_suspension_beyond_the_window_misses_it() {
    let mut w = World::new();
    w.have("a", 20 * MINUTE as i64);
    w.step_clock(HOUR as i64);
    w.pass(30);
    w.saw(&["delete a", "synchronize"]);
}

#[test]
fn no_sleep_is_longer_than_thirty_seconds_while_an_alert_waits() {
    let mut w = World::new();
    w.have("a", 365 * 24 * 3600);
    for _ in 0..5 {
        let sleep = w.alerts.poll_timeout().unwrap() - w.now.mono;
        assert!(sleep <= secs(30), "{sleep:?}");
        w.pass(40);
    }
    w.audible(false, false);
    assert!(w.alerts.poll_timeout().unwrap() - w.now.mono <= secs(30));
}

#[test]
fn a_call_before_its_time_does_nothing() {
    let mut w = World::new();
    w.have("a", 20);
    w.pass(10);
    for _ in 0..3 {
        w.alerts.handle_timeout(w.now);
        w.drain();
    }
    w.saw(&[]);
    w.pass(11);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn midnight_a_leap_day_and_the_days_on_which_clocks_change_are_ordinary() {
    let rows = [
        ("2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"),
        ("2028-02-28T23:59:00Z", "2028-02-29T00:00:00Z"),
        // Berlin, autumn: the second 02:30 of the night is an hour after the first.
        ("2026-10-25T01:29:00Z", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T00:29:00Z", "2026-10-25T02:30:00+02:00"),
        // Berlin, spring: 03:00 is the minute after 01:59.
        ("2026-03-29T00:59:00Z", "2026-03-29T03:00:00+02:00"),
        ("2026-03-02T09:39:00Z", "2026-03-02T18:40:00+09:00"),
        ("2026-03-02T18:39:00Z", "2026-03-02T13:40:00-05:00"),
    ];
    for (start, due) in rows {
        let mut w = World::new();
        w.now.wall = start.parse().unwrap();
        w.order("SetAlert", &json!({"token": "a", "type": "ALARM", "scheduledTime": due}));
        w.save();
        w.seen_is_forgotten();
        w.pass(59);
        w.saw(&[]);
        w.pass(2);
        w.saw(&["ring a", "AlertStarted a"]);
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_do_no_harm() {
    let mut w = World::new();
    for (token, due) in [("first", "-009999-01-02T01:59:59Z"), ("last", "9999-12-30T22:00:00Z")] {
        w.order("SetAlert", &json!({"token": token, "type": "ALARM", "scheduledTime": due}));
        w.save();
    }
    w.saw(&["SetAlertFailed first", "SetAlertSucceeded last", "set last"]);
    w.pass(HOUR);
    w.audible(false, false);
    w.now.wall = "9999-12-30T22:00:00Z".parse().unwrap();
    w.pass(MINUTE);
    assert_eq!(w.has(), "last set");
}
