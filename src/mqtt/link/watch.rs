//! What tells a living connection from one that only looks so. Pure; called by the poller.
//!
//! Two things are watched apart. Any packet from the broker is a sign of life: under load the
//! gateway's heartbeat may wait behind what is published. Whether the broker forwards at all is
//! known only from a heartbeat that has left and comes back, so its time runs from when it left.

use std::time::{Duration, Instant};

use super::inflight::Inflight;

/// The gateway sends itself a message this often.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);
/// Two heartbeats that do not come back mean that the broker does not forward; no packet at all
/// for so long, that it is not there.
const PATIENCE: Duration = Duration::from_millis(12_500);
/// A publish that the broker has not acknowledged for so long means that it no longer takes any.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Why a connection has to be built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// The subscription is not answered.
    Unanswered,
    /// The subscription is accepted, but the first heartbeat does not come back.
    Deaf,
    /// Heartbeats no longer come back.
    NotForwarding,
    /// Nothing comes.
    Silent,
    /// Publishes are no longer acknowledged.
    Unacknowledged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not accepted so far.
    Dialling,
    /// Accepted; the subscription has been asked for.
    Asked(Instant),
    /// The subscription stands.
    Subscribed,
    /// A heartbeat has come back.
    Up,
}

/// The signs of life of one connection after the other.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) inflight: Inflight,
    stage: Stage,
    /// When the broker's last packet came.
    heard: Instant,
    /// When the oldest heartbeat left that has not come back.
    beat: Option<Instant>,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self { inflight: Inflight::default(), stage: Stage::Dialling, heard: now, beat: None }
    }

    /// The broker has accepted the connection.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.stage = Stage::Asked(now);
    }

    /// The broker has accepted the subscription.
    pub(super) fn subscribed(&mut self) {
        if self.stage != Stage::Up {
            self.stage = Stage::Subscribed;
        }
    }

    /// A packet has come.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A heartbeat is on its way.
    pub(super) fn beat_left(&mut self, now: Instant) {
        self.beat.get_or_insert(now);
    }

    /// The broker has forwarded a message. Until the gateway has heard itself once, messages of
    /// others prove nothing: its rights may differ.
    pub(super) fn forwarded(&mut self, own: bool) {
        if own {
            self.stage = Stage::Up;
        }
        if self.stage == Stage::Up {
            self.beat = None;
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.stage = Stage::Dialling;
        self.beat = None;
    }

    /// Whether heartbeats are of any use now.
    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.stage, Stage::Subscribed | Stage::Up)
    }

    /// Why the connection has to be built anew, if it has to.
    pub(super) fn verdict(&self, now: Instant) -> Option<Silence> {
        let since = |then: Instant| now.saturating_duration_since(then);
        match self.stage {
            // rumqttc has a limit of its own for this.
            Stage::Dialling => return None,
            Stage::Asked(then) if since(then) > PATIENCE => return Some(Silence::Unanswered),
            _ => {}
        }
        if self.beat.is_some_and(|left| since(left) > PATIENCE) {
            let deaf = self.stage == Stage::Subscribed;
            return Some(if deaf { Silence::Deaf } else { Silence::NotForwarding });
        }
        if since(self.heard) > PATIENCE {
            return Some(Silence::Silent);
        }
        (self.inflight.oldest(now) > UNACKNOWLEDGED).then_some(Silence::Unacknowledged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens in a row, each a second after the one before.
    #[derive(Clone, Copy)]
    enum Happens {
        Accepted,
        Subscribed,
        BeatLeaves,
        Echo,
        OtherMessage,
        Ack,
        Sent(u16),
        Lost,
        Seconds(u64),
    }
    use Happens::*;

    fn verdict(happens: &[Happens]) -> Option<Silence> {
        let mut now = Instant::now();
        let mut watch = Watch::new(now);
        for happening in happens {
            match *happening {
                Accepted => watch.accepted(now),
                Subscribed => watch.subscribed(),
                BeatLeaves => watch.beat_left(now),
                Echo => watch.forwarded(true),
                OtherMessage => watch.forwarded(false),
                Sent(pkid) => watch.inflight.sent(pkid, now),
                Lost => watch.lost(),
                Ack | Seconds(_) => {}
            }
            if !matches!(happening, BeatLeaves | Sent(_) | Lost | Seconds(_)) {
                watch.heard(now);
            }
            now += match *happening {
                Seconds(seconds) => Duration::from_secs(seconds),
                _ => Duration::from_secs(1),
            };
        }
        watch.verdict(now)
    }

    #[test]
    fn a_connection_that_does_not_come_up_is_given_up() {
        assert_eq!(verdict(&[Seconds(100)]), None, "dialling");
        assert_eq!(verdict(&[Accepted, Seconds(10)]), None);
        assert_eq!(verdict(&[Accepted, Seconds(13)]), Some(Silence::Unanswered));
        assert_eq!(
            verdict(&[Accepted, Ack, Seconds(5), Ack, Seconds(8)]).unwrap(),
            Silence::Unanswered
        );
        let deaf = [Accepted, Subscribed, BeatLeaves, Seconds(6), BeatLeaves, Ack, Seconds(6)];
        assert_eq!(verdict(&deaf), Some(Silence::Deaf));
        let others =
            [Accepted, Subscribed, BeatLeaves, OtherMessage, Seconds(6), OtherMessage, Seconds(6)];
        assert_eq!(verdict(&others), Some(Silence::Deaf), "the gateway does not hear itself");
        assert_eq!(verdict(&[Accepted, Subscribed, BeatLeaves, Echo, Seconds(10)]), None);
        assert_eq!(verdict(&[Accepted, Seconds(13), Lost]), None, "it has been given up");
    }

    #[test]
    fn a_heartbeat_that_waits_behind_what_is_published_is_no_false_alarm() {
        // The queue is full: no further heartbeat leaves, but the broker acknowledges.
        let mut loaded = vec![Accepted, Subscribed, BeatLeaves, Echo];
        loaded.extend([Ack; 60]);
        assert_eq!(verdict(&loaded), None);
        loaded.push(Seconds(12));
        assert_eq!(verdict(&loaded), Some(Silence::Silent));
    }

    #[test]
    fn a_broker_that_acknowledges_and_forwards_nothing_is_noticed_all_the_same() {
        let mut deaf = vec![Accepted, Subscribed, BeatLeaves, Echo, BeatLeaves];
        deaf.extend([Ack; 12]);
        assert_eq!(verdict(&deaf), Some(Silence::NotForwarding));
        deaf.push(OtherMessage);
        assert_eq!(verdict(&deaf), None, "it does forward");
    }

    #[test]
    fn a_publish_that_is_never_acknowledged_is_noticed() {
        let mut stuck = vec![Accepted, Subscribed, BeatLeaves, Echo, Sent(1)];
        stuck.extend([OtherMessage; 19]);
        assert_eq!(verdict(&stuck), None);
        stuck.push(OtherMessage);
        assert_eq!(verdict(&stuck), Some(Silence::Unacknowledged));
    }
}
