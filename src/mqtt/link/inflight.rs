//! What has been published and not acknowledged: how old it is, and in which order it goes out
//! again after a lost connection. Pure; called by the poller.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rumqttc::v5::{
    Request,
    mqttbytes::{QoS, v5::Publish},
};

/// Packet ids of unacknowledged publishes, oldest first; bounded by rumqttc's own window.
#[derive(Debug, Default)]
pub(super) struct Inflight(VecDeque<(u16, Instant)>);

impl Inflight {
    /// A publish has left for the broker; packet id 0 means that nothing will acknowledge it.
    pub(super) fn sent(&mut self, pkid: u16, now: Instant) {
        if pkid != 0 {
            self.0.retain(|(known, _)| *known != pkid);
            self.0.push_back((pkid, now));
        }
    }

    /// The broker has acknowledged a publish.
    pub(super) fn acknowledged(&mut self, pkid: u16) {
        self.0.retain(|(known, _)| *known != pkid);
    }

    /// How long the oldest publish has been waiting for its acknowledgement.
    pub(super) fn oldest(&self, now: Instant) -> Duration {
        self.0.front().map_or(Duration::ZERO, |(_, sent)| now.saturating_duration_since(*sent))
    }

    /// What has to be published again on a new connection, in the order of the first time.
    ///
    /// rumqttc hands unacknowledged publishes back by packet id, and ids wrap: an answer's audio
    /// would come out of order. Acknowledgements and subscriptions belong to the old connection.
    pub(super) fn take_again(
        &mut self,
        pending: impl IntoIterator<Item = Request>,
    ) -> Vec<Publish> {
        let order = std::mem::take(&mut self.0);
        let place = |pkid: u16| order.iter().position(|(known, _)| *known == pkid);
        let publishes = pending.into_iter().filter_map(|request| match request {
            Request::Publish(publish) if publish.qos != QoS::AtMostOnce => Some(publish),
            _ => None,
        });
        let mut publishes: Vec<Publish> = publishes.collect();
        // Stable: what never had a packet id stays behind the rest, as it was queued.
        publishes.sort_by_key(|publish| match publish.pkid {
            0 => usize::MAX,
            pkid => place(pkid).unwrap_or(usize::MAX - 1),
        });
        for publish in &mut publishes {
            publish.pkid = 0; // packet ids are the new connection's to give
        }
        publishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(pkid: u16, payload: &'static str) -> Request {
        let mut publish = Publish::new("t", QoS::AtLeastOnce, payload, None);
        publish.pkid = pkid;
        Request::Publish(publish)
    }

    #[test]
    fn the_oldest_unacknowledged_publish_is_known() {
        let (mut inflight, start) = (Inflight::default(), Instant::now());
        let second = Duration::from_secs(1);
        inflight.sent(0, start);
        assert_eq!(inflight.oldest(start + second), Duration::ZERO, "QoS 0 is never acknowledged");
        inflight.sent(1, start);
        inflight.sent(2, start + second);
        assert_eq!(inflight.oldest(start + second * 5), second * 5);
        inflight.acknowledged(1);
        assert_eq!(inflight.oldest(start + second * 5), second * 4);
        inflight.acknowledged(2);
        assert_eq!(inflight.oldest(start + second * 5), Duration::ZERO);
    }

    #[test]
    fn what_goes_out_again_keeps_its_order_across_the_wrap_of_packet_ids() {
        let (mut inflight, now) = (Inflight::default(), Instant::now());
        for pkid in [99, 100, 1, 2] {
            inflight.sent(pkid, now);
        }
        let mut at_most_once = Publish::new("t", QoS::AtMostOnce, "beat", None);
        at_most_once.pkid = 0;
        let pending = [
            publish(1, "c"),
            publish(2, "d"),
            publish(99, "a"),
            publish(100, "b"),
            Request::Publish(at_most_once),
            Request::PingReq,
            publish(0, "e"),
            publish(0, "f"),
        ];
        let again = inflight.take_again(pending);
        let payloads: Vec<_> = again.iter().map(|publish| publish.payload.as_ref()).collect();
        assert_eq!(payloads, [b"a", b"b", b"c", b"d", b"e", b"f"]);
        assert!(again.iter().all(|publish| publish.pkid == 0));
        assert_eq!(inflight.oldest(now + Duration::from_secs(9)), Duration::ZERO);
    }
}
