//! Which progress reports are still to come (flows 4.1). Pure; called by the playback machine.
//!
//! Delay and interval count playing time; a seek leaves them running. The position is measured
//! from the start of the stream, and is passed again after a seek back.

use std::time::{Duration, Instant};

use super::{playhead::Playhead, stream::Wanted};

/// Differences between the computed and the reported position that are no seek.
const DRIFT: Duration = Duration::from_secs(2);

/// The progress reports of one playback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    delay: Option<Duration>,
    interval: Option<Duration>,
    next_interval: Duration,
    position: Option<Duration>,
    is_ahead: bool,
}

impl Progress {
    /// For a playback that begins at `start`.
    pub fn new(wanted: Wanted, start: Duration) -> Self {
        Self {
            delay: wanted.delay,
            interval: wanted.interval,
            next_interval: wanted.interval.unwrap_or_default(),
            position: wanted.position,
            is_ahead: wanted.position.is_some_and(|position| start <= position),
        }
    }

    /// The next report that is due.
    pub fn next_due(
        &mut self,
        head: &Playhead,
        end: Option<Duration>,
        now: Instant,
    ) -> Option<&'static str> {
        let played = head.played(now);
        if self.delay.take_if(|delay| *delay <= played).is_some() {
            return Some("ProgressReportDelayPassed");
        }
        if let Some(interval) = self.interval.filter(|_| self.next_interval <= played) {
            // Those that were slept through are not made up for.
            let missed = (played - self.next_interval).as_nanos() / interval.as_nanos();
            self.next_interval += interval * (u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1);
            return Some("ProgressReportIntervalPassed");
        }
        let offset = end.map_or(head.offset(now), |end| head.offset(now).min(end));
        self.passes(offset).is_some().then_some("ProgressReportPositionPassed")
    }

    /// The report position, if it is passed with this offset; it is behind then.
    pub fn passes(&mut self, offset: Duration) -> Option<Duration> {
        let position = self.position.filter(|position| self.is_ahead && *position <= offset)?;
        self.is_ahead = false;
        Some(position)
    }

    /// The appliance is elsewhere than was computed: after a seek back the report position is
    /// ahead again.
    pub fn moved(&mut self, from: Duration, to: Duration) {
        let is_before = self.position.is_some_and(|position| to < position);
        self.is_ahead |= is_before && from.saturating_sub(to) > DRIFT;
    }

    /// When the next report is due, if it plays on. A position past the end is never reached.
    pub fn next_at(&self, head: &Playhead, end: Option<Duration>) -> Option<Instant> {
        let delay = self.delay.and_then(|delay| head.when_played(delay));
        let interval = self.interval.and_then(|_| head.when_played(self.next_interval));
        let position = self.position.filter(|_| self.is_ahead);
        let position = position.filter(|position| end.is_none_or(|end| *position <= end));
        let position = position.and_then(|position| head.when_at(position));
        delay.into_iter().chain(interval).chain(position).min()
    }
}

/// Whether both are the same position, measured with the appliance's accuracy.
pub(super) fn is_near(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) <= DRIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_when_due_and_those_slept_through_come_once() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let wanted = Wanted { delay: Some(s(3)), interval: Some(s(20)), position: Some(s(50)) };
        let mut progress = Progress::new(wanted, s(0));
        let mut head = Playhead::at(s(0));
        assert_eq!(progress.next_at(&head, None), None, "it does not play yet");
        head.start(start);
        let mut due = |at: u64| {
            let mut names = Vec::new();
            while let Some(name) = progress.next_due(&head, None, start + s(at)) {
                names.push(name.trim_start_matches("ProgressReport"));
            }
            (names, progress.next_at(&head, None).map(|at| (at - start).as_secs()))
        };
        assert_eq!(due(2), (vec![], Some(3)));
        assert_eq!(due(3), (vec!["DelayPassed"], Some(20)));
        assert_eq!(due(20), (vec!["IntervalPassed"], Some(40)));
        assert_eq!(due(95), (vec!["IntervalPassed", "PositionPassed"], Some(100)));
    }

    #[test]
    fn a_position_before_the_beginning_is_not_passed_until_a_seek_back() {
        let s = Duration::from_secs;
        let wanted = Wanted { position: Some(s(30)), ..Wanted::default() };
        let mut progress = Progress::new(wanted, s(60));
        assert_eq!(progress.passes(s(61)), None);
        progress.moved(s(61), s(20));
        assert_eq!(progress.passes(s(29)), None);
        assert_eq!(progress.passes(s(40)), Some(s(30)));
        progress.moved(s(31), s(30) - Duration::from_millis(1));
        assert_eq!(progress.passes(s(31)), None, "that was no seek");
    }
}
