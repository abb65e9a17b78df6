//! Answers of CIC that are late, early, cut off, or malicious: what arrives of them, and how their
//! event ends.

#![allow(clippy::unwrap_used)]

#[path = "support/session.rs"]
mod support;

use std::time::Duration;

use cic_gateway::{
    cic::message::{AttachmentEvent, CloseReason, Notice, Outcome, SkipReason},
    sim::cic::{ErrorBody, Fault, Place},
};
use serde_json::json;
use support::*;

#[tokio::test]
async fn a_late_answer_is_waited_for_within_its_time_only() {
    with_bench(async |mut bench| {
        bench.settings.response_timeout = SHORT;
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::LateAnswer(NEVER)]);
        send(&session, &typed("what time"));
        let outcome = outcome(&mut session).await;
        assert!(matches!(&outcome, Outcome::Broken(why) if why.contains("no answer")));
        works(&mut session).await;
        bench.settings.response_timeout = LIMIT;
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::LateAnswer(Duration::from_millis(50))]);
        send(&session, &typed("what time"));
        assert_eq!(finished(&mut session, KEY).await.1, Outcome::Done);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_trickles_byte_by_byte_brings_the_same() {
    with_bench(async |bench| {
        bench.cic.inject([Fault::Trickled.on(Place::Channel)]);
        let mut session = bench.connected().await;
        send(&session, &typed("what time"));
        let (whole, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Done);
        bench.cic.inject([Fault::Trickled]);
        send(&session, &typed("what time"));
        let (trickled, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Done);
        assert!(trickled.len() < 50, "not a notice a byte: each becomes a message of MQTT");
        assert_eq!(brought(&trickled), brought(&whole));
        assert_eq!(brought(&whole).attachments, [(5616, AttachmentEvent::End)]);
    })
    .await;
}

#[tokio::test]
async fn without_a_closing_delimiter_json_is_whole_and_an_attachment_is_not() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        // The attachment comes first, the directive last.
        bench.cic.inject([Fault::NoClosingDelimiter]);
        send(&session, &typed("what time"));
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(brought(&notices).directives, ["Clova.RenderText", "SpeechSynthesizer.Speak"]);
        // The directive first, the attachment last.
        bench.cic.inject([Fault::NoClosingDelimiter]);
        send(&session, &typed("sing"));
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
        let attachments = brought(&notices).attachments;
        assert!(matches!(attachments[..], [(1.., AttachmentEvent::Incomplete)]), "{attachments:?}");
    })
    .await;
}

#[tokio::test]
async fn an_attachment_that_never_ends_is_incomplete() {
    with_bench(async |mut bench| {
        bench.settings.idle_timeout = SHORT;
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::EndlessAttachment]);
        send(&session, &typed("sing"));
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert!(matches!(&outcome, Outcome::Broken(why) if why.contains("stood still")));
        let attachments = brought(&notices).attachments;
        assert!(matches!(attachments[..], [(1.., AttachmentEvent::Incomplete)]), "{attachments:?}");
        works(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn an_early_answer_does_not_end_the_upload() {
    with_bench(async |mut bench| {
        // Silence counts only once it is CIC's turn, or this would end it at once.
        bench.settings.idle_timeout = Duration::ZERO;
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::EarlyAnswer]);
        speak(&session);
        audio(&session, 1);
        let early = until(&mut session, |notice| {
            matches!(notice, Notice::Attachment { event: AttachmentEvent::End, .. })
        })
        .await;
        assert!(early.iter().any(|notice| matches!(notice, Notice::Response { .. })));
        assert!(!early.iter().any(|notice| matches!(notice, Notice::Sent { .. })));
        audio(&session, 3);
        finish(&session);
        let (rest, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Done);
        assert!(matches!(rest[..], [Notice::Sent { key: KEY }]), "{rest:?}");
        let seen = bench.cic.wait_for(|seen| seen.complete, LIMIT).await.unwrap();
        assert_eq!(seen.audio.len(), 4 * 6400);
    })
    .await;
}

#[tokio::test]
async fn every_status_is_told_with_every_form_of_body() {
    let said = [
        (ErrorBody::Multipart, "injected fault"),
        (ErrorBody::Json, "INJECTED_FAULT"),
        (ErrorBody::Empty, ""),
    ];
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        for status in [400, 401, 412, 429, 500, 503] {
            for (body, text) in said {
                let want = Outcome::Refused { status, description: text.into() };
                bench.cic.inject([Fault::EventRefused(status, body)]);
                send(&session, &report());
                assert_eq!(finished(&mut session, KEY).await.1, want);
                // While audio still flows: the refusal ends the upload.
                bench.cic.inject([Fault::EventRefused(status, body)]);
                speak(&session);
                audio(&session, 1);
                assert_eq!(finished(&mut session, KEY).await.1, want);
                bench.cic.inject([Fault::ChannelRefused(status, body)]);
                let want = CloseReason::Status { status, description: text.into() };
                assert_eq!(closed(&mut bench.session()).await, want);
            }
        }
        works(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_told_although_the_reset_behind_it_ends_a_blocked_upload() {
    with_bench(async |bench| {
        bench.cic.inject([Fault::SlowReader { window: 1024, pause: NEVER }]);
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::EventRefused(401, ErrorBody::Empty)]);
        speak(&session);
        audio(&session, 2);
        let (_, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Refused { status: 401, description: String::new() });
    })
    .await;
}

#[tokio::test]
async fn an_error_body_that_never_ends_is_cut_short() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::EventRefused(500, ErrorBody::Endless)]);
        send(&session, &report());
        let outcome = outcome(&mut session).await;
        let Outcome::Refused { status: 500, description } = outcome else { panic!("{outcome:?}") };
        assert_eq!(description, "INJECTED_FAULT");
        works(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn headers_beyond_the_bound_break_the_request_and_a_bomb_the_connection() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::HeaderBomb(20 * 1024)]);
        send(&session, &report());
        let outcome = outcome(&mut session).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
        works(&mut session).await;
        bench.cic.inject([Fault::HeaderBomb(4 * 1024 * 1024)]);
        send(&session, &report());
        assert!(is_lost(&closed(&mut session).await));
        bench.cic.inject([Fault::HeaderBomb(4 * 1024 * 1024).on(Place::Channel)]);
        assert!(is_lost(&closed(&mut bench.session()).await));
    })
    .await;
}

#[tokio::test]
async fn a_hundred_empty_frames_pass_and_more_end_the_connection() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::EmptyFrames(100), Fault::EmptyFrames(1)]);
        send(&session, &typed("what time"));
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert_eq!((outcome, brought(&notices).directives.len()), (Outcome::Done, 2));
        send(&session, &typed("what time"));
        assert!(is_lost(&closed(&mut session).await), "h2 counts them over a connection's life");
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_tiny_frames_is_survived_or_ends_the_connection_as_a_loss() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::TinyFrames(1_000_000)]);
        send(&session, &typed("what time"));
        let (_, outcome) = finished(&mut session, KEY).await;
        match outcome {
            Outcome::Done => works(&mut session).await,
            Outcome::Broken(_) => assert!(is_lost(&closed(&mut session).await)),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_used_is_skipped_by_itself_and_given_back_to_flow_control() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::Rubbish]);
        send(&session, &typed("what time"));
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Done);
        let skipped = notices.iter().filter_map(|notice| match notice {
            Notice::Skipped { reason, .. } => Some(*reason),
            _ => None,
        });
        let want = [SkipReason::Malformed, SkipReason::Malformed, SkipReason::TooLarge];
        assert_eq!(skipped.collect::<Vec<_>>(), want);
        assert_eq!(brought(&notices).directives.len(), 2);
        assert_eq!(brought(&notices).attachments.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_downchannel_carries_more_than_its_window() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        let text = "x".repeat(200 * 1024);
        for _ in 0..8 {
            let header = json!({"namespace": "Clova", "name": "RenderText", "messageId": "m"});
            bench.cic.push(&json!({"directive": {"header": header, "payload": {"text": text}}}));
        }
        for _ in 0..8 {
            until(&mut session, |notice| matches!(notice, Notice::Directive { .. })).await;
        }
    })
    .await;
}
