//! Sans-IO: decides when to connect, wait, refresh the token or give up (architecture, Session).
//!
//! Called by the appliance's core. Never more than one attempt is under way; each carries a
//! generation, so that only the current downchannel's end causes a reconnect (transport C5 to C8).

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::message::CloseReason;
use crate::{appliance::message::SessionState, clock::Now};

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The appliance needs a session.
    Wanted,
    /// It no longer does; the text goes to `down/session` `reason`.
    Unwanted(&'static str),
    /// There is an access token, issued and expiring at these times. Also after each refresh.
    Token {
        /// When it was issued.
        issued_at: Timestamp,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// The pairing was removed.
    Unpaired,
    /// A refresh failed; `rejected` when the auth server says that the pairing is gone.
    RefreshFailed {
        /// `invalid_grant`, `unauthorized_client` or `400`.
        rejected: bool,
    },
    /// CIC answered `401` to the downchannel or an event.
    TokenRejected,
    /// CIC answered `412` to an event: connection and downchannel do not fit.
    OutOfStep,
    /// Hello arrived on the connection of this generation.
    Hello(u64),
    /// The connection of this generation has ended.
    Closed(u64, CloseReason),
    /// The broker or the network was lost and is back: spread the next attempt over 0 to 5 s.
    NetworkReturned,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Open a connection and name it so.
    Connect {
        /// Its generation.
        generation: u64,
    },
    /// Close the connection of this generation.
    Disconnect {
        /// Its generation.
        generation: u64,
    },
    /// Refresh the token (one at a time; answered by `Token` or `RefreshFailed`).
    Refresh,
    /// The state changed.
    State {
        /// The new state.
        state: SessionState,
        /// Why, for a person.
        reason: Option<String>,
    },
}

/// Intervals, in one place so that tests can shorten them.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Waits between attempts; the last one repeats for ever. Each times a random 0.66 to 1.5.
    pub retries: Vec<Duration>,
    /// Index into `retries` at which waiting starts after `429`.
    pub first_retry_after_429: usize,
    /// The first attempt after `NetworkReturned` waits a random part of this.
    pub network_jitter: Duration,
    /// Refresh at a random point between these fractions of a token's life.
    pub refresh_window: (f64, f64),
    /// Wait before refreshing again after a failure that is not final.
    pub refresh_retry: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let seconds = [0.25, 1.0, 3.0, 5.0, 10.0, 20.0];
        Self {
            retries: seconds.map(Duration::from_secs_f64).to_vec(),
            first_retry_after_429: 2,
            network_jitter: Duration::from_secs(5),
            refresh_window: (0.6, 0.9),
            refresh_retry: Duration::from_secs(10),
        }
    }
}

/// The state machine of one appliance's session.
#[derive(Debug)]
pub struct Link;

impl Link {
    /// Starts unpaired and unwanted. `seed` makes its randomness repeatable.
    pub fn new(_policy: Policy, _seed: u64) -> Self {
        unimplemented!()
    }

    /// Takes one input.
    pub fn handle(&mut self, _input: Input, _now: Now) {
        unimplemented!()
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, _now: Now) {
        unimplemented!()
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }

    /// Where it stands.
    pub fn state(&self) -> SessionState {
        unimplemented!()
    }

    /// The generation whose notices count, if a connection is open or being opened.
    pub fn generation(&self) -> Option<u64> {
        unimplemented!()
    }
}
