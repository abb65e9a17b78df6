//! What the appliance reports.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Core, Measure};
use crate::{
    appliance::{
        capture::Effect,
        control::current_event_name,
        message::{
            About, Button, ContextReport, ErrorCode, InputError, SpeechProgress, StopReason, Up,
        },
        speech::Report,
    },
    clock::Now,
    ids::{ExpectSpeechId, Token, UtteranceId},
};

#[derive(Deserialize)]
struct TextPayload {
    text: String,
    #[serde(rename = "speechId")]
    speech_id: Option<ExpectSpeechId>,
}

/// A complaint about a topic, without anything that identifies a message.
pub(super) fn error(topic: &str, code: ErrorCode, message: impl Into<String>) -> InputError {
    let (topic, message) = (topic.into(), message.into());
    InputError { topic, code, message, about: About::default() }
}

impl Core {
    pub(super) fn handle_up(&mut self, up: Up, now: Now) {
        self.note_life(now);
        match up {
            Up::Status { online, retained } => self.handle_status(online, retained, now),
            Up::State { reports, invalid } => self.handle_state(reports, invalid, now),
            Up::Recognize(recognize) => self.start_utterance(recognize, now),
            Up::CancelUtterance(utterance) => self.cancel_utterance(utterance, now),
            Up::Audio { utterance, data, received } => {
                // A buffer that stays: this is the one path that every audio message takes.
                let mut effects = std::mem::take(&mut self.captured);
                self.capture.audio(utterance, data, received, now.mono, &mut effects);
                effects.drain(..).for_each(|effect| self.perform_capture(effect, now));
                self.captured = effects;
            }
            Up::Text { text, expect_speech_id } => self.send_text(text, expect_speech_id, now),
            Up::Speech { token, state } => self.handle_speech(token, state, now),
            Up::Button(Button::Player(button)) => self.press_player(&button, now),
            Up::Button(button) => self.press(button, now),
            Up::Playback(heard) => self.handle_playback(heard, now),
            Up::Alert { token, state } => self.note_alert(token, state, now),
            Up::Result { result, invalid } => self.handle_result(result, invalid, now),
            Up::Settings(configuration) => self.handle_settings(configuration, now),
            Up::Firmware { topic, payload } => self.handle_firmware(&topic, &payload, now),
            Up::Event { namespace, name, payload } => {
                self.handle_event(namespace, name, payload, now);
            }
        }
    }

    fn handle_state(&mut self, reports: Vec<ContextReport>, invalid: Vec<String>, now: Now) {
        for why in invalid {
            self.complain(error("up/state", ErrorCode::InvalidContext, why), now);
        }
        for report in reports {
            self.control.note_state(&report);
            self.take_context("up/state", report, now);
        }
        self.perform_control(now);
        self.note_state(now);
    }

    /// Takes a context object, and tells the appliance what of it is left out.
    pub(super) fn take_context(&mut self, topic: &str, report: ContextReport, now: Now) {
        for complaint in self.contexts.take(report) {
            self.complain(error(topic, complaint.code, complaint.message), now);
        }
        self.settle_commands(None, now);
    }

    fn cancel_utterance(&mut self, utterance: UtteranceId, now: Now) {
        if self.capture.active().is_some_and(|(active, _)| *active == utterance) {
            return self.abort_capture(StopReason::Cancelled, now);
        }
        if self.abort_unsent(&utterance, now) {
            return;
        }
        let message = "no utterance of this name is being sent";
        let mut error = error("up/recognize", ErrorCode::UnknownUtterance, message);
        error.about.utterance = Some(utterance);
        self.complain(error, now);
    }

    /// Performs what became of the appliance's audio.
    pub(super) fn perform_capture(&mut self, effect: Effect, now: Now) {
        match effect {
            Effect::Slice { key, data, received } => self.upload(key, data, received),
            Effect::Ended { utterance, key } => self.finish_upload(utterance, key, None, now),
            Effect::TooLong { utterance, key } => {
                self.finish_upload(utterance.clone(), key, Some((StopReason::Timeout, None)), now);
                let message = "longer than limits.max_utterance; what came before was sent";
                self.complain_audio(ErrorCode::UtteranceTooLong, message, utterance, now);
            }
            Effect::Empty { utterance, key } => {
                self.abort_upload(utterance, key, StopReason::Timeout, now);
            }
            Effect::Unknown(utterance) => {
                self.measure(Measure::AudioDropped("unknown_utterance"));
                let message = "no up/recognize named this utterance within a second";
                self.complain_audio(ErrorCode::UnknownUtterance, message, utterance, now);
            }
            Effect::EarlyOverflow(utterance) => {
                self.measure(Measure::AudioDropped("early_overflow"));
                let message = "more audio than is kept before its up/recognize";
                self.complain_audio(ErrorCode::AudioOverflow, message, utterance, now);
            }
            Effect::Late => self.measure(Measure::AudioDropped("after_end")),
        }
    }

    /// A recording with a hole is worth nothing: the utterance is cancelled.
    pub(super) fn audio_lost(&mut self, utterance: UtteranceId, now: Now) {
        if self.capture.active().is_some_and(|(active, _)| *active == utterance) {
            self.abort_capture(StopReason::Failed, now);
            let message = "audio came faster than it could be taken";
            self.complain_audio(ErrorCode::AudioOverflow, message, utterance, now);
        }
    }

    pub(super) fn complain_audio(
        &mut self,
        code: ErrorCode,
        message: &str,
        utterance: UtteranceId,
        now: Now,
    ) {
        let mut error = error(&format!("up/audio/{utterance}"), code, message);
        error.about.utterance = Some(utterance);
        self.complain(error, now);
    }

    fn handle_speech(&mut self, token: Token, progress: SpeechProgress, now: Now) {
        match self.speech.report(&token, progress, now.mono) {
            Report::Send(name) => {
                self.report_speech(name, &token);
            }
            Report::Ignore => {}
            Report::Unknown => {
                let message = "no Speak with this token was delivered";
                let mut error = error("up/speech", ErrorCode::InvalidPayload, message);
                error.about.token = Some(token);
                self.complain(error, now);
            }
        }
    }

    fn handle_event(&mut self, namespace: String, name: String, payload: Box<RawValue>, now: Now) {
        match (namespace.as_str(), name.as_str()) {
            ("TextRecognizer", "Recognize") => match serde_json::from_str(payload.get()) {
                Ok(TextPayload { text, speech_id }) => self.send_text(text, speech_id, now),
                Err(wrong) => {
                    let message = format!("payload of TextRecognizer.Recognize: {wrong}");
                    self.complain(error("up/event", ErrorCode::InvalidPayload, message), now);
                }
            },
            ("SpeechRecognizer", "Recognize") => {
                let message = "SpeechRecognizer.Recognize needs audio: use up/recognize";
                self.complain(error("up/event", ErrorCode::InvalidPayload, message), now);
            }
            (_, old) => {
                let name = current_event_name(&namespace, old);
                self.queue_event(&namespace, name, payload.into());
            }
        }
    }
}
