//! A CIC session against the simulated CIC, and the simulated CIC against the guide: what must be
//! refused is refused.

#![allow(clippy::unwrap_used)]

#[path = "support/session.rs"]
mod support;

use std::time::Duration;

use cic_gateway::{
    cic::{
        auth::AuthError,
        message::{AttachmentEvent, CloseReason, Command, Notice, Outcome, Source},
    },
    clock::{Clock, SystemClock},
    secret::Secret,
    sim::cic::{Fault, SimSettings},
};
use serde_json::json;
use support::*;

#[tokio::test]
async fn a_text_is_answered_with_directives_and_their_attachments() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        send(
            &session,
            &event("TextRecognizer.Recognize", Some("d1"), json!({"text": "what time"})),
        );
        let seen = until(&mut session, |notice| matches!(notice, Notice::Finished { .. })).await;
        assert!(matches!(seen[0], Notice::Sent { key: KEY }), "{:?}", seen[0]);
        assert!(matches!(seen[1], Notice::Response { status: 200, .. }));
        let bytes: usize = seen
            .iter()
            .map(|notice| match notice {
                Notice::Attachment { event: AttachmentEvent::Data(data), .. } => data.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(bytes, 5616);
        let names: Vec<_> = seen
            .iter()
            .filter_map(|notice| match notice {
                Notice::Directive { directive, source: Source::Response(KEY) } => {
                    Some(directive.full_name())
                }
                _ => None,
            })
            .collect();
        assert_eq!(names, ["Clova.RenderText", "SpeechSynthesizer.Speak"]);
        session.commands.send(Command::Close).unwrap();
        assert_eq!(closed(&mut session).await, CloseReason::Requested);
    })
    .await;
}

#[tokio::test]
async fn what_the_guide_forbids_is_refused_with_400_and_a_reason() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        let mut used = event("System.RequestSynchronizeState", None, json!({}));
        send(&session, &used);
        assert_eq!(outcome(&mut session).await, Outcome::Done);
        let mut no_context = event("DeviceControl.ReportState", None, json!({}));
        no_context.as_object_mut().unwrap().remove("context");
        let mut no_id = event("DeviceControl.ReportState", None, json!({}));
        no_id["event"]["header"].as_object_mut().unwrap().remove("messageId");
        used["event"]["payload"] = json!({});
        let rows = [
            (used, "used before"),
            (no_context, "context"),
            (no_id, "messageId"),
            (event("Clova.Nonsense", None, json!({})), "no event"),
            (event("TextRecognizer.Recognize", None, json!({"text": "x"})), "dialogRequestId"),
            (event("TextRecognizer.Recognize", Some("d"), json!({})), "text is missing"),
            (event("DeviceControl.ReportState", Some("d"), json!({})), "carries a dialogRequestId"),
            (
                event("SpeechRecognizer.Recognize", Some("d"), json!({"lang": "en"})),
                "without audio",
            ),
            (event("SpeechRecognizer.Recognize", Some("d"), json!({"lang": "fr"})), "lang"),
            (event("SpeechSynthesizer.SpeechStarted", None, json!({})), "token"),
            (
                event(
                    "TextRecognizer.Recognize",
                    Some("d"),
                    json!({"text": "x", "speechId": "?", "explicit": true}),
                ),
                "ExpectSpeech",
            ),
        ];
        for (metadata, text) in rows {
            send(&session, &metadata);
            let Outcome::Refused { status: 400, description } = outcome(&mut session).await else {
                panic!("{metadata}");
            };
            assert!(description.contains(text), "{metadata}: {description}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_downchannel_that_is_refused_or_says_nothing_ends_the_session() {
    with_bench(async |mut bench| {
        for status in [400, 401, 429, 500] {
            bench.cic.inject([Fault::ChannelStatus(status)]);
            let reason = closed(&mut bench.session()).await;
            assert!(
                matches!(reason, CloseReason::Status { status: s, .. } if s == status),
                "{reason:?}"
            );
        }
        bench.settings.connect_timeout = SHORT;
        bench.cic.inject([Fault::NoHello]);
        assert_eq!(closed(&mut bench.session()).await, CloseReason::NoHello);
        bench.settings.connect_timeout = LIMIT;
        bench.cic.expire_tokens();
        let reason = closed(&mut bench.session()).await;
        assert!(matches!(reason, CloseReason::Status { status: 401, .. }), "{reason:?}");
    })
    .await;
}

#[tokio::test]
async fn a_newer_downchannel_closes_the_older_one() {
    with_bench(async |bench| {
        let mut first = bench.connected().await;
        let _second = bench.connected().await;
        assert!(matches!(closed(&mut first).await, CloseReason::Lost(_)));
        assert_eq!(bench.cic.channels(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_aborted_upload_is_reset_and_not_processed() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        speak(&session);
        audio(&session, 1);
        // The audio is on its way once a later request has been answered.
        send_as(&session, OTHER, &report());
        finished(&mut session, OTHER).await;
        session.commands.send(Command::Abort { key: KEY }).unwrap();
        let seen =
            bench.cic.wait_for(|seen| seen.name == "SpeechRecognizer.Recognize", LIMIT).await;
        assert!(!seen.unwrap().complete);
    })
    .await;
}

#[tokio::test]
async fn codes_and_refresh_tokens_are_good_once() {
    with_bench(async |bench| {
        let (auth, now) = (&bench.auth, SystemClock.now());
        let code = bench.cic.issue_code();
        assert!(auth.pair(&device(), &code, now).await.is_ok());
        assert!(matches!(auth.pair(&device(), &code, now).await, Err(AuthError::Rejected(_))));
        let renewed = auth.refresh(&device(), &bench.tokens.refresh_token, now).await.unwrap();
        assert_ne!(renewed.refresh_token, bench.tokens.refresh_token);
        let again = auth.refresh(&device(), &bench.tokens.refresh_token, now).await;
        assert!(
            matches!(&again, Err(AuthError::Rejected(why)) if why == "invalid_grant"),
            "{again:?}"
        );
        assert!(auth.delete(&device(), &renewed.access_token).await.is_ok());
        let wrong = auth.pair(&device(), &Secret::from("nonsense"), now).await;
        assert!(!format!("{wrong:?}").contains("nonsense"), "no secret in an error");
    })
    .await;
}

#[tokio::test]
async fn tokens_that_end_at_once_do_not_make_refreshing_spin() {
    let brief = SimSettings { token_life: Duration::ZERO, ..patient() };
    with_sim(brief, async |bench| {
        let life = bench.tokens.expires_at.duration_since(bench.tokens.issued_at);
        assert_eq!(life.as_secs(), 1);
    })
    .await;
}
