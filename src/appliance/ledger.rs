//! What waits to be kept by the store: changes to the alerts, and the events that must not be
//! lost. Pure; called by the core.
//!
//! One save is under way at a time; what comes meanwhile goes together into the next one. After a
//! failure nobody knows what the store has, so the next save replaces everything that it keeps of
//! the appliance.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    alerts::{self, Alert},
    outbox::{Outgoing, Ticket},
};

/// Waits before saving is tried again, seconds; the last one repeats.
const RETRIES: [u64; 5] = [1, 2, 5, 10, 30];

/// One change to what the store keeps of an appliance.
#[derive(Debug, Clone)]
pub enum Step {
    /// An alert is put or removed.
    Alert(alerts::Step),
    /// An event is appended to the outbox.
    Enqueue(i64, Arc<Outgoing>),
    /// The event of this number has been taken by CIC.
    Dequeue(i64),
}

/// Changes that are kept together or not at all.
#[derive(Debug, Clone)]
pub struct Save {
    /// Whatever else the store keeps of this appliance is removed first.
    pub whole: bool,
    /// In order.
    pub steps: Vec<Step>,
}

/// Everything that the store keeps of an appliance's doings.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Its alerts.
    pub alerts: Vec<Arc<Alert>>,
    /// Its outbox, in order.
    pub outbox: Vec<(i64, Arc<Outgoing>)>,
}

/// Something that was handed in, with what hangs on it.
#[derive(Debug)]
pub struct Entry {
    steps: Vec<Step>,
    /// The event that may be sent once it is kept.
    pub event: Option<Ticket>,
    /// Whether it counts only once it is kept (an alert machine's staged change).
    pub staged: bool,
}

/// The save that is to be made now.
#[derive(Debug)]
pub enum Due {
    /// These steps.
    Steps(Vec<Step>),
    /// Everything: the caller knows it.
    Whole,
}

/// What waits to be kept.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    saving: Option<Vec<Entry>>,
    unsure: bool,
    setbacks: usize,
    retry_at: Option<Instant>,
    /// Saves that have begun, and that have ended.
    begun: u64,
    ended: u64,
}

impl Ledger {
    /// Hands something in. Returns `false` when nothing hangs on the store any more, because it
    /// is known to be away and the next save will contain it anyway: the event may go.
    pub fn push(&mut self, steps: Vec<Step>, event: Option<Ticket>, staged: bool) -> bool {
        if self.unsure && !staged {
            return false;
        }
        self.entries.push_back(Entry { steps, event, staged });
        true
    }

    /// The save that is to be made now, if there is one. What is staged does not wait for the
    /// next attempt: somebody waits for its answer.
    pub fn next(&mut self, now: Instant) -> Option<Due> {
        let urgent = self.entries.iter().any(|entry| entry.staged);
        let waits = self.retry_at.is_some_and(|at| at > now) && !urgent;
        if self.saving.is_some() || waits || (self.entries.is_empty() && !self.unsure) {
            return None;
        }
        self.retry_at = None;
        self.begun += 1;
        let mut entries: Vec<_> = std::mem::take(&mut self.entries).into();
        let steps = entries.iter_mut().flat_map(|entry| std::mem::take(&mut entry.steps)).collect();
        self.saving = Some(entries);
        Some(if std::mem::take(&mut self.unsure) { Due::Whole } else { Due::Steps(steps) })
    }

    /// The save has ended. Returns what hung on it, in order.
    pub fn saved(&mut self, kept: bool, now: Instant) -> Vec<Entry> {
        let mut ended = self.saving.take().unwrap_or_default();
        self.ended = self.begun;
        if kept {
            self.setbacks = 0;
            return ended;
        }
        let wait = RETRIES[self.setbacks.min(RETRIES.len() - 1)];
        (self.setbacks, self.unsure) = (self.setbacks + 1, true);
        self.retry_at = Some(now + Duration::from_secs(wait));
        // The next save contains what is not staged anyway.
        let waiting = std::mem::take(&mut self.entries).into_iter();
        let (staged, rest): (Vec<_>, Vec<_>) = waiting.partition(|entry| entry.staged);
        self.entries = staged.into();
        ended.extend(rest);
        ended
    }

    /// Nobody knows what the store has: the next save replaces everything.
    pub fn distrust(&mut self) {
        self.unsure = true;
    }

    /// Forgets everything: the account is gone, and the store has forgotten it too.
    pub fn clear(&mut self) {
        *self = Self {
            saving: self.saving.take().map(|_| Vec::new()),
            begun: self.begun,
            ended: self.ended,
            ..Self::default()
        };
    }

    /// Number of the save that will contain what is handed in now.
    pub fn next_save(&self) -> u64 {
        self.begun + 1
    }

    /// How many saves have ended.
    pub fn saves(&self) -> u64 {
        self.ended
    }

    /// Whether something is on its way to the store.
    pub fn is_busy(&self) -> bool {
        self.saving.is_some() || !self.entries.is_empty()
    }

    /// Whether this event tells of something that counts only once it is kept, and is not yet.
    pub fn is_staged(&self, event: Ticket) -> bool {
        let under_way = self.saving.iter().flatten();
        self.entries.iter().chain(under_way).any(|e| e.staged && e.event == Some(event))
    }

    /// When [`Ledger::next`] has something after a failure.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.saving.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: i64) -> Vec<Step> {
        vec![Step::Dequeue(number)]
    }

    fn numbers(due: Option<Due>) -> Vec<i64> {
        let Some(Due::Steps(steps)) = due else { panic!("{due:?}") };
        let number = |step| match step {
            Step::Dequeue(number) => number,
            other => panic!("{other:?}"),
        };
        steps.into_iter().map(number).collect()
    }

    #[test]
    fn one_save_is_under_way_and_what_comes_meanwhile_goes_together() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        assert!(ledger.next(now).is_none());
        ledger.push(step(1), None, false);
        assert_eq!(numbers(ledger.next(now)), [1]);
        ledger.push(step(2), None, false);
        ledger.push(step(3), None, true);
        assert!(ledger.next(now).is_none());
        assert_eq!(ledger.saved(true, now).len(), 1);
        assert_eq!(numbers(ledger.next(now)), [2, 3]);
        let ended: Vec<_> = ledger.saved(true, now).iter().map(|entry| entry.staged).collect();
        assert_eq!(ended, [false, true]);
        assert!(ledger.next(now).is_none() && !ledger.is_busy());
    }

    #[test]
    fn after_a_failure_everything_is_saved_again_later() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.push(step(1), None, true);
        ledger.next(now);
        ledger.push(step(2), None, false);
        let ended: Vec<_> = ledger.saved(false, now).iter().map(|entry| entry.staged).collect();
        assert_eq!(ended, [true, false], "what waited is told as well: it no longer has to");
        assert!(!ledger.push(step(3), None, false));
        assert!(ledger.next(now).is_none());
        let due = ledger.poll_timeout().unwrap();
        assert!(matches!(ledger.next(due), Some(Due::Whole)));
        ledger.saved(true, due);
        assert!(ledger.next(due).is_none());
        assert!(ledger.push(step(4), None, false));
        assert_eq!(numbers(ledger.next(due)), [4]);
    }

    #[test]
    fn an_order_of_cic_does_not_wait_for_the_next_attempt() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.push(step(1), None, false);
        ledger.next(now);
        ledger.saved(false, now);
        ledger.push(step(2), None, true);
        assert!(matches!(ledger.next(now), Some(Due::Whole)));
        assert_eq!(ledger.saved(false, now).len(), 1);
        assert_eq!(ledger.poll_timeout(), Some(now + Duration::from_secs(2)));
    }
}
