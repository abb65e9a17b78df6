//! Who says what, and when.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    mark::{marked, shared_time},
    sink::UNCOUNTED,
};

/// Spreads numbers evenly over 0 to 1, in any count and without pattern.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
/// Between giving the orders and the first word.
const PREPARATION: Duration = Duration::from_secs(1);
/// Bytes of audio a second: 16 kHz, 16 bit, mono.
const BYTES_A_SECOND: u64 = 32_000;

/// One utterance of each of many speakers.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) first: Instant,
    ramp: Duration,
    /// Messages of an utterance.
    pub(super) messages: u32,
    /// What a message lasts.
    pub(super) message_time: Duration,
    counted: bool,
}

impl Plan {
    /// Everybody speaks so long, beginning spread over the ramp, soon.
    pub(super) fn new(length: Duration, ramp: Duration, message_time: Duration) -> Self {
        let messages = length.as_millis().div_ceil(message_time.as_millis().max(1)) as u32;
        let first = Instant::now() + PREPARATION;
        Self { first, ramp, messages, message_time, counted: true }
    }

    /// The same, only to warm up: nobody counts what is heard.
    pub(super) fn uncounted(self) -> Self {
        Self { counted: false, ..self }
    }

    /// When a speaker begins: spread over the ramp, and over the time between two messages.
    pub(super) fn start(&self, speaker: u32) -> Instant {
        self.first + self.ramp.mul_f64((f64::from(speaker) * GOLDEN_RATIO).fract())
    }

    /// When a message has been recorded, and is due to be sent.
    pub(super) fn due(&self, speaker: u32, message: u32) -> Instant {
        self.start(speaker) + self.message_time * (message + 1)
    }

    /// The audio of a message. It is so quiet that nobody takes it for speech.
    pub(super) fn message(&self, speaker: u32, message: u32) -> Bytes {
        let due = self.counted.then(|| shared_time(self.due(speaker, message)));
        marked(self.message_bytes() as usize, due.unwrap_or(UNCOUNTED))
    }

    /// Bytes of a message.
    pub(super) fn message_bytes(&self) -> u64 {
        BYTES_A_SECOND * self.message_time.as_millis() as u64 / 1000
    }

    /// When the last speaker has ended.
    pub(super) fn end(&self) -> Instant {
        self.first + self.ramp + self.message_time * self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_begin_spread_over_the_ramp_and_over_the_time_between_messages() {
        let (second, step) = (Duration::from_secs(1), Duration::from_millis(100));
        let plan = Plan::new(second, 2 * second, step);
        let mut phases = [0; 10];
        for speaker in 0..200 {
            let after = plan.start(speaker) - plan.first;
            assert!(after < 2 * second);
            phases[after.as_millis() as usize % 100 / 10] += 1;
        }
        assert!(phases.iter().all(|count| (15..=25).contains(count)), "{phases:?}");
        assert_eq!((plan.messages, plan.message_bytes()), (10, 3200));
        assert_eq!(plan.end() - plan.first, 3 * second);
    }
}
