//! What the broker keeps, as somebody hears who comes only now.

use std::time::Duration;

use cic_gateway::secret::Secret;
use rumqttc::v5::{
    AsyncClient, Event, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{Packet, Publish},
    },
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

/// Looks with the rights of the appliance `speaker`.
pub struct Onlooker {
    pub port: u16,
    pub password: Secret,
}

impl Onlooker {
    pub async fn retained(&self, topic: &str) -> Publish {
        let mut options = MqttOptions::new("onlooker", "127.0.0.1", self.port);
        options.set_credentials("speaker", self.password.expose());
        options.set_outgoing_inflight_upper_limit(10);
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
        let first = async {
            loop {
                if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.unwrap() {
                    return publish;
                }
            }
        };
        tokio::time::timeout(LIMIT, first).await.expect("in time")
    }

    /// What `down/session` says.
    pub async fn session(&self) -> Value {
        let kept = self.retained("cic/v1/speaker/down/session").await;
        serde_json::from_slice::<Value>(&kept.payload).unwrap()["state"].take()
    }
}
