//! The publishing end: what hands messages in, and the task that hands them on to the connection.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rumqttc::v5::AsyncClient;
use tokio::sync::{Notify, watch};

use super::{
    outbox::{Backlog, Outbox},
    packet, qos,
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

    /// One without a link, for whoever takes out by hand what was queued.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self::new()
    }

    /// Takes out everything that is queued.
    #[cfg(test)]
    pub(crate) fn take_all(&self) -> Vec<Publication> {
        std::iter::from_fn(|| self.outbox().pop()).collect()
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
    /// See [`super::poller::Poller::limit`].
    pub(super) limit: watch::Receiver<Option<u32>>,
}

impl Sender {
    pub(super) async fn run(mut self) {
        loop {
            let publication = self.queue.next().await;
            if self.send(publication).await.is_none() {
                return;
            }
        }
    }

    /// Hands a message to the connection, or drops what the broker can never take; `None` when
    /// there will be no connection any more.
    async fn send(&mut self, publication: Publication) -> Option<()> {
        let Publication { topic, payload, qos: wanted, retain } = publication;
        loop {
            let limit = self.limit().await?;
            if let Err(never) = packet::check(topic.as_bytes(), payload.len(), limit) {
                never.drop(&self.metrics, &mut self.reminder);
                return Some(());
            }
            // Nothing may be awaited between asking for the limit and taking the client: the
            // limit belongs to that connection.
            let client = self.client.borrow().clone();
            let sent = client.publish_bytes(&topic, qos(wanted), retain, payload.clone()).await;
            if sent.is_ok() {
                break;
            }
            // The connection is gone: the message goes with the next one.
        }
        let below = topics::split(&self.root, &topic);
        let label = below.map_or("other", |(_, rest)| topics::label(rest));
        self.metrics.mqtt_messages.with_label_values(&["down", label]).inc();
        Some(())
    }

    /// The largest packet that the broker takes, as soon as it has said so on this connection.
    async fn limit(&mut self) -> Option<u32> {
        self.limit.wait_for(Option::is_some).await.ok().and_then(|limit| *limit)
    }
}
