//! What the appliance says, what CIC hears of the state, and who is not reporting.

use serde_json::{Value, json};

use super::{
    super::{Reported, UnknownStream},
    world::{World, value},
};

#[test]
fn an_unknown_token_is_named_and_repeated_or_late_reports_change_nothing() {
    let mut w = World::playing();
    w.enqueue("b");
    let unknown = w.try_heard("b", Reported::Started, Some(0), None);
    assert_eq!(unknown, Err(UnknownStream), "it was never given to the appliance");
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Paused, 0);
    w.heard("a", Reported::Paused, 0);
    w.heard("a", Reported::Started, 0);
    w.saw(&["PlayPaused a 0", "silent"]);
    w.heard("a", Reported::Resumed, 0);
    w.heard("a", Reported::Resumed, 0);
    w.heard("a", Reported::Finished, 500);
    w.heard("a", Reported::Finished, 500);
    w.heard("a", Reported::Stopped, 500);
    w.saw(&["PlayResumed a 0", "sounds", "PlayFinished a 500", "play b 0"]);
    assert!(w.try_heard("nobody", Reported::QueueCleared, None, None).is_ok());
}

#[test]
fn what_begins_and_ends_at_once_is_reported_in_order() {
    let mut w = World::new();
    w.replace("a");
    w.forget_seen();
    w.heard("a", Reported::Finished, 700);
    w.saw(&["PlayStarted a 0", "PlayFinished a 700", "silent"]);
}

#[test]
fn a_report_without_numbers_counts_from_what_is_known() {
    let mut w = World::new();
    w.play("a", "REPLACE_ALL", &json!({"beginAtInMilliseconds": 1000}));
    w.forget_seen();
    w.try_heard("a", Reported::Started, None, None).unwrap();
    w.pass(5);
    w.try_heard("a", Reported::Paused, None, Some(300_000)).unwrap();
    w.try_heard("a", Reported::Resumed, None, None).unwrap();
    w.try_heard("a", Reported::Finished, None, None).unwrap();
    w.saw(&[
        "PlayStarted a 1000",
        "PlayPaused a 6000",
        "silent",
        "PlayResumed a 6000",
        "sounds",
        "PlayFinished a 300000",
        "silent",
    ]);
}

#[test]
fn what_cannot_be_played_is_reported_as_stopped_counted_and_followed_by_the_next() {
    let mut w = World::playing();
    w.enqueue("b");
    w.enqueue("c");
    w.pass(10);
    w.heard("a", Reported::Failed, 8000);
    w.saw(&["count playback_failed", "PlayStopped a 8000", "play b 0"]);
    w.heard("b", Reported::Failed, 0);
    w.saw(&["count playback_failed", "PlayStopped b 0", "play c 0"]);
    w.heard("c", Reported::Failed, 0);
    w.saw(&["count playback_failed", "PlayStopped c 0", "silent"]);
}

#[test]
fn an_appliance_that_never_begins_is_given_up_and_the_queue_stays() {
    let mut w = World::new();
    w.replace("a");
    w.enqueue("b");
    w.forget_seen();
    w.pass(14);
    w.saw(&[]);
    w.pass(1);
    w.saw(&["count playback_never_started", "PlayStopped a 0", "cancel a", "silent"]);
    w.heard("a", Reported::Started, 0);
    w.pass(100);
    w.saw(&[]);
    w.control("Next");
    w.saw(&["play b 0", "sounds"]);
}

#[test]
fn the_appliances_own_buttons_are_reported_as_they_happen() {
    let mut w = World::playing();
    w.pass(5);
    w.heard("a", Reported::Paused, 5000);
    w.heard("a", Reported::Resumed, 5000);
    w.heard("a", Reported::Stopped, 5000);
    w.heard("a", Reported::Resumed, 5000);
    w.saw(&[
        "PlayPaused a 5000",
        "silent",
        "PlayResumed a 5000",
        "sounds",
        "PlayStopped a 5000",
        "silent",
        "PlayResumed a 5000",
        "sounds",
    ]);
}

#[test]
fn the_context_shows_every_state_with_the_stream_as_it_was_received() {
    let stream = json!({"customData": "{\"k\":\"v\"}", "progressReport":
        {"progressReportDelayInMilliseconds": null}});
    let mut w = World::playing_stream(&stream);
    let received = super::world::play("a", "", &stream)["audioItem"]["stream"].clone();
    let context = |activity: &str, offset: u64, total: Option<u64>| {
        let mut context = json!({"playerActivity": activity, "repeatMode": "NONE",
            "offsetInMilliseconds": offset, "stream": received});
        if let Some(total) = total {
            context["totalInMilliseconds"] = json!(total);
        }
        context
    };
    w.pass(1);
    assert_eq!(w.state(), context("PLAYING", 1000, None));
    w.try_heard("a", Reported::Paused, Some(1500), Some(300_000)).unwrap();
    assert_eq!(w.state(), context("PAUSED", 1500, Some(300_000)));
    w.heard("a", Reported::Stopped, 1500);
    assert_eq!(w.state(), context("STOPPED", 1500, Some(300_000)));
}

#[test]
fn the_computed_position_never_exceeds_the_length_that_was_reported() {
    let mut w = World::playing();
    w.try_heard("a", Reported::Resumed, Some(0), Some(10_000)).unwrap();
    w.pass(60);
    assert_eq!(w.activity(), "PLAYING 10000");
    w.try_heard("a", Reported::Resumed, Some(30_000), Some(10_000)).unwrap();
    assert_eq!(w.activity(), "PLAYING 30000", "a length that is exceeded was wrong");
}

#[test]
fn the_playback_state_is_reported_with_the_fields_that_each_state_has() {
    let ask = |w: &mut World| -> Value {
        w.forget_seen();
        w.order("AudioPlayer.ExpectReportPlaybackState", &json!({}));
        value(&w.events("ReportPlaybackState")[0].payload)
    };
    let mut w = World::new();
    assert_eq!(ask(&mut w), json!({"playerActivity": "IDLE", "repeatMode": "NONE"}));
    let mut w = World::playing();
    w.pass(13);
    let mut want = w.state();
    want["token"] = json!("a");
    assert_eq!(w.activity(), "PLAYING 13000");
    assert_eq!(ask(&mut w), want);
    for (state, activity) in [(Reported::Paused, "PAUSED"), (Reported::Stopped, "STOPPED")] {
        w.heard("a", state, 13_000);
        want["playerActivity"] = json!(activity);
        assert_eq!(ask(&mut w), want);
    }
}

#[test]
fn the_state_of_another_client_is_the_appliances_business() {
    let mut w = World::new();
    let payload = json!({"deviceId": "another", "event": "PlayStarted"});
    w.order("AudioPlayer.SynchronizePlaybackState", &payload);
    w.saw(&["tell SynchronizePlaybackState"]);
    assert_eq!(w.activity(), World::new().activity());
}
