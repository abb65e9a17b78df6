//! The simulated CIC against a client that does not behave: what the guide forbids on the wire is
//! refused, with the status that it names.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use cic_gateway::{
    cic::auth::{AuthClient, AuthSettings, Device},
    clock::{Clock, SystemClock},
    ids::random_uuid,
    sim::cic::{SimSettings, SimulatedCic},
};
use h2::{RecvStream, client::SendRequest};
use http::Request;

const AGENT: &str = "A/B/1.0.0 (OS;HW)";
const FORM: &str = "multipart/form-data; boundary=b";
const ALERTS: &str = "{\"header\":{\"namespace\":\"Alerts\",\"name\":\"AlertsState\"},\
                      \"payload\":{\"allAlerts\":[],\"activeAlerts\":[]}}";
const STATE: &str = "{\"header\":{\"namespace\":\"Device\",\"name\":\"DeviceState\"},\
                     \"payload\":{}}";
const JSON: &str = "application/json; charset=UTF-8";

struct Client {
    cic: SimulatedCic,
    send: SendRequest<Bytes>,
    bearer: String,
}

impl Client {
    /// Paired and connected, without TLS; the downchannel is not open yet.
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cic = SimulatedCic::start(SimSettings { tls: false, ..SimSettings::default() });
        let cic = cic.unwrap();
        let auth = AuthClient::new(AuthSettings {
            base_uri: cic.auth_uri(),
            ca_pem: None,
            client_id: "c".into(),
            client_secret: "s".into(),
            user_agent: AGENT.into(),
        })
        .unwrap();
        let device = Device { device_id: "d".into(), model_id: "m".into() };
        let tokens = auth.pair(&device, &cic.issue_code(), SystemClock.now()).await.unwrap();
        let bearer = format!("Bearer {}", tokens.access_token.expose());
        let send = connect(&cic).await;
        Self { cic, send, bearer }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.cic.cic_uri()))
            .header("user-agent", AGENT)
            .header("authorization", &self.bearer)
    }

    /// Opens the downchannel, which lives as long as what is returned.
    async fn downchannel(&mut self) -> RecvStream {
        let request = self.request("GET", "v1/directives").body(()).unwrap();
        let (response, _) = self.send.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    }

    async fn event(&mut self, content_type: &str, body: &str) -> (u16, String) {
        let request = self.request("POST", "v1/events").header("content-type", content_type);
        ask(&mut self.send, request, body).await
    }
}

async fn connect(cic: &SimulatedCic) -> SendRequest<Bytes> {
    let uri: http::Uri = cic.cic_uri().parse().unwrap();
    let addr: SocketAddr = uri.authority().unwrap().as_str().parse().unwrap();
    let tcp = tokio::net::TcpStream::connect(addr).await.unwrap();
    let (send, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    send
}

/// Sends a request; returns the status and the body.
async fn ask(
    send: &mut SendRequest<Bytes>,
    request: http::request::Builder,
    body: &str,
) -> (u16, String) {
    let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true).unwrap();
    let mut response = response.await.unwrap();
    let mut text = BytesMut::new();
    while let Some(chunk) = response.body_mut().data().await {
        text.extend_from_slice(&chunk.unwrap());
    }
    (response.status().as_u16(), String::from_utf8_lossy(&text).into_owned())
}

fn part(name: &str, content_type: &str, body: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {content_type}\
         \r\n\r\n{body}\r\n"
    )
}

/// An event's JSON with a fresh message id; `tail` goes behind it in the header.
fn json(namespace: &str, name: &str, tail: &str, payload: &str) -> String {
    let id = random_uuid();
    format!(
        "{{\"context\":[{ALERTS},{STATE}],\"event\":{{\"header\":{{\"namespace\":\"{namespace}\",\
         \"name\":\"{name}\",\"messageId\":\"{id}\"{tail}}},\"payload\":{payload}}}}}"
    )
}

fn report() -> String {
    json("DeviceControl", "ReportState", "", "{}")
}

#[tokio::test]
async fn bodies_that_the_guide_forbids_are_refused() {
    let speech =
        || json("SpeechRecognizer", "Recognize", ",\"dialogRequestId\":\"d\"", "{\"lang\":\"ko\"}");
    let audio = "application/octet-stream";
    let rows = [
        (FORM, part("metadata", JSON, &report()) + "--b--", 204, ""),
        (
            "multipart/related; boundary=b",
            part("metadata", JSON, &report()) + "--b--",
            400,
            "form-data",
        ),
        ("multipart/form-data", part("metadata", JSON, &report()) + "--b--", 400, "boundary"),
        ("application/json", report(), 400, "form-data"),
        (FORM, part("metadata", JSON, &report()), 400, "closing delimiter"),
        (FORM, "--b--".into(), 400, "no metadata"),
        (FORM, part("event", JSON, &report()) + "--b--", 400, "not expected"),
        (FORM, part("metadata", "text/plain", &report()) + "--b--", 400, "application/json"),
        (
            FORM,
            part("metadata", JSON, &report()) + &part("audio", audio, "12") + "--b--",
            400,
            "DeviceControl.ReportState carries audio",
        ),
        (FORM, part("audio", audio, "12") + "--b--", 400, "not expected"),
        (
            FORM,
            part("metadata", JSON, &speech()) + &part("audio", "audio/wav", "12") + "--b--",
            400,
            "octet-stream",
        ),
        (
            FORM,
            part("metadata", JSON, &speech()) + &part("audio", audio, "123") + "--b--",
            400,
            "odd length",
        ),
        (
            FORM,
            part(
                "metadata",
                JSON,
                &json("DeviceControl", "ReportState", ",\"dialogRequestID\":\"d\"", "{}"),
            ) + "--b--",
            400,
            "no field dialogRequestID",
        ),
        (
            FORM,
            part("metadata", JSON, &report().replace("event", "events")) + "--b--",
            400,
            "events",
        ),
        (
            FORM,
            part("metadata", JSON, &json("Speech", "Recognize", "", "{}")) + "--b--",
            400,
            "no event Speech.Recognize",
        ),
        (
            FORM,
            part("metadata", JSON, &json("DeviceControl", "ReportState", "", "[]")) + "--b--",
            400,
            "payload must be an object",
        ),
    ];
    let mut client = Client::new().await;
    let _downchannel = client.downchannel().await;
    for (content_type, body, want, text) in rows {
        let (status, told) = client.event(content_type, &body).await;
        assert_eq!(status, want, "{body}: {told}");
        assert!(told.contains(text), "{body}: {told}");
    }
    assert!(client.cic.seen().iter().all(|seen| seen.complete && seen.audio.is_empty()));
}

#[tokio::test]
async fn several_audio_parts_are_one_recording() {
    let mut client = Client::new().await;
    let _downchannel = client.downchannel().await;
    let tail = ",\"dialogRequestId\":\"d\"";
    let speech = json("SpeechRecognizer", "Recognize", tail, "{\"lang\":\"ko\"}");
    let audio = |data| part("audio", "application/octet-stream", data);
    let body = part("metadata", JSON, &speech) + &audio("ab") + &audio("cd") + "--b--";
    assert_eq!(client.event(FORM, &body).await.0, 200);
    assert_eq!(client.cic.seen()[0].audio, "abcd");
}

#[tokio::test]
async fn headers_methods_and_paths_that_the_guide_forbids_are_refused() {
    let mut client = Client::new().await;
    let _downchannel = client.downchannel().await;
    let bearer = client.bearer.clone();
    let token = bearer.replace("Bearer ", "");
    let rows = [
        ("GET", "ping", Some(AGENT), Some(bearer.clone()), 204),
        ("GET", "ping", None, Some(bearer.clone()), 400),
        ("GET", "ping", Some("curl/8"), Some(bearer.clone()), 400),
        ("GET", "ping", Some(AGENT), None, 401),
        ("GET", "ping", Some(AGENT), Some(token.clone()), 401),
        ("GET", "ping", Some(AGENT), Some(format!("Bearer  {token}")), 401),
        ("GET", "ping", Some(AGENT), Some("Bearer x".into()), 401),
        ("POST", "ping", Some(AGENT), Some(bearer.clone()), 400),
        ("PUT", "v1/events", Some(AGENT), Some(bearer.clone()), 400),
        ("POST", "v1/directives", Some(AGENT), Some(bearer.clone()), 400),
        ("GET", "v1/events", Some(AGENT), Some(bearer.clone()), 400),
        ("GET", "v2/events", Some(AGENT), Some(bearer), 404),
    ];
    for (method, path, agent, authorization, want) in rows {
        let uri = format!("{}{path}", client.cic.cic_uri());
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in [("user-agent", agent), ("authorization", authorization.as_deref())] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let (status, told) = ask(&mut client.send, request, "").await;
        assert_eq!(status, want, "{method} {path} {agent:?}: {told}");
    }
}

#[tokio::test]
async fn an_event_without_a_downchannel_on_its_connection_is_refused_with_412() {
    let mut client = Client::new().await;
    let body = part("metadata", JSON, &report()) + "--b--";
    assert_eq!(client.event(FORM, &body).await.0, 412, "none at all");
    let _downchannel = client.downchannel().await;
    assert_eq!(client.event(FORM, &body).await.0, 204);
    client.send = connect(&client.cic).await;
    assert_eq!(client.event(FORM, &body).await.0, 412, "on another connection");
}

#[tokio::test]
async fn an_answer_of_the_auth_server_is_bounded() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_uri = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let _ = tcp.read(&mut [0; 4096]).await;
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n").await;
        while tcp.write_all(&[b' '; 4096]).await.is_ok() {}
    });
    let auth = AuthClient::new(AuthSettings {
        base_uri,
        ca_pem: None,
        client_id: "c".into(),
        client_secret: "s".into(),
        user_agent: AGENT.into(),
    })
    .unwrap();
    let device = Device { device_id: "d".into(), model_id: "m".into() };
    let error = auth.pair(&device, &"code".into(), SystemClock.now()).await.unwrap_err();
    assert!(error.to_string().contains("65536 bytes"), "{error}");
}
