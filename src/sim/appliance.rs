//! The simulated appliance: a speaker that speaks WAV files at real-time pace and plays what comes
//! back into MP3 files. Runs on a thread of its own. Started by `simulate appliance` and the demo.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rumqttc::v5::{
    AsyncClient, Event, EventLoop, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{LastWill, Packet},
    },
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::{ids::random_uuid, secret::Secret};

/// 100 ms of audio, bytes.
const CHUNK: usize = 3200;
/// How long the microphone stays open after the recording's end.
const OPEN_MICROPHONE: Duration = Duration::from_secs(3);
/// Bytes a second of the answers' MP3 (24 kbit/s).
const MP3_BYTES_PER_SECOND: f64 = 3000.0;

/// Which appliance, at which broker.
#[derive(Debug, Clone)]
pub struct ApplianceSettings {
    /// Its id, also its MQTT user name.
    pub id: String,
    /// Its MQTT password; empty = anonymous.
    pub password: Secret,
    /// The broker's host.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// `mqtt.topic_root`.
    pub root: String,
    /// Where the answers are written, if anywhere.
    pub out: Option<PathBuf>,
}

/// What a simulated appliance heard or did.
#[derive(Debug, Clone)]
pub enum Heard {
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
    /// `down/error`.
    Error(Value),
    /// The first bytes of a Speak's attachment.
    FirstAudio {
        /// Its token.
        token: String,
    },
    /// A Speak has been played to its end.
    Played {
        /// Its token.
        token: String,
        /// Bytes of it.
        bytes: usize,
        /// Where it was written.
        file: Option<PathBuf>,
    },
}

enum Ask {
    Say { pcm: Vec<u8>, answers: Option<String>, utterance: String },
    Type { text: String, answers: Option<String> },
    Publish { rest: String, payload: Vec<u8> },
}

/// A running simulated appliance.
pub struct SimulatedAppliance {
    asks: mpsc::UnboundedSender<Ask>,
    heard: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Instant, Heard)>>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Not a WAV file.
    #[error("no WAV file: {0}")]
    Wav(#[from] hound::Error),
    /// Another format than the one that CIC wants.
    #[error("a recording must be 16 kHz, 16 bit, mono; this one is {0} Hz, {1} bit, {2} channels")]
    Format(u32, u16, u16),
}

/// Reads a recording (16 kHz, 16 bit, mono WAV) as raw PCM.
///
/// # Errors
/// See [`RecordingError`].
pub fn read_wav(bytes: &[u8]) -> Result<Vec<u8>, RecordingError> {
    let reader = hound::WavReader::new(bytes)?;
    let spec = reader.spec();
    if (spec.sample_rate, spec.bits_per_sample, spec.channels) != (16_000, 16, 1) {
        let (rate, bits, channels) = (spec.sample_rate, spec.bits_per_sample, spec.channels);
        return Err(RecordingError::Format(rate, bits, channels));
    }
    let samples = reader.into_samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect())
}

impl SimulatedAppliance {
    /// Starts it; it connects, and says `online`, by itself.
    ///
    /// # Errors
    /// When its thread does not start.
    pub fn start(settings: ApplianceSettings) -> std::io::Result<Self> {
        let (asks, inbox) = mpsc::unbounded_channel();
        let (tell, heard) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let name = format!("appliance-{}", settings.id);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || runtime.block_on(live(settings, inbox, tell, stopped)))?;
        let (heard, stop) = (tokio::sync::Mutex::new(heard), Mutex::new(Some(stop)));
        Ok(Self { asks, heard, stop, thread: Some(thread) })
    }

    /// Says a recording (raw PCM) at real-time pace; returns the utterance's name.
    pub fn say(&self, pcm: Vec<u8>, answers: Option<String>) -> String {
        let utterance = format!("u-{}", &random_uuid()[..8]);
        let _ = self.asks.send(Ask::Say { pcm, answers, utterance: utterance.clone() });
        utterance
    }

    /// Sends a typed request.
    pub fn type_text(&self, text: &str, answers: Option<String>) {
        let _ = self.asks.send(Ask::Type { text: text.to_owned(), answers });
    }

    /// Publishes anything below `up/`.
    pub fn publish(&self, rest: &str, payload: impl Into<Vec<u8>>) {
        let _ = self.asks.send(Ask::Publish { rest: rest.to_owned(), payload: payload.into() });
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
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn live(
    settings: ApplianceSettings,
    mut asks: mpsc::UnboundedReceiver<Ask>,
    heard: mpsc::UnboundedSender<(Instant, Heard)>,
    stopped: oneshot::Receiver<()>,
) {
    let up = format!("{}/{}/up", settings.root, settings.id);
    let (client, events) = connect(&settings, &up);
    let capturing = Arc::new(Mutex::new(None));
    let speaker = Speaker {
        client: client.clone(),
        up: up.clone(),
        down: format!("{}/{}/down/", settings.root, settings.id),
        out: settings.out,
        heard,
        capturing: capturing.clone(),
        waiting: VecDeque::new(),
        audio: HashMap::new(),
        playing: None,
        written: 0,
    };
    let listen = speaker.run(events);
    let speak = async {
        while let Some(ask) = asks.recv().await {
            match ask {
                Ask::Say { pcm, answers, utterance } => {
                    let microphone = Microphone {
                        client: client.clone(),
                        up: up.clone(),
                        capturing: capturing.clone(),
                    };
                    tokio::spawn(microphone.say(pcm, answers, utterance));
                }
                Ask::Type { text, answers } => {
                    let payload = json!({"text": text, "expectSpeechId": answers}).to_string();
                    let _ = client
                        .publish(format!("{up}/text"), QoS::AtLeastOnce, false, payload)
                        .await;
                }
                Ask::Publish { rest, payload } => {
                    let topic = format!("{up}/{rest}");
                    let _ = client.publish(topic, QoS::AtLeastOnce, false, payload).await;
                }
            }
        }
    };
    tokio::select! {
        () = listen => {}
        () = speak => {}
        _ = stopped => {}
    }
}

fn connect(settings: &ApplianceSettings, up: &str) -> (AsyncClient, EventLoop) {
    let client_id = format!("sim-{}", settings.id);
    let mut options = MqttOptions::new(client_id, &settings.host, settings.port);
    let will = LastWill::new(format!("{up}/status"), "offline", QoS::AtLeastOnce, true, None);
    options
        .set_last_will(will)
        .set_max_packet_size(Some(1024 * 1024))
        .set_outgoing_inflight_upper_limit(100)
        .set_keep_alive(Duration::from_secs(30));
    if !settings.password.is_empty() {
        options.set_credentials(&settings.id, settings.password.expose());
    }
    AsyncClient::new(options, 100)
}

/// The utterance whose audio is being sent.
type Capturing = Arc<Mutex<Option<String>>>;

/// Sends one utterance at real-time pace.
struct Microphone {
    client: AsyncClient,
    up: String,
    capturing: Capturing,
}

impl Microphone {
    async fn say(self, pcm: Vec<u8>, answers: Option<String>, utterance: String) {
        self.set(Some(utterance.clone()));
        let mut recognize = json!({"utterance": utterance});
        if let Some(answers) = answers {
            recognize["expectSpeechId"] = answers.into();
        }
        let topic = format!("{}/recognize", self.up);
        let _ = self.client.publish(topic, QoS::AtLeastOnce, false, recognize.to_string()).await;
        let topic = format!("{}/audio/{utterance}", self.up);
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let silence = vec![0; CHUNK];
        let open = OPEN_MICROPHONE.as_millis() as usize / 100;
        let chunks = pcm.chunks(CHUNK).chain(std::iter::repeat_n(&silence[..], open));
        for chunk in chunks {
            pace.tick().await;
            if self.is_stopped(&utterance) {
                return;
            }
            let _ = self.client.publish(&topic, QoS::AtMostOnce, false, chunk.to_vec()).await;
        }
        // A newer utterance may have taken the microphone meanwhile.
        if !self.is_stopped(&utterance) {
            self.set(None);
            let _ = self.client.publish(&topic, QoS::AtMostOnce, false, "").await;
        }
    }

    fn set(&self, utterance: Option<String>) {
        *self.capturing.lock().unwrap_or_else(PoisonError::into_inner) = utterance;
    }

    fn is_stopped(&self, utterance: &str) -> bool {
        let capturing = self.capturing.lock().unwrap_or_else(PoisonError::into_inner);
        capturing.as_deref() != Some(utterance)
    }
}

/// A Speak, until it has been played.
struct Speak {
    token: String,
    content_id: Option<String>,
    dialogue: Option<String>,
}

struct Playing {
    speak: Speak,
    ends: Option<tokio::time::Instant>,
    started: Instant,
}

/// Plays what comes, one Speak at a time.
struct Speaker {
    client: AsyncClient,
    up: String,
    down: String,
    out: Option<PathBuf>,
    heard: mpsc::UnboundedSender<(Instant, Heard)>,
    capturing: Capturing,
    waiting: VecDeque<Speak>,
    /// Bytes of each attachment, and whether it is whole.
    audio: HashMap<String, (Vec<u8>, bool)>,
    playing: Option<Playing>,
    written: usize,
}

impl Speaker {
    async fn run(mut self, mut events: EventLoop) {
        loop {
            let ends = self.playing.as_ref().and_then(|playing| playing.ends);
            tokio::select! {
                event = events.poll() => match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => self.greet(),
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                        self.receive(&topic, &publish.payload);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "the appliance has no broker");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                () = until(ends) => self.played(),
            }
        }
    }

    /// Publishing from the polling task could freeze both.
    fn publish(&self, rest: &str, retain: bool, payload: String) {
        let (client, topic) = (self.client.clone(), format!("{}/{rest}", self.up));
        tokio::spawn(async move { client.publish(topic, QoS::AtLeastOnce, retain, payload).await });
    }

    fn greet(&self) {
        let (client, down) = (self.client.clone(), format!("{}#", self.down));
        let state = json!({
            "Speaker.VolumeState": {"volume": 5, "muted": false},
            "Device.Display": {"size": "none"},
            "Device.Audio": {"acceptContentType": [
                {"mimeType": "audio/mpeg", "audioCodec": "MP3", "fileExtension": "MP3"},
            ]},
        });
        let up = self.up.clone();
        tokio::spawn(async move {
            let _ = client.subscribe(down, QoS::AtLeastOnce).await;
            let state = state.to_string();
            let _ = client.publish(format!("{up}/state"), QoS::AtLeastOnce, true, state).await;
            let _ = client.publish(format!("{up}/status"), QoS::AtLeastOnce, true, "online").await;
        });
    }

    fn tell(&self, heard: Heard) {
        let _ = self.heard.send((Instant::now(), heard));
    }

    fn receive(&mut self, topic: &str, payload: &[u8]) {
        let Some(rest) = topic.strip_prefix(&self.down) else { return };
        if let Some(id) = rest.strip_prefix("audio/") {
            return self.take_audio(id, payload);
        }
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        match rest {
            "session" => self.tell(Heard::Session(value)),
            "dialogue" => self.tell(Heard::Dialogue(value)),
            "text" => self.tell(Heard::Text(value)),
            "error" => self.tell(Heard::Error(value)),
            "capture" => {
                if value["action"] == "stop" {
                    let mut capturing =
                        self.capturing.lock().unwrap_or_else(PoisonError::into_inner);
                    capturing.take_if(|utterance| value["utterance"] == **utterance);
                }
                self.tell(Heard::Capture(value));
            }
            "directive" => self.take_directive(value),
            "cancel" => self.cancel(value),
            _ => {}
        }
    }

    fn take_directive(&mut self, value: Value) {
        if value["namespace"] == "SpeechSynthesizer" && value["name"] == "Speak" {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            self.waiting.push_back(Speak {
                token: text(&value["payload"]["token"]).unwrap_or_default(),
                content_id: text(&value["attachments"][0]["contentId"]),
                dialogue: text(&value["dialogRequestId"]),
            });
        }
        self.tell(Heard::Directive(value));
        self.play_next();
    }

    fn take_audio(&mut self, id: &str, payload: &[u8]) {
        let (bytes, whole) = self.audio.entry(id.to_owned()).or_default();
        bytes.extend_from_slice(payload);
        *whole |= payload.is_empty();
        self.play_next();
        self.set_end();
    }

    fn play_next(&mut self) {
        if self.playing.is_some() {
            return;
        }
        let Some(speak) = self.waiting.pop_front() else { return };
        let heard =
            |id: &String| self.audio.get(id).is_some_and(|(b, whole)| !b.is_empty() || *whole);
        if speak.content_id.as_ref().is_some_and(|id| !heard(id)) {
            return self.waiting.push_front(speak);
        }
        self.report(&speak.token, "started");
        self.tell(Heard::FirstAudio { token: speak.token.clone() });
        self.playing = Some(Playing { speak, ends: None, started: Instant::now() });
        self.set_end();
    }

    /// Once all bytes are there, it is known how long playing takes.
    fn set_end(&mut self) {
        let Some(playing) = &mut self.playing else { return };
        let id = playing.speak.content_id.clone().unwrap_or_default();
        let empty = (Vec::new(), true);
        let (bytes, whole) = self.audio.get(&id).unwrap_or(&empty);
        if *whole && playing.ends.is_none() {
            let length = Duration::from_secs_f64(bytes.len() as f64 / MP3_BYTES_PER_SECOND);
            playing.ends = Some((playing.started + length).into());
        }
    }

    fn played(&mut self) {
        let Some(Playing { speak, .. }) = self.playing.take() else { return };
        let id = speak.content_id.unwrap_or_default();
        let (bytes, _) = self.audio.remove(&id).unwrap_or_default();
        self.written += 1;
        let file = self.out.as_ref().map(|dir| dir.join(format!("answer-{:02}.mp3", self.written)));
        let file = file.filter(|file| std::fs::write(file, &bytes).is_ok());
        self.report(&speak.token, "finished");
        self.tell(Heard::Played { token: speak.token, bytes: bytes.len(), file });
        self.play_next();
    }

    fn cancel(&mut self, value: Value) {
        let listed = |token: &str| {
            value["tokens"].as_array().is_some_and(|tokens| tokens.iter().any(|t| t == token))
        };
        let stale = |speak: &Speak| {
            listed(&speak.token)
                || speak.dialogue.as_deref().is_some_and(|id| value["dialogRequestId"] == id)
        };
        if let Some(playing) = self.playing.take_if(|playing| stale(&playing.speak)) {
            self.audio.remove(&playing.speak.content_id.unwrap_or_default());
            self.report(&playing.speak.token, "stopped");
        }
        self.waiting.retain(|speak| !stale(speak));
        self.tell(Heard::Cancel(value));
        self.play_next();
    }

    fn report(&self, token: &str, state: &str) {
        self.publish("speech", false, json!({"token": token, "state": state}).to_string());
    }
}

async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cic::scenario::embedded;

    #[test]
    fn only_recordings_that_cic_can_use_are_read() {
        let pcm = read_wav(embedded("speech/time.wav").unwrap()).unwrap();
        assert!(pcm.len() > 32_000 && pcm.len().is_multiple_of(2));
        assert!(matches!(read_wav(b"RIFF"), Err(RecordingError::Wav(_))));
        let mut other = std::io::Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        hound::WavWriter::new(&mut other, spec).unwrap().finalize().unwrap();
        let refused = read_wav(other.get_ref());
        assert!(matches!(refused, Err(RecordingError::Format(44_100, 16, 2))), "{refused:?}");
    }
}
