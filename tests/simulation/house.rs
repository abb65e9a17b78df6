//! The appliance and its broker.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use cic_gateway::{
    appliance::{
        alerts::AlertAction,
        core::Input,
        message::{Down, StopReason},
    },
    cic::directive::Directive,
    mqtt::native,
};
use jiff::Timestamp;
use rand::{Rng, rngs::SmallRng};
use serde_json::{Value, json};

use crate::world::{Event, World};

/// A message of the appliance.
#[derive(Debug, Clone)]
pub struct Said {
    topic: String,
    payload: Bytes,
    retained: bool,
}

/// What the appliance does by itself, later.
#[derive(Debug)]
pub enum Act {
    Audio { utterance: String, left: u32 },
    Speech { token: String, state: &'static str },
    Music { token: String, state: &'static str },
    PressStop { token: String },
    Answer { question: String },
    Result { message: String, ok: bool },
    Announce,
}

#[derive(Debug)]
pub struct House {
    pub is_on: bool,
    pub broker_is_up: bool,
    /// The retained `up/status`.
    status: Option<bool>,
    /// With the broker, or on the appliance: what the gateway has not got yet.
    waiting: Vec<Said>,
    /// With the gateway's link: what the broker has not got yet.
    held: Vec<(u64, Down)>,
    last_said: Duration,
    last_heard: Duration,
    /// What it shows: when, and whether it rings.
    pub alerts: BTreeMap<String, (Timestamp, bool)>,
    utterance: Option<String>,
    names: u64,
    /// It reports little.
    is_sloppy: bool,
}

impl House {
    pub fn new(rng: &mut SmallRng) -> Self {
        Self {
            is_on: false,
            broker_is_up: true,
            status: None,
            waiting: Vec::new(),
            held: Vec::new(),
            last_said: Duration::ZERO,
            last_heard: Duration::ZERO,
            alerts: BTreeMap::new(),
            utterance: None,
            names: 0,
            is_sloppy: rng.random_ratio(1, 6),
        }
    }
}

impl World {
    pub fn say_json(&mut self, topic: &str, payload: Value) {
        self.say_bytes(topic, payload.to_string().into());
    }

    /// The appliance publishes something.
    pub fn say_bytes(&mut self, topic: &str, payload: Bytes) {
        if !self.house.is_on {
            return;
        }
        let said = Said { topic: topic.to_owned(), payload, retained: false };
        let is_audio = topic.starts_with("up/audio/");
        if self.chance(200) && !is_audio {
            self.pass_on(said.clone());
        }
        self.pass_on(said);
    }

    fn pass_on(&mut self, said: Said) {
        let wait = self.ms(1..30);
        let at = (self.at + wait).max(self.house.last_said);
        self.house.last_said = at;
        self.at_time(at, Event::Said(said));
    }

    /// The broker has it, and hands it to the gateway.
    pub fn said(&mut self, said: Said) {
        let is_audio = said.topic.starts_with("up/audio/");
        if !said.retained && said.topic == "up/status" {
            self.house.status = Some(&*said.payload == b"online");
        }
        if !self.house.broker_is_up || self.process.is_none() {
            if !is_audio && !said.retained {
                self.house.waiting.push(said);
            }
            return;
        }
        let received = self.now().mono;
        let input = match native::decode(&said.topic, said.payload, said.retained, received) {
            Ok(up) => Input::Up(up),
            Err(error) => Input::Rejected(error),
        };
        self.feed(input);
    }

    /// The gateway publishes something.
    pub fn publish(&mut self, life: u64, down: Down) {
        if !self.house.broker_is_up {
            if !matches!(down, Down::Audio { .. }) {
                self.house.held.push((life, down));
            }
            return;
        }
        let wait = self.ms(1..15);
        let at = (self.at + wait).max(self.house.last_heard);
        self.house.last_heard = at;
        self.at_time(at, Event::Heard { life, down: Box::new(down) });
    }

    pub fn broker_goes(&mut self) {
        self.tell(|| "the broker goes".into());
        self.house.broker_is_up = false;
        self.feed(Input::BrokerLost);
    }

    pub fn broker_comes(&mut self) {
        self.tell(|| "the broker comes".into());
        self.house.broker_is_up = true;
        let life = self.process.as_ref().map(|process| process.life);
        for (of, down) in std::mem::take(&mut self.house.held) {
            if Some(of) == life {
                self.publish(of, down);
            }
        }
        // Its last will may have said that the appliance is gone.
        if self.house.is_on && self.chance(2) {
            self.house.status = Some(false);
        }
        self.feed(Input::BrokerReturned);
        self.broker_repeats();
        let wait = self.ms(10..5000);
        self.after(wait, Event::House(Act::Announce));
    }

    /// What is retained, and what nobody has acknowledged.
    pub fn broker_repeats(&mut self) {
        if !self.house.broker_is_up {
            return;
        }
        if let Some(online) = self.house.status {
            let payload = if online { "online" } else { "offline" };
            let topic = "up/status".to_owned();
            self.pass_on(Said { topic, payload: payload.into(), retained: true });
        }
        for said in std::mem::take(&mut self.house.waiting) {
            self.pass_on(said);
        }
    }

    pub fn appliance_comes(&mut self) {
        self.house.is_on = true;
        self.announce();
    }

    pub fn appliance_goes(&mut self) {
        self.tell(|| "the appliance goes".into());
        self.say_bytes("up/status", Bytes::from_static(b"offline"));
        self.house.is_on = false;
        self.house.utterance = None;
    }

    fn announce(&mut self) {
        let state = json!({"Speaker.VolumeState": {"volume": 3, "muted": false}});
        self.say_bytes("up/status", Bytes::from_static(b"online"));
        self.say_json("up/state", state);
    }

    pub fn start_utterance(&mut self, question: Option<String>) {
        self.house.names += 1;
        let utterance = format!("u{}", self.house.names);
        let mut payload = json!({"utterance": utterance, "lang": "ko"});
        if let Some(question) = question {
            payload["expectSpeechId"] = question.into();
        }
        self.house.utterance = Some(utterance.clone());
        let is_early = self.chance(4);
        if is_early {
            self.say_bytes(&format!("up/audio/{utterance}"), Bytes::from_static(&[1; 3200]));
        }
        self.say_json("up/recognize", payload);
        let left = self.rng.random_range(0..30);
        self.after(Duration::from_millis(100), Event::House(Act::Audio { utterance, left }));
    }

    pub fn cancel_utterance(&mut self) {
        if let Some(utterance) = self.house.utterance.take() {
            self.say_json("up/recognize", json!({"utterance": utterance, "cancel": true}));
        }
    }

    pub fn house_acts(&mut self, act: Act) {
        match act {
            Act::Audio { utterance, left } => self.speak_on(utterance, left),
            Act::Speech { token, state } => {
                self.say_json("up/speech", json!({"token": token, "state": state}));
                if state == "started" {
                    let wait = self.ms(500..8000);
                    let act = Act::Speech { token, state: "finished" };
                    self.after(wait, Event::House(act));
                }
            }
            Act::Music { token, state } => {
                let payload = json!({"token": token, "state": state,
                    "offsetInMilliseconds": self.rng.random_range(0..60_000)});
                self.say_json("up/playback", payload);
                if state == "started" {
                    let wait = self.ms(20_000..200_000);
                    self.after(wait, Event::House(Act::Music { token, state: "finished" }));
                }
            }
            Act::PressStop { token } => {
                if self.house.alerts.get(&token).is_some_and(|(_, rings)| *rings) {
                    self.say_json("up/button", json!({"button": "stopAlert", "token": token}));
                }
            }
            Act::Answer { question } => self.start_utterance(Some(question)),
            Act::Result { message, ok } => {
                self.say_json("up/result", json!({"messageId": message, "ok": ok}));
            }
            Act::Announce if self.house.is_on => self.announce(),
            Act::Announce => {}
        }
    }

    fn speak_on(&mut self, utterance: String, left: u32) {
        if self.house.utterance.as_ref() != Some(&utterance) {
            return;
        }
        let topic = format!("up/audio/{utterance}");
        match left {
            0 => {
                self.say_bytes(&topic, Bytes::new());
                self.house.utterance = None;
            }
            // It falls silent.
            _ if self.chance(300) => {}
            _ => {
                self.say_bytes(&topic, Bytes::from_static(&[1; 3200]));
                let act = Act::Audio { utterance, left: left - 1 };
                self.after(Duration::from_millis(100), Event::House(act));
            }
        }
    }

    /// The appliance has a message of the gateway.
    pub fn heard(&mut self, life: u64, down: Down) {
        if !self.house.broker_is_up {
            // The broker lost it before the appliance had it; the link has it still, or not.
            if self.chance(2) {
                self.house.held.push((life, down));
            }
            return;
        }
        if !self.house.is_on {
            return;
        }
        match down {
            Down::CaptureStop { utterance, reason, .. } => {
                self.house.utterance.take_if(|running| *running == utterance.as_str());
                if reason == StopReason::Failed && self.chance(3) {
                    self.start_utterance(None);
                }
            }
            Down::CaptureListen { expect_speech_id, .. } if self.chance(2) => {
                let question = expect_speech_id.as_str().to_owned();
                let wait = self.ms(100..6000);
                self.after(wait, Event::House(Act::Answer { question }));
            }
            Down::Directive { directive, .. } => self.obey(&directive),
            Down::Alert(action, alert) => {
                let token = alert.token.as_str().to_owned();
                match action {
                    AlertAction::Set => drop(self.house.alerts.insert(token, (alert.due, false))),
                    AlertAction::Ring => {
                        self.house.alerts.insert(token.clone(), (alert.due, true));
                        let wait = self.ms(500..120_000);
                        if !self.chance(3) {
                            self.after(wait, Event::House(Act::PressStop { token }));
                        }
                    }
                    // Stopped, it waits for what CIC says of it, and is shown no longer.
                    AlertAction::Stop | AlertAction::Delete => {
                        self.house.alerts.remove(&token);
                    }
                }
            }
            _ => {}
        }
    }

    fn obey(&mut self, directive: &Directive) {
        if self.house.is_sloppy && !self.chance(4) {
            return;
        }
        let payload: Value = directive.payload_as().unwrap();
        let token = payload["token"].as_str().or(payload["audioItem"]["stream"]["token"].as_str());
        let token = token.unwrap_or_default().to_owned();
        let wait = self.ms(30..600);
        match (directive.namespace.as_str(), directive.name.as_str()) {
            ("SpeechSynthesizer", "Speak") => {
                self.after(wait, Event::House(Act::Speech { token, state: "started" }));
            }
            ("AudioPlayer", "Play") => {
                let state = if self.chance(20) { "failed" } else { "started" };
                self.after(wait, Event::House(Act::Music { token, state }));
            }
            ("DeviceControl" | "Settings" | "Clova", _) => {
                let message = directive.message_id.as_str().to_owned();
                let ok = !self.chance(5);
                self.after(wait, Event::House(Act::Result { message, ok }));
            }
            _ => {}
        }
    }
}
