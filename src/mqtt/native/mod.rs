//! The native adapter: topic and bytes become an [`Up`], a [`Down`] becomes publications. Pure;
//! called by the appliance's actor. No JSON is touched on the audio path.
//!
//! | file | what it holds |
//! |---|---|
//! | `up.rs` | what appliances publish |
//! | `down.rs` | what they get |
//!
//! [`Up`]: crate::appliance::message::Up
//! [`Down`]: crate::appliance::message::Down

mod down;
mod up;

pub use down::{cleared_session, encode};
pub use up::{check_initiator, decode, is_context_name};

/// Largest JSON payload from an appliance, bytes.
pub const MAX_JSON: usize = 64 * 1024;
/// Largest audio message from an appliance, bytes.
pub const MAX_AUDIO: usize = 64 * 1024;
/// Largest audio message to an appliance, bytes.
pub const MAX_AUDIO_DOWN: usize = 16 * 1024;

#[cfg(test)]
mod tests;
