//! The simulated CIC and its auth server, as strict as the guide.
//!
//! Runs on a thread of its own, so that it disturbs nobody's runtime and survives a gateway that
//! hangs. Started by `simulate cic`, by the demo and by the tests.
//!
//! | file | what it holds |
//! |---|---|
//! | `state.rs` | tokens, channels, questions |
//! | `accounts.rs`, `alerts/` | the alerts of each account, as strict as the guide |
//! | `dossier/` | what each device was sent and may answer: music, orders, settings, speech, display |
//! | `household.rs` | what follows from an event, also for the other devices of the account |
//! | `journal.rs` | what was seen |
//! | `auth.rs` | the auth server |
//! | `server.rs` | connections, and who may ask |
//! | `line.rs` | the wire below TLS, which can be cut |
//! | `channel.rs` | the downchannel |
//! | `event.rs` | one event: read strictly, answered by the scenario |
//! | `metadata.rs`, `strict.rs` | the JSON part of an event, checked against the guide's tables |
//! | `recognize.rs` | hears recordings that it knows, and when they end |
//! | `scenario.rs`, `steps.rs`, `reply.rs` | what it answers |
//! | `control.rs` | what tests and the demo ask of it |
//! | `answer.rs`, `wire.rs` | writes answers and multipart |
//! | `fault.rs` | what goes wrong on purpose, where and when |

mod accounts;
mod alerts;
mod answer;
mod auth;
mod channel;
mod control;
mod dossier;
mod event;
mod fault;
mod household;
mod journal;
mod line;
mod metadata;
mod recognize;
mod reply;
pub mod scenario;
mod server;
mod state;
mod steps;
mod strict;
pub(in crate::sim) mod wire;

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot};

use super::tls::{CertificateError, Identity};
use crate::{
    clock::{SharedClock, SystemClock},
    secret::Secret,
};
pub use accounts::Synchronizing;
pub use alerts::{AlertStage, CloudAlert, NewAlert, Repeat, SeenOccurrence};
pub use dossier::{SeenStream, StreamStage};
pub use fault::{ErrorBody, Fault, Injection, Place};
pub use journal::{Refusal, SeenEvent};
pub use scenario::Scenario;
pub(in crate::sim) use server::accept;
use state::State;

/// Default of [`SimSettings::channel_interval`]. The gateway waits at least 165 ms (0.25 s x 0.66)
/// after a downchannel was lost, so it stays clear of it.
pub const CHANNEL_INTERVAL: Duration = Duration::from_millis(100);

/// Whether it can be reached; connections that stand are concerned too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// It works.
    #[default]
    Whole,
    /// Every connection is reset (TCP RST).
    Refused,
    /// Nothing comes through in either direction; the connections stay open, for good.
    Silent,
}

/// How the simulated CIC is to behave.
#[derive(Debug, Clone)]
pub struct SimSettings {
    /// Where CIC listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the auth server listens.
    pub auth_listen: SocketAddr,
    /// TLS with a certificate made at start, or h2c with prior knowledge.
    pub tls: bool,
    /// What it answers.
    pub scenario: Scenario,
    /// The client id that the auth server accepts, and its secret; empty accepts any.
    pub client: (String, Secret),
    /// Life of the access tokens that it issues.
    pub token_life: Duration,
    /// Two downchannel requests of a device within this time are "in quick succession": the second
    /// is answered `429` (transport C7; the guide names no figure). Zero turns the rule off.
    pub channel_interval: Duration,
    /// Which way `RequestSynchronizeAlert` is answered.
    pub synchronizing: Synchronizing,
    /// An alert that is overdue by more than this, and was never reported to ring, is forgotten
    /// when the device asks for all alerts; a repeated one goes on with its next occurrence.
    pub missed_after: Duration,
    /// All devices belong to one account: each hears of the others' state. Otherwise each has its
    /// own.
    pub one_account: bool,
    /// A device that has connected is asked for its state (flows 1).
    pub asks_for_state: bool,
    /// What "in five seconds" is counted from.
    pub clock: SharedClock,
}

impl Default for SimSettings {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            auth_listen: any,
            tls: true,
            scenario: Scenario::builtin(),
            client: (String::new(), Secret::default()),
            token_life: Duration::from_secs(864_000),
            channel_interval: CHANNEL_INTERVAL,
            synchronizing: Synchronizing::default(),
            missed_after: Duration::from_secs(1800),
            one_account: false,
            asks_for_state: false,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why the simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// An address cannot be used.
    #[error("{0} cannot be used: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// No certificate could be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The thread did not start.
    #[error("the simulator's thread did not start")]
    Thread,
}

/// A running simulated CIC.
#[derive(Debug)]
pub struct SimulatedCic {
    state: Arc<State>,
    cic: SocketAddr,
    auth: SocketAddr,
    ca_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SimulatedCic {
    /// Starts it; returns once it listens.
    ///
    /// # Errors
    /// See [`SimError`].
    pub fn start(settings: SimSettings) -> Result<Self, SimError> {
        let identity = settings.tls.then(Identity::new).transpose()?;
        let acceptor =
            |alpn: &str| identity.as_ref().map(|identity| identity.acceptor(alpn)).transpose();
        let (cic_tls, auth_tls) = (acceptor("h2")?, acceptor("http/1.1")?);
        let ca_pem = identity.map(|identity| identity.ca_pem().to_owned());
        let state = Arc::new(State::new(&settings));
        let (ready, started) = mpsc::channel::<Result<_, SimError>>();
        let (stop, stopped) = oneshot::channel();
        let shared = state.clone();
        let (listen, auth_listen) = (settings.listen, settings.auth_listen);
        let thread = std::thread::Builder::new().name("simulated-cic".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async move {
                let bound =
                    async { Ok((bind(listen, "h2").await?, bind(auth_listen, "http/1.1").await?)) };
                match bound.await {
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                    Ok(((cic, cic_addr), (auth, auth_addr))) => {
                        let _ = ready.send(Ok((cic_addr, auth_addr)));
                        tokio::select! {
                            () = server::serve(cic, cic_tls, shared.clone()) => {}
                            () = auth::serve(auth, auth_tls, shared) => {}
                            _ = stopped => {}
                        }
                    }
                }
            });
        });
        let thread = thread.map_err(|_| SimError::Thread)?;
        let (cic, auth) = started.recv().map_err(|_| SimError::Thread)??;
        Ok(Self { state, cic, auth, ca_pem, stop: Some(stop), thread: Some(thread) })
    }

    /// `cic.base_uri` of a gateway that is to use it.
    pub fn cic_uri(&self) -> String {
        self.uri(self.cic)
    }

    /// `auth.base_uri` of a gateway that is to use it.
    pub fn auth_uri(&self) -> String {
        self.uri(self.auth)
    }

    fn uri(&self, addr: SocketAddr) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{addr}/")
    }

    /// The trust anchor of its certificate (PEM), with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }
}

impl Drop for SimulatedCic {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn bind(addr: SocketAddr, _: &str) -> Result<(TcpListener, SocketAddr), SimError> {
    let failed = |error| SimError::Listen(addr, error);
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
