//! A store as the machine's owner uses it: one save is under way at a time, what comes meanwhile
//! goes together into the next one, and after a failure everything is saved again.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::super::{Alert, Report, Step};
use crate::ids::Token;

pub(super) type Kept = BTreeMap<Token, Arc<Alert>>;

/// What hangs on a save.
pub(super) struct Entry {
    pub steps: Vec<Step>,
    /// What CIC is told: of a staged change once it is kept, of anything else at once.
    pub report: Option<Report>,
    pub staged: bool,
    /// The occurrence of which this entry tells CIC that it has been stopped.
    pub stopped: Option<(Token, Timestamp)>,
    /// The occurrence that SetAlertSucceeded acknowledges.
    pub set: Option<(Token, Timestamp)>,
}

#[derive(Default)]
pub(super) struct Store {
    /// What a restart finds.
    pub kept: Kept,
    waiting: Vec<Entry>,
    saving: Option<(Kept, Vec<Entry>)>,
    unsure: bool,
}

impl Store {
    pub fn with(kept: Kept) -> Self {
        Self { kept, ..Self::default() }
    }

    pub fn push(&mut self, entry: Entry) {
        self.waiting.push(entry);
    }

    pub fn is_busy(&self) -> bool {
        self.saving.is_some() || !self.waiting.is_empty() || self.unsure
    }

    /// Starts a save of all that waits; after a failure, of everything (`projected`).
    pub fn begin(&mut self, projected: &[Arc<Alert>]) {
        if self.saving.is_some() || !self.is_busy() {
            return;
        }
        let entries = std::mem::take(&mut self.waiting);
        let mut outcome = self.kept.clone();
        if std::mem::take(&mut self.unsure) {
            outcome = projected.iter().map(|a| (a.token.clone(), a.clone())).collect();
        } else {
            for step in entries.iter().flat_map(|entry| &entry.steps) {
                match step {
                    Step::Put(alert) => drop(outcome.insert(alert.token.clone(), alert.clone())),
                    Step::Remove(token) => drop(outcome.remove(token)),
                }
            }
        }
        self.saving = Some((outcome, entries));
    }

    /// The save has worked. Returns what hung on it.
    pub fn end(&mut self) -> Vec<Entry> {
        let Some((outcome, entries)) = self.saving.take() else { return Vec::new() };
        self.kept = outcome;
        entries
    }

    /// The save has failed, though it may have reached the disk. Returns what hung on it.
    pub fn fail(&mut self, reached_the_disk: bool) -> Vec<Entry> {
        let Some((outcome, entries)) = self.saving.take() else { return Vec::new() };
        if reached_the_disk {
            self.kept = outcome;
        }
        self.unsure = true;
        self.waiting.retain(|entry| entry.staged);
        entries
    }

    /// The process has died: only what was kept is left, and perhaps what was being saved.
    pub fn die(&mut self, reached_the_disk: bool) {
        self.fail(reached_the_disk);
        *self = Self::with(std::mem::take(&mut self.kept));
    }

    /// The account is gone, and all that belonged to it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
