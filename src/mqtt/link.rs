//! The broker connection: the only user of rumqttc outside `sim`.
//!
//! One task polls, acknowledges and hands messages on; another one publishes, because publishing
//! from the polling task can freeze both. Called by [`crate::shard`].

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Inbound, Publication};
use crate::{secret::Secret, telemetry::metrics::Metrics};

/// Where the broker is, and who we are.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS, when the URL says `mqtts`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// MQTT client id; names the persistent session.
    pub client_id: String,
    /// Empty = anonymous.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// `{root}` of all topics.
    pub topic_root: String,
    /// Topic filters to subscribe to, QoS 1.
    pub filters: Vec<String>,
}

/// What the handler says of a message.
#[derive(Debug)]
pub enum Taken {
    /// It has an owner now and may be acknowledged.
    Yes,
    /// Nobody can take it now: offer it again a little later, and do not acknowledge it before.
    Later(Inbound),
}

/// Takes each message, on the link's own thread. Must not block.
pub type Handler = Box<dyn FnMut(Inbound) -> Taken>;

/// The publishing queue is full; the message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker takes messages too slowly")]
pub struct Backlog;

/// Hands publications to the publishing task; clones share its queue.
#[derive(Debug, Clone)]
pub struct Publisher;

impl Publisher {
    /// Queues a publication; order is kept.
    ///
    /// # Errors
    /// [`Backlog`] when the queue is at its bound (messages or bytes).
    pub fn publish(&self, _publication: Publication) -> Result<(), Backlog> {
        unimplemented!()
    }

    /// A publisher whose queue a test reads itself.
    pub fn for_tests() -> (Self, tokio::sync::mpsc::UnboundedReceiver<Publication>) {
        unimplemented!()
    }
}

/// A running broker connection.
#[derive(Debug)]
pub struct Link;

impl Link {
    /// Starts the connection on the current thread (`spawn_local`) and keeps it up for ever.
    pub fn start(
        _settings: LinkSettings,
        _handler: Handler,
        _metrics: Metrics,
    ) -> (Self, Publisher) {
        unimplemented!()
    }

    /// Whether the broker has accepted us and the subscriptions stand; changes are seen.
    pub fn connected(&self) -> watch::Receiver<bool> {
        unimplemented!()
    }

    /// Publishes what is queued (at most for `grace`), then `offline`, and disconnects.
    pub async fn stop(self, _grace: Duration) {
        unimplemented!()
    }
}
