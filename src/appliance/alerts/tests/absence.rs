//! The appliance, CIC or the account is away.

use super::{
    super::AlertSettings,
    store::Kept,
    world::{HOUR, MINUTE, World, noon, settings},
};

fn forgetting() -> World {
    let settings = AlertSettings { forget_offline: true, ..settings() };
    let mut w = World::started(settings, Kept::new(), noon());
    w.audible(true, true);
    w.connected(true);
    w
}

#[test]
fn an_appliance_that_is_away_at_the_due_time_rings_when_it_is_back_within_the_window() {
    let mut w = World::new();
    w.have("a", 60);
    w.audible(false, false);
    w.pass(30 * MINUTE);
    w.saw(&[]);
    assert_eq!(w.active(), "", "nobody hears it: it does not ring");
    w.audible(true, true);
    w.saw(&["set a", "ring a", "AlertStarted a"]);
}

#[test]
fn an_alert_missed_by_more_than_the_window_is_deleted_and_left_to_synchronising() {
    let mut w = World::new();
    w.have("a", 60);
    w.audible(false, false);
    w.pass(31 * MINUTE + 2);
    w.saw(&["delete a", "synchronize"]);
    assert_eq!((w.all().as_str(), w.became("missed")), ("", 1));
    w.save();
    assert_eq!(w.kept(), "");
    w.audible(true, true);
    w.saw(&["delete a"]);
}

#[test]
fn several_missed_together_ask_for_one_list() {
    let mut w = World::new();
    w.have("a", 60);
    w.have("b", 60);
    w.audible(false, false);
    w.pass(31 * MINUTE + 2);
    w.saw(&["delete a", "delete b", "synchronize"]);
}

#[test]
fn on_its_return_every_set_and_every_ring_is_published_again() {
    let mut w = World::new();
    w.have_ringing("r");
    w.have("s", 60);
    w.have_ringing("x");
    w.stop("x");
    w.saw(&["stop x", "AlertStopped x"]);
    w.audible(false, false);
    w.audible(true, true);
    w.saw(&["ring r", "set s"]);
    w.audible(true, true);
    w.saw(&["ring r", "set s"]);
    assert_eq!(w.became("ringing"), 2, "publishing again is no second ringing");
}

#[test]
fn on_its_return_it_learns_what_it_missed() {
    let mut w = World::new();
    w.have_ringing("r");
    w.have("d", 60);
    w.have("s", 120);
    w.audible(false, false);
    w.stop("r");
    w.delete("d");
    w.save();
    w.saw(&["stop r", "AlertStopped r", "DeleteAlertSucceeded d", "delete d"]);
    w.audible(true, true);
    w.saw(&["stop r", "delete d", "set s"]);
    w.audible(false, false);
    w.audible(true, true);
    w.saw(&["set s"]);
}

#[test]
fn many_alerts_removed_while_it_was_away_are_all_told() {
    let mut w = World::new();
    let all: Vec<_> = (0..200).map(|n| w.alert(&format!("t{n}"), 3600)).collect();
    w.synchronize(&all);
    w.save();
    w.audible(false, false);
    w.synchronize(&[]);
    w.save();
    w.effects.clear();
    w.audible(true, true);
    assert_eq!(w.effects.len(), 200);
}

#[test]
fn what_was_set_anew_meanwhile_is_set_after_all_on_its_return() {
    let mut w = World::new();
    w.have("a", 60);
    w.audible(false, false);
    w.delete("a");
    w.set("a", 600);
    w.save();
    w.seen_is_forgotten();
    w.audible(true, true);
    w.saw(&["delete a", "set a"]);
}

#[test]
fn a_stop_that_was_missed_does_not_end_a_later_ring() {
    let mut w = World::new();
    w.have_ringing("a");
    w.audible(false, false);
    w.stop("a");
    w.set("a", 60);
    w.save();
    w.audible(true, false);
    w.pass(61);
    w.seen_is_forgotten();
    w.audible(true, true);
    w.saw(&["ring a"]);
}

#[test]
fn it_rings_on_while_the_appliance_is_away_and_still_ends() {
    let mut w = World::new();
    w.have_ringing("a");
    w.connected(false);
    w.audible(false, false);
    w.pass(10 * MINUTE);
    assert_eq!(w.active(), "a");
    w.audible(true, true);
    w.saw(&["ring a"]);
    w.audible(false, false);
    w.pass(HOUR);
    w.saw(&["stop a", "AlertStopped a"]);
}

#[test]
fn without_cic_alerts_stay_and_ring() {
    let mut w = World::new();
    w.have("a", 60);
    w.connected(false);
    w.alerts.connection_given_up(w.now);
    w.drain();
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
}

#[test]
fn in_forget_mode_alerts_end_when_the_session_is_given_up() {
    let mut w = forgetting();
    w.have_ringing("r");
    w.have("s", 60);
    w.connected(false);
    w.saw(&[]);
    w.alerts.connection_given_up(w.now);
    w.drain();
    w.saw(&["stop r", "delete r", "delete s"]);
    w.save();
    assert_eq!((w.all().as_str(), w.kept().as_str()), ("", ""));
    w.pass(HOUR);
    w.saw(&[]);
    w.connected(true);
    w.synchronize(&[w.alert("s", 60)]);
    w.save();
    w.saw(&["set s"]);
}

#[test]
fn in_forget_mode_a_short_interruption_changes_nothing() {
    let mut w = forgetting();
    w.have("s", 60);
    w.set("t", 120);
    w.connected(false);
    w.save();
    w.saw(&["SetAlertSucceeded t", "set t"]);
    w.connected(true);
    w.pass(61);
    w.saw(&["ring s", "AlertStarted s"]);
}

#[test]
fn in_forget_mode_what_is_kept_after_the_session_has_gone_is_forgotten_as_well() {
    let mut w = forgetting();
    w.set("a", 60);
    w.begin_save();
    w.connected(false);
    w.alerts.connection_given_up(w.now);
    w.end_save();
    w.save();
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("", ""));
}

#[test]
fn in_forget_mode_a_restart_begins_without_alerts() {
    let mut w = forgetting();
    w.have("a", 60);
    w.restart(1);
    w.save();
    assert_eq!((w.has().as_str(), w.kept().as_str()), ("", ""));
    w.seen_is_forgotten();
    w.audible(true, true);
    w.saw(&["delete a"]);
}

#[test]
fn with_the_pairing_the_alerts_are_gone_and_what_was_staged_too() {
    let mut w = World::new();
    w.have_ringing("r");
    w.have("s", 60);
    w.set("t", 60);
    w.connected(false);
    w.alerts.unpaired(w.now);
    w.drain();
    w.saw(&["stop r", "delete r", "delete s"]);
    assert_eq!(w.has(), "");
    w.store.clear();
    w.pass(HOUR);
    w.alerts.commit(w.now);
    w.alerts.reject(w.now);
    w.drain();
    w.saw(&[]);
    assert!(w.alerts.projected().is_empty());
}
