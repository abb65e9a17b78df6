//! The broker connection: the only user of rumqttc outside `sim`.
//!
//! One task polls, acknowledges and hands messages on; another one publishes, because publishing
//! from the polling task can freeze both. Called by [`crate::shard`].

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Filter, LastWill, Packet, Publish},
        },
    },
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use super::{Inbound, Publication, Qos, topics};
use crate::{secret::Secret, telemetry::metrics::Metrics};

/// Messages that may wait to be published.
const MAX_QUEUED: usize = 10_000;
/// Their payloads together, bytes.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// Largest packet from the broker, bytes.
const MAX_PACKET: u32 = 1024 * 1024;
/// Unacknowledged publishes; rumqttc preallocates for the protocol's 65,535 otherwise.
const INFLIGHT: u16 = 100;
/// How long the broker keeps our session while we are away, seconds.
const SESSION_EXPIRY: u32 = 3600;
/// Messages that nobody can take now are offered again this often.
const RETRY: Duration = Duration::from_millis(50);
/// The gateway sends itself a message this often; two that do not come back mean that the broker
/// no longer forwards.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// First and longest wait before the broker is dialled again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Where the broker is, and who we are.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS, when the URL says `mqtts`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// MQTT client id; names the persistent session.
    pub client_id: String,
    /// Empty = anonymous.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// `{root}` of all topics.
    pub topic_root: String,
    /// Topic filters to subscribe to, QoS 1.
    pub filters: Vec<String>,
}

/// What the handler says of a message.
#[derive(Debug)]
pub enum Taken {
    /// It has an owner now and may be acknowledged.
    Yes,
    /// Nobody can take it now: offer it again a little later, and do not acknowledge it before.
    Later(Inbound),
}

/// Takes each message, on the link's own thread. Must not block.
pub type Handler = Box<dyn FnMut(Inbound) -> Taken>;

/// The publishing queue is full; the message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker takes messages too slowly")]
pub struct Backlog;

/// Hands publications to the publishing task; clones share its queue.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::UnboundedSender<Publication>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Publisher {
    /// Queues a publication; order is kept.
    ///
    /// # Errors
    /// [`Backlog`] when the queue is at its bound (messages or bytes).
    pub fn publish(&self, publication: Publication) -> Result<(), Backlog> {
        let size = publication.payload.len();
        let messages = self.waiting.messages.load(Ordering::Relaxed);
        let bytes = self.waiting.bytes.load(Ordering::Relaxed) + size;
        if messages >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(Backlog);
        }
        self.waiting.messages.fetch_add(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_add(size, Ordering::Relaxed);
        self.queue.send(publication).map_err(|_| Backlog)
    }

    fn new() -> (Self, mpsc::UnboundedReceiver<Publication>) {
        let (queue, inbox) = mpsc::unbounded_channel();
        (Self { queue, waiting: Arc::default() }, inbox)
    }
}

/// A running broker connection.
#[derive(Debug)]
pub struct Link {
    connected: watch::Receiver<bool>,
    publisher: Publisher,
    stopping: Rc<Cell<bool>>,
    resubscribe: Rc<Notify>,
    settings: Rc<LinkSettings>,
    client: Rc<RefCell<AsyncClient>>,
    poller: JoinHandle<()>,
    sender: JoinHandle<()>,
}

impl Link {
    /// Starts the connection on the current thread (`spawn_local`) and keeps it up for ever.
    pub fn start(settings: LinkSettings, handler: Handler, metrics: Metrics) -> (Self, Publisher) {
        let settings = Rc::new(settings);
        let (publisher, inbox) = Publisher::new();
        let (connection, connected) = watch::channel(false);
        let (client, events) = build(&settings);
        let client = Rc::new(RefCell::new(client));
        let stopping = Rc::new(Cell::new(false));
        let resubscribe = Rc::new(Notify::new());
        let poller = Poller {
            resubscribe: resubscribe.clone(),
            settings: settings.clone(),
            client: client.clone(),
            handler,
            metrics: metrics.clone(),
            connection,
            stopping: stopping.clone(),
            later: VecDeque::new(),
            echoed: Instant::now(),
        };
        let poller = tokio::task::spawn_local(poller.run(events));
        let sender = tokio::task::spawn_local(send(
            inbox,
            publisher.waiting.clone(),
            client.clone(),
            metrics,
            settings.topic_root.clone(),
        ));
        let link = Self {
            connected,
            publisher: publisher.clone(),
            stopping,
            resubscribe,
            settings,
            client,
            poller,
            sender,
        };
        (link, publisher)
    }

    /// Whether the broker has accepted us and the subscriptions stand; changes are seen.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Asks for a way to have all retained messages sent again: subscribing anew does that.
    pub fn resubscriber(&self) -> Rc<Notify> {
        self.resubscribe.clone()
    }

    /// Publishes what is queued (at most for `grace`), then `offline`, and disconnects.
    pub async fn stop(self, grace: Duration) {
        let _ = self.publisher.publish(status(&self.settings, "offline"));
        let _ = tokio::time::timeout(grace, self.drain()).await;
        self.sender.abort();
        self.poller.abort();
    }

    async fn drain(&self) {
        if !*self.connected.borrow() {
            return;
        }
        while self.publisher.waiting.messages.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.stopping.set(true);
        let client = self.client.borrow().clone();
        // Requests are written in order: this one goes after everything that was published.
        let _ = client.disconnect().await;
        let mut connected = self.connected.clone();
        let _ = connected.wait_for(|connected| !connected).await;
    }
}

fn status(settings: &LinkSettings, text: &'static str) -> Publication {
    let topic = topics::gateway_status(&settings.topic_root, &settings.client_id);
    Publication { topic, payload: text.into(), qos: Qos::AtLeastOnce, retain: true }
}

fn build(settings: &LinkSettings) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    let topic = topics::gateway_status(&settings.topic_root, &settings.client_id);
    options
        .set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_EXPIRY))
        .set_max_packet_size(Some(MAX_PACKET))
        .set_manual_acks(true)
        .set_keep_alive(Duration::from_secs(30))
        .set_outgoing_inflight_upper_limit(INFLIGHT)
        .set_last_will(LastWill::new(topic, "offline", QoS::AtLeastOnce, true, None));
    if !settings.username.is_empty() {
        options.set_credentials(&settings.username, settings.password.expose());
    }
    if let Some(tls) = &settings.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    AsyncClient::new(options, usize::from(INFLIGHT))
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// The publishing task.
async fn send(
    mut inbox: mpsc::UnboundedReceiver<Publication>,
    waiting: Arc<Waiting>,
    client: Rc<RefCell<AsyncClient>>,
    metrics: Metrics,
    root: String,
) {
    while let Some(publication) = inbox.recv().await {
        let Publication { topic, payload, qos: wanted, retain } = publication;
        let label = topics::split(&root, &topic).map_or("other", |(_, rest)| topics::label(rest));
        loop {
            let current = client.borrow().clone();
            let payload = payload.clone();
            match current.publish_bytes(topic.clone(), qos(wanted), retain, payload).await {
                Ok(()) => break,
                // The connection is being rebuilt: the message goes with the new one.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
        waiting.messages.fetch_sub(1, Ordering::Relaxed);
        waiting.bytes.fetch_sub(payload.len(), Ordering::Relaxed);
        metrics.mqtt_messages.with_label_values(&["down", label]).inc();
    }
}

/// The polling task.
struct Poller {
    resubscribe: Rc<Notify>,
    settings: Rc<LinkSettings>,
    client: Rc<RefCell<AsyncClient>>,
    handler: Handler,
    metrics: Metrics,
    connection: watch::Sender<bool>,
    stopping: Rc<Cell<bool>>,
    /// What nobody could take, in order; bounded by the broker's window of unacknowledged
    /// messages, because none of them is acknowledged.
    later: VecDeque<(Inbound, Publish)>,
    echoed: Instant,
}

impl Poller {
    async fn run(mut self, mut events: EventLoop) {
        let mut back_off = BACK_OFF.0;
        let mut retry = tokio::time::interval(RETRY);
        let mut beat = tokio::time::interval(HEARTBEAT);
        loop {
            let event = tokio::select! {
                event = events.poll() => event,
                () = self.resubscribe.notified() => {
                    self.subscribe();
                    continue;
                }
                _ = retry.tick(), if !self.later.is_empty() => {
                    self.retry();
                    continue;
                }
                _ = beat.tick() => {
                    if self.is_deaf() {
                        tracing::warn!("the broker no longer forwards; connecting anew");
                        self.lost();
                        let (client, fresh) = build(&self.settings);
                        self.client.replace(client);
                        events = fresh;
                    }
                    continue;
                }
            };
            match event {
                Ok(Event::Incoming(packet)) => {
                    if matches!(packet, Packet::ConnAck(_)) {
                        back_off = BACK_OFF.0;
                    }
                    self.incoming(packet);
                }
                Ok(Event::Outgoing(_)) => {}
                Err(error) => {
                    self.lost();
                    if self.stopping.get() {
                        return;
                    }
                    tracing::warn!(%error, "the broker connection is lost or refused");
                    tokio::time::sleep(back_off.mul_f64(rand::random_range(0.66..1.5))).await;
                    back_off = (back_off * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    fn incoming(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(_) => self.subscribe(),
            Packet::SubAck(_) => {
                self.echoed = Instant::now();
                self.metrics.mqtt_connected.set(1);
                if !self.connection.send_replace(true) {
                    let (host, port) = (&self.settings.host, self.settings.port);
                    tracing::info!(%host, port, "broker connected");
                }
            }
            Packet::Publish(publish) => self.deliver(publish),
            Packet::Disconnect(_) => self.lost(),
            _ => {}
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
            self.echoed = Instant::now();
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

    /// Sends a heartbeat; whether two of them have not come back.
    fn is_deaf(&self) -> bool {
        if !*self.connection.borrow() {
            return false;
        }
        let topic = topics::heartbeat(&self.settings.topic_root, &self.settings.client_id);
        let client = self.client.borrow();
        let _ = client.try_publish(topic, QoS::AtMostOnce, false, Bytes::from_static(b"."));
        self.echoed.elapsed() > HEARTBEAT * 2 + HEARTBEAT / 2
    }

    fn lost(&mut self) {
        // The broker sends what was not acknowledged again.
        self.later.clear();
        self.metrics.mqtt_connected.set(0);
        self.connection.send_replace(false);
    }
}
