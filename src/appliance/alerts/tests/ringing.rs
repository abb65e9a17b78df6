//! Coming due.

use super::{
    super::{Effect, Step},
    world::World,
};

#[test]
fn an_alert_rings_at_its_time_and_is_active_from_its_first_event_on() {
    let mut w = World::new();
    w.have("a", 60);
    w.pass(59);
    w.saw(&[]);
    w.effects.clear();
    w.pass(2);
    w.saw(&["ring a", "AlertStarted a"]);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("a", "a"));
    assert_eq!(w.became("ringing"), 1);
    let late = |effect: &Effect| match effect {
        Effect::Late(late) => Some(late.as_millis()),
        _ => None,
    };
    assert!(w.effect(late).unwrap() <= 2, "{:?}", w.effect(late));
    w.save();
    assert_eq!(w.kept(), "a ringing");
}

#[test]
fn its_ringing_is_handed_to_the_store_before_it_is_told() {
    let mut w = World::new();
    w.have("a", 60);
    w.effects.clear();
    w.pass(61);
    let names: Vec<_> = w
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Keep(Step::Put(_)) => Some("keep"),
            Effect::Tell(..) => Some("tell"),
            Effect::Report(_) => Some("report"),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["keep", "tell", "report"]);
}

#[test]
fn several_ring_in_the_order_of_their_time() {
    let mut w = World::new();
    w.have("c", 10);
    w.have("a", 30);
    w.have("b", 20);
    w.audible(false, false);
    w.pass(60);
    w.audible(true, false);
    w.saw(&["ring c", "AlertStarted c", "ring b", "AlertStarted b", "ring a", "AlertStarted a"]);
    assert_eq!(w.active(), "a b c");
}

#[test]
fn it_rings_whether_or_not_cic_and_the_store_are_there() {
    let mut w = World::new();
    w.have("a", 60);
    w.connected(false);
    w.set("b", 30);
    w.fail();
    w.saw(&["SetAlertFailed b"]);
    w.pass(61);
    w.saw(&["ring a", "AlertStarted a"]);
    w.fail();
    w.press_stop(None);
    w.saw(&["stop a", "AlertStopped a"]);
}

#[test]
fn a_thousand_at_once_all_ring() {
    let mut w = World::new();
    let all: Vec<_> = (0..1000).map(|n| w.alert(&format!("t{n}"), 60)).collect();
    w.synchronize(&all);
    w.save();
    w.pass(61);
    assert_eq!(w.became("ringing"), 1000);
    assert_eq!(w.active().split(' ').count(), 1000);
}

#[test]
fn nothing_is_owed_when_there_is_no_alert() {
    let mut w = World::new();
    assert_eq!(w.alerts.poll_timeout(), None);
    assert_eq!((w.all().as_str(), w.active().as_str()), ("", ""));
    w.audible(true, true);
    w.saw(&[]);
    w.have("a", 60);
    w.delete("a");
    w.save();
    assert_eq!(w.alerts.poll_timeout(), None);
}
