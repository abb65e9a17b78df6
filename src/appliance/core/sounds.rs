//! What sounds: the focus machine learns it from the machines that know, and tells the appliance.

use super::Core;
use crate::{
    appliance::{
        alerts::Phase,
        focus::{Channel, Effect},
        message::{Down, StopReason},
    },
    clock::Now,
    ids::Token,
};

impl Core {
    /// Tells the focus machine what has begun and ended since the last time, and performs what it
    /// decides.
    pub(super) fn settle_focus(&mut self, now: Now) {
        let sounding = self.sounding();
        let known = self.focus.sounds().iter();
        let owned = known.filter(|sound| sound.channel != Channel::Notification);
        let over: Vec<_> = owned
            .filter(|sound| !sounding.iter().any(|(c, t)| (*c, t) == (sound.channel, &sound.token)))
            .map(|sound| (sound.channel, sound.token.clone()))
            .collect();
        for (channel, token) in over {
            self.focus.ended(channel, &token);
        }
        for (channel, token) in &sounding {
            self.focus.started(*channel, token, now);
        }
        self.focus.attend(self.current_turn().0.into());
        self.perform_focus(now);
    }

    /// An appliance that is away sounds nothing.
    fn sounding(&self) -> Vec<(Channel, Token)> {
        if !self.presence.is_online() {
            return Vec::new();
        }
        let speech =
            self.speech.playing().map(|playing| (Channel::Dialogue, playing.token.clone()));
        let ringing = self.alerts.iter().filter(|alert| alert.phase == Phase::Ringing);
        let ringing = ringing.map(|alert| (Channel::Alert, alert.token.clone()));
        speech.into_iter().chain(ringing).collect()
    }

    fn perform_focus(&mut self, now: Now) {
        while let Some(effect) = self.focus.poll_effect() {
            match effect {
                Effect::CancelCapture => {
                    self.abort_capture(StopReason::Cancelled, now);
                    self.turn.listening = None;
                }
                Effect::Cancel(Channel::Dialogue, token) => {
                    if self.speech.playing().is_some_and(|playing| playing.token == token) {
                        self.cancel_speech();
                    }
                }
                // Its owner has stopped it.
                Effect::Cancel(..) => {}
                // Alerts that ring together are all in front; the appliance sounds the newest.
                Effect::Hush(_) => {}
                Effect::Discard(entry, outcome) => self.discard(*entry, outcome, now),
                Effect::Tell(places) => self.say(Down::Focus(places)),
                Effect::Deliver(entry) => self.hand_over(*entry, now),
            }
        }
    }
}
