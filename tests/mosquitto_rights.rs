//! Mosquitto with the shipped configuration and exported files: an appliance has its own topics
//! and no others, whatever it tries.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use rumqttc::v5::{
    AsyncClient, Event, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{ConnectReturnCode, LastWill, Packet},
    },
};
use serde_json::Value;
use support::{Mosquitto, cli::Cli};
use tokio::{sync::mpsc, task::JoinHandle};

const LIMIT: Duration = Duration::from_secs(20);

/// A client of one user.
struct Client {
    mqtt: AsyncClient,
    heard: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

/// Where the passwords are known.
struct Place {
    mosquitto: Mosquitto,
    passwords: [String; 3],
    clients: std::cell::Cell<u32>,
}

const USERS: [&str; 3] = ["gw", "kitchen", "attic"];

impl Place {
    /// With two appliances, added as an operator does it.
    fn build() -> Self {
        let cli = Cli::with("[mqtt]\nusername = \"gw\"\npassword = \"gw-s3cret\"\n");
        let add = |id: &str| {
            let (code, text) = cli.run(&["appliance", "add", id, "--format", "json"]);
            assert_eq!(code, 0, "{text}");
            let json: Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
            json["mqttPassword"].as_str().unwrap().to_owned()
        };
        let passwords = ["gw-s3cret".to_owned(), add("kitchen"), add("attic")];
        let (code, text) = cli.run(&["broker", "export", "--mosquitto", "."]);
        assert_eq!(code, 0, "{text}");
        let mosquitto = Mosquitto::start_shipped(cli.dir.path());
        Self { mosquitto, passwords, clients: 0.into() }
    }

    /// A client that has been accepted.
    async fn client(&self, user: usize) -> Client {
        self.client_with(user, None).await.unwrap()
    }

    async fn client_with(
        &self,
        user: usize,
        will: Option<LastWill>,
    ) -> Result<Client, ConnectReturnCode> {
        self.clients.set(self.clients.get() + 1);
        let id = format!("{}-{}", USERS[user], self.clients.get());
        let mut options = MqttOptions::new(id, "127.0.0.1", self.mosquitto.port);
        options.set_credentials(USERS[user], &self.passwords[user]);
        options.set_outgoing_inflight_upper_limit(50);
        if let Some(will) = will {
            options.set_last_will(will);
        }
        let (mqtt, mut events) = AsyncClient::new(options, 50);
        let refused = loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => break None,
                Ok(_) => {}
                Err(rumqttc::v5::ConnectionError::ConnectionRefused(code)) => break Some(code),
                Err(error) => panic!("{error}"),
            }
        };
        if let Some(code) = refused {
            return Err(code);
        }
        let (tell, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            // What ends the connection is to be seen by the test, not repaired.
            while let Ok(event) = events.poll().await {
                let text = match event {
                    Event::Incoming(Packet::Publish(publish)) => {
                        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
                        format!("{} {payload}", String::from_utf8_lossy(&publish.topic))
                    }
                    Event::Incoming(Packet::SubAck(_)) => "subscribed".to_owned(),
                    Event::Incoming(Packet::PubAck(_)) => continue,
                    _ => continue,
                };
                let _ = tell.send(text);
            }
        });
        Ok(Client { mqtt, heard, task })
    }
}

impl Client {
    /// Asks for this; whether it is granted is seen by what comes.
    async fn subscribe(&mut self, filter: &str) {
        self.mqtt.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        // Retained messages may come first.
        let mut before = Vec::new();
        loop {
            match self.next().await {
                heard if heard == "subscribed" => break,
                heard => before.push(heard),
            }
        }
        assert_eq!(before, Vec::<String>::new(), "{filter}");
    }

    async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        self.mqtt.publish(topic, QoS::AtLeastOnce, retain, payload.to_owned()).await.unwrap();
    }

    async fn next(&mut self) -> String {
        let heard = tokio::time::timeout(LIMIT, self.heard.recv()).await.expect("in time");
        heard.expect("the connection lives")
    }
}

const KITCHEN: usize = 1;
const ATTIC: usize = 2;

#[tokio::test]
async fn nobody_reads_anothers_topics() {
    let place = Place::build();
    let (gateway, mut attic) = (place.client(0).await, place.client(ATTIC).await);
    let mut kitchen = place.client(KITCHEN).await;
    kitchen.subscribe("cic/v1/kitchen/down/#").await;
    let filters = [
        "#",
        "cic/#",
        "+/+/+/+/#",
        "cic/v1/kitchen/#",
        "cic/v1/kitchen/down/#",
        "cic/v1/kitchen/down/session",
        "cic/v1/+/down/#",
        "cic/v1/+/up/#",
        "cic/v1/attic/up/#",
        "cic/v1/gateway/#",
        "$share/thieves/cic/v1/kitchen/down/#",
    ];
    for filter in filters {
        attic.subscribe(filter).await;
    }
    attic.subscribe("cic/v1/attic/down/#").await;
    kitchen.publish("cic/v1/kitchen/up/text", "private", false).await;
    for what in ["session", "directive", "audio/1"] {
        gateway.publish(&format!("cic/v1/kitchen/down/{what}"), "private", what == "session").await;
    }
    gateway.publish("cic/v1/gateway/cic-gateway/status", "online", true).await;
    for what in ["session", "directive", "audio/1"] {
        assert_eq!(kitchen.next().await, format!("cic/v1/kitchen/down/{what} private"));
    }
    gateway.publish("cic/v1/attic/down/end", "", false).await;
    // Once for each filter that it matches, or once in all.
    assert_eq!(attic.next().await, "cic/v1/attic/down/end ");
    let mut rest = Vec::new();
    while let Ok(heard) = attic.heard.try_recv() {
        rest.push(heard);
    }
    assert!(rest.iter().all(|heard| heard == "cic/v1/attic/down/end "), "{rest:?}");
    // Nor what is retained, with a new connection.
    let mut late = place.client(ATTIC).await;
    for filter in filters {
        late.subscribe(filter).await;
    }
    late.subscribe("cic/v1/attic/down/#").await;
    gateway.publish("cic/v1/attic/down/end", "again", false).await;
    assert_eq!(late.next().await, "cic/v1/attic/down/end again");
}

#[tokio::test]
async fn nobody_writes_anothers_topics() {
    let place = Place::build();
    let (mut gateway, attic) = (place.client(0).await, place.client(ATTIC).await);
    gateway.subscribe("cic/v1/+/up/#").await;
    gateway.subscribe("cic/v1/gateway/#").await;
    gateway.publish("cic/v1/kitchen/down/session", "true", true).await;
    let mut kitchen = place.client(KITCHEN).await;
    for topic in [
        "cic/v1/kitchen/up/text",
        "cic/v1/kitchen/up/status",
        "cic/v1/kitchen/down/session",
        "cic/v1/kitchen/down/alert",
        "cic/v1/attic/down/session",
        "cic/v1/gateway/cic-gateway/status",
        "cic/v1/gateway/cic-gateway/heartbeat",
        "cic/v1/nobody/up/text",
        "cic/v1//up/text",
        "cic/v1/kitchen/../kitchen/up/text",
        "other",
    ] {
        attic.publish(topic, "forged", true).await;
        attic.publish(topic, "", true).await;
    }
    attic.publish("cic/v1/attic/up/text", "own", false).await;
    assert_eq!(gateway.next().await, "cic/v1/attic/up/text own", "the first that arrives");
    // What the gateway has retained is as it was.
    kitchen.mqtt.subscribe("cic/v1/kitchen/down/#", QoS::AtLeastOnce).await.unwrap();
    let heard = [kitchen.next().await, kitchen.next().await];
    assert!(heard.contains(&"cic/v1/kitchen/down/session true".to_owned()), "{heard:?}");
    gateway.publish("cic/v1/kitchen/down/end", "", false).await;
    assert_eq!(kitchen.next().await, "cic/v1/kitchen/down/end ");
}

#[tokio::test]
async fn nobody_leaves_a_will_to_another() {
    let place = Place::build();
    let mut gateway = place.client(0).await;
    gateway.subscribe("cic/v1/+/up/#").await;
    let will = |topic: &str| {
        let (retain, properties) = (true, None);
        Some(LastWill::new(topic, "offline", QoS::AtLeastOnce, retain, properties))
    };
    // Refused at once, or never carried out.
    if let Ok(client) = place.client_with(ATTIC, will("cic/v1/kitchen/up/status")).await {
        client.task.abort();
        let _ = client.task.await;
    }
    let client = place.client_with(ATTIC, will("cic/v1/attic/up/status")).await.unwrap();
    client.task.abort();
    let _ = client.task.await;
    assert_eq!(gateway.next().await, "cic/v1/attic/up/status offline");
}
