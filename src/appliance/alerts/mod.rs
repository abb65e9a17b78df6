//! Alarms, timers and reminders: everything of alerts.md that concerns one appliance. Pure;
//! called by the core, which performs the [`Effect`]s.
//!
//! What CIC orders (set, delete, clear, synchronise) is **staged**: it counts once the store has
//! it, and is reported only then. What happens here (ringing, stopping, being missed) counts at
//! once and is kept as soon as the store takes it, so that an alert rings whatever is broken.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the state, what goes in and comes out |
//! | `orders.rs` | what CIC orders |
//! | `ringing.rs` | time, buttons, and the appliance's own reports |
//! | `record.rs` | one alert, and `Alerts.AlertsState` |

mod orders;
mod record;
mod ringing;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::{clock::Now, ids::Token};
use orders::Change;
pub use orders::NotAnAlert;
pub use record::{Alert, AlertKind, InvalidAlert, Phase, alerts_state};
use ringing::Ring;

/// Alerts that an appliance may have.
pub const MAX_ALERTS: usize = 1000;
/// Bytes of them together.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Orders of CIC that may wait for the store, and bytes of them together.
const MAX_STAGED: usize = 1000;
const MAX_STAGED_BYTES: usize = 2 * MAX_BYTES;
/// Occurrences that have rung here and are remembered.
const REMEMBERED: usize = 256;
/// What an absent appliance has missed: a stop and a delete for each alert.
const MAX_OWED: usize = 2 * MAX_ALERTS;

/// `[alerts]` of the configuration.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// `alerts.offline = "forget"`: the guide's rule to the letter, alerts end with the session.
    pub forget_offline: bool,
    /// An alert missed by less than this still rings.
    pub past_due_window: Duration,
    /// An alert that nobody stops ends after this.
    pub ring_timeout: Duration,
}

/// `down/alert` `action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertAction {
    /// Show it, expect it.
    Set,
    /// Ring now.
    Ring,
    /// Fall silent.
    Stop,
    /// Forget it.
    Delete,
}

impl AlertAction {
    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Ring => "ring",
            Self::Stop => "stop",
            Self::Delete => "delete",
        }
    }
}

/// A change to what the store keeps of an appliance's alerts.
#[derive(Debug, Clone)]
pub enum Step {
    /// Keep this alert, in place of one of the same token.
    Put(Arc<Alert>),
    /// Forget the alert of this token.
    Remove(Token),
}

/// An event that CIC must hear about an alert, or about all of a kind (`token` is `None`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its name in `Alerts`.
    pub name: &'static str,
    /// Which alert.
    pub token: Option<Token>,
    /// Its kind, as CIC wrote it.
    pub kind: Box<str>,
}

impl Report {
    fn new(name: &'static str, alert: &Alert) -> Self {
        Self { name, token: Some(alert.token.clone()), kind: alert.kind.as_str().into() }
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Publish `down/alert`.
    Tell(AlertAction, Arc<Alert>),
    /// It has happened: keep it as soon as possible.
    Keep(Step),
    /// Keep these steps together with the report, then call [`Alerts::commit`]; if the store
    /// fails, call [`Alerts::reject`], do not send the report, and replace all that the store has
    /// by [`Alerts::projected`] with the next save. Steps are kept in the order of their effects.
    Stage {
        /// Steps, in order.
        steps: Vec<Step>,
        /// What CIC is told once they are kept.
        report: Option<Report>,
        /// `Alerts.AlertsState` with the steps carried out, for the report.
        state: Arc<RawValue>,
    },
    /// Tell CIC, through the outbox.
    Report(Report),
    /// Ask CIC, if it can be asked now; not repeated.
    Ask(Report),
    /// Have all alerts sent by CIC again.
    Synchronize,
    /// Count it: an alert of this kind became that.
    Became(AlertKind, &'static str),
    /// An alert began to ring this much too late.
    Late(Duration),
}

/// Why a request about an alert cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No alert with this token.
    Unknown,
    /// It needs CIC, which is away.
    NotConnected,
}

#[derive(Debug, PartialEq, Eq)]
struct Rung {
    token: Token,
    kind: AlertKind,
    due: Timestamp,
}

/// The alerts of one appliance.
#[derive(Debug)]
pub struct Alerts {
    settings: AlertSettings,
    live: BTreeMap<Token, Arc<Alert>>,
    staged: VecDeque<Change>,
    /// A list of CIC's had no room among what is staged.
    list_lost: bool,
    rings: BTreeMap<Token, Ring>,
    /// The appliance is there and the broker too: a ring would be heard.
    audible: bool,
    connected: bool,
    /// CIC has been away since more than an interruption.
    given_up: bool,
    /// The wall-clock time at which one comes due or is missed.
    next_due: Option<Timestamp>,
    wake_at: Option<Instant>,
    /// What an absent appliance would otherwise never learn.
    owed: VecDeque<(AlertAction, Arc<Alert>)>,
    /// Occurrences that have rung here and were stopped.
    rung: VecDeque<Rung>,
    /// Written when somebody asks for it after a change: many alerts may change at once.
    state: OnceLock<Arc<RawValue>>,
    effects: VecDeque<Effect>,
}

impl Alerts {
    /// Starts with what the store kept. Ringing ones ring again once the appliance is there.
    pub fn new(
        settings: AlertSettings,
        kept: impl IntoIterator<Item = Arc<Alert>>,
        now: Now,
    ) -> Self {
        let live: BTreeMap<_, _> =
            kept.into_iter().map(|alert| (alert.token.clone(), alert)).collect();
        let mut alerts = Self {
            settings,
            live,
            staged: VecDeque::new(),
            list_lost: false,
            rings: BTreeMap::new(),
            audible: false,
            connected: false,
            given_up: true,
            next_due: None,
            wake_at: None,
            owed: VecDeque::new(),
            rung: VecDeque::new(),
            state: OnceLock::new(),
            effects: VecDeque::new(),
        };
        let ringing = alerts.live.values().filter(|alert| alert.phase == Phase::Ringing);
        alerts.rings =
            ringing.map(|a| (a.token.clone(), Ring::resumed(a, &alerts.settings, now))).collect();
        for alert in alerts.live.values().cloned().collect::<Vec<_>>() {
            alerts.note_rung(&alert);
        }
        alerts.changed(now);
        if alerts.settings.forget_offline {
            alerts.forget(now);
        }
        alerts
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// All alerts, by token.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Alert>> + Clone {
        self.live.values()
    }

    /// `Alerts.AlertsState` as it is now.
    pub fn state(&self) -> &Arc<RawValue> {
        self.state.get_or_init(|| alerts_state(self.live.values().map(Arc::as_ref)))
    }

    /// The session is up (after Hello) or gone.
    pub fn set_connected(&mut self, connected: bool, now: Now) {
        self.connected = connected;
        self.given_up &= !connected;
        if !connected {
            // A stop that was asked for is not answered any more.
            let asked = self.rings.iter().filter(|(_, ring)| ring.is_stop_asked());
            for token in asked.map(|(token, _)| token.clone()).collect::<Vec<_>>() {
                self.stop(&token, now);
            }
        }
    }

    /// The session is gone and the immediate attempt to get it back has failed: with
    /// `alerts.offline = "forget"` the account's alerts are removed (alerts 6).
    pub fn connection_given_up(&mut self, now: Now) {
        self.given_up = true;
        if self.settings.forget_offline {
            self.forget(now);
        }
    }

    /// The pairing is gone, and so are its alerts.
    pub fn unpaired(&mut self, now: Now) {
        self.staged.clear();
        self.list_lost = false;
        self.forget(now);
    }

    /// Whether a ring would be heard. With `announce`, everything is published again.
    pub fn set_audible(&mut self, audible: bool, announce: bool, now: Now) {
        self.audible = audible;
        if audible && announce {
            self.announce();
        }
        self.ring_due(now);
    }

    /// When [`Alerts::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rings = self.rings.values().map(Ring::deadline);
        self.wake_at.into_iter().chain(rings).min()
    }

    fn announce(&mut self) {
        self.effects.extend(self.owed.drain(..).map(|(action, alert)| Effect::Tell(action, alert)));
        for alert in self.live.values() {
            let action = match alert.phase {
                Phase::Set => AlertAction::Set,
                Phase::Ringing => AlertAction::Ring,
                Phase::Stopped | Phase::Deleted => continue,
            };
            self.effects.push_back(Effect::Tell(action, alert.clone()));
        }
    }

    /// Publishes it, or remembers it for an appliance that is away.
    fn tell(&mut self, action: AlertAction, alert: &Arc<Alert>) {
        if !self.audible && matches!(action, AlertAction::Stop | AlertAction::Delete) {
            self.owed.push_back((action, Arc::new(alert.bare())));
            if self.owed.len() > MAX_OWED {
                self.owed.pop_front();
            }
        }
        self.effects.push_back(Effect::Tell(action, alert.clone()));
    }

    fn forget(&mut self, now: Now) {
        for alert in std::mem::take(&mut self.live).into_values() {
            if self.rings.remove(&alert.token).is_some() {
                self.tell(AlertAction::Stop, &alert);
            }
            self.tell(AlertAction::Delete, &alert);
            self.keep(&alert.token);
            self.effects.push_back(Effect::Became(alert.kind, "forgotten"));
        }
        self.changed(now);
    }

    /// Puts an alert that has changed here into place and has it kept.
    fn put(&mut self, alert: Arc<Alert>, now: Now) {
        self.live.insert(alert.token.clone(), alert.clone());
        self.keep(&alert.token);
        self.changed(now);
    }

    /// Has the store keep what has become of this alert. That comes to the store behind all that
    /// is staged, and CIC may know of that by then: so it is what the alert will be with all of it
    /// carried out.
    fn keep(&mut self, token: &Token) {
        let step = match self.planned(token) {
            Some(alert) => Step::Put(alert),
            None => Step::Remove(token.clone()),
        };
        self.effects.push_back(Effect::Keep(step));
    }

    /// What follows from every change of the set.
    fn changed(&mut self, now: Now) {
        self.state.take();
        self.arm(now);
    }

    fn note_rung(&mut self, alert: &Alert) {
        let rung = Rung { token: alert.token.clone(), kind: alert.kind, due: alert.due };
        if alert.phase == Phase::Set || self.rung.contains(&rung) {
            return;
        }
        self.rung.push_back(rung);
        if self.rung.len() > REMEMBERED {
            self.rung.pop_front();
        }
    }
}
