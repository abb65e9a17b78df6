//! One appliance's alerts with a store and a clock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    super::{Alert, AlertAction, AlertSettings, Alerts, Effect, NotAnAlert, Report},
    store::{Entry, Kept, Store},
};
use crate::{cic::directive::Directive, clock::Now, ids::Token};

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 3600;

/// The defaults of the contract.
pub(super) fn settings() -> AlertSettings {
    AlertSettings {
        forget_offline: false,
        past_due_window: Duration::from_secs(30 * MINUTE),
        ring_timeout: Duration::from_secs(HOUR),
    }
}

pub(super) struct World {
    pub alerts: Alerts,
    pub settings: AlertSettings,
    pub now: Now,
    pub store: Store,
    pub is_audible: bool,
    pub is_connected: bool,
    /// Occurrences of which the store has AlertStopped, since they were last taken.
    pub stops_kept: Vec<(Token, Timestamp)>,
    /// Occurrences of which CIC was told SetAlertSucceeded, since they were last taken.
    pub acknowledged: Vec<Acknowledged>,
    /// What was published, reported and asked since it was last looked at.
    seen: Vec<String>,
    /// Every effect since they were last taken.
    pub effects: Vec<Effect>,
    told: Option<Arc<Alert>>,
}

impl World {
    /// Noon; the appliance is there and so is CIC.
    pub fn new() -> Self {
        let mut world = Self::started(settings(), Kept::new(), noon());
        world.audible(true, true);
        world.connected(true);
        world
    }

    /// A process that has just started: nobody is there yet.
    pub fn started(settings: AlertSettings, kept: Kept, now: Now) -> Self {
        let alerts = Alerts::new(settings.clone(), kept.values().cloned(), now);
        let store = Store::with(kept);
        let mut world = Self {
            alerts,
            settings,
            now,
            store,
            is_audible: false,
            is_connected: false,
            stops_kept: Vec::new(),
            acknowledged: Vec::new(),
            seen: Vec::new(),
            effects: Vec::new(),
            told: None,
        };
        world.drain();
        world
    }

    /// The process dies and starts again with what was kept.
    pub fn restart(&mut self, after: u64) {
        self.restart_after_saving(after, false);
    }

    /// The same, and what was being saved may have reached the disk.
    pub fn restart_after_saving(&mut self, after: u64, reached_the_disk: bool) {
        self.store.die(reached_the_disk);
        let kept = std::mem::take(&mut self.store.kept);
        *self = Self::started(self.settings.clone(), kept, self.now.plus(secs(after)));
    }

    /// What an alert's SetAlert says, due in so many seconds.
    pub fn alert(&self, token: &str, due_in: i64) -> Value {
        let due = self.now.wall + SignedDuration::from_secs(due_in);
        json!({"token": token, "type": "ALARM", "scheduledTime": due.to_string()})
    }

    pub fn try_order(&mut self, name: &str, payload: &Value) -> Result<(), NotAnAlert> {
        let directive = Directive {
            namespace: "Alerts".into(),
            name: name.into(),
            message_id: "m".into(),
            dialog_request_id: None,
            payload: serde_json::value::to_raw_value(payload).unwrap(),
        };
        let result = self.alerts.order(&directive, self.now);
        self.drain();
        result
    }

    pub fn order(&mut self, name: &str, payload: &Value) {
        self.try_order(name, payload).unwrap();
    }

    pub fn set(&mut self, token: &str, due_in: i64) {
        let alert = self.alert(token, due_in);
        self.order("SetAlert", &alert);
    }

    /// Sets it, has it kept, and forgets what was seen of that.
    pub fn have(&mut self, token: &str, due_in: i64) {
        self.set(token, due_in);
        self.save();
        self.seen.clear();
    }

    /// One that rings since now.
    pub fn have_ringing(&mut self, token: &str) {
        self.have(token, 1);
        self.pass(2);
        assert!(self.active().split(' ').any(|active| active == token));
        self.save();
        self.seen.clear();
    }

    pub fn delete(&mut self, token: &str) {
        self.order("DeleteAlert", &json!({"token": token, "type": "ALARM"}));
    }

    pub fn stop(&mut self, token: &str) {
        self.order("StopAlert", &json!({"token": token, "type": "ALARM"}));
    }

    pub fn synchronize(&mut self, all: &[Value]) {
        self.order("SynchronizeAlert", &json!({ "allAlerts": all }));
    }

    pub fn press_stop(&mut self, token: Option<&str>) {
        self.alerts.stop_pressed(token.map(Token::from).as_ref(), self.now).unwrap();
        self.drain();
    }

    pub fn audible(&mut self, audible: bool, announce: bool) {
        self.is_audible = audible;
        self.alerts.set_audible(audible, announce, self.now);
        self.drain();
    }

    pub fn connected(&mut self, connected: bool) {
        self.is_connected = connected;
        self.alerts.set_connected(connected, self.now);
        self.drain();
    }

    /// Starts saving what waits, and stays in the middle of it.
    pub fn begin_save(&mut self) {
        self.store.begin(&self.alerts.projected());
    }

    /// The save under way has worked.
    pub fn end_save(&mut self) {
        for entry in self.store.end() {
            self.stops_kept.extend(entry.stopped.clone());
            if entry.staged {
                let before = self.effects.len();
                let acknowledged = entry.set.clone().map(|(token, due)| {
                    let known = |a: &Arc<Alert>| (&a.token, a.due) == (&token, due);
                    let is_known = self.alerts.iter().any(known);
                    Acknowledged { before, token, due, is_known }
                });
                self.acknowledged.extend(acknowledged);
                self.seen.extend(entry.report.iter().map(report_text));
                self.alerts.commit(self.now);
                self.drain();
            }
        }
    }

    /// The save under way has failed. Returns how many orders with and without an answer failed
    /// with it.
    pub fn fail_save(&mut self, reached_the_disk: bool) -> (usize, usize) {
        let failed = self.store.fail(reached_the_disk);
        let staged: Vec<_> = failed.iter().filter(|entry| entry.staged).collect();
        for _ in &staged {
            self.alerts.reject(self.now);
            self.drain();
        }
        let answered = staged.iter().filter(|entry| entry.report.is_some()).count();
        (answered, staged.len() - answered)
    }

    /// Saves until nothing waits any more.
    pub fn save(&mut self) {
        for _ in 0..100 {
            if !self.store.is_busy() {
                return;
            }
            self.begin_save();
            self.end_save();
        }
        panic!("saves follow each other for ever");
    }

    /// The store is away for what waits now.
    pub fn fail(&mut self) {
        self.begin_save();
        self.fail_save(false);
    }

    /// Time passes, and the machine is called whenever it wants to be.
    pub fn pass(&mut self, seconds: u64) {
        self.pass_by(secs(seconds));
    }

    pub fn pass_by(&mut self, by: Duration) {
        let end = self.now.plus(by);
        for _ in 0..100_000 {
            let Some(at) = self.alerts.poll_timeout().filter(|at| *at <= end.mono) else {
                self.now = end;
                return;
            };
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.alerts.handle_timeout(self.now);
            let next = self.alerts.poll_timeout();
            assert!(
                next.is_none_or(|at| at > self.now.mono),
                "it wants to be called at once again"
            );
            self.drain();
        }
        panic!("it wants to be called far too often");
    }

    /// Somebody sets the wall clock; or the machine was suspended, when it is forwards.
    pub fn step_clock(&mut self, seconds: i64) {
        self.now.wall += SignedDuration::from_secs(seconds);
    }

    /// What was published, reported and asked since the last look.
    #[track_caller]
    pub fn saw(&mut self, want: &[&str]) {
        assert_eq!(std::mem::take(&mut self.seen), want);
    }

    /// What was seen is not of interest.
    pub fn seen_is_forgotten(&mut self) {
        self.seen.clear();
    }

    pub fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }

    /// The first effect since they were last taken that `pick` wants.
    pub fn effect<T>(&self, pick: impl FnMut(&Effect) -> Option<T>) -> Option<T> {
        self.effects.iter().find_map(pick)
    }

    /// How often an alert became `what` since effects were last taken.
    pub fn became(&self, what: &str) -> usize {
        let is = |effect: &&Effect| matches!(effect, Effect::Became(_, to) if *to == what);
        self.effects.iter().filter(is).count()
    }

    /// `allAlerts` of the context, tokens with a space between.
    pub fn all(&self) -> String {
        tokens(self.alerts.state().get(), "allAlerts")
    }

    /// `activeAlerts` of the context.
    pub fn active(&self) -> String {
        tokens(self.alerts.state().get(), "activeAlerts")
    }

    /// What a restart would find: `token phase`, commas between.
    pub fn kept(&self) -> String {
        let one = |alert: &Arc<Alert>| format!("{} {}", alert.token, alert.phase.as_str());
        self.store.kept.values().map(one).collect::<Vec<_>>().join(", ")
    }

    /// What the machine has, in the same way.
    pub fn has(&self) -> String {
        let one = |alert: &Arc<Alert>| format!("{} {}", alert.token, alert.phase.as_str());
        self.alerts.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// When it is due.
    pub fn due(&self, token: &str) -> Timestamp {
        self.alerts.iter().find(|alert| alert.token.as_str() == token).unwrap().due
    }

    pub fn drain(&mut self) {
        while let Some(effect) = self.alerts.poll_effect() {
            self.seen.extend(text(&effect));
            self.hand_to_store(&effect);
            self.effects.push(effect);
        }
    }

    /// The occurrence that this report acknowledges.
    fn to_be_set(&self, report: Option<&Report>) -> Option<(Token, Timestamp)> {
        let token = report.filter(|report| report.name == "SetAlertSucceeded")?.token.clone()?;
        let due = self.alerts.projected().into_iter().find(|alert| alert.token == token)?.due;
        Some((token, due))
    }

    fn hand_to_store(&mut self, effect: &Effect) {
        // The effect before this one.
        let told = self.told.take();
        let entry =
            |steps, report, staged| Entry { steps, report, staged, stopped: None, set: None };
        match effect {
            Effect::Keep(step) => self.store.push(entry(vec![step.clone()], None, false)),
            Effect::Stage { steps, report, .. } => {
                let entry = entry(steps.clone(), report.clone(), true);
                self.store.push(Entry { set: self.to_be_set(report.as_ref()), ..entry });
            }
            Effect::Tell(AlertAction::Stop, alert) => self.told = Some(alert.clone()),
            Effect::Report(report) => {
                let of = |alert: &Arc<Alert>| report.token.as_ref() == Some(&alert.token);
                let stopped = told.filter(of).filter(|_| report.name == "AlertStopped");
                let stopped = stopped.map(|alert| (alert.token.clone(), alert.due));
                let entry = entry(Vec::new(), Some(report.clone()), false);
                self.store.push(Entry { stopped, ..entry });
            }
            _ => {}
        }
    }
}

/// CIC was told SetAlertSucceeded.
pub(super) struct Acknowledged {
    /// The effects before it.
    pub before: usize,
    pub token: Token,
    pub due: Timestamp,
    /// The occurrence was there already.
    pub is_known: bool,
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Any monotonic instant with a wall clock that stands at noon.
pub(super) fn noon() -> Now {
    Now { mono: Instant::now(), wall: "2026-03-02T12:00:00Z".parse().unwrap() }
}

/// The tokens in one array of `Alerts.AlertsState`.
pub(super) fn tokens(state: &str, array: &str) -> String {
    let state: Value = serde_json::from_str(state).unwrap();
    let infos = state[array].as_array().unwrap().iter();
    infos.map(|info| info["token"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn report_text(report: &Report) -> String {
    match &report.token {
        Some(token) => format!("{} {token}", report.name),
        None => format!("{} {}", report.name, report.kind),
    }
}

fn text(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Tell(action, alert) => Some(format!("{} {}", action.as_str(), alert.token)),
        Effect::Report(report) => Some(report_text(report)),
        Effect::Ask(report) => Some(format!("ask {}", report_text(report))),
        Effect::Synchronize => Some("synchronize".into()),
        Effect::Keep(_) | Effect::Stage { .. } | Effect::Became(..) | Effect::Late(_) => None,
    }
}
