//! An appliance attacks, with all that its rights at the broker allow.

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
    async fn start(house: &House, shot: fn(u64) -> Shot) -> Self {
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
            while !end.load(Ordering::Relaxed) {
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

async fn attack(shots: u64, shot: fn(u64) -> Shot) {
    let mut house = House::build().await;
    house.mark();
    let attacker = Attacker::start(&house, shot).await;
    attacker.has_sent(shots / 4).await;
    house.victim_is_served().await;
    attacker.has_sent(shots).await;
    house.victim_is_served().await;
    attacker.stop().await;
    house.victim_is_served().await;
    house.memory_is_bounded();
}

#[tokio::test]
async fn a_flood_of_audio() {
    // 256 MB, much of it for utterances that nobody has begun.
    attack(4000, |n| match n % 50 {
        0 => ("recognize".into(), json!({"utterance": format!("u{n}")}).to_string().into(), true),
        _ => (format!("audio/u{}", n - n % 3), vec![1; 64 * 1024], false),
    })
    .await;
}

#[tokio::test]
async fn huge_payloads() {
    attack(400, |n| {
        let large = "x".repeat(1024 * 1024);
        match n % 4 {
            0 => ("state".into(), json!({"A.B": {"x": large}}).to_string().into(), true),
            1 => {
                ("event".into(), json!({"namespace": large, "name": "x"}).to_string().into(), true)
            }
            2 => ("text".into(), ("[".repeat(60_000)).into(), true),
            _ => (format!("audio/{n}"), large.into(), false),
        }
    })
    .await;
}

#[tokio::test]
async fn guessed_topics() {
    attack(30_000, |n| {
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
    attack(10_000, |n| match n % 6 {
        0 => ("text".into(), br#"{"text": "what time is it"}"#.to_vec(), false),
        1 => ("recognize".into(), json!({"utterance": format!("u{n}")}).to_string().into(), false),
        2 => {
            let event =
                json!({"namespace": "N", "name": "X", "payload": {"x": "y".repeat(50_000)}});
            ("event".into(), event.to_string().into(), false)
        }
        3 => ("button".into(), br#"{"button": "play"}"#.to_vec(), false),
        4 => ("playback".into(), br#"{"token": "t", "state": "started"}"#.to_vec(), false),
        _ => (
            "settings".into(),
            json!({"configuration": {n.to_string(): "x"}}).to_string().into(),
            false,
        ),
    })
    .await;
}
