//! ClearQueue, the end of the pairing, and the end of the appliance.

use serde_json::json;

use super::{
    super::{NotPlayback, Reported},
    world::{World, value},
};

fn clear(w: &mut World, behavior: &str) {
    w.order("AudioPlayer.ClearQueue", &json!({ "clearBehavior": behavior }));
}

#[test]
fn clear_all_stops_what_plays_and_empties_the_queue() {
    let mut w = World::playing();
    w.enqueue("b");
    w.pass(4);
    clear(&mut w, "CLEAR_ALL");
    w.saw(&[
        "PlayStopped a 4000",
        "cancel a",
        "tell ClearQueue",
        "PlaybackQueueCleared CLEAR_ALL",
        "silent",
    ]);
    let idle = json!({"playerActivity": "IDLE", "repeatMode": "NONE"});
    assert_eq!(w.state(), idle);
    assert_eq!(value(&w.events("PlaybackQueueCleared")[0].state), idle);
    w.heard("a", Reported::Stopped, 4100);
    w.heard("a", Reported::QueueCleared, 0);
    w.heard("a", Reported::Finished, 0);
    w.saw(&[]);
    w.control("Next");
    w.control("Previous");
    w.saw(&[]);
}

#[test]
fn clear_enqueued_lets_the_current_one_play_on() {
    let mut w = World::playing();
    w.enqueue("b");
    clear(&mut w, "CLEAR_ENQUEUED");
    w.saw(&["tell ClearQueue", "PlaybackQueueCleared CLEAR_ENQUEUED"]);
    w.pass(1);
    w.heard("a", Reported::Finished, 1000);
    w.saw(&["PlayFinished a 1000", "silent"]);
}

#[test]
fn an_empty_queue_can_be_cleared_and_is_reported() {
    let mut w = World::new();
    for behavior in ["CLEAR_ALL", "CLEAR_ENQUEUED"] {
        clear(&mut w, behavior);
        w.saw(&["tell ClearQueue", &format!("PlaybackQueueCleared {behavior}")]);
    }
}

#[test]
fn what_is_paused_or_asked_for_is_cleared_too() {
    let mut w = World::playing();
    w.heard("a", Reported::Paused, 10);
    w.forget_seen();
    clear(&mut w, "CLEAR_ALL");
    let want = ["PlayStopped a 10", "cancel a", "tell ClearQueue"];
    w.saw(&[&want[..], &["PlaybackQueueCleared CLEAR_ALL"]].concat());
    w.play_opaque("b", "REPLACE_ALL");
    w.forget_seen();
    clear(&mut w, "CLEAR_ALL");
    w.saw(&["tell ClearQueue", "PlaybackQueueCleared CLEAR_ALL"]);
    w.deliver("b", &json!({"url": "https://e.net/b.mp3", "urlPlayable": true}));
    w.saw(&["count stream_not_awaited"]);
}

#[test]
fn an_unknown_way_of_clearing_is_refused() {
    let mut w = World::playing();
    for payload in [json!({}), json!({"clearBehavior": "X"}), json!({"clearBehavior": 1})] {
        let wrong = w.try_order("AudioPlayer.ClearQueue", &payload);
        let Err(NotPlayback::Payload(told)) = wrong else { panic!("{payload}") };
        assert!(told.contains("payload.clearBehavior is"), "{told}");
    }
    w.saw(&[]);
}

#[test]
fn without_pairing_the_appliance_is_silenced_and_all_is_forgotten() {
    let mut w = World::playing();
    w.enqueue("b");
    w.control("TurnOnRepeatMode");
    w.forget_seen();
    w.playback.unpaired();
    w.drain();
    w.saw(&["cancel a", "silent"]);
    assert_eq!(w.state(), json!({"playerActivity": "IDLE", "repeatMode": "NONE"}));
    w.heard("a", Reported::Stopped, 1000);
    w.saw(&[]);
    assert_eq!(w.playback.poll_timeout(), None);
}

#[test]
fn an_appliance_that_is_gone_plays_nothing_and_resume_goes_on_where_it_was() {
    let mut w = World::playing();
    w.enqueue("b");
    w.pass(30);
    w.playback.appliance_gone(w.now);
    w.drain();
    w.saw(&["PlayStopped a 30000", "cancel a", "silent"]);
    w.pass(3600);
    w.saw(&[]);
    w.control("Resume");
    w.heard("a", Reported::Started, 30_000);
    w.saw(&["play a 30000", "sounds", "PlayResumed a 30000"]);
}
