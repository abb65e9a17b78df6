//! What an appliance must hear of alerts that are over, whatever dies in between: `stop` only once
//! it is kept, and `delete` again after each restart and each return.
//!
//! What was published may be lost with the process: on a socket that is closed with unread
//! acknowledgements the kernel throws away what the broker has not read. The store would then
//! know nothing any more of an alert that the appliance still shows, or rings.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::Core;
use crate::{
    appliance::{
        alerts::{Alert, AlertAction, Phase, Step},
        ledger,
        message::Down,
    },
    clock::Now,
    ids::Token,
};

/// `delete` is repeated for so long.
const REPEATED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Alerts of which it is repeated: all appliances of a gateway hear it when it starts.
const MAX_GONE: usize = 32;
/// How long `stop` waits for the store at most: a user waits for silence.
const LONGEST_HOLD: Duration = Duration::from_millis(500);

/// A `stop` that waits for the store.
#[derive(Debug)]
struct Held {
    alert: Arc<Alert>,
    /// Saves that must have ended.
    save: u64,
    by: Instant,
}

/// What is owed to the appliance.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    /// In the phase `deleted`.
    gone: BTreeMap<Token, Arc<Alert>>,
    /// Set by what is on its way to the store; none of it need be among the alerts yet.
    staged: BTreeMap<Token, Arc<Alert>>,
    held: VecDeque<Held>,
}

impl Farewells {
    /// Takes those out of what the store kept that are gone.
    pub(super) fn new(kept: &mut Vec<Arc<Alert>>) -> Self {
        let is_gone = |alert: &mut Arc<Alert>| alert.phase == Phase::Deleted;
        let gone = kept.extract_if(.., is_gone);
        let gone = gone.map(|alert| (alert.token.clone(), alert)).collect();
        Self { gone, ..Self::default() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.gone.values()
    }

    /// Nothing is on its way to the store any more.
    pub(super) fn all_is_kept(&mut self) {
        self.staged.clear();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.front().map(|held| held.by)
    }
}

fn gone(alert: &Alert, now: Timestamp) -> Arc<Alert> {
    Arc::new(alert.bare().in_phase(Phase::Deleted, now))
}

impl Core {
    /// Publishes `down/alert`; `stop` as soon as the store has it, or cannot have it soon.
    pub(super) fn tell_alert(&mut self, action: AlertAction, alert: Arc<Alert>, now: Now) {
        if action != AlertAction::Stop {
            // In order with what follows it.
            self.release_stops_of(&alert.token);
        }
        match action {
            AlertAction::Stop if self.ledger.is_busy() => {
                let (save, by) = (self.ledger.next_save(), now.mono + LONGEST_HOLD);
                return self.farewells.held.push_back(Held { alert, save, by });
            }
            AlertAction::Stop => {}
            AlertAction::Set | AlertAction::Ring => {
                self.farewells.gone.remove(&alert.token);
            }
            AlertAction::Delete => {
                self.farewells.gone.insert(alert.token.clone(), gone(&alert, now.wall));
                if self.farewells.gone.len() > MAX_GONE {
                    self.drop_old_farewells(now);
                }
            }
        }
        self.say(Down::Alert(action, alert));
    }

    /// Publishes what has waited long enough.
    pub(super) fn release_stops(&mut self, now: Now) {
        let (saves, idle) = (self.ledger.saves(), !self.ledger.is_busy());
        let is_due = |held: &mut Held| idle || held.save <= saves || held.by <= now.mono;
        while let Some(held) = self.farewells.held.pop_front_if(is_due) {
            self.say(Down::Alert(AlertAction::Stop, held.alert));
        }
    }

    fn release_stops_of(&mut self, token: &Token) {
        let held = std::mem::take(&mut self.farewells.held);
        let (due, held) = held.into_iter().partition(|held| held.alert.token == *token);
        self.farewells.held = held;
        let due: VecDeque<Held> = due;
        due.into_iter().for_each(|held| self.say(Down::Alert(AlertAction::Stop, held.alert)));
    }

    /// Publishes all that waits: the store has nothing to do with it any more.
    pub(super) fn release_all_stops(&mut self) {
        while let Some(held) = self.farewells.held.pop_front() {
            self.say(Down::Alert(AlertAction::Stop, held.alert));
        }
    }

    /// The appliance may not have heard what was said last: over is over.
    pub(super) fn repeat_farewells(&mut self, now: Now) {
        self.drop_old_farewells(now);
        for alert in self.farewells.gone.values().cloned().collect::<Vec<_>>() {
            self.say(Down::Alert(AlertAction::Delete, alert));
        }
        let stopped = self.alerts.iter().filter(|alert| alert.phase == Phase::Stopped);
        for alert in stopped.cloned().collect::<Vec<_>>() {
            self.say(Down::Alert(AlertAction::Stop, alert));
        }
    }

    /// The store remembers what is removed for a while.
    pub(super) fn remembering(&mut self, step: Step, now: Now) -> Step {
        match step {
            Step::Put(alert) => {
                self.farewells.gone.remove(&alert.token);
                self.farewells.staged.insert(alert.token.clone(), alert.clone());
                Step::Put(alert)
            }
            Step::Remove(token) => match self.last_known(&token) {
                Some(alert) => Step::Put(gone(&alert, now.wall)),
                None => Step::Remove(token),
            },
        }
    }

    fn last_known(&self, token: &Token) -> Option<Arc<Alert>> {
        let live = || self.alerts.iter().find(|alert| alert.token == *token);
        let known = self.farewells.staged.get(token).or_else(live);
        known.or_else(|| self.farewells.gone.get(token)).cloned()
    }

    /// What a whole save contains besides what is to stay.
    pub(super) fn all_farewells(&self, staying: &[Arc<Alert>], now: Now) -> Vec<Arc<Alert>> {
        let stays = |alert: &Arc<Alert>| staying.iter().any(|other| other.token == alert.token);
        let going = self.alerts.iter().map(|alert| gone(alert, now.wall));
        self.farewells.iter().cloned().chain(going).filter(|alert| !stays(alert)).collect()
    }

    fn drop_old_farewells(&mut self, now: Now) {
        let mut by_age: Vec<_> =
            self.farewells.iter().map(|a| (a.since, a.token.clone())).collect();
        by_age.sort();
        let too_many = by_age.len().saturating_sub(MAX_GONE);
        for (number, (since, token)) in by_age.into_iter().enumerate() {
            let age = Duration::try_from(now.wall.duration_since(since)).unwrap_or_default();
            if number >= too_many && age <= REPEATED_FOR {
                continue;
            }
            self.farewells.gone.remove(&token);
            if self.alerts.planned(&token).is_none() {
                let step = ledger::Step::Alert(Step::Remove(token));
                self.keep(vec![step], None, false);
            }
        }
    }
}
