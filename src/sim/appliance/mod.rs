//! The simulated appliance: a speaker that says recordings at the pace of speech and plays what
//! comes back. Started by `simulate appliance`, `load`, the demo and the tests.
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

mod bell;
mod host;
mod life;
mod link;
mod microphone;
pub mod mp3;
mod player;
mod recording;
mod settings;
mod shelf;
mod trouble;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::ids::random_uuid;
pub use bell::HeldAlert;
pub use host::ApplianceHost;
use life::{Ask, Farewell, Look};
pub use microphone::{CHUNK, CHUNK_TIME, Initiator, PRE_ROLL, Sound, Speech};
pub use player::CutOff;
pub use recording::{RecordingError, read_wav};
pub use settings::{ApplianceSettings, MqttVersion};
pub use trouble::Trouble;

/// What a simulated appliance heard or did.
#[derive(Debug, Clone)]
pub enum Heard {
    /// The broker has accepted it, and its subscription stands.
    Connected,
    /// It has no broker; it tries again by itself.
    NoBroker(Trouble),
    /// `down/session`.
    Session(Value),
    /// `down/dialogue`.
    Dialogue(Value),
    /// `down/capture`.
    Capture(Value),
    /// `down/text`.
    Text(Value),
    /// `down/directive`.
    Directive(Value),
    /// `down/cancel`.
    Cancel(Value),
    /// `down/focus`.
    Focus(Value),
    /// `down/alert`, with what it says.
    Alert(Value),
    /// An alert begins to ring, and the gateway has been told.
    Rings {
        /// Its token.
        token: String,
    },
    /// An alert has fallen silent, and the gateway has been told.
    Silent {
        /// Its token.
        token: String,
    },
    /// `down/error`.
    Error(Value),
    /// A Speak's attachment begins to play.
    FirstAudio {
        /// Its token.
        token: String,
    },
    /// A Speak that names a URL begins to "play". The simulator does not download it: it waits
    /// for [`ApplianceSettings::url_time`] and takes it for played.
    Url {
        /// Its token.
        token: String,
        /// What a real appliance would download.
        url: String,
    },
    /// A Speak has been played to its end, and the gateway been told `finished`.
    Played {
        /// Its token.
        token: String,
        /// Bytes of it; none of a URL.
        bytes: usize,
        /// How long it plays.
        length: Duration,
        /// Where it was written: an MP3 file, complete.
        file: Option<PathBuf>,
    },
    /// A Speak has been played as far as it came, and the gateway been told `stopped`.
    CutOff {
        /// Its token.
        token: String,
        /// Bytes that came.
        bytes: usize,
        /// Why no more did.
        why: CutOff,
    },
    /// Something was lost to stay within bounds, or could not be written.
    Dropped(String),
}

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
