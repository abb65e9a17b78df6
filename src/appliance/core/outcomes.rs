//! How requests end: sent, answered, refused, broken.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    Core, Measure,
    requests::{Kind, Request},
    uplink::error,
};
use crate::{
    appliance::message::{Down, ErrorCode, SessionState, StopReason},
    cic::{
        link,
        message::{Command, Outcome, RequestKey, Source},
    },
    clock::Now,
    ids::DialogRequestId,
};

/// How long a refused text waits for a new token: nobody wants an answer to an old question.
const TOKEN_PATIENCE: Duration = Duration::from_secs(10);

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

impl Core {
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
            Outcome::Broken(_) if sent && self.was_answered(&request) => None,
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

    /// Whether the user has got something of the answer, or no longer wants any.
    fn was_answered(&self, request: &Request) -> bool {
        let is_stale = self.dialogues.latest() != request.dialogue.as_ref();
        request.status.is_some_and(is_success) && (request.brought || is_stale)
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
            // Unless the user has asked for something else since.
            Kind::Text { metadata, retried: false } if unauthorized && !self.is_overtaken(key) => {
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

    /// Whether the user began a newer request, which is still under way.
    fn is_overtaken(&self, key: RequestKey) -> bool {
        self.requests.iter().any(|(other, request)| *other > key && request.is_recognize())
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
        let request = Request::new(kind, Some(dialogue), None);
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
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
