//! The publishing end: a bounded queue, and the task that empties it.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rumqttc::v5::AsyncClient;
use tokio::sync::mpsc;

use super::{RETRY, qos};
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
pub(super) async fn send(
    mut inbox: mpsc::UnboundedReceiver<Publication>,
    waiting: Arc<Waiting>,
    client: Rc<RefCell<AsyncClient>>,
    metrics: Metrics,
    root: String,
) {
    while let Some(publication) = inbox.recv().await {
        let Publication { topic, payload, qos: wanted, retain } = publication;
        let label = topics::split(&root, &topic).map_or("other", |(_, rest)| topics::label(rest));
        loop {
            let current = client.borrow().clone();
            let payload = payload.clone();
            match current.publish_bytes(topic.clone(), qos(wanted), retain, payload).await {
                Ok(()) => break,
                // The connection is being rebuilt: the message goes with the new one.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
        waiting.messages.fetch_sub(1, Ordering::Relaxed);
        waiting.bytes.fetch_sub(payload.len(), Ordering::Relaxed);
        metrics.mqtt_messages.with_label_values(&["down", label]).inc();
    }
}
