//! What was seen: the newest events, and the audio of the newest of these.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// Events that are kept.
const MAX_EVENTS: usize = 10_000;
/// Audio that is kept, bytes.
const MAX_AUDIO: usize = 64 * 1024 * 1024;

/// An event that the simulated CIC received.
#[derive(Debug, Clone)]
pub struct SeenEvent {
    /// `device_id` of the token that it came with.
    pub device: String,
    /// Number of the connection.
    pub connection: u64,
    /// `Namespace.Name`.
    pub name: String,
    /// `header.dialogRequestId`.
    pub dialogue: Option<String>,
    /// `payload`.
    pub payload: Value,
    /// `context`.
    pub context: Value,
    /// All audio, in order; empty once much newer audio has come.
    pub audio: Bytes,
    /// What was recognised, or typed.
    pub text: String,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

/// An event that was answered with `400`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `device_id` of the token that it came with.
    pub device: String,
    /// `Namespace.Name`, where that could be read.
    pub name: String,
    /// Why.
    pub why: String,
}

/// An event, its audio apart: that is forgotten earlier.
#[derive(Debug, Clone)]
struct Entry(Arc<SeenEvent>, Bytes);

impl Entry {
    fn seen(&self) -> SeenEvent {
        SeenEvent { audio: self.1.clone(), ..SeenEvent::clone(&self.0) }
    }
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    /// How many entries have been forgotten.
    forgotten: u64,
    audio: usize,
    /// Entries before this have no audio any more.
    silent: u64,
}

impl Ring {
    fn push(&mut self, entry: Entry) {
        self.audio += entry.1.len();
        self.entries.push_back(entry);
        while self.audio > MAX_AUDIO {
            let oldest = self.silent.saturating_sub(self.forgotten) as usize;
            let Some(entry) = self.entries.get_mut(oldest) else { break };
            self.audio -= std::mem::take(&mut entry.1).len();
            self.silent = self.silent.max(self.forgotten) + 1;
        }
        if self.entries.len() > MAX_EVENTS
            && let Some(entry) = self.entries.pop_front()
        {
            self.audio -= entry.1.len();
            self.forgotten += 1;
        }
    }

    /// Entries from this number on, and the number of the next.
    fn since(&self, number: u64) -> (Vec<Entry>, u64) {
        let skipped = number.saturating_sub(self.forgotten) as usize;
        let entries = self.entries.iter().skip(skipped).cloned().collect();
        (entries, self.forgotten + self.entries.len() as u64)
    }
}

/// The journal. Its lock is held to push and to copy references, never while anybody looks.
#[derive(Debug)]
pub(super) struct Journal {
    ring: Mutex<Ring>,
    refusals: Mutex<VecDeque<Refusal>>,
    written: watch::Sender<()>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { ring: Mutex::default(), refusals: Mutex::default(), written: watch::Sender::new(()) }
    }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, mut event: SeenEvent) {
        tracing::debug!(event = event.name, complete = event.complete, text = event.text, "event");
        let audio = std::mem::take(&mut event.audio);
        self.lock().push(Entry(Arc::new(event), audio));
        self.written.send_replace(());
    }

    pub(super) fn refuse(&self, device: &str, name: &str, why: &str) {
        let (device, name, why) = (device.to_owned(), name.to_owned(), why.to_owned());
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.push_back(Refusal { device, name, why });
        if refusals.len() > MAX_EVENTS {
            refusals.pop_front();
        }
    }

    pub(super) fn refusals(&self) -> Vec<Refusal> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.iter().cloned().collect()
    }

    pub(super) fn seen(&self) -> Vec<SeenEvent> {
        let (entries, _) = self.lock().since(0);
        entries.iter().map(Entry::seen).collect()
    }

    /// How many events have come so far.
    pub(super) fn count(&self) -> u64 {
        self.lock().since(u64::MAX).1
    }

    /// The first event from this number on that fits, and the number of the one behind it. Events
    /// are looked at without their audio.
    pub(super) async fn next(
        &self,
        mut from: u64,
        wanted: impl Fn(&SeenEvent) -> bool,
        limit: Duration,
    ) -> Option<(u64, SeenEvent)> {
        let mut written = self.written.subscribe();
        let find = async {
            loop {
                let (entries, next) = self.lock().since(from);
                let first = next - entries.len() as u64;
                let found = entries.iter().zip(first..).find(|(entry, _)| wanted(&entry.0));
                if let Some((entry, number)) = found {
                    return Some((number + 1, entry.seen()));
                }
                from = next;
                written.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, find).await.ok().flatten()
    }

    /// Events from this number on that fit.
    pub(super) fn after(&self, from: u64, wanted: impl Fn(&SeenEvent) -> bool) -> Vec<SeenEvent> {
        let (entries, _) = self.lock().since(from);
        entries.iter().filter(|entry| wanted(&entry.0)).map(Entry::seen).collect()
    }

    pub(super) async fn wait_for(
        &self,
        wanted: impl Fn(&SeenEvent) -> bool,
        limit: Duration,
    ) -> Option<SeenEvent> {
        let mut written = self.written.subscribe();
        let find = async {
            let mut from = 0;
            loop {
                let (entries, next) = self.lock().since(from);
                from = next;
                if let Some(found) = entries.iter().map(Entry::seen).find(|seen| wanted(seen)) {
                    return Some(found);
                }
                written.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, find).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize, audio: usize) -> Entry {
        let event = SeenEvent {
            device: String::new(),
            connection: number as u64,
            name: String::new(),
            dialogue: None,
            payload: Value::Null,
            context: Value::Null,
            audio: Bytes::new(),
            text: String::new(),
            complete: true,
        };
        Entry(Arc::new(event), Bytes::from(vec![0; audio]))
    }

    #[test]
    fn the_oldest_audio_is_forgotten_first_then_the_oldest_events() {
        let mut ring = Ring::default();
        for number in 0..5 {
            ring.push(entry(number, MAX_AUDIO / 2));
        }
        let kept: Vec<_> = ring.entries.iter().map(|entry| entry.1.len()).collect();
        assert_eq!(kept, [0, 0, 0, MAX_AUDIO / 2, MAX_AUDIO / 2]);
        for number in 5..MAX_EVENTS + 4 {
            ring.push(entry(number, 0));
        }
        assert_eq!((ring.entries.len(), ring.forgotten), (MAX_EVENTS, 4));
        assert_eq!(ring.audio, MAX_AUDIO / 2);
        ring.push(entry(0, MAX_AUDIO));
        assert_eq!(ring.audio, MAX_AUDIO, "the one of five that was left went");
        let (entries, next) = ring.since(next_but(&ring, 2));
        assert_eq!((entries.len(), next), (2, ring.forgotten + MAX_EVENTS as u64));
    }

    fn next_but(ring: &Ring, back: u64) -> u64 {
        ring.forgotten + ring.entries.len() as u64 - back
    }
}
