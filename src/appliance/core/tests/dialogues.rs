//! Whole dialogues, told as what goes in and what comes out.

use std::time::Duration;

use serde_json::{json, value::RawValue};

use super::bench::{Bench, context};
use crate::{
    appliance::{
        core::{Input, Output},
        message::{
            DialogueState, ErrorCode, Recognize, SessionState, SpeechProgress, StopReason, Up,
        },
    },
    cic::message::{AttachmentEvent, CloseReason, Notice, Outcome, Source},
    clock::Clock,
};

#[test]
fn a_spoken_question_is_answered() {
    let mut b = Bench::connected();
    let (key, id) = b.say("u1", None);
    b.audio("u1", 100);
    b.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some(&id), json!({}));
    assert_eq!(b.commands(), ["audio 6400", "audio 100", "finish"]);
    b.notice(Notice::Sent { key });
    let source = Source::Response(key);
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    b.finish(key, Outcome::Done);
    b.report("t1", SpeechProgress::Started);
    b.report("t1", SpeechProgress::Finished);
    let want = [
        "dialogue listening",
        "stop u1 recognized",
        "dialogue thinking",
        "SpeechSynthesizer.Speak t1",
        "audio c1",
        "end c1",
        "dialogue speaking",
        "dialogue idle",
    ];
    assert_eq!(b.downs(), want);
    let events = b.events();
    assert_eq!(events[0].1, "SpeechSynthesizer.SpeechStarted");
    assert_eq!(events.len(), 1, "one at a time");
    b.finish(events[0].0, Outcome::Done);
    assert_eq!(b.events()[1].1, "SpeechSynthesizer.SpeechFinished");
}

#[test]
fn a_recognize_carries_what_the_tables_demand() {
    let mut b = Bench::connected();
    b.say("u1", None);
    let (_, sent) = b.last_upload();
    assert_eq!(sent["event"]["header"]["name"], "Recognize");
    assert!(sent["event"]["header"]["messageId"].is_string());
    let payload = &sent["event"]["payload"];
    assert_eq!(payload["lang"], "en");
    assert_eq!(payload["profile"], "CLOSE_TALK");
    assert_eq!(payload["format"], "AUDIO_L16_RATE_16000_CHANNELS_1");
    let initiator = json!({"type":"TAP","inputSource":"SELF","payload":{"deviceUUID":"device-1"}});
    assert_eq!(payload["initiator"], initiator);
    assert_eq!(payload.get("speechId"), None);
    let volume = json!([{"header":{"namespace":"Speaker","name":"VolumeState"},
        "payload":{"volume":3,"muted":false}},
        {"header":{"namespace":"Alerts","name":"AlertsState"},
        "payload":{"allAlerts":[],"activeAlerts":[]}},
        {"header":{"namespace":"AudioPlayer","name":"PlaybackState"},
        "payload":{"playerActivity":"IDLE","repeatMode":"NONE"}}]);
    assert_eq!(sent["context"], volume);
}

#[test]
fn stop_capture_for_another_id_does_not_end_the_utterance() {
    let mut b = Bench::connected();
    b.say("u1", None);
    b.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some("other"), json!({}));
    assert!(!b.commands().contains(&"finish".to_owned()));
}

#[test]
fn a_newer_request_cancels_what_the_older_one_still_has_to_say() {
    let mut b = Bench::connected();
    let (a, a_key, a_id) = b.ask("u1");
    b.speak(a, Some(&a_id), "a1", "c1");
    b.attach(a, "c1");
    b.speak(a, Some(&a_id), "a2", "c2");
    b.report("a1", SpeechProgress::Started);
    let (started, ..) = b.events().remove(0);
    b.finish(started, Outcome::Done);
    let (b_key, b_id) = b.say("u2", None);
    assert!(!b.downs().iter().any(|d| d.starts_with("cancel")), "nothing ends before B is sent");
    b.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some(&b_id), json!({}));
    b.clear();
    b.notice(Notice::Sent { key: b_key });
    assert!(b.published("cancel [a1]"), "{:?}", b.downs());
    b.attach(a, "c2");
    b.speak(a, Some(&a_id), "a3", "c3");
    b.attach(a, "c3");
    b.finish(a_key, Outcome::Done);
    b.report("a1", SpeechProgress::Stopped);
    let answer = Source::Response(b_key);
    b.speak(answer, Some(&b_id), "b1", "c4");
    b.attach(answer, "c4");
    let spoken: Vec<_> = b.downs().into_iter().filter(|d| d.starts_with("Speech")).collect();
    assert_eq!(spoken, ["SpeechSynthesizer.Speak b1"]);
    assert!(!b.published("audio c2") && !b.published("audio c3"));
    let names: Vec<_> = b.events().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["SpeechSynthesizer.SpeechStopped"], "reported once, by the gateway");
}

#[test]
fn a_failed_recognize_leaves_the_old_dialogue_alive() {
    let mut b = Bench::connected();
    let (a, _, a_id) = b.ask("u1");
    b.speak(a, Some(&a_id), "a1", "c1");
    b.attach(a, "c1");
    let (key, _) = b.say("u2", None);
    b.finish(key, Outcome::Broken("reset".into()));
    assert!(b.published("stop u2 failed"));
    assert!(!b.downs().iter().any(|down| down.starts_with("cancel")));
    b.clear();
    b.speak(a, Some(&a_id), "a2", "c2");
    b.attach(a, "c2");
    b.report("a1", SpeechProgress::Started);
    b.report("a1", SpeechProgress::Finished);
    assert!(b.published("SpeechSynthesizer.Speak a2"));
}

#[test]
fn an_answer_that_breaks_before_it_brings_anything_is_said_to_have_failed() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    b.notice(Notice::Response { key, status: 200, took: Duration::ZERO });
    b.finish(key, Outcome::Broken("reset".into()));
    assert!(b.published("stop u1 failed"), "{:?}", b.downs());
    b.clear();
    // What has brought something is carried out as far as it came.
    let (source_2, key, id_2) = b.ask("u2");
    assert_ne!((source, id), (source_2, id_2.clone()));
    b.notice(Notice::Response { key, status: 200, took: Duration::ZERO });
    b.speak(source_2, Some(&id_2), "t1", "c1");
    b.finish(key, Outcome::Broken("reset".into()));
    assert!(!b.published("stop u2 failed"), "{:?}", b.downs());
}

#[test]
fn speaks_of_one_dialogue_play_one_after_the_other_whatever_the_order_of_their_attachments() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.attach(source, "c2");
    b.speak(source, Some(&id), "t1", "c1");
    b.speak(source, Some(&id), "t2", "c2");
    assert!(!b.downs().iter().any(|down| down.starts_with("Speech")), "t1 waits for c1");
    b.attach(source, "c1");
    assert!(b.published("SpeechSynthesizer.Speak t1"));
    assert!(!b.published("SpeechSynthesizer.Speak t2"));
    b.report("t1", SpeechProgress::Started);
    b.report("t1", SpeechProgress::Finished);
    assert!(b.published("SpeechSynthesizer.Speak t2") && b.published("audio c2"));
}

#[test]
fn an_appliance_that_never_reports_does_not_block_the_queue() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    for (token, cid) in [("t1", "c1"), ("t2", "c2")] {
        b.speak(source, Some(&id), token, cid);
        b.attach(source, cid);
    }
    b.finish(key, Outcome::Done);
    b.pass(Duration::from_secs(60));
    assert!(b.published("SpeechSynthesizer.Speak t2"), "{:?}", b.downs());
    assert_eq!(b.downs().last().map(String::as_str), Some("dialogue idle"));
}

#[test]
fn a_question_is_answered_in_the_same_dialogue() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    let question = json!({"expectSpeechId":"q1","explicit":true,"timeoutInMilliseconds":7000});
    b.directive(source, "SpeechRecognizer.ExpectSpeech", Some(&id), question);
    b.attach(source, "c1");
    b.finish(key, Outcome::Done);
    b.report("t1", SpeechProgress::Started);
    assert!(!b.published("listen q1"), "the microphone opens after the speech");
    b.report("t1", SpeechProgress::Finished);
    assert!(b.published("listen q1"));
    let (key, same) = b.say("u2", Some("q1"));
    assert_eq!(same, id);
    let (_, sent) = b.last_upload();
    assert_eq!(sent["event"]["payload"]["speechId"], "q1");
    assert_eq!(sent["event"]["payload"]["explicit"], true);
    b.clear();
    b.notice(Notice::Sent { key });
    assert!(!b.downs().iter().any(|down| down.starts_with("cancel")), "nothing is superseded");
}

#[test]
fn an_unanswered_question_ends_in_idle_and_tells_cic_nothing() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    let question = json!({"expectSpeechId":"q1","explicit":true,"timeoutInMilliseconds":7000});
    b.directive(source, "SpeechRecognizer.ExpectSpeech", Some(&id), question);
    b.finish(key, Outcome::Done);
    b.clear();
    b.pass(Duration::from_secs(9));
    assert_eq!(b.downs(), ["dialogue idle"]);
    assert!(b.events().is_empty());
}

#[test]
fn an_early_answer_is_held_until_the_request_has_been_sent() {
    let mut b = Bench::connected();
    let (key, id) = b.say("u1", None);
    let source = Source::Response(key);
    b.directive(source, "Clova.RenderText", Some(&id), json!({"text": "early"}));
    assert!(!b.published("Clova.RenderText -"));
    b.notice(Notice::Sent { key });
    assert!(b.published("Clova.RenderText -"));
}

#[test]
fn directives_without_id_are_carried_out_at_once_and_unknown_ones_skipped_singly() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.directive(source, "Clova.RenderHologram", Some(&id), json!({}));
    b.directive(Source::Downchannel, "Notifier.ClearIndicator", None, json!({}));
    assert!(b.published("Notifier.ClearIndicator -"));
    assert!(!b.published("Clova.RenderHologram -"));
    b.attach(source, "c1");
    assert!(b.published("SpeechSynthesizer.Speak t1"));
}

#[test]
fn a_speak_without_id_cancels_the_one_that_is_playing() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    b.report("t1", SpeechProgress::Started);
    b.speak(Source::Downchannel, None, "t2", "c2");
    b.attach(Source::Downchannel, "c2");
    let downs = b.downs();
    let at = |text: &str| downs.iter().position(|down| down == text);
    assert!(at("cancel [t1]").unwrap() < at("SpeechSynthesizer.Speak t2").unwrap(), "{downs:?}");
}

#[test]
fn an_attachment_that_is_cut_off_is_announced_before_its_end() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    let begin = AttachmentEvent::Begin { content_type: "audio/mpeg".into() };
    for event in [begin, AttachmentEvent::Data("abc".into()), AttachmentEvent::Incomplete] {
        b.notice(Notice::Attachment { source, content_id: "c1".into(), event });
    }
    b.finish(key, Outcome::Broken("truncated".into()));
    let downs = b.downs();
    assert!(
        downs.windows(3).any(|w| w == ["audio c1", "error attachment_incomplete", "end c1"]),
        "{downs:?}"
    );
}

#[test]
fn a_speak_whose_attachment_never_comes_is_delivered_as_failed() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.finish(key, Outcome::Done);
    let downs = b.downs();
    let want = ["SpeechSynthesizer.Speak t1", "error attachment_incomplete", "end c1"];
    assert!(downs.windows(3).any(|w| w == want), "{downs:?}");
}

#[test]
fn requests_are_refused_at_once_while_cic_is_away() {
    let mut b = Bench::offline();
    b.collect();
    b.clear();
    b.up(Up::Recognize(Recognize {
        utterance: "u1".into(),
        lang: None,
        initiator: None,
        expect_speech_id: None,
    }));
    b.audio("u1", 6400);
    b.up(Up::Text { text: "hello".into(), expect_speech_id: None });
    assert_eq!(b.downs(), ["stop u1 failed", "error not_connected", "error not_connected"]);
}

#[test]
fn an_unpaired_appliance_hears_that_it_is_not_paired() {
    let mut b = Bench::connected();
    b.feed(Input::Unpaired);
    b.notice(Notice::Closed(CloseReason::Requested));
    b.clear();
    b.up(Up::Text { text: "hello".into(), expect_speech_id: None });
    assert_eq!(b.downs(), ["error not_paired"]);
}

#[test]
fn a_lost_connection_fails_what_hung_on_it_and_keeps_the_events() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    b.finish(key, Outcome::Done);
    b.say("u2", None);
    b.clear();
    b.notice(Notice::Closed(CloseReason::Lost("GOAWAY".into())));
    assert!(b.published("stop u2 failed") && b.published("session disconnected"));
    b.report("t1", SpeechProgress::Started);
    assert!(b.events().is_empty(), "nothing is sent while CIC is away");
    b.pass(Duration::from_secs(1));
    b.generation = b.connect_generation().expect("reconnects by itself");
    b.hello();
    assert_eq!(b.events()[1].1, "SpeechSynthesizer.SpeechStarted");
    assert_eq!(b.core.link.state(), SessionState::Connected);
}

#[test]
fn an_event_that_meets_401_goes_again_with_the_new_token() {
    let mut b = Bench::connected();
    let payload = RawValue::from_string("{}".into()).unwrap();
    let (namespace, name) = ("Settings".to_owned(), "RequestVersionSpec".to_owned());
    b.up(Up::Event { namespace, name, payload });
    let (key, ..) = b.events().remove(0);
    let description = String::new();
    b.finish(key, Outcome::Refused { status: 401, description });
    assert!(b.out.iter().any(|output| matches!(output, Output::Refresh)));
    assert_eq!(b.events().len(), 1);
    let now = b.clock.now();
    let expires_at = now.wall.checked_add(Duration::from_secs(1000)).unwrap();
    b.feed(Input::Tokens { issued_at: now.wall, expires_at });
    assert_eq!(b.events().len(), 2);
}

#[test]
fn a_session_is_wanted_two_seconds_after_online_even_without_state() {
    let mut b = Bench::offline();
    b.up(Up::Status { online: true, retained: false });
    assert_eq!(b.connect_generation(), None);
    b.pass(Duration::from_secs(2));
    assert!(b.connect_generation().is_some());
}

#[test]
fn a_session_lingers_after_the_appliance_has_gone() {
    let mut b = Bench::connected();
    b.up(Up::Status { online: false, retained: false });
    b.pass(Duration::from_secs(59));
    assert!(!b.out.iter().any(|output| matches!(output, Output::Disconnect { .. })));
    b.pass(Duration::from_secs(2));
    assert!(b.out.iter().any(|output| matches!(output, Output::Disconnect { .. })));
}

#[test]
fn a_flood_of_bad_input_is_reported_ten_times_and_then_summed_up() {
    let mut b = Bench::connected();
    for n in 0..50 {
        b.report(&format!("nobody{n}"), SpeechProgress::Started);
    }
    b.pass(Duration::from_secs(11));
    let errors: Vec<_> = b.downs().into_iter().filter(|down| down.starts_with("error")).collect();
    assert_eq!(errors.len(), 11, "{errors:?}");
    assert_eq!(errors[10], "error rate_limited");
    assert_eq!(b.counted_errors(ErrorCode::InvalidPayload), 50, "each");
    assert_eq!(b.counted_errors(ErrorCode::RateLimited), 1);
}

#[test]
fn attachments_that_are_cut_off_are_held_back_like_other_errors_and_end_all_the_same() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    for n in 0..12 {
        let payload = json!({"url": format!("cid:c{n}")});
        b.directive(source, "Clova.RenderTemplate", Some(&id), payload);
        let begin = AttachmentEvent::Begin { content_type: "audio/mpeg".into() };
        for event in [begin, AttachmentEvent::Data("abc".into()), AttachmentEvent::Incomplete] {
            b.notice(Notice::Attachment { source, content_id: format!("c{n}").into(), event });
        }
    }
    b.finish(key, Outcome::Done);
    let count = |b: &Bench, what: &str| b.downs().iter().filter(|d| d.starts_with(what)).count();
    assert_eq!(count(&b, "error attachment_incomplete"), 10);
    assert_eq!(count(&b, "end c"), 12);
    assert_eq!(b.counted_errors(ErrorCode::AttachmentIncomplete), 12);
    b.pass(Duration::from_secs(11));
    assert_eq!(count(&b, "error rate_limited"), 1);
}

#[test]
fn the_gateways_own_contexts_are_ignored_one_by_one() {
    let mut b = Bench::connected();
    let reports = vec![
        context("Alerts", "AlertsState", "{}"),
        context("Device", "Display", r#"{"size":"none"}"#),
    ];
    b.up(Up::State { reports, invalid: vec!["Device.Audio must be an object".into()] });
    assert_eq!(b.downs(), ["error invalid_context", "error context_ignored"]);
    b.say("u1", None);
    assert_eq!(b.last_upload().1["context"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_newer_utterance_supersedes_one_that_is_being_sent() {
    let mut b = Bench::connected();
    b.say("u1", None);
    b.clear();
    b.say("u2", None);
    assert_eq!(b.commands()[0], "abort");
    assert_eq!(b.downs()[0], "stop u1 superseded");
    let reason = StopReason::Superseded.as_str();
    assert_eq!(reason, "superseded");
    assert!(b.downs().iter().any(|down| down == "dialogue listening"));
    assert_eq!(DialogueState::Listening.as_str(), "listening");
}

#[test]
fn a_repeated_delivery_of_recognize_changes_nothing() {
    let mut b = Bench::connected();
    b.say("u1", None);
    b.clear();
    b.up(Up::Recognize(Recognize {
        utterance: "u1".into(),
        lang: None,
        initiator: None,
        expect_speech_id: None,
    }));
    assert!(b.out.is_empty());
}

#[test]
fn a_text_that_meets_401_waits_for_the_new_token_and_goes_once_more() {
    let mut b = Bench::connected();
    b.up(Up::Text { text: "hello".into(), expect_speech_id: None });
    let (key, ..) = b.events().remove(0);
    b.notice(Notice::Sent { key });
    let description = String::new();
    b.finish(key, Outcome::Refused { status: 401, description: description.clone() });
    assert_eq!(b.events().len(), 1, "not with the old token");
    let now = b.clock.now();
    let expires_at = now.wall.checked_add(Duration::from_secs(1000)).unwrap();
    b.feed(Input::Tokens { issued_at: now.wall, expires_at });
    let (key, _, again) = b.events().remove(1);
    assert_eq!(again["event"]["payload"]["text"], "hello");
    b.finish(key, Outcome::Refused { status: 401, description });
    assert!(b.published("error busy"), "{:?}", b.downs());
}

#[test]
fn a_cancelled_answer_to_a_question_leaves_the_question_open() {
    let mut b = Bench::connected();
    let (source, key, id) = b.ask("u1");
    let expect = json!({"expectSpeechId": "q", "explicit": true, "timeoutInMilliseconds": 7000});
    b.directive(source, "SpeechRecognizer.ExpectSpeech", Some(&id), expect);
    b.finish(key, Outcome::Done);
    b.say("u2", Some("q"));
    b.up(Up::CancelUtterance("u2".into()));
    let (key, again) = b.say("u3", Some("q"));
    assert_eq!(again, id, "the same dialogue");
    assert_eq!(b.last_upload().1["event"]["payload"]["speechId"], "q");
    b.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some(&id), json!({}));
    b.notice(Notice::Sent { key });
    let (_, other) = b.say("u4", Some("q"));
    assert_ne!(other, id, "answered once");
}

#[test]
fn a_question_waits_while_another_request_is_being_sent_and_comes_if_that_is_cancelled() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    let expect = json!({"expectSpeechId": "q", "explicit": true, "timeoutInMilliseconds": 7000});
    b.directive(source, "SpeechRecognizer.ExpectSpeech", Some(&id), expect);
    b.report("t1", SpeechProgress::Started);
    b.say("u2", None);
    b.report("t1", SpeechProgress::Finished);
    assert!(!b.published("listen q"));
    b.up(Up::CancelUtterance("u2".into()));
    assert!(b.published("listen q"));
}

#[test]
fn audio_of_an_older_dialogue_is_not_passed_on_even_if_its_speak_is_over() {
    let mut b = Bench::connected();
    let (a, _, a_id) = b.ask("u1");
    b.speak(a, Some(&a_id), "t1", "c1");
    let attachment = |event| Notice::Attachment { source: a, content_id: "c1".into(), event };
    b.notice(attachment(AttachmentEvent::Begin { content_type: "audio/mpeg".into() }));
    b.notice(attachment(AttachmentEvent::Data("first".into())));
    b.report("t1", SpeechProgress::Stopped);
    let (key, id) = b.say("u2", None);
    b.directive(Source::Downchannel, "SpeechRecognizer.StopCapture", Some(&id), json!({}));
    b.clear();
    b.notice(Notice::Sent { key });
    assert!(b.published("cancel []"), "{:?}", b.downs());
    b.notice(attachment(AttachmentEvent::Data("second".into())));
    b.notice(attachment(AttachmentEvent::End));
    assert!(!b.downs().iter().any(|d| d.starts_with("audio") || d.starts_with("end")));
}

#[test]
fn a_cancel_after_the_last_audio_aborts_what_is_not_sent_yet() {
    let mut b = Bench::connected();
    b.say("u1", None);
    b.audio("u1", 0);
    assert!(b.commands().contains(&"finish".to_owned()));
    b.up(Up::CancelUtterance("u1".into()));
    assert!(b.commands().contains(&"abort".to_owned()));
    assert!(b.published("stop u1 cancelled"), "{:?}", b.downs());
}

#[test]
fn a_session_outlives_the_appliances_last_sign_of_life_not_its_offline() {
    let mut b = Bench::connected();
    b.up(Up::Status { online: false, retained: false });
    b.pass(Duration::from_secs(50));
    b.up(Up::Text { text: "hello".into(), expect_speech_id: None });
    b.pass(Duration::from_secs(50));
    assert!(!b.out.iter().any(|output| matches!(output, Output::Disconnect { .. })));
}
