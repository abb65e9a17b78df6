//! One h2 connection to CIC: downchannel, events, PING. The only user of h2 outside `sim`.
//!
//! Started by the appliance's actor, in the actor's arbiter; ends with one `Closed` notice.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | settings, and the two ends |
//! | `live.rs` | the loop: commands, PING, the end |
//! | `connect.rs` | TCP, TLS and h2; notices GOAWAY |
//! | `heart.rs` | PING |
//! | `downchannel.rs` | the first request, and what is read from it |
//! | `patience.rs` | whether CIC still answers requests |
//! | `request.rs` | one event: its upload and its answer |
//! | `upload.rs` | the body of an event, as flow control lets it through |
//! | `body.rs` | multipart bodies become notices |
//! | `describe.rs` | what an error body says |

mod body;
mod connect;
mod describe;
mod downchannel;
mod heart;
mod live;
mod patience;
mod request;
mod upload;

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::sync::{Notify, mpsc};

use super::message::{CloseReason, Command, Notice};
use crate::{secret::Secret, telemetry::metrics::Metrics};
use patience::Patience;

/// Default of [`SessionSettings::response_timeout`]. The guide names no limit; a user has given up
/// long before, and an event that is never answered would block the ones behind it.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`SessionSettings::idle_timeout`].
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Notices that may wait for the actor; a slow actor slows CIC down.
const NOTICES: usize = 64;

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
    /// From the end of an event's upload to the answer's headers; also how long an upload may wait
    /// for CIC to take anything. Beyond it the event is [`Outcome::Broken`].
    ///
    ///
    /// A connection on which something was due from CIC for twice as long, over all requests
    /// together, and nothing came, is given up.
    ///
    /// [`Outcome::Broken`]: super::message::Outcome::Broken
    pub response_timeout: Duration,
    /// How long an answer may stand still, once the upload is over. Beyond it the event is broken
    /// and what was under way of its attachments incomplete.
    pub idle_timeout: Duration,
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
    /// Notices, in order; bounded, so that a slow actor slows CIC down. Boxed, because the channel
    /// sets aside room for 32 of them, and most sessions idle.
    pub notices: mpsc::Receiver<Box<Notice>>,
}

/// Starts a session on the current thread (`spawn_local`).
pub fn start(settings: Arc<SessionSettings>, token: Secret, metrics: Metrics) -> SessionHandle {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (outbox, notices) = mpsc::channel(NOTICES);
    let request_ended = Notify::new();
    let patience = Rc::default();
    let shared = Rc::new(Shared { settings, metrics, notices: outbox, request_ended, patience });
    tokio::task::spawn_local(run(shared, token, inbox));
    SessionHandle { commands, notices }
}

/// What the tasks of one session share.
struct Shared {
    settings: Arc<SessionSettings>,
    metrics: Metrics,
    notices: mpsc::Sender<Box<Notice>>,
    request_ended: Notify,
    patience: Rc<Patience>,
}

impl Shared {
    /// Hands a notice to the actor; `false` when nobody listens any more.
    async fn tell(&self, notice: Notice) -> bool {
        self.notices.send(Box::new(notice)).await.is_ok()
    }
}

async fn run(shared: Rc<Shared>, token: Secret, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let reason = tokio::select! {
        reason = live::live(&shared, token, &mut inbox) => reason,
        () = shared.notices.closed() => return,
    };
    let label = match &reason {
        CloseReason::Requested => "requested",
        CloseReason::Connect(_) => "connect",
        CloseReason::Status { .. } => "status",
        CloseReason::NoHello => "no_hello",
        CloseReason::PingTimeout => "ping_timeout",
        CloseReason::Stalled => "stalled",
        CloseReason::Lost(_) => "lost",
    };
    shared.metrics.cic_session_errors.with_label_values(&[label]).inc();
    tracing::debug!(?reason, "session closed");
    shared.tell(Notice::Closed(reason)).await;
}
