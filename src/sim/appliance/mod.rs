//! The simulated appliance: says recordings at the pace of speech, plays what comes back, and does
//! what CIC orders. Started by `simulate appliance`, `load`, the demo and the tests.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | which appliance, at which broker |
//! | `host.rs` | the thread on which appliances live, hundreds if need be |
//! | `life.rs` | one appliance's shell |
//! | `link.rs`, `trouble.rs` | its MQTT client, and why it has no broker |
//! | `microphone.rs`, `recording.rs` | what it says, and when (pure) |
//! | `player.rs`, `shelf.rs`, `mp3.rs` | what it plays, and how long that takes (pure) |
//! | `bell.rs` | its alerts, and which of them rings (pure) |
//! | `body.rs` | everything else that it does: directives, media, settings, notifications (pure) |
//! | `kind.rs`, `controls.rs` | what can be changed about each kind, and how it is now (pure) |
//! | `media.rs` | where a stream is, and what is reported of it (pure) |
//! | `firmware.rs` | the messages of firmware that knows nothing of CLOVA (pure) |
//! | `heard.rs` | what its owner is told |

mod bell;
mod body;
mod controls;
mod firmware;
mod heard;
mod host;
mod kind;
mod life;
mod link;
mod media;
mod microphone;
pub mod mp3;
mod player;
mod recording;
mod settings;
mod shelf;
mod trouble;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::ids::random_uuid;
pub use bell::HeldAlert;
pub use heard::Heard;
pub use host::ApplianceHost;
pub use kind::Kind;
use life::{Ask, Farewell, Look};
pub use microphone::{CHUNK, CHUNK_TIME, Initiator, PRE_ROLL, Sound, Speech};
pub use player::CutOff;
pub use recording::{RecordingError, read_wav};
pub use settings::{ApplianceSettings, MqttVersion};
pub use trouble::Trouble;

/// A running simulated appliance. Says `offline` and leaves when dropped.
pub struct SimulatedAppliance {
    asks: mpsc::UnboundedSender<Ask>,
    looks: mpsc::UnboundedSender<Look>,
    heard: tokio::sync::Mutex<mpsc::Receiver<(Instant, Heard)>>,
    stop: Option<oneshot::Sender<Farewell>>,
    /// Its own thread, if it has one; joined after `stop` was sent.
    host: Option<ApplianceHost>,
}

impl SimulatedAppliance {
    /// Starts it on a thread of its own; it connects, and says `online`, by itself. Many share a
    /// thread with [`ApplianceHost::add`].
    ///
    /// # Errors
    /// When its thread does not start.
    pub fn start(settings: ApplianceSettings) -> std::io::Result<Self> {
        let host = ApplianceHost::start()?;
        let mut appliance = host.add(settings);
        appliance.host = Some(host);
        Ok(appliance)
    }

    fn new(
        asks: mpsc::UnboundedSender<Ask>,
        looks: mpsc::UnboundedSender<Look>,
        heard: mpsc::Receiver<(Instant, Heard)>,
        stop: oneshot::Sender<Farewell>,
    ) -> Self {
        Self { asks, looks, heard: tokio::sync::Mutex::new(heard), stop: Some(stop), host: None }
    }

    /// Says a recording (raw PCM), begun with a button, at real-time pace; returns the
    /// utterance's name.
    pub fn say(&self, pcm: Vec<u8>, answers: Option<String>) -> String {
        self.speak(Speech { answers, ..Speech::new(pcm) })
    }

    /// Says something; a newer speech takes the microphone from an older one. Returns the
    /// utterance's name.
    pub fn speak(&self, speech: Speech) -> String {
        let utterance = format!("u-{}", &random_uuid()[..8]);
        let _ = self.asks.send(Ask::Say { utterance: utterance.clone(), speech });
        utterance
    }

    /// Sends a typed request.
    pub fn type_text(&self, text: &str, answers: Option<String>) {
        let _ = self.asks.send(Ask::Type { text: text.to_owned(), answers });
    }

    /// Presses the stop button, for one alert or for all that ring.
    pub fn stop_alert(&self, token: Option<&str>) {
        let button = match token {
            Some(token) => json!({"button": "stopAlert", "token": token}),
            None => json!({"button": "stopAlert"}),
        };
        self.publish("button", button.to_string());
    }

    /// Presses the button that deletes an alert.
    pub fn delete_alert(&self, token: &str) {
        self.publish("button", json!({"button": "deleteAlert", "token": token}).to_string());
    }

    /// Presses a button of the player: `play`, `pause`, `resume`, `stop`, `next`, `previous`,
    /// `repeat`, or `CUSTOM_...` for a custom one.
    pub fn press(&self, button: &str) {
        let payload = match button.starts_with("CUSTOM_") {
            true => json!({"button": "custom", "name": button}),
            false => json!({"button": button}),
        };
        self.publish("button", payload.to_string());
    }

    /// From now on it cannot ring, or can again; it reports `failed` instead.
    pub fn break_bell(&self, broken: bool) {
        let _ = self.asks.send(Ask::BreakBell(broken));
    }

    /// The alerts that it knows, by token; none once it has ended. It answers also without broker.
    pub async fn alerts(&self) -> BTreeMap<String, HeldAlert> {
        let (tell, told) = oneshot::channel();
        let _ = self.looks.send(tell);
        told.await.unwrap_or_default()
    }

    /// Publishes anything below `up/`.
    pub fn publish(&self, rest: &str, payload: impl Into<Vec<u8>>) {
        let _ = self.asks.send(Ask::Publish { rest: rest.to_owned(), payload: payload.into() });
    }

    /// Ends it without a word: the broker publishes its last will.
    pub fn cut_power(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(Farewell::PowerCut);
        }
    }

    /// The next thing that it heard or did; `None` when nothing comes within `limit`.
    pub async fn next(&self, limit: Duration) -> Option<(Instant, Heard)> {
        let mut heard = self.heard.lock().await;
        tokio::time::timeout(limit, heard.recv()).await.ok().flatten()
    }

    /// Skips what was heard until something fits; `None` when nothing does within `limit`.
    pub async fn wait_for(
        &self,
        wanted: impl Fn(&Heard) -> bool,
        limit: Duration,
    ) -> Option<(Instant, Heard)> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let next = self.next(left).await?;
            if wanted(&next.1) {
                return Some(next);
            }
        }
    }
}

impl Drop for SimulatedAppliance {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(Farewell::Polite);
        }
    }
}
