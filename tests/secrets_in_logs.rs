//! The program at the most talkative log level, through a day's worth of dialogue, refresh,
//! provisioning and mistakes: no secret and nothing that was said is in what it writes.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use cic_gateway::{
    appliance::alerts::AlertKind,
    secret::Secret,
    sim::{
        appliance::{ApplianceSettings, Heard, SimulatedAppliance},
        cic::{NewAlert, Reach},
    },
};
use serde_json::{Value, json};
use support::{
    cli::shown,
    free_port,
    site::{BrokerKind, Plan, Site},
};

const LIMIT: Duration = Duration::from_secs(60);
const ADMIN: &str = "admin-t0ken-in-use";
const CLIENT: &str = "client-s3cret-in-use";
const SAID: &str = "what time is it, purple elephant";

/// What nobody but its owner may read, with a name for the report.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, name: &'static str, secret: &str) {
        assert!(secret.len() >= 8, "{name} would be found by chance");
        self.0.push((name, secret.to_owned()));
    }

    async fn add_tokens(&mut self, site: &Site) {
        let store = site.store().await;
        for appliance in store.list().await.unwrap() {
            self.add("password hash", &appliance.password_hash);
            if let Some(tokens) = appliance.tokens {
                self.add("access token", tokens.access_token.expose());
                self.add("refresh token", tokens.refresh_token.expose());
            }
        }
        self.add("gateway password", store.gateway_password().await.unwrap().expose());
        store.close().await;
    }

    /// Asserts that none of them is in there.
    fn are_not_in(&self, what: &str, text: &str) {
        for (name, secret) in &self.0 {
            if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
                panic!("{what}: {name} {secret} is in: {line}");
            }
        }
    }
}

/// The program, talking.
struct Gateway {
    site: Site,
    child: Child,
    log: PathBuf,
    http: String,
    level: &'static str,
    secrets: Secrets,
    client: reqwest::Client,
}

impl Gateway {
    async fn start(level: &'static str, format: &str) -> Self {
        let site = Site::build(Plan { broker: BrokerKind::Embedded, ..Plan::default() }).await;
        let (log, port) = (site.dir.path().join("log"), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_cic-gateway"));
        command.arg("--config").arg(&site.file).args(["--log-format", format, "run"]);
        command.env("CIC_GATEWAY__HTTP__LISTEN", format!("127.0.0.1:{port}"));
        environment(&mut command, level);
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap();
        let mut secrets = Secrets::default();
        secrets.add("admin token", ADMIN);
        secrets.add("client secret", CLIENT);
        secrets.add("store key", site.config.store.secret_key.expose());
        secrets.add("MQTT password", site.appliances[0].settings.password.expose());
        secrets.add("what was said", SAID);
        let http = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::new();
        let gateway = Self { site, child, log, http, level, secrets, client };
        gateway.is_ready().await;
        gateway
    }

    async fn is_ready(&self) {
        let ready = async {
            while self.client.get(format!("{}/readyz", self.http)).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.expect("in time");
    }

    fn speaker(&self, settings: ApplianceSettings) -> SimulatedAppliance {
        SimulatedAppliance::start(settings).unwrap()
    }

    async fn api(&self, method: reqwest::Method, path: &str, body: Value, token: &str) -> String {
        let request = self.client.request(method, format!("{}/api/v1{path}", self.http));
        let answer = request.bearer_auth(token).body(body.to_string()).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// Runs a command beside it; what it prints, and what it logs.
    async fn command(&self, args: &[&str]) -> (String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cic-gateway"));
        command.arg("--config").arg(&self.site.file).args(args);
        environment(&mut command, self.level);
        let output = tokio::process::Command::from(command).output().await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        (shown(&output).1, log)
    }

    /// SIGTERM; the log.
    fn stop(&mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn environment(command: &mut Command, level: &str) {
    command.env("CIC_GATEWAY__TELEMETRY__LOG", level);
    command.env("CIC_GATEWAY__HTTP__ADMIN_TOKEN", ADMIN);
    command.env("CIC_GATEWAY__AUTH__CLIENT_SECRET", CLIENT);
    command.stdin(Stdio::null());
}

async fn heard(speaker: &SimulatedAppliance, wanted: impl Fn(&Heard) -> bool) {
    speaker.wait_for(wanted, LIMIT).await.expect("it was heard in time");
}

async fn is_connected(speaker: &SimulatedAppliance) {
    heard(speaker, |heard| matches!(heard, Heard::Session(v) if v["state"] == "connected")).await;
}

async fn ask(speaker: &SimulatedAppliance) {
    speaker.type_text(SAID, None);
    heard(speaker, |heard| matches!(heard, Heard::Played { .. })).await;
    heard(speaker, |heard| matches!(heard, Heard::Dialogue(v) if v["state"] == "idle")).await;
}

/// Dialogue, an alert, a refused token and its refresh.
async fn live(gateway: &mut Gateway, speaker: &SimulatedAppliance) {
    is_connected(speaker).await;
    gateway.secrets.add_tokens(&gateway.site).await;
    ask(speaker).await;
    let due = jiff::Timestamp::now() + Duration::from_millis(300);
    let device = gateway.site.appliances[0].device.clone();
    gateway.site.cic.set_alert(&device, &NewAlert::new(AlertKind::Timer, due));
    heard(speaker, |heard| matches!(heard, Heard::Rings { .. })).await;
    speaker.stop_alert(None);
    heard(speaker, |heard| matches!(heard, Heard::Silent { .. })).await;
    gateway.site.cic.expire_tokens();
    ask(speaker).await;
    gateway.secrets.add_tokens(&gateway.site).await;
}

/// Garbage, guesses and outages: errors quote what they are about.
async fn fail(gateway: &mut Gateway, speaker: &SimulatedAppliance) {
    let utterance = json!({"text": SAID, "expectSpeechId": 5}).to_string();
    speaker.publish("text", utterance.clone());
    speaker.publish("event", format!("{utterance} no JSON"));
    speaker.publish(&format!("nonsense/{}", "x".repeat(3000)), utterance);
    heard(speaker, |heard| matches!(heard, Heard::Error(_))).await;
    let guess = "stolen-passw0rd-guess";
    gateway.secrets.add("guessed password", guess);
    let mut thief = gateway.site.appliances[0].settings.clone();
    thief.password = Secret::from(guess);
    let thief = gateway.speaker(thief);
    heard(&thief, |heard| matches!(heard, Heard::NoBroker(_))).await;
    let wrong = "wrong-admin-t0ken-guess";
    gateway.secrets.add("guessed admin token", wrong);
    gateway.api(reqwest::Method::GET, "/appliances", Value::Null, wrong).await;
    gateway.site.cic.set_reach(Reach::Refused);
    let code = "authorization-c0de-unused";
    gateway.secrets.add("authorization code", code);
    let path = "/appliances/speaker/pair";
    let answer = gateway.api(reqwest::Method::POST, path, json!({"code": code}), ADMIN).await;
    gateway.secrets.are_not_in("the API's error", &answer);
    let (printed, log) = gateway.command(&["appliance", "pair", "speaker", "--code", code]).await;
    gateway.secrets.are_not_in("a failing command", &format!("{printed}{log}"));
    gateway.site.cic.set_reach(Reach::Whole);
    let answer = gateway.api(reqwest::Method::POST, path, json!({"code": code}), ADMIN).await;
    gateway.secrets.are_not_in("the API's refusal", &answer);
}

/// What an operator does.
async fn administer(gateway: &mut Gateway) {
    let body = json!({"id": "second"});
    let added = gateway.api(reqwest::Method::POST, "/appliances", body, ADMIN).await;
    let added: Value = serde_json::from_str(&added).unwrap();
    gateway.secrets.add("MQTT password", added["mqttPassword"].as_str().unwrap());
    let code = gateway.site.cic.issue_code();
    gateway.secrets.add("authorization code", code.expose());
    let body = json!({"code": code.expose()});
    gateway.api(reqwest::Method::POST, "/appliances/second/pair", body, ADMIN).await;
    gateway.secrets.add_tokens(&gateway.site).await;
    let listed = gateway.api(reqwest::Method::GET, "/appliances", Value::Null, ADMIN).await;
    assert!(listed.contains("second"), "{listed}");
    gateway.secrets.are_not_in("the API's list", &listed);
    let (printed, log) = gateway.command(&["appliance", "add", "third", "--format", "json"]).await;
    let at = printed.find("\"mqttPassword\"").expect("it is shown once");
    let password = printed[at..].split('"').nth(3).unwrap();
    gateway.secrets.add("MQTT password", password);
    gateway.secrets.are_not_in("the log of a command", &log);
    for args in [
        ["appliance", "list"].as_slice(),
        &["appliance", "show", "second"],
        &["appliance", "unpair", "second"],
        &["appliance", "remove", "second"],
        &["check"],
    ] {
        let (printed, log) = gateway.command(args).await;
        gateway.secrets.are_not_in(&args.join(" "), &format!("{printed}{log}"));
    }
}

async fn story(level: &'static str, format: &str) {
    let mut gateway = Gateway::start(level, format).await;
    let speaker = gateway.speaker(gateway.site.appliances[0].settings.clone());
    live(&mut gateway, &speaker).await;
    fail(&mut gateway, &speaker).await;
    administer(&mut gateway).await;
    drop(speaker);
    let log = gateway.stop();
    let talks = |library: &str| log.contains(&format!("\"target\":\"{library}"));
    let told =
        level == "trace" || ["h2", "mqtt5", "rumqttc", "sqlx", "rustls"].map(talks) == [true; 5];
    assert!(told && log.contains("gateway started"), "it has said something: {log}");
    gateway.secrets.are_not_in("the log", &log);
}

#[tokio::test]
async fn no_secret_is_in_the_log_for_people() {
    story("trace", "text").await;
}

#[tokio::test]
async fn no_secret_is_in_the_log_for_machines_with_every_library_talking() {
    let all = "trace,h2=trace,rumqttc=trace,sqlx=trace,mqtt5=trace,hyper=trace,rustls=trace,\
               actix=trace,reqwest=trace";
    story(all, "json").await;
}
