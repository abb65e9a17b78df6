//! Utterances, texts and events on their way to CIC.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Map, Value, json, value::RawValue};

use super::{Core, Measure, uplink::error};
use crate::{
    appliance::message::{
        DialogueState, Down, ErrorCode, InputError, Recognize, SessionState, StopReason,
    },
    cic::{
        event::{self, Event},
        link,
        message::{Command, Outcome, RequestKey, Source},
    },
    clock::Now,
    ids::{DialogRequestId, ExpectSpeechId, MessageId, UtteranceId},
};

/// How long a refused text waits for a new token: nobody wants an answer to an old question.
const TOKEN_PATIENCE: Duration = Duration::from_secs(10);
/// Added to ExpectSpeech's time-out for the way to the appliance and back.
const LISTEN_GRACE: Duration = Duration::from_secs(1);

/// What a `POST /v1/events` was for.
#[derive(Debug)]
enum Kind {
    Speech(UtteranceId),
    Text { metadata: Bytes, retried: bool },
    Event,
}

/// A request whose end has not come.
#[derive(Debug)]
pub(super) struct Request {
    kind: Kind,
    dialogue: Option<DialogRequestId>,
    /// The question that is answered once this has been sent.
    answers: Option<ExpectSpeechId>,
    status: Option<u16>,
}

impl Request {
    /// An event that carries no dialogue id.
    pub(super) fn event() -> Self {
        Self { kind: Kind::Event, dialogue: None, answers: None, status: None }
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

/// A text that CIC refused with `401`, to be sent once more with the new token.
#[derive(Debug)]
pub(super) struct RefusedText {
    metadata: Bytes,
    dialogue: DialogRequestId,
    until: Instant,
}

impl RefusedText {
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

/// What the appliance's lights show, and since when the user waits.
#[derive(Debug, Default)]
pub(super) struct Turn {
    shown: Option<(DialogueState, Option<DialogRequestId>, Option<UtteranceId>)>,
    listening: Option<(Instant, Option<DialogRequestId>)>,
    pub(super) user_ended: Option<Instant>,
}

impl Turn {
    pub(super) fn listening_until(&self) -> Option<Instant> {
        self.listening.as_ref().map(|(until, _)| *until)
    }

    pub(super) fn listen(&mut self, until: Instant, dialogue: Option<DialogRequestId>) {
        self.listening = Some((until + LISTEN_GRACE, dialogue));
    }
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
        let request = Request { kind, dialogue: Some(dialogue.clone()), answers, status: None };
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

    fn forget_in_flight(&mut self, key: RequestKey) {
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

    /// The Recognize has been sent completely: its id becomes the latest one (D5).
    pub(super) fn request_sent(&mut self, key: RequestKey, now: Now) {
        let Some(request) = self.requests.get(&key).filter(|request| request.is_recognize()) else {
            return;
        };
        if matches!(request.kind, Kind::Text { .. }) {
            self.turn.user_ended = Some(now.mono);
        }
        let answered = request.answers.clone();
        self.question.take_if(|question| Some(&question.id) == answered.as_ref());
        if let Some(old) = self.dialogues.sent(key) {
            self.supersede(old, now);
        }
        self.release_held(now);
    }

    pub(super) fn response_began(&mut self, key: RequestKey, status: u16) {
        if let Some(request) = self.requests.get_mut(&key) {
            request.status = Some(status);
        }
    }

    pub(super) fn request_finished(&mut self, key: RequestKey, outcome: Outcome, now: Now) {
        let Some(request) = self.requests.remove(&key) else { return };
        self.source_ended(Source::Response(key), now);
        if request.is_recognize() {
            self.recognize_finished(key, request, outcome, now);
        } else {
            self.event_finished(key, request.status, outcome, now);
        }
    }

    fn recognize_finished(
        &mut self,
        key: RequestKey,
        request: Request,
        outcome: Outcome,
        now: Now,
    ) {
        let namespace = match request.kind {
            Kind::Speech(_) => "SpeechRecognizer",
            _ => "TextRecognizer",
        };
        let sent = self.dialogues.in_flight_key() != Some(key);
        let failed = match &outcome {
            Outcome::Done if sent => None,
            // Part of the answer came, and nothing more will: what is there is carried out.
            Outcome::Broken(_) if sent && request.status.is_some_and(is_success) => None,
            Outcome::Done => Some("CIC answered before the request was complete".to_owned()),
            Outcome::Refused { status, .. } => Some(format!("CIC answered {status}")),
            Outcome::Broken(why) => Some(format!("the connection to CIC broke: {why}")),
            Outcome::Overflow => Some("CIC took the audio too slowly".to_owned()),
        };
        self.measure_event(
            namespace,
            "Recognize",
            if failed.is_some() { &outcome } else { &Outcome::Done },
        );
        self.note_refusal(&outcome, now);
        let Some(why) = failed else { return };
        self.forget_in_flight(key);
        self.fail_recognize(key, request, &outcome, &why, now);
    }

    fn fail_recognize(
        &mut self,
        key: RequestKey,
        request: Request,
        outcome: &Outcome,
        why: &str,
        now: Now,
    ) {
        let unauthorized = matches!(outcome, Outcome::Refused { status: 401, .. });
        match request.kind {
            Kind::Speech(utterance) => {
                if self.capture.active().is_some_and(|(_, active)| active == key) {
                    self.capture.end();
                }
                let (reason, recognized_text) = (StopReason::Failed, None);
                self.say(Down::CaptureStop {
                    utterance: utterance.clone(),
                    reason,
                    recognized_text,
                });
                if *outcome == Outcome::Overflow {
                    self.complain_audio(ErrorCode::AudioOverflow, why, utterance, now);
                }
            }
            Kind::Text { metadata, retried: false } if unauthorized => {
                self.awaits_token = true;
                let until = now.mono + TOKEN_PATIENCE;
                self.refused_text =
                    request.dialogue.map(|dialogue| RefusedText { metadata, dialogue, until });
            }
            Kind::Text { .. } => {
                let code = match outcome {
                    Outcome::Broken(_) => ErrorCode::NotConnected,
                    _ => ErrorCode::Busy,
                };
                self.complain(error("up/text", code, why), now);
            }
            Kind::Event => {}
        }
    }

    /// `401` and `412` concern the session, not only the request (transport 9.2).
    pub(super) fn note_refusal(&mut self, outcome: &Outcome, now: Now) {
        match outcome {
            Outcome::Refused { status: 401, .. } => {
                self.link.handle(link::Input::TokenRejected, now)
            }
            Outcome::Refused { status: 412, .. } => self.link.handle(link::Input::OutOfStep, now),
            _ => {}
        }
    }

    /// The session has ended: every request that hung on it fails.
    pub(super) fn fail_all_requests(&mut self, now: Now) {
        let keys: Vec<_> = self.requests.keys().copied().collect();
        for key in keys {
            self.request_finished(key, Outcome::Broken("the session ended".into()), now);
        }
        self.source_ended(Source::Downchannel, now);
        self.awaits_token = false;
        self.give_up_refused_text("the connection to CIC broke", now);
    }

    /// The text was refused with `401` and goes once more, with the new token.
    pub(super) fn resend_text(&mut self) {
        if self.link.state() != SessionState::Connected || self.awaits_token {
            return;
        }
        let Some(RefusedText { metadata, dialogue, .. }) = self.refused_text.take() else { return };
        let key = self.new_key();
        self.dialogues.begin(key, dialogue.clone());
        let kind = Kind::Text { metadata: metadata.clone(), retried: true };
        let request = Request { kind, dialogue: Some(dialogue), answers: None, status: None };
        self.requests.insert(key, request);
        self.tell(Command::Event { key, metadata });
    }

    /// A newer request takes its place, or the token does not come.
    pub(super) fn give_up_refused_text(&mut self, why: &str, now: Now) {
        if self.refused_text.take().is_some() {
            self.complain(error("up/text", ErrorCode::NotConnected, why), now);
        }
    }

    pub(super) fn measure_event(&mut self, namespace: &str, name: &str, outcome: &Outcome) {
        let result = match outcome {
            Outcome::Done => "ok",
            Outcome::Refused { .. } => "refused",
            Outcome::Broken(_) | Outcome::Overflow => "failed",
        };
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.measure(Measure::Event { namespace, name, result });
    }

    /// Whether CIC may still send something for this dialogue.
    pub(super) fn is_answering(&self, dialogue: &DialogRequestId) -> bool {
        self.requests.values().any(|request| request.dialogue.as_ref() == Some(dialogue))
    }

    /// The appliance is there: its lights may still show what another process told it.
    pub(super) fn show_turn_again(&mut self) {
        self.turn.shown = Some((DialogueState::Thinking, None, None));
    }

    pub(super) fn listening_timeout(&mut self, now: Now) {
        self.turn.listening.take_if(|(until, _)| *until <= now.mono);
    }

    /// Publishes what the appliance's lights shall show, when it has changed.
    pub(super) fn settle_turn(&mut self) {
        let shown = self.current_turn();
        if self.turn.shown.as_ref() == Some(&shown) {
            return;
        }
        let first_idle = self.turn.shown.is_none() && shown.0 == DialogueState::Idle;
        self.turn.shown = Some(shown.clone());
        if shown.0 == DialogueState::Idle {
            self.turn.user_ended = None;
        }
        if !first_idle {
            let (state, dialog_request_id, utterance) = shown;
            self.say(Down::Dialogue { state, dialog_request_id, utterance });
        }
    }

    pub(super) fn current_turn(
        &self,
    ) -> (DialogueState, Option<DialogRequestId>, Option<UtteranceId>) {
        if let Some((utterance, _)) = self.capture.active() {
            let id = self.dialogues.in_flight().cloned();
            return (DialogueState::Listening, id, Some(utterance.clone()));
        }
        if let Some(playing) = self.speech.playing().filter(|playing| playing.has_started()) {
            return (DialogueState::Speaking, playing.dialogue.clone(), None);
        }
        if let Some((_, dialogue)) = &self.turn.listening {
            return (DialogueState::Listening, dialogue.clone(), None);
        }
        let mut recognizes = self.requests.values().rev().filter(|request| request.is_recognize());
        let id = |id: Option<&DialogRequestId>| id.or(self.dialogues.latest()).cloned();
        if let Some(request) = recognizes.next() {
            return (DialogueState::Thinking, id(request.dialogue.as_ref()), None);
        }
        let waits = self.speech.playing().is_some() || !self.queue.is_empty();
        let state = if waits { DialogueState::Thinking } else { DialogueState::Idle };
        (state, self.dialogues.latest().cloned(), None)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
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
