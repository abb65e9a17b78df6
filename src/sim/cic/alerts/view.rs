//! What tests and the demo may see of the book, and what they ask of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Book, Entry};
use crate::appliance::alerts::AlertKind;

/// How far an alert has come, as far as the cloud knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStage {
    /// SetAlert is on its way; the device has not confirmed it.
    Sent,
    /// The device has confirmed it.
    Set,
    /// The device has reported that it rings.
    Ringing,
    /// DeleteAlert is on its way.
    Deleting,
}

/// An alert as the cloud knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudAlert {
    /// Its token.
    pub token: String,
    /// Its type.
    pub kind: AlertKind,
    /// `scheduledTime` as it was sent.
    pub scheduled_time: String,
    /// The same as an instant.
    pub due: Timestamp,
    /// How far it has come.
    pub stage: AlertStage,
    /// Whether the device has confirmed, with SetAlertSucceeded, this very version of it.
    pub confirmed: bool,
}

/// One time at which an alert was to ring, and what was reported of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenOccurrence {
    /// The alert's token.
    pub token: String,
    /// `scheduledTime` as it was sent.
    pub scheduled_time: String,
    /// AlertStarted has come.
    pub started: bool,
    /// AlertStopped has come.
    pub stopped: bool,
}

/// When an alert rings again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// Between two occurrences.
    pub every: Duration,
    /// Whether the next occurrence gets a token of its own; the guide leaves that open.
    pub new_token: bool,
}

/// An alert that an account shall have.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// Its token; without, a new one. That of an existing alert changes it.
    pub token: Option<String>,
    /// Its type.
    pub kind: AlertKind,
    /// When it is to ring.
    pub due: Timestamp,
    /// `label`.
    pub label: Option<String>,
    /// `assets`; they are played in their own order.
    pub assets: Option<Value>,
    /// When it rings again.
    pub repeat: Option<Repeat>,
    /// Directives that are sent once it has been stopped (action timer).
    pub action: Vec<Value>,
}

impl NewAlert {
    /// One that rings once.
    pub fn new(kind: AlertKind, due: Timestamp) -> Self {
        let (token, label, assets, repeat) = (None, None, None, None);
        Self { token, kind, due, label, assets, repeat, action: Vec::new() }
    }

    /// With this token.
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// With this label.
    pub fn label(self, label: &str) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// It rings again and again.
    pub fn every(self, every: Duration, new_token: bool) -> Self {
        Self { repeat: Some(Repeat { every, new_token }), ..self }
    }
}

impl Book {
    /// All alerts, by token.
    pub(in crate::sim::cic) fn view(&self) -> Vec<CloudAlert> {
        self.entries.values().map(Entry::view).collect()
    }

    /// Every time that was ever set, for as long as it is remembered.
    pub(in crate::sim::cic) fn occurrences(&self) -> Vec<SeenOccurrence> {
        let seen = self.past.iter().flat_map(|(token, past)| {
            past.occurrences.iter().map(|occurrence| SeenOccurrence {
                token: token.clone(),
                scheduled_time: occurrence.time.clone(),
                started: occurrence.started,
                stopped: occurrence.stopped,
            })
        });
        seen.collect()
    }
}

impl Entry {
    pub(super) fn view(&self) -> CloudAlert {
        CloudAlert {
            token: self.content.token.clone(),
            kind: self.content.kind,
            scheduled_time: self.content.time.clone(),
            due: self.content.due,
            stage: self.stage,
            confirmed: self.confirmed,
        }
    }
}
