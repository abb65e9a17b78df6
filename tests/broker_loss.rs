//! What a restart of the broker does to the whole gateway.
#![allow(clippy::unwrap_used)]

mod support;

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
use support::house::Home;

const LIMIT: Duration = Duration::from_secs(30);

/// What the broker keeps of a topic, as somebody hears who comes only now.
struct Onlooker {
    port: u16,
    password: Secret,
}

impl Onlooker {
    async fn retained(&self, topic: &str) -> Publish {
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

    async fn session(&self) -> Value {
        let kept = self.retained("cic/v1/speaker/down/session").await;
        serde_json::from_slice::<Value>(&kept.payload).unwrap()["state"].take()
    }
}

#[actix_web::test]
async fn a_broker_that_has_forgotten_everything_is_told_again_and_dialogues_go_on() {
    let mut home = Home::build().await;
    let onlooker = Onlooker { port: home.mosquitto.port, password: home.password.clone() };
    home.is_answered("what time is it").await;
    for _ in 0..2 {
        home.mosquitto.kill();
        home.until_connected(false).await;
        home.mosquitto.restart();
        home.until_connected(true).await;
        assert_eq!(onlooker.session().await, "connected");
        home.is_answered("what time is it").await;
    }
    let metrics = home.gateway.metrics().render();
    assert!(metrics.contains("\ncic_gateway_mqtt_connected 1\n"), "{metrics}");
    home.gateway.stop().await;
    assert_eq!(onlooker.session().await, "stopped");
}
