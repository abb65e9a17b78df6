//! The message queue (dialogue 3): directives of the current dialogue in the order of their
//! arrival, each held until its attachments have begun. Pure; called by the core.
//!
//! Only a Speak blocks what is behind it; the core asks [`crate::appliance::speech`] for that.

use std::collections::VecDeque;

use crate::{
    cic::{directive::Directive, message::Source},
    ids::{ContentId, DialogRequestId},
    mqtt::topics,
};

/// Directives that may wait.
const MAX_ENTRIES: usize = 256;
/// Their payloads together, bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Longest id of an attachment, characters: it becomes a level of the topic that carries it.
const MAX_CONTENT_ID: usize = 128;

/// A directive that waits for its turn.
#[derive(Debug)]
pub struct Entry {
    /// The directive.
    pub directive: Directive,
    /// Where it came from, and its attachments too.
    pub source: Source,
    /// The attachments that its payload refers to.
    pub attachments: Vec<ContentId>,
}

impl Entry {
    /// Wraps a directive; finds the attachments that it refers to.
    pub fn new(directive: Directive, source: Source) -> Self {
        let attachments = referred(directive.payload.get());
        Self { directive, source, attachments }
    }
}

/// Directives that wait, bounded.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Queue {
    /// Appends a directive; gives it back when the queue is full.
    ///
    /// # Errors
    /// The entry itself, for its attachments to be discarded.
    pub fn push(&mut self, entry: Entry) -> Result<(), Box<Entry>> {
        let bytes = self.bytes + entry.directive.payload.get().len();
        if bytes > MAX_BYTES || self.entries.len() >= MAX_ENTRIES {
            return Err(Box::new(entry));
        }
        self.bytes = bytes;
        self.entries.push_back(entry);
        Ok(())
    }

    /// The one whose turn it is.
    pub fn head(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Takes the one whose turn it is.
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.directive.payload.get().len();
        Some(entry)
    }

    /// Removes every directive that carries another id than `latest` (dialogue 2).
    pub fn remove_stale(&mut self, latest: Option<&DialogRequestId>) -> Vec<Entry> {
        let all = std::mem::take(self);
        let mut stale = Vec::new();
        for entry in all.entries {
            let id = entry.directive.dialog_request_id.as_ref();
            if id.is_some() && id != latest {
                stale.push(entry);
            } else {
                self.bytes += entry.directive.payload.get().len();
                self.entries.push_back(entry);
            }
        }
        stale
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> impl Iterator<Item = Entry> + '_ {
        self.bytes = 0;
        self.entries.drain(..)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The `cid:` references in a payload's string values. An id that no topic can carry is none: its
/// directive is delivered without that attachment.
fn referred(payload: &str) -> Vec<ContentId> {
    let texts = payload.split("\"cid:").skip(1);
    let ids = texts.filter_map(|text| text.split_once('"')).map(|(id, _)| id);
    ids.filter(|id| !id.contains('\\') && topics::is_level(id, MAX_CONTENT_ID))
        .map(ContentId::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn entry(id: Option<&str>, payload: &str) -> Entry {
        let directive = Directive {
            namespace: "Clova".into(),
            name: "RenderText".into(),
            message_id: "m".into(),
            dialog_request_id: id.map(Into::into),
            payload: RawValue::from_string(payload.into()).unwrap(),
        };
        Entry::new(directive, Source::Downchannel)
    }

    #[test]
    fn references_to_attachments_are_found_in_any_payload() {
        let found = |payload| entry(None, payload).attachments;
        assert_eq!(found(r#"{"url":"cid:a-1","token":"t"}"#), ["a-1".into()]);
        assert_eq!(found(r#"{"a":["cid:1","http://x"],"b":{"c":"cid:2"}}"#).len(), 2);
        assert_eq!(found(r#"{"url":"https://example.net/cid:1","b":"cid:"}"#), []);
    }

    #[test]
    fn an_id_that_no_topic_can_carry_is_no_attachment() {
        let long = "x".repeat(129);
        for id in ["a/b", "+", "a#b", "a\u{7f}", r"a\u0000b", long.as_str()] {
            let payload = format!("{{\"url\":\"cid:{id}\",\"other\":\"cid:fine\"}}");
            assert_eq!(entry(None, &payload).attachments, ["fine".into()], "{id}");
        }
        assert_eq!(referred(&format!("[\"cid:{}\"]", &long[1..])).len(), 1);
    }

    #[test]
    fn stale_entries_leave_and_the_rest_keeps_its_order() {
        let mut queue = Queue::default();
        for id in [Some("a"), None, Some("b"), Some("a"), Some("b")] {
            queue.push(entry(id, "{}")).unwrap();
        }
        assert_eq!(queue.remove_stale(Some(&"b".into())).len(), 2);
        let left: Vec<_> = queue.drain().map(|e| e.directive.dialog_request_id).collect();
        assert_eq!(left, [None, Some("b".into()), Some("b".into())]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn the_queue_is_bounded_in_number_and_size() {
        let mut queue = Queue::default();
        let taken = (0..1000).filter(|_| queue.push(entry(None, "{}")).is_ok()).count();
        assert_eq!(taken, MAX_ENTRIES);
        let mut queue = Queue::default();
        let large = format!("{{\"text\":{:?}}}", "x".repeat(200_000));
        let taken = (0..1000).filter(|_| queue.push(entry(None, &large)).is_ok()).count();
        assert_eq!(taken, 10);
        while queue.pop().is_some() {}
        assert_eq!(queue.bytes, 0);
    }
}
