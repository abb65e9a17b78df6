//! Directives and attachments on their way to the appliance.

use serde::Deserialize;

use super::{Core, Measure, Output, alarms::is_alert_order, requests::Question, uplink::error};
use crate::{
    appliance::{
        attachments::Passing,
        control::Handling,
        dialogue::{Dialogues, Origin, Verdict},
        message::{Down, ErrorCode, SessionState, StopReason},
        playback::Playback,
        queue::Entry,
    },
    cic::{
        directive::Directive,
        link,
        message::{AttachmentEvent, Notice, Source},
        names,
    },
    clock::Now,
    ids::{ContentId, DialogRequestId, ExpectSpeechId, Token},
};

/// Directives that may wait for their request to be sent, or for their attachment.
const MAX_HELD: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopCapture {
    recognized_text: Option<String>,
}

#[derive(Deserialize)]
struct ShowRecognizedText {
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpectSpeech {
    expect_speech_id: ExpectSpeechId,
    explicit: bool,
    timeout_in_milliseconds: u64,
}

impl Core {
    pub(super) fn handle_notice(&mut self, generation: u64, notice: Notice, now: Now) {
        if let Notice::Closed(reason) = notice {
            return self.session_closed(generation, reason, now);
        }
        if self.link.generation() != Some(generation) {
            return;
        }
        match notice {
            Notice::Directive { source, directive } => {
                self.handle_directive(generation, source, directive, now);
            }
            Notice::Attachment { source, content_id, event } => {
                self.handle_attachment(source, &content_id, event, now);
            }
            Notice::Skipped { .. } => self.measure_directive("other", "other", "invalid"),
            Notice::Sent { key } => self.request_sent(key, now),
            Notice::Response { key, status, .. } => self.response_began(key, status),
            Notice::Finished { key, outcome } => self.request_finished(key, outcome, now),
            Notice::ChannelOpen | Notice::Pong(_) | Notice::Closed(_) => {}
        }
    }

    fn handle_directive(
        &mut self,
        generation: u64,
        source: Source,
        directive: Directive,
        now: Now,
    ) {
        if source == Source::Downchannel && directive.is("Clova", "Hello") {
            self.measure_directive("Clova", "Hello", "delivered");
            // CIC may say it again.
            if self.link.state() != SessionState::Connected {
                self.measure(Measure::Connect("connected"));
            }
            return self.link.handle(link::Input::Hello(generation), now);
        }
        let entry = Entry::new(directive, source);
        if names::known_directive(&entry.directive.namespace, &entry.directive.name).is_none() {
            self.measure_directive("other", "other", "unknown");
            return self.discard_attachments(&entry, now);
        }
        if let Source::Response(key) = source
            && let Some(request) = self.requests.get_mut(&key)
        {
            request.brought = true;
        }
        let origin = self.origin(source);
        match self.dialogues.judge(&entry.directive, origin) {
            Verdict::Capture => self.steer_capture(&entry.directive, now),
            Verdict::Discard => self.discard(entry, "superseded", now),
            Verdict::Hold if self.held.len() < MAX_HELD => {
                self.claim(&entry, now);
                self.held.push(entry);
            }
            Verdict::Queue => self.enqueue(entry, now),
            Verdict::Immediate if is_alert_order(&entry.directive) => {
                self.order_alert(&entry.directive, now);
            }
            Verdict::Immediate if self.impatient.len() < MAX_HELD => {
                self.claim(&entry, now);
                self.impatient.push(entry);
            }
            Verdict::Hold | Verdict::Immediate => self.discard(entry, "invalid", now),
        }
    }

    fn origin(&self, source: Source) -> Origin {
        let is_recognize = match source {
            Source::Downchannel => false,
            // A request that is gone was superseded: only Recognizes can be.
            Source::Response(key) => self.requests.get(&key).is_none_or(|r| r.is_recognize()),
        };
        Dialogues::origin(source, is_recognize)
    }

    /// Orders about alerts do not wait for speech: CIC says nothing before it has their report.
    fn enqueue(&mut self, entry: Entry, now: Now) {
        if is_alert_order(&entry.directive) {
            return self.order_alert(&entry.directive, now);
        }
        self.claim(&entry, now);
        if let Err(entry) = self.queue.push(entry) {
            self.measure(Measure::Dropped("directive_queue_full"));
            self.discard(*entry, "invalid", now);
        }
    }

    fn claim(&mut self, entry: &Entry, now: Now) {
        for id in &entry.attachments {
            let dialogue = entry.directive.dialog_request_id.as_ref();
            self.attachments.claim(id, entry.source, dialogue, now.mono);
        }
    }

    pub(super) fn discard(&mut self, entry: Entry, outcome: &'static str, now: Now) {
        self.measure_named(&entry.directive, outcome);
        self.discard_attachments(&entry, now);
    }

    fn discard_attachments(&mut self, entry: &Entry, now: Now) {
        for id in &entry.attachments {
            self.attachments.discard(id, entry.source, now.mono);
        }
    }

    /// StopCapture, ShowRecognizedText, KeepRecording and ConfirmWakeUp for the id in flight.
    fn steer_capture(&mut self, directive: &Directive, now: Now) {
        let mut outcome = "delivered";
        match directive.name.as_str() {
            "StopCapture" => {
                let text = directive.payload_as::<StopCapture>().ok();
                self.stop_capture(text.and_then(|text| text.recognized_text), now);
            }
            "ShowRecognizedText" => match (directive.payload_as(), self.capture.active()) {
                (Ok(ShowRecognizedText { text }), Some((utterance, _))) => {
                    let utterance = utterance.clone();
                    self.say(Down::Text { utterance, text });
                }
                (Err(wrong), _) => return self.refuse(directive, &wrong),
                (Ok(_), None) => outcome = "superseded",
            },
            "ConfirmWakeUp" if wake_up_failed(directive) => {
                self.abort_capture(StopReason::Cancelled, now);
            }
            _ => {}
        }
        self.measure_named(directive, outcome);
    }

    /// The request has been sent: what came early for it takes its place in the queue.
    pub(super) fn release_held(&mut self, now: Now) {
        for entry in std::mem::take(&mut self.held) {
            self.enqueue(entry, now);
        }
    }

    /// The request was cancelled: what came early for it goes with it.
    pub(super) fn drop_held(&mut self) {
        for entry in std::mem::take(&mut self.held) {
            self.measure_named(&entry.directive, "superseded");
            for id in &entry.attachments {
                self.attachments.forget(id);
            }
        }
    }

    /// Delivers whatever may be delivered.
    pub(super) fn pump_answers(&mut self, now: Now) {
        while let Some(index) = self.impatient.iter().position(|entry| self.is_ready(entry)) {
            let entry = self.impatient.remove(index);
            self.deliver(entry, now);
        }
        while let Some(head) = self.queue.head() {
            if !self.is_ready(head) || self.must_wait(&head.directive) {
                break;
            }
            if let Some(entry) = self.queue.pop() {
                self.deliver(entry, now);
            }
        }
    }

    /// Speech waits for the speech before it, and so does the music that it announces; the
    /// microphone opens after it (dialogue 3). While the user is asking something else, none of
    /// them begins: what is left of the older answer ends once that has been sent, and goes on if
    /// it fails (dialogue 9).
    fn must_wait(&self, directive: &Directive) -> bool {
        let is_question = directive.is("SpeechRecognizer", "ExpectSpeech");
        if !is_question && !is_speak(directive) && !directive.is("AudioPlayer", "Play") {
            return false;
        }
        let is_spoken_over = match is_question {
            true => self.speech.playing().is_some(),
            false => self.speech.must_wait(directive),
        };
        is_spoken_over || self.dialogues.in_flight().is_some()
    }

    fn is_ready(&self, entry: &Entry) -> bool {
        entry.attachments.iter().all(|id| self.attachments.is_ready(id))
    }

    fn deliver(&mut self, entry: Entry, now: Now) {
        if entry.directive.is("SpeechRecognizer", "ExpectSpeech") {
            return self.expect_speech(&entry.directive, now);
        }
        if Playback::takes(&entry.directive) {
            return self.order_playback(entry, now);
        }
        match self.order_control(&entry.directive, now) {
            Handling::Deliver if entry.directive.namespace == "Notifier" => {
                self.focus.notify(entry, now);
            }
            Handling::Deliver => {
                if let Some(entry) = self.translate(entry, now) {
                    self.hand_over(entry, now);
                }
            }
            Handling::Withhold => self.discard(entry, "delivered", now),
            Handling::Invalid => self.discard(entry, "invalid", now),
        }
    }

    /// Hands a directive on to the appliance.
    pub(super) fn hand_over(&mut self, entry: Entry, now: Now) {
        if is_speak(&entry.directive) {
            self.cancel_speech();
            self.speech.deliver(&entry.directive, &entry.attachments, now.mono);
        }
        if entry.directive.is("System", "SynchronizeState") {
            // An older edition sends the alerts with it; without them there is nothing to do.
            let _ = self.alerts.order(&entry.directive, now);
        }
        self.measure_named(&entry.directive, "delivered");
        let opened: Vec<_> =
            entry.attachments.iter().map(|id| (id.clone(), self.attachments.open(id))).collect();
        let (directive, mut attachments, mut passing) = (entry.directive, vec![], vec![]);
        for (id, (reference, passed)) in opened {
            attachments.push(reference);
            passing.extend(passed.into_iter().map(|passed| (id.clone(), passed)));
        }
        self.say(Down::Directive { directive, attachments });
        for (id, passed) in passing {
            self.pass(&id, passed, now);
        }
    }

    fn expect_speech(&mut self, directive: &Directive, now: Now) {
        let wanted = match directive.payload_as::<ExpectSpeech>() {
            Ok(wanted) => wanted,
            Err(wrong) => return self.refuse(directive, &wrong),
        };
        if self.dialogues.in_flight().is_some() {
            return self.measure_named(directive, "superseded");
        }
        let dialogue = directive.dialog_request_id.clone();
        let timeout = std::time::Duration::from_millis(wanted.timeout_in_milliseconds.min(600_000));
        self.turn.listen(now.mono + timeout, dialogue.clone());
        let (id, explicit) = (wanted.expect_speech_id, wanted.explicit);
        self.question = Some(Question { id: id.clone(), explicit, dialogue });
        self.measure_named(directive, "delivered");
        self.say(Down::CaptureListen {
            timeout_in_milliseconds: wanted.timeout_in_milliseconds,
            explicit,
            expect_speech_id: id,
        });
    }

    fn handle_attachment(
        &mut self,
        source: Source,
        id: &ContentId,
        event: AttachmentEvent,
        now: Now,
    ) {
        if let Some(passing) = self.attachments.take(source, id, event, now.mono) {
            self.pass(id, passing, now);
        }
    }

    /// Publishes a stretch of an attachment.
    fn pass(&mut self, id: &ContentId, passing: Passing, now: Now) {
        let content_id = id.clone();
        match passing {
            Passing::Data(data) => {
                self.note_first_audio(id, now);
                self.speech.passed(id, data.len(), now.mono);
                self.measure(Measure::AudioDown(data.len()));
                if !data.is_empty() {
                    self.say(Down::Audio { content_id, data });
                }
            }
            Passing::Complete => self.say(Down::Audio { content_id, data: bytes::Bytes::new() }),
            Passing::Incomplete => {
                self.measure(Measure::AudioDropped("attachment_incomplete"));
                let message = "CIC did not send all of it";
                let topic = format!("down/audio/{id}");
                let mut error = error(&topic, ErrorCode::AttachmentIncomplete, message);
                error.about.content_id = Some(content_id.clone());
                self.complain(error, now);
                self.say(Down::Audio { content_id, data: bytes::Bytes::new() });
            }
        }
    }

    fn note_first_audio(&mut self, id: &ContentId, now: Now) {
        if self.speech.playing().is_some_and(|playing| playing.attachments.contains(id))
            && let Some(ended) = self.turn.user_ended.take()
        {
            self.measure(Measure::FirstAudio(now.mono.saturating_duration_since(ended)));
        }
    }

    /// Nothing more comes from this source: what is open is cut off, what nobody wanted goes.
    pub(super) fn source_ended(&mut self, source: Source, now: Now) {
        let (unwanted, cut) = self.attachments.source_ended(source);
        for _ in 0..unwanted {
            self.measure(Measure::Dropped("attachment_without_directive"));
        }
        for (id, passing) in cut {
            self.pass(&id, passing, now);
        }
    }

    /// Another dialogue is the latest now: everything of the old one ends (dialogue 2).
    pub(super) fn supersede(&mut self, old: DialogRequestId, now: Now) {
        let latest = self.dialogues.latest().cloned();
        let stale = self.queue.remove_stale(latest.as_ref());
        let mut alive = !stale.is_empty() || self.is_answering(&old);
        for entry in stale {
            self.discard(entry, "superseded", now);
        }
        let speaks = self.speech.playing().and_then(|playing| playing.dialogue.as_ref());
        let tokens: Vec<Token> = match speaks {
            Some(dialogue) if latest.as_ref() != Some(dialogue) => {
                self.end_speech().into_iter().collect()
            }
            _ => Vec::new(),
        };
        alive |= !tokens.is_empty() | self.attachments.forget_stale(latest.as_ref());
        alive |= self.question.take_if(|q| q.dialogue.as_ref() == Some(&old)).is_some();
        if alive {
            self.say(Down::Cancel { dialog_request_id: Some(old), tokens });
        }
    }

    /// The account is gone: nothing that belongs to it is carried out any more.
    pub(super) fn drop_answers(&mut self, now: Now) {
        let tokens = self.end_speech().into_iter().collect::<Vec<_>>();
        self.drop_events(); // SpeechStopped has nobody to go to
        let mut waiting: Vec<Entry> = self.queue.drain().collect();
        waiting.append(&mut self.held);
        waiting.append(&mut self.impatient);
        let dialogue = self.dialogues.latest().cloned().filter(|_| !waiting.is_empty());
        for entry in waiting {
            self.discard(entry, "superseded", now);
        }
        if !tokens.is_empty() || dialogue.is_some() {
            self.say(Down::Cancel { dialog_request_id: dialogue, tokens });
        }
    }

    /// A new Speak cancels the one that is playing.
    pub(super) fn cancel_speech(&mut self) {
        if let Some(token) = self.end_speech() {
            self.say(Down::Cancel { dialog_request_id: None, tokens: vec![token] });
        }
    }

    /// Ends the Speak that is playing, and reports it on the gateway's own account.
    fn end_speech(&mut self) -> Option<Token> {
        let playing = self.speech.cancel()?;
        for id in &playing.attachments {
            self.attachments.forget(id);
        }
        self.report_speech("SpeechStopped", &playing.token);
        Some(playing.token)
    }

    /// Its payload is not what the guide says; nothing has changed.
    fn refuse(&mut self, directive: &Directive, wrong: &serde_json::Error) {
        tracing::warn!(directive = directive.full_name(), %wrong, "not carried out");
        self.measure_named(directive, "invalid");
    }

    pub(super) fn measure_named(&mut self, directive: &Directive, outcome: &'static str) {
        let known = names::known_directive(&directive.namespace, &directive.name);
        let (namespace, name) = known.unwrap_or(("other", "other"));
        self.measure_directive(namespace, name, outcome);
    }

    fn measure_directive(
        &mut self,
        namespace: &'static str,
        name: &'static str,
        outcome: &'static str,
    ) {
        self.outputs.push_back(Output::Measure(Measure::Directive { namespace, name, outcome }));
    }
}

fn is_speak(directive: &Directive) -> bool {
    directive.is("SpeechSynthesizer", "Speak")
}

/// `success` is a number or a boolean (field notes).
fn wake_up_failed(directive: &Directive) -> bool {
    let payload: serde_json::Value = directive.payload_as().unwrap_or_default();
    payload["success"] == false || payload["success"] == 0
}
