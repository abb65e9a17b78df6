//! Utterances and texts on their way to CIC.

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value, json, value::RawValue};

use super::{Core, uplink::error};
use crate::{
    appliance::message::{Down, ErrorCode, InputError, Recognize, SessionState, StopReason},
    cic::{
        event::{self, Event},
        message::{Command, RequestKey, Source},
    },
    clock::Now,
    ids::{DialogRequestId, ExpectSpeechId, MessageId, UtteranceId},
};

/// What a `POST /v1/events` was for.
#[derive(Debug)]
pub(super) enum Kind {
    Speech(UtteranceId),
    Text { metadata: Bytes, retried: bool },
    Event,
}

/// A request whose end has not come.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) dialogue: Option<DialogRequestId>,
    /// The question that is answered once this has been sent.
    pub(super) answers: Option<ExpectSpeechId>,
    pub(super) status: Option<u16>,
    /// Its answer has brought a directive.
    pub(super) brought: bool,
}

impl Request {
    pub(super) fn new(
        kind: Kind,
        dialogue: Option<DialogRequestId>,
        answers: Option<ExpectSpeechId>,
    ) -> Self {
        Self { kind, dialogue, answers, status: None, brought: false }
    }

    /// An event that carries no dialogue id.
    pub(super) fn event() -> Self {
        Self::new(Kind::Event, None, None)
    }

    pub(super) fn is_recognize(&self) -> bool {
        !matches!(self.kind, Kind::Event)
    }
}

/// A question of CIC that the next request may answer (dialogue 5).
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) id: ExpectSpeechId,
    pub(super) explicit: bool,
    pub(super) dialogue: Option<DialogRequestId>,
}

impl Core {
    pub(super) fn start_utterance(&mut self, recognize: Recognize, now: Now) {
        let utterance = recognize.utterance.clone();
        if self.capture.active().is_some_and(|(active, _)| *active == utterance) {
            return; // MQTT delivers at least once
        }
        if let Some(mut refusal) = self.refusal("up/recognize") {
            self.capture.refuse(utterance.clone());
            refusal.about.utterance = Some(utterance.clone());
            let (reason, recognized_text) = (StopReason::Failed, None);
            self.say(Down::CaptureStop { utterance, reason, recognized_text });
            return self.complain(refusal, now);
        }
        self.supersede_in_flight(now);
        let question = self.find_question(recognize.expect_speech_id.as_ref());
        let payload = self.recognize_payload(&recognize, question.as_ref());
        let (key, dialogue) = self.begin(Kind::Speech(utterance.clone()), question);
        let metadata =
            self.metadata("SpeechRecognizer", "Recognize", Some(&dialogue), &payload, now);
        self.tell(Command::OpenUpload { key, metadata });
        for effect in self.capture.start(utterance, key, now.mono) {
            self.perform_capture(effect, now);
        }
    }

    pub(super) fn send_text(&mut self, text: String, answers: Option<ExpectSpeechId>, now: Now) {
        if let Some(refusal) = self.refusal("up/text") {
            return self.complain(refusal, now);
        }
        self.supersede_in_flight(now);
        let question = self.find_question(answers.as_ref());
        let mut payload = Map::from_iter([("text".to_owned(), Value::from(text))]);
        add_answer(&mut payload, question.as_ref());
        let kind = Kind::Text { metadata: Bytes::new(), retried: false };
        let (key, dialogue) = self.begin(kind, question);
        let payload = raw(&Value::Object(payload));
        let sent = self.metadata("TextRecognizer", "Recognize", Some(&dialogue), &payload, now);
        if let Some(Kind::Text { metadata, .. }) = self.requests.get_mut(&key).map(|r| &mut r.kind)
        {
            *metadata = sent.clone();
        }
        self.tell(Command::Event { key, metadata: sent });
    }

    /// Why no request can be made now.
    pub(super) fn refusal(&self, topic: &str) -> Option<InputError> {
        let (code, message) = match self.link.state() {
            _ if self.stopping => (ErrorCode::Busy, "the gateway is ending"),
            SessionState::Connected => return None,
            SessionState::Unpaired => (ErrorCode::NotPaired, "the appliance is not paired"),
            SessionState::Unauthorized => {
                (ErrorCode::NotPaired, "CLOVA no longer accepts the pairing")
            }
            _ => (ErrorCode::NotConnected, "CIC is not connected at the moment"),
        };
        Some(error(topic, code, message))
    }

    /// Registers a Recognize, with the question's dialogue id or a new one (D1, D7).
    fn begin(&mut self, kind: Kind, question: Option<Question>) -> (RequestKey, DialogRequestId) {
        let key = self.new_key();
        let answers = question.as_ref().map(|question| question.id.clone());
        let same = question.and_then(|question| question.dialogue);
        let dialogue = same.unwrap_or_else(|| self.new_uuid().into());
        self.dialogues.begin(key, dialogue.clone());
        self.turn.listening = None;
        self.turn.user_ended = None;
        let request = Request::new(kind, Some(dialogue.clone()), answers);
        self.requests.insert(key, request);
        (key, dialogue)
    }

    /// The question stays until its answer has been sent: a first attempt may be cancelled.
    fn find_question(&self, answers: Option<&ExpectSpeechId>) -> Option<Question> {
        self.question.as_ref().filter(|question| Some(&question.id) == answers).cloned()
    }

    fn recognize_payload(
        &self,
        recognize: &Recognize,
        question: Option<&Question>,
    ) -> Box<RawValue> {
        let default = || {
            Map::from_iter([("type".into(), "TAP".into()), ("inputSource".into(), "SELF".into())])
        };
        let mut initiator = recognize.initiator.clone().unwrap_or_else(default);
        let inner = initiator.entry("payload").or_insert_with(|| json!({}));
        if let Some(inner) = inner.as_object_mut() {
            inner.insert("deviceUUID".into(), self.settings.device_id.clone().into());
        }
        let lang = recognize.lang.as_ref().unwrap_or(&self.settings.lang);
        let mut payload = Map::from_iter([
            ("lang".to_owned(), lang.clone().into()),
            ("profile".to_owned(), "CLOSE_TALK".into()),
            ("format".to_owned(), "AUDIO_L16_RATE_16000_CHANNELS_1".into()),
            ("initiator".to_owned(), initiator.into()),
        ]);
        add_answer(&mut payload, question);
        raw(&Value::Object(payload))
    }

    /// The JSON part of an event, with all context as it is now.
    fn metadata(
        &mut self,
        namespace: &str,
        name: &str,
        dialog_request_id: Option<&DialogRequestId>,
        payload: &RawValue,
        now: Now,
    ) -> Bytes {
        let message_id = &MessageId::from(self.new_uuid());
        let own = self.own_contexts();
        let context = self.contexts.assemble(&own, now);
        event::encode(&context, &Event { namespace, name, message_id, dialog_request_id, payload })
    }

    pub(super) fn upload(&mut self, key: RequestKey, data: Bytes, received: Instant) {
        self.tell(Command::Audio { key, data, received });
    }

    /// Ends an upload properly; tells the appliance unless it ended it by itself.
    pub(super) fn finish_upload(
        &mut self,
        utterance: UtteranceId,
        key: RequestKey,
        stop: Option<(StopReason, Option<String>)>,
        now: Now,
    ) {
        self.tell(Command::FinishUpload { key });
        self.turn.user_ended = Some(now.mono);
        if let Some((reason, recognized_text)) = stop {
            self.say(Down::CaptureStop { utterance, reason, recognized_text });
        }
    }

    /// CIC has heard enough (StopCapture): what is pending still goes up.
    pub(super) fn stop_capture(&mut self, recognized_text: Option<String>, now: Now) {
        let Some((utterance, key, rest)) = self.capture.end() else { return };
        if let Some(rest) = rest {
            self.perform_capture(rest, now);
        }
        let stop = Some((StopReason::Recognized, recognized_text));
        self.finish_upload(utterance, key, stop, now);
    }

    pub(super) fn abort_capture(&mut self, reason: StopReason, now: Now) {
        if let Some((utterance, key, _)) = self.capture.end() {
            self.abort_upload(utterance, key, reason, now);
        }
    }

    /// Resets an upload: its id counts as never sent (D6).
    pub(super) fn abort_upload(
        &mut self,
        utterance: UtteranceId,
        key: RequestKey,
        reason: StopReason,
        now: Now,
    ) {
        self.abandon(key, now);
        self.say(Down::CaptureStop { utterance, reason, recognized_text: None });
    }

    /// Aborts an utterance whose audio is complete but not sent; `false` if there is none such.
    pub(super) fn abort_unsent(&mut self, utterance: &UtteranceId, now: Now) -> bool {
        let Some(key) = self.dialogues.in_flight_key() else { return false };
        let kind = self.requests.get(&key).map(|request| &request.kind);
        if !matches!(kind, Some(Kind::Speech(sending)) if sending == utterance) {
            return false;
        }
        self.abort_upload(utterance.clone(), key, StopReason::Cancelled, now);
        true
    }

    fn abandon(&mut self, key: RequestKey, now: Now) {
        self.tell(Command::Abort { key });
        self.requests.remove(&key);
        self.forget_in_flight(key);
        self.source_ended(Source::Response(key), now);
    }

    pub(super) fn forget_in_flight(&mut self, key: RequestKey) {
        if self.dialogues.in_flight_key() == Some(key) {
            self.dialogues.cancel(key);
            self.drop_held();
        }
    }

    /// A newer request replaces one that has not been sent completely.
    fn supersede_in_flight(&mut self, now: Now) {
        self.give_up_refused_text("a newer request has taken its place", now);
        self.abort_capture(StopReason::Superseded, now);
        if let Some(key) = self.dialogues.in_flight_key() {
            match self.requests.get(&key).map(|request| &request.kind) {
                Some(Kind::Speech(utterance)) => {
                    self.abort_upload(utterance.clone(), key, StopReason::Superseded, now);
                }
                _ => self.abandon(key, now),
            }
        }
    }
}

/// `speechId` and `explicit`, both unchanged from the question (dialogue 5).
fn add_answer(payload: &mut Map<String, Value>, question: Option<&Question>) {
    if let Some(question) = question {
        payload.insert("speechId".into(), question.id.as_str().into());
        payload.insert("explicit".into(), question.explicit.into());
    }
}

pub(super) fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a Value prints as JSON")
}
