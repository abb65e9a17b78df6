//! The simulated appliance, and `simulate appliance`, at real brokers: both versions of MQTT, with
//! and without TLS, and what it says when something is missing. The gateway is played by the test.
#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

mod support;

use std::{path::Path, process::Output, sync::Arc, time::Duration};

use async_trait::async_trait;
use cic_gateway::{
    cic::tls::client_config,
    mqtt::broker::{Broker, BrokerSettings, GatewayLogin, Users},
    sim::{
        appliance::{
            ApplianceHost, ApplianceSettings, CutOff, Heard, Initiator, MqttVersion,
            SimulatedAppliance, Speech, Trouble,
        },
        cic::scenario::embedded,
    },
};
use rumqttc::{TlsConfiguration, Transport, v5, v5::mqttbytes::QoS};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

struct Anybody;

#[async_trait]
impl Users for Anybody {
    async fn verify(&self, user: &str, password: &[u8]) -> bool {
        password == format!("{user}-password").as_bytes()
    }
}

/// A broker, and the gateway's side of it.
struct Stage {
    broker: Broker,
    gateway: v5::AsyncClient,
    received: tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    tls: Option<Arc<rustls::ClientConfig>>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn set(secure: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = secure.then(|| certificate(dir.path()));
        let ca = std::fs::read(dir.path().join("ca.pem")).ok();
        let tls = secure.then(|| client_config(ca.as_deref(), &[]).unwrap());
        let settings = BrokerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: dir.path().join("broker"),
            tls: files,
            topic_root: "cic/v1".into(),
        };
        let login = GatewayLogin { user: "gw".into(), client_id: "gw".into() };
        let broker = Broker::start(settings, Arc::new(Anybody), login).await.unwrap();
        let (gateway, received) = gateway(broker.local_addr().port(), tls.clone()).await;
        Self { broker, gateway, received, tls, dir }
    }

    fn settings(&self) -> ApplianceSettings {
        ApplianceSettings {
            id: "kitchen".into(),
            password: "kitchen-password".into(),
            host: "localhost".into(),
            port: self.broker.local_addr().port(),
            tls: self.tls.clone(),
            ..ApplianceSettings::default()
        }
    }

    async fn down(&self, rest: &str, payload: impl Into<bytes::Bytes>) {
        let topic = format!("cic/v1/kitchen/down/{rest}");
        self.gateway.publish(topic, QoS::AtLeastOnce, false, payload.into()).await.unwrap();
    }

    /// The next message on `up/{rest}`.
    async fn up(&mut self, rest: &str) -> Vec<u8> {
        let wanted = format!("cic/v1/kitchen/up/{rest}");
        let find = async {
            loop {
                let (topic, payload) = self.received.recv().await.unwrap();
                if topic == wanted {
                    return payload;
                }
            }
        };
        tokio::time::timeout(LIMIT, find).await.unwrap_or_else(|_| panic!("{rest} did not come"))
    }

    async fn up_json(&mut self, rest: &str) -> Value {
        serde_json::from_slice(&self.up(rest).await).unwrap()
    }

    async fn speak(&self, token: &str, audio: &[u8]) {
        let directive = json!({
            "namespace": "SpeechSynthesizer", "name": "Speak", "dialogRequestId": "d",
            "payload": {"token": token, "url": format!("cid:{token}-audio")},
            "attachments": [{"contentId": format!("{token}-audio")}],
        });
        self.down("directive", directive.to_string()).await;
        self.down(&format!("audio/{token}-audio"), audio.to_vec()).await;
    }
}

/// The gateway's MQTT client, subscribed.
async fn gateway(
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
) -> (v5::AsyncClient, tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    let mut options = v5::MqttOptions::new("gw", "localhost", port);
    options.set_credentials("gw", "gw-password").set_outgoing_inflight_upper_limit(100);
    if let Some(tls) = tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    let (client, mut events) = v5::AsyncClient::new(options, 1000);
    client.subscribe("cic/v1/+/up/#", QoS::AtLeastOnce).await.unwrap();
    let (tell, received) = tokio::sync::mpsc::unbounded_channel();
    let (ready, subscribed) = tokio::sync::oneshot::channel::<()>();
    let mut ready = Some(ready);
    tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            match event {
                v5::Event::Incoming(v5::mqttbytes::v5::Packet::SubAck(_)) => drop(ready.take()),
                v5::Event::Incoming(v5::mqttbytes::v5::Packet::Publish(publish)) => {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    let _ = tell.send((topic, publish.payload.to_vec()));
                }
                _ => {}
            }
        }
    });
    let _ = subscribed.await;
    (client, received)
}

/// Writes `ca.pem`, and certificate and key of `localhost`.
fn certificate(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert_file, server.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    (cert_file, key_file)
}

fn mp3(name: &str) -> &'static [u8] {
    embedded(&format!("answers/{name}.mp3")).unwrap()
}

async fn trouble(settings: ApplianceSettings) -> Trouble {
    let appliance = SimulatedAppliance::start(settings).unwrap();
    match appliance.next(LIMIT).await.expect("it is told at once").1 {
        Heard::NoBroker(trouble) => trouble,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_versions_with_and_without_tls_speak_play_and_leave() {
    for (version, secure) in [
        (MqttVersion::V3, false),
        (MqttVersion::V5, false),
        (MqttVersion::V3, true),
        (MqttVersion::V5, true),
    ] {
        let mut stage = Stage::set(secure).await;
        let appliance =
            SimulatedAppliance::start(ApplianceSettings { version, ..stage.settings() }).unwrap();
        assert!(stage.up_json("state").await["Speaker.VolumeState"].is_object());
        assert_eq!(stage.up("status").await, b"online");
        let utterance = appliance.speak(Speech::new(vec![7; 4000]).begun_by(Initiator::Hold));
        let recognize = stage.up_json("recognize").await;
        assert_eq!(recognize["utterance"], utterance);
        assert_eq!(recognize["initiator"]["type"], "PRESS_AND_HOLD");
        let audio = format!("audio/{utterance}");
        let heard = [stage.up(&audio).await, stage.up(&audio).await, stage.up(&audio).await];
        assert_eq!(heard.map(|audio| audio.len()), [3200, 800, 0], "no open microphone");
        stage.speak("t1", mp3("ordered")).await;
        assert_eq!(stage.up_json("speech").await, json!({"token": "t1", "state": "started"}));
        stage.down("audio/t1-audio", "").await;
        assert_eq!(stage.up_json("speech").await, json!({"token": "t1", "state": "finished"}));
        drop(appliance);
        assert_eq!(stage.up("status").await, b"offline");
        stage.broker.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_told_and_not_kept() {
    let mut stage = Stage::set(false).await;
    let out = stage.dir.path().to_owned();
    let settings = ApplianceSettings { out: Some(out.clone()), ..stage.settings() };
    let appliance = SimulatedAppliance::start(settings).unwrap();
    stage.up("status").await;
    stage.speak("t1", &mp3("time")[..1080]).await;
    let error = json!({"code": "attachment_incomplete", "contentId": "t1-audio"});
    stage.down("error", error.to_string()).await;
    stage.down("audio/t1-audio", "").await;
    let cut_off = |heard: &Heard| matches!(heard, Heard::CutOff { .. });
    let (_, heard) = appliance.wait_for(cut_off, LIMIT).await.unwrap();
    assert!(
        matches!(&heard, Heard::CutOff { bytes: 1080, why: CutOff::Incomplete, .. }),
        "{heard:?}"
    );
    assert_eq!(stage.up_json("speech").await["state"], "started");
    assert_eq!(stage.up_json("speech").await["state"], "stopped");
    assert!(!out.join("answer-01.mp3").exists());
}

#[tokio::test]
async fn a_power_cut_leaves_the_last_word_to_the_broker() {
    let mut stage = Stage::set(false).await;
    let appliance = SimulatedAppliance::start(stage.settings()).unwrap();
    assert_eq!(stage.up("status").await, b"online");
    appliance.cut_power();
    assert_eq!(stage.up("status").await, b"offline");
}

#[tokio::test]
async fn hundreds_live_on_one_thread() {
    let mut stage = Stage::set(false).await;
    let host = ApplianceHost::start().unwrap();
    let appliances: Vec<_> = (0..300)
        .map(|number| {
            let id = format!("s{number}");
            let password = format!("{id}-password").into();
            host.add(ApplianceSettings { id, password, ..stage.settings() })
        })
        .collect();
    for (number, appliance) in appliances.iter().enumerate() {
        appliance.type_text(&number.to_string(), None);
    }
    let mut texts = std::collections::HashSet::new();
    while texts.len() < appliances.len() {
        let next = tokio::time::timeout(LIMIT, stage.received.recv()).await;
        let (topic, payload) = next.expect("every text comes").unwrap();
        if topic.ends_with("/up/text") {
            texts.insert(payload);
        }
    }
}

#[tokio::test]
async fn why_there_is_no_broker_is_told_exactly() {
    let (plain, secure) = (Stage::set(false).await, Stage::set(true).await);
    for version in [MqttVersion::V3, MqttVersion::V5] {
        let wrong = ApplianceSettings { version, password: "wrong".into(), ..plain.settings() };
        let told = trouble(wrong).await.to_string();
        assert_eq!(told, "the broker refused user kitchen: bad user name or password");
        let user = Some("other".to_owned());
        let stranger = ApplianceSettings { version, user, ..plain.settings() };
        let told = trouble(stranger).await.to_string();
        assert_eq!(told, "the broker refused user other: bad user name or password");
        let user = Some("other".to_owned());
        let password = "other-password".into();
        let other = ApplianceSettings { version, user, password, ..plain.settings() };
        let told = trouble(other).await.to_string();
        assert_eq!(told, "the broker does not let user other subscribe to cic/v1/kitchen/down/#");
        let port = support::free_port();
        let closed = ApplianceSettings { version, port, ..plain.settings() };
        let told = trouble(closed).await.to_string();
        let want = format!("the broker at localhost:{port} cannot be reached: connection refused");
        assert_eq!(told, want);
        let tls = Some(client_config(None, &[]).unwrap());
        let distrusted = ApplianceSettings { version, tls, ..secure.settings() };
        let told = trouble(distrusted).await.to_string();
        assert!(told.starts_with("no TLS with the broker at localhost:"), "{told}");
        assert!(told.ends_with("invalid peer certificate: UnknownIssuer"), "{told}");
        let plainly = ApplianceSettings { version, tls: None, ..secure.settings() };
        let told = trouble(plainly).await;
        assert!(matches!(told, Trouble::NoBroker(..)), "{told}");
    }
}

#[tokio::test]
async fn mosquitto_refuses_a_wrong_password_in_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let hash = cic_gateway::store::password::hash(&"right".into());
    std::fs::write(dir.path().join("passwd"), format!("kitchen:{hash}\n")).unwrap();
    let acl = "user kitchen\ntopic write cic/v1/kitchen/up/#\ntopic read cic/v1/kitchen/down/#\n";
    std::fs::write(dir.path().join("acl"), acl).unwrap();
    let mosquitto = support::Mosquitto::start(dir.path());
    for version in [MqttVersion::V3, MqttVersion::V5] {
        let settings = |password: &str| ApplianceSettings {
            id: "kitchen".into(),
            password: password.into(),
            port: mosquitto.port,
            version,
            ..ApplianceSettings::default()
        };
        let told = trouble(settings("wrong")).await.to_string();
        assert_eq!(told, "the broker refused user kitchen: bad user name or password");
        let told = trouble(settings("")).await.to_string();
        assert_eq!(told, "the broker refused a login without password: bad user name or password");
        let right = SimulatedAppliance::start(settings("right")).unwrap();
        assert!(matches!(right.next(LIMIT).await, Some((_, Heard::Connected))));
    }
}

async fn simulate(arguments: &[&str], mqtt: &str) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
        .args(["simulate", "appliance", "kitchen", "--mqtt", mqtt])
        .args(arguments)
        .output()
        .await
        .unwrap()
}

fn failed(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[tokio::test]
async fn the_command_tells_what_is_missing_and_fails() {
    let stage = Stage::set(false).await;
    let port = stage.broker.local_addr().port();
    let wrong = simulate(&[], &format!("mqtt://kitchen:wrong@localhost:{port}")).await;
    let want = "error: the broker refused user kitchen: bad user name or password";
    assert_eq!(failed(&wrong), (Some(1), want.to_owned()));
    let right = format!("mqtt://kitchen:kitchen-password@localhost:{port}");
    let (code, told) = failed(&simulate(&["--timeout", "1"], &right).await);
    assert_eq!(code, Some(1));
    assert!(told.starts_with("error: no gateway answered"), "{told}");
    let session = json!({"state": "unpaired", "since": "2026-01-01T00:00:00Z"}).to_string();
    let topic = "cic/v1/kitchen/down/session";
    stage.gateway.publish(topic, QoS::AtLeastOnce, true, session).await.unwrap();
    let (code, told) = failed(&simulate(&["--timeout", "1"], &right).await);
    assert_eq!(code, Some(1));
    assert!(told.starts_with("error: kitchen has no session with CLOVA: unpaired since"), "{told}");
    let (code, told) = failed(&simulate(&[], "http://localhost").await);
    assert!(code == Some(2) && told.contains("must be mqtt://"), "{told}");
}

#[tokio::test]
async fn the_command_keeps_complete_answers() {
    let mut stage = Stage::set(true).await;
    let port = stage.broker.local_addr().port();
    let out = stage.dir.path().join("answers");
    let ca = stage.dir.path().join("ca.pem");
    let arguments = ["--ca", ca.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let arguments = [&arguments[..], &["--text", "hello", "--mqtt-version", "3"]].concat();
    let url = format!("mqtts://kitchen:kitchen-password@localhost:{port}");
    let gateway = async {
        stage.up("status").await;
        stage.down("session", json!({"state": "connected"}).to_string()).await;
        assert_eq!(stage.up_json("text").await["text"], "hello");
        stage.speak("t1", mp3("time")).await;
        stage.down("audio/t1-audio", "").await;
        while stage.up_json("speech").await["state"] != "finished" {}
        stage.down("dialogue", json!({"state": "idle"}).to_string()).await;
    };
    let (output, ()) = tokio::join!(simulate(&arguments, &url), gateway);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(told.contains("told to SpeechSynthesizer.Speak\nplayed "), "{told}");
    assert_eq!(std::fs::read(out.join("answer-01.mp3")).unwrap(), mp3("time"));
}
