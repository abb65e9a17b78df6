//! Tells systemd how the gateway is (`Type=notify`): that it is up, that it lives, that it ends.
//!
//! Called by `cic-gateway run`. Where no service manager listens (no `NOTIFY_SOCKET`), it does
//! nothing.
//!
//! With `WatchdogSec` systemd restarts a gateway that stays silent. It speaks up only while
//!
//! * its event loop turns: the words come from there;
//! * its HTTP server, which has a thread of its own, answers `/healthz`;
//! * it is connected to its own broker, if it has one. An external broker, the store and CIC are no
//!   reason to restart: a restart would not bring them back, and known alerts would not ring.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use sd_notify::NotifyState;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};

use crate::app::Gateway;

/// How often the state is looked at when there is no watchdog.
const LOOK: Duration = Duration::from_secs(10);
/// How long the HTTP server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the connection to the own broker may be missing: the link rebuilds it sooner.
const RECONNECT: Duration = Duration::from_secs(30);

/// The words to systemd, until [`Notifier::stopping`].
pub struct Notifier(Option<JoinHandle<()>>);

impl Notifier {
    /// The gateway is up.
    pub fn ready(gateway: &Gateway) -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        let signs = Signs {
            http: reachable(gateway.http_addr()),
            own_broker: gateway.broker_addr().is_some(),
            connected: gateway.connected(),
            disconnected_since: Instant::now(),
        };
        tell(&[NotifyState::Ready, NotifyState::Status(signs.status())]);
        Self(Some(actix_rt::spawn(watch(signs, sd_notify::watchdog_enabled()))))
    }

    /// The gateway is about to stop.
    pub fn stopping(self) {
        if let Some(watch) = self.0 {
            watch.abort();
            tell(&[NotifyState::Stopping, NotifyState::Status("closing sessions")]);
        }
    }
}

/// What the gateway's health is told by.
struct Signs {
    http: SocketAddr,
    own_broker: bool,
    connected: watch::Receiver<bool>,
    disconnected_since: Instant,
}

impl Signs {
    fn status(&self) -> &'static str {
        match *self.connected.borrow() {
            true => "connected to the MQTT broker",
            false => "not connected to the MQTT broker",
        }
    }

    async fn alive(&mut self) -> bool {
        let now = Instant::now();
        if *self.connected.borrow() {
            self.disconnected_since = now;
        }
        let disconnected = now.saturating_duration_since(self.disconnected_since);
        if !link_is_well(self.own_broker, disconnected) {
            tracing::error!("the own broker does not take the gateway's connection");
            return false;
        }
        let answers =
            matches!(tokio::time::timeout(ANSWER, healthz(self.http)).await, Ok(Ok(true)));
        if !answers {
            tracing::error!("the own HTTP server does not answer");
        }
        answers
    }
}

fn link_is_well(own_broker: bool, disconnected: Duration) -> bool {
    !own_broker || disconnected < RECONNECT
}

async fn watch(mut signs: Signs, watchdog: Option<Duration>) {
    // Half the time would do; a third forgives one look that came late.
    let mut look = tokio::time::interval(watchdog.map_or(LOOK, |limit| limit / 3));
    let mut connected = signs.connected.clone();
    loop {
        tokio::select! {
            _ = look.tick() => {}
            // The sender lives as long as the gateway.
            changed = connected.changed() => if changed.is_err() { return },
        }
        let status = NotifyState::Status(signs.status());
        match watchdog {
            Some(_) if signs.alive().await => tell(&[NotifyState::Watchdog, status]),
            _ => tell(&[status]),
        }
    }
}

/// Whether `/healthz` answers with 200.
async fn healthz(http: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(http).await?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}

/// Where a server that listens at `listen` is reached from this machine.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told the state");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_broker_is_a_reason_to_restart_and_only_after_a_while() {
        assert!(link_is_well(true, Duration::ZERO));
        assert!(link_is_well(true, RECONNECT - Duration::from_secs(1)));
        assert!(!link_is_well(true, RECONNECT));
        assert!(link_is_well(false, Duration::from_secs(86_400)));
    }
}
