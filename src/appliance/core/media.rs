//! Music and other media: what CIC orders, what the appliance plays, and its player's buttons.

use super::{Core, Measure, uplink::error};
use crate::{
    appliance::{
        context::OwnContexts,
        focus::Channel,
        message::{Down, ErrorCode},
        outbox::{Care, Left},
        playback::{Button, Effect, Heard, Report},
        queue::Entry,
    },
    clock::Now,
    ids::Token,
};

/// What stands for the stream in the focus machine: there is one at a time.
pub(super) const STREAM: &str = "content";

impl Core {
    /// Carries out a directive of the player.
    pub(super) fn order_playback(&mut self, entry: Entry, now: Now) {
        let outcome = match self.playback.order(&entry.directive, now) {
            Ok(()) => "delivered",
            Err(wrong) => {
                tracing::warn!(directive = entry.directive.full_name(), %wrong, "not carried out");
                "invalid"
            }
        };
        self.discard(entry, outcome, now);
        self.perform_playback();
    }

    /// `up/playback`.
    pub(super) fn handle_playback(&mut self, heard: Heard, now: Now) {
        let token = heard.token.clone();
        if self.playback.report_heard(&heard, now).is_err() {
            let why = "no stream with this token was delivered";
            let mut error = error("up/playback", ErrorCode::InvalidPayload, why);
            error.about.token = Some(token);
            self.complain(error, now);
        }
        self.perform_playback();
    }

    /// A button of the player.
    pub(super) fn press_player(&mut self, button: &Button, now: Now) {
        if self.playback.press(button, now).is_err() {
            let why = "CIC is not connected at the moment; it decides what a button does";
            self.complain(error("up/button", ErrorCode::NotConnected, why), now);
        }
        self.perform_playback();
    }

    /// A question about a stream that CIC will not answer any more.
    pub(super) fn note_unanswered(&mut self, left: &Left, now: Now) {
        let is_request =
            (&*left.event.namespace, &*left.event.name) == ("AudioPlayer", "StreamRequested");
        if is_request && left.result != "ok" {
            self.playback.stream_refused(&left.event.payload, now);
            self.perform_playback();
        }
    }

    /// Performs what the player decided.
    pub(super) fn perform_playback(&mut self) {
        while let Some(effect) = self.playback.poll_effect() {
            match effect {
                Effect::Tell(directive) => {
                    self.say(Down::Directive { directive: *directive, attachments: Vec::new() });
                }
                Effect::Cancel(token) => {
                    self.say(Down::Cancel { dialog_request_id: None, tokens: vec![token] });
                }
                Effect::Report(report) => self.report_media(report, Care::Keep),
                Effect::Ask(report) => self.report_media(report, Care::Some),
                Effect::Sounding(sounding) => self.media_sounds = sounding,
                Effect::Count(what) => self.measure(Measure::Dropped(what)),
            }
        }
    }

    /// The stream, if it sounds.
    pub(super) fn media_sound(&self) -> Option<(Channel, Token)> {
        self.media_sounds.then(|| (Channel::Content, STREAM.into()))
    }

    fn report_media(&mut self, report: Report, care: Care) {
        let own = OwnContexts { playback: Some(report.state), ..self.own_contexts() };
        let event = self.outgoing(report.namespace, report.name, report.payload, own);
        self.send(event, care);
    }
}
