//! What can never be published: offering it again would hold up everything behind it. Called by
//! publisher and poller.

use std::time::Instant;

use super::reminder::Reminder;
use crate::{mqtt::topics, telemetry::metrics::Metrics};

/// The largest packet that MQTT can describe, bytes.
pub(super) const LARGEST: u32 = 268_435_455;

/// Why a publication can never be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unpublishable {
    /// MQTT has no such topic.
    #[error("its topic is empty, too long, or has a wildcard or a control character in it")]
    Topic,
    /// The broker would end the connection.
    #[error("it is larger than the broker takes")]
    TooLarge,
}

impl Unpublishable {
    /// `dropped_total{what}`.
    fn label(self) -> &'static str {
        match self {
            Self::Topic => "unpublishable",
            Self::TooLarge => "too_large_for_broker",
        }
    }

    /// Counts the message, and says so now and then.
    pub(super) fn drop(self, metrics: &Metrics, reminder: &mut Reminder) {
        metrics.dropped.with_label_values(&[self.label()]).inc();
        if reminder.is_due(self.label(), Instant::now()) {
            tracing::warn!(why = %self, "a message can never be published; it is dropped");
        }
    }
}

/// Whether a broker that takes packets of at most `limit` bytes can take this one.
///
/// # Errors
/// Why it never will.
pub(super) fn check(topic: &[u8], payload: usize, limit: u32) -> Result<(), Unpublishable> {
    if !std::str::from_utf8(topic).is_ok_and(topics::is_topic) {
        return Err(Unpublishable::Topic);
    }
    // Topic length, packet id and the length of no properties; id also without one, to be safe.
    let remaining = 2 + topic.len() + 2 + 1 + payload;
    let length_bytes = match remaining {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    };
    match u32::try_from(1 + length_bytes + remaining) {
        Ok(size) if size <= limit.min(LARGEST) => Ok(()),
        _ => Err(Unpublishable::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::v5::mqttbytes::{QoS, v5::Publish};

    use super::*;

    #[test]
    fn a_topic_that_mqtt_cannot_carry_is_refused() {
        for topic in ["a", "a/down/audio/c-1", "a/b c", &"x".repeat(65_535)] {
            assert_eq!(check(topic.as_bytes(), 1, LARGEST), Ok(()), "{topic}");
        }
        for topic in
            ["", "a/+/b", "a/#", "a/b+", "a\0b", "a\nb", "a/\u{1fffe}", &"x".repeat(65_536)]
        {
            assert_eq!(check(topic.as_bytes(), 1, LARGEST), Err(Unpublishable::Topic), "{topic}");
        }
        assert_eq!(check(b"a/\xff", 1, LARGEST), Err(Unpublishable::Topic));
    }

    #[test]
    fn the_size_is_the_one_that_rumqttc_sends() {
        for payload in [0, 1, 117, 118, 119, 120, 16_370, 16_374, 16_380, 100_000, 2_097_150] {
            let mut publish = Publish::new("a/down", QoS::AtLeastOnce, vec![0; payload], None);
            publish.pkid = 1;
            let size = u32::try_from(publish.size()).unwrap();
            assert_eq!(check(b"a/down", payload, size), Ok(()), "{payload}");
            let refused = check(b"a/down", payload, size - 1);
            assert_eq!(refused, Err(Unpublishable::TooLarge), "{payload}");
        }
        let too_large = check(b"a", LARGEST as usize, u32::MAX);
        assert_eq!(too_large, Err(Unpublishable::TooLarge));
    }
}
