//! The cloud's book of alerts: what one account has ordered of its device, and what the device has
//! reported (alerts 1 to 6). Pure: takes the time, returns directives; the state shares it out.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the book, and what the app of the user does to it |
//! | `reports.rs` | what the device reports: checked strictly, and answered |
//! | `adopt.rs` | directives that do not come from it |
//! | `view.rs` | what tests may see of it |
//! | `words.rs` | what users say |
//! | `speech.rs` | what they hear |

mod adopt;
mod reports;
mod speech;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::{Timestamp, tz};
use serde_json::{Value, json};

use super::wire;
use crate::{appliance::alerts::AlertKind, ids::random_uuid};
pub(super) use reports::Report;
pub(super) use speech::Said;
pub use view::{AlertStage, CloudAlert, NewAlert, Repeat, SeenOccurrence};
pub(super) use words::Wish;

/// Alerts that an account may have, and tokens that are remembered of it.
const MAX_TOKENS: usize = 20_000;
/// Times that are remembered of one token.
const MAX_OCCURRENCES: usize = 1_000;
/// Users of this cloud live here; `scheduledTime` is written with this offset.
const OFFSET: tz::Offset = tz::offset(9);

/// What one alert is.
#[derive(Debug, Clone)]
struct Content {
    token: String,
    kind: AlertKind,
    due: Timestamp,
    /// `due` as it is written; identifies the occurrence.
    time: String,
    label: Option<String>,
    assets: Option<Value>,
}

/// An alert of the account.
#[derive(Debug, Clone)]
struct Entry {
    content: Content,
    /// As it was before an edit that the device has not confirmed.
    before: Option<Box<Content>>,
    repeat: Option<Repeat>,
    /// What an action timer does once it has been stopped.
    action: Vec<Value>,
    stage: AlertStage,
    /// The device has confirmed this very content.
    confirmed: bool,
    /// A list that named it has gone to the device since it was set.
    listed: bool,
    /// Somebody waits for a spoken confirmation, in this dialogue.
    asked_by_voice: Option<String>,
}

/// One time at which an alert was to ring.
#[derive(Debug, Clone)]
struct Occurrence {
    time: String,
    started: bool,
    stopped: bool,
}

/// What is remembered of a token, also of one that is gone.
#[derive(Debug, Clone)]
struct Past {
    kind: AlertKind,
    occurrences: Vec<Occurrence>,
    /// Directives that the device has not answered. One that was lost never is, so these are
    /// bounds.
    sets: usize,
    deletes: usize,
    stops: usize,
}

/// The book of one account.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<String, Entry>,
    past: HashMap<String, Past>,
    clears: HashMap<AlertKind, usize>,
    synchronized: usize,
}

impl Content {
    fn new(new: &NewAlert) -> Self {
        Self {
            token: new.token.clone().unwrap_or_else(random_uuid),
            kind: new.kind,
            due: new.due,
            time: written(new.due),
            label: new.label.clone(),
            assets: new.assets.clone(),
        }
    }

    fn moved_to(&self, due: Timestamp) -> Self {
        Self { due, time: written(due), ..self.clone() }
    }

    /// The payload of SetAlert (alerts 3.1).
    fn payload(&self) -> Value {
        let mut payload = json!({
            "token": self.token, "type": self.kind.as_str(), "scheduledTime": self.time,
        });
        if let Some(label) = &self.label {
            payload["label"] = label.as_str().into();
        }
        if let Some(assets) = &self.assets {
            let ids = assets.as_array().into_iter().flatten();
            let ids: Vec<_> = ids.map(|asset| asset["assetId"].clone()).collect();
            payload["assets"] = assets.clone();
            payload["assetPlayOrder"] = ids.into();
        }
        payload
    }
}

impl Book {
    /// Sets an alert, or changes the one of the same token; `voice` is the dialogue in which it
    /// was asked for. Returns the directive and the token.
    pub(super) fn set(&mut self, new: &NewAlert, voice: Option<&str>) -> (Value, String) {
        self.put(Content::new(new), new, voice)
    }

    fn put(&mut self, content: Content, new: &NewAlert, voice: Option<&str>) -> (Value, String) {
        let (token, payload) = (content.token.clone(), content.payload());
        self.note_set(&content);
        let before = self.entries.remove(&token).and_then(|old| match old.confirmed {
            true => Some(Box::new(old.content)),
            false => old.before,
        });
        let entry = Entry {
            content,
            before,
            repeat: new.repeat,
            action: new.action.clone(),
            stage: AlertStage::Sent,
            confirmed: false,
            listed: false,
            asked_by_voice: voice.map(str::to_owned),
        };
        self.entries.insert(token.clone(), entry);
        (wire::directive("Alerts", "SetAlert", voice, payload), token)
    }

    /// Changes the time of an alert; `None` when there is none.
    pub(super) fn edit(&mut self, token: &str, due: Timestamp) -> Option<Value> {
        let entry = self.entries.get_mut(token)?;
        if entry.confirmed {
            entry.before = Some(Box::new(entry.content.clone()));
        }
        entry.content = entry.content.moved_to(due);
        (entry.stage, entry.confirmed, entry.listed) = (AlertStage::Sent, false, false);
        let content = entry.content.clone();
        self.note_set(&content);
        Some(wire::directive("Alerts", "SetAlert", None, content.payload()))
    }

    /// Deletes an alert; `None` when there is none.
    pub(super) fn delete(&mut self, token: &str, dialogue: Option<&str>) -> Option<Value> {
        let entry = self.entries.get_mut(token)?;
        entry.stage = AlertStage::Deleting;
        let kind = entry.content.kind;
        if let Some(past) = self.past.get_mut(token) {
            past.deletes += 1;
        }
        Some(about("DeleteAlert", token, kind, dialogue))
    }

    /// Deletes all alerts of a kind.
    pub(super) fn clear(&mut self, kind: AlertKind) -> Value {
        let of_this_kind = |entry: &&mut Entry| entry.content.kind == kind;
        for entry in self.entries.values_mut().filter(of_this_kind) {
            entry.stage = AlertStage::Deleting;
        }
        *self.clears.entry(kind).or_default() += 1;
        wire::directive("Alerts", "ClearAlert", None, json!({"type": kind.as_str()}))
    }

    /// Orders the device to stop ringing; `None` when the token was never used.
    pub(super) fn stop(&mut self, token: &str, dialogue: Option<&str>) -> Option<Value> {
        let past = self.past.get_mut(token)?;
        past.stops += 1;
        Some(about("StopAlert", token, past.kind, dialogue))
    }

    /// The whole list. What the device has not confirmed is delivered by it, and what it has to
    /// delete is gone. What was missed by more than `missed_after` is not rung any more.
    pub(super) fn synchronize(&mut self, now: Timestamp, missed_after: Duration) -> Value {
        self.drop_missed(now, missed_after);
        self.entries.retain(|_, entry| entry.stage != AlertStage::Deleting);
        self.synchronized += 1;
        let listed = self.entries.values_mut().map(|entry| {
            entry.listed = true;
            entry.content.payload()
        });
        let all: Vec<Value> = listed.collect();
        wire::directive("Alerts", "SynchronizeAlert", None, json!({ "allAlerts": all }))
    }

    /// How often the whole list has been sent.
    pub(super) fn synchronized(&self) -> usize {
        self.synchronized
    }

    /// Tokens of a kind, or all, that are not being deleted.
    pub(super) fn tokens(&self, kind: Option<AlertKind>) -> Vec<String> {
        let fits = |entry: &&Entry| {
            entry.stage != AlertStage::Deleting
                && kind.is_none_or(|kind| entry.content.kind == kind)
        };
        self.entries.values().filter(fits).map(|entry| entry.content.token.clone()).collect()
    }

    fn drop_missed(&mut self, now: Timestamp, missed_after: Duration) {
        let missed = |entry: &Entry| {
            let late = Duration::try_from(now.duration_since(entry.content.due));
            let waits = matches!(entry.stage, AlertStage::Sent | AlertStage::Set);
            waits && late.is_ok_and(|late| late > missed_after)
        };
        let entries = self.entries.values().filter(|entry| missed(entry));
        let tokens: Vec<_> = entries.map(|entry| entry.content.token.clone()).collect();
        for token in tokens {
            // A later occurrence takes the place of one that nobody heard.
            if self.next_occurrence(&token, now).is_none() {
                self.entries.remove(&token);
            }
        }
    }

    /// Moves a repeated alert to its next time; `None` for one that rings once.
    fn next_occurrence(&mut self, token: &str, now: Timestamp) -> Option<Content> {
        let mut entry = self.entries.get(token)?.clone();
        let repeat = entry.repeat?;
        let mut due = entry.content.due.checked_add(repeat.every).ok()?;
        while due <= now {
            due = due.checked_add(repeat.every).ok()?;
        }
        entry.content = entry.content.moved_to(due);
        if repeat.new_token {
            self.entries.remove(token);
            entry.content.token = random_uuid();
        }
        (entry.stage, entry.confirmed, entry.listed) = (AlertStage::Sent, false, false);
        (entry.before, entry.asked_by_voice) = (None, None);
        let content = entry.content.clone();
        self.note_set(&content);
        self.entries.insert(content.token.clone(), entry);
        Some(content)
    }

    fn note_set(&mut self, content: &Content) {
        if self.past.len() >= MAX_TOKENS {
            let entries = &self.entries;
            self.past.retain(|token, _| entries.contains_key(token));
        }
        let past = self.past.entry(content.token.clone()).or_insert_with(|| Past {
            kind: content.kind,
            occurrences: Vec::new(),
            sets: 0,
            deletes: 0,
            stops: 0,
        });
        past.kind = content.kind;
        past.sets += 1;
        let time = content.time.clone();
        past.occurrences.push(Occurrence { time, started: false, stopped: false });
        if past.occurrences.len() > MAX_OCCURRENCES {
            past.occurrences.remove(0);
        }
    }
}

/// A directive that names an alert.
fn about(name: &str, token: &str, kind: AlertKind, dialogue: Option<&str>) -> Value {
    let payload = json!({"token": token, "type": kind.as_str()});
    wire::directive("Alerts", name, dialogue, payload)
}

/// As the guide's samples write a time; parts of a second only if there are any.
fn written(due: Timestamp) -> String {
    let local = due.to_zoned(tz::TimeZone::fixed(OFFSET));
    let format = match due.subsec_nanosecond() {
        0 => "%Y-%m-%dT%H:%M:%S%:z",
        _ => "%Y-%m-%dT%H:%M:%S%.f%:z",
    };
    local.strftime(format).to_string()
}
