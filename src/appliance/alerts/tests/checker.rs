//! What must hold in every sequence, told from the effects and the public state alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    super::{Alert, AlertAction, Effect, Phase, Report, Step},
    world::{Acknowledged, World, tokens},
};
use crate::ids::Token;

/// What has just been done to the machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Did {
    Order(&'static str),
    /// A save has ended, well or not.
    Save,
    /// The appliance came or went.
    Audible,
    /// The account's alerts were dropped, or the process began anew.
    Dropped,
    Other,
}

#[derive(Default)]
pub(super) struct Checker {
    /// Told to ring and not yet to stop.
    open: BTreeSet<Token>,
    /// Occurrences that have rung, and have not been set again by CIC since.
    rang: BTreeSet<(Token, Timestamp)>,
    /// Those that rang, were gone, and were set again by CIC.
    set_again: BTreeSet<(Token, Timestamp)>,
    /// Alerts of which CIC was told that they are set, unless something took them away since.
    acknowledged: BTreeMap<Token, Timestamp>,
    /// What the store may or may not have: ordered, and not replaced by a later order.
    edits: BTreeSet<(Token, Timestamp)>,
    /// What lists have made of them, perhaps.
    listed: BTreeSet<(Token, Timestamp)>,
    pub stepped_at: Option<Instant>,
}

impl Checker {
    /// Checks what the last call or calls have done.
    pub fn check(&mut self, w: &mut World, did: &Did) {
        let effects = std::mem::take(&mut w.effects);
        let mut acknowledged = std::mem::take(&mut w.acknowledged).into_iter().peekable();
        for (index, effect) in effects.iter().enumerate() {
            while acknowledged.peek().is_some_and(|set| set.before <= index) {
                self.acknowledged(acknowledged.next().unwrap(), w);
            }
            let before = index.checked_sub(1).map(|before| &effects[before]);
            match effect {
                Effect::Tell(action, alert) => {
                    self.told(*action, alert, effects.get(index + 1), w, did);
                }
                Effect::Report(report) => self.reported(report, before, w, did),
                Effect::Stage { steps, report, .. } => self.staged(steps, report.as_ref()),
                Effect::Ask(_) => assert!(w.is_connected, "asked CIC, which is away"),
                Effect::Late(late) => assert!(*late <= w.settings.past_due_window, "{late:?}"),
                _ => {}
            }
        }
        acknowledged.for_each(|set| self.acknowledged(set, w));
        self.check_state(w, &effects, did);
        self.check_time(w);
        self.check_stops_kept(w);
    }

    /// It counts as long as nothing that is ordered already takes it away.
    fn acknowledged(&mut self, set: Acknowledged, w: &World) {
        let occurrence = (set.token.clone(), set.due);
        if !set.is_known && self.rang.remove(&occurrence) {
            self.set_again.insert(occurrence);
        }
        let projected = w.alerts.projected();
        let is_planned = |a: &Arc<Alert>| (&a.token, a.due) == (&set.token, set.due);
        if self.edits.contains(&(set.token.clone(), set.due)) && projected.iter().any(is_planned) {
            self.acknowledged.insert(set.token, set.due);
        } else {
            self.acknowledged.remove(&set.token);
        }
    }

    fn told(
        &mut self,
        action: AlertAction,
        alert: &Arc<Alert>,
        next: Option<&Effect>,
        w: &World,
        did: &Did,
    ) {
        let token = &alert.token;
        let is_reported = |name| matches!(next, Some(Effect::Report(r)) if r.name == name);
        match action {
            AlertAction::Ring if is_reported("AlertStarted") => {
                assert!(w.is_audible, "{token} rings unheard");
                let late = alert.since.duration_since(alert.due);
                let late = Duration::try_from(late).expect("it rings before its time");
                assert!(late <= w.settings.past_due_window, "{token} rings {late:?} too late");
                let is_first = self.rang.insert((token.clone(), alert.due));
                assert!(is_first, "{token} of {} rings a second time", alert.due);
            }
            AlertAction::Ring => {
                assert!(*did == Did::Audible && self.open.contains(token), "{token} rings on");
            }
            AlertAction::Stop if is_reported("AlertStopped") => {}
            AlertAction::Stop if *did == Did::Audible => {
                assert!(!self.open.contains(token), "{token} is told of an old stop and rings");
            }
            // Edited, or its account has gone.
            AlertAction::Stop => {
                assert!(matches!(did, Did::Save | Did::Dropped), "{token} stops without report");
                assert!(self.open.remove(token), "{token} is stopped and does not ring");
                if !w.alerts.iter().any(|live| live.token == *token) {
                    // Nobody stopped it: CIC's list brings it back.
                    self.rang.remove(&(token.clone(), alert.due));
                }
            }
            AlertAction::Delete => {
                if self.acknowledged.get(token) == Some(&alert.due) {
                    self.acknowledged.remove(token);
                }
            }
            AlertAction::Set => {}
        }
    }

    fn reported(&mut self, report: &Report, before: Option<&Effect>, w: &World, did: &Did) {
        let of = |action: AlertAction| {
            matches!(before, Some(Effect::Tell(told, alert))
                if *told == action && Some(&alert.token) == report.token.as_ref())
        };
        let token = report.token.clone();
        match report.name {
            "AlertStarted" => {
                assert!(of(AlertAction::Ring), "{report:?} without a ring");
                assert!(self.open.insert(token.unwrap()), "{report:?} twice");
            }
            "AlertStopped" if of(AlertAction::Stop) => {
                assert!(self.open.remove(&token.unwrap()), "{report:?} of a silent one");
            }
            "AlertStopped" => {
                assert_eq!(*did, Did::Order("StopAlert"));
                let live = w.alerts.iter().find(|alert| Some(&alert.token) == token.as_ref());
                assert!(live.is_none(), "{report:?} of one that is there");
            }
            name => assert!(name.ends_with("Failed"), "{report:?} before it is kept"),
        }
    }

    fn staged(&mut self, steps: &[Step], report: Option<&Report>) {
        let is_set = report.is_some_and(|report| report.name == "SetAlertSucceeded");
        for step in steps {
            match step {
                Step::Put(alert) if is_set => {
                    self.edits.insert((alert.token.clone(), alert.due));
                }
                Step::Put(alert) => {
                    self.listed.insert((alert.token.clone(), alert.due));
                    self.replaced(&alert.token);
                }
                Step::Remove(token) => self.replaced(token),
            }
        }
    }

    /// By an order that is not acknowledged, or takes it away.
    fn replaced(&mut self, token: &Token) {
        self.acknowledged.remove(token);
        self.edits.retain(|(edited, _)| edited != token);
    }

    fn check_state(&mut self, w: &mut World, effects: &[Effect], did: &Did) {
        let projected = w.alerts.projected();
        let ringing: Vec<_> =
            w.alerts.iter().filter(|a| a.phase == Phase::Ringing).map(|a| &a.token).collect();
        assert_eq!(ringing, self.open.iter().collect::<Vec<_>>(), "what rings was told to");
        assert_eq!(w.alerts.state().get(), expected_state(w));
        if let (Did::Order(_), Some(Effect::Stage { state, .. })) = (did, effects.last()) {
            let all: Vec<_> = projected.iter().map(|alert| alert.token.as_str()).collect();
            assert_eq!(tokens(state.get(), "allAlerts"), all.join(" "), "a staged state");
        }
    }

    /// What is due and heard has rung, what was missed is gone, and the next look at the clock is
    /// near. After a step of the clock there are 30 s for that.
    fn check_time(&mut self, w: &World) {
        let longest = Duration::from_secs(30) + Duration::from_millis(2);
        self.stepped_at = self.stepped_at.filter(|at| w.now.mono - *at < longest);
        for alert in w.alerts.iter().filter(|alert| alert.phase == Phase::Set) {
            let next = w.alerts.poll_timeout().expect("an alert waits");
            assert!(next <= w.now.mono + longest, "it sleeps too long");
            let late = w.now.wall.duration_since(alert.due);
            let late = Duration::try_from(late).unwrap_or_default();
            if self.stepped_at.is_none() && late > Duration::from_millis(2) {
                assert!(!w.is_audible, "{} is due and heard, and does not ring", alert.token);
                let end = w.settings.past_due_window + Duration::from_millis(2);
                assert!(late <= end, "{} was missed and is still there", alert.token);
            }
        }
    }

    fn check_stops_kept(&self, w: &mut World) {
        for occurrence in w.stops_kept.drain(..) {
            let kept = w.store.kept.get(&occurrence.0).filter(|kept| kept.due == occurrence.1);
            if let Some(kept) = kept.filter(|_| !self.set_again.contains(&occurrence)) {
                assert_eq!(kept.phase, Phase::Stopped, "{occurrence:?} would ring again");
            }
        }
    }

    /// All that waited has been saved: the store has what the machine has.
    pub fn settled(&mut self, w: &World) {
        let line = |a: &Arc<Alert>| {
            (a.token.clone(), a.kind, a.due, a.phase, a.label.clone(), a.scheduled_time.clone())
        };
        let kept: Vec<_> = w.store.kept.values().map(line).collect();
        assert_eq!(kept, w.alerts.iter().map(line).collect::<Vec<_>>(), "the store differs");
        self.edits.clear();
        self.listed.clear();
        // A list may name an edit that failed: then the list has made it.
        for alert in w.alerts.iter() {
            self.acknowledged.entry(alert.token.clone()).and_modify(|due| *due = alert.due);
        }
    }

    /// The process has died and started again; what is checked next belongs to the new one.
    pub fn restarted(&mut self, w: &World, kept: &BTreeMap<Token, Arc<Alert>>) {
        for (token, due) in &self.acknowledged {
            let alert = kept.get(token).unwrap_or_else(|| panic!("{token} is lost"));
            let occurrence = (token.clone(), alert.due);
            let is_ordered = self.edits.contains(&occurrence) || self.listed.contains(&occurrence);
            let is_right = alert.due == *due || is_ordered;
            assert!(is_right, "{token} was acknowledged for {due}, and is there for {}", alert.due);
        }
        let of = |token: &Token| Some((token.clone(), kept.get(token)?.due));
        self.acknowledged = self
            .acknowledged
            .keys()
            .filter_map(of)
            .filter(|_| !w.settings.forget_offline)
            .collect();
        self.edits.clear();
        self.listed.clear();
        let has_rung = |alert: &&Arc<Alert>| alert.phase != Phase::Set;
        self.rang = kept.values().filter(has_rung).map(|a| (a.token.clone(), a.due)).collect();
        let rings = |alert: &&Arc<Alert>| alert.phase == Phase::Ringing;
        self.open = kept.values().filter(rings).map(|alert| alert.token.clone()).collect();
        self.stepped_at = None;
    }

    /// The account's alerts are gone by order of nobody.
    pub fn forgotten(&mut self) {
        self.acknowledged.clear();
        self.edits.clear();
        self.listed.clear();
    }
}

fn expected_state(w: &World) -> String {
    let info = |alert: &Arc<Alert>| {
        let (token, kind, time) = (&alert.token, alert.kind.as_str(), &alert.scheduled_time);
        format!(r#"{{"token":"{token}","type":"{kind}","scheduledTime":"{time}"}}"#)
    };
    let ringing = w.alerts.iter().filter(|alert| alert.phase == Phase::Ringing);
    let all: Vec<_> = w.alerts.iter().map(info).collect();
    let active: Vec<_> = ringing.map(info).collect();
    format!(r#"{{"allAlerts":[{}],"activeAlerts":[{}]}}"#, all.join(","), active.join(","))
}
