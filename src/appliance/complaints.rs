//! `down/error`: at most ten in ten seconds, then one that counts the rest. Pure; called by the
//! core.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::message::{About, ErrorCode, InputError};

const WINDOW: Duration = Duration::from_secs(10);
const LIMIT: usize = 10;

/// Lets through so many complaints in any ten seconds.
#[derive(Debug, Default)]
pub struct Complaints {
    /// When the last ones were let through.
    passed: VecDeque<Instant>,
    held_back: u32,
}

impl Complaints {
    /// Whether this complaint is to be published now. Nothing overtakes the sum of what was held
    /// back.
    pub fn admit(&mut self, now: Instant) -> bool {
        if self.held_back == 0 && self.has_room(now) {
            self.passed.push_back(now);
            return true;
        }
        self.held_back += 1;
        false
    }

    /// When [`Complaints::sum_up`] has something to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let oldest = self.passed.front().filter(|_| self.held_back > 0);
        oldest.map(|oldest| *oldest + WINDOW)
    }

    /// Once there is room again after something was held back: the one that counts the rest.
    pub fn sum_up(&mut self, now: Instant) -> Option<InputError> {
        if self.held_back == 0 || !self.has_room(now) {
            return None;
        }
        self.passed.push_back(now);
        let held_back = std::mem::take(&mut self.held_back);
        Some(InputError {
            topic: "up/#".into(),
            code: ErrorCode::RateLimited,
            message: format!("{held_back} more errors were not reported one by one"),
            about: About::default(),
        })
    }

    fn has_room(&mut self, now: Instant) -> bool {
        while self.passed.front().is_some_and(|passed| *passed + WINDOW <= now) {
            self.passed.pop_front();
        }
        self.passed.len() < LIMIT
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
    fn never_more_than_ten_pass_in_any_ten_seconds() {
        let start = Instant::now();
        let (mut complaints, mut passed) = (Complaints::default(), Vec::new());
        for tenth in 0..1000 {
            let now = start + Duration::from_millis(100) * tenth;
            if complaints.sum_up(now).is_some() {
                passed.push(now);
            }
            if complaints.admit(now) {
                passed.push(now);
            }
        }
        for window in passed.windows(LIMIT + 1) {
            assert!(window[LIMIT] - window[0] >= WINDOW);
        }
        assert!(passed.len() > 90, "{}", passed.len());
    }

    #[test]
    fn a_slow_drip_is_never_held_back() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        assert!((0..100).all(|n| complaints.admit(start + Duration::from_secs(2) * n)));
    }
}
