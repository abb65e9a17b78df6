//! What the store has while orders are under way to it: what CIC was told is never undone.

use serde_json::json;

use super::world::{MINUTE, World};

#[test]
fn what_rings_while_another_order_is_being_kept_is_kept_too() {
    let mut w = World::new();
    w.have("a", 10);
    w.set("b", 600);
    w.begin_save();
    w.pass(11);
    w.end_save();
    w.save();
    assert_eq!(w.kept(), "a ringing, b set");
}

#[test]
fn an_old_time_that_rings_while_its_edit_is_being_kept_does_not_undo_the_edit() {
    let mut w = World::new();
    w.have("a", 10);
    w.set("a", 600);
    w.begin_save();
    w.pass(11);
    w.saw(&["ring a", "AlertStarted a"]);
    w.end_save();
    w.saw(&["SetAlertSucceeded a", "stop a", "set a"]);
    assert_eq!(w.kept(), "a set");
    let due = w.due("a");
    // Another order keeps the store busy; then the process dies, between two saves.
    w.set("b", 600);
    w.begin_save();
    w.end_save();
    assert_eq!(w.kept(), "a set, b set");
    w.restart(1);
    assert_eq!((w.has().as_str(), w.due("a")), ("a set, b set", due));
}

#[test]
fn an_old_time_that_rings_before_its_edit_is_even_being_kept_does_not_undo_the_edit() {
    let mut w = World::new();
    w.have("a", 10);
    w.set("x", 600);
    w.begin_save();
    w.set("a", 900);
    w.pass(11);
    w.set("b", 600);
    w.end_save();
    w.begin_save();
    w.end_save();
    assert_eq!(w.kept(), "a set, b set, x set");
    w.restart(1);
    w.audible(true, true);
    w.saw(&["set a", "set b", "set x"]);
}

#[test]
fn a_stop_while_the_same_alert_is_being_kept_by_synchronising_stays_a_stop() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string(),
        "label": "another"});
    w.synchronize(&[a]);
    w.begin_save();
    w.stop("a");
    w.end_save();
    w.save();
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("a stopped", "a stopped"));
    w.restart(1);
    w.audible(true, true);
    w.saw(&[]);
}

#[test]
fn a_ring_while_the_edit_fails_is_kept() {
    let mut w = World::new();
    w.have("a", 10);
    w.set("a", 600);
    w.begin_save();
    w.pass(11);
    w.saw(&["ring a", "AlertStarted a"]);
    w.fail_save(false);
    w.saw(&["SetAlertFailed a"]);
    w.save();
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("a ringing", "a ringing"));
}

#[test]
fn one_missed_while_its_edit_is_being_kept_is_replaced_by_the_edit() {
    let mut w = World::new();
    w.have("a", 10);
    w.audible(false, false);
    w.pass(30 * MINUTE);
    w.set("a", 600);
    w.begin_save();
    w.pass(MINUTE);
    w.saw(&["delete a", "synchronize"]);
    w.end_save();
    w.save();
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("a set", "a set"));
}

#[test]
fn an_order_built_upon_one_that_failed_ends_up_right() {
    let mut w = World::new();
    w.have("a", 600);
    let edited = w.alert("a", 900);
    w.order("SetAlert", &edited);
    w.begin_save();
    w.synchronize(&[edited, w.alert("b", 60)]);
    w.fail_save(false);
    w.saw(&["SetAlertFailed a"]);
    w.save();
    w.saw(&["set a", "set b"]);
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("a set, b set", "a set, b set"));
    assert_eq!(w.store.kept["a"].due, w.due("a"));
}

#[test]
fn a_failed_edit_does_not_come_back_with_a_list_that_was_staged_behind_it() {
    let mut w = World::new();
    w.have_ringing("a");
    let old = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.save();
    w.set("a", 600);
    w.synchronize(&[old]);
    w.fail();
    w.saw(&["stop a", "AlertStopped a", "SetAlertFailed a"]);
    w.save();
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("a stopped", "a stopped"));
}

#[test]
fn an_order_of_which_nobody_knows_whether_it_was_kept_is_undone() {
    let mut w = World::new();
    w.set("a", 60);
    w.begin_save();
    w.fail_save(true);
    w.saw(&["SetAlertFailed a"]);
    assert_eq!(w.kept(), "a set");
    w.save();
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("", ""));
}

#[test]
fn several_orders_count_one_by_one_in_their_order() {
    let mut w = World::new();
    w.set("a", 60);
    w.set("b", 60);
    w.delete("a");
    w.set("b", 120);
    w.save();
    w.saw(&[
        "SetAlertSucceeded a",
        "set a",
        "SetAlertSucceeded b",
        "set b",
        "DeleteAlertSucceeded a",
        "delete a",
        "SetAlertSucceeded b",
        "set b",
    ]);
    assert_eq!((w.kept().as_str(), w.has().as_str()), ("b set", "b set"));
    w.pass(61);
    w.saw(&[]);
}

#[test]
fn orders_that_wait_for_the_store_are_bounded_and_a_lost_list_is_asked_for_again() {
    let mut w = World::new();
    let url = format!("https://a.example/{}", "x".repeat(30_000));
    let mut timer = w.alert("t", 600);
    timer["type"] = json!("TIMER");
    timer["assets"] = json!([{"assetId": "a", "url": url}]);
    w.begin_save();
    for _ in 0..200 {
        w.order("SetAlert", &timer);
    }
    let failed = |seen: &[String]| seen.iter().filter(|text| *text == "SetAlertFailed t").count();
    let refused = failed(&w.take_seen());
    assert!((100..150).contains(&refused), "{refused} of 200");
    timer["token"] = json!("u");
    w.synchronize(&[timer]);
    w.save();
    let seen = w.take_seen();
    assert_eq!((failed(&seen), seen.last().map(String::as_str)), (0, Some("synchronize")));
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("t set", "t set"));
}
