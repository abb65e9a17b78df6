//! A place to run gateways at: a simulated CIC, a store, a broker, and appliances that are
//! provisioned and paired.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::PathBuf;

use cic_gateway::{
    app,
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::{self, Config},
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::ApplianceSettings,
        cic::{SimSettings, SimulatedCic},
    },
    store::{
        SharedStore,
        provision::{self, NewAppliance},
    },
    telemetry::metrics::Metrics,
};

use super::{Mosquitto, Postgres, free_port};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Which broker stands between appliance and gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BrokerKind {
    Embedded,
    Mosquitto,
}

/// Which store the gateway has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StoreKind {
    Sqlite,
    Postgres,
}

/// What a site is to be like.
pub struct Plan {
    pub broker: BrokerKind,
    pub store: StoreKind,
    pub sim: SimSettings,
    pub appliances: usize,
    /// More lines of `[cic]`.
    pub cic: String,
    /// More lines of configuration, as whole sections.
    pub more: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            broker: BrokerKind::Mosquitto,
            store: StoreKind::Sqlite,
            sim: SimSettings::default(),
            appliances: 1,
            cic: String::new(),
            more: String::new(),
        }
    }
}

/// An appliance that is provisioned and paired.
#[derive(Clone)]
pub struct Provisioned {
    pub id: ApplianceId,
    /// Under which the simulated CIC knows it.
    pub device: String,
    pub settings: ApplianceSettings,
}

pub struct Site {
    pub cic: SimulatedCic,
    pub config: Config,
    /// The configuration as a file, for commands.
    pub file: PathBuf,
    pub appliances: Vec<Provisioned>,
    pub mosquitto: Option<Mosquitto>,
    pub postgres: Option<Postgres>,
    pub dir: tempfile::TempDir,
}

impl Site {
    pub async fn build(plan: Plan) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let cic = SimulatedCic::start(plan.sim).unwrap();
        let postgres = (plan.store == StoreKind::Postgres).then(Postgres::start);
        let path = |name: &str| dir.path().join(name).display().to_string();
        let url = match &postgres {
            Some(postgres) => postgres.url.clone(),
            None => format!("sqlite://{}", path("store.db")),
        };
        let ca = cic.ca_pem().map(|pem| {
            std::fs::write(path("ca.pem"), pem).unwrap();
            format!("ca_file = {:?}\n", path("ca.pem"))
        });
        let ca = ca.unwrap_or_default();
        let common = format!(
            "[cic]\nbase_uri = {:?}\n{ca}{}\n[auth]\nbase_uri = {:?}\n{ca}client_id = \"c\"\n\
             client_secret = \"s\"\n[store]\nurl = {url:?}\nsecret_key = \"{KEY}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n{}",
            cic.cic_uri(),
            plan.cic,
            cic.auth_uri(),
            plan.more,
        );
        let mut appliances = provision(&common, &cic, plan.appliances).await;
        let file = dir.path().join("gateway.toml");
        let (broker, mosquitto, port) = match plan.broker {
            BrokerKind::Embedded => {
                // A port that stays the same when the gateway starts again.
                let (data, port) = (path("broker"), free_port());
                let listen = format!("listen = \"127.0.0.1:{port}\"");
                (format!("[broker]\nenabled = true\n{listen}\ndata_dir = {data:?}\n"), None, port)
            }
            BrokerKind::Mosquitto => {
                let mqtt = "[mqtt]\nusername = \"gw\"\npassword = \"gw-s3cret\"\n";
                std::fs::write(&file, format!("{common}{mqtt}")).unwrap();
                let exported = std::process::Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
                    .arg("--config")
                    .arg(&file)
                    .args(["broker", "export", "--mosquitto"])
                    .arg(dir.path())
                    .output();
                assert!(exported.unwrap().status.success());
                let mosquitto = Mosquitto::start(dir.path());
                let port = mosquitto.port;
                (format!("{mqtt}url = \"mqtt://127.0.0.1:{port}\"\n"), Some(mosquitto), port)
            }
        };
        appliances.iter_mut().for_each(|appliance| appliance.settings.port = port);
        let text = format!("{common}{broker}");
        std::fs::write(&file, &text).unwrap();
        let config = config::read(Some(("test", &text)), []).unwrap();
        Self { cic, config, file, appliances, mosquitto, postgres, dir }
    }

    /// The gateway's store, opened by the test.
    pub async fn store(&self) -> SharedStore {
        app::open_store(&self.config, &Metrics::new()).await.unwrap()
    }
}

async fn provision(common: &str, cic: &SimulatedCic, count: usize) -> Vec<Provisioned> {
    let config = config::read(Some(("test", common)), []).unwrap();
    let store = app::open_store(&config, &Metrics::new()).await.unwrap();
    let auth = app::auth_client(&config).unwrap();
    let mut appliances = Vec::new();
    for number in 0..count {
        let id = if count == 1 { "speaker".to_owned() } else { format!("speaker-{number}") };
        let id = ApplianceId::parse(&id).unwrap();
        let (model_id, lang) = ("m".to_owned(), "en".to_owned());
        let new = NewAppliance { id: id.clone(), model_id, lang, device_id: None };
        let now = SystemClock.now();
        let (added, password) = provision::add(store.as_ref(), new, now.wall).await.unwrap();
        appliances.push(Provisioned {
            id: id.clone(),
            device: added.device_id.clone(),
            settings: settings(&id, password),
        });
        let device = Device { device_id: added.device_id, model_id: added.model_id };
        let tokens = auth.pair(&device, &cic.issue_code(), now).await.unwrap();
        store.set_tokens(&id, &tokens).await.unwrap();
    }
    store.close().await;
    appliances
}

fn settings(id: &ApplianceId, password: Secret) -> ApplianceSettings {
    ApplianceSettings { id: id.to_string(), password, ..ApplianceSettings::default() }
}
