//! The accounts' books of alerts, and the way from each to its device.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

use super::{
    SimSettings,
    alerts::{Book, NewAlert, Report, Said, Wish},
    metadata::{Metadata, Wrong},
    state::{Down, State},
    wire::Part,
};
use crate::{appliance::alerts::AlertKind, clock::SharedClock};

/// Which way `RequestSynchronizeAlert` is answered. Clients must accept both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronizing {
    /// In the response, on the downchannel, in the response, and so on.
    #[default]
    Alternating,
    /// In the response.
    InResponse,
    /// On the downchannel.
    OnChannel,
}

/// All accounts; each belongs to one device.
#[derive(Debug)]
pub(super) struct Accounts {
    books: Mutex<HashMap<String, Book>>,
    changed: watch::Sender<()>,
    synchronizing: Synchronizing,
    missed_after: Duration,
    clock: SharedClock,
}

/// A request of a user.
pub(super) struct Asked<'a> {
    pub(super) device: &'a str,
    pub(super) dialogue: &'a str,
    /// `Alerts.AlertsState` of the request itself.
    pub(super) alerts: &'a Value,
}

impl Asked<'_> {
    /// Tokens of what rings, of a kind or all.
    pub(super) fn ringing(&self, kind: Option<AlertKind>) -> Vec<&str> {
        let active = self.alerts["activeAlerts"].as_array().into_iter().flatten();
        let fits = |info: &&Value| kind.is_none_or(|kind| info["type"] == kind.as_str());
        active.filter(fits).filter_map(|info| info["token"].as_str()).collect()
    }
}

impl Accounts {
    pub(super) fn new(settings: &SimSettings) -> Self {
        Self {
            books: Mutex::default(),
            changed: watch::Sender::new(()),
            synchronizing: settings.synchronizing,
            missed_after: settings.missed_after,
            clock: settings.clock.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn answers_in_response(&self, book: &Book) -> bool {
        match self.synchronizing {
            Synchronizing::Alternating => book.synchronized().is_multiple_of(2),
            Synchronizing::InResponse => true,
            Synchronizing::OnChannel => false,
        }
    }
}

impl State {
    /// Looks into a device's book.
    pub(super) fn read_book<R>(&self, device: &str, read: impl FnOnce(&Book) -> R) -> R {
        read(self.accounts.lock().entry(device.to_owned()).or_default())
    }

    /// Changes a device's book and sends what comes of it down its channel. What is written later
    /// goes later.
    pub(super) fn write_book<R>(
        &self,
        device: &str,
        write: impl FnOnce(&mut Book) -> (R, Vec<Value>),
    ) -> R {
        let mut books = self.accounts.lock();
        let (result, pushed) = write(books.entry(device.to_owned()).or_default());
        for directive in pushed {
            self.tell(device, Down::Part(Part::Directive(directive)));
        }
        drop(books);
        self.accounts.changed.send_replace(());
        result
    }

    /// Sends the device its whole list, on the downchannel.
    pub(super) fn synchronize(&self, device: &str) {
        let (now, after) = (self.accounts.clock.now().wall, self.accounts.missed_after);
        self.write_book(device, |book| ((), vec![book.synchronize(now, after)]));
    }

    /// The whole list, as it is sent to a device.
    pub(super) fn all_alerts(&self, device: &str) -> Value {
        let (now, after) = (self.accounts.clock.now().wall, self.accounts.missed_after);
        self.write_book(device, |book| (book.synchronize(now, after), Vec::new()))
    }

    /// Takes an event; the answer is empty for those that have nothing to do with alerts.
    pub(super) fn take_report(&self, device: &str, event: &Metadata) -> Result<Vec<Part>, Wrong> {
        let Some(name) = event.name.strip_prefix("Alerts.") else { return Ok(Vec::new()) };
        let report = Report { name, payload: &event.payload, state: event.alerts() };
        let (now, after) = (self.accounts.clock.now().wall, self.accounts.missed_after);
        self.write_book(device, |book| {
            let in_response = self.accounts.answers_in_response(book);
            match book.take(&report, now, in_response, after) {
                Ok(answer) => (Ok(answer.response), answer.channel),
                Err(wrong) => (Err(wrong), Vec::new()),
            }
        })
    }

    /// Fulfils a spoken or typed wish; `None` when there is nothing that it could mean.
    pub(super) fn fulfil(&self, wish: Wish, asked: &Asked<'_>) -> Option<Vec<Part>> {
        let (device, dialogue) = (asked.device, Some(asked.dialogue));
        let directives = match &wish {
            Wish::Set(kind, after, label) => {
                let new = self.alert_in(*kind, *after, label.as_deref());
                vec![self.write_book(device, |book| (book.set(&new, dialogue).0, Vec::new()))]
            }
            Wish::Stop(kind) => {
                let stop = |book: &mut Book| {
                    let ringing = asked.ringing(*kind).into_iter();
                    (ringing.filter_map(|token| book.stop(token, dialogue)).collect(), Vec::new())
                };
                self.write_book::<Vec<Value>>(device, stop)
            }
            Wish::Delete(kind) => self.write_book::<Vec<Value>>(device, |book| {
                let tokens = book.tokens(*kind).into_iter();
                (tokens.filter_map(|token| book.delete(&token, dialogue)).collect(), Vec::new())
            }),
        };
        let said = match wish {
            // Only after the device has confirmed it.
            Wish::Set(..) => None,
            Wish::Stop(kind) => Some(Said::Stopped(kind)),
            Wish::Delete(_) => Some(Said::Deleted),
        };
        if directives.is_empty() {
            return None;
        }
        let said = said.map(|said| said.parts(asked.dialogue)).into_iter().flatten();
        Some(directives.into_iter().map(Part::Directive).chain(said).collect())
    }

    /// An alert after so long. As with CIC, whole seconds; never earlier than asked for.
    fn alert_in(&self, kind: AlertKind, after: Duration, label: Option<&str>) -> NewAlert {
        let now = self.accounts.clock.now().wall;
        let due = now.checked_add(after).unwrap_or(jiff::Timestamp::MAX);
        let whole =
            jiff::TimestampRound::new().smallest(jiff::Unit::Second).mode(jiff::RoundMode::Ceil);
        let due = due.round(whole).unwrap_or(due);
        let assets = (kind == AlertKind::Reminder).then(
            || serde_json::json!([{"assetId": "bell", "url": "clova://alert/bell/reminder"}]),
        );
        NewAlert { label: label.map(str::to_owned), assets, ..NewAlert::new(kind, due) }
    }

    /// Carries out a step of the scenario; what goes into the response.
    pub(super) fn carry_out(
        &self,
        step: &super::scenario::AlertStep,
        asked: &Asked<'_>,
    ) -> Vec<Part> {
        use super::scenario::Verb;
        let kind = step.kind;
        let dialogue = (!step.on_channel).then_some(asked.dialogue);
        let after = step.after.unwrap_or_default();
        let directives = |book: &mut Book| -> Vec<Value> {
            let each = |tokens: Vec<String>, act: &mut dyn FnMut(&str) -> Option<Value>| {
                tokens.iter().filter_map(|token| act(token)).collect()
            };
            match step.verb {
                Verb::Set => {
                    let kind = kind.unwrap_or(AlertKind::Timer);
                    let mut new = self.alert_in(kind, after, step.label.as_deref());
                    (new.repeat, new.action) = (step.repeat, step.action.clone());
                    vec![book.set(&new, dialogue).0]
                }
                Verb::Edit => {
                    let due = self.alert_in(AlertKind::Timer, after, None).due;
                    each(book.tokens(kind), &mut |token| book.edit(token, due))
                }
                Verb::Delete => each(book.tokens(kind), &mut |token| book.delete(token, dialogue)),
                Verb::Stop => {
                    let ringing = asked.ringing(kind).into_iter().map(str::to_owned).collect();
                    each(ringing, &mut |token| book.stop(token, dialogue))
                }
                Verb::Clear => kind.map(|kind| book.clear(kind)).into_iter().collect(),
                Verb::Synchronize => {
                    let now = self.accounts.clock.now().wall;
                    vec![book.synchronize(now, self.accounts.missed_after)]
                }
            }
        };
        self.write_book(asked.device, |book| match step.on_channel {
            true => (Vec::new(), directives(book)),
            false => {
                let parts = directives(book).into_iter().map(Part::Directive).collect();
                (parts, Vec::new())
            }
        })
    }
}
