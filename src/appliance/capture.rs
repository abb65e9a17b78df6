//! One utterance at a time: re-slicing to 200 ms, audio that came before its `up/recognize`, and
//! the ways an utterance ends (dialogue 4). Pure; called by the core.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use crate::{cic::message::RequestKey, ids::UtteranceId};

/// 200 ms of 16 kHz, 16-bit mono (dialogue 4.1), bytes.
pub const SLICE: usize = 6_400;
/// Bytes of audio a second.
pub const BYTES_PER_SECOND: usize = 32_000;
/// Audio that may come before its `up/recognize`, bytes: a second, in messages that have begun
/// within it and may be as large as messages can be.
const MAX_EARLY: usize = BYTES_PER_SECOND + MAX_MESSAGE;
/// The largest audio message, bytes.
const MAX_MESSAGE: usize = 64 * 1024;
/// How long audio may come before its `up/recognize`.
const EARLY_AGE: Duration = Duration::from_secs(1);
/// An utterance that sends nothing for this long has lost its appliance.
const SILENT: Duration = Duration::from_secs(3);
/// Ended utterances whose late audio is expected and dropped without complaint.
const REMEMBERED: usize = 8;

/// What a piece of audio, or the passing of time, leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this slice.
    Slice {
        /// The upload.
        key: RequestKey,
        /// At most [`SLICE`] bytes.
        data: Bytes,
        /// When its newest byte came.
        received: Instant,
    },
    /// The appliance ended the utterance: finish the upload properly.
    Ended {
        /// Which.
        utterance: UtteranceId,
        /// The upload.
        key: RequestKey,
    },
    /// Longer than allowed: finish the upload properly, and tell the appliance.
    TooLong {
        /// Which.
        utterance: UtteranceId,
        /// The upload.
        key: RequestKey,
    },
    /// It ended without a single sample, or the appliance fell silent: abort the upload.
    Empty {
        /// Which.
        utterance: UtteranceId,
        /// The upload.
        key: RequestKey,
    },
    /// Audio for an utterance that nobody started within a second.
    Unknown(UtteranceId),
    /// More audio before its recognize than is kept.
    EarlyOverflow(UtteranceId),
    /// Audio after the end of its utterance, dropped as a matter of course.
    Late,
}

#[derive(Debug)]
struct Active {
    utterance: UtteranceId,
    key: RequestKey,
    pending: BytesMut,
    newest: Instant,
    sent: usize,
}

#[derive(Debug)]
struct Early {
    utterance: UtteranceId,
    chunks: Vec<(Bytes, Instant)>,
    bytes: usize,
    since: Instant,
}

/// The appliance's utterances.
#[derive(Debug)]
pub struct Capture {
    active: Option<Active>,
    early: Option<Early>,
    ended: VecDeque<UtteranceId>,
    max_bytes: usize,
}

impl Capture {
    /// `max_utterance` bounds the length of what is sent.
    pub fn new(max_utterance: Duration) -> Self {
        let max_bytes = (max_utterance.as_secs_f64() * BYTES_PER_SECOND as f64) as usize & !1;
        Self { active: None, early: None, ended: VecDeque::new(), max_bytes }
    }

    /// The utterance that is being sent, and its upload.
    pub fn active(&self) -> Option<(&UtteranceId, RequestKey)> {
        self.active.as_ref().map(|active| (&active.utterance, active.key))
    }

    /// An utterance starts: audio that came before is sent first. The caller has ended another.
    pub fn start(&mut self, utterance: UtteranceId, key: RequestKey, now: Instant) -> Vec<Effect> {
        self.ended.retain(|ended| *ended != utterance);
        let early = self.early.take_if(|early| early.utterance == utterance);
        self.active =
            Some(Active { utterance, key, pending: BytesMut::new(), newest: now, sent: 0 });
        let mut effects = Vec::new();
        for (data, received) in early.map(|early| early.chunks).unwrap_or_default() {
            self.relay(data, received, now, &mut effects);
        }
        effects
    }

    /// A piece of audio; empty data ends its utterance.
    pub fn audio(
        &mut self,
        utterance: UtteranceId,
        data: Bytes,
        received: Instant,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.active.as_ref().is_some_and(|active| active.utterance == utterance) {
            self.relay(data, received, now, effects);
        } else if self.ended.contains(&utterance) {
            effects.push(Effect::Late);
        } else {
            self.keep_early(utterance, data, received, now, effects);
        }
    }

    /// Ends the active utterance without another word: what is pending is returned to be sent.
    pub fn end(&mut self) -> Option<(UtteranceId, RequestKey, Option<Effect>)> {
        let active = self.active.take()?;
        self.remember(active.utterance.clone());
        let rest = (!active.pending.is_empty()).then(|| Effect::Slice {
            key: active.key,
            data: active.pending.freeze(),
            received: active.newest,
        });
        Some((active.utterance, active.key, rest))
    }

    /// Audio of this utterance will be dropped without complaint: it was refused.
    pub fn refuse(&mut self, utterance: UtteranceId) {
        self.early.take_if(|early| early.utterance == utterance);
        self.remember(utterance);
    }

    /// When [`Capture::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silent = self.active.as_ref().map(|active| active.newest + SILENT);
        let early = self.early.as_ref().map(|early| early.since + EARLY_AGE);
        silent.into_iter().chain(early).min()
    }

    /// Gives up what has waited too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(early) = self.early.take_if(|early| early.since + EARLY_AGE <= now) {
            self.remember(early.utterance.clone());
            effects.push(Effect::Unknown(early.utterance));
        }
        if self.active.as_ref().is_some_and(|active| active.newest + SILENT <= now)
            && let Some((utterance, key, _)) = self.end()
        {
            effects.push(Effect::Empty { utterance, key });
        }
        effects
    }

    fn relay(&mut self, data: Bytes, received: Instant, now: Instant, effects: &mut Vec<Effect>) {
        let Some(active) = &mut self.active else { return };
        if data.is_empty() {
            return self.finish(effects);
        }
        active.newest = now;
        active.sent += data.len();
        let too_long = active.sent.saturating_sub(self.max_bytes);
        active.slice(data, too_long, received, effects);
        if too_long > 0
            && let Some((utterance, key, rest)) = self.end()
        {
            effects.extend(rest);
            effects.push(Effect::TooLong { utterance, key });
        }
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        let sent = self.active.as_ref().map_or(0, |active| active.sent);
        let Some((utterance, key, rest)) = self.end() else { return };
        effects.extend(rest);
        effects.push(match sent {
            0 => Effect::Empty { utterance, key },
            _ => Effect::Ended { utterance, key },
        });
    }

    fn keep_early(
        &mut self,
        utterance: UtteranceId,
        data: Bytes,
        received: Instant,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(other) = self.early.take_if(|early| early.utterance != utterance) {
            self.remember(other.utterance.clone());
            effects.push(Effect::Unknown(other.utterance));
        }
        let early = self.early.get_or_insert_with(|| Early {
            utterance: utterance.clone(),
            chunks: Vec::new(),
            bytes: 0,
            since: now,
        });
        early.bytes += data.len();
        // An endless run of empty or tiny messages is bounded like bytes are.
        if early.bytes > MAX_EARLY || early.chunks.len() >= 256 {
            self.early = None;
            self.remember(utterance.clone());
            effects.push(Effect::EarlyOverflow(utterance));
        } else {
            early.chunks.push((data, received));
        }
    }

    fn remember(&mut self, utterance: UtteranceId) {
        self.ended.push_back(utterance);
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }
}

impl Active {
    /// Cuts what has come into slices; a message that is one slice already passes uncopied.
    fn slice(
        &mut self,
        mut data: Bytes,
        too_long: usize,
        received: Instant,
        effects: &mut Vec<Effect>,
    ) {
        data.truncate(data.len().saturating_sub(too_long));
        let key = self.key;
        let mut push = |data| effects.push(Effect::Slice { key, data, received });
        if !self.pending.is_empty() {
            let missing = SLICE - self.pending.len();
            self.pending.extend_from_slice(&data.split_to(missing.min(data.len())));
            if self.pending.len() < SLICE {
                return;
            }
            push(self.pending.split().freeze());
        }
        while data.len() >= SLICE {
            push(data.split_to(SLICE));
        }
        if !data.is_empty() {
            self.pending.reserve(SLICE);
            self.pending.extend_from_slice(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: RequestKey = RequestKey(7);

    fn u(name: &str) -> UtteranceId {
        name.into()
    }

    fn pcm(length: usize) -> Bytes {
        (0..length).map(|n| n as u8).collect::<Vec<_>>().into()
    }

    fn started(max: Duration) -> (Capture, Instant) {
        let now = Instant::now();
        let mut capture = Capture::new(max);
        assert_eq!(capture.start(u("u1"), KEY, now), []);
        (capture, now)
    }

    fn feed(capture: &mut Capture, data: Bytes, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        capture.audio(u("u1"), data, now, now, &mut effects);
        effects
    }

    fn slices(effects: &[Effect]) -> Vec<usize> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Slice { data, .. } => Some(data.len()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn audio_of_any_size_becomes_slices_of_200_ms_and_loses_nothing() {
        for chunk in [2, 320, 3200, 6398, 6400, 6402, 64_000] {
            let (mut capture, now) = started(Duration::from_secs(60));
            let all = pcm(64_000 * 2);
            let mut effects = Vec::new();
            for piece in all.chunks(chunk) {
                effects.extend(feed(&mut capture, Bytes::copy_from_slice(piece), now));
            }
            effects.extend(feed(&mut capture, Bytes::new(), now));
            let sent: Vec<u8> = effects
                .iter()
                .filter_map(|e| match e {
                    Effect::Slice { data, .. } => Some(data.to_vec()),
                    _ => None,
                })
                .flatten()
                .collect();
            assert!(sent == all, "chunks of {chunk}");
            assert!(slices(&effects).iter().all(|len| *len == SLICE), "chunks of {chunk}");
            assert_eq!(effects.last(), Some(&Effect::Ended { utterance: u("u1"), key: KEY }));
        }
    }

    #[test]
    fn the_last_slice_may_be_shorter() {
        let (mut capture, now) = started(Duration::from_secs(60));
        let mut effects = feed(&mut capture, pcm(10_000), now);
        effects.extend(feed(&mut capture, Bytes::new(), now));
        assert_eq!(slices(&effects), [6400, 3600]);
    }

    #[test]
    fn a_message_of_one_slice_is_not_copied() {
        let (mut capture, now) = started(Duration::from_secs(60));
        let message = pcm(SLICE);
        let effects = feed(&mut capture, message.clone(), now);
        let [Effect::Slice { data, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(data.as_ptr(), message.as_ptr());
    }

    #[test]
    fn audio_before_its_recognize_is_sent_first() {
        let now = Instant::now();
        let mut capture = Capture::new(Duration::from_secs(60));
        assert_eq!(feed(&mut capture, pcm(3200), now), []);
        assert_eq!(feed(&mut capture, pcm(3200), now), []);
        assert_eq!(slices(&capture.start(u("u1"), KEY, now)), [6400]);
    }

    #[test]
    fn an_utterance_that_came_and_ended_before_its_recognize_is_sent_whole() {
        let now = Instant::now();
        let mut capture = Capture::new(Duration::from_secs(60));
        feed(&mut capture, pcm(3200), now);
        feed(&mut capture, Bytes::new(), now);
        let effects = capture.start(u("u1"), KEY, now);
        assert_eq!(slices(&effects), [3200]);
        assert_eq!(effects.last(), Some(&Effect::Ended { utterance: u("u1"), key: KEY }));
    }

    #[test]
    fn audio_that_nobody_claims_is_reported_after_a_second_and_only_once() {
        let now = Instant::now();
        let mut capture = Capture::new(Duration::from_secs(60));
        feed(&mut capture, pcm(3200), now);
        assert_eq!(capture.poll_timeout(), Some(now + EARLY_AGE));
        assert_eq!(capture.handle_timeout(now + EARLY_AGE), [Effect::Unknown(u("u1"))]);
        assert_eq!(feed(&mut capture, pcm(3200), now), [Effect::Late]);
    }

    #[test]
    fn the_largest_message_may_come_early_and_after_a_second_of_others() {
        let now = Instant::now();
        for before in [0, BYTES_PER_SECOND] {
            let mut capture = Capture::new(Duration::from_secs(60));
            for _ in 0..before / 3200 {
                assert_eq!(feed(&mut capture, pcm(3200), now), []);
            }
            assert_eq!(feed(&mut capture, pcm(64 * 1024), now), []);
            assert_eq!(feed(&mut capture, Bytes::new(), now), []);
            let effects = capture.start(u("u1"), KEY, now);
            assert_eq!(slices(&effects).iter().sum::<usize>(), before + 64 * 1024);
        }
    }

    #[test]
    fn early_audio_is_bounded() {
        let now = Instant::now();
        let mut capture = Capture::new(Duration::from_secs(60));
        let kept = MAX_EARLY / SLICE;
        let effects: Vec<_> =
            (0..kept + 3).flat_map(|_| feed(&mut capture, pcm(SLICE), now)).collect();
        assert_eq!(effects[0], Effect::EarlyOverflow(u("u1")));
        assert_eq!(effects.len(), 3, "{effects:?}");
        assert!(effects[1..].iter().all(|effect| *effect == Effect::Late), "{effects:?}");
        let mut capture = Capture::new(Duration::from_secs(60));
        let effects: Vec<_> = (0..300).flat_map(|_| feed(&mut capture, pcm(2), now)).collect();
        assert_eq!(effects[0], Effect::EarlyOverflow(u("u1")));
    }

    #[test]
    fn an_utterance_is_cut_at_its_limit() {
        let (mut capture, now) = started(Duration::from_secs(1));
        let mut effects = Vec::new();
        for _ in 0..6 {
            effects.extend(feed(&mut capture, pcm(6400), now));
        }
        assert_eq!(slices(&effects).iter().sum::<usize>(), BYTES_PER_SECOND);
        let end = effects.iter().position(|e| matches!(e, Effect::TooLong { .. }));
        assert_eq!(end, Some(5), "{effects:?}");
    }

    #[test]
    fn an_utterance_without_a_sample_is_empty() {
        let (mut capture, now) = started(Duration::from_secs(60));
        let effects = feed(&mut capture, Bytes::new(), now);
        assert_eq!(effects, [Effect::Empty { utterance: u("u1"), key: KEY }]);
    }

    #[test]
    fn an_appliance_that_falls_silent_is_given_up() {
        let (mut capture, now) = started(Duration::from_secs(60));
        feed(&mut capture, pcm(3200), now);
        assert_eq!(capture.handle_timeout(now + SILENT - Duration::from_millis(1)), []);
        let effects = capture.handle_timeout(now + SILENT);
        assert_eq!(effects, [Effect::Empty { utterance: u("u1"), key: KEY }]);
        assert_eq!(capture.active(), None);
    }

    #[test]
    fn audio_after_the_end_is_dropped_without_complaint() {
        let (mut capture, now) = started(Duration::from_secs(60));
        feed(&mut capture, pcm(100), now);
        let (utterance, key, rest) = capture.end().unwrap();
        assert_eq!((utterance, key), (u("u1"), KEY));
        assert!(matches!(rest, Some(Effect::Slice { data, .. }) if data.len() == 100));
        assert_eq!(feed(&mut capture, pcm(100), now), [Effect::Late]);
    }
}
