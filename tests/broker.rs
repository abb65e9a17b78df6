//! The embedded broker: who may log in, what they may do, what survives a restart, and that both
//! versions of MQTT are served on one port.
#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use cic_gateway::mqtt::broker::{Broker, BrokerSettings, GatewayLogin, Users};
use rumqttc::{v5, v5::mqttbytes::QoS as QoS5};

const LIMIT: Duration = Duration::from_secs(20);

struct Fixed;

#[async_trait]
impl Users for Fixed {
    async fn verify(&self, user: &str, password: &[u8]) -> bool {
        ["a", "b", "gw"].contains(&user) && password == format!("{user}-password").as_bytes()
    }
}

async fn start(dir: &Path) -> Broker {
    let settings = BrokerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: dir.to_owned(),
        tls: None,
        topic_root: "cic/v1".into(),
    };
    let gateway = GatewayLogin { user: "gw".into(), client_id: "the-gateway".into() };
    Broker::start(settings, Arc::new(Fixed), gateway).await.unwrap()
}

/// What a client received, as topics and payloads.
type Received = tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>;

/// An MQTT 5 client that has connected, or why it was refused.
async fn client5(
    port: u16,
    user: &str,
    password: &str,
) -> Result<(v5::AsyncClient, Received), String> {
    client5_as(port, user, password, &format!("c5-{user}")).await
}

async fn client5_as(
    port: u16,
    user: &str,
    password: &str,
    client_id: &str,
) -> Result<(v5::AsyncClient, Received), String> {
    let mut options = v5::MqttOptions::new(client_id, "127.0.0.1", port);
    options.set_credentials(user, password).set_clean_start(false);
    options.set_session_expiry_interval(Some(3600)).set_outgoing_inflight_upper_limit(10);
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    let (tell, received) = tokio::sync::mpsc::unbounded_channel();
    loop {
        match events.poll().await {
            Ok(v5::Event::Incoming(v5::mqttbytes::v5::Packet::ConnAck(_))) => break,
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            if let v5::Event::Incoming(v5::mqttbytes::v5::Packet::Publish(publish)) = event {
                let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                let _ = tell.send((topic, publish.payload.to_vec()));
            }
        }
    });
    Ok((client, received))
}

/// An MQTT 3.1.1 client, subscribed.
async fn client3(port: u16, user: &str, filter: &str) -> (rumqttc::AsyncClient, Received) {
    let mut options = rumqttc::MqttOptions::new(format!("c3-{user}"), "127.0.0.1", port);
    options.set_credentials(user, format!("{user}-password"));
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client.subscribe(filter, rumqttc::QoS::AtLeastOnce).await.unwrap();
    let (tell, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            if let rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) = event {
                let _ = tell.send((publish.topic, publish.payload.to_vec()));
            }
        }
    });
    (client, received)
}

async fn next(received: &mut Received) -> (String, Vec<u8>) {
    tokio::time::timeout(LIMIT, received.recv()).await.expect("it came in time").unwrap()
}

#[tokio::test]
async fn only_users_with_their_password_are_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path()).await;
    let port = broker.local_addr().port();
    assert!(client5(port, "a", "a-password").await.is_ok());
    assert!(client5(port, "a", "b-password").await.is_err());
    assert!(client5(port, "nobody", "nobody-password").await.is_err());
    broker.stop().await;
}

#[tokio::test]
async fn nobody_takes_the_gateways_session_over() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path()).await;
    let port = broker.local_addr().port();
    let (gateway, mut heard) = client5_as(port, "gw", "gw-password", "the-gateway").await.unwrap();
    gateway.subscribe("cic/v1/+/up/#", QoS5::AtLeastOnce).await.unwrap();
    let refused = client5_as(port, "a", "a-password", "the-gateway").await.err().unwrap();
    assert!(refused.contains("ClientIdentifierNotValid"), "{refused}");
    let mut options = rumqttc::MqttOptions::new("the-gateway", "127.0.0.1", port);
    options.set_credentials("a", "a-password");
    let (_client, mut events) = rumqttc::AsyncClient::new(options, 10);
    assert!(events.poll().await.is_err(), "an older version is no way round it");
    let (a, _) = client5(port, "a", "a-password").await.unwrap();
    a.publish("cic/v1/a/up/text", QoS5::AtLeastOnce, false, "hi").await.unwrap();
    assert_eq!(next(&mut heard).await.1, b"hi", "the gateway's session stands");
    broker.stop().await;
    // Nor does it belong to anybody else after a restart.
    let broker = start(dir.path()).await;
    let port = broker.local_addr().port();
    assert!(client5_as(port, "gw", "gw-password", "the-gateway").await.is_ok());
    broker.stop().await;
}

#[tokio::test]
async fn an_appliance_reaches_nothing_of_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path()).await;
    let port = broker.local_addr().port();
    let (gateway, mut heard) = client5(port, "gw", "gw-password").await.unwrap();
    gateway.subscribe("cic/v1/+/up/#", QoS5::AtLeastOnce).await.unwrap();
    let (a, mut spied) = client5(port, "a", "a-password").await.unwrap();
    a.subscribe("cic/v1/b/down/#", QoS5::AtLeastOnce).await.unwrap();
    a.subscribe("#", QoS5::AtLeastOnce).await.unwrap();
    a.subscribe("cic/v1/a/down/#", QoS5::AtLeastOnce).await.unwrap();
    a.publish("cic/v1/b/up/text", QoS5::AtLeastOnce, false, "forged").await.unwrap();
    a.publish("cic/v1/a/up/text", QoS5::AtLeastOnce, false, "own").await.unwrap();
    assert_eq!(next(&mut heard).await, ("cic/v1/a/up/text".into(), b"own".to_vec()));
    gateway.publish("cic/v1/b/down/text", QoS5::AtLeastOnce, false, "private").await.unwrap();
    gateway.publish("cic/v1/a/down/text", QoS5::AtLeastOnce, false, "for a").await.unwrap();
    assert_eq!(next(&mut spied).await, ("cic/v1/a/down/text".into(), b"for a".to_vec()));
    broker.stop().await;
}

#[tokio::test]
async fn both_versions_talk_to_each_other_on_one_port() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path()).await;
    let port = broker.local_addr().port();
    let (gateway, mut heard) = client5(port, "gw", "gw-password").await.unwrap();
    gateway.subscribe("cic/v1/+/up/#", QoS5::AtLeastOnce).await.unwrap();
    let (old, mut told) = client3(port, "a", "cic/v1/a/down/#").await;
    old.publish("cic/v1/a/up/text", rumqttc::QoS::AtLeastOnce, false, "hi").await.unwrap();
    assert_eq!(next(&mut heard).await.1, b"hi");
    let properties = v5::mqttbytes::v5::PublishProperties {
        user_properties: vec![("traceparent".into(), "x".into())],
        ..Default::default()
    };
    let topic = "cic/v1/a/down/text";
    gateway
        .publish_with_properties(topic, QoS5::AtLeastOnce, false, "yo", properties)
        .await
        .unwrap();
    assert_eq!(next(&mut told).await.1, b"yo");
    broker.stop().await;
}

#[tokio::test]
async fn retained_messages_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path()).await;
    let (a, _) = client5(broker.local_addr().port(), "a", "a-password").await.unwrap();
    let (gateway, mut heard) =
        client5(broker.local_addr().port(), "gw", "gw-password").await.unwrap();
    gateway.subscribe("cic/v1/+/up/#", QoS5::AtLeastOnce).await.unwrap();
    a.publish("cic/v1/a/up/status", QoS5::AtLeastOnce, true, "online").await.unwrap();
    assert_eq!(next(&mut heard).await.1, b"online");
    broker.stop().await;
    let broker = start(dir.path()).await;
    let (gateway, mut heard) =
        client5(broker.local_addr().port(), "gw", "gw-password").await.unwrap();
    gateway.subscribe("cic/v1/a/up/status", QoS5::AtLeastOnce).await.unwrap();
    assert_eq!(next(&mut heard).await, ("cic/v1/a/up/status".into(), b"online".to_vec()));
    broker.stop().await;
}
