//! `cic-gateway check`: it tries what the gateway would do, and says what has to be mended.
#![allow(clippy::unwrap_used)]

mod support;

use cic_gateway::{
    sim::cic::{SimSettings, SimulatedCic},
    store::password,
};
use support::{
    Mosquitto,
    cli::{Cli, shown},
    free_port,
    pki::Authority,
};

/// Mosquitto that knows the gateway as `gw` with `secret`.
fn mosquitto(more: &str) -> Mosquitto {
    let dir = tempfile::tempdir().unwrap();
    let hash = password::hash(&"secret".into());
    std::fs::write(dir.path().join("passwd"), format!("gw:{hash}\n")).unwrap();
    std::fs::write(dir.path().join("acl"), "user gw\ntopic readwrite #\n").unwrap();
    Mosquitto::start_with(dir.path(), more)
}

/// The program runs beside this test, which is its CIC.
async fn check(cli: &Cli) -> (i32, String) {
    let mut command = tokio::process::Command::from(cli.command(&["check"]));
    shown(&command.output().await.unwrap())
}

/// Runs `check` where CIC and auth server are not there, and finds what it says of one thing.
async fn line_of(cli: &Cli, what: &str) -> String {
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    let mut command = cli.command(&["check"]);
    command.env("CIC_GATEWAY__CIC__BASE_URI", &nowhere);
    command.env("CIC_GATEWAY__AUTH__BASE_URI", &nowhere);
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let (code, text) = shown(&output);
    assert_eq!(code, 1, "{text}");
    text.lines().find(|line| line.contains(what)).expect(&text).to_owned()
}

#[tokio::test]
async fn what_works_is_said_to_work_and_nothing_is_changed() {
    let (cic, broker) = (SimulatedCic::start(SimSettings::default()).unwrap(), mosquitto(""));
    let cli = Cli::with("");
    let ca = cli.path("ca.pem");
    std::fs::write(&ca, cic.ca_pem().unwrap()).unwrap();
    cli.configure(&format!(
        "[cic]\nbase_uri = {:?}\nca_file = {ca:?}\n[auth]\nbase_uri = {:?}\nca_file = {ca:?}\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nusername = \"gw\"\npassword = \"secret\"",
        cic.cic_uri(),
        cic.auth_uri(),
        broker.port
    ));
    let (code, text) = check(&cli).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("does not exist yet"), "{text}");
    assert!(!cli.path("store.db").exists() && !cli.path("store.db.key").exists());
    assert_eq!(cli.run(&["migrate"]).0, 0);
    let (code, text) = check(&cli).await;
    assert_eq!(code, 0, "{text}");
    for part in ["accepts the gateway", "0 appliances", "HTTP/2 over TLS", "auth: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("ok     ").count(), 5, "{text}");
}

#[tokio::test]
async fn every_failure_is_named_by_its_key() {
    let (cic, broker) = (SimulatedCic::start(SimSettings::default()).unwrap(), mosquitto(""));
    let cli = Cli::with("");
    cli.configure(&format!(
        "[cic]\nbase_uri = {:?}\n[auth]\nbase_uri = \"https://127.0.0.1:{}/\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nusername = \"gw\"\npassword = \"n0t-1t\"",
        cic.cic_uri(),
        free_port(),
        broker.port
    ));
    let mut command = cli.command(&["check"]);
    command.env("CIC_GATEWAY__STORE__MIGRATE", "false");
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let (code, text) = shown(&output);
    assert_eq!(code, 1, "{text}");
    let rows = [
        ("failed broker: ", "mqtt.username, mqtt.password"),
        ("failed store: ", "store.url"),
        ("failed cic: ", "cic.ca_file"),
        ("failed auth: ", "auth.base_uri"),
    ];
    for (what, key) in rows {
        let line = text.lines().find(|line| line.starts_with(what)).expect(&text);
        assert!(line.contains(key), "{key}: {line}");
    }
    assert!(!text.contains("n0t-1t"), "no password is shown: {text}");
}

#[tokio::test]
async fn a_key_that_does_not_open_the_store_is_named() {
    let cli = Cli::with("");
    assert_eq!(cli.run(&["migrate"]).0, 0);
    std::fs::remove_file(cli.path("store.db.key")).unwrap();
    let line = line_of(&cli, "failed store: ").await;
    assert!(line.contains("store.secret_key"), "{line}");
    assert!(!cli.path("store.db.key").exists(), "check makes nothing");
}

#[tokio::test]
async fn the_reason_why_tls_with_the_broker_fails_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "other"));
    let (server, server_key) = ours.issue("localhost");
    let broker = mosquitto(&format!(
        "cafile {}\ncertfile {server}\nkeyfile {server_key}\nrequire_certificate true",
        ours.ca_file()
    ));
    let login = format!(
        "url = \"mqtts://localhost:{}\"\nusername = \"gw\"\npassword = \"secret\"\n",
        broker.port
    );
    let with = |ca: &str, (cert, key): &(String, String)| {
        format!("{login}ca_file = {ca:?}\nclient_cert_file = {cert:?}\nclient_key_file = {key:?}")
    };
    let (ca, own) = (ours.ca_file(), ours.issue("gateway"));
    let rows = [
        (with(&ca, &own), "accepts the gateway"),
        (with(&other.ca_file(), &own), "mqtt.ca_file"),
        (format!("{login}ca_file = {ca:?}"), "mqtt.client_cert_file"),
        (with(&ca, &other.issue("stranger")), "mqtt.client_cert_file"),
        (with(&ca, &own).replace("localhost", "127.0.0.1"), "for another name"),
        (with(&ca, &own).replace("\"secret\"", "\"x\""), "mqtt.username, mqtt.password"),
        (with(&ca, &own).replace("mqtts", "mqtt"), "mqtt.url"),
    ];
    for (mqtt, want) in rows {
        let line = line_of(&Cli::with(&format!("[mqtt]\n{mqtt}")), " broker: ").await;
        assert!(line.contains(want), "{want}: {line}");
    }
}
