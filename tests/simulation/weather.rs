//! Faults, and what the user does.

use std::time::Duration;

use cic_gateway::{appliance::message::SessionState, cic::message::CloseReason};
use jiff::SignedDuration;
use rand::{Rng, seq::IndexedRandom};
use serde_json::json;

use crate::{
    cloud::{Act as CloudAct, Mood},
    store::Health,
    world::{Event, World},
};

/// A change of the weather.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Cloud(Mood),
    Broker(bool),
    House(bool),
    Store(Health),
    Clock(SignedDuration),
    Kill,
    Start,
    Panic,
    Pairing(bool),
    Revoke,
    Auth(bool),
    Reset,
    HalfOpen,
}

#[derive(Debug, Default)]
pub struct Weather {
    /// When it last changed.
    pub calm_since: Duration,
    pub auth_is_down: bool,
    clock_is_wrong: bool,
    cloud_is_bad: bool,
    store_is_bad: bool,
    /// Mean time between what the user does, s.
    user_every: u64,
}

impl Weather {
    /// Whether nothing is wrong that keeps a session from standing.
    pub fn is_calm(&self) -> bool {
        !self.auth_is_down && !self.cloud_is_bad && !self.clock_is_wrong
    }
}

impl World {
    /// Decides what goes wrong, and for how long.
    pub fn make_weather(&mut self, long: Duration) {
        let mean = [600, 2400, 7200][self.rng.random_range(0..3)];
        self.weather.user_every = [300, 900, 1800][self.rng.random_range(0..3)];
        self.after(Duration::from_secs(30), Event::User);
        let mut at = Duration::from_secs(60);
        while at < long {
            let shortest = [1_000, 20_000].choose(&mut self.rng).unwrap();
            let lengths = [10_000, 300_000, 4_000_000];
            let longest = shortest + lengths[self.rng.random_range(0..lengths.len())];
            let length = self.ms(*shortest..longest);
            self.make_fault(at, length);
            at += self.ms(1000..mean * 2000);
        }
    }

    fn make_fault(&mut self, at: Duration, length: Duration) {
        let until = at + length;
        let (begin, end) = match self.rng.random_range(0..100) {
            0..8 => (Act::Cloud(Mood::Refusing), Some(Act::Cloud(Mood::Good))),
            8..14 => (Act::Cloud(Mood::BlackHole), Some(Act::Cloud(Mood::Good))),
            14..26 => (Act::Cloud(Mood::Flaky), Some(Act::Cloud(Mood::Good))),
            26..38 => (Act::Broker(false), Some(Act::Broker(true))),
            38..50 => (Act::House(false), Some(Act::House(true))),
            50..57 => (Act::Store(Health::Failing), Some(Act::Store(Health::Good))),
            57..62 => (Act::Store(Health::Stalling), Some(Act::Store(Health::Good))),
            62..70 => {
                let hours = self.rng.random_range(-2..=2_i64);
                let by = SignedDuration::from_secs(hours * 3600 + self.rng.random_range(-90..90));
                (Act::Clock(by), Some(Act::Clock(SignedDuration::ZERO)))
            }
            70..80 => (Act::Kill, Some(Act::Start)),
            80..84 => (Act::Panic, None),
            84..86 => (Act::Pairing(false), Some(Act::Pairing(true))),
            86..88 => (Act::Pairing(true), None),
            88..90 => (Act::Revoke, None),
            90..93 => (Act::Auth(false), Some(Act::Auth(true))),
            93..97 => (Act::Reset, None),
            _ => (Act::HalfOpen, None),
        };
        self.at_time(at, Event::Weather(begin));
        if let Some(end) = end {
            self.at_time(until, Event::Weather(end));
        }
    }

    pub fn weather_acts(&mut self, act: Act) {
        self.tell(|| format!("WEATHER {act:?}"));
        self.weather.calm_since = self.at;
        match act {
            Act::Cloud(mood) => self.cloud_becomes(mood),
            Act::Broker(true) if !self.house.broker_is_up => self.broker_comes(),
            Act::Broker(false) if self.house.broker_is_up => self.broker_goes(),
            Act::House(true) if !self.house.is_on => self.appliance_comes(),
            Act::House(false) if self.house.is_on => self.appliance_goes(),
            Act::Store(health) => {
                self.store.health = health;
                self.weather.store_is_bad = health != Health::Good;
            }
            Act::Clock(error) => self.set_clock(error),
            Act::Kill => self.kill(),
            Act::Start if self.process.is_none() => {
                self.start_process();
                self.broker_repeats();
            }
            Act::Panic => self.respawn(),
            Act::Pairing(true) => self.pair(),
            Act::Pairing(false) => self.unpair(),
            Act::Revoke => self.accounts.revoke(),
            Act::Auth(is_up) => self.weather.auth_is_down = !is_up,
            Act::Reset => self.close_session(CloseReason::Lost("GOAWAY".into())),
            Act::HalfOpen => {
                if let Some(number) = self.cloud.current(self.accounts.pairing) {
                    self.half_open(number);
                }
            }
            _ => {}
        }
    }

    fn set_clock(&mut self, error: SignedDuration) {
        self.clock_error = error;
        self.checker.stepped_at = self.at;
        self.weather.clock_is_wrong = error != SignedDuration::ZERO;
    }

    fn cloud_becomes(&mut self, mood: Mood) {
        self.cloud.mood = mood;
        self.weather.cloud_is_bad = mood != Mood::Good;
        match (mood, self.cloud.current(self.accounts.pairing)) {
            (Mood::Refusing, _) => self.close_session(CloseReason::Lost("reset".into())),
            (Mood::BlackHole, Some(number)) => self.half_open(number),
            _ => {}
        }
    }

    /// All is well from now on.
    pub fn mend(&mut self) {
        self.tell(|| "ALL IS MENDED".into());
        drop(self.take_events(|event| matches!(event, Event::Weather(_) | Event::User)));
        for act in [
            Act::Store(Health::Good),
            Act::Auth(true),
            Act::Cloud(Mood::Good),
            Act::Clock(SignedDuration::ZERO),
            Act::Start,
            Act::Broker(true),
            Act::House(true),
        ] {
            self.weather_acts(act);
        }
        if self.accounts.pairing.is_none() {
            self.pair();
        }
    }

    /// The user pairs an appliance again that CLOVA no longer accepts.
    pub fn look_after_pairing(&mut self) {
        if self.checker.session == Some(SessionState::Unauthorized) && self.process.is_some() {
            self.pair();
        }
    }

    pub fn user_acts(&mut self) {
        let mean = self.weather.user_every;
        let wait = if self.chance(3) { self.ms(100..8000) } else { self.ms(1000..mean * 2000) };
        self.after(wait, Event::User);
        match self.rng.random_range(0..24) {
            0..6 => self.start_utterance(None),
            6..9 => self.say_json("up/text", json!({"text": "what time is it"})),
            9 => self.cancel_utterance(),
            10..16 => {
                // In CLOVA's app.
                if self.accounts.pairing.is_some() {
                    let (name, payload) = self.alert_order();
                    self.order(name, None, payload);
                }
            }
            16 => self.cloud_acts(CloudAct::List),
            17 => {
                let foreign = self.accounts.name("foreign");
                let dialogue = [None, Some(foreign), self.checker.some_dialogue(&mut self.rng)];
                let dialogue = dialogue.choose(&mut self.rng).unwrap().clone();
                self.order("DeviceControl.TurnOn", dialogue, json!({"target": "wifi"}));
            }
            18 => self.say_json("up/button", json!({"button": "pause"})),
            19 => self.say_json("up/button", json!({"button": "stopAlert"})),
            20 => {
                let tokens: Vec<_> = self.house.alerts.keys().cloned().collect();
                if let Some(token) = tokens.choose(&mut self.rng) {
                    self.say_json("up/button", json!({"button": "deleteAlert", "token": token}));
                }
            }
            21 => self.say_bytes("up/text", "no JSON".into()),
            22 => self.say_json("up/settings", json!({"configuration": {"a": "b"}})),
            _ => {
                let event = json!({"namespace": "Clova", "name": "ProcessDelegatedEvent",
                    "payload": {"delegationId": "d"}});
                self.say_json("up/event", event);
            }
        }
    }
}
