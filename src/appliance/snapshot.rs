//! What operators see of a living appliance. Made by the core, carried by [`crate::shard::desk`]
//! to [`crate::http`].

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    alerts::Alert,
    focus::Places,
    message::{DialogueState, InputError, SessionState},
};
use crate::ids::{DialogRequestId, UtteranceId};

/// Errors of an appliance that operators see.
const MAX_ERRORS: usize = 20;

/// An appliance at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whether the appliance says that it is there.
    pub online: bool,
    /// Where its CIC session stands, since when, and why.
    pub session: (SessionState, Timestamp, Option<String>),
    /// What its lights show.
    pub dialogue: (DialogueState, Option<DialogRequestId>, Option<UtteranceId>),
    /// Its alerts, by token.
    pub alerts: Vec<Arc<Alert>>,
    /// Events that CIC has not answered and that must not be lost.
    pub unsent_events: usize,
    /// What it was told on `down/error`, oldest first.
    pub errors: Vec<(Timestamp, InputError)>,
    /// What sounds how.
    pub focus: Places,
    /// Each context by its `Namespace.Name`, as CIC would get it now; empty unless asked for.
    pub context: Vec<(String, Box<RawValue>)>,
}

/// The last errors of an appliance.
#[derive(Debug, Default)]
pub struct LastErrors(VecDeque<(Timestamp, InputError)>);

impl LastErrors {
    /// Remembers one; the oldest makes room.
    pub fn push(&mut self, at: Timestamp, error: InputError) {
        if self.0.len() == MAX_ERRORS {
            self.0.pop_front();
        }
        self.0.push_back((at, error));
    }

    /// All of them, oldest first.
    pub fn to_vec(&self) -> Vec<(Timestamp, InputError)> {
        self.0.iter().cloned().collect()
    }
}
