//! Keeps what goes on and on from filling the log. Pure; called by poller and publisher.

use std::time::{Duration, Instant};

/// How long the same thing is not said again.
const PAUSE: Duration = Duration::from_secs(60);

/// What was said last, and when.
#[derive(Debug, Default)]
pub(super) struct Reminder(Option<(String, Instant)>);

impl Reminder {
    /// Whether to say this: it is another thing than the last one, or that was a minute ago.
    pub(super) fn is_due(&mut self, what: &str, now: Instant) -> bool {
        let said = self
            .0
            .as_ref()
            .is_some_and(|(last, at)| last == what && now.saturating_duration_since(*at) < PAUSE);
        if !said {
            self.0 = Some((what.to_owned(), now));
        }
        !said
    }

    /// It is over: the next time is news again.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_is_said_once_a_minute_and_another_one_at_once() {
        let (mut reminder, start) = (Reminder::default(), Instant::now());
        let rows = [
            (0, "refused", true),
            (1, "refused", false),
            (59, "refused", false),
            (60, "refused", true),
            (61, "deaf", true),
            (62, "deaf", false),
            (63, "refused", true),
        ];
        for (second, what, due) in rows {
            let now = start + Duration::from_secs(second);
            assert_eq!(reminder.is_due(what, now), due, "{second} {what}");
        }
        reminder.forget();
        assert!(reminder.is_due("refused", start));
    }
}
