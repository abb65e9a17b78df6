//! One event: read strictly, answered by the scenario (transport 6, 8.1; dialogue).

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Request;
use serde_json::{Value, json};

use super::{
    recognize::Recognizer,
    scenario::{DialogueId, Placed, Step},
    server::{Connection, begin, empty, refuse},
    state::{Fault, SeenEvent},
    wire::{self, Part, Writer},
};
use crate::{
    cic::{
        multipart::{Parser, PartEvent, boundary_of},
        names,
    },
    ids::random_uuid,
    mqtt::native::check_initiator,
};

/// Largest JSON part that is read, bytes.
const MAX_METADATA: usize = 1024 * 1024;

/// Why an event is answered with `400`.
type Wrong = String;

/// What stands in the JSON part.
struct Metadata {
    name: String,
    dialogue: Option<String>,
    payload: Value,
    context: Value,
}

impl Metadata {
    fn is_recognize(&self) -> bool {
        matches!(self.name.as_str(), "SpeechRecognizer.Recognize" | "TextRecognizer.Recognize")
    }

    fn seen(&self, connection: &Connection, device: &str) -> SeenEvent {
        SeenEvent {
            device: device.to_owned(),
            connection: connection.number,
            name: self.name.clone(),
            dialogue: self.dialogue.clone(),
            payload: self.payload.clone(),
            context: self.context.clone(),
            audio: Bytes::new(),
            text: String::new(),
            complete: false,
        }
    }
}

/// Receives and answers one event.
pub(super) async fn receive(
    connection: &Connection,
    device: &str,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let state = &connection.state;
    if !state.has_channel(device, connection.number) {
        return refuse(&mut respond, 412, "there is no downchannel on this connection").await;
    }
    match state.fault(false) {
        Some(Fault::EventStatus(status)) => {
            return refuse(&mut respond, status, "injected fault").await;
        }
        Some(Fault::ResetEvent) => {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            Ok(())
        }
        Some(Fault::Goaway) => {
            connection.goaway.notify_one();
            Ok(())
        }
        fault => {
            let boundary = request.headers().get("content-type").and_then(|v| v.to_str().ok());
            let Some(boundary) = boundary.and_then(boundary_of) else {
                return refuse(&mut respond, 400, "Content-Type must be multipart/form-data").await;
            };
            let mut reader = Reader::new(connection, device, &boundary);
            match reader.read(request.into_body()).await {
                Ok(()) => reader.answer(respond, fault).await,
                Err(wrong) => refuse(&mut respond, 400, &wrong).await,
            }
        }
    }
}

struct Reader<'a> {
    connection: &'a Connection,
    device: &'a str,
    parser: Parser,
    part: Option<Current>,
    metadata: Option<Metadata>,
    heard: Recognizer,
    has_audio: bool,
}

enum Current {
    Metadata(Vec<u8>),
    Audio,
}

impl<'a> Reader<'a> {
    fn new(connection: &'a Connection, device: &'a str, boundary: &str) -> Self {
        Self {
            connection,
            device,
            parser: Parser::new(boundary),
            part: None,
            metadata: None,
            heard: Recognizer::default(),
            has_audio: false,
        }
    }

    /// Reads the body as it comes; the journal learns how it ended.
    async fn read(&mut self, mut body: RecvStream) -> Result<(), Wrong> {
        while let Some(chunk) = body.data().await {
            let Ok(chunk) = chunk else {
                self.record(String::new(), false);
                return Err("the body was reset".into());
            };
            let _ = body.flow_control().release_capacity(chunk.len());
            self.parser.feed(chunk);
            self.drain()?;
        }
        self.parser.finish();
        self.drain()?;
        if !self.parser.is_closed() {
            return Err("the closing delimiter is missing".into());
        }
        let metadata = self.metadata.as_ref().ok_or("there is no metadata part")?;
        let speech = metadata.name == "SpeechRecognizer.Recognize";
        match (speech, self.heard.pcm().len()) {
            (true, 0) => Err("Recognize without audio".into()),
            (true, odd) if odd % 2 != 0 => Err("16-bit audio has an odd length".into()),
            _ => Ok(()),
        }
    }

    fn drain(&mut self) -> Result<(), Wrong> {
        while let Some(event) = self.parser.next_event().map_err(|error| error.to_string())? {
            match (event, &mut self.part) {
                (PartEvent::Begin(head), _) => {
                    self.part = Some(match (head.name.as_deref(), &self.metadata) {
                        (Some("metadata"), None) if head.is_json() => Current::Metadata(vec![]),
                        (Some("audio"), Some(metadata))
                            if metadata.name == "SpeechRecognizer.Recognize" =>
                        {
                            self.has_audio = true;
                            Current::Audio
                        }
                        (name, _) => return Err(format!("a part {name:?} is not expected here")),
                    });
                }
                (PartEvent::Data(data), Some(Current::Metadata(text))) => {
                    text.extend_from_slice(&data);
                    if text.len() > MAX_METADATA {
                        return Err("the metadata part is too large".into());
                    }
                }
                (PartEvent::Data(data), Some(Current::Audio)) => {
                    if self.heard.hear(&data) {
                        self.stop_capture();
                    }
                }
                (PartEvent::End { .. }, Some(Current::Metadata(text))) => {
                    let metadata = check(text, self.connection)?;
                    self.metadata = Some(metadata);
                    self.part = None;
                }
                (PartEvent::End { .. }, _) => self.part = None,
                (PartEvent::Data(_), None) => {}
            }
        }
        Ok(())
    }

    /// While audio still flows, on the downchannel, with the id in flight (dialogue 2.1).
    fn stop_capture(&self) {
        let Some(metadata) = &self.metadata else { return };
        let state = &self.connection.state;
        let text = self.heard.text(&state.scenario.recordings);
        let id = metadata.dialogue.as_deref();
        let shown =
            wire::directive("SpeechRecognizer", "ShowRecognizedText", id, json!({"text": text}));
        let stop = json!({"recognizedText": text});
        let stop = wire::directive("SpeechRecognizer", "StopCapture", id, stop);
        if !text.is_empty() {
            state.tell(self.device, Part::Directive(shown));
        }
        state.tell(self.device, Part::Directive(stop));
    }

    fn record(&self, text: String, complete: bool) {
        if let Some(metadata) = &self.metadata {
            let audio = Bytes::copy_from_slice(self.heard.pcm());
            let seen = metadata.seen(self.connection, self.device);
            self.connection.state.record(SeenEvent { audio, text, complete, ..seen });
        }
    }

    async fn answer(
        &self,
        mut respond: SendResponse<Bytes>,
        fault: Option<Fault>,
    ) -> Result<(), h2::Error> {
        let Some(metadata) = &self.metadata else { return Ok(()) };
        let state = &self.connection.state;
        let typed = metadata.payload["text"].as_str().map(str::to_owned);
        let text = typed.unwrap_or_else(|| self.heard.text(&state.scenario.recordings));
        self.record(text.clone(), true);
        if !metadata.is_recognize() {
            return empty(&mut respond, 204);
        }
        let question = metadata.payload["speechId"].as_str().and_then(|id| state.question(id));
        let reply = state.scenario.reply(&text, question.as_deref());
        let mut parts = reply.map(|reply| self.parts(&reply.steps, metadata)).unwrap_or_default();
        if fault == Some(Fault::Rubbish) {
            let unwanted = Bytes::from_static(b"nobody refers to this");
            parts.insert(0, Part::Attachment(random_uuid(), unwanted));
        }
        if parts.is_empty() {
            return empty(&mut respond, 204);
        }
        send(&mut respond, &parts, fault).await
    }

    /// The steps of a reply as parts, in the order in which they are sent.
    fn parts(&self, steps: &[Step], metadata: &Metadata) -> Vec<Part> {
        let state = &self.connection.state;
        let own = metadata.dialogue.as_deref().unwrap_or_default();
        let earlier = state.note_dialogue(self.device, own);
        let mut parts = Vec::new();
        let mut last = Vec::new();
        for step in steps {
            match step {
                Step::Speak { mp3, placed } => {
                    let (id, token) = (random_uuid(), random_uuid());
                    let payload = json!({
                        "format": "AUDIO_MPEG",
                        "token": token,
                        "ttsLang": "en",
                        "url": format!("cid:{id}"),
                        "x-clova-pause-before": 0,
                    });
                    let speak = wire::directive("SpeechSynthesizer", "Speak", Some(own), payload);
                    let (speak, mp3) = (Part::Directive(speak), Part::Attachment(id, mp3.clone()));
                    match placed {
                        Placed::Before => parts.extend([mp3, speak]),
                        Placed::After => parts.extend([speak, mp3]),
                        Placed::Last => {
                            parts.push(speak);
                            last.push(mp3);
                        }
                    }
                }
                Step::Expect { question, timeout, explicit } => {
                    let payload = json!({
                        "expectSpeechId": state.ask(question),
                        "explicit": explicit,
                        "timeoutInMilliseconds": timeout,
                    });
                    let expect =
                        wire::directive("SpeechRecognizer", "ExpectSpeech", Some(own), payload);
                    parts.push(Part::Directive(expect));
                }
                Step::Directive { namespace, name, payload, dialogue } => {
                    let id = match dialogue {
                        DialogueId::Own => Some(own.to_owned()),
                        DialogueId::Stale => earlier.clone().or_else(|| Some(random_uuid())),
                        DialogueId::Foreign => Some(random_uuid()),
                        DialogueId::None => None,
                    };
                    let made = wire::directive(namespace, name, id.as_deref(), payload.clone());
                    parts.push(Part::Directive(made));
                }
            }
        }
        parts.extend(last);
        parts
    }
}

async fn send(
    respond: &mut SendResponse<Bytes>,
    parts: &[Part],
    fault: Option<Fault>,
) -> Result<(), h2::Error> {
    let writer = Writer::new();
    let mut stream = begin(respond, 200, &writer)?;
    wire::write(&mut stream, writer.opening(), false).await?;
    if fault == Some(Fault::Rubbish) {
        let json = "\r\nContent-Type: application/json\r\n\r\n";
        let large = "x".repeat(10 * 1024 * 1024);
        for body in [&b"{"[..], b"{\"directive\":\"\xff\"}", large.as_bytes()] {
            let part = writer.part(&Part::Attachment(String::new(), Bytes::new()));
            let delimiter = part.slice(part.len() - writer.opening().len() - 2..);
            let part = [json.as_bytes(), body, &delimiter].concat();
            wire::write(&mut stream, part.into(), false).await?;
        }
    }
    for (index, part) in parts.iter().enumerate() {
        let mut bytes = writer.part(part);
        if fault == Some(Fault::TruncatedAnswer) && index + 1 == parts.len() {
            bytes.truncate(bytes.len() / 2);
            return wire::write(&mut stream, bytes, true).await;
        }
        wire::write(&mut stream, bytes, false).await?;
    }
    wire::write(&mut stream, writer.closing(), true).await
}

/// Checks the JSON part against the guide's tables.
fn check(text: &[u8], connection: &Connection) -> Result<Metadata, Wrong> {
    let value: Value =
        serde_json::from_slice(text).map_err(|error| format!("metadata: {error}"))?;
    let context = value.get("context").filter(|context| context.is_array());
    let context = context.ok_or("context must be an array")?.clone();
    for object in context.as_array().into_iter().flatten() {
        let named =
            object["header"]["namespace"].is_string() && object["header"]["name"].is_string();
        if !named || !object["payload"].is_object() {
            return Err("a context object lacks namespace, name or payload".into());
        }
    }
    let header = &value["event"]["header"];
    let field = |name: &str| {
        header[name]
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or(format!("header.{name} is missing"))
    };
    let (namespace, name, message_id) = (field("namespace")?, field("name")?, field("messageId")?);
    let payload = value["event"]["payload"].clone();
    if !payload.is_object() {
        return Err("payload must be an object".into());
    }
    if names::known_event(namespace, name).is_none() {
        return Err(format!("there is no event {namespace}.{name}"));
    }
    if !connection.state.is_new_message(message_id) {
        return Err("messageId was used before".into());
    }
    let dialogue = header["dialogRequestId"].as_str().map(str::to_owned);
    let metadata = Metadata { name: format!("{namespace}.{name}"), dialogue, payload, context };
    match (metadata.is_recognize(), &metadata.dialogue) {
        (true, None) => Err("Recognize without dialogRequestId".into()),
        (false, Some(_)) => Err(format!("{} carries a dialogRequestId", metadata.name)),
        _ => check_payload(&metadata, connection).map(|()| metadata),
    }
}

fn check_payload(metadata: &Metadata, connection: &Connection) -> Result<(), Wrong> {
    let payload = &metadata.payload;
    if metadata.is_recognize()
        && let Some(id) = payload.get("speechId")
    {
        let known = id.as_str().is_some_and(|id| connection.state.question(id).is_some());
        if !known || !payload["explicit"].is_boolean() {
            return Err("speechId or explicit do not fit an ExpectSpeech".into());
        }
    }
    match metadata.name.as_str() {
        "SpeechRecognizer.Recognize" => {
            if !matches!(payload["lang"].as_str(), Some("ko" | "en" | "ja")) {
                return Err("lang must be ko, en or ja".into());
            }
            let initiator = payload.get("initiator").map(Value::as_object);
            match initiator {
                None => Ok(()),
                Some(None) => Err("initiator must be an object".into()),
                Some(Some(initiator)) => {
                    check_initiator(initiator)?;
                    let device = &payload["initiator"]["payload"]["deviceUUID"];
                    match payload["initiator"].get("payload").is_none() || device.is_string() {
                        true => Ok(()),
                        false => Err("initiator.payload.deviceUUID is missing".into()),
                    }
                }
            }
        }
        "TextRecognizer.Recognize" if !payload["text"].is_string() => Err("text is missing".into()),
        "SpeechSynthesizer.SpeechStarted"
        | "SpeechSynthesizer.SpeechFinished"
        | "SpeechSynthesizer.SpeechStopped"
            if !payload["token"].is_string() =>
        {
            Err("token is missing".into())
        }
        _ => Ok(()),
    }
}
