//! Sans-IO: decides when to connect, wait, refresh the token or give up (architecture, Session).
//!
//! Called by the appliance's core. Never more than one attempt is under way; each carries a
//! generation, so that only the current downchannel's end causes a reconnect (transport C5 to C8).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::SmallRng};

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
    /// A channel that lives shorter than this after its Hello counts as a failed attempt if the
    /// one before it did, too.
    pub steady: Duration,
    /// The first attempt after `NetworkReturned` waits a random part of this.
    pub network_jitter: Duration,
    /// Refresh at a random point between these fractions of a token's life.
    pub refresh_window: (f64, f64),
    /// Shortest wait between two refreshes; doubles up to 32-fold while they fail.
    pub refresh_retry: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let seconds = [0.25, 1.0, 3.0, 5.0, 10.0, 20.0];
        Self {
            retries: seconds.map(Duration::from_secs_f64).to_vec(),
            first_retry_after_429: 2,
            steady: Duration::from_secs(5),
            network_jitter: Duration::from_secs(5),
            refresh_window: (0.6, 0.9),
            refresh_retry: Duration::from_secs(10),
        }
    }
}

/// Longest sleep before the wall clock is looked at again: it may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    /// No connection, and none asked for.
    None,
    /// Asked for; Hello has not come.
    Opening,
    /// Hello has come.
    Open,
    /// We asked for its end, which has not come.
    Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pairing {
    Unpaired,
    Paired,
    /// The auth server says that the pairing is gone.
    Rejected,
}

/// The state machine of one appliance's session.
#[derive(Debug)]
pub struct Link {
    policy: Policy,
    rng: SmallRng,
    outputs: VecDeque<Output>,
    generation: u64,
    channel: Channel,
    wanted: bool,
    resting: &'static str,
    pairing: Pairing,
    token_ends: Timestamp,
    refresh_at: Option<Timestamp>,
    refresh_again: Option<Instant>,
    refreshing: bool,
    /// The token is to be refreshed as soon as `refresh_again` allows.
    refresh_asked: bool,
    refresh_setbacks: u32,
    /// A `401` has been answered with a refresh and nothing has succeeded since.
    refreshed_for_401: bool,
    attempt: usize,
    opened_at: Option<Instant>,
    /// How many channels in a row did not live.
    flaps: usize,
    retry_at: Option<Instant>,
    woken_at: Option<Instant>,
    loss: Option<String>,
    shown: Option<(SessionState, Option<String>)>,
}

impl Link {
    /// Starts unpaired and unwanted. `seed` makes its randomness repeatable.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            rng: SmallRng::seed_from_u64(seed),
            outputs: VecDeque::new(),
            generation: 0,
            channel: Channel::None,
            wanted: false,
            resting: "appliance offline",
            pairing: Pairing::Unpaired,
            token_ends: Timestamp::MIN,
            refresh_at: None,
            refresh_again: None,
            refreshing: false,
            refresh_asked: false,
            refresh_setbacks: 0,
            refreshed_for_401: false,
            attempt: 0,
            opened_at: None,
            flaps: 0,
            retry_at: None,
            woken_at: None,
            loss: None,
            shown: None,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Wanted => self.wanted = true,
            Input::Unwanted(reason) => {
                (self.wanted, self.resting, self.loss) = (false, reason, None);
            }
            Input::Token { issued_at, expires_at } => self.take_token(issued_at, expires_at, now),
            Input::Unpaired => self.forget_pairing(Pairing::Unpaired),
            Input::RefreshFailed { rejected } => self.refresh_failed(rejected, now),
            Input::TokenRejected => self.token_rejected(),
            Input::OutOfStep => self.close(),
            Input::Hello(generation) => self.hello(generation, now),
            Input::Closed(generation, reason) => self.closed(generation, reason, now),
            Input::NetworkReturned => {
                if self.channel == Channel::None && self.retry_at.is_some() {
                    let wait = self.policy.network_jitter.mul_f64(self.rng.random());
                    self.retry_at = Some(now.mono + wait);
                }
            }
        }
        self.settle(now);
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.settle(now);
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.retry_at.filter(|_| self.may_connect());
        let again = self.refresh_again.filter(|_| self.refresh_asked && !self.refreshing);
        [retry, again, self.woken_at].into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where it stands.
    pub fn state(&self) -> SessionState {
        match (self.pairing, self.channel) {
            (Pairing::Unpaired, _) => SessionState::Unpaired,
            (Pairing::Rejected, _) => SessionState::Unauthorized,
            (Pairing::Paired, Channel::Open) => SessionState::Connected,
            (Pairing::Paired, Channel::Opening) => SessionState::Connecting,
            (Pairing::Paired, Channel::None | Channel::Closing) => SessionState::Disconnected,
        }
    }

    /// Why it stands there, for a person.
    pub fn reason(&self) -> Option<String> {
        let reason = match self.state() {
            SessionState::Disconnected if !self.wanted => self.resting,
            SessionState::Disconnected => {
                return Some(self.loss.as_deref().unwrap_or("about to connect again").to_owned());
            }
            SessionState::Unpaired => "no CLOVA account is paired",
            SessionState::Unauthorized => {
                "CLOVA no longer accepts the pairing; pair the appliance again"
            }
            SessionState::Connecting => "the appliance is online",
            SessionState::Connected => "CLOVA has answered",
            SessionState::Stopped => "the gateway is stopping",
        };
        Some(reason.to_owned())
    }

    /// The generation whose notices count, if a connection is open or being opened.
    pub fn generation(&self) -> Option<u64> {
        matches!(self.channel, Channel::Opening | Channel::Open).then_some(self.generation)
    }

    /// What follows from any input or deadline.
    fn settle(&mut self, now: Now) {
        if self.pairing == Pairing::Paired {
            self.settle_token(now);
        }
        if self.channel != Channel::None && !(self.wanted && self.pairing == Pairing::Paired) {
            self.close();
        }
        let due = self.retry_at.is_none_or(|at| at <= now.mono);
        if self.may_connect() && due && self.token_has_ended(now) {
            self.retry_at = None; // the next token decides, no clock
        } else if self.may_connect() && due {
            self.generation += 1;
            (self.channel, self.retry_at) = (Channel::Opening, None);
            self.outputs.push_back(Output::Connect { generation: self.generation });
        }
        self.show();
    }

    fn may_connect(&self) -> bool {
        self.wanted && self.pairing == Pairing::Paired && self.channel == Channel::None
    }

    fn token_has_ended(&self, now: Now) -> bool {
        self.token_ends <= now.wall
    }

    /// Refreshes in time. Wall-clock deadlines are looked at every 30 s, because the clock may be
    /// set.
    fn settle_token(&mut self, now: Now) {
        self.refresh_asked |= self.refresh_at.is_some_and(|at| at <= now.wall);
        let again = self.refresh_again.is_none_or(|at| at <= now.mono);
        if self.refresh_asked && again && !self.refreshing {
            self.refresh_asked = false;
            self.refresh();
        }
        let waiting = self.refresh_at.filter(|_| !self.refreshing && !self.refresh_asked);
        self.woken_at = waiting.map(|at| {
            let left = Duration::try_from(at.duration_since(now.wall)).unwrap_or_default();
            now.mono + left.min(LONGEST_SLEEP)
        });
    }

    fn refresh(&mut self) {
        if !self.refreshing {
            self.refreshing = true;
            self.outputs.push_back(Output::Refresh);
        }
    }

    fn take_token(&mut self, issued_at: Timestamp, expires_at: Timestamp, now: Now) {
        if self.pairing != Pairing::Paired {
            (self.attempt, self.retry_at, self.loss) = (0, None, None);
        }
        self.pairing = Pairing::Paired;
        if std::mem::take(&mut self.refreshing) {
            // A life of nothing, or a token that is refused at once, must not run in circles.
            self.refresh_again = Some(now.mono + self.policy.refresh_retry);
        }
        (self.refresh_asked, self.refresh_setbacks) = (false, 0);
        self.token_ends = expires_at;
        let (from, to) = self.policy.refresh_window;
        let life = Duration::try_from(expires_at.duration_since(issued_at)).unwrap_or_default();
        let at = life.mul_f64(self.rng.random_range(from..=to));
        self.refresh_at = Some(issued_at.checked_add(at).unwrap_or(expires_at));
    }

    fn forget_pairing(&mut self, pairing: Pairing) {
        self.pairing = pairing;
        (self.refreshing, self.refresh_asked, self.refreshed_for_401) = (false, false, false);
        (self.refresh_at, self.refresh_again, self.woken_at) = (None, None, None);
        (self.retry_at, self.loss) = (None, None);
    }

    fn refresh_failed(&mut self, rejected: bool, now: Now) {
        // An answer that was overtaken by an unpairing changes nothing.
        if self.pairing != Pairing::Paired {
            return;
        }
        self.refreshing = false;
        if rejected {
            return self.forget_pairing(Pairing::Rejected);
        }
        self.refresh_asked = true;
        let longer = 1 << self.refresh_setbacks.min(5);
        self.refresh_setbacks += 1;
        let wait = self.policy.refresh_retry * longer;
        self.refresh_again = Some(now.mono + wait.mul_f64(self.rng.random_range(0.66..1.5)));
    }

    /// A `401` makes the token worthless, whatever the clock says.
    fn token_rejected(&mut self) {
        if self.pairing == Pairing::Paired && !self.refreshing {
            self.refresh_asked = true;
        }
    }

    fn close(&mut self) {
        if matches!(self.channel, Channel::Opening | Channel::Open) {
            self.channel = Channel::Closing;
            self.outputs.push_back(Output::Disconnect { generation: self.generation });
        }
    }

    fn hello(&mut self, generation: u64, now: Now) {
        if generation == self.generation && self.channel == Channel::Opening {
            self.channel = Channel::Open;
            self.opened_at = Some(now.mono);
            (self.attempt, self.loss, self.refreshed_for_401) = (0, None, false);
        }
    }

    fn closed(&mut self, generation: u64, reason: CloseReason, now: Now) {
        if generation != self.generation || self.channel == Channel::None {
            return;
        }
        self.channel = Channel::None;
        self.note_flapping(now);
        match &reason {
            CloseReason::Status { status: 401, .. } => {
                // Refreshing again for a fresh token that is refused would run in circles: the
                // back-off below spaces it.
                if !self.refreshed_for_401 {
                    self.token_ends = now.wall;
                }
                self.refreshed_for_401 = true;
                self.token_rejected();
            }
            CloseReason::Status { status: 429, .. } => {
                self.attempt = self.attempt.max(self.policy.first_retry_after_429);
            }
            _ => {}
        }
        self.loss = Some(describe(&reason));
        let last = self.policy.retries.len().saturating_sub(1);
        let wait = self.policy.retries.get(self.attempt.min(last)).copied().unwrap_or_default();
        self.retry_at = Some(now.mono + wait.mul_f64(self.rng.random_range(0.66..1.5)));
        self.attempt = (self.attempt + 1).min(last);
    }

    /// Somebody else with the same account closes our channel as we close theirs (transport C6):
    /// channels that do not live are reopened more and more slowly.
    fn note_flapping(&mut self, now: Now) {
        let Some(opened) = self.opened_at.take() else { return };
        if now.mono.saturating_duration_since(opened) < self.policy.steady {
            self.attempt = self.attempt.max(self.flaps);
            self.flaps += 1;
        } else {
            self.flaps = 0;
        }
    }

    /// Tells a change of the state or of its reason.
    fn show(&mut self) {
        let (state, reason) = (self.state(), self.reason());
        let shown = Some((state, reason.clone()));
        if self.shown != shown {
            self.shown = shown;
            self.outputs.push_back(Output::State { state, reason });
        }
    }
}

/// Why a connection ended, for a person.
fn describe(reason: &CloseReason) -> String {
    match reason {
        CloseReason::Requested => "closed by the gateway".to_owned(),
        CloseReason::Connect(why) => format!("CIC cannot be reached: {why}"),
        CloseReason::Status { status, .. } => format!("CIC answered {status}"),
        CloseReason::NoHello => "CIC did not say hello".to_owned(),
        CloseReason::PingTimeout => "CIC does not answer".to_owned(),
        CloseReason::Stalled => "CIC answers no request any more".to_owned(),
        CloseReason::Lost(why) => format!("the connection to CIC was lost: {why}"),
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
