//! The store: what is durable, and the ways in which it is not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cic_gateway::{
    appliance::{
        alerts::{self, Alert, Phase},
        core::{Input, SaveResult},
        ledger::{Kept, Save, Step},
        outbox::Outgoing,
    },
    ids::Token,
};

use jiff::Timestamp;

use crate::{
    accounts::account_of,
    world::{Event, World},
};

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Good,
    /// Fails, sometimes after it has committed.
    Failing,
    /// Answers after up to a minute, well or not.
    Stalling,
}

/// What becomes of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Failed,
    /// It was committed, and nobody is told.
    Ambiguous,
}

/// A save under way.
#[derive(Debug)]
pub struct Writing {
    pub life: u64,
    pub pairing: i64,
    pub save: Save,
}

/// Tokens of the pairing, by number.
#[derive(Debug, Clone, Copy)]
pub struct Tokens {
    pub access: u64,
    pub refresh: u64,
    pub issued_at: jiff::Timestamp,
    pub expires_at: jiff::Timestamp,
}

#[derive(Debug, Default)]
pub struct Store {
    pub health: Health,
    pub pairing: i64,
    pub tokens: Option<Tokens>,
    pub alerts: BTreeMap<Token, Arc<Alert>>,
    pub outbox: BTreeMap<i64, Arc<Outgoing>>,
    /// When the last save under way will end: they are done one after the other.
    busy_until: Duration,
}

impl Store {
    /// What a new process finds.
    pub fn kept(&self) -> Kept {
        let outbox = self.outbox.iter().map(|(number, event)| (*number, event.clone())).collect();
        Kept { alerts: self.alerts.values().cloned().collect(), outbox }
    }

    /// Another pairing, or none: what belongs to it is gone, and remembered as gone.
    pub fn forget(&mut self, tokens: Option<Tokens>, now: Timestamp) {
        self.pairing += 1;
        self.tokens = tokens;
        for alert in self.alerts.values_mut().filter(|alert| alert.phase != Phase::Deleted) {
            *alert = Arc::new(alert.bare().in_phase(Phase::Deleted, now));
        }
        self.outbox.clear();
    }

    /// What the store says has become of this occurrence.
    pub fn phase(&self, token: &Token, due: jiff::Timestamp) -> Option<Phase> {
        self.alerts.get(token).filter(|alert| alert.due == due).map(|alert| alert.phase)
    }
}

impl World {
    pub fn begin_save(&mut self, life: u64, pairing: i64, save: Save) {
        let writing = Box::new(Writing { life, pairing, save });
        let (health, lucky) = (self.store.health, self.chance(3));
        let (wait, fate) = match health {
            Health::Good => (self.ms(1..9), Fate::Kept),
            Health::Failing if lucky => (self.ms(1..500), Fate::Ambiguous),
            Health::Failing => (self.ms(1..500), Fate::Failed),
            Health::Stalling if lucky => (self.ms(10..60_000), Fate::Failed),
            Health::Stalling => (self.ms(10..60_000), Fate::Kept),
        };
        let end = (self.at + wait).max(self.store.busy_until);
        self.store.busy_until = end;
        self.at_time(end, Event::Written(writing, fate));
    }

    pub fn written(&mut self, writing: Writing, fate: Fate) {
        let result = match fate {
            Fate::Failed => SaveResult::Failed,
            Fate::Ambiguous => {
                self.commit(&writing);
                SaveResult::Failed
            }
            Fate::Kept if self.commit(&writing) => SaveResult::Kept,
            Fate::Kept => SaveResult::Gone,
        };
        self.tell(|| format!("  saved: {result:?} ({fate:?})"));
        match fate {
            Fate::Kept => self.owe(),
            Fate::Failed | Fate::Ambiguous => self.checker.store_failed(),
        }
        if let Some(process) = self.process.as_ref().filter(|process| process.life == writing.life)
        {
            // It belonged to the pairing before this one, and so did what hung on it.
            let is_old = process.pairing != writing.pairing && result == SaveResult::Gone;
            self.feed(Input::Saved(if is_old { SaveResult::Kept } else { result }));
        }
    }

    /// The process is dying, and so is what it was writing; or that was durable already.
    pub fn writings_end(&mut self) {
        let all = self.take_events(|event| matches!(event, Event::Written(..)));
        let mut alive = true;
        for (_, event) in all {
            alive &= self.chance(2);
            if let (Event::Written(writing, fate), true) = (event, alive)
                && fate != Fate::Failed
            {
                self.commit(&writing);
            }
        }
        self.store.busy_until = self.at;
    }

    /// What the store has, and somebody knows that it has: CIC must get it.
    pub fn owe(&mut self) {
        for event in self.store.outbox.values() {
            let (id, name) = (event.message_id.as_str(), &event.name);
            self.checker.owed.insert(id.to_owned(), name.to_string());
        }
    }

    /// `false` when the pairing is another one.
    fn commit(&mut self, writing: &Writing) -> bool {
        if writing.pairing != self.store.pairing {
            return false;
        }
        let Save { whole, steps } = &writing.save;
        if *whole {
            self.store.alerts.clear();
            self.store.outbox.clear();
        }
        for step in steps {
            self.tell(|| format!("    {}", short(step)));
            match step.clone() {
                Step::Alert(alerts::Step::Put(alert)) => {
                    // That one is gone the appliance must hear, whosever it was.
                    if alert.phase != Phase::Deleted {
                        self.check_account("P6: the store has", account_of(alert.token.as_str()));
                    }
                    self.store.alerts.insert(alert.token.clone(), alert);
                }
                Step::Alert(alerts::Step::Remove(token)) => drop(self.store.alerts.remove(&token)),
                Step::Enqueue(number, event) => {
                    self.store.outbox.insert(number, event);
                }
                Step::Dequeue(number) => drop(self.store.outbox.remove(&number)),
            }
        }
        assert!(self.store.outbox.len() <= 1100, "P5: the outbox grows");
        true
    }

    pub fn check_account(&self, what: &str, account: Option<i64>) {
        let stranger = account.filter(|account| *account != self.store.pairing);
        assert!(stranger.is_none(), "{what} something of {stranger:?}");
    }
}

fn short(step: &Step) -> String {
    match step {
        Step::Alert(alerts::Step::Put(alert)) => {
            format!("{} {} {}", alert.phase.as_str(), alert.token, alert.due)
        }
        Step::Alert(alerts::Step::Remove(token)) => format!("without {token}"),
        Step::Enqueue(number, event) => format!("event {number} {}", event.name),
        Step::Dequeue(number) => format!("event {number} done"),
    }
}
