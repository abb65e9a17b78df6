//! Whose turn it is: what the appliance's lights show (`down/dialogue`).

use std::time::{Duration, Instant};

use super::Core;
use crate::{
    appliance::message::{DialogueState, Down},
    clock::Now,
    ids::{DialogRequestId, UtteranceId},
};

/// Added to ExpectSpeech's time-out for the way to the appliance and back.
const LISTEN_GRACE: Duration = Duration::from_secs(1);

/// What the appliance's lights show, and since when the user waits.
#[derive(Debug, Default)]
pub(super) struct Turn {
    shown: Option<(DialogueState, Option<DialogRequestId>, Option<UtteranceId>)>,
    pub(super) listening: Option<(Instant, Option<DialogRequestId>)>,
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
        // Whatever is still spoken is in the background until this has been sent, or has failed.
        if let Some(id) = self.dialogues.in_flight() {
            return (DialogueState::Thinking, Some(id.clone()), None);
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
