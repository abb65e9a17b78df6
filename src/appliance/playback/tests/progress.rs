//! Progress reports, seeks, and the end of a section.

use std::time::Duration;

use serde_json::{Value, json};

use super::{super::Reported, world::World};

fn wanted(delay: Option<u64>, interval: Option<u64>, position: Option<u64>) -> Value {
    json!({"progressReport": {
        "progressReportDelayInMilliseconds": delay,
        "progressReportIntervalInMilliseconds": interval,
        "progressReportPositionInMilliseconds": position,
    }})
}

#[test]
fn each_kind_of_report_comes_when_it_is_due_and_null_never() {
    let rows: [(Value, &[&str]); 5] = [
        (wanted(None, None, None), &[]),
        (wanted(Some(3000), None, None), &["DelayPassed a 3000"]),
        (wanted(Some(0), None, None), &["DelayPassed a 0"]),
        (wanted(None, Some(4000), None), &["IntervalPassed a 4000", "IntervalPassed a 8000"]),
        (wanted(None, None, Some(7000)), &["PositionPassed a 7000"]),
    ];
    for (stream, want) in rows {
        let mut w = World::new();
        w.play("a", "REPLACE_ALL", &stream);
        w.heard("a", Reported::Started, 0);
        w.pass(10);
        let seen: Vec<_> = w.take_seen().into_iter().skip(3).collect();
        assert_eq!(seen, want);
    }
}

#[test]
fn only_playing_time_counts() {
    let mut w = World::playing_stream(&wanted(Some(3000), Some(5000), Some(6000)));
    w.pass(2);
    w.heard("a", Reported::Paused, 2000);
    w.forget_seen();
    w.pass(3600);
    w.saw(&[]);
    w.heard("a", Reported::Resumed, 2000);
    w.pass(4);
    let want = ["DelayPassed a 3000", "IntervalPassed a 5000", "PositionPassed a 6000"];
    w.saw(&[&["PlayResumed a 2000", "sounds"], &want[..]].concat());
}

#[test]
fn delay_and_interval_count_from_where_it_begins_and_the_position_from_the_start_of_the_stream() {
    let mut stream = wanted(Some(3000), Some(5000), Some(12_000));
    stream["beginAtInMilliseconds"] = json!(10_000);
    let mut w = World::playing_stream(&stream);
    w.pass(5);
    w.saw(&["PositionPassed a 12000", "DelayPassed a 13000", "IntervalPassed a 15000"]);
}

#[test]
fn a_seek_past_the_report_position_is_reported_at_once_with_that_position() {
    for state in [Reported::Started, Reported::Resumed] {
        let mut w = World::playing_stream(&wanted(None, None, Some(30_000)));
        w.pass(10);
        w.heard("a", state, 90_000);
        w.saw(&["PositionPassed a 30000"]);
        assert_eq!(w.activity(), "PLAYING 90000");
        w.pass(10);
        w.saw(&[]);
    }
}

#[test]
fn after_a_seek_back_the_position_is_passed_again() {
    let mut w = World::playing_stream(&wanted(None, None, Some(30_000)));
    w.pass(60);
    w.saw(&["PositionPassed a 30000"]);
    w.heard("a", Reported::Resumed, 20_000);
    w.pass(9);
    w.saw(&[]);
    w.pass(1);
    w.saw(&["PositionPassed a 30000"]);
    w.heard("a", Reported::Resumed, 0);
    w.heard("a", Reported::Resumed, 100_000);
    w.saw(&["PositionPassed a 30000"]);
}

#[test]
fn a_seek_while_paused_counts_too_and_leaves_the_timers_running() {
    let mut w = World::playing_stream(&wanted(None, Some(20_000), Some(30_000)));
    w.pass(10);
    w.heard("a", Reported::Paused, 10_000);
    w.heard("a", Reported::Paused, 50_000);
    w.saw(&["PlayPaused a 10000", "silent", "PositionPassed a 30000"]);
    assert_eq!(w.activity(), "PAUSED 50000");
    w.heard("a", Reported::Resumed, 50_000);
    w.pass(10);
    w.saw(&["PlayResumed a 50000", "sounds", "IntervalPassed a 60000"]);
}

#[test]
fn a_little_drift_does_not_pass_the_position_twice() {
    let mut w = World::playing_stream(&wanted(None, None, Some(30_000)));
    w.pass(31);
    w.heard("a", Reported::Paused, 29_500);
    w.heard("a", Reported::Resumed, 29_500);
    w.forget_seen();
    w.pass(10);
    w.saw(&[]);
}

#[test]
fn the_position_is_passed_with_a_report_that_lies_beyond_it() {
    let mut w = World::playing_stream(&wanted(None, None, Some(30_000)));
    w.pass(29);
    w.heard("a", Reported::Paused, 30_400);
    w.saw(&["PositionPassed a 30000", "PlayPaused a 30400", "silent"]);
}

#[test]
fn a_section_that_is_played_to_its_end_is_finished_there() {
    let section = json!({"beginAtInMilliseconds": 10_000, "durationInMilliseconds": 60_000,
        "progressReport": {"progressReportPositionInMilliseconds": 70_000}});
    let mut w = World::playing_stream(&section);
    w.enqueue("b");
    assert_eq!(w.state()["totalInMilliseconds"], 70_000);
    w.pass(60);
    w.saw(&["PositionPassed a 70000"]);
    w.heard("a", Reported::Finished, 70_000);
    w.saw(&["PlayFinished a 70000", "play b 0"]);
}

#[test]
fn an_appliance_that_finishes_a_little_early_has_played_all_of_it() {
    let section = json!({"durationInMilliseconds": 60_000,
        "progressReport": {"progressReportPositionInMilliseconds": 60_000}});
    let mut w = World::playing_stream(&section);
    w.pass(59);
    w.heard("a", Reported::Finished, 59_400);
    w.saw(&["PositionPassed a 60000", "PlayFinished a 60000", "silent"]);
}

#[test]
fn an_appliance_that_plays_past_its_section_is_stopped_and_the_next_one_played() {
    let mut w = World::playing_stream(&json!({"durationInMilliseconds": 60_000}));
    w.enqueue("b");
    w.pass_by(Duration::from_millis(60_999));
    w.saw(&[]);
    assert_eq!(w.activity(), "PLAYING 60000", "never beyond the section");
    w.pass(1);
    w.saw(&["PlayFinished a 60000", "cancel a", "play b 0"]);
    w.heard("a", Reported::Stopped, 61_000);
    w.heard("a", Reported::Finished, 61_000);
    w.saw(&[]);
}

#[test]
fn a_section_that_is_repeated_is_played_again_without_cancelling_it() {
    let mut w = World::playing_stream(&json!({"durationInMilliseconds": 60_000}));
    w.control("TurnOnRepeatMode");
    w.pass(61);
    w.saw(&["tell TurnOnRepeatMode", "PlayFinished a 60000", "play a 0"]);
    w.heard("a", Reported::Finished, 61_000);
    w.saw(&[]);
    w.heard("a", Reported::Started, 0);
    w.saw(&["PlayStarted a 0"]);
}

#[test]
fn offsets_are_never_outside_the_section_whatever_is_reported() {
    let section = json!({"beginAtInMilliseconds": 10_000, "durationInMilliseconds": 60_000});
    let mut w = World::new();
    w.play("a", "REPLACE_ALL", &section);
    w.forget_seen();
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Paused, u64::MAX);
    w.heard("a", Reported::Resumed, 3);
    w.saw(&[
        "PlayStarted a 10000",
        "PlayPaused a 70000",
        "silent",
        "PlayResumed a 10000",
        "sounds",
    ]);
    w.heard("a", Reported::Resumed, 999_999);
    assert_eq!(w.activity(), "PLAYING 70000");
    w.pass(1);
    w.saw(&["PlayFinished a 70000", "cancel a", "silent"]);
}

#[test]
fn absurd_numbers_neither_panic_nor_report_without_end() {
    let huge = json!({"beginAtInMilliseconds": 0, "durationInMilliseconds": u64::MAX,
        "progressReport": {"progressReportDelayInMilliseconds": u64::MAX,
            "progressReportIntervalInMilliseconds": 1,
            "progressReportPositionInMilliseconds": 1e300}});
    let mut w = World::playing_stream(&huge);
    w.pass(10);
    assert_eq!(w.take_seen().len(), 10, "at most one a second");
    w.now = w.now.plus(Duration::from_secs(10 * 365 * 24 * 3600));
    w.wake();
    w.try_heard("a", Reported::Paused, Some(u64::MAX), Some(u64::MAX)).unwrap();
}

#[test]
fn a_late_timer_reports_once_and_the_next_one_is_on_time() {
    let mut w = World::playing_stream(&wanted(Some(1000), Some(10_000), None));
    w.now = w.now.plus(Duration::from_secs(35));
    w.wake();
    w.saw(&["DelayPassed a 35000", "IntervalPassed a 35000"]);
    w.pass(5);
    w.saw(&["IntervalPassed a 40000"]);
}

#[test]
fn a_position_past_the_end_is_never_passed() {
    let mut stream = wanted(None, None, Some(60_500));
    stream["durationInMilliseconds"] = json!(60_000);
    let mut w = World::playing_stream(&stream);
    w.pass(62);
    w.saw(&["PlayFinished a 60000", "cancel a", "silent"]);
}
