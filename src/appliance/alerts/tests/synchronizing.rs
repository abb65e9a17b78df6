//! SynchronizeAlert, and the same by System.SynchronizeState.

use serde_json::{Value, json};

use super::{super::Effect, world::World};

#[test]
fn the_alerts_become_what_the_list_says() {
    let mut w = World::new();
    w.have("changed", 60);
    w.have("gone", 60);
    w.have("kept", 60);
    let kept =
        json!({"token": "kept", "type": "ALARM", "scheduledTime": w.due("kept").to_string()});
    w.synchronize(&[w.alert("changed", 120), kept, w.alert("new", 90)]);
    assert_eq!(w.all(), "changed gone kept", "nothing counts before it is kept");
    w.save();
    w.saw(&["delete gone", "set changed", "set new"]);
    assert_eq!(w.kept(), "changed set, kept set, new set");
    assert_eq!(w.has(), w.kept());
    w.pass(200);
    w.saw(&[
        "ring kept",
        "AlertStarted kept",
        "ring new",
        "AlertStarted new",
        "ring changed",
        "AlertStarted changed",
    ]);
}

#[test]
fn nothing_is_reported_for_alerts_that_synchronising_touches() {
    let mut w = World::new();
    w.synchronize(&[w.alert("a", 60)]);
    let report = |effect: &Effect| match effect {
        Effect::Stage { report, .. } => Some(report.is_some()),
        _ => None,
    };
    assert_eq!(w.effect(report), Some(false));
}

#[test]
fn a_ringing_one_in_the_list_keeps_ringing() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string(),
        "label": "now with a label"});
    w.synchronize(&[a]);
    w.save();
    w.saw(&[]);
    assert_eq!((w.active().as_str(), w.kept().as_str()), ("a", "a ringing"));
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
}

#[test]
fn a_ringing_one_that_is_not_in_the_list_is_stopped_and_removed() {
    let mut w = World::new();
    w.have_ringing("a");
    w.synchronize(&[]);
    w.save();
    w.saw(&["stop a", "AlertStopped a", "delete a"]);
    assert_eq!((w.all().as_str(), w.kept().as_str()), ("", ""));
}

#[test]
fn one_that_begins_to_ring_while_its_removal_is_being_kept_is_stopped_too() {
    let mut w = World::new();
    w.have("a", 60);
    w.synchronize(&[]);
    w.begin_save();
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
    w.end_save();
    w.saw(&["stop a", "AlertStopped a", "delete a"]);
    w.save();
    assert_eq!((w.all().as_str(), w.kept().as_str()), ("", ""));
}

#[test]
fn a_stopped_one_in_the_list_stays_stopped() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.synchronize(&[a]);
    w.save();
    w.saw(&["stop a", "AlertStopped a"]);
    w.pass(3600);
    w.saw(&[]);
    assert_eq!(w.has(), "a stopped");
}

#[test]
fn the_next_occurrence_of_a_stopped_one_comes_with_the_list_as_well() {
    let mut w = World::new();
    w.have_ringing("a");
    w.stop("a");
    w.synchronize(&[w.alert("a", 60)]);
    w.save();
    w.saw(&["stop a", "AlertStopped a", "set a"]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn what_was_missed_by_more_than_the_window_is_not_taken_up() {
    let mut w = World::new();
    w.synchronize(&[w.alert("old", -1801), w.alert("late", -1700)]);
    w.save();
    w.saw(&["ring late", "AlertStarted late"]);
    assert_eq!(w.all(), "late");
}

#[test]
fn a_missed_one_does_not_come_back_with_every_list() {
    let mut w = World::new();
    w.have("a", 60);
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.audible(false, false);
    w.pass(60 + 1801);
    w.saw(&["delete a", "synchronize"]);
    w.synchronize(&[a]);
    w.save();
    w.saw(&[]);
    assert_eq!((w.all().as_str(), w.became("missed")), ("", 1));
}

#[test]
fn one_that_has_rung_and_is_gone_is_not_taken_up_again() {
    let mut w = World::new();
    w.have_ringing("a");
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.delete("a");
    w.save();
    w.saw(&["stop a", "AlertStopped a", "DeleteAlertSucceeded a", "delete a"]);
    w.synchronize(&[a]);
    w.save();
    w.saw(&[]);
    assert_eq!(w.all(), "");
}

#[test]
fn a_list_that_is_older_than_the_next_occurrence_does_not_take_it_away() {
    let mut w = World::new();
    w.have_ringing("a");
    let old = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.stop("a");
    w.set("a", 24 * 3600);
    w.save();
    w.saw(&["stop a", "AlertStopped a", "SetAlertSucceeded a", "set a"]);
    w.synchronize(&[old]);
    w.save();
    w.saw(&[]);
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("a set", "a set"));
}

#[test]
fn one_that_was_edited_while_it_rang_is_not_rung_again_by_an_older_list() {
    let mut w = World::new();
    w.have_ringing("a");
    let old = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.set("a", 600);
    w.synchronize(&[old]);
    w.save();
    w.saw(&["SetAlertSucceeded a", "stop a", "set a"]);
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("a set", "a set"));
}

#[test]
fn one_that_rings_and_is_deleted_while_the_list_is_being_kept_is_not_taken_up_again() {
    let mut w = World::new();
    w.have("a", 60);
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": w.due("a").to_string()});
    w.delete("a");
    w.synchronize(&[a]);
    w.begin_save();
    w.pass(61);
    w.end_save();
    w.save();
    let told = ["ring a", "AlertStarted a", "DeleteAlertSucceeded a", "stop a", "AlertStopped a"];
    w.saw(&[&told[..], &["delete a"]].concat());
    assert_eq!((w.has(), w.kept()), (String::new(), String::new()));
}

#[test]
fn an_element_that_cannot_be_read_is_left_out_by_itself() {
    let mut w = World::new();
    let mut strange = w.alert("strange", 60);
    strange["type"] = json!("EGG_TIMER");
    let mut timeless = w.alert("timeless", 60);
    timeless["scheduledTime"] = json!("tomorrow");
    w.synchronize(&[strange, json!(null), json!([1]), w.alert("good", 60), timeless]);
    w.save();
    w.saw(&["set good"]);
    assert_eq!(w.all(), "good");
}

#[test]
fn the_same_element_twice_is_one_alert() {
    let mut w = World::new();
    w.synchronize(&[w.alert("a", 60), w.alert("a", 60)]);
    w.save();
    w.saw(&["set a"]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn the_list_counts_even_when_the_store_fails() {
    let mut w = World::new();
    w.have("gone", 60);
    w.synchronize(&[w.alert("new", 60)]);
    w.fail();
    w.saw(&["delete gone", "set new"]);
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("new set", "gone set"));
    w.save();
    assert_eq!(w.kept(), "new set");
}

#[test]
fn the_older_directive_does_the_same() {
    let mut w = World::new();
    w.have("gone", 60);
    w.order("SynchronizeState", &json!({"allAlerts": [w.alert("new", 60)], "other": 1}));
    w.save();
    w.saw(&["delete gone", "set new"]);
}

#[test]
fn the_older_directive_without_a_list_deletes_nothing() {
    let mut w = World::new();
    w.have("a", 60);
    for payload in [json!({}), json!({"other": 1}), json!({"allAlerts": null})] {
        w.order("SynchronizeState", &payload);
        w.save();
    }
    w.saw(&[]);
    assert_eq!(w.has(), "a set");
    let unreadable: [Value; 2] = [json!({}), json!({"allAlerts": 7})];
    for payload in unreadable {
        assert!(w.try_order("SynchronizeAlert", &payload).is_err(), "{payload}");
    }
    w.save();
    assert_eq!(w.has(), "a set");
}
