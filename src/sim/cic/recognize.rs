//! Hears recordings that it knows, and when they end.

use super::scenario::Recording;

/// 20 ms of audio, bytes.
const FRAME: usize = 640;
/// Mean amplitude above which a frame is speech.
const LOUD: u32 = 250;
/// Silence after speech that ends an utterance: 500 ms, in frames.
const PAUSE: usize = 25;
/// As much of a recording must fit to be recognised: half a second, bytes.
const ENOUGH: usize = 16_000;

/// Listens to one utterance.
#[derive(Debug, Default)]
pub(super) struct Recognizer {
    pcm: Vec<u8>,
    examined: usize,
    heard_speech: bool,
    silent_frames: usize,
    pub(super) stopped: bool,
}

impl Recognizer {
    /// Takes audio; `true` once, when the user has finished speaking.
    pub(super) fn hear(&mut self, data: &[u8]) -> bool {
        self.pcm.extend_from_slice(data);
        while self.pcm.len() - self.examined >= FRAME {
            let frame = &self.pcm[self.examined..self.examined + FRAME];
            self.examined += FRAME;
            if loudness(frame) > LOUD {
                (self.heard_speech, self.silent_frames) = (true, 0);
            } else {
                self.silent_frames += 1;
            }
        }
        let ended = self.heard_speech && self.silent_frames >= PAUSE && !self.stopped;
        self.stopped |= ended;
        ended
    }

    /// All audio so far.
    pub(super) fn pcm(&self) -> &[u8] {
        &self.pcm
    }

    /// The text of the recording that this is the beginning of; empty when none is.
    pub(super) fn text(&self, recordings: &[Recording]) -> String {
        let fits = |recording: &&Recording| {
            let length = self.pcm.len().min(recording.pcm.len());
            length >= ENOUGH && self.pcm[..length] == recording.pcm[..length]
        };
        recordings.iter().find(fits).map(|found| found.text.clone()).unwrap_or_default()
    }
}

fn loudness(frame: &[u8]) -> u32 {
    let samples = frame.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    samples.map(|sample| u32::from(sample.unsigned_abs())).sum::<u32>() / (FRAME as u32 / 2)
}

#[cfg(test)]
mod tests {
    use super::{super::Scenario, *};

    #[test]
    fn every_recording_is_recognised_and_its_end_is_heard_before_it_is_over() {
        let scenario = Scenario::builtin();
        for recording in scenario.recordings.iter() {
            let mut recognizer = Recognizer::default();
            let chunks: Vec<_> = recording.pcm.chunks(6400).collect();
            let end = chunks.iter().position(|chunk| recognizer.hear(chunk));
            assert!(end.is_some_and(|end| end + 1 < chunks.len()), "{}: {end:?}", recording.text);
            assert_eq!(recognizer.text(&scenario.recordings), recording.text);
        }
    }

    #[test]
    fn silence_is_neither_speech_nor_a_recording() {
        let mut recognizer = Recognizer::default();
        assert!(!recognizer.hear(&[0; 64_000]));
        assert_eq!(recognizer.text(&Scenario::builtin().recordings), "");
    }
}
