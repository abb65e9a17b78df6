//! Events that the appliance makes by itself, and what becomes of them.

use serde_json::{json, value::RawValue};

use super::bench::Bench;
use crate::{
    appliance::{core::Input, message::Up},
    cic::message::{CloseReason, Notice, Source},
};

impl Bench {
    fn event(&mut self, full_name: &str, payload: &str) {
        let (namespace, name) = full_name.split_once('.').unwrap();
        let payload = RawValue::from_string(payload.into()).unwrap();
        self.up(Up::Event { namespace: namespace.into(), name: name.into(), payload });
    }

    /// Names of what a restart would find, in order.
    fn kept_events(&self) -> Vec<String> {
        let kept = self.core.kept().outbox.into_iter();
        kept.map(|(_, event)| format!("{}.{}", event.namespace, event.name)).collect()
    }
}

#[test]
fn what_the_appliance_says_of_orders_playback_and_alerts_survives_the_process() {
    let reports = ["DeviceControl.ActionExecuted", "AudioPlayer.PlayPaused", "Alerts.AlertStopped"];
    let others = [
        "AudioPlayer.StreamRequested",
        "Alerts.RequestAlertStop",
        "PlaybackController.NextCommandIssued",
        "Clova.ProcessDelegatedEvent",
    ];
    let mut b = Bench::connected();
    b.notice(Notice::Closed(CloseReason::Lost("gone".into())));
    for name in reports.into_iter().chain(others) {
        b.event(name, "{}");
    }
    assert_eq!(b.kept_events(), reports);
    let next = Bench::restarted(&b, b.core.kept()).connect();
    assert_eq!(next.kept_events(), reports);
}

#[test]
fn a_large_event_does_not_fill_the_store() {
    let mut b = Bench::connected();
    b.event("DeviceControl.ReportState", &json!({"x": "y".repeat(5000)}).to_string());
    assert_eq!(b.kept_events(), [""; 0]);
    assert_eq!(b.events()[0].1, "DeviceControl.ReportState", "but it is sent");
}

#[test]
fn the_state_after_a_connection_that_took_its_time_is_told_once_cic_is_back() {
    let mut b = Bench::connected();
    let target = json!({"target": "bluetooth", "address": "a"});
    b.directive(Source::Downchannel, "DeviceControl.BtConnect", None, target);
    b.notice(Notice::Closed(CloseReason::Lost("gone".into())));
    b.pass(std::time::Duration::from_secs(60));
    assert!(
        b.kept_events().contains(&"DeviceControl.ReportState".to_owned()),
        "{b:?}",
        b = b.kept_events()
    );
}

#[test]
fn what_an_unpaired_appliance_can_tell_nobody_any_more_is_counted() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    b.notice(Notice::Closed(CloseReason::Lost("gone".into())));
    b.event("Settings.RequestVersionSpec", "{}");
    b.event("DeviceControl.ActionExecuted", "{}");
    b.clear();
    b.feed(Input::Unpaired);
    let want = [
        "Settings.RequestVersionSpec unpaired",
        "DeviceControl.ActionExecuted unpaired",
        "SpeechSynthesizer.SpeechStopped unpaired",
    ];
    assert_eq!(b.counted_events(), want);
    assert_eq!((b.kept_events(), b.saves()), (vec![], 0), "the store has forgotten by itself");
}
