//! What the device reports about its alerts: checked against the book, and answered (alerts 5).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{AlertStage, Book, Entry, Occurrence, Past, Said, about, speech};
use crate::{
    appliance::alerts::AlertKind,
    sim::cic::{
        metadata::Wrong,
        wire::{self, Part},
    },
};

/// An event of `Alerts`.
pub(in crate::sim::cic) struct Report<'a> {
    /// Its name.
    pub(in crate::sim::cic) name: &'a str,
    pub(in crate::sim::cic) payload: &'a Value,
    /// `Alerts.AlertsState`.
    pub(in crate::sim::cic) state: &'a Value,
}

/// What an event leads to.
#[derive(Debug, Default)]
pub(in crate::sim::cic) struct Answer {
    /// In the response.
    pub(in crate::sim::cic) response: Vec<Part>,
    /// On the downchannel.
    pub(in crate::sim::cic) channel: Vec<Value>,
}

impl Answer {
    fn none() -> Result<Self, Wrong> {
        Ok(Self::default())
    }

    fn respond(directives: impl IntoIterator<Item = Value>) -> Result<Self, Wrong> {
        let response = directives.into_iter().map(Part::Directive).collect();
        Ok(Self { response, channel: Vec::new() })
    }

    fn push(directive: Option<Value>) -> Result<Self, Wrong> {
        Ok(Self { response: Vec::new(), channel: directive.into_iter().collect() })
    }
}

impl Report<'_> {
    fn token(&self) -> &str {
        self.payload["token"].as_str().unwrap_or_default()
    }

    fn kind(&self) -> Result<AlertKind, Wrong> {
        let kind = self.payload["type"].as_str().and_then(AlertKind::parse);
        kind.ok_or_else(|| "payload.type is no alert's".into())
    }

    /// When this alert is due, by the device's own context.
    fn time_in(&self, list: &str) -> Option<&str> {
        let listed = self.state[list].as_array().into_iter().flatten();
        let mut own = listed.filter(|info| info["token"] == self.payload["token"]);
        own.find_map(|info| info["scheduledTime"].as_str())
    }

    fn wrong(&self, why: &str) -> Wrong {
        format!("{} of {}: {why}", self.name, self.token())
    }
}

impl Book {
    /// Takes an event of `Alerts`, with `RequestSynchronizeAlert` answered where `in_response`
    /// says.
    pub(in crate::sim::cic) fn take(
        &mut self,
        report: &Report<'_>,
        now: Timestamp,
        in_response: bool,
        missed_after: Duration,
    ) -> Result<Answer, Wrong> {
        match report.name {
            "SetAlertSucceeded" => self.set_succeeded(report),
            "SetAlertFailed" => self.set_failed(report),
            "DeleteAlertSucceeded" => self.deleted(report, true),
            "DeleteAlertFailed" => self.deleted(report, false),
            "ClearAlertSucceeded" => self.cleared(report, true),
            "ClearAlertFailed" => self.cleared(report, false),
            "AlertStarted" => self.started(report),
            "AlertStopped" => self.stopped(report, now),
            "RequestAlertStop" => self.asked_to_stop(report),
            "RequestDeleteAlert" => {
                self.past(report)?;
                Answer::push(self.delete(report.token(), None))
            }
            "RequestSynchronizeAlert" => {
                let list = self.synchronize(now, missed_after);
                match in_response {
                    true => Answer::respond([list]),
                    false => Answer::push(Some(list)),
                }
            }
            _ => Answer::none(),
        }
    }

    /// What is known of the report's token, which must be of the same type.
    fn past(&mut self, report: &Report<'_>) -> Result<&mut Past, Wrong> {
        let kind = report.kind()?;
        match self.past.get_mut(report.token()) {
            Some(past) if past.kind == kind => Ok(past),
            Some(_) => Err(report.wrong("the alert is of another type")),
            None => Err(report.wrong("no alert ever had this token")),
        }
    }

    fn set_succeeded(&mut self, report: &Report<'_>) -> Result<Answer, Wrong> {
        let time = report.time_in("allAlerts").map(str::to_owned);
        let time = time.ok_or_else(|| report.wrong("allAlerts does not list it"))?;
        let past = self.past(report)?;
        if !past.occurrences.iter().any(|occurrence| occurrence.time == time) {
            return Err(report.wrong("allAlerts lists it with a time that it never had"));
        }
        past.sets = take_one(past.sets, report)?;
        let Some(entry) = self.entries.get_mut(report.token()) else { return Answer::none() };
        if entry.content.time != time || entry.stage == AlertStage::Deleting {
            return Answer::none(); // of an older version, or deleted meanwhile
        }
        (entry.confirmed, entry.before) = (true, None);
        if entry.stage == AlertStage::Sent {
            entry.stage = AlertStage::Set;
        }
        let Some(dialogue) = entry.asked_by_voice.take() else { return Answer::none() };
        let shown = speech::template(&entry.content, &dialogue);
        let mut response = Said::Set(entry.content.kind).parts(&dialogue).to_vec();
        response.push(Part::Directive(shown));
        Ok(Answer { response, channel: Vec::new() })
    }

    fn set_failed(&mut self, report: &Report<'_>) -> Result<Answer, Wrong> {
        let past = self.past(report)?;
        past.sets = take_one(past.sets, report)?;
        let token = report.token();
        let unconfirmed = |entry: &&mut Entry| {
            entry.stage == AlertStage::Sent && !entry.confirmed && !entry.listed
        };
        // A list that went out meanwhile counts, whatever became of the directive.
        let Some(entry) = self.entries.get_mut(token).filter(unconfirmed) else {
            return Answer::none();
        };
        let voice = entry.asked_by_voice.take();
        match entry.before.take() {
            Some(before) => {
                entry.content = *before;
                (entry.stage, entry.confirmed) = (AlertStage::Set, true);
            }
            None => drop(self.entries.remove(token)),
        }
        let response = voice.map(|dialogue| Said::Failed.parts(&dialogue).to_vec());
        Ok(Answer { response: response.unwrap_or_default(), channel: Vec::new() })
    }

    /// Deleting what the device does not know has reached its goal, so an unknown token is fine
    /// wherever a DeleteAlert has named it (alerts 5.5).
    fn deleted(&mut self, report: &Report<'_>, succeeded: bool) -> Result<Answer, Wrong> {
        let past = self.past(report)?;
        past.deletes = take_one(past.deletes, report)?;
        let is_listed = report.time_in("allAlerts").is_some();
        let set_again = past.sets > 0;
        if succeeded && is_listed && !set_again {
            return Err(report.wrong("allAlerts still lists it"));
        }
        self.end_deletion(report.token(), succeeded);
        Answer::none()
    }

    fn cleared(&mut self, report: &Report<'_>, succeeded: bool) -> Result<Answer, Wrong> {
        let kind = report.kind()?;
        let owed = self.clears.entry(kind).or_default();
        *owed = take_one(*owed, report)?;
        let of_this_kind = self.entries.values().filter(|entry| entry.content.kind == kind);
        let tokens: Vec<_> = of_this_kind.map(|entry| entry.content.token.clone()).collect();
        tokens.iter().for_each(|token| self.end_deletion(token, succeeded));
        Answer::none()
    }

    fn end_deletion(&mut self, token: &str, succeeded: bool) {
        let deleting = |entry: &&mut Entry| entry.stage == AlertStage::Deleting;
        match self.entries.get_mut(token).filter(deleting) {
            Some(_) if succeeded => drop(self.entries.remove(token)),
            // The user still has it.
            Some(entry) => entry.stage = AlertStage::Set,
            None => {}
        }
    }

    fn started(&mut self, report: &Report<'_>) -> Result<Answer, Wrong> {
        let time = report.time_in("activeAlerts").map(str::to_owned);
        let time = time.ok_or_else(|| report.wrong("activeAlerts does not list it"))?;
        if report.time_in("allAlerts") != Some(&time) {
            return Err(report.wrong("allAlerts does not list it"));
        }
        let past = self.past(report)?;
        let mut own = past.occurrences.iter_mut().filter(|occurrence| occurrence.time == time);
        match own.find(|occurrence| !occurrence.started) {
            Some(occurrence) => occurrence.started = true,
            None => return Err(report.wrong("no occurrence of this time is left to start")),
        }
        if let Some(entry) = self.entries.get_mut(report.token())
            && entry.content.time == time
            && entry.stage != AlertStage::Deleting
        {
            entry.stage = AlertStage::Ringing;
        }
        Answer::none()
    }

    fn stopped(&mut self, report: &Report<'_>, now: Timestamp) -> Result<Answer, Wrong> {
        if report.time_in("activeAlerts").is_some() {
            return Err(report.wrong("activeAlerts still lists it"));
        }
        let listed = report.time_in("allAlerts").map(str::to_owned);
        let past = self.past(report)?;
        let fits = |occurrence: &&mut Occurrence| {
            let right_time = listed.as_ref().is_none_or(|time| *time == occurrence.time);
            right_time && occurrence.started && !occurrence.stopped
        };
        let time = match past.occurrences.iter_mut().find(fits) {
            Some(occurrence) => {
                occurrence.stopped = true;
                occurrence.time.clone()
            }
            // One that the device does not know is silent: StopAlert has reached its goal.
            None if listed.is_none() && past.stops > 0 => {
                past.stops -= 1;
                return Answer::none();
            }
            None => return Err(report.wrong("no occurrence rings that it could end")),
        };
        self.follow_up(report.token(), &time, now)
    }

    /// What comes after AlertStopped: nothing for an alert that was changed meanwhile.
    fn follow_up(&mut self, token: &str, time: &str, now: Timestamp) -> Result<Answer, Wrong> {
        let current =
            |entry: &&Entry| entry.content.time == time && entry.stage != AlertStage::Deleting;
        let Some(entry) = self.entries.get(token).filter(current).cloned() else {
            return Answer::none();
        };
        let follows = match self.next_occurrence(token, now) {
            Some(next) => Some(wire::directive("Alerts", "SetAlert", None, next.payload())),
            None => self.delete(token, None),
        };
        Answer::respond(follows.into_iter().chain(entry.action))
    }

    fn asked_to_stop(&mut self, report: &Report<'_>) -> Result<Answer, Wrong> {
        if report.time_in("activeAlerts").is_none() {
            return Err(report.wrong("it does not ring: activeAlerts does not list it"));
        }
        let past = self.past(report)?;
        past.stops += 1;
        let stop = about("StopAlert", report.token(), report.kind()?, None);
        Answer::push(Some(stop))
    }
}

/// One directive less that is to be answered.
fn take_one(owed: usize, report: &Report<'_>) -> Result<usize, Wrong> {
    owed.checked_sub(1).ok_or_else(|| report.wrong("it answers no directive"))
}
