//! What an appliance's actor can be told.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::{mpsc, oneshot};

use crate::{
    appliance::{
        alerts::{Phase, Refused},
        env::Env,
        ledger::Kept,
        message::{InputError, SessionState},
        snapshot::Snapshot,
        trace::Way,
    },
    cic::message::Command,
    ids::{Token, UtteranceId},
    store::{self, Tokens},
};

/// A message of the appliance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FromAppliance {
    /// What follows `{root}/{a}/`.
    pub topic: ByteString,
    /// The payload.
    pub payload: Bytes,
    /// Sent from the broker's memory.
    pub retained: bool,
    /// How it came here.
    pub way: Way,
}

/// The appliance's record in the store has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Provisioned(pub store::Appliance);

/// The broker connection was lost and is back.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct BrokerReturned;

/// End: finish what is under way, close the session, say so, stop.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop {
    /// Told (by being dropped or sent) when it is done.
    pub done: oneshot::Sender<()>,
    /// What `down/session` says from then on.
    pub last_word: LastWord,
}

/// What an actor leaves behind on `down/session`, which the broker keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWord {
    /// `stopped`: the gateway ends.
    Stopped,
    /// Nothing is kept any more: the appliance is no longer provisioned.
    Cleared,
    /// Whatever its successor says.
    None,
}

/// The broker connection is lost.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct BrokerLost;

/// Asks how the appliance is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inspect {
    /// With its context.
    pub whole: bool,
    /// Told how it is.
    pub reply: oneshot::Sender<Snapshot>,
}

/// Presses the stop button of an alert.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopAlert {
    /// Which alert.
    pub token: Token,
    /// Told whether there is such an alert.
    pub reply: oneshot::Sender<Result<(), Refused>>,
}

/// Makes a typed request on behalf of the appliance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Request {
    /// What to ask.
    pub text: String,
    /// Told why no request is made, if none is.
    pub reply: oneshot::Sender<Result<(), InputError>>,
}

/// Asks for a sign of life: [`Shared::alive`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Pulse;

/// What the registry and an actor share, and what outlives an actor that panics or is stuck.
#[derive(Debug, Default)]
pub struct Shared {
    /// The utterance of which the registry had to drop audio, if any.
    pub lost_audio: RefCell<Option<UtteranceId>>,
    /// The tokens that are in use; the store may not have them yet.
    pub tokens: RefCell<Option<Tokens>>,
    /// Alerts and outbox; the store may not have them yet.
    pub kept: RefCell<Kept>,
    /// Set by the actor for each [`Pulse`].
    pub alive: Cell<bool>,
    /// What the actor took last, and when: where to look when it is stuck.
    pub took: Cell<Option<(&'static str, Instant)>>,
    /// What `down/session` said last; counted in `appliances{state}`.
    pub state: Cell<Option<SessionState>>,
    /// Alerts by phase; counted in `alerts{state}`.
    pub alerts: Cell<[usize; Phase::ALL.len()]>,
    /// The session that is open.
    pub session: RefCell<Option<mpsc::UnboundedSender<Command>>>,
    /// Another actor has taken this one's place.
    pub retired: Cell<bool>,
}

impl Shared {
    /// What the next actor of the appliance starts with.
    pub fn heir(&self) -> Self {
        Self {
            lost_audio: self.lost_audio.take().into(),
            tokens: self.tokens.borrow().clone().into(),
            kept: self.kept.borrow().clone().into(),
            ..Self::default()
        }
    }

    /// The actor is no more, or counts no more: the gauges forget it, and its session ends.
    pub fn retire(&self, env: &Env) {
        self.retired.set(true);
        env.count_state(self.state.take(), None);
        env.count_alerts(self.alerts.take(), Default::default());
        if let Some(commands) = self.session.take() {
            let _ = commands.send(Command::Close);
        }
    }
}

/// Makes the actor panic.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub struct Crash;

/// Makes the actor take nothing any more.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hang;
