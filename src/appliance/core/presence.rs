//! When a session is wanted, and what `down/session` says.
//!
//! A session is opened once the appliance is online and its first state has arrived, or 2 s after
//! `online`. After `offline` it lingers.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Core, Measure, Output};
use crate::{
    appliance::message::{Down, SessionState},
    cic::{
        link::{self, Link},
        message::CloseReason,
    },
    clock::Now,
};

/// How long the first state is waited for after `online`.
const STATE_PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the appliance's life.
#[derive(Debug, Default)]
pub(super) struct Presence {
    online: bool,
    /// The broker has been away since the appliance was last heard to be online.
    unsure: bool,
    has_state: bool,
    connect_at: Option<Instant>,
    leave_at: Option<Instant>,
    session: Option<(SessionState, Timestamp, Option<String>)>,
}

impl Presence {
    pub(super) fn is_online(&self) -> bool {
        self.online
    }

    /// What `down/session` said last.
    pub(super) fn session(
        &self,
        link: &Link,
        now: Now,
    ) -> (SessionState, Timestamp, Option<String>) {
        self.session.clone().unwrap_or_else(|| (link.state(), now.wall, link.reason()))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.connect_at.into_iter().chain(self.leave_at).min()
    }
}

impl Core {
    pub(super) fn handle_status(&mut self, online: bool, retained: bool, now: Now) {
        let (was_online, was_unsure) = (self.presence.online, self.presence.unsure);
        (self.presence.online, self.presence.unsure) = (online, false);
        if !online {
            self.presence.connect_at = None;
            // The broker repeats a retained `offline` with each new subscription.
            if was_online || self.presence.leave_at.is_none() {
                self.presence.leave_at = Some(now.mono + self.settings.linger);
            }
        } else {
            self.presence.leave_at = None;
            if self.presence.has_state {
                self.want_session(now);
            } else {
                self.presence.connect_at.get_or_insert(now.mono + STATE_PATIENCE);
            }
        }
        let announce = !retained || !was_online || was_unsure;
        if online && announce {
            self.show_turn_again();
            self.focus.announce();
            self.repeat_farewells(now);
        }
        self.alerts.set_audible(online, announce, now);
    }

    /// Whatever the appliance sends is a sign of life: a session that is about to close lingers
    /// on.
    pub(super) fn note_life(&mut self, now: Now) {
        if self.presence.leave_at.is_some() {
            self.presence.leave_at = Some(now.mono + self.settings.linger);
        }
    }

    /// Until the broker is back and repeats what the appliance said last, nobody hears a ring.
    pub(super) fn broker_lost(&mut self, now: Now) {
        self.presence.unsure = true;
        self.alerts.set_audible(false, false, now);
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
            if self.is_busy() {
                return self.presence.leave_at = Some(now.mono + self.settings.linger);
            }
            self.link.handle(link::Input::Unwanted("appliance offline"), now);
            self.playback.appliance_gone(now);
            self.perform_playback();
            self.alerts.connection_given_up(now);
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
                    let known = self.presence.session.as_ref().map(|(state, ..)| *state);
                    self.presence.session = Some((state, now.wall, reason));
                    self.announce_session(now);
                    if known != Some(state) {
                        self.tell_alerts_of_session(state, now);
                    }
                }
            }
        }
    }

    /// Publishes the session's state (again).
    pub(super) fn announce_session(&mut self, now: Now) {
        let (state, since, reason) = self
            .presence
            .session
            .get_or_insert_with(|| (self.link.state(), now.wall, self.link.reason()))
            .clone();
        self.say(Down::Session { state, since, reason });
    }

    /// The session has ended: everything that hung on it fails, and the link decides what next.
    pub(super) fn session_closed(&mut self, generation: u64, reason: CloseReason, now: Now) {
        if self.link.generation() == Some(generation)
            && self.link.state() != SessionState::Connected
        {
            self.alerts.connection_given_up(now);
        }
        self.fail_all_requests(now);
        let result = match &reason {
            CloseReason::Connect(_) => Some("unreachable"),
            CloseReason::Status { status: 401, .. } => Some("unauthorized"),
            CloseReason::Status { .. } => Some("refused"),
            CloseReason::NoHello => Some("no_hello"),
            CloseReason::Requested
            | CloseReason::PingTimeout
            | CloseReason::Stalled
            | CloseReason::Lost(_) => None,
        };
        if let Some(result) = result {
            self.measure(Measure::Connect(result));
        }
        self.link.handle(link::Input::Closed(generation, reason), now);
    }
}
