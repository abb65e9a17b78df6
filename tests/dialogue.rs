//! Whole dialogues over real sockets: appliance, broker, gateway, simulated CIC over TLS. The same
//! tests run with the embedded broker and an MQTT 3.1.1 appliance, and with Mosquitto and an MQTT 5
//! one; the plainest also the other way round.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeSet, time::Duration};

use cic_gateway::{
    app::{self, Gateway},
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config,
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{ApplianceSettings, Heard, MqttVersion, SimulatedAppliance, read_wav},
        cic::{Fault, Place, SimSettings, SimulatedCic, scenario::embedded},
    },
    store::provision::{self, NewAppliance},
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// Which broker stands between appliance and gateway.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Embedded,
    Mosquitto,
}

struct House {
    speaker: SimulatedAppliance,
    gateway: Gateway,
    cic: SimulatedCic,
    _mosquitto: Option<support::Mosquitto>,
    _dir: tempfile::TempDir,
}

impl House {
    async fn build(kind: Kind) -> Self {
        let version = match kind {
            Kind::Embedded => MqttVersion::V3,
            Kind::Mosquitto => MqttVersion::V5,
        };
        Self::build_with(kind, version).await
    }

    async fn build_with(kind: Kind, version: MqttVersion) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let cic = SimulatedCic::start(SimSettings::default()).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("ca.pem"), cic.ca_pem().unwrap()).unwrap();
        let common = format!(
            "[cic]\nbase_uri = {:?}\nca_file = {:?}\n[auth]\nbase_uri = {:?}\nca_file = {:?}\n\
             client_id = \"c\"\nclient_secret = \"s\"\n[store]\nurl = \"sqlite://{}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n",
            cic.cic_uri(),
            path("ca.pem"),
            cic.auth_uri(),
            path("ca.pem"),
            path("store.db"),
        );
        let password = provision(&common, &cic).await;
        let (broker, mosquitto) = match kind {
            Kind::Embedded => {
                let data = path("broker");
                let broker = format!(
                    "[broker]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n"
                );
                (broker, None)
            }
            Kind::Mosquitto => {
                let file = dir.path().join("gateway.toml");
                let mqtt = "[mqtt]\nusername = \"gw\"\npassword = \"gw-s3cret\"\n";
                std::fs::write(&file, format!("{common}{mqtt}")).unwrap();
                let exported = std::process::Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
                    .arg("--config")
                    .arg(&file)
                    .args(["broker", "export", "--mosquitto"])
                    .arg(dir.path())
                    .status();
                assert!(exported.unwrap().success());
                let mosquitto = support::Mosquitto::start(dir.path());
                (format!("{mqtt}url = \"mqtt://127.0.0.1:{}\"\n", mosquitto.port), Some(mosquitto))
            }
        };
        let config = config::read(Some(("test", &format!("{common}{broker}"))), []).unwrap();
        let gateway = Gateway::start(&config).await.unwrap();
        let embedded = gateway.broker_addr().map(|addr| addr.port());
        let port = embedded.or(mosquitto.as_ref().map(|m| m.port)).unwrap();
        let speaker = SimulatedAppliance::start(ApplianceSettings {
            password,
            port,
            version,
            ..ApplianceSettings::default()
        })
        .unwrap();
        let house = Self { speaker, gateway, cic, _mosquitto: mosquitto, _dir: dir };
        house.session("connected").await;
        house
    }

    async fn session(&self, state: &str) {
        let found = self.heard(|heard| matches!(heard, Heard::Session(v) if v["state"] == state));
        found.await;
    }

    async fn heard(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        self.speaker.wait_for(wanted, LIMIT).await.expect("it was heard in time").1
    }

    async fn idle(&self) {
        self.heard(|heard| matches!(heard, Heard::Dialogue(v) if v["state"] == "idle")).await;
    }

    async fn played(&self) -> usize {
        match self.heard(|heard| matches!(heard, Heard::Played { .. })).await {
            Heard::Played { bytes, .. } => bytes,
            _ => 0,
        }
    }

    async fn error(&self, code: &str) -> Value {
        match self.heard(|heard| matches!(heard, Heard::Error(v) if v["code"] == code)).await {
            Heard::Error(value) => value,
            _ => Value::Null,
        }
    }

    fn say(&self, name: &str) -> Vec<u8> {
        let pcm = read_wav(embedded(&format!("speech/{name}.wav")).unwrap()).unwrap();
        self.speaker.say(pcm.clone(), None);
        pcm
    }

    /// Stops the gateway; the speaker hears as the last word that it has stopped.
    async fn end(self) {
        let Self { speaker, gateway, .. } = self;
        gateway.stop().await;
        let mut last = Value::Null;
        while let Some((_, heard)) = speaker.next(Duration::from_millis(200)).await {
            if let Heard::Session(session) = heard {
                last = session;
            }
        }
        assert_eq!(last["state"], "stopped");
    }
}

async fn provision(common: &str, cic: &SimulatedCic) -> Secret {
    let config = config::read(Some(("test", common)), []).unwrap();
    let metrics = cic_gateway::telemetry::metrics::Metrics::new();
    let store = app::open_store(&config, &metrics).await.unwrap();
    let id = ApplianceId::parse("speaker").unwrap();
    let new =
        NewAppliance { id: id.clone(), model_id: "m".into(), lang: "en".into(), device_id: None };
    let now = SystemClock.now();
    let (appliance, password) = provision::add(store.as_ref(), new, now.wall).await.unwrap();
    let device = Device { device_id: appliance.device_id, model_id: appliance.model_id };
    let auth = app::auth_client(&config).unwrap();
    let tokens = auth.pair(&device, &cic.issue_code(), now).await.unwrap();
    store.set_tokens(&id, &tokens).await.unwrap();
    store.close().await;
    password
}

fn answer(name: &str) -> usize {
    embedded(&format!("answers/{name}.mp3")).unwrap().len()
}

/// What the speaker reports, and what the gateway adds.
const CONTEXTS: [&str; 6] =
    ["AlertsState", "Audio", "DeviceState", "Display", "PlaybackState", "VolumeState"];

/// A spoken question is answered, and CIC hears every sample until it has heard enough.
async fn a_spoken_question_is_heard_and_answered(kind: Kind, version: MqttVersion) {
    let house = House::build_with(kind, version).await;
    let pcm = house.say("time");
    assert_eq!(house.played().await, answer("time"));
    house.idle().await;
    let recognize = |name: &str| name == "SpeechRecognizer.Recognize";
    let seen = house.cic.wait_for(|seen| recognize(&seen.name), LIMIT).await.unwrap();
    assert!(seen.complete && seen.text == "what time is it", "{seen:?}");
    assert!(pcm.starts_with(&seen.audio), "not a sample is lost or added");
    let objects = seen.context.as_array().unwrap().iter();
    let names: BTreeSet<_> =
        objects.filter_map(|object| object["header"]["name"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(CONTEXTS));
    for name in ["SpeechSynthesizer.SpeechStarted", "SpeechSynthesizer.SpeechFinished"] {
        assert!(house.cic.wait_for(|seen| seen.name == name, LIMIT).await.is_some(), "{name}");
    }
    house.end().await;
}

#[actix_web::test]
async fn a_spoken_question_is_answered_whatever_the_broker_and_the_version_of_mqtt() {
    for kind in [Kind::Embedded, Kind::Mosquitto] {
        for version in [MqttVersion::V3, MqttVersion::V5] {
            a_spoken_question_is_heard_and_answered(kind, version).await;
        }
    }
}

/// Each of these stories is a test of its own with either broker.
macro_rules! with_both_brokers {
    ($($story:ident,)*) => {
        mod embedded_broker {
            $(#[actix_web::test]
            async fn $story() {
                super::$story(super::Kind::Embedded).await;
            })*
        }
        mod mosquitto {
            $(#[actix_web::test]
            async fn $story() {
                super::$story(super::Kind::Mosquitto).await;
            })*
        }
    };
}

with_both_brokers! {
    a_newer_question_ends_the_older_answer,
    a_question_of_clova_is_answered_in_the_same_dialogue,
    garbage_from_an_appliance_is_named_and_disturbs_nothing,
    rubbish_from_cic_is_skipped_piece_by_piece,
    an_answer_that_is_cut_off_is_announced,
    a_lost_connection_comes_back_and_a_refused_token_is_renewed,
    a_session_says_why_there_is_none,
}

async fn a_newer_question_ends_the_older_answer(kind: Kind) {
    let house = House::build(kind).await;
    house.say("story");
    house.heard(|heard| matches!(heard, Heard::FirstAudio { .. })).await;
    house.speaker.type_text("what time is it", None);
    house.heard(|heard| matches!(heard, Heard::Cancel(_))).await;
    assert_eq!(house.played().await, answer("time"), "nothing of the story is played any more");
    let stopped = |name: &str| name == "SpeechSynthesizer.SpeechStopped";
    assert!(house.cic.wait_for(|seen| stopped(&seen.name), LIMIT).await.is_some());
    house.idle().await;
    assert_eq!(house.cic.seen().iter().filter(|seen| stopped(&seen.name)).count(), 1);
    house.end().await;
}

async fn a_question_of_clova_is_answered_in_the_same_dialogue(kind: Kind) {
    let house = House::build(kind).await;
    house.speaker.type_text("order a pizza", None);
    let listen = house.heard(|heard| matches!(heard, Heard::Capture(v) if v["action"] == "listen"));
    let Heard::Capture(listen) = listen.await else { return };
    let id = listen["expectSpeechId"].as_str().unwrap().to_owned();
    house.speaker.type_text("a large one", Some(id.clone()));
    assert_eq!(house.played().await, answer("ordered"));
    let seen = house.cic.seen();
    let asked: Vec<_> = seen.iter().filter(|s| s.name == "TextRecognizer.Recognize").collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].dialogue, asked[1].dialogue);
    assert_eq!(asked[1].payload["speechId"], id);
    house.end().await;
}

async fn garbage_from_an_appliance_is_named_and_disturbs_nothing(kind: Kind) {
    let house = House::build(kind).await;
    let rows: [(&str, Vec<u8>, &str); 6] = [
        ("text", b"{".to_vec(), "invalid_json"),
        ("text", b"{\"text\": \"\xff\"}".to_vec(), "invalid_json"),
        ("recognize", b"{}".to_vec(), "invalid_payload"),
        ("audio/u9", vec![1, 2, 3], "audio_odd_length"),
        ("audio/u9", vec![0; 64 * 1024 + 2], "payload_too_large"),
        ("nonsense", b"{}".to_vec(), "unknown_topic"),
    ];
    for (topic, payload, code) in rows {
        house.speaker.publish(topic, payload);
        house.error(code).await;
    }
    house.speaker.type_text("what time is it", None);
    assert_eq!(house.played().await, answer("time"));
    house.end().await;
}

async fn rubbish_from_cic_is_skipped_piece_by_piece(kind: Kind) {
    let house = House::build(kind).await;
    house.cic.inject([Fault::Rubbish.on(Place::Event).when("what time")]);
    house.speaker.type_text("what time is it", None);
    assert_eq!(house.played().await, answer("time"));
    house.idle().await;
    let metrics = house.gateway.metrics().render();
    let invalid = "cic_gateway_cic_directives_total{name=\"other\",namespace=\"other\",outcome=\"invalid\"} 3";
    assert!(metrics.contains(invalid), "{metrics}");
    assert!(
        metrics.contains("cic_gateway_dropped_total{what=\"attachment_without_directive\"} 1"),
        "{metrics}"
    );
    house.end().await;
}

async fn an_answer_that_is_cut_off_is_announced(kind: Kind) {
    let house = House::build(kind).await;
    house.cic.inject([Fault::TruncatedAnswer.on(Place::Event).when("sing")]);
    house.speaker.type_text("sing", None);
    let error = house.error("attachment_incomplete").await;
    assert!(error["contentId"].is_string());
    house.idle().await;
    house.end().await;
}

async fn a_lost_connection_comes_back_and_a_refused_token_is_renewed(kind: Kind) {
    let house = House::build(kind).await;
    house.cic.inject([Fault::Goaway.on(Place::Event).when("good night")]);
    house.speaker.type_text("good night", None);
    house.error("not_connected").await;
    house.session("connected").await;
    house.cic.expire_tokens();
    house.speaker.type_text("what time is it", None);
    assert_eq!(house.played().await, answer("time"), "401, refreshed, sent again");
    house.idle().await;
    house.cic.revoke_pairings();
    house.speaker.type_text("what time is it", None);
    house.session("unauthorized").await;
    house.speaker.type_text("what time is it", None);
    house.error("not_paired").await;
    house.end().await;
}

async fn a_session_says_why_there_is_none(kind: Kind) {
    let house = House::build(kind).await;
    house.speaker.publish("event", json!({"namespace": "Nobody", "name": "Knows"}).to_string());
    house.speaker.type_text("what time is it", None);
    assert_eq!(house.played().await, answer("time"), "a refused event blocks nothing");
    house.end().await;
}
