//! A CIC session against the simulated CIC, and the simulated CIC against the guide: what must be
//! refused is refused.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cic_gateway::{
    cic::{
        auth::{AuthClient, AuthError, AuthSettings, Device},
        message::{AttachmentEvent, CloseReason, Command, Notice, Outcome, RequestKey, Source},
        session::{self, SessionHandle, SessionSettings},
        tls,
    },
    clock::{Clock, SystemClock},
    ids::random_uuid,
    secret::Secret,
    sim::cic::{Fault, SimSettings, SimulatedCic},
    store::Tokens,
    telemetry::metrics::Metrics,
};
use serde_json::json;
use tokio::task::LocalSet;

const LIMIT: Duration = Duration::from_secs(20);
const KEY: RequestKey = RequestKey(1);

struct Bench {
    cic: SimulatedCic,
    auth: AuthClient,
    tokens: Tokens,
    settings: Arc<SessionSettings>,
}

fn device() -> Device {
    Device { device_id: "d".into(), model_id: "m".into() }
}

impl Bench {
    async fn new(connect_timeout: Duration) -> Self {
        let cic = SimulatedCic::start(SimSettings::default()).unwrap();
        let ca = cic.ca_pem().unwrap().as_bytes().to_vec();
        let auth = AuthClient::new(AuthSettings {
            base_uri: cic.auth_uri(),
            ca_pem: Some(ca.clone()),
            client_id: "c".into(),
            client_secret: "s".into(),
            user_agent: "A/B/1.0.0 (OS;HW)".into(),
        })
        .unwrap();
        let tokens = auth.pair(&device(), &cic.issue_code(), SystemClock.now()).await.unwrap();
        let settings = SessionSettings {
            base_uri: cic.cic_uri().parse().unwrap(),
            tls: Some(tls::client_config(Some(&ca), &["h2"]).unwrap()),
            user_agent: "A/B/1.0.0 (OS;HW)".parse().unwrap(),
            connect_timeout,
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(10),
            response_timeout: LIMIT,
            idle_timeout: LIMIT,
            max_directive: 256 * 1024,
            max_attachment: 8 * 1024 * 1024,
            max_upload_backlog: 64 * 1024,
        };
        Self { cic, auth, tokens, settings: Arc::new(settings) }
    }

    fn session(&self) -> SessionHandle {
        session::start(self.settings.clone(), self.tokens.access_token.clone(), Metrics::new())
    }

    async fn connected(&self) -> SessionHandle {
        let mut session = self.session();
        until(&mut session, |notice| {
            matches!(notice, Notice::Directive { directive, .. } if directive.is("Clova", "Hello"))
        })
        .await;
        session
    }
}

/// Everything up to the notice that fits.
async fn until(session: &mut SessionHandle, wanted: impl Fn(&Notice) -> bool) -> Vec<Notice> {
    let mut seen = Vec::new();
    loop {
        let next = tokio::time::timeout(LIMIT, session.notices.recv()).await.expect("in time");
        let next = next.expect("the session goes on");
        let found = wanted(&next);
        seen.push(next);
        if found {
            return seen;
        }
    }
}

async fn closed(session: &mut SessionHandle) -> CloseReason {
    match until(session, |notice| matches!(notice, Notice::Closed(_))).await.pop() {
        Some(Notice::Closed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

async fn outcome(session: &mut SessionHandle) -> Outcome {
    match until(session, |notice| matches!(notice, Notice::Finished { .. })).await.pop() {
        Some(Notice::Finished { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn event(name: &str, dialogue: Option<&str>, payload: serde_json::Value) -> serde_json::Value {
    let (namespace, name) = name.split_once('.').unwrap();
    let mut header = json!({"namespace": namespace, "name": name, "messageId": random_uuid()});
    if let Some(dialogue) = dialogue {
        header["dialogRequestId"] = dialogue.into();
    }
    json!({"context": [], "event": {"header": header, "payload": payload}})
}

fn send(session: &SessionHandle, metadata: &serde_json::Value) {
    let metadata = Bytes::from(metadata.to_string());
    session.commands.send(Command::Event { key: KEY, metadata }).unwrap();
}

async fn with_bench<F: Future<Output = ()>>(limit: Duration, test: impl FnOnce(Bench) -> F) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    LocalSet::new().run_until(async { test(Bench::new(limit).await).await }).await;
}

#[tokio::test]
async fn a_text_is_answered_with_directives_and_their_attachments() {
    with_bench(LIMIT, async |bench| {
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
    with_bench(LIMIT, async |bench| {
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
async fn statuses_of_events_are_told() {
    with_bench(LIMIT, async |bench| {
        let mut session = bench.connected().await;
        for status in [401, 412, 429, 500, 503] {
            bench.cic.inject([Fault::EventStatus(status)]);
            send(&session, &event("DeviceControl.ReportState", None, json!({})));
            let told = outcome(&mut session).await;
            assert!(matches!(told, Outcome::Refused { status: s, .. } if s == status), "{told:?}");
        }
        bench.cic.inject([Fault::ResetEvent]);
        send(&session, &event("DeviceControl.ReportState", None, json!({})));
        assert!(matches!(outcome(&mut session).await, Outcome::Broken(_)));
    })
    .await;
}

#[tokio::test]
async fn a_downchannel_that_is_refused_or_says_nothing_ends_the_session() {
    with_bench(Duration::from_millis(700), async |bench| {
        for status in [400, 401, 429, 500] {
            bench.cic.inject([Fault::ChannelStatus(status)]);
            let reason = closed(&mut bench.session()).await;
            assert!(
                matches!(reason, CloseReason::Status { status: s, .. } if s == status),
                "{reason:?}"
            );
        }
        bench.cic.inject([Fault::NoHello]);
        assert_eq!(closed(&mut bench.session()).await, CloseReason::NoHello);
        bench.cic.expire_tokens();
        let reason = closed(&mut bench.session()).await;
        assert!(matches!(reason, CloseReason::Status { status: 401, .. }), "{reason:?}");
    })
    .await;
}

#[tokio::test]
async fn a_newer_downchannel_closes_the_older_one() {
    with_bench(LIMIT, async |bench| {
        let mut first = bench.connected().await;
        let _second = bench.connected().await;
        assert!(matches!(closed(&mut first).await, CloseReason::Lost(_)));
        assert_eq!(bench.cic.channels(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_aborted_upload_is_reset_and_not_processed() {
    with_bench(LIMIT, async |bench| {
        let mut session = bench.connected().await;
        let metadata = event("SpeechRecognizer.Recognize", Some("d"), json!({"lang": "en"}));
        let metadata = Bytes::from(metadata.to_string());
        session.commands.send(Command::OpenUpload { key: KEY, metadata }).unwrap();
        let (data, received) = (Bytes::from(vec![0; 6400]), std::time::Instant::now());
        session.commands.send(Command::Audio { key: KEY, data, received }).unwrap();
        // The audio is on its way once a later request has been answered.
        let other = RequestKey(2);
        let metadata = event("DeviceControl.ReportState", None, json!({})).to_string().into();
        session.commands.send(Command::Event { key: other, metadata }).unwrap();
        until(
            &mut session,
            |notice| matches!(notice, Notice::Finished { key, .. } if *key == other),
        )
        .await;
        session.commands.send(Command::Abort { key: KEY }).unwrap();
        let seen =
            bench.cic.wait_for(|seen| seen.name == "SpeechRecognizer.Recognize", LIMIT).await;
        assert!(!seen.unwrap().complete);
    })
    .await;
}

#[tokio::test]
async fn codes_and_refresh_tokens_are_good_once() {
    with_bench(LIMIT, async |bench| {
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
