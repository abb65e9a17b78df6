//! One contract suite for both stores.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use cic_gateway::{
    appliance::{
        alerts::{self, Alert, Phase},
        context::OwnContexts,
        ledger::{Save, Step},
        outbox::Outgoing,
    },
    ids::ApplianceId,
    secret::Secret,
    store::{
        self, Appliance, SharedStore, StoreError, Tokens,
        doings::{ApplianceSave, Saved, Saver},
        provision,
    },
    telemetry::metrics::Metrics,
};
use jiff::Timestamp;
use serde_json::{json, value::RawValue};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn appliance(id: &str) -> Appliance {
    Appliance {
        id: ApplianceId::parse(id).unwrap(),
        model_id: "m".into(),
        lang: "ko".into(),
        device_id: "d".into(),
        password_hash: "$7$".into(),
        tokens: None,
        pairing: 0,
        created_at: "2026-03-02T09:00:00.123456Z".parse().unwrap(),
    }
}

fn tokens(name: &str) -> Tokens {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    Tokens {
        access_token: Secret::new(format!("access-{name}")),
        refresh_token: Secret::new(format!("refresh-{name}")),
        issued_at: at("2026-03-02T09:00:00Z"),
        expires_at: at("2026-03-12T09:00:00Z"),
    }
}

async fn open(url: &str, key: &str, migrate: bool) -> Result<SharedStore, StoreError> {
    store::open(url, &Secret::from(key), migrate, Metrics::new()).await
}

/// What every store promises.
async fn contract(url: &str) {
    assert!(matches!(open(url, KEY, false).await, Err(StoreError::Schema(_))), "not migrated yet");
    let store = open(url, KEY, true).await.unwrap();
    let (a, b) = (appliance("a"), appliance("b"));
    let before = store.revision().await.unwrap();
    store.add(&b).await.unwrap();
    store.add(&a).await.unwrap();
    assert!(matches!(store.add(&a).await, Err(StoreError::Duplicate)));
    assert_eq!(store.get(&a.id).await.unwrap(), Some(a.clone()));
    assert_eq!(store.list().await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.revision().await.unwrap(), before + 2);

    let nobody = ApplianceId::parse("nobody").unwrap();
    assert_eq!(store.get(&nobody).await.unwrap(), None);
    assert!(matches!(store.remove(&nobody).await, Err(StoreError::NotFound)));
    assert!(matches!(store.set_tokens(&nobody, &tokens("x")).await, Err(StoreError::NotFound)));
    assert!(matches!(store.clear_tokens(&nobody).await, Err(StoreError::NotFound)));

    store.set_tokens(&a.id, &tokens("1")).await.unwrap();
    assert_eq!(store.get(&a.id).await.unwrap().unwrap().tokens, Some(tokens("1")));
    let pairing = store.get(&a.id).await.unwrap().unwrap().pairing;
    let revision = store.revision().await.unwrap();
    assert!(store.renew_tokens(&a.id, pairing, &tokens("2")).await.unwrap());
    assert!(!store.renew_tokens(&a.id, pairing - 1, &tokens("3")).await.unwrap(), "paired anew");
    assert!(!store.renew_tokens(&nobody, pairing, &tokens("3")).await.unwrap());
    assert_eq!(store.get(&a.id).await.unwrap().unwrap().tokens, Some(tokens("2")));
    assert_eq!(store.revision().await.unwrap(), revision, "a refresh concerns nobody else");

    let password = store.gateway_password().await.unwrap();
    assert!(!password.is_empty());
    let verify = |user: &'static str, secret: String| {
        let store = store.clone();
        async move { provision::verify_password(store.as_ref(), "gw", user, secret.as_bytes()).await }
    };
    assert!(verify("gw", password.expose().to_owned()).await);
    assert!(!verify("gw", "wrong".into()).await);
    assert!(!verify("stranger", password.expose().to_owned()).await);

    let again = open(url, KEY, true).await.unwrap();
    assert_eq!(again.gateway_password().await.unwrap(), password, "made once");
    assert_eq!(again.get(&a.id).await.unwrap().unwrap().tokens, Some(tokens("2")), "reopened");
    assert!(open(url, KEY, false).await.is_ok());
    let stranger = open(url, OTHER_KEY, true).await.unwrap();
    assert!(matches!(stranger.gateway_password().await, Err(StoreError::Sealed)));
    let unreadable = stranger.list().await.unwrap();
    assert_eq!(unreadable.len(), 2, "one row that cannot be opened blocks no other");
    assert!(unreadable.iter().all(|appliance| appliance.tokens.is_none()));

    let ids: Vec<String> = (0..20).map(|n| format!("many{n}")).collect();
    let many: Vec<_> = ids.iter().map(|id| appliance(id)).collect();
    let added = futures_util::future::join_all(many.iter().map(|one| store.add(one))).await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    assert_eq!(store.list().await.unwrap().len(), 22);

    doings(&store, &a.id).await;
    store.clear_tokens(&a.id).await.unwrap();
    assert_eq!(store.get(&a.id).await.unwrap().unwrap().tokens, None);
    store.remove(&a.id).await.unwrap();
    assert_eq!(store.get(&a.id).await.unwrap(), None);
    store.ping().await.unwrap();
    store.close().await;
    assert!(store.ping().await.is_err());
}

fn alert(token: &str, phase: Phase) -> Arc<Alert> {
    let payload = json!({
        "token": token, "type": "REMINDER", "scheduledTime": "2026-03-02T18:40:00.5+09:00",
        "label": "우유 🥛", "assets": [{"assetId": "x", "url": "https://example.net/x.mp3"}],
        "assetPlayOrder": ["x"],
    });
    let since = "2026-03-02T09:00:00.123456Z".parse().unwrap();
    Arc::new(Alert::parse(&payload.to_string(), since).unwrap().in_phase(phase, since))
}

fn event(name: &str) -> Arc<Outgoing> {
    let raw = |text: &str| Arc::from(RawValue::from_string(text.into()).unwrap());
    Arc::new(Outgoing {
        namespace: "Alerts".into(),
        name: name.into(),
        message_id: format!("m-{name}").as_str().into(),
        payload: raw(r#"{"token":"t"}"#),
        contexts: OwnContexts { alerts: raw(r#"{"allAlerts":[]}"#), speech: None, playback: None },
    })
}

/// Alerts and the outbox: kept in order, all or nothing, and only for the pairing of today.
async fn doings(store: &SharedStore, id: &ApplianceId) {
    let pairing = store.get(id).await.unwrap().unwrap().pairing;
    let save = |pairing, whole, steps| ApplianceSave {
        appliance: id.clone(),
        pairing,
        save: Save { whole, steps },
    };
    let put = |token: &str, phase| Step::Alert(alerts::Step::Put(alert(token, phase)));
    let remove = |token: &str| Step::Alert(alerts::Step::Remove(token.into()));
    let names = async || {
        let kept = store.kept().await.unwrap().remove(id).unwrap_or_default();
        let mut alerts: Vec<_> =
            kept.alerts.iter().map(|a| format!("{} {}", a.token, a.phase.as_str())).collect();
        alerts.sort();
        let events = kept.outbox.iter().map(|(n, e)| format!("{n} {}", e.name)).collect::<Vec<_>>();
        (alerts.join(","), events.join(","))
    };

    let first = vec![
        put("a", Phase::Set),
        put("b", Phase::Set),
        Step::Enqueue(1, event("x")),
        put("a", Phase::Ringing),
        Step::Enqueue(2, event("y")),
        remove("b"),
        remove("unknown"),
    ];
    assert_eq!(store.save(&[save(pairing, false, first)]).await.unwrap(), [Saved::Kept]);
    assert_eq!(names().await, ("a ringing".into(), "1 x,2 y".into()));
    let kept = store.kept().await.unwrap().remove(id).unwrap();
    assert_eq!(kept.alerts[0], alert("a", Phase::Ringing), "every field comes back");
    assert_eq!(kept.outbox[0].1.message_id.as_str(), "m-x");
    assert_eq!(kept.outbox[0].1.contexts.alerts.get(), r#"{"allAlerts":[]}"#);

    let stale = save(pairing - 1, false, vec![put("c", Phase::Set)]);
    let mut nobody = save(pairing, false, vec![put("c", Phase::Set)]);
    nobody.appliance = ApplianceId::parse("nobody").unwrap();
    let good = save(pairing, false, vec![Step::Dequeue(1), put("d", Phase::Stopped)]);
    let results = store.save(&[stale, nobody, good]).await.unwrap();
    assert_eq!(results, [Saved::Gone, Saved::Gone, Saved::Kept]);
    assert_eq!(names().await, ("a ringing,d stopped".into(), "2 y".into()));

    let twice = vec![put("e", Phase::Set), Step::Enqueue(2, event("again"))];
    assert!(store.save(&[save(pairing, false, twice)]).await.is_err());
    assert_eq!(names().await, ("a ringing,d stopped".into(), "2 y".into()), "all or nothing");

    let whole = vec![put("f", Phase::Set), Step::Enqueue(9, event("z"))];
    store.save(&[save(pairing, true, whole)]).await.unwrap();
    assert_eq!(names().await, ("f set".into(), "9 z".into()));

    let (saver, task) = Saver::start(store.clone());
    let saves = (0..50).map(|n| {
        let (saver, id) = (saver.clone(), id.clone());
        let steps = vec![put(&format!("s{n}"), Phase::Set), Step::Enqueue(100 + n, event("s"))];
        // One of them cannot be kept; the others are all the same.
        let steps = if n == 7 { vec![Step::Enqueue(9, event("dup"))] } else { steps };
        async move {
            saver
                .save(ApplianceSave { appliance: id, pairing, save: Save { whole: false, steps } })
                .await
        }
    });
    let results = futures_util::future::join_all(saves).await;
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(Saved::Kept))).count(), 49);
    drop(saver);
    task.await.unwrap();
    assert_eq!(store.kept().await.unwrap()[id].alerts.len(), 50);

    store.set_tokens(id, &tokens("new")).await.unwrap();
    let (alerts, events) = names().await;
    let are_gone = alerts.split(',').filter(|alert| alert.ends_with(" deleted")).count() == 50;
    assert!(are_gone && events.is_empty(), "another pairing, another account: {alerts} {events}");
    let gone = store.kept().await.unwrap().remove(id).unwrap().alerts.remove(0);
    assert!(gone.label.is_none() && gone.assets.is_none() && gone.asset_play_order.is_none());
    assert!(gone.since > alert("a", Phase::Set).since, "it is over since now");
    let late = save(pairing, false, vec![put("g", Phase::Set)]);
    assert_eq!(store.save(&[late]).await.unwrap(), [Saved::Gone]);
    let pairing = store.get(id).await.unwrap().unwrap().pairing;
    store.save(&[save(pairing, false, vec![put("h", Phase::Set)])]).await.unwrap();
    store.clear_tokens(id).await.unwrap();
    assert!(names().await.0.contains("h deleted"), "unpairing deletes alerts");
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&format!("sqlite://{}", dir.path().join("store.db").display())).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let postgres = support::Postgres::start();
    contract(&postgres.url).await;
}

#[tokio::test]
async fn tokens_are_not_readable_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    let store = open(&format!("sqlite://{}", file.display()), KEY, true).await.unwrap();
    store.add(&appliance("a")).await.unwrap();
    store.set_tokens(&appliance("a").id, &tokens("s3cret")).await.unwrap();
    store.close().await;
    let bytes: Vec<u8> = std::fs::read_dir(dir.path())
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!bytes.windows(6).any(|window| window == b"s3cret"));
}

#[tokio::test]
async fn unusable_urls_are_refused_clearly() {
    for (url, key, text) in [
        ("mysql://x", KEY, "sqlite:// or postgres://"),
        ("sqlite::memory:", KEY, "name a file"),
        ("postgres://127.0.0.1/x", "", "store.secret_key must be 32 bytes"),
        ("sqlite:///nonexistent/folder/x.db", KEY, "/nonexistent/folder/x.db"),
    ] {
        let error = open(url, key, true).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(text), "{url}: {error}");
    }
}
