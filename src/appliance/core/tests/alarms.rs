//! Alerts from CIC's order to the ring, with a store that answers, fails or is gone.

use std::time::Duration;

use serde_json::{Value, json};

use super::bench::Bench;
use crate::{
    appliance::{
        alerts,
        core::{Input, Output, SaveResult},
        ledger::{Save, Step},
        message::{Button, SessionState, Up},
    },
    cic::message::{CloseReason, Notice, Outcome, RequestKey, Source},
};

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    /// An alert that is due so many seconds from now.
    fn alert(&self, token: &str, seconds: i64) -> Value {
        let due = self.clock_wall().checked_add(jiff::Span::new().seconds(seconds)).unwrap();
        json!({"token": token, "type": "TIMER", "scheduledTime": due.to_string()})
    }

    fn set_alert(&mut self, token: &str, seconds: i64) {
        let payload = self.alert(token, seconds);
        self.directive(Source::Downchannel, "Alerts.SetAlert", None, payload);
    }

    /// The save that is under way.
    fn last_save(&self) -> Option<&Save> {
        self.out.iter().rev().find_map(|output| match output {
            Output::Save(save) => Some(save),
            _ => None,
        })
    }

    fn saved(&mut self, result: SaveResult) {
        self.feed(Input::Saved(result));
    }

    /// Answers saves and events until nothing is under way; returns the events in order.
    fn settle(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            let outputs = std::mem::take(&mut self.out);
            let saves = outputs.iter().filter(|o| matches!(o, Output::Save(_))).count();
            self.out = outputs;
            let events = self.events();
            self.clear();
            if saves + events.len() == 0 {
                return sent;
            }
            for _ in 0..saves {
                self.saved(SaveResult::Kept);
            }
            for (key, name, _) in events {
                sent.push(name);
                self.finish(key, Outcome::Done);
            }
        }
    }

    fn event_named(&self, name: &str) -> Option<(RequestKey, Value)> {
        self.events().into_iter().find(|(_, n, _)| n == name).map(|(key, _, value)| (key, value))
    }
}

fn alerts_in(event: &Value, which: &str) -> Vec<String> {
    let context = event["context"].as_array().unwrap();
    let state = context.iter().find(|object| object["header"]["name"] == "AlertsState").unwrap();
    let tokens = state["payload"][which].as_array().unwrap().iter();
    tokens.map(|alert| alert["token"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_alert_counts_once_the_store_has_it_and_is_reported_in_the_same_breath() {
    let mut b = Bench::connected();
    b.set_alert("t", 60);
    assert_eq!(b.last_save().map(|save| save.steps.len()), Some(2), "the alert and its report");
    assert!(b.downs().is_empty() && b.events().is_empty(), "{:?}", b.downs());
    b.saved(SaveResult::Kept);
    assert!(b.published("alert set t"));
    let (_, event) = b.event_named("Alerts.SetAlertSucceeded").expect("reported");
    assert_eq!(event["event"]["payload"], json!({"token": "t", "type": "TIMER"}));
    assert_eq!(alerts_in(&event, "allAlerts"), ["t"]);
    assert_eq!(event["event"]["header"].get("dialogRequestId"), None);
}

#[test]
fn an_alert_that_cannot_be_kept_is_reported_as_failed_and_leaves_no_trace() {
    let mut b = Bench::connected();
    b.set_alert("t", 2);
    b.saved(SaveResult::Failed);
    let (key, event) = b.event_named("Alerts.SetAlertFailed").expect("reported");
    assert!(alerts_in(&event, "allAlerts").is_empty());
    assert!(b.event_named("Alerts.SetAlertSucceeded").is_none());
    b.finish(key, Outcome::Done);
    b.clear();
    b.pass(5 * SECOND);
    assert!(!b.downs().iter().any(|down| down.starts_with("alert")), "{:?}", b.downs());
    // Nobody knows what the store has: everything is saved anew.
    let save = b.last_save().expect("tried again");
    assert!(save.whole && save.steps.is_empty(), "{save:?}");
}

#[test]
fn a_known_alert_rings_on_time_with_the_store_away() {
    let mut b = Bench::connected();
    b.set_alert("t", 10);
    b.settle();
    b.pass(9 * SECOND);
    assert!(!b.published("alert ring t"));
    b.pass(SECOND + Duration::from_millis(1));
    assert!(b.published("alert ring t"));
    assert!(b.event_named("Alerts.AlertStarted").is_none(), "first the store");
    b.saved(SaveResult::Failed);
    let (_, event) = b.event_named("Alerts.AlertStarted").expect("sent all the same");
    assert_eq!(alerts_in(&event, "activeAlerts"), ["t"]);
}

#[test]
fn an_alert_rings_and_is_stopped_without_cic_which_hears_of_it_in_order_later() {
    let mut b = Bench::connected();
    b.set_alert("t", 10);
    b.settle();
    b.notice(crate::cic::message::Notice::Closed(CloseReason::Lost("gone".into())));
    b.pass(11 * SECOND);
    assert!(b.published("alert ring t"));
    b.up(Up::Button(Button::StopAlert(None)));
    for _ in 0..2 {
        b.saved(SaveResult::Kept); // that it rings, that it was stopped
    }
    assert!(b.published("alert stop t"), "as soon as it is kept");
    assert!(b.events().is_empty());
    b.generation = b.connect_generation().expect("reconnecting");
    for _ in 0..3 {
        b.saved(SaveResult::Kept);
    }
    b.clear();
    b.directive(Source::Downchannel, "Clova.Hello", None, json!({}));
    let (key, first, _) = b.events().remove(0);
    assert_eq!(first, "Alerts.RequestSynchronizeAlert");
    b.clear();
    b.finish(key, Outcome::Done);
    let (key, event) = b.event_named("Alerts.AlertStarted").expect("in order");
    assert_eq!(alerts_in(&event, "activeAlerts"), ["t"], "as it was when it rang");
    b.clear();
    b.finish(key, Outcome::Done);
    let (_, event) = b.event_named("Alerts.AlertStopped").expect("in order");
    assert!(alerts_in(&event, "activeAlerts").is_empty());
    assert_eq!(alerts_in(&event, "allAlerts"), ["t"]);
}

#[test]
fn the_stop_button_asks_cic_and_cic_stops_the_alert() {
    let mut b = Bench::connected();
    b.set_alert("t", 1);
    b.settle();
    b.pass(2 * SECOND);
    b.settle();
    b.up(Up::Button(Button::StopAlert(Some("t".into()))));
    assert!(b.event_named("Alerts.RequestAlertStop").is_some());
    assert!(!b.published("alert stop t"), "buttons never act locally");
    b.settle();
    let payload = json!({"token": "t", "type": "TIMER"});
    b.directive(Source::Downchannel, "Alerts.StopAlert", None, payload.clone());
    b.saved(SaveResult::Kept);
    assert!(b.published("alert stop t"));
    assert_eq!(b.settle(), ["Alerts.AlertStopped"]);
    b.directive(Source::Downchannel, "Alerts.DeleteAlert", None, payload);
    assert_eq!(b.settle(), ["Alerts.DeleteAlertSucceeded"]);
    assert_eq!(b.core.alert_counts(), [0; 4]);
}

#[test]
fn a_stop_that_cic_does_not_answer_comes_all_the_same() {
    let mut b = Bench::connected();
    b.set_alert("t", 1);
    b.settle();
    b.pass(2 * SECOND);
    b.settle();
    b.up(Up::Button(Button::StopAlert(None)));
    b.pass(5 * SECOND);
    b.saved(SaveResult::Kept);
    assert!(b.published("alert stop t"));
}

#[test]
fn a_stop_is_told_once_it_is_kept_but_waits_for_no_slow_store() {
    let mut b = Bench::connected();
    for token in ["a", "b"] {
        b.set_alert(token, 1);
    }
    b.settle();
    b.pass(2 * SECOND);
    b.settle();
    let stop = |token: &str| json!({"token": token, "type": "TIMER"});
    b.directive(Source::Downchannel, "Alerts.StopAlert", None, stop("a"));
    assert!(!b.published("alert stop a"), "killed now, it would ring again");
    b.saved(SaveResult::Kept);
    assert!(b.published("alert stop a"));
    b.directive(Source::Downchannel, "Alerts.StopAlert", None, stop("b"));
    b.pass(Duration::from_millis(500));
    assert!(b.published("alert stop b"), "whatever the store does");
}

#[test]
fn what_is_over_is_told_again_in_the_next_life() {
    let mut b = Bench::connected();
    b.set_alert("gone", 3600);
    b.set_alert("stopped", 1);
    b.settle();
    b.pass(2 * SECOND);
    b.settle();
    for (name, token) in [("Alerts.DeleteAlert", "gone"), ("Alerts.StopAlert", "stopped")] {
        let payload = json!({"token": token, "type": "TIMER"});
        b.directive(Source::Downchannel, name, None, payload);
    }
    b.settle();
    let kept = b.core.kept();
    let mut next = Bench::restarted(&b, kept);
    next.up(Up::Status { online: true, retained: true });
    assert!(next.published("alert delete gone") && next.published("alert stop stopped"));
    assert_eq!(next.core.alert_counts(), [0, 0, 1, 0]);
    // Set again, it is gone no longer.
    b.set_alert("gone", 3600);
    b.settle();
    b.up(Up::Status { online: true, retained: false });
    assert!(b.published("alert set gone") && !b.published("alert delete gone"));
}

#[test]
fn a_stopped_one_that_is_deleted_before_another_order_is_remembered_as_gone() {
    let mut b = Bench::connected();
    b.set_alert("a", 1);
    b.settle();
    b.pass(2 * SECOND);
    b.settle();
    let payload = json!({"token": "a", "type": "TIMER"});
    b.directive(Source::Downchannel, "Alerts.StopAlert", None, payload.clone());
    b.settle();
    b.directive(Source::Downchannel, "Alerts.DeleteAlert", None, payload);
    b.set_alert("b", 3600);
    b.saved(SaveResult::Kept);
    let save = b.last_save().expect("the other order");
    let removed = |step: &Step| matches!(step, Step::Alert(alerts::Step::Remove(_)));
    assert!(!save.steps.iter().any(removed), "{save:?}");
}

#[test]
fn what_is_remembered_as_gone_is_bounded_in_number_and_time() {
    let mut b = Bench::connected();
    for number in 0..40 {
        let token = format!("t{number:03}");
        b.set_alert(&token, 3600);
        b.settle();
        let payload = json!({"token": token, "type": "TIMER"});
        b.directive(Source::Downchannel, "Alerts.DeleteAlert", None, payload);
        b.settle();
        b.pass(SECOND);
    }
    assert_eq!(b.core.kept().alerts.len(), 32);
    b.pass(25 * 3600 * SECOND);
    b.clear();
    b.up(Up::Status { online: true, retained: false });
    b.settle();
    assert!(b.core.kept().alerts.is_empty() && !b.published("alert delete t039"));
}

#[test]
fn a_request_shows_the_ringing_alert_and_stops_it_by_voice() {
    let mut b = Bench::connected();
    b.set_alert("t", 1);
    b.settle();
    b.pass(2 * SECOND);
    b.settle();
    let (source, _, id) = b.ask("u1");
    assert_eq!(alerts_in(&b.last_upload().1, "activeAlerts"), ["t"]);
    let payload = json!({"token": "t", "type": "TIMER"});
    b.directive(source, "Alerts.StopAlert", Some(&id), payload);
    b.saved(SaveResult::Kept);
    assert!(b.published("alert stop t"));
}

#[test]
fn an_order_does_not_wait_behind_speech() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.speak(source, Some(&id), "s1", "c1");
    b.attach(source, "c1");
    b.speak(source, Some(&id), "s2", "c2");
    let payload = b.alert("t", 60);
    b.directive(source, "Alerts.SetAlert", Some(&id), payload);
    b.saved(SaveResult::Kept);
    assert!(b.published("alert set t"));
}

#[test]
fn while_the_broker_is_away_nothing_rings_and_on_its_return_it_does() {
    let mut b = Bench::connected();
    b.set_alert("t", 10);
    b.settle();
    b.feed(Input::BrokerLost);
    b.pass(600 * SECOND);
    assert!(!b.published("alert ring t"));
    b.feed(Input::BrokerReturned);
    b.up(Up::Status { online: true, retained: true });
    assert!(b.published("alert ring t"));
    assert_eq!(b.settle(), ["Alerts.AlertStarted"]);
}

#[test]
fn what_was_kept_rings_in_the_next_life() {
    let mut b = Bench::connected();
    b.set_alert("ringing", 1);
    b.set_alert("later", 3600);
    b.settle();
    b.pass(2 * SECOND);
    let kept = b.core.kept();
    assert_eq!((kept.alerts.len(), kept.outbox.len()), (2, 1), "AlertStarted is not answered yet");
    let mut next = Bench::restarted(&b, kept);
    assert!(!next.downs().iter().any(|down| down.starts_with("alert")));
    next.up(Up::Status { online: true, retained: true });
    assert!(next.published("alert ring ringing") && next.published("alert set later"));
    assert_eq!(next.core.kept().outbox.len(), 1, "and is still told once");
}

#[test]
fn unpairing_removes_alerts_and_whatever_cic_has_not_heard() {
    let mut b = Bench::connected();
    b.set_alert("t", 1);
    b.settle();
    b.pass(2 * SECOND);
    b.feed(Input::Unpaired);
    assert!(b.published("alert stop t") && b.published("alert delete t"));
    let kept = b.core.kept();
    let phases: Vec<_> = kept.alerts.iter().map(|alert| alert.phase).collect();
    assert_eq!((phases, kept.outbox.len()), (vec![alerts::Phase::Deleted], 0));
    // The answer of a save that was under way concerns nobody any more.
    b.saved(SaveResult::Kept);
    assert_eq!(b.core.alert_counts(), [0; 4]);
    assert_eq!(b.core.link.state(), SessionState::Unpaired);
    // It may have been away.
    b.clear();
    b.up(Up::Status { online: true, retained: false });
    assert!(b.published("alert delete t"), "{:?}", b.downs());
}

#[test]
fn a_save_that_came_too_late_for_its_pairing_holds_up_none_of_the_next() {
    let mut b = Bench::connected();
    b.set_alert("t", 60);
    b.saved(SaveResult::Gone);
    assert_eq!(b.core.link.state(), SessionState::Unpaired);
    b.notice(Notice::Closed(CloseReason::Requested));
    b.clear();
    let issued_at = b.clock_wall();
    let expires_at = issued_at.checked_add(jiff::Span::new().hours(24)).unwrap();
    b.feed(Input::Tokens { issued_at, expires_at });
    let mut b = b.connect();
    b.set_alert("u", 60);
    b.settle();
    assert_eq!(b.core.alert_counts()[alerts::Phase::Set as usize], 1);
}

#[test]
fn a_clock_that_was_fast_for_a_while_costs_no_alert() {
    let mut b = Bench::connected();
    let payload = b.alert("t", 3600);
    b.directive(Source::Downchannel, "Alerts.SetAlert", None, payload.clone());
    b.settle();
    b.step_clock(7200);
    b.pass(30 * SECOND);
    assert!(b.published("alert delete t"), "it seems to be missed");
    b.settle();
    b.step_clock(-7200);
    b.pass(30 * SECOND);
    assert!(b.event_named("Alerts.RequestSynchronizeAlert").is_some());
    let list = json!({"allAlerts": [payload]});
    b.directive(Source::Downchannel, "Alerts.SynchronizeAlert", None, list);
    b.settle();
    b.pass(3600 * SECOND);
    assert!(b.published("alert ring t"), "{:?}", b.downs());
}

#[test]
fn an_unknown_alert_is_named() {
    let mut b = Bench::connected();
    b.up(Up::Button(Button::StopAlert(Some("nobody".into()))));
    b.up(Up::Button(Button::DeleteAlert("nobody".into())));
    assert_eq!(b.downs(), ["error unknown_alert", "error unknown_alert"]);
}

#[test]
fn a_core_that_is_respawned_does_not_acknowledge_what_is_still_on_its_way_to_the_store() {
    let mut bench = Bench::connected();
    bench.set_alert("a", 60);
    let before = (bench.core.kept().alerts.len(), bench.core.kept().outbox.len());
    assert_eq!(before, (0, 0), "it panics now: nobody knows whether the store has it");
    bench.saved(SaveResult::Kept);
    let after = (bench.core.kept().alerts.len(), bench.core.kept().outbox.len());
    assert_eq!(after, (1, 1));
}
