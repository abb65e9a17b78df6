//! Reports of the state that CIC has asked for: one at once, and one every so often (flows 7.2).
//!
//! The state is in the context of every event, so the gateway reports it by itself and the
//! appliance does not get the directive.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Control, Handling};
use crate::{cic::directive::Directive, clock::Now};

/// Longest time over which CIC can have reports.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// When the state is reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    next: Instant,
    last: Instant,
    every: Duration,
}

impl Schedule {
    /// Reads ExpectReportState. Without both fields, or with an interval of no time, one report is
    /// all that is wanted.
    fn read(payload: &Value, now: Instant) -> Option<Self> {
        let seconds = |field: &str| payload[field].as_u64().map(Duration::from_secs);
        let last = now + seconds("durationInSeconds")?.min(LONGEST);
        let every = seconds("intervalInSeconds").filter(|every| !every.is_zero())?;
        Self { next: now, last, every }.after(now)
    }

    /// When the next report is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// What remains after the report of `now`. Reports that were missed are not made up for.
    pub(super) fn after(self, now: Instant) -> Option<Self> {
        let passed = now.saturating_duration_since(self.next).as_secs() / self.every.as_secs();
        let steps = u32::try_from(passed + 1).ok()?;
        let next = self.next.checked_add(self.every.checked_mul(steps)?)?;
        (next <= self.last).then_some(Self { next, ..self })
    }
}

impl Control {
    /// A newer order takes the place of the one before, also when it wants one report only.
    pub(super) fn expect_report_state(&mut self, directive: &Directive, now: Now) -> Handling {
        let payload = directive.payload_as::<Value>().unwrap_or_default();
        self.schedule = Schedule::read(&payload, now.mono);
        self.report_state();
        Handling::Withhold
    }
}
