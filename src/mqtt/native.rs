//! The native adapter: topic and bytes become an [`Up`], a [`Down`] becomes publications. Pure.

use std::time::Instant;

use bytes::Bytes;

use super::Publication;
use crate::{
    appliance::message::{Down, InputError, Up},
    ids::ApplianceId,
};

/// Largest JSON payload from an appliance, bytes.
pub const MAX_JSON: usize = 64 * 1024;
/// Largest audio message from an appliance, bytes.
pub const MAX_AUDIO: usize = 64 * 1024;
/// Largest audio message to an appliance, bytes.
pub const MAX_AUDIO_DOWN: usize = 16 * 1024;

/// Reads a message; `topic` is what follows `{root}/{a}/`, for example `up/audio/u1`.
///
/// # Errors
/// What `down/error` shall say.
pub fn decode(_topic: &str, _payload: Bytes, _received: Instant) -> Result<Up, InputError> {
    unimplemented!()
}

/// Writes a message, as one publication or (audio) several; pushes them onto `out` in order.
pub fn encode(_root: &str, _appliance: &ApplianceId, _down: &Down, _out: &mut Vec<Publication>) {
    unimplemented!()
}
