//! One h2 connection to CIC: downchannel, events, PING. The only user of h2 outside `sim`.
//!
//! Started by the appliance's actor, in the actor's arbiter; ends with one `Closed` notice.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::message::{Command, Notice};
use crate::{secret::Secret, telemetry::metrics::Metrics};

/// What all sessions of a process share.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Where CIC is: `https://host[:port]/` or `http://...` for h2c with prior knowledge.
    pub base_uri: http::Uri,
    /// Shared TLS configuration with ALPN `h2`; `None` for `http`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Checked by [`super::user_agent`].
    pub user_agent: http::HeaderValue,
    /// TCP, TLS and h2 handshake together; then again for `200` and Hello.
    pub connect_timeout: Duration,
    /// Between PINGs; the first at a random phase.
    pub ping_interval: Duration,
    /// For the PING's acknowledgement.
    pub ping_timeout: Duration,
    /// Largest directive, bytes.
    pub max_directive: usize,
    /// Largest attachment, bytes.
    pub max_attachment: usize,
    /// Audio that may wait for flow control in one upload, bytes.
    pub max_upload_backlog: usize,
}

/// The actor's end of a session: commands in, notices out.
#[derive(Debug)]
pub struct SessionHandle {
    /// Commands, in order. A closed channel means that the session has ended.
    pub commands: mpsc::UnboundedSender<Command>,
    /// Notices, in order; bounded, so that a slow actor slows CIC down.
    pub notices: mpsc::Receiver<Notice>,
}

/// Starts a session on the current thread (`spawn_local`).
pub fn start(_settings: Arc<SessionSettings>, _token: Secret, _metrics: Metrics) -> SessionHandle {
    unimplemented!()
}
