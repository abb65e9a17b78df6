//! The account at CLOVA: its tokens, and its alerts as CIC knows them.
//!
//! CIC sends an order again each minute until it is answered; `...Failed` takes an order back.
//! A list that is asked for names what is ordered as well.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{process::Refresh, store::Tokens};

/// An alert at CIC.
#[derive(Debug, Clone)]
pub struct CloudAlert {
    pub kind: &'static str,
    pub due: Timestamp,
    /// The next occurrence comes so much later.
    pub every: Option<SignedDuration>,
    /// The gateway has confirmed this time.
    pub confirmed: Option<Timestamp>,
    /// CIC wants it gone.
    pub is_going: bool,
    /// AlertStarted has come and AlertStopped has not.
    pub rings: bool,
    pub sent_at: Duration,
}

impl CloudAlert {
    pub fn is_confirmed(&self) -> bool {
        self.confirmed == Some(self.due)
    }

    pub fn payload(&self, token: &str) -> Value {
        let mut payload =
            json!({"token": token, "type": self.kind, "scheduledTime": self.due.to_string()});
        if self.kind == "REMINDER" {
            payload["label"] = json!("water the plants");
        }
        payload
    }
}

/// CLOVA's side of the pairing.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The pairing that it serves.
    pub pairing: Option<i64>,
    pub access: u64,
    access_ends: Timestamp,
    refresh: u64,
    tokens: u64,
    pub alerts: BTreeMap<String, CloudAlert>,
    /// Events that have been taken, by message id.
    pub taken: HashSet<String>,
    names: u64,
    life: SignedDuration,
}

/// Whose a token, an event or a dialogue of CIC is: they begin with the number of the pairing.
pub fn account_of(name: &str) -> Option<i64> {
    name.strip_prefix('p')?.split_once('-')?.0.parse().ok()
}

impl Accounts {
    pub fn pair(&mut self, pairing: i64, now: Timestamp) -> Tokens {
        let hours = [1, 6, 24 * 30][usize::try_from(pairing).unwrap() % 3];
        *self = Self {
            pairing: Some(pairing),
            life: SignedDuration::from_hours(hours),
            tokens: self.tokens,
            names: self.names,
            ..Self::default()
        };
        self.issue(now)
    }

    pub fn unpair(&mut self) {
        *self = Self { tokens: self.tokens, names: self.names, ..Self::default() };
    }

    fn issue(&mut self, now: Timestamp) -> Tokens {
        self.tokens += 2;
        (self.access, self.refresh) = (self.tokens, self.tokens + 1);
        self.access_ends = now.checked_add(self.life).unwrap();
        let (access, refresh) = (self.access, self.refresh);
        Tokens { access, refresh, issued_at: now, expires_at: self.access_ends }
    }

    pub fn refresh(&mut self, refresh: u64, now: Timestamp) -> Refresh {
        match refresh == self.refresh && self.pairing.is_some() {
            true => Refresh::Done(self.issue(now)),
            false => Refresh::Rejected,
        }
    }

    /// Nobody may use the access token any more.
    pub fn revoke(&mut self) {
        self.access = 0;
    }

    pub fn accepts(&self, access: u64, now: Timestamp) -> bool {
        access == self.access && self.pairing.is_some() && now < self.access_ends
    }

    /// A name that says whose it is.
    pub fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("p{}-{what}{}", self.pairing.unwrap_or_default(), self.names)
    }

    /// What has long passed, and does not ring, is over: CIC takes it off its list.
    pub fn expire(&mut self, now: Timestamp, window: Duration) {
        let before = now.checked_sub(window).unwrap().checked_sub(Duration::from_secs(90)).unwrap();
        for alert in self.alerts.values_mut() {
            if alert.due < before && !alert.rings && !alert.is_going {
                match alert.every {
                    None => alert.is_going = true,
                    Some(every) => advance(alert, every, now),
                }
            }
        }
    }

    /// SynchronizeAlert's list. What is to go is gone with it.
    pub fn list(&mut self, now: Timestamp, window: Duration) -> Value {
        self.expire(now, window);
        self.alerts.retain(|_, alert| !alert.is_going);
        let all: Vec<_> = self.alerts.iter().map(|(token, alert)| alert.payload(token)).collect();
        json!({ "allAlerts": all })
    }

    /// Of all others the appliance says that they do not ring (any more).
    pub fn silence_but(&mut self, active: &[&str]) {
        for (token, alert) in &mut self.alerts {
            alert.rings &= active.contains(&token.as_str());
        }
    }

    /// AlertStopped: the next occurrence, or the end.
    pub fn stopped(&mut self, token: &str, now: Timestamp) {
        let Some(alert) = self.alerts.get_mut(token) else { return };
        alert.rings = false;
        match alert.every {
            Some(every) => advance(alert, every, now),
            None => alert.is_going = true,
        }
    }

    /// What CIC orders, as it wants that alert now.
    pub fn order(&self, token: &str) -> Option<(&'static str, Value)> {
        let alert = self.alerts.get(token)?;
        Some(match alert.is_going {
            true => ("Alerts.DeleteAlert", json!({"token": token, "type": alert.kind})),
            false => ("Alerts.SetAlert", alert.payload(token)),
        })
    }

    /// SetAlertFailed.
    pub fn set_failed(&mut self, token: &str, now: Timestamp) {
        let Some(alert) = self.alerts.get_mut(token) else { return };
        if alert.is_confirmed() || alert.is_going {
            return;
        }
        match (alert.confirmed.filter(|due| *due > now), alert.every) {
            (Some(due), _) => alert.due = due,
            (None, Some(every)) => advance(alert, every, now),
            (None, None) => drop(self.alerts.remove(token)),
        }
    }
}

/// To the first occurrence that is still to come.
fn advance(alert: &mut CloudAlert, every: SignedDuration, now: Timestamp) {
    while {
        alert.due = alert.due.checked_add(every).unwrap();
        alert.due <= now
    } {}
}
