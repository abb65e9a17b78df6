//! What must hold of alerts: an occurrence is a token and a time.

use std::{sync::Arc, time::Duration};

use cic_gateway::appliance::{
    alerts::{Alert, AlertAction, Phase},
    core::Input,
    message::Up,
    snapshot::Snapshot,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{accounts::CloudAlert, checker::Checker, store::Store, world::World};

/// Heard for so long without a step of the clock, what is due rings.
const PATIENCE: Duration = Duration::from_millis(31_000);

/// What CIC was told is set, and has not rung.
#[derive(Debug, Clone, Copy)]
pub struct Occurrence {
    pub due: Timestamp,
    since: Duration,
}

/// What became of one that rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    Rings,
    Stopped,
    /// The appliance was told to forget it.
    Deleted,
}

impl Checker {
    /// What was shown while the store was away, and died before it came back: nobody knows of it
    /// but the appliance.
    pub fn note_orphans(&mut self, core: &Snapshot, store: &Store) {
        let is_orphan = |alert: &&Arc<Alert>| !store.alerts.contains_key(&alert.token);
        let orphans: Vec<_> = core.alerts.iter().filter(is_orphan).collect();
        assert!(orphans.is_empty() || self.has_store_failed, "P3: nobody knows of {orphans:?}");
        self.orphans.extend(orphans.into_iter().map(|alert| alert.token.as_str().to_owned()));
    }

    /// What the core hears of the appliance's presence.
    pub fn heard_of_presence(&mut self, input: &Input, at: Duration) {
        match input {
            Input::Up(Up::Status { online: true, .. }) => {
                self.audible_since.get_or_insert(at);
            }
            Input::Up(Up::Status { online: false, .. }) | Input::BrokerLost => {
                self.audible_since = None;
            }
            _ => {}
        }
    }

    /// What was acknowledged is durable; what the store says has rung is over.
    pub fn check_durable(&mut self, store: &Store) {
        for (token, occurrence) in &self.occurrences {
            let phase = store.phase(&token.as_str().into(), occurrence.due);
            assert!(phase.is_some(), "P3: {token} of {} was acknowledged", occurrence.due);
        }
        let failed = self.has_store_failed;
        let started = &mut self.started;
        self.rung.retain(|(token, due), _| {
            let is_set = store.phase(&token.as_str().into(), *due) == Some(Phase::Set);
            if is_set && started.remove(&(token.clone(), *due)) {
                assert!(failed, "P3: CIC heard that {token} rings, and the store did not");
            }
            !is_set
        });
        for alert in store.alerts.values() {
            let key = (alert.token.as_str().to_owned(), alert.due);
            match alert.phase {
                Phase::Ringing => drop(self.rung.insert(key, Rung::Rings)),
                Phase::Stopped => drop(self.rung.insert(key, Rung::Stopped)),
                Phase::Set | Phase::Deleted => {}
            }
        }
    }
}

impl World {
    /// CIC orders this: what it takes away need not ring.
    pub fn note_order(&mut self, name: &str, payload: &Value) {
        let occurrences = &mut self.checker.occurrences;
        let time = |payload: &Value| -> Timestamp {
            payload["scheduledTime"].as_str().unwrap().parse().unwrap()
        };
        match (name, payload["token"].as_str()) {
            ("Alerts.SetAlert", Some(token)) => {
                let due = time(payload);
                occurrences.retain(|known, occurrence| known != token || occurrence.due == due);
                // Set anew after it was gone.
                let key = (token.to_owned(), due);
                if self.checker.rung.get(&key) == Some(&Rung::Deleted) {
                    self.checker.rung.remove(&key);
                    self.checker.started.remove(&key);
                }
            }
            ("Alerts.DeleteAlert", Some(token)) => drop(occurrences.remove(token)),
            ("Alerts.SynchronizeAlert", None) => {
                let all = payload["allAlerts"].as_array().unwrap();
                let is_named = |token: &String, occurrence: &Occurrence| {
                    let same = |a: &&Value| a["token"] == **token && time(a) == occurrence.due;
                    all.iter().any(|alert| same(&alert))
                };
                occurrences.retain(|token, occurrence| is_named(token, occurrence));
            }
            _ => {}
        }
    }

    /// SetAlertSucceeded has come.
    pub fn confirmed(&mut self, token: &str, metadata: &Value) {
        let Some(due) = time_of(token, metadata) else { return };
        let (at, kind) = (self.at, &metadata["event"]["payload"]["type"]);
        let kind = ["ALARM", "TIMER", "REMINDER", "ACTIONTIMER"].into_iter().find(|k| kind == k);
        let is_new = !self.accounts.alerts.contains_key(token);
        let alert = self.accounts.alerts.entry(token.to_owned()).or_insert(CloudAlert {
            kind: kind.unwrap(),
            due,
            every: None,
            confirmed: None,
            // CIC has given it up meanwhile.
            is_going: is_new,
            rings: false,
            sent_at: at,
        });
        alert.confirmed = Some(due);
        // An order that moves one that rings ends it, without AlertStopped.
        alert.rings &= active_alerts(metadata).contains(&token);
        let is_wanted = alert.due == due && !alert.is_going;
        let has_rung = self.checker.rung.contains_key(&(token.to_owned(), due));
        if is_wanted && !has_rung && !self.settings.alerts.forget_offline {
            let occurrence = Occurrence { due, since: self.at };
            self.checker.occurrences.entry(token.to_owned()).or_insert(occurrence);
        }
    }

    /// AlertStarted has come.
    pub fn alert_started(&mut self, token: &str, metadata: &Value) {
        let Some(due) = time_of(token, metadata) else { return };
        let is_first = self.checker.started.insert((token.to_owned(), due));
        // With "forget" a lost connection silences it, and CIC's list brings it back.
        let is_fine = is_first || self.settings.alerts.forget_offline;
        assert!(is_fine, "P3: {token} of {due} has started twice");
    }

    /// The core tells the appliance this.
    pub fn check_alert(&mut self, action: AlertAction, alert: &Arc<Alert>) {
        let (token, now) = (alert.token.as_str().to_owned(), self.now().wall);
        let key = (token.clone(), alert.due);
        match action {
            AlertAction::Set => {}
            AlertAction::Ring => {
                let late = now.duration_since(alert.due);
                let rung = self.checker.rung.insert(key, Rung::Rings);
                assert!(rung != Some(Rung::Stopped), "P3: {token} rings after it was stopped");
                if rung != Some(Rung::Rings) {
                    assert!(late >= SignedDuration::ZERO, "P3: {token} rings before its time");
                    let window = self.settings.alerts.past_due_window;
                    let window = SignedDuration::try_from(window).unwrap();
                    assert!(late <= window, "P3: {token} rings {late:?} late");
                    assert!(self.checker.audible_since.is_some(), "P3: {token} rings unheard");
                }
                self.checker.occurrences.retain(|known, o| known != &token || o.due != alert.due);
            }
            AlertAction::Stop => {
                if let Some(rung) = self.checker.rung.get_mut(&key) {
                    *rung = Rung::Stopped;
                }
            }
            AlertAction::Delete => {
                let forgets = self.settings.alerts.forget_offline;
                if let Some(rung) = self.checker.rung.get_mut(&key) {
                    *rung = Rung::Deleted;
                }
                if forgets {
                    // CIC's list brings it back.
                    self.checker.rung.remove(&key);
                    self.checker.started.remove(&key);
                }
            }
        }
    }

    /// What is due, and heard, rings.
    pub fn check_occurrences(&mut self) {
        let (at, now) = (self.at, self.now().wall);
        let window = SignedDuration::try_from(self.settings.alerts.past_due_window).unwrap();
        let checker = &mut self.checker;
        checker.occurrences.retain(|_, o| now.duration_since(o.due) <= window);
        let Some(audible) = checker.audible_since.filter(|_| self.process.is_some()) else {
            return;
        };
        for (token, occurrence) in &checker.occurrences {
            let calm = audible.max(occurrence.since).max(checker.stepped_at) + PATIENCE;
            let late = now.duration_since(occurrence.due);
            let is_late = late > SignedDuration::from_millis(100) && at > calm;
            assert!(!is_late, "P3: {token} of {} does not ring: {late:?}", occurrence.due);
        }
    }
}

/// What rings, as the event's context has it.
pub fn active_alerts(metadata: &Value) -> Vec<&str> {
    let contexts = metadata["context"].as_array().unwrap();
    let state = contexts.iter().find(|context| context["header"]["name"] == "AlertsState");
    let active = state.unwrap()["payload"]["activeAlerts"].as_array().unwrap();
    active.iter().filter_map(|info| info["token"].as_str()).collect()
}

/// The time of an alert, as the event's context has it.
fn time_of(token: &str, metadata: &Value) -> Option<Timestamp> {
    let state = metadata["context"]
        .as_array()?
        .iter()
        .find(|context| context["header"]["name"] == "AlertsState")?;
    let all = state["payload"]["allAlerts"].as_array()?;
    let info = all.iter().find(|info| info["token"] == token)?;
    info["scheduledTime"].as_str()?.parse().ok()
}
