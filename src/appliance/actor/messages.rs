//! What an appliance's actor can be told.

use std::cell::RefCell;

use actix::Message;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    appliance::{
        alerts::Refused, ledger::Kept, message::InputError, snapshot::Snapshot, trace::Way,
    },
    ids::{Token, UtteranceId},
    store::{self, Tokens},
};

/// A message of the appliance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FromAppliance {
    /// What follows `{root}/{a}/`.
    pub topic: String,
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

/// What the registry and an actor share, and what outlives an actor that panics.
#[derive(Debug, Default)]
pub struct Shared {
    /// The utterance of which the registry had to drop audio, if any.
    pub lost_audio: RefCell<Option<UtteranceId>>,
    /// The tokens that are in use; the store may not have them yet.
    pub tokens: RefCell<Option<Tokens>>,
    /// Alerts and outbox; the store may not have them yet.
    pub kept: RefCell<Kept>,
}

/// Makes the actor panic.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub struct Crash;
