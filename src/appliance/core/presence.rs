//! When a session is wanted, and what `down/session` says.
//!
//! A session is opened once the appliance is online and its first state has arrived, or 2 s after
//! `online`. After `offline` it lingers.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Core, Measure, Output};
use crate::{
    appliance::message::{Down, SessionState},
    cic::{link, message::CloseReason},
    clock::Now,
};

/// How long the first state is waited for after `online`.
const STATE_PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the appliance's life.
#[derive(Debug, Default)]
pub(super) struct Presence {
    online: bool,
    has_state: bool,
    connect_at: Option<Instant>,
    leave_at: Option<Instant>,
    session: Option<(SessionState, Timestamp, Option<String>)>,
}

impl Presence {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.connect_at.into_iter().chain(self.leave_at).min()
    }
}

impl Core {
    pub(super) fn handle_status(&mut self, online: bool, now: Now) {
        let presence = &mut self.presence;
        presence.online = online;
        if !online {
            presence.connect_at = None;
            presence.leave_at = Some(now.mono + self.settings.linger);
        } else {
            presence.leave_at = None;
            if presence.has_state {
                self.want_session(now);
            } else {
                presence.connect_at.get_or_insert(now.mono + STATE_PATIENCE);
            }
        }
    }

    /// A state has arrived; the first one lets the session open.
    pub(super) fn note_state(&mut self, now: Now) {
        self.presence.has_state = true;
        if self.presence.online {
            self.want_session(now);
        }
    }

    pub(super) fn presence_timeout(&mut self, now: Now) {
        if self.presence.connect_at.take_if(|due| *due <= now.mono).is_some() {
            self.want_session(now);
        }
        if self.presence.leave_at.take_if(|due| *due <= now.mono).is_some() {
            self.link.handle(link::Input::Unwanted("appliance offline"), now);
        }
    }

    fn want_session(&mut self, now: Now) {
        self.presence.connect_at = None;
        self.link.handle(link::Input::Wanted, now);
    }

    /// Performs what the link decided.
    pub(super) fn hear_link(&mut self, now: Now) {
        while let Some(output) = self.link.poll_output() {
            match output {
                link::Output::Connect { generation } => {
                    self.outputs.push_back(Output::Connect { generation });
                }
                link::Output::Disconnect { generation } => {
                    self.outputs.push_back(Output::Disconnect { generation });
                }
                link::Output::Refresh => self.outputs.push_back(Output::Refresh),
                link::Output::State { state, reason } => {
                    self.presence.session = Some((state, now.wall, reason));
                    self.announce_session(now);
                }
            }
        }
    }

    /// Publishes the session's state (again).
    pub(super) fn announce_session(&mut self, now: Now) {
        let (state, since, reason) = self
            .presence
            .session
            .get_or_insert_with(|| (self.link.state(), now.wall, None))
            .clone();
        self.say(Down::Session { state, since, reason });
    }

    /// The session has ended: everything that hung on it fails, and the link decides what next.
    pub(super) fn session_closed(&mut self, generation: u64, reason: CloseReason, now: Now) {
        self.fail_all_requests(now);
        let result = match &reason {
            CloseReason::Connect(_) => Some("unreachable"),
            CloseReason::Status { status: 401, .. } => Some("unauthorized"),
            CloseReason::Status { .. } => Some("refused"),
            CloseReason::NoHello => Some("no_hello"),
            CloseReason::Requested | CloseReason::PingTimeout | CloseReason::Lost(_) => None,
        };
        if let Some(result) = result {
            self.measure(Measure::Connect(result));
        }
        self.link.handle(link::Input::Closed(generation, reason), now);
    }
}
