//! What is said, and when each piece of it is due. Pure: takes the time, returns what to publish.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};

/// 100 ms of audio, bytes.
pub const CHUNK: usize = 3200;
/// What a chunk lasts.
pub const CHUNK_TIME: Duration = Duration::from_millis(100);
/// Chunks of silence behind a recording while the microphone stays open: 3 s.
const OPEN_MICROPHONE: u32 = 30;
/// Samples that CIC wants before the wake word (dialogue 4.4): 300 ms.
pub const PRE_ROLL: usize = 4800;
const SAMPLE: usize = 2;
const SAMPLES_A_SECOND: f64 = 16_000.0;

/// Sound for the microphone: raw PCM, 16 kHz, 16 bit, mono.
#[derive(Clone)]
pub enum Sound {
    /// As it was recorded.
    Recording(Bytes),
    /// Made while it is said, so that many speakers need not hold it.
    Made {
        /// How many chunks.
        chunks: u32,
        /// What a chunk lasts.
        chunk_time: Duration,
        /// Makes a chunk, by its number from 0.
        make: Arc<dyn Fn(u32) -> Bytes + Send + Sync>,
    },
}

impl Sound {
    fn chunk(&self, number: u32) -> Option<Bytes> {
        match self {
            Self::Recording(pcm) => {
                let start = number as usize * CHUNK;
                (start < pcm.len()).then(|| pcm.slice(start..pcm.len().min(start + CHUNK)))
            }
            Self::Made { chunks, make, .. } => (number < *chunks).then(|| make(number)),
        }
    }

    fn chunks(&self) -> u32 {
        match self {
            Self::Recording(pcm) => pcm.len().div_ceil(CHUNK) as u32,
            Self::Made { chunks, .. } => *chunks,
        }
    }

    fn chunk_time(&self) -> Duration {
        match self {
            Self::Recording(_) => CHUNK_TIME,
            Self::Made { chunk_time, .. } => *chunk_time,
        }
    }
}

/// How the user begins to speak (dialogue 4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Initiator {
    /// A button, pressed and released; the microphone stays open until CLOVA has heard enough.
    #[default]
    Tap,
    /// A button, held while speaking; its release ends the utterance.
    Hold,
    /// A wake word, with which the recording begins.
    WakeWord {
        /// As CIC calls it, for example `hey_clova`.
        name: String,
        /// How long it lasts.
        length: Duration,
    },
}

/// Something to say.
#[derive(Clone)]
pub struct Speech {
    /// What it sounds like.
    pub sound: Sound,
    /// How it begins.
    pub initiator: Initiator,
    /// `ko`, `en` or `ja`; without, the gateway takes the appliance's.
    pub lang: Option<String>,
    /// The `expectSpeechId` of the question that it answers.
    pub answers: Option<String>,
    /// When the user begins; without, at once.
    pub at: Option<Instant>,
}

impl Speech {
    /// A recording, begun with a button, at once.
    pub fn new(pcm: impl Into<Bytes>) -> Self {
        Self::from(Sound::Recording(pcm.into()))
    }

    /// The same, begun otherwise.
    pub fn begun_by(self, initiator: Initiator) -> Self {
        Self { initiator, ..self }
    }
}

impl From<Sound> for Speech {
    fn from(sound: Sound) -> Self {
        Self { sound, initiator: Initiator::default(), lang: None, answers: None, at: None }
    }
}

/// What the microphone wants to be published.
#[derive(Debug, PartialEq)]
pub(super) enum Uttered {
    /// On `up/recognize`.
    Begin(Value),
    /// On `up/audio/{utterance}`; empty at the end.
    Audio(Bytes),
}

/// One utterance, in real time.
pub(super) struct Microphone {
    utterance: String,
    speech: Speech,
    start: Instant,
    /// What had been recorded already when the utterance began.
    buffered: Duration,
    begun: bool,
    next: u32,
    last: u32,
}

impl Microphone {
    pub(super) fn new(utterance: String, mut speech: Speech, now: Instant) -> Self {
        let mut buffered = Duration::ZERO;
        if let (Initiator::WakeWord { length, .. }, Sound::Recording(pcm)) =
            (&speech.initiator, &speech.sound)
        {
            let heard = wake_word_samples(*length, pcm) + PRE_ROLL;
            buffered = Duration::from_secs_f64(heard as f64 / SAMPLES_A_SECOND);
            let with_pre_roll = [&[0; PRE_ROLL * SAMPLE], &pcm[..]].concat();
            speech.sound = Sound::Recording(with_pre_roll.into());
        }
        let open = if speech.initiator == Initiator::Hold { 0 } else { OPEN_MICROPHONE };
        let last = speech.sound.chunks() + open;
        let start = speech.at.unwrap_or(now);
        Self { utterance, speech, start, buffered, begun: false, next: 0, last }
    }

    pub(super) fn utterance(&self) -> &str {
        &self.utterance
    }

    /// When [`Microphone::poll`] has something; `None` once all has been said.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.next {
            0 if !self.begun => Some(self.start),
            // The end comes with the last chunk.
            next if next <= self.last => Some(self.due((next + 1).min(self.last))),
            _ => None,
        }
    }

    /// What is due; the schedule does not shift when somebody asks late.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Uttered> {
        self.poll_timeout().filter(|due| *due <= now)?;
        if !self.begun {
            self.begun = true;
            return Some(Uttered::Begin(self.recognize()));
        }
        let number = self.next;
        self.next += 1;
        if number == self.last {
            return Some(Uttered::Audio(Bytes::new()));
        }
        let silence = || Bytes::from_static(&[0; CHUNK]);
        Some(Uttered::Audio(self.speech.sound.chunk(number).unwrap_or_else(silence)))
    }

    /// So many chunks have been recorded by then.
    fn due(&self, chunks: u32) -> Instant {
        self.start + (self.speech.sound.chunk_time() * chunks).saturating_sub(self.buffered)
    }

    fn recognize(&self) -> Value {
        let mut recognize = json!({"utterance": self.utterance});
        let initiator = match &self.speech.initiator {
            Initiator::Tap => None,
            Initiator::Hold => Some(json!({"type": "PRESS_AND_HOLD", "inputSource": "SELF"})),
            Initiator::WakeWord { name, length } => Some(self.wake_word(name, *length)),
        };
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let fields = [
            ("initiator", initiator),
            ("lang", text(&self.speech.lang)),
            ("expectSpeechId", text(&self.speech.answers)),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                recognize[name] = value;
            }
        }
        recognize
    }

    /// Sound that is made holds no wake word that could be pointed at.
    fn wake_word(&self, name: &str, length: Duration) -> Value {
        let mut initiator = json!({"type": "WAKEWORD", "inputSource": "SELF"});
        if let Sound::Recording(pcm) = &self.speech.sound {
            let samples = wake_word_samples(length, &pcm[PRE_ROLL * SAMPLE..]);
            let indices = json!({
                "startIndexInSamples": PRE_ROLL,
                "endIndexInSamples": PRE_ROLL + samples,
            });
            initiator["payload"] = json!({"wakeWord": {"name": name, "indices": indices}});
        }
        initiator
    }
}

/// Never longer than the recording, nor empty: CIC refuses an end that is not behind the start.
fn wake_word_samples(length: Duration, pcm: &[u8]) -> usize {
    let samples = (length.as_secs_f64() * SAMPLES_A_SECOND) as usize;
    samples.min(pcm.len() / SAMPLE).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is uttered, with its time since the start in milliseconds.
    fn utter(speech: Speech) -> (Value, Vec<(u128, Bytes)>) {
        let start = Instant::now();
        let mut microphone = Microphone::new("u1".into(), speech, start);
        let (mut begin, mut audio) = (Value::Null, Vec::new());
        while let Some(due) = microphone.poll_timeout() {
            match microphone.poll(due).unwrap() {
                Uttered::Begin(value) => begin = value,
                Uttered::Audio(data) => audio.push(((due - start).as_millis(), data)),
            }
        }
        (begin, audio)
    }

    #[test]
    fn a_chunk_is_sent_once_it_has_been_recorded() {
        let (begin, audio) = utter(Speech::new(vec![1; CHUNK + 2]).begun_by(Initiator::Hold));
        let times: Vec<_> = audio.iter().map(|(at, data)| (*at, data.len())).collect();
        assert_eq!(times, [(100, CHUNK), (200, 2), (200, 0)], "the release ends it at once");
        assert_eq!(begin["initiator"]["type"], "PRESS_AND_HOLD");
    }

    #[test]
    fn without_a_held_button_the_microphone_stays_open_for_three_seconds() {
        let (begin, audio) = utter(Speech::new(vec![1; CHUNK]));
        assert_eq!(begin, json!({"utterance": "u1"}));
        assert_eq!(audio.len(), 32);
        assert!(audio[1..31].iter().all(|(_, silence)| silence[..] == [0; CHUNK]));
        assert_eq!(audio[31], (3100, Bytes::new()));
    }

    #[test]
    fn a_wake_word_has_its_pre_roll_and_true_indices() {
        let length = Duration::from_millis(500);
        let initiator = Initiator::WakeWord { name: "hey_clova".into(), length };
        let (begin, audio) = utter(Speech::new(vec![1; 10 * CHUNK]).begun_by(initiator));
        let word = &begin["initiator"]["payload"]["wakeWord"];
        let want = json!({"startIndexInSamples": 4800, "endIndexInSamples": 12_800});
        assert_eq!((&word["name"], &word["indices"]), (&json!("hey_clova"), &want));
        let all: Vec<u8> = audio.iter().flat_map(|(_, data)| data.to_vec()).collect();
        assert!(all[..9600] == [0; 9600] && all[9600..9600 + 10 * CHUNK] == [1; 10 * CHUNK]);
        let at: Vec<_> = audio.iter().map(|(at, _)| *at).take(10).collect();
        assert_eq!(at, [0, 0, 0, 0, 0, 0, 0, 0, 100, 200], "800 ms had been heard already");
    }

    #[test]
    fn a_wake_word_is_not_longer_than_its_recording() {
        let length = Duration::from_secs(9);
        let initiator = Initiator::WakeWord { name: "clova".into(), length };
        let (begin, _) = utter(Speech::new(vec![1; 200]).begun_by(initiator));
        let indices = &begin["initiator"]["payload"]["wakeWord"]["indices"];
        assert_eq!(indices["endIndexInSamples"], 4900);
    }

    #[test]
    fn the_schedule_does_not_shift_when_somebody_is_late() {
        let start = Instant::now();
        let speech = Speech::new(vec![1; 3 * CHUNK]).begun_by(Initiator::Hold);
        let mut microphone = Microphone::new("u1".into(), speech, start);
        let late = start + Duration::from_millis(250);
        let mut due = 0;
        while microphone.poll(late).is_some() {
            due += 1;
        }
        assert_eq!(due, 3, "the beginning and two chunks");
        assert_eq!(microphone.poll_timeout(), Some(start + Duration::from_millis(300)));
    }

    #[test]
    fn language_question_and_beginning_are_as_asked() {
        let start = Instant::now() + Duration::from_secs(5);
        let (lang, answers) = (Some("ko".to_owned()), Some("q1".to_owned()));
        let made = Sound::Made {
            chunks: 1,
            chunk_time: CHUNK_TIME,
            make: Arc::new(|_| Bytes::from_static(b"ab")),
        };
        let speech = Speech { lang, answers, at: Some(start), ..Speech::from(made) };
        let mut microphone = Microphone::new("u1".into(), speech, Instant::now());
        assert_eq!(microphone.poll(start - CHUNK_TIME), None);
        let want = json!({"utterance": "u1", "lang": "ko", "expectSpeechId": "q1"});
        assert_eq!(microphone.poll(start), Some(Uttered::Begin(want)));
        let chunk = microphone.poll(start + CHUNK_TIME);
        assert_eq!(chunk, Some(Uttered::Audio(Bytes::from_static(b"ab"))));
    }
}
