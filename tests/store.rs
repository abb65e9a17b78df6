//! One contract suite for both stores.

#![allow(clippy::unwrap_used)]

mod support;

use cic_gateway::{
    ids::ApplianceId,
    secret::Secret,
    store::{self, Appliance, SharedStore, StoreError, Tokens, provision},
    telemetry::metrics::Metrics,
};
use jiff::Timestamp;

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
    let old = tokens("1").refresh_token;
    let revision = store.revision().await.unwrap();
    assert!(store.renew_tokens(&a.id, &old, &tokens("2")).await.unwrap());
    assert!(!store.renew_tokens(&a.id, &old, &tokens("3")).await.unwrap(), "no longer the same");
    assert!(!store.renew_tokens(&nobody, &old, &tokens("3")).await.unwrap());
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
    assert!(matches!(stranger.get(&a.id).await, Err(StoreError::Sealed)));

    let ids: Vec<String> = (0..20).map(|n| format!("many{n}")).collect();
    let many: Vec<_> = ids.iter().map(|id| appliance(id)).collect();
    let added = futures_util::future::join_all(many.iter().map(|one| store.add(one))).await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    assert_eq!(store.list().await.unwrap().len(), 22);

    store.clear_tokens(&a.id).await.unwrap();
    assert_eq!(store.get(&a.id).await.unwrap().unwrap().tokens, None);
    store.remove(&a.id).await.unwrap();
    assert_eq!(store.get(&a.id).await.unwrap(), None);
    store.ping().await.unwrap();
    store.close().await;
    assert!(store.ping().await.is_err());
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
