//! The last messages that an appliance's actor has taken: MQTT delivers at least once, and after
//! a lost connection the broker repeats what it has seen no acknowledgement for. A request must
//! not be made twice for that. Pure; called by the registry.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
};

/// As many as a broker has unacknowledged of one appliance, with something to spare.
const REMEMBERED: usize = 32;

/// Fingerprints of the last messages.
#[derive(Debug, Default)]
pub struct Recent {
    fingerprints: VecDeque<u64>,
    hasher: RandomState,
}

impl Recent {
    /// Notes a message that has been taken.
    pub fn note(&mut self, topic: &str, payload: &[u8]) {
        if self.fingerprints.len() == REMEMBERED {
            self.fingerprints.pop_front();
        }
        self.fingerprints.push_back(self.hasher.hash_one((topic, payload)));
    }

    /// Whether this message has been taken a short while ago.
    pub fn has(&self, topic: &str, payload: &[u8]) -> bool {
        self.fingerprints.contains(&self.hasher.hash_one((topic, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_known_by_topic_and_payload() {
        let mut recent = Recent::default();
        recent.note("up/text", b"a");
        assert!(recent.has("up/text", b"a"));
        assert!(!recent.has("up/text", b"b") && !recent.has("up/event", b"a"));
        for n in 0..REMEMBERED {
            recent.note("up/text", n.to_string().as_bytes());
        }
        assert!(!recent.has("up/text", b"a"), "bounded");
    }
}
