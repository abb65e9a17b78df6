//! The publishing end: what hands messages in, and the task that hands them on to the connection.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rumqttc::v5::AsyncClient;
use tokio::sync::Notify;

use super::{
    RETRY,
    outbox::{Backlog, Outbox},
    packet::{self, Unpublishable},
    qos,
    reminder::Reminder,
};
use crate::{
    mqtt::{Publication, topics},
    telemetry::metrics::Metrics,
};

/// Hands publications to the publishing task; clones share its queue.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    outbox: Mutex<Outbox>,
    more: Notify,
    /// Told when the publishing task has nothing left to do.
    settled: Notify,
}

impl Publisher {
    /// Queues a publication. Order is kept, but not between retained messages and others; of
    /// retained ones only the newest of each topic is sure to go out, and as the last one.
    ///
    /// # Errors
    /// [`Backlog`] when the queue is at its bound (messages or bytes); never for a retained one.
    pub fn publish(&self, publication: Publication) -> Result<(), Backlog> {
        self.outbox().push(publication)?;
        self.0.more.notify_one();
        Ok(())
    }

    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Resolves when all that was queued has been handed to the connection.
    pub(super) async fn settled(&self) {
        while !self.outbox().is_settled() {
            self.0.settled.notified().await;
        }
    }

    async fn next(&self) -> Publication {
        loop {
            // In a statement of its own: the lock must not be held while waiting.
            let next = self.outbox().pop();
            if let Some(next) = next {
                return next;
            }
            self.0.settled.notify_one();
            self.0.more.notified().await;
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The publishing task.
pub(super) struct Sender {
    pub(super) queue: Publisher,
    pub(super) client: Rc<RefCell<AsyncClient>>,
    pub(super) metrics: Metrics,
    /// `{root}` of all topics.
    pub(super) root: String,
    pub(super) reminder: Reminder,
}

impl Sender {
    pub(super) async fn run(mut self) {
        loop {
            let publication = self.queue.next().await;
            let size = publication.payload.len();
            match packet::check(publication.topic.as_bytes(), size, packet::LARGEST) {
                Ok(()) => self.send(publication).await,
                Err(never) => self.drop(never),
            }
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
