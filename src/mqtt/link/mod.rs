//! The broker connection: the only user of rumqttc outside `sim`.
//!
//! One task polls, acknowledges and hands messages on; another one publishes, because publishing
//! from the polling task can freeze both. Called by [`crate::shard`].
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | settings, start and stop |
//! | `poller.rs` | the polling task |
//! | `watch.rs` | whether the connection really lives |
//! | `trouble.rs` | why there is none, for the log |
//! | `publisher.rs` | the publishing task |
//! | `outbox.rs` | its queue |
//! | `inflight.rs` | what is not acknowledged, and goes out again after a loss |
//! | `packet.rs` | what can never be published |
//! | `probe.rs` | one connection and back, for `check` |
//! | `reminder.rs` | how often the log says the same thing |

mod inflight;
mod outbox;
mod packet;
mod poller;
mod probe;
mod publisher;
mod reminder;
mod trouble;
mod watch;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rumqttc::{
    NetworkOptions, TlsConfiguration, Transport,
    v5::{
        AsyncClient, EventLoop, MqttOptions,
        mqttbytes::{QoS, v5::LastWill},
    },
};
use tokio::{
    sync::{self, Notify},
    task::JoinHandle,
};

use super::{Inbound, Publication, Qos, topics};
use crate::{secret::Secret, telemetry::metrics::Metrics};
pub use outbox::Backlog;
use poller::Poller;
pub use probe::probe;
pub use publisher::Publisher;
use publisher::Sender;
use reminder::Reminder;
use watch::Watch;

/// Largest packet from the broker, bytes: what brokers are told to take from appliances (1 MiB) and
/// what they may add. Mosquitto (2.0.11) never forwards again to a client for which it has held
/// back some that are larger than this, so it must not come to that.
const MAX_PACKET: u32 = 1024 * 1024 + 64 * 1024;
/// Unacknowledged publishes; rumqttc preallocates for the protocol's 65,535 otherwise.
const INFLIGHT: u16 = 100;
/// How long the broker keeps our session while we are away, seconds.
const SESSION_EXPIRY: u32 = 3600;
/// Messages that nobody can take now are offered again this often.
const RETRY: Duration = Duration::from_millis(50);
/// Also how fast a network that swallows packets is noticed: after two of them.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

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

/// What comes from the broker, in order.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Inbound),
    /// The connection over which the messages before came is gone.
    Lost,
}

/// Takes what comes, on the link's own thread. Must not block.
pub type Handler = Box<dyn FnMut(Heard) -> Taken>;

/// A running broker connection.
#[derive(Debug)]
pub struct Link {
    connected: sync::watch::Receiver<bool>,
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
        let publisher = Publisher::new();
        let (connection, connected) = sync::watch::channel(false);
        let (limit, largest) = sync::watch::channel(None);
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
            watch: Watch::new(Instant::now()),
            heartbeat: topics::heartbeat(&settings.topic_root, &settings.client_id),
            window: INFLIGHT,
            limit,
            reminder: Reminder::default(),
            refusals: Reminder::default(),
            beat: None,
            heard: false,
        };
        let poller = tokio::task::spawn_local(poller.run(events));
        let sender = Sender {
            queue: publisher.clone(),
            client: client.clone(),
            metrics,
            root: settings.topic_root.clone(),
            reminder: Reminder::default(),
            limit: largest,
        };
        let sender = tokio::task::spawn_local(sender.run());
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
    pub fn connected(&self) -> sync::watch::Receiver<bool> {
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
        self.publisher.settled().await;
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
    let mut options = options(settings, &settings.client_id);
    let topic = topics::gateway_status(&settings.topic_root, &settings.client_id);
    options
        .set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_EXPIRY))
        .set_max_packet_size(Some(MAX_PACKET))
        .set_manual_acks(true)
        .set_last_will(LastWill::new(topic, "offline", QoS::AtLeastOnce, true, None));
    AsyncClient::new(options, usize::from(INFLIGHT))
}

/// Where the broker is, and how to log in.
fn options(settings: &LinkSettings, client_id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, &settings.host, settings.port);
    options.set_keep_alive(KEEP_ALIVE).set_outgoing_inflight_upper_limit(INFLIGHT);
    // Small messages must not wait for each other's acknowledgement.
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if !settings.username.is_empty() {
        options.set_credentials(&settings.username, settings.password.expose());
    }
    if let Some(tls) = &settings.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    options
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}
