//! An appliance that does only what a test says, over MQTT like any other.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use cic_gateway::sim::appliance::ApplianceSettings;
use rumqttc::{
    NetworkOptions,
    v5::{
        AsyncClient, Event, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{LastWill, Packet},
        },
    },
};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

/// Far more than anything takes.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A message to the appliance; `topic` is what follows `down/`.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
}

impl Message {
    /// The payload; `null` if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

pub struct Puppet {
    client: AsyncClient,
    up: String,
    heard: Arc<Mutex<Vec<Message>>>,
    grown: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Puppet {
    /// It connects, subscribes, and reports this state (`up/state`) and that it is online.
    pub async fn arrive(settings: &ApplianceSettings, state: &Value) -> Self {
        let base = format!("{}/{}", settings.root, settings.id);
        let up = format!("{base}/up/");
        let mut options =
            MqttOptions::new(format!("puppet-{}", settings.id), &settings.host, settings.port);
        options.set_credentials(&settings.id, settings.password.expose());
        let will = LastWill::new(format!("{up}status"), "offline", QoS::AtLeastOnce, true, None);
        options.set_last_will(will).set_max_packet_size(Some(1024 * 1024));
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut events) = AsyncClient::new(options, 1000);
        let heard = Arc::<Mutex<Vec<Message>>>::default();
        let (grow, grown) = watch::channel(());
        let (log, down) = (heard.clone(), format!("{base}/down/"));
        let task = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                let Event::Incoming(Packet::Publish(publish)) = event else { continue };
                let topic = String::from_utf8_lossy(&publish.topic).replacen(&down, "", 1);
                log.lock().unwrap().push(Message { topic, payload: publish.payload });
                grow.send_replace(());
            }
        });
        client.subscribe(format!("{base}/down/#"), QoS::AtLeastOnce).await.unwrap();
        let puppet = Self { client, up, heard, grown, task };
        puppet.publish("state", state.to_string(), true).await;
        puppet.publish("status", "online", true).await;
        puppet
    }

    async fn publish(&self, rest: &str, payload: impl Into<Bytes>, retain: bool) {
        let topic = format!("{}{rest}", self.up);
        let published = self.client.publish(topic, QoS::AtLeastOnce, retain, payload.into());
        published.await.unwrap();
    }

    /// Publishes below `up/`.
    pub async fn says(&self, rest: &str, payload: impl Into<Bytes>) {
        self.publish(rest, payload, false).await;
    }

    /// How many messages it has got: where [`Puppet::hears`] may begin.
    pub fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// What it has got from this number on.
    pub fn since(&self, from: usize) -> Vec<Message> {
        self.heard.lock().unwrap().iter().skip(from).cloned().collect()
    }

    /// The first message from this number on that fits, and the number behind it; `None` when it
    /// takes too long.
    pub async fn next(
        &self,
        from: usize,
        wanted: impl Fn(&Message) -> bool,
        limit: Duration,
    ) -> Option<(usize, Message)> {
        let mut grown = self.grown.clone();
        let find = async {
            loop {
                grown.borrow_and_update();
                let found = self.since(from).into_iter().enumerate().find(|(_, m)| wanted(m));
                if let Some((at, message)) = found {
                    return (from + at + 1, message);
                }
                grown.changed().await.expect("the puppet is connected");
            }
        };
        tokio::time::timeout(limit, find).await.ok()
    }

    /// As [`Puppet::next`], but it must come.
    pub async fn hears(
        &self,
        from: usize,
        what: &str,
        wanted: impl Fn(&Message) -> bool,
    ) -> (usize, Message) {
        let heard = self.next(from, wanted, LIMIT).await;
        heard.unwrap_or_else(|| panic!("{what} was not heard, but {:#?}", self.since(from)))
    }
}
