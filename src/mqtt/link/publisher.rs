//! The publishing end: a bounded queue, and the task that empties it.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use rumqttc::v5::AsyncClient;
use tokio::sync::mpsc;

use super::{
    RETRY,
    packet::{self, Unpublishable},
    qos,
    reminder::Reminder,
};
use crate::{
    mqtt::{Publication, topics},
    telemetry::metrics::Metrics,
};

/// Messages that may wait to be published.
const MAX_QUEUED: usize = 10_000;
/// Their payloads together, bytes.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// The publishing queue is full; the message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker takes messages too slowly")]
pub struct Backlog;

/// Hands publications to the publishing task; clones share its queue.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::UnboundedSender<Publication>,
    pub(super) waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Publisher {
    /// Queues a publication; order is kept.
    ///
    /// # Errors
    /// [`Backlog`] when the queue is at its bound (messages or bytes).
    pub fn publish(&self, publication: Publication) -> Result<(), Backlog> {
        let size = publication.payload.len();
        let messages = self.waiting.messages.load(Ordering::Relaxed);
        let bytes = self.waiting.bytes.load(Ordering::Relaxed) + size;
        if messages >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(Backlog);
        }
        self.waiting.messages.fetch_add(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_add(size, Ordering::Relaxed);
        self.queue.send(publication).map_err(|_| Backlog)
    }

    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Publication>) {
        let (queue, inbox) = mpsc::unbounded_channel();
        (Self { queue, waiting: Arc::default() }, inbox)
    }
}

/// The publishing task.
pub(super) struct Sender {
    pub(super) inbox: mpsc::UnboundedReceiver<Publication>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) client: Rc<RefCell<AsyncClient>>,
    pub(super) metrics: Metrics,
    /// `{root}` of all topics.
    pub(super) root: String,
    pub(super) reminder: Reminder,
}

impl Sender {
    pub(super) async fn run(mut self) {
        while let Some(publication) = self.inbox.recv().await {
            let size = publication.payload.len();
            match packet::check(publication.topic.as_bytes(), size, packet::LARGEST) {
                Ok(()) => self.send(publication).await,
                Err(never) => self.drop(never),
            }
            self.waiting.messages.fetch_sub(1, Ordering::Relaxed);
            self.waiting.bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    async fn send(&self, publication: Publication) {
        let Publication { topic, payload, qos: wanted, retain } = publication;
        loop {
            let client = self.client.borrow().clone();
            let sent = client.publish_bytes(&topic, qos(wanted), retain, payload.clone());
            match sent.await {
                Ok(()) => break,
                // The connection is being rebuilt: the message goes with the new one. What could
                // never be published has been sorted out before.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
        let below = topics::split(&self.root, &topic);
        let label = below.map_or("other", |(_, rest)| topics::label(rest));
        self.metrics.mqtt_messages.with_label_values(&["down", label]).inc();
    }

    fn drop(&mut self, never: Unpublishable) {
        self.metrics.dropped.with_label_values(&[never.label()]).inc();
        if self.reminder.is_due(never.label(), Instant::now()) {
            tracing::warn!(why = %never, "a message can never be published; it is dropped");
        }
    }
}
