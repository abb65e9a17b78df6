//! Actors that panic, are full, or are told to end.

use std::{cell::RefCell, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    appliance::{
        actor::{Crash, Hang, Inspect, MAILBOX},
        alerts::{self, Alert, AlertSettings, Phase},
        env::Handshakes,
        feed::Feed,
        ledger::{Save, Step},
        snapshot::Snapshot,
    },
    cic::{
        auth::{AuthClient, AuthSettings},
        link::Policy,
        session::{self, SessionSettings},
    },
    clock::SystemClock,
    mqtt::{Publication, link::Publisher},
    profile::Profiles,
    store::{
        self, SharedStore, Tokens,
        doings::{ApplianceSave, Saver},
    },
    telemetry::metrics::Metrics,
};

struct Bench {
    registry: Registry,
    publisher: Publisher,
    metrics: Metrics,
    store: SharedStore,
    id: ApplianceId,
    _dir: tempfile::TempDir,
}

fn alert(token: &str, phase: Phase) -> Arc<Alert> {
    let now = jiff::Timestamp::now();
    let payload = json!({"token": token, "type": "TIMER", "scheduledTime": now.to_string()});
    Arc::new(Alert::parse(&payload.to_string(), now).unwrap().in_phase(phase, now))
}

impl Bench {
    /// One paired appliance with a ringing alert; CIC and auth server are nowhere.
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let (metrics, publisher) = (Metrics::new(), Publisher::detached());
        let url = format!("sqlite://{}", dir.path().join("store.db").display());
        let store = store::open(&url, &"".into(), true, metrics.clone()).await.unwrap();
        let id = ApplianceId::parse("a").unwrap();
        let new = store::provision::NewAppliance {
            id: id.clone(),
            model_id: "m".into(),
            lang: "ko".into(),
            device_id: None,
        };
        let now = jiff::Timestamp::now();
        store::provision::add(store.as_ref(), new, now).await.unwrap();
        let expires_at = now.checked_add(Duration::from_secs(86_400)).unwrap();
        let tokens = Tokens {
            access_token: "access".into(),
            refresh_token: "refresh".into(),
            issued_at: now,
            expires_at,
        };
        store.set_tokens(&id, &tokens).await.unwrap();
        let steps = vec![Step::Alert(alerts::Step::Put(alert("t", Phase::Ringing)))];
        let save = Save { whole: false, steps };
        let pairing = store.get(&id).await.unwrap().unwrap().pairing;
        store.save(&[ApplianceSave { appliance: id.clone(), pairing, save }]).await.unwrap();
        let env = env(&store, &publisher, &metrics);
        let mut registry = Registry::new(env);
        let kept = store.kept().await.unwrap();
        registry.provision(store.list().await.unwrap(), kept);
        Self { registry, publisher, metrics, store, id, _dir: dir }
    }

    fn message(&self, rest: &str, payload: &str) -> Inbound {
        Inbound {
            topic: format!("cic/v1/a/{rest}").into(),
            payload: payload.to_owned().into(),
            retained: false,
            repeated: false,
            received: std::time::Instant::now(),
            traceparent: None,
        }
    }

    async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, replied) = oneshot::channel();
        self.registry.addr(&self.id)?.try_send(Inspect { whole: false, reply }).ok()?;
        replied.await.ok()
    }

    fn published(&self) -> Vec<String> {
        let short = |publication: Publication| {
            let value: Value = serde_json::from_slice(&publication.payload).unwrap_or_default();
            let name = publication.topic.rsplit('/').next().unwrap_or_default().to_owned();
            let what = value["action"].as_str().or(value["state"].as_str()).unwrap_or("-");
            format!("{name} {what}")
        };
        self.publisher.take_all().into_iter().map(short).collect()
    }

    async fn gauge(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|l| l == format!("cic_gateway_{line}"))
    }
}

fn env(store: &SharedStore, publisher: &Publisher, metrics: &Metrics) -> Rc<Env> {
    let auth = AuthClient::new(AuthSettings {
        base_uri: "http://127.0.0.1:9/".into(),
        ca_pem: None,
        client_id: "c".into(),
        client_secret: "s".into(),
        user_agent: "A/B/1.0.0 (OS;HW)".into(),
    });
    let session = SessionSettings {
        base_uri: "http://127.0.0.1:9/".parse().unwrap(),
        tls: None,
        user_agent: "A/B/1.0.0 (OS;HW)".parse().unwrap(),
        connect_timeout: Duration::from_secs(1),
        ping_interval: Duration::from_secs(60),
        ping_timeout: Duration::from_secs(10),
        max_directive: 1024,
        max_attachment: 1024,
        max_upload_backlog: 1024,
        response_timeout: session::RESPONSE_TIMEOUT,
        idle_timeout: session::IDLE_TIMEOUT,
    };
    Rc::new(Env {
        publisher: publisher.clone(),
        store: store.clone(),
        saver: Saver::start(store.clone()).0,
        alerts: AlertSettings {
            forget_offline: false,
            past_due_window: Duration::from_secs(1800),
            ring_timeout: Duration::from_secs(3600),
        },
        auth: auth.unwrap(),
        session: Arc::new(session),
        link: Policy::default(),
        handshakes: RefCell::new(Handshakes::per_second(200)),
        clock: Arc::new(SystemClock),
        feed: Feed::default(),
        tracer: None,
        metrics: metrics.clone(),
        topic_root: "cic/v1".into(),
        max_utterance: Duration::from_secs(60),
        linger: Duration::from_secs(60),
        result_timeout: Duration::from_secs(4),
        profiles: Profiles::load(None, &jiff::tz::TimeZone::UTC).unwrap(),
    })
}

#[actix_web::test]
async fn an_actor_that_panics_is_respawned_with_what_it_had() {
    let mut bench = Bench::new().await;
    assert!(matches!(bench.registry.route(bench.message("up/status", "online")), Taken::Yes));
    assert!(bench.snapshot().await.is_some_and(|snapshot| snapshot.online));
    assert!(bench.published().contains(&"alert ring".to_owned()));
    assert!(bench.gauge("alerts{state=\"ringing\"} 1").await);
    let addr = bench.registry.addr(&bench.id).unwrap().clone();
    let _ = addr.send(Crash).await;
    assert!(bench.snapshot().await.is_none());
    assert!(bench.gauge("alerts{state=\"ringing\"} 0").await, "the gauges do not count it twice");
    let text = bench.message("up/text", r#"{"text": "hello"}"#);
    let Taken::Later(text) = bench.registry.route(text) else {
        panic!("what finds no actor is not acknowledged");
    };
    let snapshot = bench.snapshot().await.expect("respawned");
    assert!(snapshot.online, "its retained state is given to it again");
    assert_eq!(snapshot.alerts[0].phase, Phase::Ringing);
    assert!(bench.published().contains(&"alert ring".to_owned()), "the same alert, again");
    assert!(matches!(bench.registry.route(text), Taken::Yes));
    assert!(bench.gauge("actor_restarts_total 1").await);
    assert!(bench.gauge("alerts{state=\"ringing\"} 1").await);
}

#[actix_web::test]
async fn an_actor_that_is_stuck_is_found_and_replaced_and_one_that_is_not_is_left_alone() {
    let mut bench = Bench::new().await;
    assert!(matches!(bench.registry.route(bench.message("up/status", "online")), Taken::Yes));
    for _ in 0..2 * STUCK {
        bench.registry.look_after();
        assert!(bench.snapshot().await.is_some_and(|snapshot| snapshot.online));
    }
    assert!(bench.gauge("actor_restarts_total 0").await);
    let addr = bench.registry.addr(&bench.id).unwrap().clone();
    addr.send(Hang).await.unwrap();
    bench.published();
    let stuck = bench.registry.entries[&bench.id].shared.clone();
    for looks in 0..=STUCK {
        assert!(Rc::ptr_eq(&stuck, &bench.registry.entries[&bench.id].shared), "{looks}");
        bench.registry.look_after();
        tokio::task::yield_now().await;
    }
    assert!(bench.gauge("actor_restarts_total 1").await);
    let snapshot = bench.snapshot().await.expect("replaced");
    assert!(snapshot.online && snapshot.alerts[0].phase == Phase::Ringing);
    assert!(bench.gauge("alerts{state=\"ringing\"} 1").await, "the stuck one counts no more");
    assert!(stuck.retired.get() && bench.published().contains(&"alert ring".to_owned()));
}

#[actix_web::test]
async fn a_respawned_actor_uses_the_tokens_that_were_in_use_not_those_of_its_record() {
    let mut bench = Bench::new().await;
    let shared = bench.registry.entries[&bench.id].shared.clone();
    assert!(bench.snapshot().await.is_some());
    let renewed =
        Tokens { refresh_token: "renewed".into(), ..shared.tokens.borrow().clone().unwrap() };
    shared.tokens.replace(Some(renewed.clone()));
    let addr = bench.registry.addr(&bench.id).unwrap().clone();
    let _ = addr.send(Crash).await;
    bench.registry.sweep();
    assert!(bench.snapshot().await.is_some());
    let heir = bench.registry.entries[&bench.id].shared.clone();
    assert!(!Rc::ptr_eq(&shared, &heir));
    assert_eq!(*heir.tokens.borrow(), Some(renewed));
}

#[actix_web::test]
async fn a_full_mailbox_holds_back_messages_and_cancels_audio() {
    let mut bench = Bench::new().await;
    // Nothing runs between these: the actor cannot take anything.
    let mut later = 0;
    for n in 0..MAILBOX + 10 {
        let text = bench.message("up/text", &format!(r#"{{"text": "{n}"}}"#));
        later += usize::from(matches!(bench.registry.route(text), Taken::Later(_)));
    }
    assert!((5..=10).contains(&later), "{later}");
    let audio = bench.message("up/audio/u1", "ab");
    assert!(matches!(bench.registry.route(audio), Taken::Yes), "audio is not kept");
    let shared = &bench.registry.entries[&bench.id].shared;
    assert_eq!(*shared.lost_audio.borrow(), Some("u1".into()), "its utterance has a hole");
    assert!(bench.gauge("audio_dropped_total{reason=\"mailbox_full\"} 1").await);
}

#[actix_web::test]
async fn what_the_broker_repeats_is_not_carried_out_twice() {
    let mut bench = Bench::new().await;
    let text = |repeated| Inbound { repeated, ..bench.message("up/text", r#"{"text": "x"}"#) };
    let (first, repeated) = (text(false), text(true));
    let again = text(false);
    bench.registry.route(first);
    bench.registry.route(repeated);
    bench.registry.route(again);
    bench.snapshot().await;
    let errors = bench.published().into_iter().filter(|p| p.starts_with("error")).count();
    assert_eq!(errors, 2, "said twice, not three times");
    assert!(bench.gauge("dropped_total{what=\"repeated\"} 1").await);
}

#[actix_web::test]
async fn at_the_end_actors_refuse_new_requests_and_say_that_they_have_stopped() {
    let mut bench = Bench::new().await;
    bench.snapshot().await;
    bench.published();
    let stopped = futures_util::future::join_all(bench.registry.stop());
    let text = bench.message("up/text", r#"{"text": "x"}"#);
    assert!(matches!(bench.registry.route(text), Taken::Yes));
    stopped.await;
    let published = bench.published();
    assert!(published.contains(&"session stopped".to_owned()), "{published:?}");
    let late = bench.message("up/text", r#"{"text": "y"}"#);
    assert!(matches!(bench.registry.route(late), Taken::Later(_)), "the broker keeps it");
    assert!(bench.gauge("appliances{state=\"stopped\"} 0").await);
}

#[actix_web::test]
async fn an_appliance_that_was_removed_and_added_again_gets_a_new_actor() {
    let mut bench = Bench::new().await;
    bench.store.remove(&bench.id).await.unwrap();
    let new = store::provision::NewAppliance {
        id: bench.id.clone(),
        model_id: "other".into(),
        lang: "en".into(),
        device_id: None,
    };
    let now = jiff::Timestamp::now();
    store::provision::add(bench.store.as_ref(), new, now).await.unwrap();
    let (list, kept) = (bench.store.list().await.unwrap(), bench.store.kept().await.unwrap());
    assert!(bench.registry.provision(list, kept), "a new one");
    let snapshot = bench.snapshot().await.unwrap();
    assert_eq!(snapshot.session.0, crate::appliance::message::SessionState::Unpaired);
    assert!(snapshot.alerts.is_empty());
}

#[actix_web::test]
async fn a_respawned_actor_is_told_again_what_the_broker_keeps_of_its_appliance() {
    let mut bench = Bench::new().await;
    let topics = ["up/settings", "up/x/status", "up/state/Device.Display"];
    for n in 0..2 * MAX_RETAINED {
        bench.registry.route(bench.message(&format!("up/x/{n}"), "1"));
        bench.snapshot().await;
    }
    let entry = &bench.registry.entries[&bench.id];
    assert_eq!(entry.retained.len(), MAX_RETAINED, "not without limit");
    bench.registry.route(bench.message("up/settings", r#"{"configuration": {"a": "1"}}"#));
    let entry = &bench.registry.entries[&bench.id];
    assert!(entry.retained.contains_key("up/settings"), "there is always room for it");
    for topic in topics {
        assert!(is_retained(topic), "{topic}");
    }
    for topic in ["up/text", "up/event", "up/audio/u1", "up/state/x/y"] {
        assert!(!is_retained(topic), "{topic}");
    }
}

#[actix_web::test]
async fn of_a_removed_appliance_the_broker_keeps_no_session_and_a_stopped_one_says_why() {
    let session = |bench: &Bench| {
        let mut all = bench.publisher.take_all();
        all.retain(|publication| publication.topic == "cic/v1/a/down/session");
        all.pop().map(|publication| (publication.retain, publication.payload))
    };
    let mut bench = Bench::new().await;
    bench.snapshot().await;
    futures_util::future::join_all(bench.registry.stop()).await;
    let (retain, payload) = session(&bench).unwrap();
    let said: Value = serde_json::from_slice(&payload).unwrap();
    assert!(retain);
    assert_eq!(
        (&said["state"], &said["reason"]),
        (&json!("stopped"), &json!("the gateway is stopping"))
    );
    let mut bench = Bench::new().await;
    let addr = bench.registry.addr(&bench.id).unwrap().clone();
    assert!(bench.snapshot().await.is_some());
    session(&bench);
    bench.registry.provision(Vec::new(), HashMap::new());
    // The actor answers until it has ended.
    while addr.connected() {
        tokio::task::yield_now().await;
    }
    assert_eq!(session(&bench), Some((true, Bytes::new())));
}
