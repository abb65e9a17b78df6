//! A session and a simulated CIC over TLS, for the tests of both.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cic_gateway::{
    cic::{
        auth::{AuthClient, AuthSettings, Device},
        message::{AttachmentEvent, CloseReason, Command, Notice, Outcome, RequestKey},
        session::{self, SessionHandle, SessionSettings},
        tls,
    },
    clock::{Clock, SystemClock},
    ids::random_uuid,
    sim::cic::{SimSettings, SimulatedCic},
    store::Tokens,
    telemetry::metrics::Metrics,
};
use serde_json::{Value, json};
use tokio::task::LocalSet;

/// Far more than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(20);
/// For what is meant to take too long.
pub const SHORT: Duration = Duration::from_millis(300);
/// Time that a test never waits for.
pub const NEVER: Duration = Duration::from_secs(3600);
pub const KEY: RequestKey = RequestKey(1);
pub const OTHER: RequestKey = RequestKey(2);

pub type Session = SessionHandle;

pub struct Bench {
    pub cic: SimulatedCic,
    pub auth: AuthClient,
    pub tokens: Tokens,
    pub settings: SessionSettings,
}

pub fn device() -> Device {
    Device { device_id: "d".into(), model_id: "m".into() }
}

/// Without the rule on quick succession: these tests open one session after the other.
pub fn patient() -> SimSettings {
    SimSettings { channel_interval: Duration::ZERO, ..SimSettings::default() }
}

impl Bench {
    pub async fn new(sim: SimSettings) -> Self {
        let cic = SimulatedCic::start(sim).unwrap();
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
            connect_timeout: LIMIT,
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(10),
            response_timeout: LIMIT,
            idle_timeout: LIMIT,
            max_directive: 256 * 1024,
            max_attachment: 8 * 1024 * 1024,
            max_upload_backlog: 64 * 1024,
        };
        Self { cic, auth, tokens, settings }
    }

    pub fn session(&self) -> SessionHandle {
        let token = self.tokens.access_token.clone();
        session::start(Arc::new(self.settings.clone()), token, Metrics::new())
    }

    pub async fn connected(&self) -> SessionHandle {
        let mut session = self.session();
        until(&mut session, is_hello).await;
        session
    }
}

pub fn is_hello(notice: &Notice) -> bool {
    matches!(notice, Notice::Directive { directive, .. } if directive.is("Clova", "Hello"))
}

/// Everything up to the notice that fits.
pub async fn until(session: &mut SessionHandle, wanted: impl Fn(&Notice) -> bool) -> Vec<Notice> {
    let mut seen = Vec::new();
    loop {
        let next = tokio::time::timeout(LIMIT, session.notices.recv()).await.expect("in time");
        let next = next.unwrap_or_else(|| panic!("the session goes on after {seen:?}"));
        let found = wanted(&next);
        seen.push(*next);
        if found {
            return seen;
        }
    }
}

pub async fn closed(session: &mut SessionHandle) -> CloseReason {
    match until(session, |notice| matches!(notice, Notice::Closed(_))).await.pop() {
        Some(Notice::Closed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Everything up to the end of this request, and its outcome.
pub async fn finished(session: &mut SessionHandle, wanted: RequestKey) -> (Vec<Notice>, Outcome) {
    let mut seen =
        until(session, |notice| matches!(notice, Notice::Finished { key, .. } if *key == wanted))
            .await;
    match seen.pop() {
        Some(Notice::Finished { outcome, .. }) => (seen, outcome),
        other => panic!("{other:?}"),
    }
}

pub async fn outcome(session: &mut SessionHandle) -> Outcome {
    finished(session, KEY).await.1
}

/// The session still works: an event is answered.
pub async fn works(session: &mut Session) {
    send_as(session, OTHER, &report());
    assert_eq!(finished(session, OTHER).await.1, Outcome::Done);
}

pub fn is_lost(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::Lost(_))
}

pub fn event(name: &str, dialogue: Option<&str>, payload: Value) -> Value {
    let (namespace, name) = name.split_once('.').unwrap();
    let mut header = json!({"namespace": namespace, "name": name, "messageId": random_uuid()});
    if let Some(dialogue) = dialogue {
        header["dialogRequestId"] = dialogue.into();
    }
    let state = json!({"allAlerts": [], "activeAlerts": []});
    let alerts =
        json!({"header": {"namespace": "Alerts", "name": "AlertsState"}, "payload": state});
    let device = json!({"header": {"namespace": "Device", "name": "DeviceState"}, "payload": {}});
    json!({"context": [alerts, device], "event": {"header": header, "payload": payload}})
}

/// An event that is answered with `204`.
pub fn report() -> Value {
    event("DeviceControl.ReportState", None, json!({}))
}

/// A typed request; "what time" is answered with RenderText, an attachment, and Speak.
pub fn typed(text: &str) -> Value {
    event("TextRecognizer.Recognize", Some(&random_uuid()), json!({"text": text}))
}

pub fn send(session: &SessionHandle, metadata: &Value) {
    send_as(session, KEY, metadata);
}

pub fn send_as(session: &SessionHandle, key: RequestKey, metadata: &Value) {
    let metadata = Bytes::from(metadata.to_string());
    session.commands.send(Command::Event { key, metadata }).unwrap();
}

/// Opens a spoken request.
pub fn speak(session: &SessionHandle) {
    let metadata = event("SpeechRecognizer.Recognize", Some("spoken"), json!({"lang": "en"}));
    let metadata = Bytes::from(metadata.to_string());
    session.commands.send(Command::OpenUpload { key: KEY, metadata }).unwrap();
}

/// Adds so many slices of 200 ms of silence to it.
pub fn audio(session: &SessionHandle, slices: usize) {
    for _ in 0..slices {
        let (data, received) = (Bytes::from(vec![0; 6400]), std::time::Instant::now());
        session.commands.send(Command::Audio { key: KEY, data, received }).unwrap();
    }
}

pub fn finish(session: &SessionHandle) {
    session.commands.send(Command::FinishUpload { key: KEY }).unwrap();
}

/// What an answer brought, in an order of its own: directives, and attachments with their length
/// and end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Brought {
    pub directives: Vec<String>,
    pub attachments: Vec<(usize, AttachmentEvent)>,
}

pub fn brought(notices: &[Notice]) -> Brought {
    let mut brought = Brought::default();
    let mut bytes = 0;
    for notice in notices {
        match notice {
            Notice::Directive { directive, .. } => brought.directives.push(directive.full_name()),
            Notice::Attachment { event, .. } => match event {
                AttachmentEvent::Begin { .. } => bytes = 0,
                AttachmentEvent::Data(data) => bytes += data.len(),
                end => brought.attachments.push((bytes, end.clone())),
            },
            _ => {}
        }
    }
    brought
}

pub async fn with_bench<F: Future<Output = ()>>(test: impl FnOnce(Bench) -> F) {
    with_sim(patient(), test).await;
}

pub async fn with_sim<F: Future<Output = ()>>(sim: SimSettings, test: impl FnOnce(Bench) -> F) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    LocalSet::new().run_until(async { test(Bench::new(sim).await).await }).await;
}
