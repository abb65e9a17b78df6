//! Pause, Resume, Stop, Replay, repeat, and what is only passed on.

use serde_json::json;

use super::{
    super::{NotPlayback, Reported},
    world::{World, opaque},
};

#[test]
fn each_control_is_told_and_reported_once_the_appliance_has_reported() {
    let mut w = World::playing();
    w.pass(10);
    w.control("Pause");
    w.saw(&["tell Pause"]);
    w.pass(1);
    assert_eq!(w.activity(), "PLAYING 11000", "until the appliance says otherwise");
    w.heard("a", Reported::Paused, 10_200);
    w.saw(&["PlayPaused a 10200", "silent"]);
    w.pass(100);
    assert_eq!(w.activity(), "PAUSED 10200");
    w.control("Resume");
    w.heard("a", Reported::Resumed, 10_200);
    w.saw(&["tell Resume", "sounds", "PlayResumed a 10200"]);
    w.pass(2);
    w.control("Stop");
    w.heard("a", Reported::Stopped, 12_300);
    w.saw(&["tell Stop", "PlayStopped a 12300", "silent"]);
    assert_eq!(w.activity(), "STOPPED 12300");
    w.pass(100);
    w.saw(&[]);
}

#[test]
fn an_appliance_that_never_reports_is_answered_for_from_the_moment_of_the_order() {
    let mut w = World::playing();
    w.pass(10);
    w.control("Pause");
    w.pass(3);
    w.saw(&["tell Pause", "PlayPaused a 10000", "count playback_not_reported", "silent"]);
    w.control("Resume");
    w.pass(3);
    w.saw(&["tell Resume", "sounds", "PlayResumed a 13000", "count playback_not_reported"]);
    w.pass(7);
    w.control("Stop");
    w.pass(3);
    let want = ["tell Stop", "PlayStopped a 20000", "cancel a", "count playback_not_reported"];
    w.saw(&[&want[..], &["silent"]].concat());
    w.heard("a", Reported::Stopped, 20_500);
    w.heard("a", Reported::Paused, 20_500);
    w.saw(&[]);
}

#[test]
fn orders_that_follow_each_other_quickly_end_as_the_last_one_says() {
    let mut w = World::playing();
    w.pass(10);
    w.control("Pause");
    w.control("Resume");
    w.saw(&["tell Pause", "tell Resume"]);
    w.heard("a", Reported::Paused, 10_000);
    w.heard("a", Reported::Resumed, 10_000);
    w.saw(&["PlayPaused a 10000", "PlayResumed a 10000"]);
    w.pass(10);
    w.saw(&[]);
    assert_eq!(w.activity(), "PLAYING 20000");
}

#[test]
fn what_changes_nothing_is_passed_on_and_not_reported() {
    let mut w = World::new();
    for name in ["Pause", "Resume", "Stop"] {
        w.control(name);
        w.saw(&[&format!("tell {name}")]);
    }
    let mut w = World::playing();
    w.control("Resume");
    w.heard("a", Reported::Paused, 0);
    w.forget_seen();
    w.control("Pause");
    w.saw(&["tell Pause"]);
    w.heard("a", Reported::Paused, 0);
    w.heard("a", Reported::Stopped, 0);
    w.forget_seen();
    w.control("Stop");
    w.control("Pause");
    w.pass(10);
    w.saw(&["tell Stop", "tell Pause"]);
}

#[test]
fn a_control_for_another_player_is_only_passed_on() {
    let mut w = World::playing();
    let other = json!({"target": {"namespace": "MediaPlayer"}});
    for name in ["Pause", "Resume", "Stop"] {
        w.order(&format!("PlaybackController.{name}"), &other);
        w.pass(10);
        w.saw(&[&format!("tell {name}")]);
    }
    w.order("PlaybackController.Pause", &json!({"target": {"namespace": "AudioPlayer"}}));
    w.heard("a", Reported::Paused, 30_000);
    w.saw(&["tell Pause", "PlayPaused a 30000", "silent"]);
    let wrong = w.try_order("PlaybackController.Stop", &json!({"target": {}}));
    assert_eq!(wrong, Err(NotPlayback::Payload("target.namespace is missing".into())));
}

#[test]
fn an_item_is_paused_and_stopped_before_the_appliance_has_it() {
    for (order, event) in [("Pause", "PlayPaused a 0"), ("Stop", "PlayStopped a 0")] {
        let mut w = World::new();
        w.play_opaque("a", "REPLACE_ALL");
        w.forget_seen();
        w.control(order);
        w.saw(&[event]);
        w.deliver("a", &json!({"url": "https://e.net/a.mp3", "urlPlayable": true}));
        w.saw(&["count stream_not_awaited"]);
        w.control("Resume");
        w.deliver("a", &json!({"url": "https://e.net/a.mp3", "urlPlayable": true}));
        w.heard("a", Reported::Started, 0);
        let want = ["ask StreamRequested id-a", "play a 0", "sounds"];
        w.saw(&[&want[..], &["PlayStarted a 0", "PlayResumed a 0"]].concat());
    }
}

#[test]
fn a_pause_that_meets_the_beginning_is_reported_after_it() {
    let mut w = World::new();
    w.replace("a");
    w.control("Pause");
    w.forget_seen();
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Paused, 100);
    w.saw(&["PlayStarted a 0", "PlayPaused a 100", "silent"]);
    let mut w = World::new();
    w.replace("a");
    w.control("Pause");
    w.forget_seen();
    w.heard("a", Reported::Paused, 0);
    w.saw(&["PlayStarted a 0", "PlayPaused a 0", "silent"]);
}

#[test]
fn what_was_stopped_is_resumed_by_a_play_from_where_it_was() {
    let section = json!({"beginAtInMilliseconds": 10_000, "durationInMilliseconds": 60_000});
    let mut w = World::playing_stream(&section);
    w.pass(20);
    w.heard("a", Reported::Stopped, 30_000);
    w.forget_seen();
    w.control("Resume");
    w.saw(&["play a 30000", "sounds"]);
    let told = super::world::value(&w.told().payload);
    assert_eq!(told["audioItem"]["stream"]["durationInMilliseconds"], 40_000);
    assert_eq!(w.state()["stream"]["beginAtInMilliseconds"], 10_000, "CIC sees what it sent");
    assert_ne!(w.told().message_id.as_str(), "m1", "it is no repetition");
    w.heard("a", Reported::Started, 30_000);
    w.saw(&["PlayResumed a 30000"]);
    w.pass(42);
    w.saw(&["PlayFinished a 70000", "cancel a", "silent"]);
}

#[test]
fn an_opaque_stream_is_asked_for_again_when_it_is_resumed_after_a_stop() {
    let url = json!({"url": "https://e.net/a.mp3", "urlPlayable": true});
    let mut w = World::new();
    w.play_opaque("a", "REPLACE_ALL");
    w.deliver("a", &url);
    w.heard("a", Reported::Started, 0);
    w.pass(20);
    w.heard("a", Reported::Stopped, 20_000);
    w.forget_seen();
    w.control("Resume");
    w.saw(&["ask StreamRequested id-a"]);
    assert_eq!(w.state()["stream"]["url"], opaque("a")["url"], "the old URL may be outdated");
    w.deliver("a", &url);
    w.saw(&["play a 20000", "sounds"]);
    w.heard("a", Reported::Started, 20_000);
    w.saw(&["PlayResumed a 20000"]);
}

#[test]
fn a_resume_that_fails_leaves_it_stopped_and_says_nothing_twice() {
    let url = json!({"url": "https://e.net/a.mp3", "urlPlayable": true});
    let mut w = World::new();
    w.play_opaque("a", "REPLACE_ALL");
    w.deliver("a", &url);
    w.heard("a", Reported::Started, 0);
    w.enqueue("b");
    w.heard("a", Reported::Stopped, 20_000);
    w.control("Resume");
    w.forget_seen();
    w.pass(10);
    w.saw(&["count stream_never_delivered"]);
    assert_eq!(w.activity(), "STOPPED 20000");
    w.control("Resume");
    w.control("Stop");
    w.control("Resume");
    w.control("Pause");
    w.saw(&["ask StreamRequested id-a", "ask StreamRequested id-a"]);
}

#[test]
fn after_the_end_resume_plays_again_from_the_beginning() {
    let mut w = World::playing();
    w.heard("a", Reported::Finished, 10_000);
    w.forget_seen();
    w.control("Resume");
    w.heard("a", Reported::Started, 0);
    w.saw(&["play a 0", "sounds", "PlayStarted a 0"]);
}

#[test]
fn replay_plays_from_the_beginning_whatever_it_did() {
    let stream = json!({"beginAtInMilliseconds": 5000});
    let mut w = World::playing_stream(&stream);
    w.pass(10);
    w.control("Replay");
    w.saw(&["play a 5000"]);
    w.heard("a", Reported::Stopped, 15_000);
    w.heard("a", Reported::Started, 5000);
    w.saw(&["PlayStarted a 5000"]);
    w.heard("a", Reported::Paused, 9000);
    w.forget_seen();
    w.control("Replay");
    w.heard("a", Reported::Started, 5000);
    w.saw(&["play a 5000", "sounds", "PlayStarted a 5000"]);
    w.heard("a", Reported::Stopped, 9000);
    w.control("Replay");
    w.heard("a", Reported::Started, 5000);
    let want = ["PlayStopped a 9000", "silent", "play a 5000", "sounds", "PlayStarted a 5000"];
    w.saw(&want);
    w.heard("a", Reported::Finished, 20_000);
    w.control("Replay");
    w.saw(&["PlayFinished a 20000", "silent", "play a 5000", "sounds"]);
    World::new().control("Replay");
}

#[test]
fn with_repeat_one_the_same_item_is_played_again_until_another_is_wanted() {
    let mut w = World::playing();
    w.enqueue("b");
    w.order("PlaybackController.SetRepeatMode", &json!({"repeatMode": "REPEAT_ONE"}));
    w.saw(&["tell SetRepeatMode"]);
    assert_eq!(w.state()["repeatMode"], "REPEAT_ONE");
    for _ in 0..3 {
        w.pass(10);
        w.heard("a", Reported::Finished, 10_000);
        w.heard("a", Reported::Started, 0);
        w.saw(&["PlayFinished a 10000", "play a 0", "PlayStarted a 0"]);
    }
    w.pass(5);
    w.control("Next");
    w.saw(&["PlayStopped a 5000", "cancel a", "play b 0"]);
    w.heard("b", Reported::Started, 0);
    w.control("TurnOffRepeatMode");
    w.pass(5);
    w.heard("b", Reported::Finished, 5000);
    w.saw(&["PlayStarted b 0", "tell TurnOffRepeatMode", "PlayFinished b 5000", "silent"]);
    w.control("TurnOnRepeatMode");
    assert_eq!(w.state()["repeatMode"], "REPEAT_ONE");
}

#[test]
fn what_fails_or_is_over_at_once_is_not_repeated_for_ever() {
    let mut w = World::playing();
    w.control("TurnOnRepeatMode");
    w.heard("a", Reported::Finished, 100);
    w.saw(&["tell TurnOnRepeatMode", "PlayFinished a 100", "silent"]);
    w.replace("b");
    w.heard("b", Reported::Started, 0);
    w.pass(10);
    w.forget_seen();
    w.heard("b", Reported::Failed, 10_000);
    w.saw(&["count playback_failed", "PlayStopped b 10000", "silent"]);
}

#[test]
fn volume_and_muting_are_passed_on_as_they_are() {
    let mut w = World::playing();
    for name in ["Mute", "Unmute", "VolumeUp", "VolumeDown"] {
        w.control(name);
        w.saw(&[&format!("tell {name}")]);
    }
}

#[test]
fn an_unknown_repeat_mode_or_directive_is_refused() {
    let mut w = World::playing();
    let rows = [
        ("PlaybackController.SetRepeatMode", json!({}), "payload.repeatMode is missing"),
        ("PlaybackController.SetRepeatMode", json!({"repeatMode": "ALL"}), "neither NONE nor"),
        ("PlaybackController.Dance", json!({}), "no such directive"),
        ("AudioPlayer.Dance", json!({}), "no such directive"),
        ("TemplateRuntime.RenderPlayerInfo", json!({}), "no such directive"),
    ];
    for (name, payload, want) in rows {
        let told = w.try_order(name, &payload).unwrap_err().to_string();
        assert!(told.contains(want), "{told}");
    }
    w.saw(&[]);
}
