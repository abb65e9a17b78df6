//! Connections, and who may ask (transport 2, 3, 9).

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, PingPong, RecvStream, server::SendResponse};
use http::Request;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc, oneshot},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Reach, answer, channel, event,
    fault::{Fault, Place},
    line::{Line, Scissors},
    state::{Down, State},
};
use crate::cic::user_agent;

/// For the TLS and HTTP/2 handshakes; whoever needs longer is hung up on.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// A pause before accepting again, when the process has no file descriptor left.
const BREATH: Duration = Duration::from_millis(100);

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// How a connection is to end.
#[derive(Debug)]
enum End {
    Goaway,
    /// Told back once it comes before whatever is sent next.
    GracefulGoaway(oneshot::Sender<()>),
    Reset,
    /// Not the end: SETTINGS with this initial window.
    Settings(u32),
}

/// One connection, as its requests see it.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) state: Arc<State>,
    /// Pause after each piece of audio.
    pub(super) pause: Option<Duration>,
    ends: mpsc::UnboundedSender<End>,
    scissors: Scissors,
    ping: Mutex<Option<PingPong>>,
}

impl Connection {
    /// Carries out a fault that concerns more than one stream. `false` when this stream is done
    /// for.
    pub(super) async fn survives(&self, fault: Fault, device: &str) -> bool {
        match fault {
            Fault::Goaway => drop(self.ends.send(End::Goaway)),
            Fault::TcpReset => drop(self.ends.send(End::Reset)),
            Fault::BlackHole => self.scissors.silence(),
            Fault::GracefulGoaway => {
                let (announced, wait) = oneshot::channel();
                let _ = self.ends.send(End::GracefulGoaway(announced));
                return wait.await.is_ok();
            }
            Fault::ChangeSettings(window) => {
                let _ = self.ends.send(End::Settings(window));
                return true;
            }
            Fault::ResetChannel => {
                self.state.tell(device, Down::Reset);
                return true;
            }
            Fault::EndChannel => {
                self.state.tell(device, Down::End);
                return true;
            }
            _ => return true,
        }
        false
    }

    /// Waits until the client has read everything that was sent before this, so that a trickle does
    /// not become a flood.
    pub(super) async fn round_trip(&self) -> Result<(), h2::Error> {
        let mut ping = self.ping.lock().await;
        let Some(ping) = ping.as_mut() else { return Ok(()) };
        ping.send_ping(Ping::opaque())?;
        poll_fn(|cx| ping.poll_pong(cx)).await.map(drop)
    }
}

pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    loop {
        let tcp = accept(&listener).await;
        tokio::spawn(welcome(tcp, tls.clone(), state.clone()));
    }
}

/// The next connection. Errors are told and do not make a busy loop.
pub(in crate::sim) async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                // Fails only on a socket that is gone.
                let _ = tcp.set_nodelay(true);
                return tcp;
            }
            Err(error) => {
                tracing::warn!(%error, "the simulated CLOVA cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn welcome(tcp: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let line = Line::new(tcp);
    let scissors = line.scissors();
    let mut reach = state.reach.subscribe();
    let conversation = talk(line, scissors.clone(), tls, state);
    tokio::pin!(conversation);
    loop {
        let reaches = *reach.borrow_and_update();
        match reaches {
            Reach::Whole => {}
            // The line is dropped with the conversation.
            Reach::Refused => return scissors.reset(),
            Reach::Silent => scissors.silence(),
        }
        tokio::select! {
            () = &mut conversation => return,
            changed = reach.changed() => if changed.is_err() { return },
        }
    }
}

async fn talk(line: Line, scissors: Scissors, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let fault = state.fault(Place::Connection);
    match fault {
        Some(Fault::TcpReset) => return scissors.reset(),
        Some(Fault::BlackHole) => {
            scissors.silence();
            // As long as the simulator lives.
            return std::future::pending().await;
        }
        _ => {}
    }
    match tls {
        None => converse(line, scissors, state, fault).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(line)).await {
                converse(stream, scissors, state, fault).await;
            }
        }
    }
}

async fn converse<S>(stream: S, scissors: Scissors, state: Arc<State>, fault: Option<Fault>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = h2::server::Builder::new();
    let mut pause = None;
    match fault {
        Some(Fault::OneStream) => {
            builder.max_concurrent_streams(1);
        }
        Some(Fault::SlowReader { window, pause: long }) => {
            builder.initial_window_size(window);
            pause = Some(long);
        }
        _ => {}
    }
    let handshake = tokio::time::timeout(HANDSHAKE, builder.handshake(stream)).await;
    let Ok(Ok(mut h2)) = handshake else { return };
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let (ends, mut ordered) = mpsc::unbounded_channel();
    let ping = Mutex::new(h2.ping_pong());
    let connection =
        Arc::new(Connection { number, state, pause, ends, scissors: scissors.clone(), ping });
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = h2.accept() => accepted,
            end = ordered.recv() => {
                match end {
                    Some(End::GracefulGoaway(announced)) => {
                        h2.graceful_shutdown();
                        let _ = announced.send(());
                    }
                    Some(End::Goaway) | None => h2.abrupt_shutdown(h2::Reason::NO_ERROR),
                    // Refused only while the client has not acknowledged the ones before.
                    Some(End::Settings(window)) => drop(h2.set_initial_window_size(window)),
                    Some(End::Reset) => return scissors.reset(),
                }
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else { return };
        tasks.spawn(handle(connection.clone(), request, respond));
        while tasks.try_join_next().is_some() {}
    }
}

async fn handle(
    connection: Arc<Connection>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let path = (request.method().as_str(), request.uri().path());
    let allowed = admit(&connection.state, &request);
    // A client that goes away in the middle is its own business.
    let _ = match (path, allowed) {
        (_, Err((status, why))) => answer::refuse(&mut respond, status, &why).await,
        (("GET", "/v1/directives"), Ok(device)) => {
            channel::open(&connection, &device, respond).await
        }
        (("POST", "/v1/events"), Ok(device)) => {
            event::receive(&connection, &device, request, respond).await
        }
        (("GET", "/ping"), Ok(_)) => answer::empty(&mut respond, 204),
        ((_, "/v1/directives" | "/v1/events" | "/ping"), Ok(_)) => {
            answer::refuse(&mut respond, 400, "wrong method").await
        }
        (_, Ok(_)) => answer::refuse(&mut respond, 404, "no such path").await,
    };
}

/// The device, if the request's headers are as they must be.
fn admit(state: &State, request: &Request<RecvStream>) -> Result<String, (u16, String)> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let agent = header("user-agent").ok_or((400, "User-Agent is missing".to_owned()))?;
    user_agent::check(agent).map_err(|error| (400, format!("User-Agent: {error}")))?;
    let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    token
        .and_then(|token| state.device(token))
        .ok_or((401, "the access token is missing, wrong or expired".to_owned()))
}
