//! Whose turn it is: streams are asked for, items are given to the appliance, the next one is
//! taken.

use std::time::Duration;

use serde_json::value::RawValue;

use super::{
    Effect, Playback, REMEMBERED,
    current::{Current, Phase},
    item::Item,
};
use crate::{
    clock::Now,
    ids::{DialogRequestId, Token},
};

/// How long StreamDeliver is waited for.
const DELIVER_WITHIN: Duration = Duration::from_secs(10);
/// How long CIC is waited for to be asked: music does not begin by itself much later.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// How long an appliance may take to begin: it may have to look up, connect and buffer.
const START_WITHIN: Duration = Duration::from_secs(15);
/// An item that is over sooner is not repeated: that would never end.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

impl Playback {
    /// StreamRequested was refused, or could not be sent: its payload tells which.
    pub fn stream_refused(&mut self, request: &RawValue, now: Now) {
        self.catch_up(now);
        let is_asking = |current: &&Current| {
            matches!(current.phase, Phase::Asking(_))
                && current.item.request().get() == request.get()
        };
        if self.current.as_ref().filter(is_asking).is_some() {
            self.give_up_stream("stream_refused", now);
        }
        self.settle();
    }

    /// Ends what is current for the sake of something else; CIC is told at once. Returns its
    /// token, if the appliance still has it.
    pub(super) fn end_current(&mut self, now: Now) -> Option<Token> {
        let offset = self.position(now);
        let current = self.current.as_mut()?;
        let token = current.is_at_appliance().then(|| current.item.token.clone());
        if current.is_open {
            current.close(Phase::Stopped, offset, now.mono);
            self.report_played("PlayStopped", offset);
        }
        token
    }

    /// Plays this item now, in place of whatever the appliance still has. A token that is played
    /// again is not cancelled first: the two messages may overtake each other.
    pub(super) fn play(
        &mut self,
        item: Item,
        had: Option<Token>,
        dialogue: Option<DialogRequestId>,
        now: Now,
    ) {
        let mut current = Current::new(item);
        current.stale_end = had.as_ref() == Some(&current.item.token);
        let is_replaced = current.stale_end && current.stream.is_playable;
        self.current = Some(current);
        self.effects.extend(had.filter(|_| !is_replaced).map(Effect::Cancel));
        self.take_turn(dialogue, now);
    }

    /// The current item's turn has come: now it is played, or now its stream is asked for.
    pub(super) fn take_turn(&mut self, dialogue: Option<DialogRequestId>, now: Now) {
        let Some(current) = &self.current else { return };
        match current.stream.is_playable {
            true => self.tell_play(dialogue, now),
            false if self.is_connected => self.ask_for_stream(now),
            false => self.wait_for_cic(now),
        }
    }

    /// Gives it to the appliance. Later than with its own dialogue it belongs to none.
    pub(super) fn tell_play(&mut self, dialogue: Option<DialogRequestId>, now: Now) {
        let Some(current) = &mut self.current else { return };
        current.phase = Phase::Starting(now.mono + START_WITHIN);
        current.pending = None;
        let start = current.position(now.mono);
        let play = current.item.order(&current.stream, start, dialogue);
        let token = current.item.token.clone();
        self.told.retain(|told| *told != token);
        self.told.push_back(token);
        if self.told.len() > REMEMBERED {
            self.told.pop_front();
        }
        self.effects.push_back(Effect::Tell(Box::new(play)));
    }

    pub(super) fn ask_for_stream(&mut self, now: Now) {
        let offset = self.position(now);
        let Some(current) = &mut self.current else { return };
        current.phase = Phase::Asking(now.mono + DELIVER_WITHIN);
        current.follows = false;
        let request = current.item.request();
        self.ask("AudioPlayer", "StreamRequested", request, offset);
    }

    pub(super) fn wait_for_cic(&mut self, now: Now) {
        if let Some(current) = &mut self.current {
            current.phase = Phase::Waiting(now.mono + CONNECT_WITHIN);
            current.follows = false;
        }
    }

    /// There is no stream to be had: the next one, unless this one was only to go on.
    pub(super) fn give_up_stream(&mut self, why: &'static str, now: Now) {
        self.count(why);
        match self.current.as_mut() {
            Some(current) if current.is_resuming() => current.phase = Phase::Stopped,
            Some(current) => {
                current.phase = Phase::Over;
                self.go_on(None, now);
            }
            None => {}
        }
    }

    /// CIC cannot be asked for this stream, nor for the next.
    pub(super) fn give_up_cic(&mut self) {
        self.count("stream_not_requested");
        if let Some(current) = &mut self.current {
            current.phase = Phase::Stopped;
        }
    }

    /// The appliance does not begin; it would not with the next one either.
    pub(super) fn give_up_appliance(&mut self, now: Now) {
        self.count("playback_never_started");
        let Some(current) = &self.current else { return };
        let token = current.item.token.clone();
        self.stop_at(self.position(now), now);
        self.effects.push_back(Effect::Cancel(token));
    }

    /// It is over by itself: once more, or the next one, or silence. `had` is what the appliance
    /// still plays.
    pub(super) fn go_on(&mut self, had: Option<Token>, now: Now) {
        match self.queue.next() {
            Some(next) => {
                self.note_played();
                self.play(next, had, None, now);
                self.join_on();
            }
            None => self.effects.extend(had.map(Effect::Cancel)),
        }
    }

    /// The item goes on with what was heard: for the user it is the same music (dialogue 7.2).
    fn join_on(&mut self) {
        let was_heard = self.sounds;
        if let Some(current) = &mut self.current {
            current.follows = was_heard && !matches!(current.phase, Phase::Waiting(_));
        }
    }

    /// It was played to its end.
    pub(super) fn go_on_or_repeat(&mut self, had: Option<Token>, now: Now) {
        let long_enough = |current: &Current| current.head.played(now.mono) >= REPEAT_AFTER;
        match self.current.take_if(|current| self.repeat_one && long_enough(current)) {
            Some(current) => {
                self.play(current.item, had, None, now);
                self.join_on();
            }
            None => self.go_on(had, now),
        }
    }

    /// The current item makes room for another; Previous comes back to it if it was heard.
    pub(super) fn note_played(&mut self) {
        if let Some(current) = self.current.take().filter(|current| current.has_begun) {
            self.queue.note_played(current.item);
        }
    }
}
