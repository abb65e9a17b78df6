//! What waits to be published, bounded. Pure; called by the publisher.
//!
//! Retained messages wait apart: only the newest one of a topic counts, so that there are never
//! more of them than the gateway has retained topics, and none has to be refused. At the start of
//! a large fleet every appliance has a `down/session` before the broker has answered.

use std::collections::{HashMap, VecDeque};

use crate::mqtt::Publication;

/// Messages that may wait, retained ones apart.
const MAX_QUEUED: usize = 10_000;
/// Their payloads together, bytes.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// The publishing queue is full; the message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker takes messages too slowly")]
pub struct Backlog;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Publication>,
    bytes: usize,
    /// The newest message of each retained topic.
    retained: HashMap<String, Publication>,
    /// Their topics, in the order in which they go out.
    turns: VecDeque<String>,
    retained_is_next: bool,
    /// One has been taken out and is not with the connection yet.
    in_hand: bool,
}

impl Outbox {
    /// Takes a message. A retained one replaces an older one of its topic and keeps its place.
    ///
    /// # Errors
    /// [`Backlog`] when the queue of the others is at its bound (messages or bytes).
    pub(super) fn push(&mut self, publication: Publication) -> Result<(), Backlog> {
        if publication.retain {
            let topic = publication.topic.clone();
            if self.retained.insert(topic.clone(), publication).is_none() {
                self.turns.push_back(topic);
            }
            return Ok(());
        }
        let bytes = self.bytes + publication.payload.len();
        if self.queue.len() >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(Backlog);
        }
        self.bytes = bytes;
        self.queue.push_back(publication);
        Ok(())
    }

    /// The next message, by turns a retained one and another one, so that neither waits for long.
    pub(super) fn pop(&mut self) -> Option<Publication> {
        self.retained_is_next = !self.retained_is_next;
        let next = match self.retained_is_next {
            true => self.pop_retained().or_else(|| self.pop_other()),
            false => self.pop_other().or_else(|| self.pop_retained()),
        };
        self.in_hand = next.is_some();
        next
    }

    /// Whether nothing waits, and what was taken out last has been dealt with: the publishing task
    /// asks for the next one only then.
    pub(super) fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.turns.is_empty() && !self.in_hand
    }

    fn pop_retained(&mut self) -> Option<Publication> {
        let topic = self.turns.pop_front()?;
        self.retained.remove(&topic)
    }

    fn pop_other(&mut self) -> Option<Publication> {
        let publication = self.queue.pop_front()?;
        self.bytes -= publication.payload.len();
        Some(publication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::Qos;

    fn publication(topic: &str, payload: &str, retain: bool) -> Publication {
        let (topic, payload) = (topic.to_owned(), payload.to_owned().into());
        Publication { topic, payload, qos: Qos::AtLeastOnce, retain }
    }

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        let next = || outbox.pop();
        let text = |p: Publication| String::from_utf8(p.payload.to_vec()).unwrap();
        std::iter::from_fn(next).map(text).collect()
    }

    #[test]
    fn retained_state_of_any_fleet_is_taken_and_only_the_newest_goes_out() {
        let mut outbox = Outbox::default();
        while outbox.push(publication("a/down/text", "x", false)).is_ok() {}
        for state in ["unpaired", "connecting", "connected"] {
            for number in 0..20_000 {
                let topic = format!("a{number}/down/session");
                outbox.push(publication(&topic, state, true)).unwrap();
            }
        }
        let out = drain(&mut outbox);
        assert_eq!(out.iter().filter(|payload| *payload == "connected").count(), 20_000);
        assert_eq!(out.iter().filter(|payload| *payload == "x").count(), MAX_QUEUED);
        assert_eq!(out.len(), 20_000 + MAX_QUEUED);
        assert!(outbox.is_settled() && outbox.bytes == 0 && outbox.retained.is_empty());
    }

    #[test]
    fn both_kinds_take_turns_and_each_keeps_its_order() {
        let mut outbox = Outbox::default();
        for (topic, payload, retain) in [
            ("t", "1", false),
            ("t", "2", false),
            ("t", "3", false),
            ("s1", "a", true),
            ("s2", "b", true),
            ("s1", "A", true),
            ("t", "4", false),
        ] {
            outbox.push(publication(topic, payload, retain)).unwrap();
        }
        assert_eq!(drain(&mut outbox), ["A", "1", "b", "2", "3", "4"]);
        outbox.push(publication("s1", "again", true)).unwrap();
        assert_eq!(drain(&mut outbox), ["again"]);
    }

    #[test]
    fn what_is_not_retained_is_bounded_in_number_and_size() {
        let mut outbox = Outbox::default();
        let large = "x".repeat(1024 * 1024);
        let taken = (0..100).filter(|_| outbox.push(publication("t", &large, false)).is_ok());
        assert_eq!(taken.count(), 64);
        outbox.pop();
        assert_eq!(outbox.push(publication("t", &large, false)), Ok(()));
        assert_eq!(outbox.push(publication("t", "x", false)), Err(Backlog));
    }
}
