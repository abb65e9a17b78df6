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
use rumqttc::{
    Outgoing,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, Request,
        mqttbytes::{
            QoS,
            v5::{Filter, Packet, PubAckReason, Publish, SubAck, SubscribeReasonCode},
        },
    },
};
use tokio::{
    sync::{Notify, watch},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    Handler, INFLIGHT, LinkSettings, RETRY, Taken, build, inflight::Inflight, packet,
    reminder::Reminder, status,
};
use crate::{
    mqtt::{Inbound, topics},
    telemetry::metrics::Metrics,
};

/// The gateway sends itself a message this often; two that do not come back mean that the broker
/// no longer forwards.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A publish that the broker has not acknowledged for so long means that it no longer takes any.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
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
}

/// What tells a living connection from one that only looks so.
pub(super) struct Watch {
    inflight: Inflight,
    /// When the last heartbeat came back, or else when the subscription was accepted.
    echoed: Option<Instant>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { inflight: Inflight::default(), echoed: None }
    }

    /// Why the connection has to be built anew, if it has to.
    fn verdict(&self, now: Instant) -> Option<&'static str> {
        let silent = self.echoed.map(|echoed| now.saturating_duration_since(echoed));
        if silent.is_some_and(|silent| silent > HEARTBEAT * 2 + HEARTBEAT / 2) {
            return Some("the broker does not forward the gateway's own heartbeat");
        }
        (self.inflight.oldest(now) > UNACKNOWLEDGED).then_some("the broker no longer acknowledges")
    }
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

enum Next {
    Event(Result<Event, ConnectionError>),
    /// The connection only looks alive; why.
    Stale(&'static str),
}

impl Poller {
    pub(super) async fn run(mut self, mut events: EventLoop) {
        let mut back_off = BACK_OFF.0;
        let mut ticks = Ticks::new();
        let mut again = VecDeque::new();
        loop {
            match self.next(&mut events, &mut ticks).await {
                Next::Event(Ok(Event::Incoming(packet))) => {
                    if matches!(packet, Packet::ConnAck(_)) {
                        back_off = BACK_OFF.0;
                    }
                    self.incoming(packet);
                    self.publish_again(&mut events, &mut again);
                }
                Next::Event(Ok(Event::Outgoing(sent))) => self.outgoing(&sent),
                Next::Event(Err(error)) => {
                    self.rebuild(&mut events, &mut again);
                    if self.stopping.get() {
                        return;
                    }
                    tracing::warn!(error = %explain(&error), "the broker connection is lost or refused");
                    tokio::time::sleep(back_off.mul_f64(rand::random_range(0.66..1.5))).await;
                    back_off = (back_off * 2).min(BACK_OFF.1);
                }
                Next::Stale(why) => {
                    tracing::warn!("{why}; connecting anew");
                    self.rebuild(&mut events, &mut again);
                }
            }
        }
    }

    /// Waits for what the connection yields, and does meanwhile what is due.
    ///
    /// A poll that has begun is never given up, unless the whole connection is: under
    /// back-pressure it waits in the middle of writing a packet, and what it has taken from
    /// rumqttc's queue, an acknowledgement for example, would be lost with it.
    async fn next(&mut self, events: &mut EventLoop, ticks: &mut Ticks) -> Next {
        let mut poll = std::pin::pin!(events.poll());
        let resubscribe = self.resubscribe.clone();
        loop {
            tokio::select! {
                event = &mut poll => return Next::Event(event),
                () = resubscribe.notified() => self.subscribe(),
                _ = ticks.retry.tick(), if !self.later.is_empty() => self.retry(),
                _ = ticks.beat.tick() => if let Some(why) = self.beat() {
                    return Next::Stale(why);
                },
            }
        }
    }

    /// Takes a fresh event loop; what the old one had not had acknowledged goes out again.
    fn rebuild(&mut self, events: &mut EventLoop, again: &mut VecDeque<Publish>) {
        for event in std::mem::take(&mut events.state.events) {
            if let Event::Outgoing(sent) = event {
                self.outgoing(&sent);
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
                Err(never) => never.drop(&self.metrics, &mut self.reminder),
            }
        }
    }

    fn outgoing(&mut self, sent: &Outgoing) {
        if let Outgoing::Publish(pkid) = sent {
            self.watch.inflight.sent(*pkid, Instant::now());
        }
    }

    fn incoming(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(answer) => {
                let told = answer.properties.as_ref();
                let window = told.and_then(|properties| properties.receive_max);
                self.window = window.unwrap_or(INFLIGHT).min(INFLIGHT);
                let limit = told.and_then(|properties| properties.max_packet_size);
                self.limit.send_replace(Some(limit.unwrap_or(packet::LARGEST)));
                self.subscribe();
            }
            Packet::SubAck(answer) => self.subscribed(&answer),
            Packet::PubAck(answer) => {
                self.watch.inflight.acknowledged(answer.pkid);
                use PubAckReason::{NoMatchingSubscribers, Success};
                if !matches!(answer.reason, Success | NoMatchingSubscribers) {
                    tracing::warn!(reason = ?answer.reason, "the broker refused a message");
                    self.metrics.dropped.with_label_values(&["refused_by_broker"]).inc();
                }
            }
            Packet::Publish(publish) => self.deliver(publish),
            Packet::Disconnect(_) => self.lost(),
            _ => {}
        }
    }

    /// The link counts as connected only once a heartbeat has come back: a broker's access rules
    /// can let a subscription pass and forward nothing.
    fn subscribed(&mut self, answer: &SubAck) {
        let refused = answer
            .return_codes
            .iter()
            .find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
        if let Some(code) = refused {
            tracing::error!(
                reason = ?code,
                user = self.settings.username,
                "the broker does not let the gateway subscribe; give its user the right to"
            );
            return self.lost();
        }
        self.watch.echoed = Some(Instant::now());
        self.send_heartbeat();
    }

    fn echoed(&mut self) {
        self.watch.echoed = Some(Instant::now());
        self.metrics.mqtt_connected.set(1);
        if !self.connection.send_replace(true) {
            let (host, port) = (&self.settings.host, self.settings.port);
            tracing::info!(%host, port, "broker connected");
        }
    }

    /// Always, not only without session: subscribing again is harmless and brings the retained
    /// state again, which somebody may have changed meanwhile.
    fn subscribe(&self) {
        let settings = &self.settings;
        let heartbeat = topics::heartbeat(&settings.topic_root, &settings.client_id);
        let filters = settings.filters.iter().chain(std::iter::once(&heartbeat));
        let filters: Vec<_> =
            filters.map(|filter| Filter::new(filter.clone(), QoS::AtLeastOnce)).collect();
        let client = self.client.borrow().clone();
        let online = status(settings, "online");
        tokio::task::spawn_local(async move {
            // Fails only when the connection is gone again; the next ConnAck comes here too.
            let _ = client.subscribe_many(filters).await;
            let _ =
                client.publish_bytes(online.topic, QoS::AtLeastOnce, true, online.payload).await;
        });
    }

    fn deliver(&mut self, publish: Publish) {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let settings = &self.settings;
        if topic == topics::heartbeat(&settings.topic_root, &settings.client_id) {
            self.echoed();
            return self.acknowledge(&publish);
        }
        let label = topics::split(&settings.topic_root, &topic)
            .map_or("other", |(_, rest)| topics::label(rest));
        self.metrics.mqtt_messages.with_label_values(&["up", label]).inc();
        let (payload, retained) = (publish.payload.clone(), publish.retain);
        let inbound = Inbound { topic, payload, retained, received: crate::clock::mono() };
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
        match (self.handler)(inbound) {
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

    /// Sends a heartbeat; says why the connection has to be built anew, if it has to.
    fn beat(&mut self) -> Option<&'static str> {
        self.watch.echoed?;
        self.send_heartbeat();
        self.watch.verdict(Instant::now())
    }

    fn send_heartbeat(&self) {
        let topic = topics::heartbeat(&self.settings.topic_root, &self.settings.client_id);
        let client = self.client.borrow();
        // Fails when the queue is full; then the age of what is in it tells.
        let _ = client.try_publish(topic, QoS::AtMostOnce, false, Bytes::from_static(b"."));
    }

    fn lost(&mut self) {
        // The broker sends what was not acknowledged again.
        self.later.clear();
        self.watch.echoed = None;
        self.metrics.mqtt_connected.set(0);
        self.connection.send_replace(false);
    }
}

/// What an operator can act on.
fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses us: {code:?}"),
        other => other.to_string(),
    }
}
