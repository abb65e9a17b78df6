//! What CIC orders: set, delete, stop, clear, synchronise.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Alert, AlertAction, AlertKind, Alerts, Effect, MAX_ALERTS, MAX_BYTES, MAX_STAGED,
    MAX_STAGED_BYTES, Phase, Report, Rung, Step, alerts_state,
};
use crate::{cic::directive::Directive, clock::Now, ids::Token};

/// A SetAlert whose time has passed by less than this was only delivered late, and rings at once
/// (alerts 7).
const DELIVERY_DELAY: Duration = Duration::from_secs(60);

/// An order that counts once the store has it.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Set(Arc<Alert>),
    Delete(Token, Box<str>),
    Clear(Box<str>),
    Replace(Vec<Arc<Alert>>),
}

/// Why a directive of `Alerts` cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAlert {
    /// Its payload is not what the guide says.
    #[error("{0}")]
    Payload(String),
    /// There is no such directive.
    #[error("no such directive")]
    Unknown,
}

#[derive(Deserialize)]
struct Which {
    token: Token,
    r#type: Box<str>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct All {
    all_alerts: Vec<Box<RawValue>>,
}

/// An older edition's, in which the list is deprecated: without one nothing is to be done
/// (interfaces, System).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PerhapsAll {
    all_alerts: Option<Vec<Box<RawValue>>>,
}

type Set = BTreeMap<Token, Arc<Alert>>;

impl Alerts {
    /// Carries out a directive of `Alerts`, or `System.SynchronizeState`, which an older edition
    /// uses in the same way.
    ///
    /// # Errors
    /// When its payload cannot be used; what can be answered has been answered all the same.
    pub fn order(&mut self, directive: &Directive, now: Now) -> Result<(), NotAnAlert> {
        match directive.name.as_str() {
            "SetAlert" => self.set(directive, now),
            "DeleteAlert" => read(directive).map(|which| self.delete(which, now)),
            "StopAlert" => read(directive).map(|which| self.ordered_to_stop(which, now)),
            "ClearAlert" => read(directive).map(|Kind { r#type }| self.clear(r#type, now)),
            "SynchronizeAlert" => {
                read(directive).map(|All { all_alerts }| self.synchronize(&all_alerts, now))
            }
            "SynchronizeState" => read(directive).map(|PerhapsAll { all_alerts }| {
                if let Some(all) = all_alerts {
                    self.synchronize(&all, now);
                }
            }),
            _ => Err(NotAnAlert::Unknown),
        }
    }

    /// The store has the oldest staged change: it counts.
    pub fn commit(&mut self, now: Now) {
        let Some(mut change) = self.staged.pop_front() else { return };
        let dropped = self.drop_missed(&mut change, now);
        let after = self.carry_out([&change], self.live.clone());
        let before = std::mem::replace(&mut self.live, after);
        self.tell_difference(&before, now);
        dropped.iter().for_each(|token| self.keep(token));
        self.changed(now);
        self.ask_for_lost_list();
        if self.settings.forget_offline && self.given_up {
            self.forget(now);
        }
        self.ring_due(now);
    }

    /// The store failed: the oldest staged change never happened, except that CIC's whole list
    /// counts in any case, because nobody is told that it was kept. What is staged behind it may
    /// have been built upon it, so the next save must be a whole one ([`Alerts::projected`]).
    pub fn reject(&mut self, now: Now) {
        let Some(change) = self.staged.front() else { return };
        let Some(report) = change.failure() else { return self.commit(now) };
        self.staged.pop_front();
        self.effects.push_back(Effect::Report(report));
        self.ask_for_lost_list();
    }

    /// Every alert as it will be once all that is staged is kept: what a whole save contains.
    pub fn projected(&self) -> Vec<Arc<Alert>> {
        self.projection().into_values().collect()
    }

    fn set(&mut self, directive: &Directive, now: Now) -> Result<(), NotAnAlert> {
        match Alert::parse(directive.payload.get(), now.wall) {
            Ok(alert) => {
                self.try_set(alert, now);
                Ok(())
            }
            Err(wrong) => {
                if let Ok(Which { token, r#type: kind }) = read(directive) {
                    let name = "SetAlertFailed";
                    self.effects.push_back(Effect::Report(Report {
                        name,
                        token: Some(token),
                        kind,
                    }));
                }
                Err(NotAnAlert::Payload(wrong.to_string()))
            }
        }
    }

    fn try_set(&mut self, alert: Alert, now: Now) {
        let late = Duration::try_from(now.wall.duration_since(alert.due)).unwrap_or_default();
        let projection = self.projection();
        let known = projection.get(&alert.token).filter(|known| known.is_same_occurrence(&alert));
        let is_past = late > DELIVERY_DELAY && known.is_none();
        let others = projection.values().filter(|other| other.token != alert.token);
        let bytes = others.clone().map(|other| other.size()).sum::<usize>() + alert.size();
        if is_past || others.count() >= MAX_ALERTS || bytes > MAX_BYTES {
            self.effects.push_back(Effect::Report(Report::new("SetAlertFailed", &alert)));
            return;
        }
        let report = Report::new("SetAlertSucceeded", &alert);
        self.stage(Change::Set(Arc::new(alert)), Some(report));
    }

    /// Deleting what nobody knows has reached its goal (alerts 5.5). An alert of another type is
    /// not the one that is meant: it stays, and CIC must not believe that it is gone.
    fn delete(&mut self, Which { token, r#type: kind }: Which, now: Now) {
        if self.planned(&token).is_some_and(|alert| alert.kind.as_str() != &*kind) {
            let report = Report { name: "DeleteAlertFailed", token: Some(token), kind };
            return self.effects.push_back(Effect::Report(report));
        }
        if self.find(&token, &kind).is_some() {
            self.stop(&token, now);
        }
        let name = "DeleteAlertSucceeded";
        let report = Report { name, token: Some(token.clone()), kind: kind.clone() };
        self.stage(Change::Delete(token, kind), Some(report));
    }

    fn clear(&mut self, kind: Box<str>, now: Now) {
        let ringing = self.rings.keys().filter(|token| self.find(token, &kind).is_some());
        for token in ringing.cloned().collect::<Vec<_>>() {
            self.stop(&token, now);
        }
        let report = Report { name: "ClearAlertSucceeded", token: None, kind: kind.clone() };
        self.stage(Change::Clear(kind), Some(report));
    }

    /// One that does not ring, or no longer, has been reported or was set anew meanwhile: stopping
    /// it again would end its next occurrence. One that nobody knows is silent.
    fn ordered_to_stop(&mut self, Which { token, r#type: kind }: Which, now: Now) {
        match self.find(&token, &kind) {
            Some(_) => self.stop(&token, now),
            None if self.knows(&token) => {}
            None => {
                let report = Report { name: "AlertStopped", token: Some(token), kind };
                self.effects.push_back(Effect::Report(report));
            }
        }
    }

    /// Makes the alerts equal to CIC's list (alerts 5.6). An element that cannot be read is left
    /// out by itself.
    fn synchronize(&mut self, all: &[Box<RawValue>], now: Now) {
        let read = all.iter().filter_map(|raw| Alert::parse(raw.get(), now.wall).ok());
        let known = self.projection();
        let wanted = read.filter(|alert| self.is_wanted(alert, &known, now));
        // A token that is there twice is one alert.
        let wanted: Set = wanted.map(|alert| (alert.token.clone(), Arc::new(alert))).collect();
        let mut wanted: Vec<_> = wanted.into_values().collect();
        wanted.sort_by_key(|alert| alert.due);
        let mut bytes = 0;
        wanted.truncate(MAX_ALERTS);
        wanted.retain(|alert| {
            bytes += alert.size();
            bytes <= MAX_BYTES
        });
        let named = |token: &Token| wanted.iter().any(|alert| alert.token == *token);
        let gone: Vec<_> = self.rings.keys().filter(|token| !named(token)).cloned().collect();
        for token in gone {
            self.stop(&token, now);
        }
        self.stage(Change::Replace(wanted), None);
    }

    /// One that was missed, or has rung here and is gone, is not taken up again. If CIC has set
    /// its next occurrence meanwhile, the list is older than that, and names what stays.
    fn is_wanted(&self, alert: &Alert, known: &Set, now: Now) -> bool {
        let known = known.get(&alert.token);
        let late = Duration::try_from(now.wall.duration_since(alert.due)).unwrap_or_default();
        match known.is_some_and(|known| known.is_same_occurrence(alert)) {
            true => true,
            false if self.is_over(alert) => known.is_some(),
            false => late <= self.settings.past_due_window,
        }
    }

    /// Leaves out of a list what was missed while it was being kept. Returns what it left out.
    fn drop_missed(&self, change: &mut Change, now: Now) -> Vec<Token> {
        let Change::Replace(wanted) = change else { return Vec::new() };
        let (still, dropped): (Vec<_>, Vec<_>) = std::mem::take(wanted)
            .into_iter()
            .partition(|alert| self.is_wanted(alert, &self.live, now));
        *wanted = still;
        dropped.into_iter().map(|alert| alert.token.clone()).collect()
    }

    /// Whether it has rung here, so that it is not taken up from a list once it is gone: it was
    /// stopped, or it rings and an order that is staged makes an end of it.
    fn is_over(&self, alert: &Alert) -> bool {
        let is = |rung: &Rung| {
            (&rung.token, rung.kind, rung.due) == (&alert.token, alert.kind, alert.due)
        };
        let live = self.live.get(&alert.token).filter(|live| live.phase != Phase::Set);
        self.rung.iter().any(is) || live.is_some_and(|live| live.is_same_occurrence(alert))
    }

    fn find(&self, token: &Token, kind: &str) -> Option<&Arc<Alert>> {
        self.live.get(token).filter(|alert| alert.kind.as_str() == kind)
    }

    fn stage(&mut self, change: Change, report: Option<Report>) {
        let bytes = self.staged.iter().map(Change::size).sum::<usize>() + change.size();
        let is_full = self.staged.len() >= MAX_STAGED || bytes > MAX_STAGED_BYTES;
        if is_full && !self.staged.is_empty() {
            match change.failure() {
                Some(report) => self.effects.push_back(Effect::Report(report)),
                None => self.list_lost = true,
            }
            return;
        }
        let before = self.projection();
        self.staged.push_back(change);
        let after = self.projection();
        let gone = before.keys().filter(|token| !after.contains_key(*token));
        let mut steps: Vec<Step> = gone.cloned().map(Step::Remove).collect();
        let is_new = |alert: &&Arc<Alert>| {
            before.get(&alert.token).is_none_or(|before| !is_unchanged(before, alert))
        };
        steps.extend(after.values().filter(is_new).cloned().map(Step::Put));
        let state = alerts_state(after.values().map(Arc::as_ref));
        self.effects.push_back(Effect::Stage { steps, report, state });
    }

    fn projection(&self) -> Set {
        self.carry_out(&self.staged, self.live.clone())
    }

    /// What becomes of one alert by all that is staged.
    pub fn planned(&self, token: &Token) -> Option<Arc<Alert>> {
        let live =
            self.live.get_key_value(token).map(|(token, alert)| (token.clone(), alert.clone()));
        self.carry_out(&self.staged, live.into_iter().collect()).remove(token)
    }

    fn carry_out<'a>(&self, changes: impl IntoIterator<Item = &'a Change>, mut set: Set) -> Set {
        for change in changes {
            change.apply(&mut set, |alert| self.is_over(alert));
        }
        set
    }

    /// It rang, and a committed order has made an end of that. A staged list may come to something
    /// else by this than what the store has of it.
    fn end_by_order(&mut self, alert: &Alert) {
        self.note_rung(alert);
        if alert.phase != Phase::Set && !self.staged.is_empty() {
            self.keep(&alert.token);
        }
    }

    fn ask_for_lost_list(&mut self) {
        if self.staged.is_empty() && std::mem::take(&mut self.list_lost) {
            self.effects.push_back(Effect::Synchronize);
        }
    }

    /// Tells the appliance what a committed change has done to the set.
    fn tell_difference(&mut self, before: &Set, now: Now) {
        let gone = before.values().filter(|alert| !self.live.contains_key(&alert.token));
        for alert in gone.cloned().collect::<Vec<_>>() {
            // It began to ring after the order to delete it had come.
            if self.rings.remove(&alert.token).is_some() {
                self.tell(AlertAction::Stop, &alert);
                self.effects.push_back(Effect::Report(Report::new("AlertStopped", &alert)));
            }
            // Told before it is kept: whoever carries this out learns from it which alert is gone.
            self.tell(AlertAction::Delete, &alert);
            self.end_by_order(&alert);
            self.effects.push_back(Effect::Became(alert.kind, "deleted"));
        }
        for alert in self.live.values().cloned().collect::<Vec<_>>() {
            let old = before.get(&alert.token);
            if old.is_some_and(|old| Arc::ptr_eq(old, &alert)) || alert.phase != Phase::Set {
                continue;
            }
            // Edited while it rang: it falls silent and waits for its new time. CIC knows from
            // its own order; AlertStopped would make it delete a one-time alarm.
            if self.rings.remove(&alert.token).is_some() {
                self.tell(AlertAction::Stop, old.unwrap_or(&alert));
            }
            if let Some(old) = old.filter(|old| !old.is_same_occurrence(&alert)) {
                self.end_by_order(old);
            }
            if alert.due > now.wall {
                self.tell(AlertAction::Set, &alert);
            }
            self.effects.push_back(Effect::Became(alert.kind, "set"));
        }
    }
}

impl Change {
    /// What CIC is told when the store fails; of a list, nothing.
    fn failure(&self) -> Option<Report> {
        let (name, token, kind) = match self {
            Self::Set(alert) => return Some(Report::new("SetAlertFailed", alert)),
            Self::Delete(token, kind) => ("DeleteAlertFailed", Some(token.clone()), kind),
            Self::Clear(kind) => ("ClearAlertFailed", None, kind),
            Self::Replace(_) => return None,
        };
        Some(Report { name, token, kind: kind.clone() })
    }

    /// Bytes that it holds, roughly.
    fn size(&self) -> usize {
        match self {
            Self::Set(alert) => alert.size(),
            Self::Delete(token, kind) => token.as_str().len() + kind.len(),
            Self::Clear(kind) => kind.len(),
            Self::Replace(wanted) => wanted.iter().map(|alert| alert.size()).sum(),
        }
    }

    /// Carries it out. What `is_over` is not taken up from a list.
    fn apply(&self, set: &mut Set, is_over: impl Fn(&Alert) -> bool) {
        match self {
            Self::Set(alert) => {
                let merged = merge(set.get(&alert.token), alert);
                set.insert(alert.token.clone(), merged);
            }
            Self::Delete(token, kind) => {
                if set.get(token).is_some_and(|alert| alert.kind.as_str() == &**kind) {
                    set.remove(token);
                }
            }
            Self::Clear(kind) => {
                let kind = AlertKind::parse(kind);
                set.retain(|_, alert| Some(alert.kind) != kind);
            }
            Self::Replace(wanted) => {
                let old = std::mem::take(set);
                let merged = wanted.iter().filter_map(|new| {
                    let old = old.get(&new.token);
                    let is_same = old.is_some_and(|old| old.is_same_occurrence(new));
                    if !is_same && is_over(new) { old.cloned() } else { Some(merge(old, new)) }
                });
                set.extend(merged.map(|alert| (alert.token.clone(), alert)));
            }
        }
    }
}

/// An occurrence that rings or has rung stays so: CIC may only have changed its text, or have
/// sent it again because the answer was lost.
fn merge(old: Option<&Arc<Alert>>, new: &Arc<Alert>) -> Arc<Alert> {
    match old.filter(|old| old.is_same_occurrence(new)) {
        None => new.clone(),
        Some(old) if old.is_alike(new) => old.clone(),
        Some(old) => Arc::new(new.in_phase(old.phase, old.since)),
    }
}

/// Whether the store has it already. A merged one is another copy each time it is looked at.
fn is_unchanged(old: &Arc<Alert>, new: &Arc<Alert>) -> bool {
    Arc::ptr_eq(old, new) || old == new
}

fn read<'a, T: Deserialize<'a>>(directive: &'a Directive) -> Result<T, NotAnAlert> {
    directive.payload_as().map_err(|error| NotAnAlert::Payload(error.to_string()))
}
