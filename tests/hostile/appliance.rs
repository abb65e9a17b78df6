//! An appliance attacks, with all that its rights at the broker allow.
//!
//! At a hundred times the rate of speech, the other appliance must not notice. Flat out, it fills
//! the broker's one connection to the gateway, which only the broker could prevent: then the
//! gateway must stay within its bounds, and serve again afterwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rumqttc::v5::{AsyncClient, Event, MqttOptions, mqttbytes::QoS, mqttbytes::v5::Packet};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::house::{House, LIMIT};

/// One publication: what follows `up/`, payload, whether it is acknowledged.
type Shot = (String, Vec<u8>, bool);

/// Publishes as fast as the broker takes it.
struct Attacker {
    sent: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    tasks: [JoinHandle<()>; 2],
}

impl Attacker {
    async fn start(house: &House, pace: Option<u32>, shot: fn(u64) -> Shot) -> Self {
        let settings = &house.other().settings;
        let mut options = MqttOptions::new(settings.id.clone(), "127.0.0.1", settings.port);
        options.set_credentials(settings.id.clone(), settings.password.expose());
        options.set_max_packet_size(Some(4 * 1024 * 1024));
        options.set_outgoing_inflight_upper_limit(20);
        let (client, mut events) = AsyncClient::new(options, 10);
        let topic = format!("cic/v1/{}/up/", settings.id);
        client.publish(format!("{topic}status"), QoS::AtLeastOnce, true, "online").await.unwrap();
        client.publish(format!("{topic}state"), QoS::AtLeastOnce, true, "{}").await.unwrap();
        let listening = format!("cic/v1/{}/down/session", settings.id);
        client.subscribe(listening, QoS::AtLeastOnce).await.unwrap();
        let connected = async {
            loop {
                if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.unwrap()
                    && publish.payload.windows(11).any(|text| text == b"\"connected\"")
                {
                    return;
                }
            }
        };
        tokio::time::timeout(LIMIT, connected).await.expect("in time");
        let (sent, ends) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let polls = tokio::spawn(async move { while events.poll().await.is_ok() {} });
        let (count, end) = (sent.clone(), ends.clone());
        let shoots = tokio::spawn(async move {
            let mut clock =
                pace.map(|a_second| tokio::time::interval(Duration::from_secs(1) / a_second));
            while !end.load(Ordering::Relaxed) {
                if let Some(clock) = &mut clock {
                    clock.tick().await;
                }
                let (rest, payload, is_acknowledged) = shot(count.fetch_add(1, Ordering::Relaxed));
                let qos = if is_acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                if client.publish(format!("{topic}{rest}"), qos, false, payload).await.is_err() {
                    return;
                }
            }
        });
        Self { sent, ends, tasks: [polls, shoots] }
    }

    /// Waits until it has fired so often.
    async fn has_sent(&self, count: u64) {
        let enough = async {
            while self.sent.load(Ordering::Relaxed) < count {
                assert!(
                    !self.tasks.iter().any(JoinHandle::is_finished),
                    "the broker has had enough"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(3 * LIMIT, enough).await.expect("in time");
    }

    async fn stop(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.tasks.iter().for_each(JoinHandle::abort);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// So many a second; the victim is served meanwhile.
async fn attack(a_second: u32, shot: fn(u64) -> Shot) {
    let mut house = House::build().await;
    house.mark();
    let attacker = Attacker::start(&house, Some(a_second), shot).await;
    attacker.has_sent(u64::from(a_second) * 2).await;
    house.victim_is_served().await;
    attacker.has_sent(u64::from(a_second) * 8).await;
    house.victim_is_served().await;
    attacker.stop().await;
    house.memory_is_bounded();
}

/// Of 64 KiB a message, most of it for utterances that nobody has begun.
fn audio(n: u64) -> Shot {
    match n % 50 {
        0 => ("recognize".into(), json!({"utterance": format!("u{n}")}).to_string().into(), true),
        _ => (format!("audio/u{}", n - n % 3), vec![1; 64 * 1024], false),
    }
}

fn requests(n: u64) -> Shot {
    let (topic, payload) = match n % 6 {
        0 => ("text", json!({"text": "what time is it"})),
        1 => ("recognize", json!({"utterance": format!("u{n}")})),
        2 => {
            ("event", json!({"namespace": "N", "name": "X", "payload": {"x": "y".repeat(50_000)}}))
        }
        3 => ("button", json!({"button": "play"})),
        4 => ("playback", json!({"token": "t", "state": "started"})),
        _ => ("settings", json!({"configuration": {n.to_string(): "x"}})),
    };
    (topic.into(), payload.to_string().into(), false)
}

#[tokio::test]
async fn a_flood_of_audio() {
    attack(100, audio).await;
}

#[tokio::test]
async fn huge_payloads() {
    attack(10, |n| {
        let large = "x".repeat(1024 * 1024 - 300);
        match n % 4 {
            0 => ("state".into(), json!({"A.B": {"x": large}}).to_string().into(), true),
            1 => {
                ("event".into(), json!({"namespace": large, "name": "x"}).to_string().into(), true)
            }
            2 => ("text".into(), "[".repeat(60_000).into(), true),
            _ => (format!("audio/{n}"), large.into(), false),
        }
    })
    .await;
}

#[tokio::test]
async fn guessed_topics() {
    attack(2000, |n| {
        let rest = match n % 5 {
            0 => format!("state/Guess{n}.Name{n}"),
            1 => format!("audio/{n}"),
            2 => format!("x/{n}"),
            3 => format!("{n}/{n}/{n}"),
            _ => format!("state/{}", "x".repeat(1000)),
        };
        (rest, br#"{"x": "0123456789012345678901234567890123456789"}"#.to_vec(), false)
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_requests() {
    attack(100, requests).await;
}

#[tokio::test]
async fn a_flood_as_fast_as_the_broker_takes_it() {
    let mut house = House::build().await;
    house.mark();
    let attacker =
        Attacker::start(&house, None, |n| if n % 2 == 0 { audio(n) } else { requests(n) }).await;
    attacker.has_sent(4000).await;
    attacker.stop().await;
    house.victim_is_served_again().await;
    house.memory_is_bounded();
}

/// Largest packet that the shipped configuration of Mosquitto takes: it counts neither the length
/// field nor what it adds for a client of MQTT 5. Mosquitto 2.0.11 never forwards again to a client
/// that has been sent some packets which are larger than that client takes.
#[tokio::test]
async fn the_largest_packets_that_the_broker_takes() {
    const LARGEST: usize = 1024 * 1024 - 1;
    let mut house = House::build().await;
    house.mark();
    let settings = &house.other().settings;
    let mut options = rumqttc::MqttOptions::new(settings.id.clone(), "127.0.0.1", settings.port);
    options.set_credentials(settings.id.clone(), settings.password.expose());
    options.set_max_packet_size(4 * 1024 * 1024, 4 * 1024 * 1024);
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    let topic = format!("cic/v1/{}/up/text", settings.id);
    for _ in 0..600 {
        let payload = vec![b'x'; LARGEST - topic.len() - 4];
        let qos = rumqttc::QoS::AtLeastOnce;
        client.publish(&topic, qos, false, payload).await.unwrap();
        loop {
            let event = tokio::time::timeout(LIMIT, events.poll()).await.expect("in time");
            let event = event.expect("the broker takes it");
            if matches!(event, rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_))) {
                break;
            }
        }
    }
    house.victim_is_served().await;
    house.memory_is_bounded();
}
