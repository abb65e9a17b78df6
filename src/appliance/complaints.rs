//! `down/error`: at most ten in ten seconds, then one that counts the rest. Pure; called by the
//! core.

use std::time::{Duration, Instant};

use super::message::{About, ErrorCode, InputError};

const WINDOW: Duration = Duration::from_secs(10);
const LIMIT: u32 = 10;

/// Lets through so many complaints a window.
#[derive(Debug, Default)]
pub struct Complaints {
    since: Option<Instant>,
    passed: u32,
    held_back: u32,
}

impl Complaints {
    /// Whether this complaint is to be published now.
    pub fn admit(&mut self, now: Instant) -> bool {
        let started = *self.since.get_or_insert(now);
        if now.duration_since(started) >= WINDOW && self.held_back == 0 {
            (self.since, self.passed) = (Some(now), 0);
        }
        if self.passed < LIMIT {
            self.passed += 1;
            return true;
        }
        self.held_back += 1;
        false
    }

    /// When [`Complaints::sum_up`] has something to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.since.filter(|_| self.held_back > 0).map(|since| since + WINDOW)
    }

    /// At the end of a window that held something back: the one that counts the rest.
    pub fn sum_up(&mut self, now: Instant) -> Option<InputError> {
        self.poll_timeout().filter(|due| *due <= now)?;
        let held_back = std::mem::take(&mut self.held_back);
        (self.since, self.passed) = (None, 0);
        Some(InputError {
            topic: "up/#".into(),
            code: ErrorCode::RateLimited,
            message: format!("{held_back} more errors were not reported one by one"),
            about: About::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_pass_and_the_rest_is_counted_once() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        let passed = (0..25).filter(|_| complaints.admit(start)).count();
        assert_eq!(passed, 10);
        let due = complaints.poll_timeout().unwrap();
        assert_eq!(due, start + WINDOW);
        assert_eq!(complaints.sum_up(due - Duration::from_millis(1)), None);
        let sum = complaints.sum_up(due).unwrap();
        assert_eq!(sum.code, ErrorCode::RateLimited);
        assert!(sum.message.starts_with("15 more"), "{}", sum.message);
        assert_eq!(complaints.poll_timeout(), None);
        assert!(complaints.admit(due));
    }

    #[test]
    fn a_slow_drip_is_never_held_back() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        assert!((0..100).all(|n| complaints.admit(start + Duration::from_secs(2) * n)));
    }
}
