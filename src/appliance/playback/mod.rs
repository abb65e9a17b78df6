//! Media: the play queue, what the appliance plays of it, and what CIC hears of that (interfaces,
//! AudioPlayer and PlaybackController; flows 4, 5, 6). Pure; called by the core, which performs
//! the [`Effect`]s.
//!
//! A firmware plays the URL of the `AudioPlayer.Play` that it gets, obeys Pause, Resume, Stop and
//! `down/cancel`, and reports what really happened. The rest is done here: what follows what,
//! StreamRequested and StreamDeliver, the position (the last report plus the playing time since
//! then), progress reports, and the end of a section that the appliance plays past.
//!
//! * **Orders** of CIC are carried out, told to the appliance, and reported once the appliance has
//!   reported, or on the gateway's own account after a few seconds.
//! * What the gateway ends by itself (another item, ClearQueue, the end of a section) is reported
//!   at once; what the appliance says of that token later is not repeated.
//! * **Buttons** never act here: CIC is told, and its directive does the work.
//! * Nothing outlives the process: after a restart the queue is empty and the state IDLE, which
//!   the guide allows (context, PlaybackState).
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the state, what goes in and comes out |
//! | `orders.rs` | what CIC orders of the queue |
//! | `controls.rs` | what CIC orders of what is playing |
//! | `buttons.rs` | buttons, and the directives that press them |
//! | `reports.rs` | what the appliance reports, and what follows |
//! | `turns.rs` | whose turn it is: streams are asked for, items played, the next one taken |
//! | `state.rs` | `AudioPlayer.PlaybackState`, and every event |
//! | `current.rs` `playhead.rs` `progress.rs` | the current item, its position, its reports |
//! | `queue.rs` `item.rs` `stream.rs` `fields.rs` | what waits, one Play, its stream, reading them |

mod buttons;
mod controls;
mod current;
mod fields;
mod item;
mod orders;
mod playhead;
mod progress;
mod queue;
mod reports;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

pub use buttons::{Button, NotConnected};
pub use reports::{Heard, Reported, UnknownStream};

use crate::{cic::directive::Directive, clock::Now, ids::Token};
use current::{Current, Phase};
use queue::Queue;

/// Items that may wait to be played.
pub const MAX_ITEMS: usize = 100;
/// Bytes of those that wait and those that were played, together.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Tokens whose late reports are still understood.
const REMEMBERED: usize = 32;

/// Why a directive about media cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPlayback {
    /// Its payload is not what the guide says. Nothing has changed.
    #[error("{0}")]
    Payload(String),
    /// It is none of those that are carried out here.
    #[error("no such directive")]
    Unknown,
}

/// An event for CIC.
#[derive(Debug, Clone)]
pub struct Report {
    /// `header.namespace`.
    pub namespace: &'static str,
    /// `header.name`.
    pub name: &'static str,
    /// `payload`, a JSON object.
    pub payload: Arc<RawValue>,
    /// `AudioPlayer.PlaybackState` as it was at this event.
    pub state: Arc<RawValue>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Publish `down/directive`.
    Tell(Box<Directive>),
    /// Publish `down/cancel` for this token: the appliance stops and forgets it. Its end is
    /// reported here.
    Cancel(Token),
    /// Tell CIC, through the outbox: it is kept until CIC has it.
    Report(Report),
    /// Ask CIC, if it can be asked now; not kept.
    Ask(Report),
    /// Content begins or ceases to sound.
    Sounding(bool),
    /// Count this: something was dropped or did not work.
    Count(&'static str),
}

/// What one appliance plays.
#[derive(Debug, Default)]
pub struct Playback {
    repeat_one: bool,
    current: Option<Current>,
    queue: Queue,
    /// Tokens that the appliance was given.
    told: VecDeque<Token>,
    is_connected: bool,
    sounds: bool,
    effects: VecDeque<Effect>,
}

impl Playback {
    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// `AudioPlayer.PlaybackState` as it is now.
    pub fn state(&self, now: Now) -> Arc<RawValue> {
        self.state_at(self.position(now))
    }

    /// The session is up (after Hello) or gone.
    pub fn set_connected(&mut self, is_connected: bool, now: Now) {
        self.catch_up(now);
        self.is_connected = is_connected;
        match self.current.as_ref().map(|current| current.phase) {
            Some(Phase::Waiting(_)) if is_connected => self.ask_for_stream(now),
            // The answer went with the session.
            Some(Phase::Asking(_)) if !is_connected => self.wait_for_cic(now),
            _ => {}
        }
        self.settle();
    }

    /// The appliance has been away for too long, or has started anew: it plays nothing any more.
    /// The queue stays; Resume goes on where it was.
    pub fn appliance_gone(&mut self, now: Now) {
        self.catch_up(now);
        let (token, offset) = (self.end_current(now), self.position(now));
        if let Some(current) = self.current.as_mut().filter(|current| current.is_live()) {
            current.close(Phase::Stopped, offset, now.mono);
        }
        // For one that was only out of reach.
        self.effects.extend(token.map(Effect::Cancel));
        self.settle();
    }

    /// The pairing is gone, and with it all that was played for it. CIC is told nothing.
    pub fn unpaired(&mut self) {
        let current = self.current.take().filter(Current::is_at_appliance);
        self.effects.extend(current.map(|current| Effect::Cancel(current.item.token)));
        self.queue.clear();
        self.repeat_one = false;
        self.settle();
    }

    /// When [`Playback::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.current.as_ref()?.deadline()
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.catch_up(now);
        self.settle();
    }

    /// What has come due until now, in its order; precedes whatever else happens now.
    fn catch_up(&mut self, now: Now) {
        let pending = self.current.as_ref().and_then(|current| current.pending);
        if let Some(pending) = pending.filter(|pending| pending.until <= now.mono) {
            self.answer_for_appliance(pending, now);
        }
        self.report_progress(now);
        let late = |until: Instant| until <= now.mono;
        match self.current.as_ref().map(|current| current.phase) {
            Some(Phase::Asking(until)) if late(until) => {
                self.give_up_stream("stream_never_delivered", now);
            }
            Some(Phase::Waiting(until)) if late(until) => self.give_up_cic(),
            Some(Phase::Starting(until)) if late(until) => self.give_up_appliance(now),
            _ => {}
        }
    }

    /// What follows from every input.
    fn settle(&mut self) {
        let sounds = self.current.as_ref().is_some_and(Current::sounds);
        if self.sounds != sounds {
            self.sounds = sounds;
            self.effects.push_back(Effect::Sounding(sounds));
        }
    }

    fn position(&self, now: Now) -> Duration {
        self.current.as_ref().map_or(Duration::ZERO, |current| current.position(now.mono))
    }

    fn count(&mut self, what: &'static str) {
        self.effects.push_back(Effect::Count(what));
    }
}
