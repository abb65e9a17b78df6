//! The user speaks while an answer is being given (dialogue 7.2, 9).

use std::time::Duration;

use serde_json::json;

use super::bench::Bench;
use crate::{
    appliance::{
        core::Input,
        message::{DialogueState, SpeechProgress, Up},
    },
    cic::message::{Notice, Outcome, RequestKey, Source},
    clock::Clock,
};

/// An answer of two Speaks and a Play; the first Speak has begun.
fn answering() -> (Bench, Source, String) {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    for (token, cid) in [("a1", "c1"), ("a2", "c2")] {
        b.speak(source, Some(&id), token, cid);
        b.attach(source, cid);
    }
    b.order_play(source, Some(&id), "s1");
    b.report("a1", SpeechProgress::Started);
    (b, source, id)
}

impl Bench {
    fn order_play(&mut self, source: Source, id: Option<&str>, stream: &str) {
        let payload = json!({
            "audioItem": {"audioItemId": stream, "stream": {"token": stream,
                "url": "https://example.net/s.mp3", "urlPlayable": true,
                "beginAtInMilliseconds": 0}},
            "playBehavior": "REPLACE_ALL"});
        self.directive(source, "AudioPlayer.Play", id, payload);
    }

    fn stop_capture(&mut self, id: &str) {
        self.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some(id), json!({}));
    }

    fn answers_delivered(&self) -> Vec<String> {
        let is_answer = |down: &String| {
            down.starts_with("SpeechSynthesizer") || down.starts_with("AudioPlayer.Play")
        };
        self.downs().into_iter().filter(is_answer).collect()
    }

    fn interrupts(&mut self) -> (RequestKey, String) {
        self.clear();
        self.say("u2", None)
    }
}

#[test]
fn what_is_left_of_an_answer_does_not_interrupt_the_user_and_ends_with_the_new_request() {
    for end in [SpeechProgress::Finished, SpeechProgress::Stopped] {
        let (mut b, source, id) = answering();
        let (key, new) = b.interrupts();
        b.report("a1", end);
        b.order_play(source, Some(&id), "s2");
        assert_eq!(b.answers_delivered(), [""; 0], "{end:?}");
        assert!(!b.published("stop u2 cancelled") && b.commands() == ["audio 6400"], "{end:?}");
        b.stop_capture(&new);
        b.notice(Notice::Sent { key });
        b.speak(Source::Response(key), Some(&new), "b1", "c3");
        b.attach(Source::Response(key), "c3");
        assert_eq!(b.answers_delivered(), ["SpeechSynthesizer.Speak b1"], "{end:?}");
    }
}

#[test]
fn what_is_left_of_an_answer_goes_on_when_the_request_that_interrupts_it_fails() {
    let (mut b, ..) = answering();
    let (key, _) = b.interrupts();
    b.report("a1", SpeechProgress::Finished);
    b.finish(key, Outcome::Broken("reset".into()));
    assert_eq!(b.answers_delivered(), ["SpeechSynthesizer.Speak a2"]);
    b.report("a2", SpeechProgress::Started);
    b.report("a2", SpeechProgress::Finished);
    assert_eq!(b.answers_delivered().len(), 2, "and the music after it");
}

/// Music, and over it a Speak that has begun.
fn speaking_over_music() -> (Bench, String) {
    let mut b = Bench::connected();
    b.order_play(Source::Downchannel, None, "s0");
    let (source, key, id) = b.ask("u1");
    b.speak(source, Some(&id), "a1", "c1");
    b.attach(source, "c1");
    b.finish(key, Outcome::Done);
    b.report("a1", SpeechProgress::Started);
    (b, id)
}

#[test]
fn from_the_end_of_the_users_speech_to_the_answer_nothing_comes_to_the_front() {
    for appliance_ends in [true, false] {
        let (mut b, _) = speaking_over_music();
        let (key, new) = b.interrupts();
        assert_eq!(b.focus(), ["focus (dialogue) (content)"]);
        match appliance_ends {
            true => b.audio("u2", 0),
            false => b.stop_capture(&new),
        }
        let thinking = Some((DialogueState::Thinking, Some(new.as_str().into())));
        assert_eq!(b.lights(), thinking, "the new request's, not the old speech's");
        b.notice(Notice::Sent { key });
        b.speak(Source::Response(key), Some(&new), "b1", "c2");
        b.attach(Source::Response(key), "c2");
        b.finish(key, Outcome::Done);
        b.report("b1", SpeechProgress::Started);
        let want = ["focus (dialogue) (content)", "focus (content)", "focus dialogue (content)"];
        assert_eq!(b.focus(), want, "appliance ends it: {appliance_ends}");
        let lights = b.downs().into_iter().filter(|down| down.starts_with("dialogue"));
        let want = ["dialogue listening", "dialogue thinking", "dialogue speaking"];
        assert_eq!(lights.collect::<Vec<_>>(), want);
        b.report("b1", SpeechProgress::Finished);
        assert_eq!(b.focus().last().map(String::as_str), Some("focus content"));
    }
}

#[test]
fn the_older_speech_comes_back_when_the_request_fails_after_the_user_has_spoken() {
    let (mut b, old) = speaking_over_music();
    let (key, new) = b.interrupts();
    b.stop_capture(&new);
    b.finish(key, Outcome::Broken("reset".into()));
    assert_eq!(b.focus(), ["focus (dialogue) (content)", "focus dialogue (content)"]);
    assert_eq!(b.lights(), Some((DialogueState::Speaking, Some(old.as_str().into()))));
}

#[test]
fn a_refused_text_does_not_go_again_behind_a_newer_request() {
    let mut b = Bench::connected();
    b.up(Up::Text { text: "hello".into(), expect_speech_id: None });
    let (key, ..) = b.events().remove(0);
    b.notice(Notice::Sent { key });
    b.say("u1", None);
    b.finish(key, Outcome::Refused { status: 401, description: String::new() });
    let now = b.clock.now();
    let expires_at = now.wall.checked_add(Duration::from_secs(1000)).unwrap();
    b.feed(Input::Tokens { issued_at: now.wall, expires_at });
    assert_eq!(b.events().len(), 1, "the user has asked for something else");
    assert!(b.published("error busy"), "{:?}", b.downs());
}
