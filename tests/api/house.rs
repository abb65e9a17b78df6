//! A gateway with its embedded broker, before a simulated CIC.

use std::time::Duration;

use cic_gateway::{
    app::Gateway,
    config,
    sim::{
        appliance::{ApplianceSettings, Heard, SimulatedAppliance},
        cic::{SimSettings, SimulatedCic},
    },
};
use reqwest::{Client, Method, header};
use serde_json::{Value, json};

use crate::description::Description;

pub const LIMIT: Duration = Duration::from_secs(30);

pub struct House {
    pub gateway: Gateway,
    pub cic: SimulatedCic,
    pub token: &'static str,
    pub http: Client,
    pub description: Description,
    _dir: tempfile::TempDir,
}

impl House {
    pub async fn build(token: &'static str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let cic = SimulatedCic::start(SimSettings::default()).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("ca.pem"), cic.ca_pem().unwrap()).unwrap();
        let text = format!(
            "[cic]\nbase_uri = {:?}\nca_file = {ca:?}\n[auth]\nbase_uri = {:?}\nca_file = {ca:?}\n\
             client_id = \"c\"\nclient_secret = \"s\"\n[store]\nurl = \"sqlite://{}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\nadmin_token = {token:?}\n\
             [broker]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\n\
             [limits]\nmax_appliances = 4\n",
            cic.cic_uri(),
            cic.auth_uri(),
            path("store.db"),
            path("broker"),
            ca = path("ca.pem"),
        );
        let config = config::read(Some(("test", &text)), []).unwrap();
        let gateway = Gateway::start(&config).await.unwrap();
        let http = Client::new();
        let description = Description::read(&http, gateway.http_addr()).await;
        Self { gateway, cic, token, http, description, _dir: dir }
    }

    pub async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.gateway.http_addr());
        let request = self.http.request(method.clone(), url).body(body.to_owned());
        let response = request.bearer_auth(self.token).send().await.unwrap();
        let status = response.status();
        self.description.expect(&method, path, status.as_u16());
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
        (status.as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, &body.to_string()).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, "").await
    }

    /// A speaker with the password that the API gave out.
    pub fn speaker(&self, password: &str) -> SimulatedAppliance {
        let port = self.gateway.broker_addr().unwrap().port();
        SimulatedAppliance::start(ApplianceSettings {
            id: "kitchen".into(),
            password: password.into(),
            port,
            ..ApplianceSettings::default()
        })
        .unwrap()
    }

    /// Adds the kitchen, pairs it, starts its speaker and waits for its session.
    pub async fn connected_speaker(&self) -> (SimulatedAppliance, Value) {
        let (_, added) = self.post("/api/v1/appliances", json!({"id": "kitchen"})).await;
        let code = json!({"code": self.cic.issue_code().expose()});
        assert_eq!(self.post("/api/v1/appliances/kitchen/pair", code).await.0, 200);
        let speaker = self.speaker(added["mqttPassword"].as_str().unwrap());
        let connected = |h: &Heard| matches!(h, Heard::Session(v) if v["state"] == "connected");
        speaker.wait_for(connected, LIMIT).await.expect("in time");
        (speaker, added)
    }
}
