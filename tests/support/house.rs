//! A home with a paired speaker, a gateway, a simulated CIC over TLS, and Mosquitto between them.

use std::time::Duration;

use cic_gateway::{
    app::{self, Gateway},
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config,
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{ApplianceSettings, Heard, SimulatedAppliance},
        cic::{SimSettings, SimulatedCic},
    },
    store::provision::{self, NewAppliance},
    telemetry::metrics::Metrics,
};

use super::{Mosquitto, cli::Cli};

const LIMIT: Duration = Duration::from_secs(30);

pub struct Home {
    pub speaker: SimulatedAppliance,
    pub password: Secret,
    pub gateway: Gateway,
    pub mosquitto: Mosquitto,
    pub cic: SimulatedCic,
    _cli: Cli,
}

impl Home {
    /// Builds it, and waits until the speaker's session is connected.
    pub async fn build() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (cli, cic) = (Cli::with(""), SimulatedCic::start(SimSettings::default()).unwrap());
        let ca = cli.path("ca.pem");
        std::fs::write(&ca, cic.ca_pem().unwrap()).unwrap();
        let common = format!(
            "[cic]\nbase_uri = {:?}\nca_file = {ca:?}\n[auth]\nbase_uri = {:?}\nca_file = {ca:?}\n\
             client_id = \"c\"\nclient_secret = \"s\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [mqtt]\nusername = \"gw\"\npassword = \"gw-s3cret\"\n",
            cic.cic_uri(),
            cic.auth_uri(),
        );
        cli.configure(&common);
        let password = add_speaker(&cli, &cic).await;
        let (code, text) = cli.run(&["broker", "export", "--mosquitto", "."]);
        assert_eq!(code, 0, "{text}");
        let mosquitto = Mosquitto::start(cli.dir.path());
        let port = mosquitto.port;
        cli.configure(&format!("{common}url = \"mqtt://127.0.0.1:{port}\"\n"));
        let gateway = Gateway::start(&read(&cli)).await.unwrap();
        let speaker = SimulatedAppliance::start(ApplianceSettings {
            password: password.clone(),
            port,
            ..ApplianceSettings::default()
        })
        .unwrap();
        let home = Self { speaker, password, gateway, mosquitto, cic, _cli: cli };
        home.heard(|heard| matches!(heard, Heard::Session(v) if v["state"] == "connected")).await;
        home
    }

    pub async fn heard(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        self.speaker.wait_for(wanted, LIMIT).await.expect("it was heard in time").1
    }

    /// A typed question is answered aloud.
    pub async fn is_answered(&self, question: &str) {
        self.speaker.type_text(question, None);
        self.heard(|heard| matches!(heard, Heard::Played { bytes: 1.., .. })).await;
        self.heard(|heard| matches!(heard, Heard::Dialogue(v) if v["state"] == "idle")).await;
    }

    /// Waits until the gateway's broker connection stands, or does not.
    pub async fn until_connected(&self, wanted: bool) {
        let mut connected = self.gateway.connected();
        let changed = connected.wait_for(|connected| *connected == wanted);
        tokio::time::timeout(LIMIT, changed).await.expect("in time").unwrap();
    }
}

fn read(cli: &Cli) -> config::Config {
    let text = std::fs::read_to_string(cli.path("gateway.toml")).unwrap();
    config::read(Some(("test", &text)), []).unwrap()
}

async fn add_speaker(cli: &Cli, cic: &SimulatedCic) -> Secret {
    let config = read(cli);
    let store = app::open_store(&config, &Metrics::new()).await.unwrap();
    let id = ApplianceId::parse("speaker").unwrap();
    let (model_id, lang) = ("m".to_owned(), "en".to_owned());
    let new = NewAppliance { id: id.clone(), model_id, lang, device_id: None };
    let now = SystemClock.now();
    let (appliance, password) = provision::add(store.as_ref(), new, now.wall).await.unwrap();
    let device = Device { device_id: appliance.device_id, model_id: appliance.model_id };
    let auth = app::auth_client(&config).unwrap();
    let tokens = auth.pair(&device, &cic.issue_code(), now).await.unwrap();
    store.set_tokens(&id, &tokens).await.unwrap();
    store.close().await;
    password
}
