//! One event: read strictly, answered by the scenario (transport 6, 8.1; dialogue).

use std::future::poll_fn;

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{HeaderMap, Request};
use serde_json::json;

use super::{
    answer,
    fault::{Fault, Place},
    journal::SeenEvent,
    metadata::{Metadata, REPEATED, Wrong},
    recognize::Recognizer,
    server::Connection,
    state::Down,
    wire::{self, Part},
};
use crate::cic::multipart::{Parser, PartEvent, PartHead, boundary_of};

/// Largest JSON part that is read, bytes.
const MAX_METADATA: usize = 1024 * 1024;
/// Most audio that is heard of one event, bytes: four minutes.
const MAX_AUDIO: usize = 4 * 60 * 32_000;

/// Receives and answers one event.
pub(super) async fn receive(
    connection: &Connection,
    device: &str,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let state = &connection.state;
    if !state.has_channel(device, connection.number) {
        let why = "there is no downchannel on this connection";
        return answer::refuse(&mut respond, 412, why).await;
    }
    let fault = state.fault(Place::Event);
    if let Some(fault) = fault
        && let Some(over) = suffer(fault, connection, device, &mut respond).await
    {
        return over;
    }
    let boundary = match form_boundary(request.headers()) {
        Ok(boundary) => boundary,
        Err(why) => return answer::refuse(&mut respond, 400, &why).await,
    };
    let mut reader = Reader::new(connection, device, &boundary, fault);
    match reader.read(request.into_body(), &mut respond).await {
        Ok(()) => reader.answer(&mut respond).await,
        Err(Stop::Wrong(why)) => reader.refuse(&mut respond, &why).await,
        Err(Stop::Reset) => Ok(()),
    }
}

/// Carries out a fault that takes an answer's place; `None` when there is still one to be given.
async fn suffer(
    fault: Fault,
    connection: &Connection,
    device: &str,
    respond: &mut SendResponse<Bytes>,
) -> Option<Result<(), h2::Error>> {
    if !connection.survives(fault, device).await {
        return Some(Ok(()));
    }
    if let Some((status, body)) = fault.refusal() {
        return Some(answer::refuse_with(respond, status, body).await);
    }
    (fault == Fault::ResetEvent).then(|| {
        respond.send_reset(Reason::INTERNAL_ERROR);
        Ok(())
    })
}

/// The boundary, if the content type is the one of events (transport 3).
fn form_boundary(headers: &HeaderMap) -> Result<String, Wrong> {
    let wrong = || "Content-Type must be multipart/form-data with a boundary".to_owned();
    let text = headers.get("content-type").and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(wrong)?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return Err(wrong());
    }
    boundary_of(text).ok_or_else(wrong)
}

/// Why an event is read no further.
enum Stop {
    /// It is answered with `400`.
    Wrong(Wrong),
    /// Its stream is gone.
    Reset,
}

impl From<Wrong> for Stop {
    fn from(why: Wrong) -> Self {
        Self::Wrong(why)
    }
}

impl From<&str> for Stop {
    fn from(why: &str) -> Self {
        Self::Wrong(why.to_owned())
    }
}

struct Reader<'a> {
    connection: &'a Connection,
    device: &'a str,
    fault: Option<Fault>,
    parser: Parser,
    part: Option<Current>,
    metadata: Option<Metadata>,
    heard: Recognizer,
    is_answered: bool,
}

enum Current {
    Metadata(Vec<u8>),
    Audio,
}

impl<'a> Reader<'a> {
    fn new(
        connection: &'a Connection,
        device: &'a str,
        boundary: &str,
        fault: Option<Fault>,
    ) -> Self {
        Self {
            connection,
            device,
            fault,
            parser: Parser::new(boundary),
            part: None,
            metadata: None,
            heard: Recognizer::default(),
            is_answered: false,
        }
    }

    /// Reads the body as it comes; the journal learns how it ended.
    async fn read(
        &mut self,
        mut body: RecvStream,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Stop> {
        let mut received = 0;
        while let Some(chunk) = body.data().await {
            let Ok(chunk) = chunk else { return Err(self.cut_off()) };
            let length = chunk.len();
            received += length;
            self.parser.feed(chunk);
            self.drain()?;
            if matches!(self.fault, Some(Fault::ResetUpload(after)) if received >= after) {
                respond.send_reset(Reason::INTERNAL_ERROR);
                return Err(self.cut_off());
            }
            if self.fault == Some(Fault::EarlyAnswer) && !self.heard.pcm().is_empty() {
                self.answer_early(respond).await;
            }
            if let Some(pause) = self.connection.pause
                && !self.heard.pcm().is_empty()
            {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = poll_fn(|cx| respond.poll_reset(cx)) => return Err(self.cut_off()),
                }
            }
            let _ = body.flow_control().release_capacity(length);
        }
        self.parser.finish();
        self.drain()?;
        self.check_whole()
    }

    fn cut_off(&self) -> Stop {
        self.record(String::new(), false);
        Stop::Reset
    }

    fn check_whole(&self) -> Result<(), Stop> {
        if !self.parser.is_closed() {
            return Err("the closing delimiter is missing".into());
        }
        let metadata = self.metadata.as_ref().ok_or("there is no metadata part")?;
        match (metadata.is_speech(), self.heard.pcm().len()) {
            (true, 0) => Err("Recognize without audio".into()),
            (true, odd) if odd % 2 != 0 => Err("16-bit audio has an odd length".into()),
            _ => Ok(()),
        }
    }

    fn drain(&mut self) -> Result<(), Wrong> {
        while let Some(event) = self.parser.next_event().map_err(|error| error.to_string())? {
            match (event, &mut self.part) {
                (PartEvent::Begin(head), _) => self.part = Some(self.begin(&head)?),
                (PartEvent::Data(data), Some(Current::Metadata(text))) => {
                    text.extend_from_slice(&data);
                    if text.len() > MAX_METADATA {
                        return Err("the metadata part is too large".into());
                    }
                }
                (PartEvent::Data(data), Some(Current::Audio)) => self.hear(&data)?,
                (PartEvent::End { .. }, Some(Current::Metadata(text))) => {
                    self.metadata = Some(Metadata::check(text, &self.connection.state)?);
                    self.part = None;
                }
                (PartEvent::End { .. }, _) => self.part = None,
                (PartEvent::Data(_), None) => {}
            }
        }
        Ok(())
    }

    fn begin(&self, head: &PartHead) -> Result<Current, Wrong> {
        let kind = head.content_type.as_deref().unwrap_or_default();
        match (head.name.as_deref(), &self.metadata) {
            (Some("metadata"), None) if head.is_json() => Ok(Current::Metadata(Vec::new())),
            (Some("metadata"), None) => Err("the metadata part must be application/json".into()),
            (Some("audio"), Some(metadata)) if !metadata.is_speech() => {
                Err(format!("{} carries audio", metadata.name))
            }
            (Some("audio"), Some(_)) if kind == "application/octet-stream" => Ok(Current::Audio),
            (Some("audio"), Some(_)) => {
                Err("an audio part must be application/octet-stream".into())
            }
            (name, _) => Err(format!("a part {name:?} is not expected here")),
        }
    }

    fn hear(&mut self, data: &[u8]) -> Result<(), Wrong> {
        if self.heard.hear(data) {
            self.stop_capture();
        }
        match self.heard.pcm().len() > MAX_AUDIO {
            true => Err("the audio is too long".into()),
            false => Ok(()),
        }
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
            state.tell(self.device, Down::Part(Part::Directive(shown)));
        }
        state.tell(self.device, Down::Part(Part::Directive(stop)));
    }

    fn record(&self, text: String, complete: bool) {
        let Some(metadata) = &self.metadata else { return };
        self.connection.state.journal.record(SeenEvent {
            device: self.device.to_owned(),
            connection: self.connection.number,
            name: metadata.name.clone(),
            dialogue: metadata.dialogue.clone(),
            payload: metadata.payload.clone(),
            context: metadata.context.clone(),
            audio: Bytes::copy_from_slice(self.heard.pcm()),
            text,
            complete,
        });
    }

    async fn answer_early(&mut self, respond: &mut SendResponse<Bytes>) {
        if std::mem::replace(&mut self.is_answered, true) {
            return;
        }
        let parts = self.parts("");
        self.connection.state.note_parts(self.device, &parts);
        // A client that does not want it resets the stream, which `read` finds out. Slowly, so that
        // there is silence in it.
        let slowly = Some(Fault::Trickled);
        let _ = answer::send(self.connection, respond, &parts, slowly).await;
    }

    async fn answer(&self, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
        let Some(metadata) = &self.metadata else { return Ok(()) };
        let state = &self.connection.state;
        if !state.note_message(&metadata.message_id) {
            return self.refuse(respond, REPEATED).await;
        }
        let reaction = match state.react(self.device, metadata) {
            Ok(reaction) => reaction,
            Err(why) => return self.refuse(respond, &why).await,
        };
        let typed = metadata.payload["text"].as_str().map(str::to_owned);
        let text = typed.unwrap_or_else(|| self.heard.text(&state.scenario.recordings));
        self.record(text.clone(), true);
        if self.is_answered {
            return Ok(());
        }
        let mut fault = self.fault;
        if metadata.is_recognize()
            && fault.is_none()
            && let Some(met) = state.fault_of_text(&text)
        {
            if let Some(over) = suffer(met, self.connection, self.device, respond).await {
                return over;
            }
            fault = Some(met);
        }
        let parts = if reaction.is_empty() { self.parts(&text) } else { reaction };
        state.note_parts(self.device, &parts);
        answer::send(self.connection, respond, &parts, fault).await
    }

    /// `400`; the journal learns why.
    async fn refuse(&self, respond: &mut SendResponse<Bytes>, why: &str) -> Result<(), h2::Error> {
        let name = self.metadata.as_ref().map(|metadata| metadata.name.as_str());
        self.connection.state.journal.refuse(self.device, name.unwrap_or_default(), why);
        answer::refuse(respond, 400, why).await
    }

    /// What the scenario answers; nothing for events that are no request.
    fn parts(&self, text: &str) -> Vec<Part> {
        let Some(metadata) = self.metadata.as_ref().filter(|metadata| metadata.is_recognize())
        else {
            return Vec::new();
        };
        self.connection.state.answer_request(self.device, metadata, text)
    }
}
