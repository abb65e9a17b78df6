//! The only source of now. Pure cores take a [`Now`]; shells ask a [`Clock`].
//!
//! Deadlines use the monotonic instant, anything a user reads or sets uses the wall clock.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic: for deadlines and durations. Follows `tokio::time::pause` in tests.
    pub mono: Instant,
    /// Wall clock: for timestamps that leave the process.
    pub wall: Timestamp,
}

impl Now {
    /// This reading moved forward by `by` on both clocks.
    pub fn plus(self, by: Duration) -> Self {
        let wall = self.wall.checked_add(by).unwrap_or(Timestamp::MAX);
        Self { mono: self.mono + by, wall }
    }
}

/// Something that knows what time it is.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Both clocks, read together.
    fn now(&self) -> Now;
}

/// A clock shared by everything in a process.
pub type SharedClock = Arc<dyn Clock>;

/// The monotonic clock alone, for what only measures how long something took.
pub fn mono() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { mono: mono(), wall: Timestamp::now() }
    }
}

/// The machine's clocks, with a wall clock that somebody sets.
#[derive(Debug, Clone, Default)]
pub struct SteppedClock(Arc<Mutex<SignedDuration>>);

impl SteppedClock {
    /// Sets the wall clock forwards, or backwards.
    pub fn step(&self, by: SignedDuration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Now {
        let Now { mono, wall } = SystemClock.now();
        let offset = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Now { mono, wall: wall.checked_add(offset).unwrap_or(wall) }
    }
}

/// A clock that a test moves by hand.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Now>>);

impl ManualClock {
    /// Starts at the given wall-clock time.
    pub fn at(wall: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Now { mono: Instant::now(), wall })))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.plus(by);
    }

    /// Sets the wall clock without moving the monotonic one: a clock step.
    pub fn step_wall_to(&self, wall: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
