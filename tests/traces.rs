//! Dialogues as a collector of traces sees them.
#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    time::Duration,
};

use cic_gateway::{
    app::Gateway,
    config,
    sim::{
        appliance::{ApplianceSettings, Heard, SimulatedAppliance, read_wav},
        cic::{Scenario, SimSettings, SimulatedCic, scenario::embedded},
    },
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Attribute,
    trace::v1::{Span, status::StatusCode},
};
use prost::Message;
use rumqttc::v5::{
    AsyncClient, MqttOptions,
    mqttbytes::{QoS, v5::PublishProperties},
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// An OTLP/HTTP collector on a free port.
struct Collector {
    addr: SocketAddr,
    requests: mpsc::Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    while let Some(request) = receive(&stream) {
                        let _ = sender.send(request);
                    }
                });
            }
        });
        Self { addr, requests }
    }

    /// Everything that came, once the gateway has ended.
    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.try_iter();
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| {
            let service = resource.resource.unwrap().attributes;
            let name = service.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let name = name.value.clone().unwrap().value.unwrap();
            assert_eq!(name, Attribute::StringValue("cic-gateway".into()));
            resource.scope_spans
        });
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// One request of a connection, answered; nothing at its end.
fn receive(stream: &TcpStream) -> Option<ExportTraceServiceRequest> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut first) = (0, String::new());
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("content-type", value)) => assert_eq!(value, "application/x-protobuf"),
            Some(_) => {}
            None => break,
        }
    }
    if first.is_empty() {
        return None;
    }
    assert!(first.starts_with("POST /v1/traces "), "{first}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    Some(ExportTraceServiceRequest::decode(body.as_slice()).unwrap())
}

struct House {
    collector: Collector,
    gateway: Gateway,
    speaker: SimulatedAppliance,
    password: String,
    _cic: SimulatedCic,
    _dir: tempfile::TempDir,
}

impl House {
    /// With a speaker that is connected; this part of the dialogues is traced.
    async fn build(ratio: f64) -> Self {
        Self::build_with(ratio, Collector::start(), "").await
    }

    async fn build_with(ratio: f64, collector: Collector, fault: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (dir, mut scenario) = (tempfile::tempdir().unwrap(), Scenario::builtin());
        if !fault.is_empty() {
            scenario.add_fault(fault).unwrap();
        }
        let settings = SimSettings { scenario, ..SimSettings::default() };
        let cic = SimulatedCic::start(settings).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("ca.pem"), cic.ca_pem().unwrap()).unwrap();
        let text = format!(
            "[cic]\nbase_uri = {:?}\nca_file = {ca:?}\n[auth]\nbase_uri = {:?}\nca_file = {ca:?}\n\
             client_id = \"c\"\nclient_secret = \"s\"\n[store]\nurl = \"sqlite://{}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\
             [broker]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\n\
             [telemetry]\notlp_endpoint = \"http://{}\"\notlp_ratio = {ratio:?}\n",
            cic.cic_uri(),
            cic.auth_uri(),
            path("store.db"),
            path("broker"),
            collector.addr,
            ca = path("ca.pem"),
        );
        let gateway =
            Gateway::start(&config::read(Some(("test", &text)), []).unwrap()).await.unwrap();
        let password = add_speaker(&gateway, &cic).await;
        let speaker = SimulatedAppliance::start(ApplianceSettings {
            password: password.as_str().into(),
            port: gateway.broker_addr().unwrap().port(),
            ..ApplianceSettings::default()
        })
        .unwrap();
        let house = Self { collector, gateway, speaker, password, _cic: cic, _dir: dir };
        house.hears(|heard| matches!(heard, Heard::Session(v) if v["state"] == "connected")).await;
        house
    }

    async fn hears(&self, wanted: impl Fn(&Heard) -> bool) {
        self.speaker.wait_for(wanted, LIMIT).await.expect("in time");
    }

    async fn is_answered(&self) {
        self.hears(|heard| matches!(heard, Heard::Played { bytes: 1.., .. })).await;
        self.hears(|heard| matches!(heard, Heard::Dialogue(v) if v["state"] == "idle")).await;
    }

    /// Ends the gateway; all spans that it has made.
    async fn end(self) -> Vec<Span> {
        self.gateway.stop().await;
        self.collector.spans()
    }
}

async fn add_speaker(gateway: &Gateway, cic: &SimulatedCic) -> String {
    let (http, base) = (reqwest::Client::new(), format!("http://{}/api/v1", gateway.http_addr()));
    let post = async |path: &str, body: serde_json::Value| {
        let request = http.post(format!("{base}/{path}")).json(&body);
        request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json::<serde_json::Value>()
            .await
            .unwrap()
    };
    let added = post("appliances", json!({"id": "speaker", "lang": "en"})).await;
    post("appliances/speaker/pair", json!({"code": cic.issue_code().expose()})).await;
    added["mqttPassword"].as_str().unwrap().to_owned()
}

/// The spans by name; what all of them hang on is their parent.
fn tree(spans: &[Span]) -> (&Span, BTreeMap<&str, Vec<&Span>>) {
    let root = spans.iter().find(|span| span.name == "dialogue").unwrap();
    let mut children: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.span_id != root.span_id) {
        assert_eq!((&span.trace_id, &span.parent_span_id), (&root.trace_id, &root.span_id));
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano, "{}", span.name);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{}", span.name);
        children.entry(&span.name).or_default().push(span);
    }
    (root, children)
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Attribute::StringValue(text) => Some(text),
        other => Some(format!("{other:?}")),
    }
}

#[actix_web::test]
async fn a_spoken_dialogue_is_one_trace_that_shows_where_the_time_goes() {
    let house = House::build(1.0).await;
    let wav = embedded("speech/time.wav").unwrap();
    house.speaker.say(read_wav(wav).unwrap(), None);
    house.is_answered().await;
    let spans = house.end().await;
    let (root, children) = tree(&spans);
    assert!(root.parent_span_id.is_empty());
    assert_eq!(attribute(root, "cic.input").as_deref(), Some("speech"));
    assert_eq!(attribute(root, "cic.appliance").as_deref(), Some("speaker"));
    assert!(attribute(root, "cic.dialog_request_id").is_some());
    let names: Vec<_> = children.keys().copied().collect();
    let wanted = [
        "first audio",
        "first directive",
        "mqtt receive",
        "publish",
        "queueing",
        "stop capture",
        "upload",
    ];
    assert_eq!(names, wanted);
    for name in wanted.iter().filter(|name| **name != "publish") {
        assert_eq!(children[name].len(), 1, "{name}");
    }
    let one = |name: &str| children[name][0];
    assert_eq!(one("mqtt receive").start_time_unix_nano, root.start_time_unix_nano);
    assert_eq!(one("mqtt receive").end_time_unix_nano, one("queueing").start_time_unix_nano);
    assert!(one("queueing").end_time_unix_nano <= one("upload").start_time_unix_nano);
    assert!(one("stop capture").end_time_unix_nano <= one("upload").end_time_unix_nano);
    assert!(one("upload").end_time_unix_nano <= one("first directive").end_time_unix_nano);
    assert!(one("first directive").end_time_unix_nano <= one("first audio").end_time_unix_nano);
    let published: Vec<_> =
        children["publish"].iter().map(|s| attribute(s, "cic.directive")).collect();
    assert!(
        published.contains(&Some("SpeechSynthesizer.Speak".into())) && published.contains(&None)
    );
    let failed = |span: &Span| span.status.as_ref().is_some_and(|s| s.code() == StatusCode::Error);
    assert!(!spans.iter().any(failed));
}

#[actix_web::test]
async fn what_an_appliance_traces_by_itself_goes_on_in_its_trace_whatever_the_ratio() {
    let house = House::build(0.0).await;
    house.speaker.type_text("what time is it", None);
    house.is_answered().await;
    let port = house.gateway.broker_addr().unwrap().port();
    let mut options = MqttOptions::new("another", "127.0.0.1", port);
    options.set_credentials("speaker", &house.password);
    let (client, mut events) = AsyncClient::new(options, 10);
    actix_web::rt::spawn(async move { while events.poll().await.is_ok() {} });
    let span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let properties = PublishProperties {
        user_properties: vec![("traceparent".into(), span.into())],
        ..PublishProperties::default()
    };
    let (topic, text) = ("cic/v1/speaker/up/text", r#"{"text": "what time is it"}"#);
    client.publish_with_properties(topic, QoS::AtLeastOnce, false, text, properties).await.unwrap();
    house.is_answered().await;
    let spans = house.end().await;
    assert_eq!(spans.iter().filter(|span| span.name == "dialogue").count(), 1);
    let (root, children) = tree(&spans);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&root.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&root.parent_span_id), "b7ad6b7169203331");
    assert_eq!(attribute(root, "cic.input").as_deref(), Some("text"));
    assert!(children.contains_key("upload") && !children.contains_key("stop capture"));
    let whole = format!("{spans:?}");
    assert!(!whole.contains("what time"), "what was said is nobody's business");
}

#[actix_web::test]
async fn an_interrupted_dialogue_says_so_and_a_second_turn_goes_on_in_its_trace() {
    let house = House::build(1.0).await;
    house.speaker.type_text("tell me a story", None);
    house.hears(|heard| matches!(heard, Heard::FirstAudio { .. })).await;
    house.speaker.type_text("order a pizza", None);
    let asks = |heard: &Heard| matches!(heard, Heard::Capture(v) if v["action"] == "listen");
    let (_, asked) = house.speaker.wait_for(asks, LIMIT).await.expect("in time");
    let Heard::Capture(question) = asked else { unreachable!("that was waited for") };
    house.speaker.type_text("a large one", question["expectSpeechId"].as_str().map(str::to_owned));
    house.is_answered().await;
    let spans = house.end().await;
    let (old, new): (Vec<Span>, Vec<Span>) = {
        let first = spans.iter().filter(|span| span.name == "dialogue");
        let first = first.min_by_key(|span| span.start_time_unix_nano).unwrap().trace_id.clone();
        spans.into_iter().partition(|span| span.trace_id == first)
    };
    let ((old, _), (new, turns)) = (tree(&old), tree(&new));
    assert!(attribute(old, "cic.superseded").is_some(), "{old:?}");
    assert_eq!(attribute(new, "cic.superseded"), None);
    for name in ["mqtt receive", "queueing", "upload", "first directive", "first audio"] {
        assert_eq!(turns[name].len(), 2, "{name}");
    }
}

#[actix_web::test]
async fn a_dialogue_that_fails_has_the_status_error() {
    let fault = r#"{ on = "event", when = "story", kind = "reset-event" }"#;
    let house = House::build_with(1.0, Collector::start(), fault).await;
    house.speaker.type_text("tell me a story", None);
    house.hears(|heard| matches!(heard, Heard::Error(_))).await;
    let spans = house.end().await;
    let (root, children) = tree(&spans);
    assert_eq!(root.status.as_ref().unwrap().code(), StatusCode::Error);
    assert!(!children.contains_key("first directive"));
}

#[actix_web::test]
async fn a_collector_that_is_not_there_disturbs_nobody() {
    let (gone, (_, requests)) = (TcpListener::bind("127.0.0.1:0").unwrap(), mpsc::channel());
    let addr = gone.local_addr().unwrap();
    drop(gone);
    let house = House::build_with(1.0, Collector { addr, requests }, "").await;
    house.speaker.type_text("what time is it", None);
    house.is_answered().await;
    let ended = tokio::time::timeout(LIMIT, house.end()).await;
    assert!(ended.is_ok_and(|spans| spans.is_empty()));
}
