//! Time, buttons, and the appliance's own reports.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Alert, AlertAction, AlertSettings, Alerts, Effect, Phase, Refused, Report};
use crate::{clock::Now, ids::Token};

/// Longest sleep before the wall clock is looked at again: it may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long StopAlert is waited for after a button: then the alert is stopped all the same.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// A stopped alert that CIC neither deletes nor sets anew is dropped after this.
const STOPPED_FOR: Duration = Duration::from_secs(24 * 3600);

/// An alert that rings.
#[derive(Debug)]
pub(super) struct Ring {
    ends: Instant,
    /// Set once CIC has been asked to stop it.
    stop_by: Option<Instant>,
}

impl Ring {
    fn new(settings: &AlertSettings, now: Now) -> Self {
        Self { ends: now.mono + settings.ring_timeout, stop_by: None }
    }

    /// One that was ringing when the last process ended.
    pub(super) fn resumed(alert: &Alert, settings: &AlertSettings, now: Now) -> Self {
        let rung = Duration::try_from(now.wall.duration_since(alert.since)).unwrap_or_default();
        Self { ends: now.mono + settings.ring_timeout.saturating_sub(rung), stop_by: None }
    }

    pub(super) fn is_stop_asked(&self) -> bool {
        self.stop_by.is_some()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.stop_by.map_or(self.ends, |by| by.min(self.ends))
    }
}

impl Alerts {
    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.end_rings(now);
        if self.wake_at.is_some_and(|at| at <= now.mono) {
            self.ring_due(now);
        }
    }

    /// The stop button: one alert, or every ringing one. CIC decides while it is there; otherwise
    /// the alert is stopped at once.
    ///
    /// # Errors
    /// [`Refused::Unknown`] for a token that nobody knows.
    pub fn stop_pressed(&mut self, token: Option<&Token>, now: Now) -> Result<(), Refused> {
        let tokens: Vec<Token> = match token {
            None => self.rings.keys().cloned().collect(),
            Some(token) if self.live.contains_key(token) => vec![token.clone()],
            Some(_) => return Err(Refused::Unknown),
        };
        for token in tokens {
            self.ask_to_stop(&token, now);
        }
        Ok(())
    }

    /// The delete button.
    ///
    /// # Errors
    /// When the token is unknown, or CIC is away: only it can delete.
    pub fn delete_pressed(&mut self, token: &Token) -> Result<(), Refused> {
        let alert = self.live.get(token).ok_or(Refused::Unknown)?;
        if !self.connected {
            return Err(Refused::NotConnected);
        }
        self.effects.push_back(Effect::Ask(Report::new("RequestDeleteAlert", alert)));
        Ok(())
    }

    /// The appliance reports that it could not ring.
    ///
    /// # Errors
    /// [`Refused::Unknown`] for a token that nobody knows; one that was just deleted is known.
    pub fn failed_to_ring(&mut self, token: &Token) -> Result<(), Refused> {
        let rung = || self.rung.iter().rev().find(|rung| rung.token == *token);
        let live = self.live.get(token).map(|alert| alert.kind);
        let kind = live.or_else(|| Some(rung()?.kind)).ok_or(Refused::Unknown)?;
        self.effects.push_back(Effect::Became(kind, "failed"));
        Ok(())
    }

    /// Whether this token is, or was a short while ago, an alert's.
    pub fn knows(&self, token: &Token) -> bool {
        self.live.contains_key(token) || self.rung.iter().any(|rung| rung.token == *token)
    }

    /// Rings what is due and can be heard; drops what was missed by more than the window.
    pub(super) fn ring_due(&mut self, now: Now) {
        let due = self.live.values().filter(|a| a.phase == Phase::Set && a.due <= now.wall);
        let mut due: Vec<Arc<Alert>> = due.cloned().collect();
        due.sort_by_key(|alert| alert.due);
        let mut missed = false;
        for alert in due {
            let late = Duration::try_from(now.wall.duration_since(alert.due)).unwrap_or_default();
            if late > self.settings.past_due_window {
                self.miss(&alert, now);
                missed = true;
            } else if self.audible {
                self.ring(&alert, late, now);
            }
        }
        if missed {
            self.effects.push_back(Effect::Synchronize);
        }
        self.drop_stopped(now);
        self.arm(now);
    }

    fn ring(&mut self, alert: &Arc<Alert>, late: Duration, now: Now) {
        self.rings.insert(alert.token.clone(), Ring::new(&self.settings, now));
        // A stop that it has missed belongs to an earlier occurrence.
        self.owed.retain(|(_, owed)| owed.token != alert.token);
        let ringing = Arc::new(alert.in_phase(Phase::Ringing, now.wall));
        self.put(ringing.clone(), now);
        self.effects.extend([
            Effect::Tell(AlertAction::Ring, ringing.clone()),
            Effect::Report(Report::new("AlertStarted", &ringing)),
            Effect::Became(ringing.kind, "ringing"),
            Effect::Late(late),
        ]);
    }

    /// CIC gets neither Started nor Stopped for it; synchronising brings what comes next.
    fn miss(&mut self, alert: &Arc<Alert>, now: Now) {
        self.live.remove(&alert.token);
        self.tell(AlertAction::Delete, alert);
        self.keep(&alert.token);
        self.effects.push_back(Effect::Became(alert.kind, "missed"));
        self.changed(now);
    }

    /// Ends a ringing alert, whoever wanted it.
    pub(super) fn stop(&mut self, token: &Token, now: Now) {
        if self.rings.remove(token).is_none() {
            return;
        }
        let Some(alert) = self.live.get(token) else { return };
        let stopped = Arc::new(alert.in_phase(Phase::Stopped, now.wall));
        self.note_rung(&stopped);
        self.put(stopped.clone(), now);
        self.tell(AlertAction::Stop, &stopped);
        self.effects.push_back(Effect::Report(Report::new("AlertStopped", &stopped)));
        self.effects.push_back(Effect::Became(stopped.kind, "stopped"));
    }

    fn ask_to_stop(&mut self, token: &Token, now: Now) {
        if !self.connected {
            return self.stop(token, now);
        }
        let (Some(ring), Some(alert)) = (self.rings.get_mut(token), self.live.get(token)) else {
            return;
        };
        if ring.stop_by.is_none() {
            ring.stop_by = Some(now.mono + STOP_PATIENCE);
            // The automatic end comes after this, or it would ask again.
            ring.ends = ring.ends.max(now.mono + STOP_PATIENCE);
            self.effects.push_back(Effect::Ask(Report::new("RequestAlertStop", alert)));
        }
    }

    /// The automatic end is reported like a button (alerts 3.1); a button that CIC does not
    /// answer stops the alert all the same.
    fn end_rings(&mut self, now: Now) {
        let over = self.rings.iter().filter(|(_, ring)| ring.deadline() <= now.mono);
        let over: Vec<_> =
            over.map(|(token, ring)| (token.clone(), ring.is_stop_asked())).collect();
        for (token, asked) in over {
            match asked {
                true => self.stop(&token, now),
                false => self.ask_to_stop(&token, now),
            }
        }
    }

    fn drop_stopped(&mut self, now: Now) {
        let old = |alert: &Arc<Alert>| {
            let stopped = now.wall.duration_since(alert.since);
            alert.phase == Phase::Stopped
                && Duration::try_from(stopped).is_ok_and(|stopped| stopped > STOPPED_FOR)
        };
        let old: Vec<_> = self.live.values().filter(|alert| old(alert)).cloned().collect();
        for alert in old {
            self.live.remove(&alert.token);
            self.keep(&alert.token);
            self.tell(AlertAction::Delete, &alert);
            self.changed(now);
        }
    }

    /// Finds the next time that matters. The wall clock is looked at every 30 s, because it may
    /// be set, and the machine may sleep.
    pub(super) fn arm(&mut self, now: Now) {
        let matters = |alert: &Arc<Alert>| match alert.phase {
            Phase::Set if alert.due > now.wall => Some(alert.due),
            // Nobody hears it: it is missed at the end of the window.
            Phase::Set => alert.due.checked_add(self.settings.past_due_window).ok(),
            Phase::Stopped => alert.since.checked_add(STOPPED_FOR).ok(),
            Phase::Ringing | Phase::Deleted => None,
        };
        self.next_due = self.live.values().filter_map(matters).min();
        self.wake_at = self.next_due.map(|due| {
            let left = Duration::try_from(due.duration_since(now.wall)).unwrap_or_default();
            // A moment later, never earlier: timers and the wall clock differ by less than this.
            now.mono + (left + Duration::from_millis(1)).min(LONGEST_SLEEP)
        });
    }
}
