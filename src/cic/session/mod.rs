//! One h2 connection to CIC: downchannel, events, PING. The only user of h2 outside `sim`.
//!
//! Started by the appliance's actor, in the actor's arbiter; ends with one `Closed` notice.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the loop: commands, PING, the end |
//! | `connect.rs` | TCP, TLS and h2 |
//! | `downchannel.rs` | the first request, and what is read from it |
//! | `request.rs` | one event: its upload and its response |
//! | `body.rs` | multipart bodies become notices |

mod body;
mod connect;
mod downchannel;
mod request;

use std::{collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{Ping, PingPong, client::SendRequest};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep_until},
};

use super::message::{CloseReason, Command, Notice, RequestKey};
use crate::{secret::Secret, telemetry::metrics::Metrics};
use connect::Connection;

/// Notices that may wait for the actor; a slow actor slows CIC down.
const NOTICES: usize = 64;
/// How long a connection may take to say good-bye.
const FAREWELL: Duration = Duration::from_millis(500);

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
pub fn start(settings: Arc<SessionSettings>, token: Secret, metrics: Metrics) -> SessionHandle {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (outbox, notices) = mpsc::channel(NOTICES);
    let shared = Rc::new(Shared { settings, metrics, notices: outbox });
    tokio::task::spawn_local(run(shared, token, inbox));
    SessionHandle { commands, notices }
}

/// What the tasks of one session share.
struct Shared {
    settings: Arc<SessionSettings>,
    metrics: Metrics,
    notices: mpsc::Sender<Notice>,
}

impl Shared {
    /// Hands a notice to the actor; `false` when nobody listens any more.
    async fn tell(&self, notice: Notice) -> bool {
        self.notices.send(notice).await.is_ok()
    }
}

/// Tasks that end with the session.
#[derive(Default)]
struct Tasks(Vec<AbortHandle>);

impl Tasks {
    fn add<T>(&mut self, task: &JoinHandle<T>) {
        self.0.retain(|task| !task.is_finished());
        self.0.push(task.abort_handle());
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn run(shared: Rc<Shared>, token: Secret, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let reason = tokio::select! {
        reason = live(&shared, token, &mut inbox) => reason,
        () = shared.notices.closed() => return,
    };
    let label = match &reason {
        CloseReason::Requested => "requested",
        CloseReason::Connect(_) => "connect",
        CloseReason::Status { .. } => "status",
        CloseReason::NoHello => "no_hello",
        CloseReason::PingTimeout => "ping_timeout",
        CloseReason::Lost(_) => "lost",
    };
    shared.metrics.cic_session_errors.with_label_values(&[label]).inc();
    tracing::debug!(?reason, "session closed");
    shared.tell(Notice::Closed(reason)).await;
}

/// From connecting to the end.
async fn live(
    shared: &Rc<Shared>,
    token: Secret,
    inbox: &mut mpsc::UnboundedReceiver<Command>,
) -> CloseReason {
    let connected = tokio::select! {
        connected = connect::connect(&shared.settings) => connected,
        () = asked_to_close(inbox) => return CloseReason::Requested,
    };
    let Connection { send, ping, mut driver } = match connected {
        Ok(connection) => connection,
        Err(why) => return CloseReason::Connect(why),
    };
    let mut tasks = Tasks::default();
    tasks.add(&driver);
    let mut session =
        Session { shared: shared.clone(), send, token, requests: HashMap::new(), tasks };
    let reason = session.serve(ping, &mut driver, inbox).await;
    session.end(driver).await;
    reason
}

/// While connecting only `Close` matters: nothing else can have been sent.
async fn asked_to_close(inbox: &mut mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = inbox.recv().await {
        if matches!(command, Command::Close) {
            break;
        }
    }
}

/// A request that is under way, as the loop sees it.
struct Running {
    upload: mpsc::UnboundedSender<request::Piece>,
    waiting: Rc<std::cell::Cell<usize>>,
    task: JoinHandle<()>,
}

struct Session {
    shared: Rc<Shared>,
    send: SendRequest<Bytes>,
    token: Secret,
    requests: HashMap<RequestKey, Running>,
    tasks: Tasks,
}

impl Session {
    async fn serve(
        &mut self,
        mut ping: PingPong,
        driver: &mut JoinHandle<Result<(), h2::Error>>,
        inbox: &mut mpsc::UnboundedReceiver<Command>,
    ) -> CloseReason {
        let (shared, send) = (self.shared.clone(), self.send.clone());
        let mut channel =
            tokio::task::spawn_local(downchannel::read(shared, send, self.token.clone()));
        self.tasks.add(&channel);
        let interval = self.shared.settings.ping_interval;
        // A random phase: a fleet that connected together does not ping together.
        let mut next_ping = Instant::now() + interval.mul_f64(rand::random());
        let mut pinged: Option<Instant> = None;
        loop {
            let ping_due =
                pinged.map_or(next_ping, |sent| sent + self.shared.settings.ping_timeout);
            tokio::select! {
                biased;
                () = sleep_until(ping_due) => {
                    if pinged.is_some() {
                        return CloseReason::PingTimeout;
                    }
                    if let Err(error) = ping.send_ping(Ping::opaque()) {
                        return CloseReason::Lost(error.to_string());
                    }
                    pinged = Some(Instant::now());
                    next_ping = Instant::now() + interval;
                }
                pong = std::future::poll_fn(|cx| ping.poll_pong(cx)), if pinged.is_some() => {
                    if let Err(error) = pong {
                        return CloseReason::Lost(error.to_string());
                    }
                    let took = pinged.take().map(|sent| sent.elapsed()).unwrap_or_default();
                    self.shared.metrics.cic_ping_seconds.observe(took.as_secs_f64());
                    // Never wait for the actor here: liveness comes first.
                    let _ = self.shared.notices.try_send(Notice::Pong(took));
                }
                ended = &mut channel => {
                    return ended.unwrap_or_else(|error| CloseReason::Lost(error.to_string()));
                }
                ended = &mut *driver => {
                    return CloseReason::Lost(describe(ended));
                }
                command = inbox.recv() => match command {
                    None | Some(Command::Close) => return CloseReason::Requested,
                    Some(command) => self.perform(command),
                },
            }
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::SetToken(token) => self.token = token,
            Command::Event { key, metadata } => self.open(key, metadata, false),
            Command::OpenUpload { key, metadata } => self.open(key, metadata, true),
            Command::Audio { key, data, received } => {
                if let Some(running) = self.requests.get(&key) {
                    running.waiting.set(running.waiting.get() + data.len());
                    let _ = running.upload.send(request::Piece::Audio(data, received));
                }
            }
            Command::FinishUpload { key } => {
                if let Some(running) = self.requests.get(&key) {
                    let _ = running.upload.send(request::Piece::End);
                }
            }
            Command::Abort { key } => {
                // Dropping the stream's ends resets it (RST_STREAM, CANCEL).
                if let Some(running) = self.requests.remove(&key) {
                    running.task.abort();
                }
            }
            Command::Close => {}
        }
    }

    fn open(&mut self, key: RequestKey, metadata: Bytes, audio: bool) {
        self.requests.retain(|_, running| !running.task.is_finished());
        let (upload, pieces) = mpsc::unbounded_channel();
        let waiting = Rc::new(std::cell::Cell::new(0));
        let request = request::Request {
            key,
            shared: self.shared.clone(),
            send: self.send.clone(),
            token: self.token.clone(),
            metadata,
            audio,
            pieces,
            waiting: waiting.clone(),
        };
        let task = tokio::task::spawn_local(request.run());
        self.tasks.add(&task);
        self.requests.insert(key, Running { upload, waiting, task });
    }

    /// Ends every request with a notice, then the connection.
    async fn end(mut self, mut driver: JoinHandle<Result<(), h2::Error>>) {
        let mut keys: Vec<_> = self.requests.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            if let Some(running) = self.requests.remove(&key)
                && !running.task.is_finished()
            {
                running.task.abort();
                let outcome = super::message::Outcome::Broken("the session ended".into());
                self.shared.tell(Notice::Finished { key, outcome }).await;
            }
        }
        // Without handles and streams h2 sends GOAWAY and closes by itself.
        let Self { send, tasks, .. } = self;
        drop(send);
        let _ = tokio::time::timeout(FAREWELL, &mut driver).await;
        drop(tasks);
    }
}

fn describe(ended: Result<Result<(), h2::Error>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "CIC closed the connection".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}
