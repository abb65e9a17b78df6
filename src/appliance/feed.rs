//! What changes about appliances, for whoever watches: the console, through [`crate::http`].
//!
//! Actors and their registry put changes in, streams of the API take them out, from any thread.
//! A bounded ring of the last changes serves all watchers: one that was away for a moment goes on
//! where it stopped, one that is too slow is told that it missed something. While nobody watches,
//! nothing is kept and a change costs one load of an atomic.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    alerts::{Alert, AlertAction},
    focus::Places,
    message::{DialogueState, Down, InputError, SessionState, StopReason},
};
use crate::{
    clock::mono,
    ids::{ApplianceId, DialogRequestId, UtteranceId},
};

/// Changes that are kept for watchers that are behind.
pub const KEPT: usize = 1024;
/// Changes that a watcher is handed at once.
const BATCH: usize = 64;
/// Watchers at a time.
pub const MAX_WATCHERS: usize = 32;
/// How long changes are kept after the last watcher has left, so that it can come back.
const LINGER: Duration = Duration::from_secs(60);

/// Something that has changed about an appliance.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which appliance.
    pub appliance: ApplianceId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What has changed.
#[derive(Debug, Clone)]
pub enum What {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
    /// It came or went.
    Presence {
        /// Whether it is there now.
        online: bool,
    },
    /// Its session with CIC.
    Session {
        /// Where it stands.
        state: SessionState,
        /// Since when.
        since: Timestamp,
        /// Why, for a person.
        reason: Option<String>,
    },
    /// What its lights show.
    Dialogue {
        /// Whose turn it is.
        state: DialogueState,
        /// Which dialogue.
        dialog_request_id: Option<DialogRequestId>,
        /// Which utterance, where one is concerned.
        utterance: Option<UtteranceId>,
    },
    /// What CIC has understood so far.
    Understood {
        /// Which utterance.
        utterance: UtteranceId,
        /// The text.
        text: String,
    },
    /// An utterance has ended.
    Captured {
        /// Which one.
        utterance: UtteranceId,
        /// Why.
        reason: StopReason,
        /// The final text, where CIC tells it.
        text: Option<String>,
    },
    /// A directive went to the appliance.
    Directive {
        /// `header.namespace`.
        namespace: String,
        /// `header.name`.
        name: String,
        /// Which dialogue it belongs to.
        dialog_request_id: Option<DialogRequestId>,
    },
    /// The appliance was told of an alert.
    Alert(AlertAction, Arc<Alert>),
    /// The appliance's alerts are others now, or in other states.
    Alerts {
        /// How many there are.
        count: usize,
    },
    /// What sounds how.
    Focus(Places),
    /// What the appliance was told on `down/error`.
    Error(InputError),
}

impl What {
    /// What operators see of a message to the appliance, if anything.
    pub fn of(down: &Down) -> Option<Self> {
        Some(match down {
            Down::Session { state, since, reason } => {
                Self::Session { state: *state, since: *since, reason: reason.clone() }
            }
            Down::Dialogue { state, dialog_request_id, utterance } => Self::Dialogue {
                state: *state,
                dialog_request_id: dialog_request_id.clone(),
                utterance: utterance.clone(),
            },
            Down::Text { utterance, text } => {
                Self::Understood { utterance: utterance.clone(), text: text.clone() }
            }
            Down::CaptureStop { utterance, reason, recognized_text } => Self::Captured {
                utterance: utterance.clone(),
                reason: *reason,
                text: recognized_text.clone(),
            },
            Down::Directive { directive, .. } => Self::Directive {
                namespace: directive.namespace.clone(),
                name: directive.name.clone(),
                dialog_request_id: directive.dialog_request_id.clone(),
            },
            Down::Alert(action, alert) => Self::Alert(*action, alert.clone()),
            Down::Focus(places) => Self::Focus(*places),
            Down::Error(error) => Self::Error(error.clone()),
            Down::CaptureListen { .. }
            | Down::Audio { .. }
            | Down::Cancel { .. }
            | Down::Firmware { .. } => return None,
        })
    }
}

/// Where changes go in; clones share it.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Somebody watches, or did a moment ago.
    watched: AtomicBool,
    ring: Mutex<Ring>,
    end: watch::Sender<End>,
    /// Tells the feeds of two lives of this process apart.
    life: u32,
}

#[derive(Debug)]
struct Ring {
    /// The number of the first change in `kept`; they begin with 1.
    first: u64,
    kept: VecDeque<Arc<Change>>,
    watchers: usize,
    left: Option<Instant>,
}

impl Default for Ring {
    fn default() -> Self {
        Self { first: 1, kept: VecDeque::new(), watchers: 0, left: None }
    }
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Nobody can go on from here: what comes next is numbered with a gap.
    fn forget(&mut self) {
        self.first = self.end() + 1;
        self.kept.clear();
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct End {
    next: u64,
    closed: bool,
}

/// Where a watcher stands: `{life}-{number}`, the `id` of a server-sent event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    life: u32,
    number: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{}", self.life, self.number)
    }
}

impl Place {
    /// Reads what [`Place`]'s `Display` writes; nothing for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (life, number) = text.split_once('-')?;
        Some(Self { life: u32::from_str_radix(life, 16).ok()?, number: number.parse().ok()? })
    }
}

/// There are [`MAX_WATCHERS`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_WATCHERS} streams are open already; close one")]
pub struct TooMany;

impl Default for Feed {
    fn default() -> Self {
        Self(Arc::new(Inner {
            watched: AtomicBool::new(false),
            ring: Mutex::default(),
            end: watch::Sender::new(End::default()),
            life: rand::random(),
        }))
    }
}

impl Feed {
    /// Whether it is worth while to make a [`Change`].
    pub fn is_watched(&self) -> bool {
        self.0.watched.load(Ordering::Relaxed)
    }

    /// Puts a change in; the oldest one makes room.
    pub fn publish(&self, change: Change) {
        if !self.is_watched() {
            return;
        }
        let mut ring = self.ring();
        if ring.watchers == 0 && ring.left.is_none_or(|left| mono().duration_since(left) > LINGER) {
            self.0.watched.store(false, Ordering::Relaxed);
            return ring.forget();
        }
        if ring.kept.len() == KEPT {
            ring.kept.pop_front();
            ring.first += 1;
        }
        ring.kept.push_back(Arc::new(change));
        let next = ring.end();
        self.0.end.send_modify(|end| end.next = next);
    }

    /// Begins to watch, after `last` if those that came since then are still kept.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn watch(&self, last: Option<Place>) -> Result<Watcher, TooMany> {
        let mut ring = self.ring();
        if ring.watchers >= MAX_WATCHERS {
            return Err(TooMany);
        }
        ring.watchers += 1;
        self.0.watched.store(true, Ordering::Relaxed);
        let next = last
            .filter(|last| last.life == self.0.life)
            .map(|last| last.number)
            .and_then(|number| number.checked_add(1));
        let next = next.filter(|next| (ring.first..=ring.end()).contains(next));
        let end = self.0.end.subscribe();
        let (resumed, next) = (next.is_some(), next.unwrap_or(ring.end()));
        Ok(Watcher { feed: self.clone(), end, next, start: Some(resumed) })
    }

    /// Ends every stream, and those to come.
    pub fn close(&self) {
        self.0.end.send_modify(|end| end.closed = true);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a watcher is handed.
#[derive(Debug)]
pub enum News {
    /// Whatever it knows is out of date: it stands here now, and should ask anew how things are.
    Reset(Place),
    /// These, in order, each with its place.
    Changes(Vec<(Place, Arc<Change>)>),
}

/// One that watches.
#[derive(Debug)]
pub struct Watcher {
    feed: Feed,
    end: watch::Receiver<End>,
    next: u64,
    /// Until the first news: whether it goes on where it was.
    start: Option<bool>,
}

impl Watcher {
    /// The next news; `None` when the feed is closed. May be given up while it waits.
    pub async fn next(&mut self) -> Option<News> {
        if let Some(false) = self.start.take() {
            return Some(self.reset());
        }
        loop {
            let end = *self.end.borrow_and_update();
            if end.closed {
                return None;
            }
            if let Some(news) = self.take() {
                return Some(news);
            }
            self.end.changed().await.ok()?;
        }
    }

    fn take(&mut self) -> Option<News> {
        let feed = self.feed.clone();
        let ring = feed.ring();
        let Some(skip) = self.next.checked_sub(ring.first) else {
            self.next = ring.end();
            drop(ring);
            return Some(self.reset());
        };
        let batch = ring.kept.iter().skip(usize::try_from(skip).ok()?).take(BATCH);
        let batch = batch.zip(self.next..);
        let place = |number| Place { life: feed.0.life, number };
        let changes: Vec<_> =
            batch.map(|(change, number)| (place(number), change.clone())).collect();
        self.next += changes.len() as u64;
        (!changes.is_empty()).then_some(News::Changes(changes))
    }

    fn reset(&self) -> News {
        // As if the one before the next had been seen.
        News::Reset(Place { life: self.feed.0.life, number: self.next - 1 })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut ring = self.feed.ring();
        ring.watchers -= 1;
        ring.left = Some(mono());
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
