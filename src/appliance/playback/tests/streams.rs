//! StreamRequested and StreamDeliver.

use serde_json::json;

use super::{
    super::{NotPlayback, Reported},
    world::{World, opaque, play, value},
};

fn playable(token: &str) -> serde_json::Value {
    json!({"url": format!("https://e.net/{token}.mp3"), "urlPlayable": true})
}

#[test]
fn an_opaque_stream_is_asked_for_right_before_it_is_played() {
    let mut w = World::new();
    let stream = json!({"url": "clova:a", "urlPlayable": false, "beginAtInMilliseconds": 500,
        "customData": "x", "new": null, "progressReport": {"progressReportDelayInMilliseconds": null}});
    w.play("a", "REPLACE_ALL", &stream);
    w.saw(&["ask StreamRequested id-a"]);
    let asked = value(&w.events("StreamRequested")[0].payload);
    let received = &play("a", "", &stream)["audioItem"]["stream"];
    assert_eq!(asked, json!({"audioItemId": "id-a", "audioStream": received}), "as received");
    assert_eq!(w.activity(), "STOPPED 500");
    w.deliver("a", &playable("a"));
    w.saw(&["play a 500", "sounds"]);
    w.heard("a", Reported::Started, 500);
    w.saw(&["PlayStarted a 500"]);
}

#[test]
fn what_waits_is_not_asked_for() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    w.play_opaque("c", "ENQUEUE");
    w.saw(&[]);
    w.heard("a", Reported::Finished, 10);
    w.saw(&["PlayFinished a 10", "ask StreamRequested id-b"]);
    w.deliver("b", &playable("b"));
    w.heard("b", Reported::Started, 0);
    w.heard("b", Reported::Finished, 0);
    let want = ["play b 0", "PlayStarted b 0", "PlayFinished b 0"];
    w.saw(&[&want[..], &["ask StreamRequested id-c"]].concat());
}

#[test]
fn between_two_items_the_music_goes_on_and_ends_when_nothing_comes() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    w.heard("a", Reported::Finished, 10);
    w.saw(&["PlayFinished a 10", "ask StreamRequested id-b"]);
    w.pass(10);
    w.saw(&["count stream_never_delivered", "silent"]);
    // What is asked for because somebody wants something else begins anew.
    w.replace("c");
    w.heard("c", Reported::Started, 0);
    w.forget_seen();
    w.play_opaque("d", "REPLACE_ALL");
    let seen = w.take_seen();
    assert!(seen.ends_with(&["silent".to_owned()]), "{seen:?}");
    w.deliver("d", &playable("d"));
    w.saw(&["play d 0", "sounds"]);
}

#[test]
fn music_that_waits_for_cic_has_ended() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    w.heard("a", Reported::Finished, 10);
    w.forget_seen();
    w.connected(false);
    w.saw(&["silent"]);
    w.connected(true);
    w.saw(&["ask StreamRequested id-b"]);
    w.deliver("b", &playable("b"));
    w.saw(&["play b 0", "sounds"]);
}

#[test]
fn the_worked_example_of_a_merge_counts_for_the_context_the_appliance_and_the_reports() {
    let mut w = World::new();
    let report = |delay, interval, position| {
        json!({"progressReportDelayInMilliseconds": delay,
            "progressReportIntervalInMilliseconds": interval,
            "progressReportPositionInMilliseconds": position})
    };
    let mut stream = opaque("a");
    stream["customData"] = json!("opaque \u{0}\n");
    stream["progressReport"] = report(None, Some(20_000), Some(30_000));
    w.play("a", "REPLACE_ALL", &stream);
    let mut delivered = playable("a");
    delivered["format"] = json!("audio/mpeg");
    delivered["progressReport"] = report(Some(3000), None, Some(50_000));
    w.deliver("a", &delivered);
    let want = json!({"token": "a", "url": "https://e.net/a.mp3", "urlPlayable": true,
        "beginAtInMilliseconds": 0, "customData": "opaque \u{0}\n", "format": "audio/mpeg",
        "progressReport": report(Some(3000), Some(20_000), Some(50_000))});
    assert_eq!(w.state()["stream"], want);
    let mut told = play("a", "REPLACE_ALL", &json!({}));
    told["audioItem"]["stream"] = want;
    assert_eq!(value(&w.told().payload), told, "everything else is as it was");
    w.heard("a", Reported::Started, 0);
    w.forget_seen();
    w.pass(51);
    w.saw(&[
        "DelayPassed a 3000",
        "IntervalPassed a 20000",
        "IntervalPassed a 40000",
        "PositionPassed a 50000",
    ]);
}

#[test]
fn a_stream_that_nobody_waits_for_is_ignored() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    for token in ["a", "b", "unknown"] {
        w.deliver(token, &playable(token));
        w.saw(&["count stream_not_awaited"]);
    }
    w.play_opaque("c", "REPLACE_ALL");
    w.forget_seen();
    w.deliver("c", &playable("c"));
    w.deliver("c", &playable("d"));
    w.saw(&["play c 0", "sounds", "count stream_not_awaited"]);
}

#[test]
fn a_stream_that_is_never_delivered_gives_way_to_the_next_item() {
    let mut w = World::new();
    w.play_opaque("a", "REPLACE_ALL");
    w.enqueue("b");
    w.pass(9);
    w.saw(&["ask StreamRequested id-a"]);
    w.pass(1);
    w.saw(&["count stream_never_delivered", "play b 0", "sounds"]);
    w.deliver("a", &playable("a"));
    w.saw(&["count stream_not_awaited"]);
}

#[test]
fn a_refused_stream_gives_way_to_the_next_item_and_a_late_refusal_does_nothing() {
    let mut w = World::new();
    let stream = |token: &str| play(token, "", &opaque(token))["audioItem"]["stream"].clone();
    w.play_opaque("a", "REPLACE_ALL");
    w.play_opaque("b", "ENQUEUE");
    w.forget_seen();
    w.refuse_stream("a", &stream("a"));
    w.saw(&["count stream_refused", "ask StreamRequested id-b"]);
    w.refuse_stream("a", &stream("a"));
    w.saw(&[]);
    w.refuse_stream("b", &stream("b"));
    w.saw(&["count stream_refused"]);
    assert_eq!(w.activity(), "STOPPED 0");
    w.enqueue("c");
    w.saw(&["play c 0", "sounds"]);
}

#[test]
fn a_delivered_stream_that_cannot_be_played_gives_way_to_the_next_item() {
    let mut w = World::new();
    w.play_opaque("a", "REPLACE_ALL");
    w.enqueue("b");
    w.forget_seen();
    w.deliver("a", &json!({"url": "clova:a", "urlPlayable": false}));
    w.saw(&["count stream_not_playable", "play b 0", "sounds"]);
}

#[test]
fn a_malformed_delivery_names_what_is_wrong_and_the_right_one_still_counts() {
    let mut w = World::new();
    w.play_opaque("a", "REPLACE_ALL");
    w.forget_seen();
    let rows = [
        (json!({"audioItemId": "id-a"}), "payload.audioStream is missing"),
        (json!({"audioItemId": 1, "audioStream": {}}), "payload.audioItemId is no text"),
        (json!({"audioItemId": "id-a", "audioStream": []}), "audioStream is no object"),
        (
            json!({"audioItemId": "id-a", "audioStream": {"progressReport": 1}}),
            "progressReport is no object",
        ),
        (
            json!({"audioItemId": "id-a", "audioStream": {"customData": "x".repeat(20_000)}}),
            "larger than",
        ),
    ];
    for (payload, want) in rows {
        let wrong = w.try_order("AudioPlayer.StreamDeliver", &payload);
        let Err(NotPlayback::Payload(told)) = wrong else { panic!("{payload} {wrong:?}") };
        assert!(told.contains(want), "{told}");
    }
    w.saw(&[]);
    w.deliver("a", &playable("a"));
    w.saw(&["play a 0", "sounds"]);
}

#[test]
fn while_cic_is_away_the_item_waits_and_is_asked_for_on_its_return() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    w.connected(false);
    w.heard("a", Reported::Finished, 10);
    w.saw(&["PlayFinished a 10", "silent"]);
    w.pass(59);
    w.connected(true);
    w.saw(&["ask StreamRequested id-b"]);
    w.connected(false);
    w.saw(&[]);
    w.connected(true);
    w.saw(&["ask StreamRequested id-b"]);
}

#[test]
fn music_does_not_begin_by_itself_long_after_cic_went_away() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    w.connected(false);
    w.heard("a", Reported::Finished, 10);
    w.forget_seen();
    w.pass(61);
    w.saw(&["count stream_not_requested"]);
    w.connected(true);
    w.saw(&[]);
    w.control("Resume");
    w.saw(&["ask StreamRequested id-b"]);
    w.deliver("b", &playable("b"));
    w.heard("b", Reported::Started, 0);
    w.saw(&["play b 0", "sounds", "PlayStarted b 0", "PlayResumed b 0"]);
}

#[test]
fn a_delivered_token_and_beginning_replace_those_of_the_play() {
    let mut w = World::new();
    w.play_opaque("a", "REPLACE_ALL");
    let mut stream = playable("a");
    stream["token"] = json!("b");
    stream["beginAtInMilliseconds"] = json!(7000);
    w.deliver("a", &stream);
    w.heard("b", Reported::Started, 7000);
    w.saw(&["ask StreamRequested id-a", "play b 7000", "sounds", "PlayStarted b 7000"]);
}
