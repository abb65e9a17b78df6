//! Next and Previous.

use serde_json::json;

use super::{super::Reported, world::World};

#[test]
fn next_stops_the_one_that_plays_and_plays_the_one_that_waits() {
    let mut w = World::playing();
    w.enqueue("b");
    w.pass(3);
    w.control("Next");
    w.saw(&["PlayStopped a 3000", "cancel a", "play b 0"]);
    w.heard("a", Reported::Stopped, 3050);
    w.heard("b", Reported::Started, 0);
    w.saw(&["PlayStarted b 0"]);
}

#[test]
fn without_a_next_or_previous_one_what_plays_goes_on() {
    let mut w = World::playing();
    w.control("Next");
    w.control("Previous");
    w.saw(&[]);
    assert_eq!(w.activity(), "PLAYING 0");
}

#[test]
fn previous_plays_the_last_one_from_its_beginning_and_next_comes_back() {
    let mut w = World::playing();
    w.enqueue("b");
    w.enqueue("c");
    w.control("Next");
    w.heard("b", Reported::Started, 0);
    w.pass(3);
    w.forget_seen();
    w.control("Previous");
    w.saw(&["PlayStopped b 3000", "cancel b", "play a 0"]);
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Finished, 10);
    w.saw(&["PlayStarted a 0", "PlayFinished a 10", "play b 0"]);
    w.control("Next");
    w.saw(&["cancel b", "play c 0"]);
}

#[test]
fn what_was_never_heard_is_not_gone_back_to() {
    let mut w = World::playing();
    w.enqueue("b");
    w.enqueue("c");
    w.control("Next");
    w.heard("b", Reported::Failed, 0);
    w.heard("c", Reported::Started, 0);
    w.forget_seen();
    w.control("Previous");
    w.saw(&["PlayStopped c 0", "cancel c", "play a 0"]);
}

#[test]
fn skipping_to_an_opaque_stream_silences_the_old_one_before_it_is_asked_for() {
    let mut w = World::playing();
    w.play_opaque("b", "ENQUEUE");
    w.control("Next");
    w.saw(&["PlayStopped a 0", "cancel a", "ask StreamRequested id-b", "silent"]);
}

#[test]
fn the_same_track_twice_in_the_queue_is_not_mixed_up() {
    let mut w = World::playing();
    let mut again = super::world::play("a", "ENQUEUE", &json!({}));
    again["audioItem"]["audioItemId"] = json!("another");
    w.order("AudioPlayer.Play", &again);
    w.pass(3);
    w.control("Next");
    w.saw(&["PlayStopped a 3000", "play a 0"]);
    w.heard("a", Reported::Paused, 3000);
    w.heard("a", Reported::Stopped, 3000);
    w.saw(&[]);
    w.heard("a", Reported::Started, 0);
    w.heard("a", Reported::Paused, 10);
    w.saw(&["PlayStarted a 0", "PlayPaused a 10", "silent"]);
}

#[test]
fn skipping_works_while_paused_stopped_and_over() {
    for state in [Reported::Paused, Reported::Stopped, Reported::Finished] {
        let mut w = World::playing();
        w.heard("a", state, 10);
        let was_over = state == Reported::Finished;
        w.enqueue("b");
        if !was_over {
            w.control("Next");
        }
        assert!(w.take_seen().contains(&"play b 0".into()), "{state:?}");
        w.control("Previous");
        assert!(w.take_seen().contains(&"play a 0".into()), "{state:?}");
    }
}
