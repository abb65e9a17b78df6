//! The shell of one simulated appliance: receives, asks microphone and player, performs what comes
//! out. Many of them share a thread.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{
    ApplianceSettings, Heard, HeldAlert, Speech,
    bell::{Bell, Change},
    body::{self, Body},
    link::{Happened, Link, Order},
    microphone::{Microphone, Uttered},
    player::{self, Player},
};
use crate::mqtt::{Publication, Qos};

/// How long saying goodbye to the broker may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the owner of an appliance asks of it.
pub(super) enum Ask {
    Say { utterance: String, speech: Speech },
    Type { text: String, answers: Option<String> },
    Publish { rest: String, payload: Vec<u8> },
    BreakBell(bool),
}

/// Somebody looks at its alerts.
pub(super) type Look = oneshot::Sender<BTreeMap<String, HeldAlert>>;

/// How an appliance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It says `offline` and leaves.
    Polite,
    /// Its connection breaks.
    PowerCut,
}

/// Where it tells what it heard.
pub(super) type Teller = mpsc::Sender<(Instant, Heard)>;

/// One appliance.
pub(super) struct Life {
    up: String,
    down: String,
    out: Option<PathBuf>,
    link: Link,
    heard: Teller,
    player: Player,
    bell: Bell,
    body: Body,
    microphone: Option<Microphone>,
    connected: bool,
    written: usize,
}

impl Life {
    /// Must be called on the runtime that will run it.
    pub(super) fn new(settings: &ApplianceSettings, heard: Teller) -> Self {
        let up = format!("{}/{}/up", settings.root, settings.id);
        Self {
            link: Link::start(settings, &format!("{up}/status")),
            up,
            down: format!("{}/{}/down/", settings.root, settings.id),
            out: settings.out.clone(),
            heard,
            player: Player::new(settings.url_time),
            bell: Bell::default(),
            body: Body::new(settings),
            microphone: None,
            connected: false,
            written: 0,
        }
    }

    pub(super) async fn run(
        mut self,
        mut asks: mpsc::UnboundedReceiver<Ask>,
        mut looks: mpsc::UnboundedReceiver<Look>,
        mut stop: oneshot::Receiver<Farewell>,
    ) {
        loop {
            let timeout = self.poll_timeout();
            tokio::select! {
                happened = self.link.events.recv() => match happened {
                    Some(happened) => self.happened(happened),
                    None => return,
                },
                // What is asked earlier waits for the broker.
                ask = asks.recv(), if self.connected => match ask {
                    Some(ask) => self.asked(ask),
                    None => break,
                },
                Some(look) = looks.recv() => drop(look.send(self.bell.alerts())),
                () = until(timeout) => {}
                farewell = &mut stop => match farewell {
                    Ok(Farewell::PowerCut) => return,
                    Ok(Farewell::Polite) | Err(_) => break,
                },
            }
            self.advance(Instant::now());
        }
        let _ = tokio::time::timeout(FAREWELL, self.leave()).await;
    }

    async fn leave(mut self) {
        if !self.connected {
            return;
        }
        self.publish("status", Qos::AtLeastOnce, true, "offline");
        let _ = self.link.orders.send(Order::Leave).await;
        while let Some(happened) = self.link.events.recv().await {
            if matches!(happened, Happened::Left | Happened::Trouble(_)) {
                return;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let microphone = self.microphone.as_ref().and_then(Microphone::poll_timeout);
        let sounds = [self.player.poll_timeout(), self.body.poll_timeout()];
        sounds.into_iter().chain([microphone]).flatten().min()
    }

    fn advance(&mut self, now: Instant) {
        while let Some(uttered) = self.microphone.as_mut().and_then(|m| m.poll(now)) {
            self.utter(uttered);
        }
        self.microphone.take_if(|microphone| microphone.poll_timeout().is_none());
        self.player.handle_timeout(now);
        while let Some(output) = self.player.poll_output() {
            self.played(output);
        }
        self.body.handle_timeout(now);
        self.act();
    }

    /// Publishes and tells what the body wants to be published and told.
    fn act(&mut self) {
        while let Some(output) = self.body.poll_output() {
            match output {
                body::Output::Publish { rest, retain, payload } => {
                    self.publish(&rest, Qos::AtLeastOnce, retain, payload);
                }
                body::Output::Tell(heard) => self.tell(heard),
            }
        }
    }

    fn happened(&mut self, happened: Happened) {
        match happened {
            Happened::Accepted => self.greet(),
            Happened::Subscribed => {
                self.connected = true;
                self.tell(Heard::Connected);
            }
            Happened::NotSubscribed => {
                let trouble = self.link.place.no_right(&format!("{}#", self.down));
                self.tell(Heard::NoBroker(trouble));
            }
            Happened::Message { topic, payload } => self.receive(&topic, &payload),
            Happened::Trouble(trouble) => {
                self.connected = false;
                // Nobody hears the rest of the sentence.
                self.microphone = None;
                self.tell(Heard::NoBroker(trouble));
            }
            Happened::Left => {}
        }
    }

    fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Say { utterance, speech } => {
                self.microphone = Some(Microphone::new(utterance, speech, Instant::now()));
            }
            Ask::Type { text, answers } => {
                let payload = json!({"text": text, "expectSpeechId": answers}).to_string();
                self.publish("text", Qos::AtLeastOnce, false, payload);
            }
            Ask::Publish { rest, payload } => {
                self.publish(&rest, Qos::AtLeastOnce, false, payload);
            }
            Ask::BreakBell(broken) => self.bell.broken = broken,
        }
    }

    fn greet(&mut self) {
        self.order(Order::Subscribe(format!("{}#", self.down)));
        self.body.greet();
        self.act();
        self.publish("status", Qos::AtLeastOnce, true, "online");
    }

    fn publish(&self, rest: &str, qos: Qos, retain: bool, payload: impl Into<Bytes>) {
        let topic = format!("{}/{rest}", self.up);
        self.order(Order::Publish(Publication { topic, payload: payload.into(), qos, retain }));
    }

    /// Never waits: the task that receives must not depend on the one that sends.
    fn order(&self, order: Order) {
        if self.link.orders.try_send(order).is_err() {
            self.tell(Heard::Dropped("a message: the broker takes them too slowly".into()));
        }
    }

    fn tell(&self, heard: Heard) {
        if let Err(error) = self.heard.try_send((Instant::now(), heard)) {
            tracing::debug!(%error, "nobody asks what the appliance heard");
        }
    }

    fn utter(&mut self, uttered: Uttered) {
        let Some(microphone) = &self.microphone else { return };
        match uttered {
            Uttered::Begin(recognize) => {
                self.publish("recognize", Qos::AtLeastOnce, false, recognize.to_string());
            }
            Uttered::Audio(data) => {
                let rest = format!("audio/{}", microphone.utterance());
                self.publish(&rest, Qos::AtMostOnce, false, data);
            }
        }
    }

    fn receive(&mut self, topic: &str, payload: &[u8]) {
        let Some(rest) = topic.strip_prefix(&self.down) else { return };
        let now = Instant::now();
        if let Some(id) = rest.strip_prefix("audio/") {
            return self.player.audio(id, payload, now);
        }
        if rest.starts_with("x/") {
            return self.body.firmware(rest, payload);
        }
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        if rest == "directive" && !self.body.is_new(&value) {
            return;
        }
        // What came is told before what it brings about.
        if let Some(heard) = heard(rest, value.clone()) {
            self.tell(heard);
            self.obey(rest, &value, now);
        }
    }

    fn obey(&mut self, rest: &str, value: &Value, now: Instant) {
        match rest {
            "capture" if value["action"] == "stop" => {
                self.microphone.take_if(|m| value["utterance"] == m.utterance());
            }
            "error" => {
                if value["code"] == "attachment_incomplete" {
                    self.player.cut_off(value["contentId"].as_str().unwrap_or_default());
                }
                self.body.complain(value);
            }
            "cancel" => self.cancel(value, now),
            "focus" => self.body.focus(value),
            "alert" => self.ring(value),
            "directive" => {
                self.player.directive(value, now);
                self.body.directive(value, now);
            }
            _ => {}
        }
    }

    fn ring(&mut self, alert: &Value) {
        let change = self.bell.take(alert);
        let token = alert["token"].as_str().unwrap_or_default().to_owned();
        let (state, heard) = match change {
            Change::Started => ("started", Some(Heard::Rings { token: token.clone() })),
            Change::Stopped => ("stopped", Some(Heard::Silent { token: token.clone() })),
            Change::Failed => ("failed", None),
            Change::Nothing => return,
        };
        let payload = json!({"token": token, "state": state}).to_string();
        self.publish("alert", Qos::AtLeastOnce, false, payload);
        heard.into_iter().for_each(|heard| self.tell(heard));
    }

    fn cancel(&mut self, value: &Value, now: Instant) {
        let tokens = value["tokens"].as_array().into_iter().flatten();
        let tokens: Vec<&str> = tokens.filter_map(Value::as_str).collect();
        self.player.cancel(value["dialogRequestId"].as_str(), &tokens, now);
        self.body.cancel(&tokens, now);
    }

    fn played(&mut self, output: player::Output) {
        let heard = match output {
            player::Output::Report { token, state } => {
                let payload = json!({"token": token, "state": state}).to_string();
                return self.publish("speech", Qos::AtLeastOnce, false, payload);
            }
            player::Output::Began { token } => Heard::FirstAudio { token },
            player::Output::BeganUrl { token, url } => Heard::Url { token, url },
            player::Output::CutOff { token, bytes, why } => Heard::CutOff { token, bytes, why },
            player::Output::Dropped(what) => Heard::Dropped(what),
            player::Output::Played { token, audio, length } => {
                let file = self.keep(&audio);
                Heard::Played { token, bytes: audio.len(), length, file }
            }
        };
        self.tell(heard);
    }

    /// Writes an answer; whoever sees the file sees all of it.
    fn keep(&mut self, audio: &[u8]) -> Option<PathBuf> {
        let out = self.out.clone().filter(|_| !audio.is_empty())?;
        self.written += 1;
        let file = out.join(format!("answer-{:02}.mp3", self.written));
        match write(&out, &file, audio) {
            Ok(()) => Some(file),
            Err(error) => {
                let what = format!("{}: it cannot be written: {error}", file.display());
                self.tell(Heard::Dropped(what));
                None
            }
        }
    }
}

/// What a message is told as, if it has a topic.
fn heard(rest: &str, value: Value) -> Option<Heard> {
    Some(match rest {
        "session" => Heard::Session(value),
        "dialogue" => Heard::Dialogue(value),
        "capture" => Heard::Capture(value),
        "text" => Heard::Text(value),
        "directive" => Heard::Directive(value),
        "cancel" => Heard::Cancel(value),
        "focus" => Heard::Focus(value),
        "alert" => Heard::Alert(value),
        "error" => Heard::Error(value),
        _ => return None,
    })
}

fn write(dir: &Path, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut half = tempfile::NamedTempFile::new_in(dir)?;
    std::io::Write::write_all(&mut half, bytes)?;
    half.persist(file)?;
    Ok(())
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
