//! What CIC orders of the queue, and its questions about what is playing.

use serde_json::json;

use super::{
    Effect, NotPlayback, Playback,
    current::{Current, Phase},
    fields::{Fields, to_raw},
    item::{Behavior, Item},
};
use crate::{cic::directive::Directive, clock::Now};

/// Whether the current item is waiting for this StreamDeliver.
fn is_awaited(current: &Current, id: Option<&str>, token: Option<&str>) -> bool {
    matches!(current.phase, Phase::Asking(_)) && current.item.is_meant(id, token)
}

impl Playback {
    /// Whether this machine carries out the directive, rather than the appliance.
    pub fn takes(directive: &Directive) -> bool {
        matches!(directive.namespace.as_str(), "AudioPlayer" | "PlaybackController")
            || directive.is("TemplateRuntime", "ExpectRequestPlayerInfo")
    }

    /// Carries out a directive.
    ///
    /// # Errors
    /// When it cannot be carried out; nothing has changed then.
    pub fn order(&mut self, directive: &Directive, now: Now) -> Result<(), NotPlayback> {
        self.catch_up(now);
        let result = match directive.namespace.as_str() {
            "AudioPlayer" => self.order_queue(directive, now),
            "PlaybackController" => self.control(directive, now),
            "TemplateRuntime" if directive.name == "ExpectRequestPlayerInfo" => {
                self.request_player_info(now);
                Ok(())
            }
            _ => Err(NotPlayback::Unknown),
        };
        self.settle();
        result
    }

    fn order_queue(&mut self, directive: &Directive, now: Now) -> Result<(), NotPlayback> {
        match directive.name.as_str() {
            "Play" => self.order_play(directive, now),
            "StreamDeliver" => self.deliver_stream(directive, now),
            "ClearQueue" => self.clear_queue(directive, now),
            "ExpectReportPlaybackState" => {
                self.report_state(self.position(now));
                Ok(())
            }
            // Of another client, for an appliance that has asked for it.
            "SynchronizePlaybackState" => {
                self.pass_on(directive);
                Ok(())
            }
            _ => Err(NotPlayback::Unknown),
        }
    }

    fn order_play(&mut self, directive: &Directive, now: Now) -> Result<(), NotPlayback> {
        let (behavior, item) = Item::read(directive)?;
        if self.is_duplicate(&item) {
            self.count("play_duplicate");
            return Ok(());
        }
        let dialogue = directive.dialog_request_id.clone();
        if behavior == Behavior::ReplaceAll {
            let had = self.end_current(now);
            self.queue.clear();
            self.play(item, had, dialogue, now);
        } else if self.is_idle() && self.queue.is_empty() {
            self.note_played();
            self.play(item, None, dialogue, now);
        } else if !self.queue.push(item) {
            self.count("play_queue_full");
        }
        Ok(())
    }

    /// Whether what is appended is to be played at once: nothing is current, or it ended by
    /// itself. What was stopped stays stopped.
    fn is_idle(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.phase == Phase::Over)
    }

    /// An item that is there already. One that is over may be ordered again, by another message.
    fn is_duplicate(&self, item: &Item) -> bool {
        let Some(id) = &item.id else { return false };
        let current = self.current.as_ref().filter(|current| current.item.id.as_ref() == Some(id));
        let is_current = |current: &Current| {
            let message = &current.item.message_id;
            let is_repeated = !message.as_str().is_empty() && *message == item.message_id;
            current.is_live() || is_repeated
        };
        current.is_some_and(is_current) || self.queue.has(id)
    }

    fn deliver_stream(&mut self, directive: &Directive, now: Now) -> Result<(), NotPlayback> {
        let payload = Fields::read("payload", &directive.payload)?;
        let id = payload.text("audioItemId")?;
        let brings = payload.needed_raw("audioStream")?;
        let token = Fields::read("audioStream", brings)?.text("token")?;
        let awaited = |current: &&mut Current| is_awaited(current, id.as_deref(), token.as_deref());
        let Some(current) = self.current.as_mut().filter(awaited) else {
            self.count("stream_not_awaited");
            return Ok(());
        };
        let stream = current.item.stream.merged(brings)?;
        if !stream.is_playable {
            self.give_up_stream("stream_not_playable", now);
            return Ok(());
        }
        if let Some(token) = &stream.token {
            current.item.token = token.clone();
        }
        current.take_stream(stream, now.mono);
        self.tell_play(None, now);
        Ok(())
    }

    fn clear_queue(&mut self, directive: &Directive, now: Now) -> Result<(), NotPlayback> {
        let behavior = Fields::read("payload", &directive.payload)?.needed_text("clearBehavior")?;
        match behavior.as_str() {
            "CLEAR_ALL" => {
                let token = self.end_current(now);
                self.effects.extend(token.map(Effect::Cancel));
                self.current = None;
            }
            "CLEAR_ENQUEUED" => {}
            _ => {
                let wrong = "payload.clearBehavior is neither CLEAR_ALL nor CLEAR_ENQUEUED";
                return Err(NotPlayback::Payload(wrong.into()));
            }
        }
        self.queue.clear();
        self.pass_on(directive);
        let payload = to_raw(&json!({ "clearBehavior": behavior }));
        self.report_cleared(payload, self.position(now));
        Ok(())
    }

    /// CIC wants to be asked for what there is to know about the track. Without one there is
    /// nothing to ask by.
    fn request_player_info(&mut self, now: Now) {
        match &self.current {
            Some(current) => {
                let payload = to_raw(&json!({ "token": current.item.token }));
                let offset = self.position(now);
                self.ask("TemplateRuntime", "RequestPlayerInfo", payload.into(), offset);
            }
            None => self.count("player_info_without_stream"),
        }
    }

    /// Has the appliance see the directive as it is.
    pub(super) fn pass_on(&mut self, directive: &Directive) {
        self.effects.push_back(Effect::Tell(Box::new(directive.clone())));
    }
}
