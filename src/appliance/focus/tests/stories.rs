//! What happens one after the other.

use super::{
    super::{Attention, Channel, MAX_SOUNDS},
    world::World,
};
use crate::appliance::message::DialogueState;

#[test]
fn the_last_that_came_is_the_first_that_goes() {
    let mut w = World::new();
    w.start(Channel::Content, "a");
    w.saw(&["[content]"]);
    w.start(Channel::Dialogue, "b");
    w.saw(&["[dialogue content-]"]);
    w.start(Channel::Alert, "c");
    w.saw(&["[alert dialogue- content-]"]);
    w.end(Channel::Alert, "c");
    w.saw(&["[dialogue content-]"]);
    w.end(Channel::Dialogue, "b");
    w.saw(&["[content]"]);
    w.end(Channel::Content, "a");
    w.saw(&["[]"]);
}

#[test]
fn what_ends_in_the_background_leaves_the_front_as_it_is() {
    let mut w = World::new();
    w.start(Channel::Content, "a");
    w.start(Channel::Dialogue, "b");
    w.seen();
    w.end(Channel::Content, "a");
    w.saw(&["[dialogue]"]);
}

#[test]
fn of_two_alerts_the_newest_sounds_and_the_older_comes_back_where_it_was() {
    let mut w = World::new();
    w.start(Channel::Alert, "a");
    w.start(Channel::Alert, "b");
    w.saw(&["hush a", "[alert]"]);
    w.end(Channel::Alert, "b");
    w.saw(&[]);
    w.start(Channel::Content, "c");
    w.start(Channel::Alert, "d");
    w.saw(&["hush a", "[alert content-]"]);
    w.end(Channel::Alert, "d");
    w.saw(&["[alert- content]"]);
    w.end(Channel::Content, "c");
    w.saw(&["[alert]"]);
    w.end(Channel::Alert, "a");
    w.saw(&["[]"]);
}

#[test]
fn speaks_of_one_answer_do_not_let_the_music_flare_up() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.attend(Attention::Processing);
    w.start(Channel::Dialogue, "a");
    w.attend(Attention::Speaking);
    w.seen();
    w.end(Channel::Dialogue, "a");
    w.start(Channel::Dialogue, "b");
    w.saw(&[]);
    // The third one is late: CLOVA is still at work.
    w.end(Channel::Dialogue, "b");
    w.attend(Attention::Processing);
    w.saw(&["[content-]"]);
    w.start(Channel::Dialogue, "c");
    w.attend(Attention::Speaking);
    w.saw(&["[dialogue content-]"]);
    w.end(Channel::Dialogue, "c");
    w.attend(Attention::Idle);
    w.saw(&["[content]"]);
}

#[test]
fn a_sound_that_its_owner_has_ended_is_not_cancelled() {
    let mut w = World::new();
    w.start(Channel::Dialogue, "a");
    w.end(Channel::Dialogue, "a");
    w.start(Channel::Dialogue, "b");
    w.saw(&["[dialogue]"]);
    w.start(Channel::Dialogue, "c");
    w.end(Channel::Dialogue, "b");
    w.saw(&["cancel dialogue b"]);
}

#[test]
fn saying_it_twice_changes_nothing() {
    let mut w = World::new();
    w.start(Channel::Alert, "a");
    w.start(Channel::Content, "b");
    w.start(Channel::Alert, "a");
    w.saw(&["[alert- content]"]);
    w.attend(Attention::Listening);
    w.attend(Attention::Listening);
    w.start(Channel::Alert, "a");
    w.saw(&["[alert- content-]"]);
    w.end(Channel::Alert, "a");
    w.end(Channel::Alert, "a");
    w.end(Channel::Dialogue, "never");
    w.saw(&["[content-]"]);
}

#[test]
fn an_interrupted_speech_comes_back_when_the_new_request_fails() {
    let mut w = World::new();
    w.start(Channel::Dialogue, "a");
    w.attend(Attention::Speaking);
    w.attend(Attention::Listening);
    w.saw(&["[dialogue-]"]);
    // It still speaks, so that is what the dialogue's state is again.
    w.attend(Attention::Speaking);
    w.saw(&["[dialogue]"]);
}

#[test]
fn music_stays_behind_the_user_until_the_answer_that_replaces_the_older_one_has_been_spoken() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.start(Channel::Dialogue, "a");
    w.attend(Attention::Speaking);
    w.seen();
    w.attend(Attention::Listening);
    w.saw(&["[dialogue- content-]"]);
    w.attend(Attention::Processing);
    w.saw(&[]);
    w.end(Channel::Dialogue, "a");
    w.saw(&["[content-]"]);
    w.start(Channel::Dialogue, "b");
    w.attend(Attention::Speaking);
    w.saw(&["[dialogue content-]"]);
    w.end(Channel::Dialogue, "b");
    w.attend(Attention::Idle);
    w.saw(&["[content]"]);
}

#[test]
fn a_request_that_fails_after_the_user_has_spoken_gives_the_front_back_to_the_older_speech() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.start(Channel::Dialogue, "a");
    w.attend(Attention::Speaking);
    w.attend(Attention::Listening);
    w.attend(Attention::Processing);
    w.saw(&["[dialogue- content-]"]);
    w.attend(Attention::Speaking);
    w.saw(&["[dialogue content-]"]);
}

#[test]
fn a_speech_that_nobody_has_asked_for_is_in_front_from_its_delivery_on() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.start(Channel::Dialogue, "a");
    // Until the appliance reports that it plays, the dialogue's state is thinking.
    w.attend(Attention::Processing);
    w.saw(&["[dialogue content-]"]);
    w.attend(Attention::Speaking);
    w.saw(&[]);
}

#[test]
fn an_alert_that_rings_while_the_answer_is_spoken_stays_in_front() {
    let mut w = World::new();
    w.attend(Attention::Processing);
    w.start(Channel::Dialogue, "a");
    w.attend(Attention::Speaking);
    w.start(Channel::Alert, "b");
    w.saw(&["[alert dialogue-]"]);
    w.end(Channel::Dialogue, "a");
    w.attend(Attention::Processing);
    w.saw(&["[alert]"]);
}

#[test]
fn listening_is_cancelled_once_however_often_the_core_says_that_it_listens() {
    let mut w = World::new();
    w.attend(Attention::Listening);
    w.start(Channel::Alert, "a");
    w.attend(Attention::Listening);
    w.start(Channel::Content, "b");
    w.saw(&["cancel capture", "[alert- content]"]);
    // Something of the queue may still wait; what has cancelled the user stays in front.
    w.attend(Attention::Processing);
    w.saw(&[]);
    w.attend(Attention::Listening);
    w.saw(&["[alert- content-]"]);
    w.start(Channel::Dialogue, "c");
    w.saw(&["cancel capture", "[alert- dialogue content-]"]);
    w.attend(Attention::Idle);
    w.attend(Attention::Listening);
    w.saw(&["[alert- dialogue- content-]"]);
}

#[test]
fn an_appliance_that_returns_is_told_again_what_sounds() {
    let mut w = World::new();
    w.saw(&[]);
    w.focus.announce();
    w.saw(&["[]"]);
    w.start(Channel::Content, "a");
    w.saw(&["[content]"]);
    w.focus.announce();
    w.saw(&["[content]"]);
    w.notify("n");
    w.notify("o");
    w.seen();
    w.focus.silence();
    w.saw(&["superseded o", "[]"]);
    assert_eq!(w.focus.poll_timeout(), None);
}

#[test]
fn sounds_are_bounded_and_end_in_silence_all_the_same() {
    let mut w = World::new();
    let count = MAX_SOUNDS + 100;
    for n in 0..count {
        w.start(Channel::Alert, &n.to_string());
    }
    assert_eq!(w.focus.sounds().len(), MAX_SOUNDS);
    for n in 0..count {
        w.end(Channel::Alert, &n.to_string());
    }
    assert_eq!(w.seen().iter().filter(|seen| !seen.starts_with("hush")).count(), 0);
    assert!(w.focus.sounds().is_empty());
}

#[test]
fn the_dialogues_state_says_where_the_request_stands() {
    let rows = [
        (DialogueState::Listening, Attention::Listening),
        (DialogueState::Thinking, Attention::Processing),
        (DialogueState::Speaking, Attention::Speaking),
        (DialogueState::Idle, Attention::Idle),
    ];
    for (state, attention) in rows {
        assert_eq!(Attention::from(state), attention);
    }
}
