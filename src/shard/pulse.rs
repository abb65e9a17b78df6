//! A thread's sign of life, seen from other threads.
//!
//! Beaten by [`super::Shard`] on the thread of its appliances, read by [`crate::app`]: whoever runs
//! on a thread that stands still cannot notice it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::clock::mono;

/// When a thread last had time for itself.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    /// Beats now for the first time.
    pub(super) fn start() -> Self {
        Self(Arc::new(Mutex::new(mono())))
    }

    pub(super) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mono();
    }

    /// For how long it has not beaten; it does so each second.
    pub fn silent_for(&self) -> Duration {
        mono().saturating_duration_since(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
