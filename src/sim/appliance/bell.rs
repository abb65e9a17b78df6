//! The alerts of a simulated appliance: what it shows, and what rings. Pure; called by `life.rs`.
//!
//! The gateway may repeat `set` and `ring`: the token makes them idempotent. An appliance that has
//! fallen silent does not begin again with the very occurrence that was stopped, so that a gateway
//! which was killed just after `stop` rings nobody twice.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

/// Alerts that are kept.
const MAX_ALERTS: usize = 4096;
/// Occurrences that have been stopped and are remembered.
const MAX_STOPPED: usize = 4096;

/// An alert as an appliance knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAlert {
    /// `type`.
    pub kind: String,
    /// `scheduledTime`.
    pub scheduled_time: String,
    /// `label`.
    pub label: Option<String>,
    /// Whether it rings now.
    pub ringing: bool,
}

/// What a `down/alert` changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It begins to ring.
    Started,
    /// It has fallen silent.
    Stopped,
    /// It cannot ring.
    Failed,
    /// Nothing that is to be reported.
    Nothing,
}

/// The alerts of one appliance.
#[derive(Debug, Default)]
pub(super) struct Bell {
    alerts: BTreeMap<String, HeldAlert>,
    /// Token and time of what has rung and was stopped, oldest first.
    stopped: VecDeque<(String, String)>,
    /// Its bell is broken: whatever shall ring fails.
    pub(super) broken: bool,
}

impl Bell {
    /// All that it knows, by token.
    pub(super) fn alerts(&self) -> BTreeMap<String, HeldAlert> {
        self.alerts.clone()
    }

    /// Takes a `down/alert`.
    pub(super) fn take(&mut self, value: &Value) -> Change {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let token = text("token").unwrap_or_default();
        match value["action"].as_str() {
            Some("set") => self.put(value, token, false),
            Some("ring") => self.put(value, token, true),
            Some("stop") => self.silence(&token),
            Some("delete") => {
                let change = self.silence(&token);
                self.alerts.remove(&token);
                change
            }
            _ => Change::Nothing,
        }
    }

    fn put(&mut self, value: &Value, token: String, ring: bool) -> Change {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let scheduled_time = text("scheduledTime").unwrap_or_default();
        let old = self.alerts.get(&token);
        let is_same = old.is_some_and(|old| old.scheduled_time == scheduled_time);
        let rings_already = is_same && old.is_some_and(|old| old.ringing);
        let over = self.stopped.contains(&(token.clone(), scheduled_time.clone()));
        let rings = rings_already || (ring && !over && !self.broken);
        let kind = text("type").unwrap_or_default();
        let alert = HeldAlert { kind, scheduled_time, label: text("label"), ringing: rings };
        if self.alerts.len() < MAX_ALERTS || self.alerts.contains_key(&token) {
            self.alerts.insert(token, alert);
        }
        match (ring, rings_already) {
            (true, false) if rings => Change::Started,
            (true, false) if self.broken => Change::Failed,
            _ => Change::Nothing,
        }
    }

    fn silence(&mut self, token: &str) -> Change {
        let Some(alert) = self.alerts.get_mut(token).filter(|alert| alert.ringing) else {
            return Change::Nothing;
        };
        alert.ringing = false;
        self.stopped.push_back((token.to_owned(), alert.scheduled_time.clone()));
        if self.stopped.len() > MAX_STOPPED {
            self.stopped.pop_front();
        }
        Change::Stopped
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn down(action: &str, time: &str) -> Value {
        json!({"action": action, "token": "t", "type": "ALARM", "scheduledTime": time})
    }

    #[test]
    fn repetitions_change_nothing_and_each_occurrence_rings_once() {
        let mut bell = Bell::default();
        let rows = [
            ("set", "1", Change::Nothing, false),
            ("set", "1", Change::Nothing, false),
            ("ring", "1", Change::Started, true),
            ("ring", "1", Change::Nothing, true),
            ("set", "1", Change::Nothing, true),
            ("stop", "1", Change::Stopped, false),
            ("stop", "1", Change::Nothing, false),
            ("ring", "1", Change::Nothing, false),
            ("set", "2", Change::Nothing, false),
            ("ring", "2", Change::Started, true),
        ];
        for (at, (action, time, want, rings)) in rows.into_iter().enumerate() {
            assert_eq!(bell.take(&down(action, time)), want, "{at}: {action} {time}");
            assert_eq!(bell.alerts()["t"].ringing, rings, "{at}: {action} {time}");
        }
        assert_eq!(bell.take(&down("delete", "2")), Change::Stopped);
        assert!(bell.alerts().is_empty());
    }

    #[test]
    fn a_broken_bell_fails_and_nonsense_does_nothing() {
        let mut bell = Bell { broken: true, ..Bell::default() };
        assert_eq!(bell.take(&down("ring", "1")), Change::Failed);
        assert_eq!(bell.take(&down("explode", "1")), Change::Nothing);
        assert_eq!(bell.take(&Value::Null), Change::Nothing);
    }
}
