//! Where a stream is being played, and how long it has been: computed from the appliance's last
//! report and the playing time since then. Pure; called by the playback machine.

use std::time::{Duration, Instant};

/// A position that moves while it plays.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Playhead {
    offset: Duration,
    played: Duration,
    runs_since: Option<Instant>,
}

impl Playhead {
    /// One that stands.
    pub fn at(offset: Duration) -> Self {
        Self { offset, ..Self::default() }
    }

    /// The position.
    pub fn offset(&self, now: Instant) -> Duration {
        self.offset + self.run(now)
    }

    /// The playing time; pauses do not count.
    pub fn played(&self, now: Instant) -> Duration {
        self.played + self.run(now)
    }

    /// Runs on from now.
    pub fn start(&mut self, now: Instant) {
        self.stop(now);
        self.runs_since = Some(now);
    }

    /// Stands still from now on.
    pub fn stop(&mut self, now: Instant) {
        let run = self.run(now);
        self.offset += run;
        self.played += run;
        self.runs_since = None;
    }

    /// Jumps, and goes on doing what it did.
    pub fn jump(&mut self, offset: Duration, now: Instant) {
        let runs = self.runs_since.is_some();
        self.stop(now);
        self.offset = offset;
        self.runs_since = runs.then_some(now);
    }

    /// When the position will be reached.
    pub fn when_at(&self, offset: Duration) -> Option<Instant> {
        Some(self.runs_since? + offset.saturating_sub(self.offset))
    }

    /// When so much will have been played.
    pub fn when_played(&self, time: Duration) -> Option<Instant> {
        Some(self.runs_since? + time.saturating_sub(self.played))
    }

    fn run(&self, now: Instant) -> Duration {
        self.runs_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_playing_time_counts_and_a_jump_changes_the_position_alone() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let mut head = Playhead::at(s(10));
        assert_eq!(head.when_at(s(20)), None, "it stands");
        head.start(start);
        assert_eq!((head.offset(start + s(5)), head.played(start + s(5))), (s(15), s(5)));
        assert_eq!(head.when_at(s(20)), Some(start + s(10)));
        head.stop(start + s(5));
        assert_eq!((head.offset(start + s(50)), head.played(start + s(50))), (s(15), s(5)));
        head.jump(s(100), start + s(50));
        head.start(start + s(60));
        assert_eq!((head.offset(start + s(61)), head.played(start + s(61))), (s(101), s(6)));
        head.jump(s(1), start + s(61));
        assert_eq!((head.offset(start + s(62)), head.played(start + s(62))), (s(2), s(7)));
        assert_eq!(head.when_played(s(10)), Some(start + s(65)));
    }
}
