//! Play: what is played now, what waits, what is dropped.

use serde_json::json;

use super::{
    super::{MAX_ITEMS, NotPlayback, Reported, queue::MAX_HISTORY},
    world::{World, directive, play, value},
};

#[test]
fn the_first_play_is_played_at_once_and_reported_once_the_appliance_plays() {
    for behavior in ["REPLACE_ALL", "ENQUEUE", "SOMETHING_NEW"] {
        let mut w = World::new();
        assert_eq!(w.state(), json!({"playerActivity": "IDLE", "repeatMode": "NONE"}));
        w.play("a", behavior, &json!({}));
        w.saw(&["play a 0", "sounds"]);
        assert_eq!(w.activity(), "STOPPED 0", "it does not play yet");
        w.heard("a", Reported::Started, 0);
        w.saw(&["PlayStarted a 0"]);
        assert_eq!(w.activity(), "PLAYING 0");
        w.pass(10);
        assert_eq!(w.activity(), "PLAYING 10000");
        w.heard("a", Reported::Finished, 10_500);
        w.saw(&["PlayFinished a 10500", "silent"]);
        assert_eq!(w.activity(), "STOPPED 10500", "the stream is kept");
    }
}

#[test]
fn the_appliance_gets_the_play_as_cic_wrote_it_with_its_dialogue() {
    let mut w = World::new();
    let payload = play("a", "REPLACE_ALL", &json!({"customData": "{\"a\": 1}", "new": [1.50]}));
    w.try_directive(&directive("AudioPlayer.Play", "m", &payload)).unwrap();
    let told = w.told();
    assert_eq!((told.namespace.as_str(), told.message_id.as_str()), ("AudioPlayer", "m"));
    assert_eq!(told.dialog_request_id, Some("d".into()));
    assert_eq!(value(&told.payload), payload);
}

#[test]
fn what_is_enqueued_waits_until_the_one_before_is_finished() {
    let mut w = World::playing();
    w.enqueue("b");
    w.enqueue("c");
    w.saw(&[]);
    w.pass(5);
    w.heard("a", Reported::Finished, 5000);
    w.saw(&["PlayFinished a 5000", "play b 0"]);
    assert_eq!(w.told().dialog_request_id, None, "its dialogue may be long over");
    w.heard("b", Reported::Started, 0);
    w.heard("b", Reported::Finished, 100);
    w.saw(&["PlayStarted b 0", "PlayFinished b 100", "play c 0"]);
    w.heard("c", Reported::Started, 0);
    w.heard("c", Reported::Finished, 100);
    w.saw(&["PlayStarted c 0", "PlayFinished c 100", "silent"]);
    w.enqueue("d");
    w.saw(&["play d 0", "sounds"]);
}

#[test]
fn replace_all_stops_what_plays_and_forgets_what_waits() {
    let mut w = World::playing();
    w.enqueue("b");
    w.pass(3);
    w.replace("c");
    w.saw(&["PlayStopped a 3000", "cancel a", "play c 0"]);
    w.heard("a", Reported::Stopped, 3100);
    w.saw(&[]);
    w.heard("c", Reported::Started, 0);
    w.heard("c", Reported::Finished, 50);
    w.saw(&["PlayStarted c 0", "PlayFinished c 50", "silent"]);
}

#[test]
fn replace_all_before_the_appliance_plays_reports_nothing_of_the_old_one() {
    let mut w = World::new();
    w.replace("a");
    w.replace("b");
    w.saw(&["play a 0", "sounds", "cancel a", "play b 0"]);
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Stopped, 0);
    w.saw(&[]);
}

#[test]
fn replace_all_with_the_same_token_replaces_without_cancelling_it() {
    let mut w = World::playing();
    w.pass(3);
    let mut again = play("a", "REPLACE_ALL", &json!({}));
    again["audioItem"]["audioItemId"] = json!("another");
    w.order("AudioPlayer.Play", &again);
    w.saw(&["PlayStopped a 3000", "play a 0"]);
    w.heard("a", Reported::Stopped, 3100);
    w.saw(&[]);
    w.heard("a", Reported::Started, 0);
    w.saw(&["PlayStarted a 0"]);
    w.heard("a", Reported::Stopped, 10);
    w.saw(&["PlayStopped a 10", "silent"]);
}

#[test]
fn what_was_stopped_is_not_set_going_by_what_is_enqueued() {
    let mut w = World::playing();
    w.heard("a", Reported::Stopped, 1000);
    w.enqueue("b");
    w.saw(&["PlayStopped a 1000", "silent"]);
    w.control("Next");
    w.saw(&["play b 0", "sounds"]);
}

#[test]
fn a_play_whose_item_is_there_already_is_dropped() {
    let mut w = World::playing();
    w.enqueue("b");
    for behavior in ["REPLACE_ALL", "ENQUEUE"] {
        for token in ["a", "b"] {
            w.play(token, behavior, &json!({}));
            w.saw(&["count play_duplicate"]);
        }
    }
    w.heard("a", Reported::Paused, 10);
    w.replace("a");
    w.saw(&["PlayPaused a 10", "silent", "count play_duplicate"]);
}

#[test]
fn what_is_over_may_be_ordered_again_but_not_by_the_same_message() {
    let mut w = World::new();
    let order = directive("AudioPlayer.Play", "m", &play("a", "REPLACE_ALL", &json!({})));
    w.try_directive(&order).unwrap();
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Finished, 10);
    w.forget_seen();
    w.try_directive(&order).unwrap();
    w.saw(&["count play_duplicate"]);
    w.replace("a");
    w.saw(&["play a 0", "sounds"]);
}

#[test]
fn the_queue_is_bounded_in_items() {
    let mut w = World::playing();
    for n in 0..MAX_ITEMS {
        w.enqueue(&format!("t{n}"));
    }
    w.saw(&[]);
    w.enqueue("one too many");
    w.saw(&["count play_queue_full"]);
}

#[test]
fn the_queue_is_bounded_in_bytes_and_what_was_played_makes_room() {
    let mut w = World::playing();
    let large = |token: &str| {
        let mut payload = play(token, "ENQUEUE", &json!({}));
        payload["lyrics"] = json!("x".repeat(300_000));
        payload
    };
    for (token, want) in [("b", 0), ("c", 0), ("d", 0), ("e", 1)] {
        w.order("AudioPlayer.Play", &large(token));
        assert_eq!(w.take_seen().len(), want, "{token}");
    }
    w.heard("a", Reported::Finished, 10);
    w.heard("b", Reported::Started, 0);
    w.heard("b", Reported::Finished, 10);
    w.heard("c", Reported::Started, 0);
    w.forget_seen();
    for token in ["f", "g"] {
        w.order("AudioPlayer.Play", &large(token));
        w.saw(&[]);
    }
    w.control("Previous");
    w.saw(&[]);
    let mut huge = play("z", "REPLACE_ALL", &json!({}));
    huge["lyrics"] = json!("x".repeat(600_000));
    let wrong = w.try_order("AudioPlayer.Play", &huge);
    assert!(matches!(wrong, Err(NotPlayback::Payload(_))));
    assert_eq!(w.activity(), "PLAYING 0", "nothing has changed");
}

#[test]
fn previous_goes_back_as_far_as_is_remembered() {
    let mut w = World::playing();
    for n in 0..MAX_HISTORY + 5 {
        w.enqueue(&format!("t{n}"));
        w.control("Next");
        w.heard(&format!("t{n}"), Reported::Started, 0);
    }
    w.forget_seen();
    let mut back = 0;
    loop {
        w.control("Previous");
        if w.take_seen().is_empty() {
            break;
        }
        back += 1;
    }
    assert_eq!(back, MAX_HISTORY);
}

#[test]
fn a_malformed_play_names_what_is_wrong_and_changes_nothing() {
    let good = play("b", "REPLACE_ALL", &json!({}));
    let mut rows = vec![
        (json!({}), "payload.audioItem is missing"),
        (json!({"audioItem": 7}), "audioItem is no object"),
        (json!({"audioItem": {}}), "audioItem.stream is missing"),
        (json!({"audioItem": {"stream": {}}}), "audioItem.stream.url is missing"),
        (
            json!({"audioItem": {"stream": {"url": "u"}}}),
            "neither a token nor an audioItemId names it",
        ),
    ];
    let with = |path: &str, value| {
        let mut payload = good.clone();
        *payload.pointer_mut(path).unwrap() = value;
        payload
    };
    rows.extend([
        (with("/playBehavior", json!(1)), "payload.playBehavior is no text"),
        (with("/audioItem/audioItemId", json!([])), "audioItem.audioItemId is no text"),
        (with("/audioItem/stream/token", json!(1)), "audioItem.stream.token is no text"),
        (with("/audioItem/stream/urlPlayable", json!(1)), "urlPlayable is no boolean"),
    ]);
    let mut w = World::playing();
    for (payload, want) in rows {
        let Err(NotPlayback::Payload(told)) = w.try_order("AudioPlayer.Play", &payload) else {
            panic!("{payload}");
        };
        assert!(told.contains(want), "{told}");
    }
    w.saw(&[]);
    assert_eq!(w.activity(), "PLAYING 0");
}

#[test]
fn a_stream_without_token_is_reported_by_the_items_id() {
    let mut w = World::new();
    w.play("a", "REPLACE_ALL", &json!({"token": null}));
    w.saw(&["play id-a 0", "sounds"]);
    assert_eq!(w.state()["stream"]["token"], json!(null), "as received");
    w.heard("id-a", Reported::Started, 0);
    w.saw(&["PlayStarted id-a 0"]);
}
