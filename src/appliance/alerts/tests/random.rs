//! Random sequences of everything that can happen, against what must always hold.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    super::{Alert, AlertSettings},
    checker::{Checker, Did},
    store::Kept,
    world::{World, noon},
};
use crate::ids::Token;

const SEEDS: u64 = 1500;
const STEPS: usize = 90;
const TOKENS: [(&str, &str); 6] = [
    ("a", "ALARM"),
    ("b", "ALARM"),
    ("r", "REMINDER"),
    ("s", "TIMER"),
    ("t", "TIMER"),
    ("x", "ACTIONTIMER"),
];

/// Orders, buttons, reports, saves that work and fail after any number of steps, clock steps,
/// sleeps, the appliance, CIC and the account coming and going, and the end of the process, all in
/// random order. What holds throughout ([`Checker`]):
///
/// 1. An occurrence (token and time) rings once, unless it is gone and CIC sets it again, the
///    account's end silenced it and CIC lists it again, or the process dies before its ringing was
///    kept.
/// 2. AlertStarted follows each ring told for the first time, AlertStopped each stop told, and the
///    two alternate. Silent without report: an edit while it rings, the account's end, and what is
///    repeated for an appliance that was away. AlertStopped without a stop answers StopAlert for
///    what nobody knows.
/// 3. It rings heard, never before its time and never beyond the window.
/// 4. What is due and heard rings at the next timeout, what was missed goes; within 30 s after a
///    step of the clock.
/// 5. While an alert waits the next timeout is at most 30 s away, and never now again.
/// 6. `...Succeeded` is told only with what is staged.
/// 7. `activeAlerts` are the ringing ones, `allAlerts` all; a staged state is the state to come.
/// 8. A failed order leaves no trace but its `...Failed`; CIC's list counts all the same.
/// 9. Once all is saved the store has what the machine has.
/// 10. After the end of the process no alert that was acknowledged is missing, unless it was
///     deleted, replaced or missed, and none of which the store has AlertStopped rings again.
/// 11. CIC is asked only while it is there.
///
/// `ALERTS_SEED=n` plays one sequence again and prints it; `ALERTS_SEEDS=n` plays that many.
#[test]
fn whatever_happens_in_whatever_order_no_promise_is_broken() {
    if let Ok(seed) = std::env::var("ALERTS_SEED") {
        return Sequence::new(seed.parse().unwrap(), true).run();
    }
    let seeds = std::env::var("ALERTS_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        Sequence::new(seed, false).run();
    }
}

struct Sequence {
    seed: u64,
    rng: StdRng,
    w: World,
    checker: Checker,
    /// What CIC has ever sent.
    sent: Vec<Value>,
    is_told: bool,
}

impl Drop for Sequence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to play it again: ALERTS_SEED={}", self.seed);
        }
    }
}

impl Sequence {
    fn new(seed: u64, is_told: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = AlertSettings {
            forget_offline: rng.random_ratio(1, 6),
            past_due_window: Duration::from_secs(120),
            ring_timeout: Duration::from_secs(100),
        };
        let mut w = World::started(settings, Kept::new(), noon());
        w.audible(true, true);
        w.connected(true);
        Self { seed, rng, w, checker: Checker::default(), sent: Vec::new(), is_told }
    }

    fn run(mut self) {
        self.checker.check(&mut self.w, &Did::Dropped);
        for _ in 0..STEPS {
            let (what, did) = self.step();
            if self.is_told {
                eprintln!("{what}: {:?} has [{}]", self.w.now.wall, self.w.has());
            }
            self.checker.check(&mut self.w, &did);
        }
        self.settle();
    }

    fn step(&mut self) -> (String, Did) {
        match self.rng.random_range(0..100) {
            0..16 => self.set(),
            16..21 => self.name_one("DeleteAlert"),
            21..26 => self.name_one("StopAlert"),
            26..28 => self.clear(),
            28..35 => self.synchronize(),
            35..41 => self.press(),
            41..60 => self.pass(),
            60..64 => self.step_clock(),
            64..68 => self.connect(),
            68..74 => self.hear(),
            74..82 => {
                self.w.begin_save();
                ("a save begins".into(), Did::Other)
            }
            82..90 => {
                self.w.end_save();
                ("a save ends".into(), Did::Save)
            }
            90..94 => self.fail(),
            94..97 => {
                self.settle();
                ("all is saved".into(), Did::Save)
            }
            97..99 => self.die(),
            _ => self.unpair(),
        }
    }

    fn order(&mut self, name: &'static str, payload: &Value) -> (String, Did) {
        let result = self.w.try_order(name, payload);
        (format!("{name} {payload} {result:?}"), Did::Order(name))
    }

    fn payload(&mut self) -> Value {
        let (token, kind) = *TOKENS.choose(&mut self.rng).unwrap();
        // No two at the same millisecond: token and time name one occurrence.
        let due_in = self.rng.random_range(-70_000..300_000_i64);
        let due = self.w.now.wall + SignedDuration::from_millis(due_in);
        let payload = json!({"token": token, "type": kind, "scheduledTime": due.to_string(),
            "label": self.rng.random_range(0..3).to_string()});
        self.sent.push(payload.clone());
        payload
    }

    /// Something new, or something that was sent before.
    fn set(&mut self) -> (String, Did) {
        let again = self.rng.random_ratio(1, 8);
        let old = self.sent.choose(&mut self.rng).filter(|_| again).cloned();
        let mut payload = old.unwrap_or_else(|| self.payload());
        if self.rng.random_ratio(1, 20) {
            payload["scheduledTime"] = json!("tomorrow");
        }
        self.order("SetAlert", &payload)
    }

    fn name_one(&mut self, name: &'static str) -> (String, Did) {
        let (token, mut kind) = *TOKENS.choose(&mut self.rng).unwrap();
        if self.rng.random_ratio(1, 10) {
            kind = "ALARM";
        }
        self.order(name, &json!({"token": token, "type": kind}))
    }

    fn clear(&mut self) -> (String, Did) {
        let kind = TOKENS.choose(&mut self.rng).unwrap().1;
        self.order("ClearAlert", &json!({"type": kind}))
    }

    fn synchronize(&mut self) -> (String, Did) {
        let live: Vec<Arc<Alert>> = self.w.alerts.iter().cloned().collect();
        let mut all = Vec::new();
        for alert in live {
            match self.rng.random_range(0..10) {
                0 => {}
                1 => all.push(json!({"token": alert.token, "type": alert.kind.as_str(),
                    "scheduledTime": alert.scheduled_time, "label": "another"})),
                _ => all.push(json!({"token": alert.token, "type": alert.kind.as_str(),
                    "scheduledTime": alert.scheduled_time, "label": alert.label})),
            }
        }
        for _ in 0..self.rng.random_range(0..3) {
            let old = self.sent.choose(&mut self.rng).cloned();
            all.push(match self.rng.random_range(0..4) {
                0 => json!({"token": "a", "type": "EGG_TIMER"}),
                1 => self.payload(),
                _ => old.unwrap_or_default(),
            });
        }
        self.order("SynchronizeAlert", &json!({ "allAlerts": all }))
    }

    fn press(&mut self) -> (String, Did) {
        let token = Token::from(TOKENS.choose(&mut self.rng).unwrap().0);
        let (now, which) = (self.w.now, self.rng.random_range(0..4));
        let result = match which {
            0 => self.w.alerts.stop_pressed(None, now),
            1 => self.w.alerts.stop_pressed(Some(&token), now),
            2 => self.w.alerts.delete_pressed(&token),
            _ => self.w.alerts.failed_to_ring(&token),
        };
        self.w.drain();
        (format!("button or report {which} {token} {result:?}"), Did::Other)
    }

    fn pass(&mut self) -> (String, Did) {
        let longest = *[10, 5_000, 60_000, 400_000].choose(&mut self.rng).unwrap();
        let by = Duration::from_millis(self.rng.random_range(0..longest));
        self.w.pass_by(by);
        (format!("{by:?} pass"), Did::Other)
    }

    fn step_clock(&mut self) -> (String, Did) {
        let by = match self.rng.random_range(0..12) {
            0..3 => 3600,
            3..6 => -3600,
            6 => 25 * 3600,
            _ => self.rng.random_range(-200..200),
        };
        self.w.step_clock(by);
        self.checker.stepped_at = Some(self.w.now.mono);
        (format!("the clock steps by {by} s"), Did::Other)
    }

    fn connect(&mut self) -> (String, Did) {
        let connected = !self.w.is_connected;
        self.w.connected(connected);
        if connected || self.rng.random() {
            return (format!("CIC is there: {connected}"), Did::Other);
        }
        self.w.alerts.connection_given_up(self.w.now);
        self.w.drain();
        if self.w.settings.forget_offline {
            self.checker.forgotten();
            assert_eq!(self.w.has(), "");
        }
        ("the connection is given up".into(), Did::Dropped)
    }

    fn hear(&mut self) -> (String, Did) {
        let (audible, announce) = (self.rng.random_ratio(2, 3), self.rng.random());
        self.w.audible(audible, announce);
        (format!("the appliance is there: {audible}, announced: {announce}"), Did::Audible)
    }

    fn fail(&mut self) -> (String, Did) {
        self.w.effects.clear();
        let before: Vec<_> = self.w.alerts.iter().cloned().collect();
        let (answered, lists) = self.w.fail_save(self.rng.random());
        let after: Vec<_> = self.w.alerts.iter().cloned().collect();
        let same = |(a, b): (&Arc<Alert>, &Arc<Alert>)| Arc::ptr_eq(a, b);
        if lists == 0 {
            let is_same = before.len() == after.len() && before.iter().zip(&after).all(same);
            assert!(is_same, "a failed order left a trace");
        }
        let is_failure = |effect: &&super::super::Effect| matches!(effect, super::super::Effect::Report(r) if r.name.ends_with("Failed"));
        assert_eq!(self.w.effects.iter().filter(is_failure).count(), answered);
        (format!("a save fails with {answered} orders and {lists} lists"), Did::Save)
    }

    fn settle(&mut self) {
        self.w.save();
        self.checker.check(&mut self.w, &Did::Save);
        self.checker.settled(&self.w);
    }

    fn die(&mut self) -> (String, Did) {
        let (after, reached) = (self.rng.random_range(0..200), self.rng.random());
        self.w.restart_after_saving(after, reached);
        let kept = self.w.store.kept.clone();
        self.checker.restarted(&self.w, &kept);
        self.w.pass_by(Duration::from_millis(5));
        (format!("the process dies, and starts again after {after} s"), Did::Dropped)
    }

    fn unpair(&mut self) -> (String, Did) {
        self.w.connected(false);
        self.checker.check(&mut self.w, &Did::Other);
        self.w.alerts.unpaired(self.w.now);
        self.w.drain();
        self.w.store.clear();
        self.checker.forgotten();
        assert!(self.w.alerts.projected().is_empty());
        ("the pairing is gone".into(), Did::Dropped)
    }
}
