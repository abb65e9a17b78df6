//! SetAlert, DeleteAlert, ClearAlert: staged, then kept, then counted and reported.

use serde_json::{Value, json};

use super::{
    super::{Effect, MAX_ALERTS, MAX_BYTES, NotAnAlert, Phase},
    world::{HOUR, MINUTE, World, tokens},
};

/// `Alerts.AlertsState` that goes with the first staged report.
fn staged_state(world: &World) -> String {
    let state = |effect: &Effect| match effect {
        Effect::Stage { state, .. } => Some(state.get().to_owned()),
        _ => None,
    };
    world.effect(state).unwrap()
}

#[test]
fn a_new_alert_counts_and_is_reported_only_once_it_is_kept() {
    let mut w = World::new();
    w.set("a", 60);
    w.saw(&[]);
    assert_eq!((w.all().as_str(), w.kept().as_str()), ("", ""));
    assert_eq!(tokens(&staged_state(&w), "allAlerts"), "a", "the report's context has it");
    w.save();
    w.saw(&["SetAlertSucceeded a", "set a"]);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("a", ""));
    assert_eq!(w.kept(), "a set");
    assert_eq!(w.became("set"), 1);
}

#[test]
fn one_that_could_not_be_kept_is_reported_as_failed_and_never_rings() {
    let mut w = World::new();
    w.set("a", 60);
    w.fail();
    w.saw(&["SetAlertFailed a"]);
    w.pass(HOUR);
    w.saw(&[]);
    assert_eq!((w.all().as_str(), w.became("set")), ("", 0));
}

#[test]
fn one_that_comes_due_before_it_is_kept_rings_right_after() {
    let mut w = World::new();
    w.set("a", 5);
    w.begin_save();
    w.pass(7);
    w.saw(&[]);
    w.end_save();
    w.saw(&["SetAlertSucceeded a", "ring a", "AlertStarted a"]);
}

#[test]
fn the_time_is_kept_as_cic_wrote_it_and_rings_as_the_instant_it_names() {
    let mut w = World::new();
    let time = "2026-03-02T21:00:30+09:00";
    w.order("SetAlert", &json!({"token": "a", "type": "TIMER", "scheduledTime": time}));
    assert!(staged_state(&w).contains(time));
    w.save();
    assert!(w.alerts.state().get().contains(time));
    w.saw(&["SetAlertSucceeded a", "set a"]);
    w.pass(29);
    w.saw(&[]);
    w.pass(2);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn an_edit_replaces_the_time_and_what_it_carries() {
    let mut w = World::new();
    w.have("a", 60);
    w.set("a", 120);
    assert_eq!(tokens(&staged_state(&w), "allAlerts"), "a");
    w.save();
    w.saw(&["SetAlertSucceeded a", "set a"]);
    w.pass(90);
    w.saw(&[]);
    w.pass(40);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn an_edit_that_fails_leaves_the_old_time() {
    let mut w = World::new();
    w.have("a", 60);
    w.set("a", 3600);
    w.fail();
    w.saw(&["SetAlertFailed a"]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
    w.save();
    assert_eq!(w.kept(), "a ringing");
}

#[test]
fn an_edit_of_a_ringing_one_silences_it_until_its_new_time() {
    let mut w = World::new();
    w.have_ringing("a");
    w.set("a", 60);
    assert_eq!(w.active(), "a", "it rings until the edit is kept");
    w.save();
    w.saw(&["SetAlertSucceeded a", "stop a", "set a"]);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("a", ""));
    assert_eq!(w.kept(), "a set");
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn an_edit_that_leaves_the_time_leaves_the_ringing() {
    let mut w = World::new();
    w.have_ringing("a");
    let time = w.due("a").to_string();
    let a = json!({"token": "a", "type": "ALARM", "scheduledTime": time, "label": "another"});
    w.pass(5 * MINUTE);
    w.order("SetAlert", &a);
    w.save();
    w.saw(&["SetAlertSucceeded a"]);
    assert_eq!((w.active().as_str(), w.kept().as_str()), ("a", "a ringing"));
    w.stop("a");
    w.order("SetAlert", &a);
    w.save();
    w.pass(HOUR);
    w.saw(&["stop a", "AlertStopped a", "SetAlertSucceeded a"]);
    assert_eq!(w.kept(), "a stopped", "sent again, it does not ring again");
}

#[test]
fn an_edit_of_a_ringing_one_that_fails_leaves_it_ringing() {
    let mut w = World::new();
    w.have_ringing("a");
    w.set("a", 60);
    w.fail();
    w.saw(&["SetAlertFailed a"]);
    assert_eq!(w.active(), "a");
}

#[test]
fn a_stopped_one_is_set_again_by_its_next_occurrence() {
    let mut w = World::new();
    w.have_ringing("a");
    w.stop("a");
    w.saw(&["stop a", "AlertStopped a"]);
    w.set("a", 24 * 3600);
    w.save();
    w.saw(&["SetAlertSucceeded a", "set a"]);
    assert_eq!(w.has(), "a set");
    w.pass(24 * HOUR + 1);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn the_next_occurrence_under_a_new_token_leaves_the_stopped_one_silent() {
    let mut w = World::new();
    w.have_ringing("a");
    w.stop("a");
    w.set("b", 24 * 3600);
    w.save();
    w.saw(&["stop a", "AlertStopped a", "SetAlertSucceeded b", "set b"]);
    w.pass(24 * HOUR - 10);
    w.saw(&[]);
    w.pass(40);
    w.saw(&["ring b", "AlertStarted b", "delete a"]);
    assert_eq!(w.has(), "b ringing", "nobody deleted the old one: it is dropped after a day");
    w.save();
    assert_eq!(w.kept(), "b ringing");
}

#[test]
fn a_time_that_has_passed_by_the_delivery_delay_rings_at_once() {
    let mut w = World::new();
    w.set("a", -4);
    w.save();
    w.saw(&["SetAlertSucceeded a", "ring a", "AlertStarted a"]);
    let late = |effect: &Effect| match effect {
        Effect::Late(late) => Some(late.as_secs()),
        _ => None,
    };
    assert_eq!(w.effect(late), Some(4));
}

#[test]
fn what_cannot_be_set_is_refused_at_once() {
    let mut w = World::new();
    w.have("a", 60);
    let past = w.alert("a", -(5 * MINUTE as i64));
    w.order("SetAlert", &past);
    w.saw(&["SetAlertFailed a"]);
    let good = w.alert("b", 60);
    let with = |name: &str, value: Value| {
        let mut alert = good.clone();
        alert[name] = value;
        alert
    };
    let rows = [
        with("type", json!("EGG_TIMER")),
        with("scheduledTime", json!("tomorrow")),
        with("scheduledTime", Value::Null),
        with("label", json!("x".repeat(10_000))),
        with("assets", json!([{"assetId": "x".repeat(100_000), "url": "https://a.example/b"}])),
    ];
    for mut row in rows {
        if row.get("assets").is_some() {
            row["type"] = json!("TIMER");
        }
        assert!(matches!(w.try_order("SetAlert", &row), Err(NotAnAlert::Payload(_))), "{row}");
        w.saw(&["SetAlertFailed b"]);
    }
    assert!(w.try_order("SetAlert", &with("token", json!(1))).is_err());
    w.saw(&[]);
    assert_eq!(w.try_order("SnoozeAlert", &good), Err(NotAnAlert::Unknown));
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn a_refusal_names_the_type_as_cic_wrote_it() {
    let mut w = World::new();
    let egg = json!({"token": "a", "type": "EGG_TIMER", "scheduledTime": "2026-03-02T18:40:00Z"});
    assert!(w.try_order("SetAlert", &egg).is_err());
    let kind = |effect: &Effect| match effect {
        Effect::Report(report) => Some(report.kind.clone()),
        _ => None,
    };
    assert_eq!(w.effect(kind).as_deref(), Some("EGG_TIMER"));
}

#[test]
fn no_more_alerts_than_the_bound_are_taken() {
    let mut w = World::new();
    let all: Vec<Value> = (0..MAX_ALERTS + 5).map(|n| w.alert(&format!("t{n}"), 3600)).collect();
    w.synchronize(&all);
    w.save();
    assert_eq!(w.alerts.iter().count(), MAX_ALERTS);
    let known = w.alerts.iter().next().unwrap().token.to_string();
    w.seen_is_forgotten();
    w.set("one-more", 60);
    w.saw(&["SetAlertFailed one-more"]);
    w.set(&known, 60);
    w.save();
    w.saw(&[&format!("SetAlertSucceeded {known}"), &format!("set {known}")]);
    w.delete(&known);
    w.set("one-more", 60);
    w.save();
    assert!(w.all().split(' ').any(|token| token == "one-more"), "there is room again");
}

#[test]
fn no_more_bytes_than_the_bound_are_taken() {
    let mut w = World::new();
    let url = format!("https://a.example/{}", "x".repeat(30_000));
    for n in 0..50 {
        let mut alert = w.alert(&format!("t{n}"), 3600);
        alert["type"] = json!("TIMER");
        alert["assets"] = json!([{"assetId": "a", "url": url}]);
        w.order("SetAlert", &alert);
        w.save();
    }
    let (bytes, count) =
        (w.alerts.iter().map(|a| a.size()).sum::<usize>(), w.alerts.iter().count());
    assert!((30..=34).contains(&count) && bytes <= MAX_BYTES, "{count} of {bytes} bytes");
}

#[test]
fn an_alarm_rings_with_the_appliance_s_own_tone_whatever_assets_came_along() {
    let mut w = World::new();
    for (token, kind) in [("a", "ALARM"), ("t", "TIMER"), ("r", "REMINDER"), ("x", "ACTIONTIMER")] {
        let mut alert = w.alert(token, 60);
        alert["type"] = json!(kind);
        alert["assets"] = json!([{"assetId": "s", "url": "https://a.example/s.mp3"}]);
        alert["assetPlayOrder"] = json!(["s"]);
        w.order("SetAlert", &alert);
    }
    w.save();
    assert_eq!(w.all(), "a r t x");
    for alert in w.alerts.iter() {
        let (assets, order) = (alert.assets.is_some(), alert.asset_play_order.is_some());
        let is_alarm = alert.token.as_str() == "a";
        assert_eq!((assets, order), (!is_alarm, !is_alarm), "{}", alert.token);
    }
}

#[test]
fn deleting_counts_and_is_reported_once_it_is_kept() {
    let mut w = World::new();
    w.have("a", 60);
    w.delete("a");
    w.saw(&[]);
    assert_eq!(w.all(), "a");
    w.save();
    w.saw(&["DeleteAlertSucceeded a", "delete a"]);
    assert_eq!((w.all().as_str(), w.kept().as_str()), ("", ""));
    w.pass(HOUR);
    w.saw(&[]);
}

#[test]
fn a_delete_that_fails_leaves_the_alert_to_ring() {
    let mut w = World::new();
    w.have("a", 60);
    w.delete("a");
    w.fail();
    w.saw(&["DeleteAlertFailed a"]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn deleting_a_ringing_one_stops_it_first() {
    let mut w = World::new();
    w.have_ringing("a");
    w.delete("a");
    w.saw(&["stop a", "AlertStopped a"]);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("a", ""));
    w.save();
    w.saw(&["DeleteAlertSucceeded a", "delete a"]);
}

#[test]
fn deleting_what_nobody_knows_has_reached_its_goal() {
    let mut w = World::new();
    w.have("a", 60);
    w.delete("unknown");
    w.save();
    w.saw(&["DeleteAlertSucceeded unknown"]);
    assert_eq!(w.has(), "a set");
}

#[test]
fn an_alert_of_another_type_is_not_deleted_and_nobody_says_that_it_is() {
    let mut w = World::new();
    let timer = json!({"token": "a", "type": "TIMER"});
    w.have_ringing("a");
    w.order("DeleteAlert", &timer);
    w.saw(&["DeleteAlertFailed a"]);
    assert_eq!((w.has().as_str(), w.active().as_str()), ("a ringing", "a"));
    // One that is still on its way to the store counts, as it is or as it is gone.
    w.set("b", 60);
    w.order("DeleteAlert", &json!({"token": "b", "type": "TIMER"}));
    w.saw(&["DeleteAlertFailed b"]);
    w.delete("a");
    w.order("DeleteAlert", &timer);
    w.saw(&["stop a", "AlertStopped a"]);
    w.save();
    w.saw(&[
        "SetAlertSucceeded b",
        "set b",
        "DeleteAlertSucceeded a",
        "delete a",
        "DeleteAlertSucceeded a",
    ]);
    assert_eq!(w.has(), "b set");
}

#[test]
fn a_set_and_its_delete_together_leave_nothing() {
    let mut w = World::new();
    w.set("a", 60);
    w.delete("a");
    w.save();
    w.saw(&["SetAlertSucceeded a", "set a", "DeleteAlertSucceeded a", "delete a"]);
    assert_eq!((w.all().as_str(), w.kept().as_str()), ("", ""));
}

#[test]
fn clearing_removes_all_of_one_kind() {
    let mut w = World::new();
    w.have_ringing("a");
    w.have("b", 60);
    let mut timer = w.alert("t", 60);
    timer["type"] = json!("TIMER");
    w.order("SetAlert", &timer);
    w.save();
    w.seen_is_forgotten();
    w.order("ClearAlert", &json!({"type": "ALARM"}));
    w.saw(&["stop a", "AlertStopped a"]);
    w.save();
    w.saw(&["ClearAlertSucceeded ALARM", "delete a", "delete b"]);
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("t set", "t set"));
    w.order("ClearAlert", &json!({"type": "TIMER"}));
    w.fail();
    w.saw(&["ClearAlertFailed TIMER"]);
    assert_eq!(w.alerts.iter().next().unwrap().phase, Phase::Set);
    assert!(w.try_order("ClearAlert", &json!({})).is_err());
}
