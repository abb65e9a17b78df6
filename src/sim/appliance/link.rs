//! The appliance's MQTT client, version 5 or 3.1.1: one task polls, one publishes, because
//! publishing from the polling task could freeze both.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport, v5};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    ApplianceSettings, MqttVersion,
    trouble::{Cause, Place, Trouble},
};
use crate::mqtt::{Publication, Qos};

/// Largest packet, bytes.
const MAX_PACKET: u32 = 1024 * 1024;
/// Unacknowledged publishes; rumqttc preallocates for the protocol's 65,535 otherwise.
const INFLIGHT: u16 = 100;
/// Publications that may wait.
const OUTBOX: usize = 1024;
/// Events that may wait.
const EVENTS: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(500);

/// What the client is to do, in order.
pub(super) enum Order {
    Subscribe(String),
    Publish(Publication),
    Leave,
}

/// What happened to the client.
pub(super) enum Happened {
    /// The broker has accepted us.
    Accepted,
    /// And lets us hear.
    Subscribed,
    /// Not so.
    NotSubscribed,
    Message {
        topic: String,
        payload: Bytes,
    },
    Trouble(Trouble),
    /// As ordered.
    Left,
}

/// A running client; ends, without a word to the broker, when dropped.
pub(super) struct Link {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) events: mpsc::Receiver<Happened>,
    pub(super) place: Arc<Place>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// Starts it on the current runtime; it connects by itself, for ever.
    pub(super) fn start(settings: &ApplianceSettings, will: &str) -> Self {
        let (orders, inbox) = mpsc::channel(OUTBOX);
        let (tell, events) = mpsc::channel(EVENTS);
        let place = Arc::new(settings.place());
        let mut tasks = JoinSet::new();
        match settings.version {
            MqttVersion::V5 => {
                let (client, polled) = client_v5(settings, will);
                tasks.spawn(obey(Client::V5(client), inbox));
                tasks.spawn(poll(Polled::V5(Box::new(polled)), tell, place.clone()));
            }
            MqttVersion::V3 => {
                let (client, polled) = client_v3(settings, will);
                tasks.spawn(obey(Client::V3(client), inbox));
                tasks.spawn(poll(Polled::V3(Box::new(polled)), tell, place.clone()));
            }
        }
        Self { orders, events, place, _tasks: tasks }
    }
}

fn transport(settings: &ApplianceSettings) -> Transport {
    match &settings.tls {
        Some(tls) => Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())),
        None => Transport::tcp(),
    }
}

/// Audio is sent in small pieces, each of which would wait for the one before otherwise.
fn network() -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_nodelay(true);
    options
}

fn client_v5(settings: &ApplianceSettings, will: &str) -> (v5::AsyncClient, v5::EventLoop) {
    use v5::mqttbytes::{QoS, v5::LastWill};
    let mut options = v5::MqttOptions::new(settings.client_id(), &settings.host, settings.port);
    options
        .set_last_will(LastWill::new(will, "offline", QoS::AtLeastOnce, true, None))
        .set_max_packet_size(Some(MAX_PACKET))
        .set_outgoing_inflight_upper_limit(INFLIGHT)
        .set_keep_alive(KEEP_ALIVE)
        .set_network_options(network())
        .set_transport(transport(settings));
    if let Some((user, password)) = settings.login() {
        options.set_credentials(user, password);
    }
    v5::AsyncClient::new(options, usize::from(INFLIGHT))
}

fn client_v3(
    settings: &ApplianceSettings,
    will: &str,
) -> (rumqttc::AsyncClient, rumqttc::EventLoop) {
    use rumqttc::{LastWill, QoS};
    let mut options =
        rumqttc::MqttOptions::new(settings.client_id(), &settings.host, settings.port);
    options
        .set_last_will(LastWill::new(will, "offline", QoS::AtLeastOnce, true))
        .set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize)
        .set_inflight(INFLIGHT)
        .set_keep_alive(KEEP_ALIVE)
        .set_transport(transport(settings));
    if let Some((user, password)) = settings.login() {
        options.set_credentials(user, password);
    }
    let (client, mut events) = rumqttc::AsyncClient::new(options, usize::from(INFLIGHT));
    events.set_network_options(network());
    (client, events)
}

enum Client {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// Carries out orders for as long as there is a client.
async fn obey(client: Client, mut inbox: mpsc::Receiver<Order>) {
    while let Some(order) = inbox.recv().await {
        let gone = match &client {
            Client::V3(client) => obey_v3(client, order).await.is_err(),
            Client::V5(client) => obey_v5(client, order).await.is_err(),
        };
        if gone {
            return;
        }
    }
}

async fn obey_v3(client: &rumqttc::AsyncClient, order: Order) -> Result<(), rumqttc::ClientError> {
    use rumqttc::QoS;
    match order {
        Order::Subscribe(filter) => client.subscribe(filter, QoS::AtLeastOnce).await,
        Order::Leave => client.disconnect().await,
        Order::Publish(Publication { topic, payload, qos, retain }) => {
            let qos = match qos {
                Qos::AtMostOnce => QoS::AtMostOnce,
                Qos::AtLeastOnce => QoS::AtLeastOnce,
            };
            client.publish_bytes(topic, qos, retain, payload).await
        }
    }
}

async fn obey_v5(client: &v5::AsyncClient, order: Order) -> Result<(), v5::ClientError> {
    use v5::mqttbytes::QoS;
    match order {
        Order::Subscribe(filter) => client.subscribe(filter, QoS::AtLeastOnce).await,
        Order::Leave => client.disconnect().await,
        Order::Publish(Publication { topic, payload, qos, retain }) => {
            let qos = match qos {
                Qos::AtMostOnce => QoS::AtMostOnce,
                Qos::AtLeastOnce => QoS::AtLeastOnce,
            };
            client.publish_bytes(topic, qos, retain, payload).await
        }
    }
}

enum Polled {
    V3(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

impl Polled {
    /// The next thing that concerns the appliance, if this is one.
    async fn next(&mut self) -> Result<Option<Happened>, Cause> {
        match self {
            Self::V3(events) => events.poll().await.map(happened_v3).map_err(Cause::from),
            Self::V5(events) => events.poll().await.map(happened_v5).map_err(Cause::from),
        }
    }
}

fn happened_v3(event: rumqttc::Event) -> Option<Happened> {
    use rumqttc::{Event, Packet, SubscribeReasonCode};
    Some(match event {
        Event::Incoming(Packet::ConnAck(_)) => Happened::Accepted,
        Event::Incoming(Packet::SubAck(ack)) => {
            subscribed(ack.return_codes.contains(&SubscribeReasonCode::Failure))
        }
        Event::Incoming(Packet::Publish(publish)) => {
            Happened::Message { topic: publish.topic, payload: publish.payload }
        }
        Event::Outgoing(Outgoing::Disconnect) => Happened::Left,
        _ => return None,
    })
}

fn happened_v5(event: v5::Event) -> Option<Happened> {
    use v5::{
        Event,
        mqttbytes::v5::{Packet, SubscribeReasonCode},
    };
    Some(match event {
        Event::Incoming(Packet::ConnAck(_)) => Happened::Accepted,
        Event::Incoming(Packet::SubAck(ack)) => {
            let granted =
                |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            subscribed(!ack.return_codes.iter().all(granted))
        }
        Event::Incoming(Packet::Publish(publish)) => Happened::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload,
        },
        Event::Outgoing(Outgoing::Disconnect) => Happened::Left,
        _ => return None,
    })
}

fn subscribed(refused: bool) -> Happened {
    if refused { Happened::NotSubscribed } else { Happened::Subscribed }
}

/// Polls until the appliance has left or is gone.
async fn poll(mut polled: Polled, tell: mpsc::Sender<Happened>, place: Arc<Place>) {
    let mut connected = false;
    loop {
        let happened = match polled.next().await {
            Ok(None) => continue,
            Ok(Some(happened)) => {
                connected |= matches!(happened, Happened::Accepted);
                happened
            }
            Err(cause) => {
                let trouble = place.trouble(cause, std::mem::take(&mut connected));
                Happened::Trouble(trouble)
            }
        };
        let (left, failed) = match &happened {
            Happened::Left => (true, false),
            Happened::Trouble(_) => (false, true),
            _ => (false, false),
        };
        if tell.send(happened).await.is_err() || left {
            return;
        }
        if failed {
            tokio::time::sleep(RETRY).await;
        }
    }
}
