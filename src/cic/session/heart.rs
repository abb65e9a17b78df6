//! PING and its acknowledgement (transport C9): how a dead connection is noticed.

use std::{future::poll_fn, time::Duration};

use futures_util::FutureExt;
use h2::{Ping, PingPong};
use tokio::time::{Instant, sleep_until};

use super::SessionSettings;
use crate::cic::message::CloseReason;

/// The connection's pulse. Dropping a [`Heart::beat`] that has not ended loses nothing.
pub(super) struct Heart {
    ping: PingPong,
    interval: Duration,
    timeout: Duration,
    next: Instant,
    sent: Option<Instant>,
}

impl Heart {
    pub(super) fn new(ping: PingPong, settings: &SessionSettings) -> Self {
        let (interval, timeout) = (settings.ping_interval, settings.ping_timeout);
        // A random phase: a fleet that connected together does not ping together.
        let next = Instant::now() + interval.mul_f64(rand::random());
        Self { ping, interval, timeout, next, sent: None }
    }

    /// Pings when it is time; returns when a PING was acknowledged, with how long that took. The
    /// error says that the connection is dead.
    pub(super) async fn beat(&mut self) -> Result<Duration, CloseReason> {
        loop {
            let due = self.sent.map_or(self.next, |sent| sent + self.timeout);
            tokio::select! {
                biased;
                pong = poll_fn(|cx| self.ping.poll_pong(cx)), if self.sent.is_some() => {
                    return self.pong(pong);
                }
                () = sleep_until(due) => match self.sent {
                    None => self.send()?,
                    Some(_) => return self.last_look().await,
                }
            }
        }
    }

    fn send(&mut self) -> Result<(), CloseReason> {
        let sent = self.ping.send_ping(Ping::opaque());
        sent.map_err(|error| CloseReason::Lost(error.to_string()))?;
        let now = Instant::now();
        (self.sent, self.next) = (Some(now), now + self.interval);
        Ok(())
    }

    fn pong(&mut self, pong: Result<h2::Pong, h2::Error>) -> Result<Duration, CloseReason> {
        pong.map_err(|error| CloseReason::Lost(error.to_string()))?;
        Ok(self.sent.take().map(|sent| sent.elapsed()).unwrap_or_default())
    }

    /// After a process or a machine has been suspended, the acknowledgement may wait to be read
    /// although its time is up.
    async fn last_look(&mut self) -> Result<Duration, CloseReason> {
        tokio::task::yield_now().await;
        match poll_fn(|cx| self.ping.poll_pong(cx)).now_or_never() {
            Some(pong) => self.pong(pong),
            None => Err(CloseReason::PingTimeout),
        }
    }
}
