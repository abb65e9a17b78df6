//! The polling task: keeps the connection up, acknowledges, hands messages on.
//!
//! Each connection has a rumqttc event loop of its own: after a loss rumqttc can stay in its
//! collision state for ever, hands unacknowledged publishes back out of order, and forgets them
//! when the broker has lost our session. What was not acknowledged is carried over by
//! [`Inflight`].

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;
use rumqttc::{
    Outgoing,
    v5::{
        AsyncClient, Event, EventLoop, Request,
        mqttbytes::{
            QoS,
            v5::{
                ConnAck, Filter, Packet, PubAck, PubAckReason, Publish, SubAck, SubscribeReasonCode,
            },
        },
    },
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    Handler, Heard, INFLIGHT, LinkSettings, RETRY, Taken, build, packet,
    reminder::Reminder,
    status,
    trouble::{self, Trouble},
    watch::{HEARTBEAT, Watch},
};
use crate::{
    mqtt::{Inbound, topics},
    telemetry::{metrics::Metrics, traces::TRACEPARENT},
};

/// First and longest wait before the broker is dialled again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The polling task.
pub(super) struct Poller {
    pub(super) settings: Rc<LinkSettings>,
    pub(super) client: Rc<RefCell<AsyncClient>>,
    pub(super) handler: Handler,
    pub(super) metrics: Metrics,
    pub(super) connection: watch::Sender<bool>,
    pub(super) stopping: Rc<Cell<bool>>,
    pub(super) resubscribe: Rc<Notify>,
    /// What nobody could take, in order; bounded by the broker's window of unacknowledged
    /// messages, because none of them is acknowledged.
    pub(super) later: VecDeque<(Inbound, Publish)>,
    pub(super) watch: Watch,
    /// How many publishes the broker takes unacknowledged.
    pub(super) window: u16,
    /// The largest packet that the broker takes, bytes; nothing until it has accepted this
    /// connection. rumqttc keeps what is larger and fails on it, on every connection anew.
    pub(super) limit: watch::Sender<Option<u32>>,
    pub(super) reminder: Reminder,
    /// Of messages that the broker refuses, or would.
    pub(super) refusals: Reminder,
    /// The topic of the heartbeat.
    pub(super) heartbeat: String,
    /// The heartbeat that waits for its place in the queue.
    pub(super) beat: Option<JoinHandle<()>>,
    /// Something was handed on since the last loss.
    pub(super) heard: bool,
}

/// What is due from time to time.
struct Ticks {
    retry: Interval,
    beat: Interval,
}

impl Ticks {
    fn new() -> Self {
        let (mut retry, mut beat) = (interval(RETRY), interval(HEARTBEAT));
        // Ticks that were missed while the connection was away are of no use.
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { retry, beat }
    }
}

impl Poller {
    pub(super) async fn run(mut self, mut events: EventLoop) {
        let mut back_off = BACK_OFF.0;
        let mut ticks = Ticks::new();
        let mut again = VecDeque::new();
        loop {
            let trouble = match self.next(&mut events, &mut ticks).await {
                Ok(Event::Incoming(packet)) => self.incoming(packet),
                Ok(Event::Outgoing(sent)) => self.outgoing(&sent),
                Err(trouble) => Err(trouble),
            };
            let Err(trouble) = trouble else {
                self.publish_again(&mut events, &mut again);
                continue;
            };
            if *self.connection.borrow() {
                back_off = BACK_OFF.0;
            }
            self.rebuild(&mut events, &mut again);
            if self.stopping.get() {
                return;
            }
            self.tell(&trouble);
            tokio::time::sleep(back_off.mul_f64(rand::random_range(0.66..1.5))).await;
            back_off = (back_off * 2).min(BACK_OFF.1);
        }
    }

    /// Says what is wrong, and once a minute while it lasts.
    fn tell(&mut self, trouble: &Trouble) {
        let why = trouble.describe(&self.settings);
        if !self.reminder.is_due(&why, Instant::now()) {
            return;
        }
        if trouble.is_about_rights() {
            let (user, rights) = (trouble::user(&self.settings), trouble::rights(&self.settings));
            tracing::error!(%why, user, give = rights, "the gateway's rights at the broker do not suffice");
        } else {
            tracing::warn!(%why, "no broker connection");
        }
    }

    /// Waits for what the connection yields, and does meanwhile what is due.
    ///
    /// A poll that has begun is never given up, unless the whole connection is: under
    /// back-pressure it waits in the middle of writing a packet, and what it has taken from
    /// rumqttc's queue, an acknowledgement for example, would be lost with it.
    async fn next(&mut self, events: &mut EventLoop, ticks: &mut Ticks) -> Result<Event, Trouble> {
        let mut poll = std::pin::pin!(events.poll());
        let resubscribe = self.resubscribe.clone();
        loop {
            tokio::select! {
                event = &mut poll => return event.map_err(Trouble::Connection),
                () = resubscribe.notified() => self.subscribe(),
                _ = ticks.retry.tick(), if !self.later.is_empty() => self.retry(),
                _ = ticks.beat.tick() => self.beat()?,
            }
        }
    }

    /// Takes a fresh event loop; what the old one had not had acknowledged goes out again.
    fn rebuild(&mut self, events: &mut EventLoop, again: &mut VecDeque<Publish>) {
        for event in std::mem::take(&mut events.state.events) {
            if let Event::Outgoing(Outgoing::Publish(pkid)) = event {
                self.watch.inflight.sent(pkid, Instant::now());
            }
        }
        events.clean();
        let collided = events.state.collision.take().map(Request::Publish);
        let pending = std::mem::take(&mut events.pending);
        let unsent = std::mem::take(again);
        again.extend(self.watch.inflight.take_again(pending.into_iter().chain(collided)));
        again.extend(unsent);
        self.lost();
        let (client, fresh) = build(&self.settings);
        self.limit.send_replace(None);
        self.client.replace(client);
        *events = fresh;
    }

    /// Lets out what the lost connection had not had acknowledged, before anything newer and no
    /// more than the broker's window allows: rumqttc would overwrite what exceeds it.
    fn publish_again(&mut self, events: &mut EventLoop, again: &mut VecDeque<Publish>) {
        let Some(limit) = *self.limit.borrow() else { return };
        let window = usize::from(self.window);
        while events.state.collision.is_none()
            && usize::from(events.state.inflight()) + events.pending.len() < window
            && let Some(publish) = again.pop_front()
        {
            // Another broker, or the same one with another configuration.
            match packet::check(&publish.topic, publish.payload.len(), limit) {
                Ok(()) => events.pending.push_back(Request::Publish(publish)),
                Err(never) => never.drop(&self.metrics, &mut self.refusals),
            }
        }
    }

    fn outgoing(&mut self, sent: &Outgoing) -> Result<(), Trouble> {
        let now = Instant::now();
        match sent {
            // Only heartbeats have no packet id.
            Outgoing::Publish(0) => self.watch.beat_left(now),
            Outgoing::Publish(pkid) => self.watch.inflight.sent(*pkid, now),
            _ => {}
        }
        Ok(())
    }

    fn incoming(&mut self, packet: Packet) -> Result<(), Trouble> {
        self.watch.heard(Instant::now());
        match packet {
            Packet::ConnAck(answer) => self.accepted(&answer),
            Packet::SubAck(answer) => return self.subscribed(&answer),
            Packet::PubAck(answer) => self.acknowledged(&answer),
            Packet::Publish(publish) => self.deliver(publish),
            _ => {}
        }
        Ok(())
    }

    fn accepted(&mut self, answer: &ConnAck) {
        let told = answer.properties.as_ref();
        let window = told.and_then(|properties| properties.receive_max);
        self.window = window.unwrap_or(INFLIGHT).min(INFLIGHT);
        let limit = told.and_then(|properties| properties.max_packet_size);
        self.limit.send_replace(Some(limit.unwrap_or(packet::LARGEST)));
        self.watch.accepted(Instant::now());
        self.subscribe();
    }

    fn acknowledged(&mut self, answer: &PubAck) {
        use PubAckReason::{NoMatchingSubscribers, Success};
        self.watch.inflight.acknowledged(answer.pkid);
        if matches!(answer.reason, Success | NoMatchingSubscribers) {
            return;
        }
        self.metrics.dropped.with_label_values(&["refused_by_broker"]).inc();
        let reason = format!("{:?}", answer.reason);
        if self.refusals.is_due(&reason, Instant::now()) {
            let (user, rights) = (trouble::user(&self.settings), trouble::rights(&self.settings));
            tracing::warn!(reason, user, needs = rights, "the broker refused a message");
        }
    }

    /// The link counts as connected only once a heartbeat has come back: a broker's access rules
    /// can let a subscription pass and forward nothing.
    fn subscribed(&mut self, answer: &SubAck) -> Result<(), Trouble> {
        let filters = self.filters();
        for (filter, code) in filters.into_iter().zip(&answer.return_codes) {
            if !matches!(code, SubscribeReasonCode::Success(_)) {
                return Err(Trouble::Subscription { filter, code: *code });
            }
        }
        self.watch.subscribed();
        self.send_heartbeat();
        Ok(())
    }

    fn echoed(&mut self) {
        self.metrics.mqtt_connected.set(1);
        // Only a change is news: each of them makes the whole fleet say where it stands.
        if self.stands(true) {
            self.reminder.forget();
            let (host, port) = (&self.settings.host, self.settings.port);
            tracing::info!(%host, port, "broker connected");
        }
    }

    /// Whether that is news.
    fn stands(&self, now: bool) -> bool {
        self.connection.send_if_modified(|before| std::mem::replace(before, now) != now)
    }

    fn filters(&self) -> Vec<String> {
        let heartbeat = std::iter::once(&self.heartbeat);
        self.settings.filters.iter().chain(heartbeat).cloned().collect()
    }

    /// Always, not only without session: subscribing again is harmless and brings the retained
    /// state again, which somebody may have changed meanwhile.
    fn subscribe(&self) {
        let filters: Vec<_> = self.filters().into_iter().map(filter).collect();
        let client = self.client.borrow().clone();
        let online = status(&self.settings, "online");
        tokio::task::spawn_local(async move {
            // Fails only when the connection is gone again; the next ConnAck comes here too.
            let _ = client.subscribe_many(filters).await;
            let _ =
                client.publish_bytes(online.topic, QoS::AtLeastOnce, true, online.payload).await;
        });
    }

    fn deliver(&mut self, mut publish: Publish) {
        let settings = &self.settings;
        let own = publish.topic == self.heartbeat.as_bytes();
        self.watch.forwarded(own);
        if own {
            self.echoed();
            return self.acknowledge(&publish);
        }
        // No broker delivers a topic that is not text, and nobody has subscribed to one.
        let Ok(topic) = ByteString::try_from(publish.topic.clone()) else {
            return self.acknowledge(&publish);
        };
        let label = topics::split(&settings.topic_root, &topic)
            .map_or("other", |(_, rest)| topics::label(rest));
        self.metrics.mqtt_messages.with_label_values(&["up", label]).inc();
        let inbound = Inbound {
            topic,
            payload: std::mem::take(&mut publish.payload),
            retained: publish.retain,
            repeated: publish.dup,
            received: crate::clock::mono(),
            traceparent: traceparent(&publish),
        };
        // Behind something of the same appliance that waits, everything but audio waits too.
        if publish.qos != QoS::AtMostOnce && self.waits(&inbound.topic) {
            self.later.push_back((inbound, publish));
            return;
        }
        self.offer(inbound, publish);
    }

    fn waits(&self, topic: &str) -> bool {
        let appliance = |topic: &str| {
            topics::split(&self.settings.topic_root, topic).map(|(id, _)| id.to_owned())
        };
        !self.later.is_empty()
            && self.later.iter().any(|(waiting, _)| appliance(&waiting.topic) == appliance(topic))
    }

    fn offer(&mut self, inbound: Inbound, publish: Publish) {
        self.heard = true;
        match (self.handler)(Heard::Message(inbound)) {
            Taken::Yes => self.acknowledge(&publish),
            Taken::Later(inbound) if publish.qos != QoS::AtMostOnce => {
                self.later.push_back((inbound, publish));
            }
            Taken::Later(_) => self.metrics.dropped.with_label_values(&["mailbox_full"]).inc(),
        }
    }

    fn retry(&mut self) {
        let mut stuck: Vec<String> = Vec::new();
        for (inbound, publish) in std::mem::take(&mut self.later) {
            let id = topics::split(&self.settings.topic_root, &inbound.topic)
                .map(|(id, _)| id.to_owned())
                .unwrap_or_default();
            if stuck.contains(&id) {
                self.later.push_back((inbound, publish));
                continue;
            }
            let before = self.later.len();
            self.offer(inbound, publish);
            if self.later.len() > before {
                stuck.push(id);
            }
        }
    }

    fn acknowledge(&self, publish: &Publish) {
        if publish.qos == QoS::AtMostOnce {
            return;
        }
        let client = self.client.borrow();
        if client.try_ack(publish).is_err() {
            let (client, publish) = (client.clone(), publish.clone());
            tokio::task::spawn_local(async move {
                let _ = client.ack(&publish).await;
            });
        }
    }

    fn beat(&mut self) -> Result<(), Trouble> {
        if self.watch.is_subscribed() {
            self.send_heartbeat();
        }
        match self.watch.verdict(Instant::now()) {
            Some(silence) => Err(Trouble::Silence(silence)),
            None => Ok(()),
        }
    }

    /// It waits for its place in a full queue, but never two of them at a time.
    fn send_heartbeat(&mut self) {
        if self.beat.as_ref().is_some_and(|beat| !beat.is_finished()) {
            return;
        }
        let topic = self.heartbeat.clone();
        let client = self.client.borrow().clone();
        self.beat = Some(tokio::task::spawn_local(async move {
            // Fails only when the connection is gone.
            let _ = client.publish(topic, QoS::AtMostOnce, false, Bytes::from_static(b".")).await;
        }));
    }

    fn lost(&mut self) {
        // The broker sends what was not acknowledged again.
        self.later.clear();
        self.watch.lost();
        self.metrics.mqtt_connected.set(0);
        self.stands(false);
        // In order with the messages: what the broker repeats on the next connection comes later.
        if std::mem::take(&mut self.heard) {
            (self.handler)(Heard::Lost);
        }
    }
}

fn filter(path: String) -> Filter {
    Filter::new(path, QoS::AtLeastOnce)
}

fn traceparent(publish: &Publish) -> Option<Box<str>> {
    let mut properties = publish.properties.as_ref()?.user_properties.iter();
    let (_, span) = properties.find(|(name, _)| name == TRACEPARENT)?;
    Some(span.as_str().into())
}
