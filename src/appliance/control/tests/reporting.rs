//! Reports of the state, delegation, and what is only passed on.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::{Handling, schedule::LONGEST},
    world::World,
};

const EXPECT: &str = "DeviceControl.ExpectReportState";

/// How many reports there are at once, and in a week.
fn reports(payload: &Value) -> (usize, usize) {
    let mut w = World::new();
    assert_eq!(w.order(EXPECT, "m", payload), Handling::Withhold);
    let at_once = w.seen().len();
    w.pass(Duration::from_secs(7 * 24 * 3600));
    (at_once, at_once + w.seen().len())
}

#[test]
fn the_state_is_reported_at_once_and_then_as_long_as_cic_wants() {
    let rows = [
        (json!({}), 1),
        (json!({"durationInSeconds": 600, "intervalInSeconds": 60}), 11),
        (json!({"durationInSeconds": 59, "intervalInSeconds": 60}), 1),
        (json!({"durationInSeconds": 60, "intervalInSeconds": 60}), 2),
        (json!({"durationInSeconds": 600}), 1),
        (json!({"intervalInSeconds": 60}), 1),
        (json!({"durationInSeconds": 600, "intervalInSeconds": 0}), 1),
        (json!({"durationInSeconds": 0, "intervalInSeconds": 0}), 1),
        (json!({"durationInSeconds": -1, "intervalInSeconds": 60}), 1),
        (json!({"durationInSeconds": "600", "intervalInSeconds": 60}), 1),
        (json!({"durationInSeconds": u64::MAX, "intervalInSeconds": u64::MAX}), 1),
        (json!({"durationInSeconds": u64::MAX, "intervalInSeconds": 3600}), 25),
    ];
    for (payload, wanted) in rows {
        assert_eq!(reports(&payload), (1, wanted), "{payload}");
    }
    assert_eq!(LONGEST, Duration::from_secs(24 * 3600));
}

#[test]
fn the_reports_are_as_far_apart_as_cic_wants() {
    let mut w = World::new();
    w.order(EXPECT, "m", &json!({"durationInSeconds": 30, "intervalInSeconds": 10}));
    w.saw(&["ReportState"]);
    for _ in 0..3 {
        w.pass(Duration::from_millis(9_999));
        w.saw(&[]);
        w.pass(Duration::from_millis(1));
        w.saw(&["ReportState"]);
    }
    assert_eq!(w.control.poll_timeout(), None);
}

#[test]
fn reports_that_were_missed_are_not_made_up_for() {
    let mut w = World::new();
    let start = w.now;
    w.order(EXPECT, "m", &json!({"durationInSeconds": 100, "intervalInSeconds": 10}));
    w.now = start.plus(Duration::from_secs(55));
    w.control.handle_timeout(w.now);
    w.saw(&["ReportState", "ReportState"]);
    assert_eq!(w.control.poll_timeout(), Some(start.mono + Duration::from_secs(60)));
}

#[test]
fn a_newer_wish_takes_the_place_of_the_one_before() {
    let mut w = World::new();
    w.order(EXPECT, "m", &json!({"durationInSeconds": 100, "intervalInSeconds": 1}));
    w.order(EXPECT, "n", &json!({"durationInSeconds": 20, "intervalInSeconds": 10}));
    w.saw(&["ReportState", "ReportState"]);
    w.pass(Duration::from_secs(100));
    w.saw(&["ReportState", "ReportState"]);
    w.order(EXPECT, "o", &json!({"durationInSeconds": 100, "intervalInSeconds": 1}));
    w.order(EXPECT, "p", &json!({}));
    w.pass(Duration::from_secs(100));
    w.saw(&["ReportState", "ReportState"]);
}

#[test]
fn the_reports_end_with_the_session() {
    let mut w = World::new();
    w.order(EXPECT, "m", &json!({"durationInSeconds": 100, "intervalInSeconds": 10}));
    w.control.set_connected(false);
    w.saw(&["ReportState"]);
    assert_eq!(w.control.poll_timeout(), None);
}

#[test]
fn a_delegated_request_is_fetched_with_its_own_id() {
    let mut w = World::new();
    let id = "99e86204-710a-4e94-b949-a763e78348a7";
    let name = "Clova.HandleDelegatedEvent";
    assert_eq!(w.order(name, "m", &json!({"delegationId": id, "more": 1})), Handling::Withhold);
    w.saw(&[&format!(r#"Clova.ProcessDelegatedEvent {{"delegationId":"{id}"}}"#)]);
    for bad in [json!({}), json!({"delegationId": 1}), json!({"delegationId": "x".repeat(3000)})] {
        assert_eq!(w.order(name, "m", &bad), Handling::Invalid);
        w.saw(&[]);
    }
}

#[test]
fn every_session_asks_what_settings_clova_provides() {
    let mut w = World::new();
    w.control.set_connected(false);
    w.saw(&[]);
    w.control.set_connected(true);
    w.saw(&["Settings.RequestVersionSpec {}"]);
    let spec = json!({"clientName": "c", "spec": {"voiceType": {}}});
    w.ask("Settings.UpdateVersionSpec", "m", &spec);
    w.pass(Duration::from_secs(60));
    w.saw(&[]);
}
