//! The gateway's broker connection against a real Mosquitto that is killed, frozen or unkind.
#![allow(clippy::unwrap_used)]

mod support;

use std::{cell::RefCell, rc::Rc, time::Duration};

use cic_gateway::{
    mqtt::{
        Publication, Qos,
        link::{Heard, Link, LinkSettings, Publisher, Taken},
    },
    store::password,
    telemetry::metrics::Metrics,
};
use rumqttc::v5::{
    AsyncClient, Event, MqttOptions,
    mqttbytes::QoS,
    mqttbytes::v5::{Packet, SubscribeReasonCode},
};
use support::{Mosquitto, logs::Logs, scripted::Peer};
use tokio::{net::TcpListener, sync::watch, task::LocalSet};

const LIMIT: Duration = Duration::from_secs(30);

fn mosquitto(acl: &str) -> Mosquitto {
    mosquitto_with(acl, "")
}

fn mosquitto_with(acl: &str, more: &str) -> Mosquitto {
    let dir = tempfile::tempdir().unwrap();
    let hash = password::hash(&"secret".into());
    std::fs::write(dir.path().join("passwd"), format!("gw:{hash}\nother:{hash}\n")).unwrap();
    std::fs::write(dir.path().join("acl"), self::acl(acl)).unwrap();
    Mosquitto::start_with(dir.path(), more)
}

/// The access file, with the gateway's rights in it.
fn acl(rights: &str) -> String {
    format!("user gw\n{rights}\nuser other\ntopic readwrite #\n")
}

struct Bench {
    link: Link,
    publisher: Publisher,
    metrics: Metrics,
    taken: Rc<RefCell<Vec<String>>>,
    offered: watch::Receiver<usize>,
}

impl Bench {
    /// A link whose owner takes a message only at the `patience`th offer.
    fn start(port: u16, patience: usize) -> Self {
        let (metrics, taken) = (Metrics::new(), Rc::new(RefCell::new(Vec::new())));
        let (log, (offers, offered)) = (taken.clone(), watch::channel(0));
        let handler = Box::new(move |heard: Heard| {
            let Heard::Message(inbound) = heard else { return Taken::Yes };
            offers.send_modify(|offers| *offers += 1);
            if *offers.borrow() < patience {
                return Taken::Later(inbound);
            }
            log.borrow_mut().push(String::from_utf8_lossy(&inbound.payload).into_owned());
            Taken::Yes
        });
        let settings = LinkSettings {
            host: "127.0.0.1".into(),
            port,
            tls: None,
            client_id: "gw".into(),
            username: "gw".into(),
            password: "secret".into(),
            topic_root: "cic/v1".into(),
            filters: vec!["cic/v1/+/up/#".into()],
        };
        let (link, publisher) = Link::start(settings, handler, metrics.clone());
        Self { link, publisher, metrics, taken, offered }
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.link.connected()
    }

    async fn until(&self, connected: bool) {
        let mut watch = self.connected();
        let changed = watch.wait_for(|now| *now == connected);
        tokio::time::timeout(LIMIT, changed).await.expect("in time").unwrap();
    }

    async fn until_taken(&self, count: usize) {
        let enough = async {
            while self.taken.borrow().len() < count {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, enough).await.expect("in time");
    }
}

fn numbered(number: usize) -> Publication {
    Publication {
        topic: format!("cic/v1/a/down/{number:03}"),
        payload: number.to_string().into(),
        qos: Qos::AtLeastOnce,
        retain: true,
    }
}

fn large() -> Publication {
    Publication { payload: vec![b'x'; 5000].into(), ..numbered(1) }
}

/// An appliance's client.
struct Other {
    client: AsyncClient,
    received: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Other {
    async fn connect(port: u16, filter: &str) -> Self {
        let mut options = MqttOptions::new("other", "127.0.0.1", port);
        options.set_credentials("other", "secret").set_outgoing_inflight_upper_limit(100);
        let (client, mut events) = AsyncClient::new(options, 1000);
        let (tell, received) = tokio::sync::mpsc::unbounded_channel();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let mut ready = Some(ready);
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::SubAck(_)) => drop(ready.take().map(|r| r.send(()))),
                    Event::Incoming(Packet::Publish(publish)) => {
                        let _ = tell.send(String::from_utf8_lossy(&publish.payload).into_owned());
                    }
                    _ => {}
                }
            }
        });
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        is_ready.await.unwrap();
        Self { client, received }
    }

    async fn next(&mut self) -> String {
        tokio::time::timeout(LIMIT, self.received.recv()).await.expect("in time").unwrap()
    }
}

#[tokio::test]
async fn what_a_killed_broker_had_not_acknowledged_is_published_again_and_nothing_is_lost() {
    LocalSet::new()
        .run_until(async {
            let mut broker = mosquitto("topic readwrite #");
            let bench = Bench::start(broker.port, 1);
            bench.until(true).await;
            broker.freeze();
            // More than the broker's window (20) and rumqttc's own queue hold together.
            for number in 0..300 {
                bench.publisher.publish(numbered(number)).unwrap();
            }
            // The frozen broker is given what its window allows before it dies.
            tokio::task::yield_now().await;
            broker.restart();
            bench.until(true).await;
            let mut other = Other::connect(broker.port, "cic/v1/a/down/+").await;
            let mut missing: Vec<String> =
                (0..300).map(|number: usize| number.to_string()).collect();
            while !missing.is_empty() {
                let arrived = other.next().await;
                missing.retain(|number| *number != arrived);
            }
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn what_is_published_again_keeps_its_order() {
    LocalSet::new()
        .run_until(async {
            let broker = mosquitto("topic readwrite #");
            let bench = Bench::start(broker.port, 1);
            bench.until(true).await;
            let mut other = Other::connect(broker.port, "cic/v1/a/down/+").await;
            let publish = |from: usize, to: usize| {
                for number in from..to {
                    let once = Publication { retain: false, ..numbered(number) };
                    bench.publisher.publish(once).unwrap();
                }
            };
            publish(0, 150);
            broker.freeze();
            publish(150, 300);
            broker.thaw();
            let mut arrived = Vec::new();
            while arrived.last().is_none_or(|last: &usize| *last != 299) {
                let number = other.next().await.parse().unwrap();
                if !arrived.contains(&number) {
                    arrived.push(number);
                }
            }
            assert!(arrived.is_sorted(), "{arrived:?}");
            assert_eq!(arrived.len(), 300);
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn a_broker_that_lets_the_gateway_hear_nothing_does_not_count_as_connected_until_mended() {
    LocalSet::new()
        .run_until(async {
            let logs = Logs::collect();
            // Mosquitto grants the subscription and then forwards nothing.
            let broker = mosquitto("topic write #");
            let bench = Bench::start(broker.port, 1);
            // The link has subscribed once its status is there.
            let mut other = Other::connect(broker.port, "cic/v1/gateway/gw/status").await;
            while other.next().await != "online" {}
            assert!(!*bench.connected().borrow());
            assert!(!bench.metrics.render().contains("\ncic_gateway_mqtt_connected 1\n"));
            // It gives up this connection: its last will is there.
            while other.next().await != "offline" {}
            let said = logs.with("ERROR").pop().unwrap();
            for part in ["user=\"gw\"", "read and write cic/v1/gateway/gw/#", "does not forward"] {
                assert!(said.contains(part), "{part}: {said}");
            }
            broker.change_rights(&acl("topic readwrite #"));
            bench.until(true).await;
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn a_refused_subscription_is_tried_again_until_it_is_granted_and_said_once() {
    LocalSet::new()
        .run_until(async {
            let logs = Logs::collect();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bench = Bench::start(listener.local_addr().unwrap().port(), 1);
            for _ in 0..3 {
                let mut peer = Peer::accept(&listener).await;
                peer.answer_subscription(SubscribeReasonCode::NotAuthorized).await;
                while peer.read().await.is_some() {}
            }
            assert!(!*bench.connected().borrow());
            let mut peer = Peer::accept(&listener).await;
            peer.bring_up().await;
            bench.until(true).await;
            let said = logs.with("ERROR");
            assert_eq!(said.len(), 1, "{said:?}");
            for part in ["cic/v1/+/up/#", "NotAuthorized", "user=\"gw\"", "read cic/v1/+/up/#"] {
                assert!(said[0].contains(part), "{part}: {said:?}");
            }
            bench.link.stop(Duration::ZERO).await;
        })
        .await;
}

#[tokio::test]
async fn a_subscription_that_is_never_answered_is_tried_again() {
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bench = Bench::start(listener.local_addr().unwrap().port(), 1);
            let mut peer = Peer::accept(&listener).await;
            // All but the subscription is answered, so it is no silence that ends this.
            while let Some(packet) = peer.read().await {
                peer.acknowledge(&packet).await;
            }
            let mut peer = Peer::accept(&listener).await;
            peer.bring_up().await;
            bench.until(true).await;
            bench.link.stop(Duration::ZERO).await;
        })
        .await;
}

#[tokio::test]
async fn a_connection_that_goes_on_is_no_news() {
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bench = Bench::start(listener.local_addr().unwrap().port(), 0);
            let mut peer = Peer::accept(&listener).await;
            peer.bring_up().await;
            bench.until(true).await;
            let mut connected = bench.connected();
            connected.mark_unchanged();
            // The next heartbeat comes back, too, and what follows it has been handed on.
            loop {
                let packet = peer.read().await.expect("it sends another heartbeat");
                peer.acknowledge(&packet).await;
                if let Packet::Publish(publish) = &packet
                    && publish.topic.ends_with(b"/heartbeat")
                {
                    peer.write(packet).await;
                    break;
                }
            }
            peer.publish("cic/v1/a/up/text", 1, "x".into()).await;
            bench.until_taken(1).await;
            assert!(!connected.has_changed().unwrap(), "each of them would bother the whole fleet");
            bench.link.stop(Duration::ZERO).await;
        })
        .await;
}

#[tokio::test]
async fn what_nobody_can_take_is_offered_again_in_order_and_not_acknowledged_before() {
    LocalSet::new()
        .run_until(async {
            let broker = mosquitto("topic readwrite #");
            let bench = Bench::start(broker.port, 5);
            bench.until(true).await;
            let other = Other::connect(broker.port, "nothing").await;
            for number in 0..20 {
                let topic = "cic/v1/a/up/text";
                let payload = number.to_string();
                other.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
            }
            bench.until_taken(20).await;
            let taken: Vec<usize> =
                bench.taken.borrow().iter().map(|number| number.parse().unwrap()).collect();
            assert_eq!(taken, (0..20).collect::<Vec<_>>());
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn what_can_never_be_published_is_dropped_and_counted_and_holds_nothing_up() {
    LocalSet::new()
        .run_until(async {
            let broker = mosquitto("topic readwrite #");
            let bench = Bench::start(broker.port, 1);
            bench.until(true).await;
            let mut other = Other::connect(broker.port, "cic/v1/a/down/+").await;
            for id in ["a+b", "#", "", "a\0", "\u{ffff}", &"x".repeat(70_000)] {
                let topic =
                    if id.is_empty() { String::new() } else { format!("cic/v1/a/down/{id}") };
                bench.publisher.publish(Publication { topic, ..numbered(1) }).unwrap();
            }
            bench.publisher.publish(numbered(2)).unwrap();
            assert_eq!(other.next().await, "2");
            let dropped = "cic_gateway_dropped_total{what=\"unpublishable\"} 6\n";
            assert!(bench.metrics.render().contains(dropped), "{}", bench.metrics.render());
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn the_state_of_a_whole_fleet_waits_for_the_broker_and_only_the_newest_is_published() {
    LocalSet::new()
        .run_until(async {
            let mut broker = mosquitto("topic readwrite #");
            broker.kill();
            let bench = Bench::start(broker.port, 1);
            let state = |number: usize, text: &'static str| Publication {
                topic: format!("cic/v1/a{number}/down/session"),
                payload: text.into(),
                ..numbered(0)
            };
            for text in ["unpaired", "connecting", "connected"] {
                for number in 0..12_000 {
                    bench.publisher.publish(state(number, text)).unwrap();
                }
            }
            broker.restart();
            bench.until(true).await;
            // Behind all of them, because it is handed in last.
            bench.publisher.publish(state(12_000, "last")).unwrap();
            let mut other = Other::connect(broker.port, "cic/v1/a12000/down/session").await;
            assert_eq!(other.next().await, "last");
            let published = "{direction=\"down\",topic=\"session\"} 12001\n";
            assert!(bench.metrics.render().contains(published), "{}", bench.metrics.render());
            let mut other = Other::connect(broker.port, "cic/v1/a11999/down/session").await;
            assert_eq!(other.next().await, "connected");
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn what_is_larger_than_the_broker_takes_is_dropped_and_the_connection_stands() {
    LocalSet::new()
        .run_until(async {
            let broker = mosquitto_with("topic readwrite #", "max_packet_size 2000");
            let bench = Bench::start(broker.port, 1);
            // Also what was handed in before the broker has said what it takes.
            bench.publisher.publish(large()).unwrap();
            bench.until(true).await;
            let mut other = Other::connect(broker.port, "cic/v1/a/down/+").await;
            bench.publisher.publish(large()).unwrap();
            bench.publisher.publish(numbered(2)).unwrap();
            assert_eq!(other.next().await, "2");
            let dropped = "cic_gateway_dropped_total{what=\"too_large_for_broker\"} 2\n";
            assert!(bench.metrics.render().contains(dropped), "{}", bench.metrics.render());
            assert!(*bench.connected().borrow());
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn a_message_that_only_the_broker_before_would_have_taken_is_not_carried_over() {
    LocalSet::new()
        .run_until(async {
            let mut broker = mosquitto("topic readwrite #");
            let bench = Bench::start(broker.port, 1);
            bench.until(true).await;
            broker.freeze();
            for _ in 0..5 {
                bench.publisher.publish(Publication { retain: false, ..large() }).unwrap();
            }
            // They are with the connection now, and never acknowledged.
            tokio::task::yield_now().await;
            broker.configure("max_packet_size 2000");
            broker.restart();
            bench.until(true).await;
            bench.publisher.publish(numbered(2)).unwrap();
            let mut other = Other::connect(broker.port, "cic/v1/a/down/+").await;
            assert_eq!(other.next().await, "2");
            let dropped = "cic_gateway_dropped_total{what=\"too_large_for_broker\"} 5\n";
            assert!(bench.metrics.render().contains(dropped), "{}", bench.metrics.render());
            bench.link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn no_acknowledgement_is_lost_while_the_broker_does_not_read() {
    const MESSAGES: u16 = 20;
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // Offered again and again, so that the link has something to do all the time.
            let bench = Bench::start(listener.local_addr().unwrap().port(), 40);
            let mut peer = Peer::accept(&listener).await;
            peer.bring_up().await;
            bench.until(true).await;
            for pkid in 1..=MESSAGES {
                peer.publish("cic/v1/a/up/text", pkid, pkid.to_string()).await;
            }
            bench.offered.clone().wait_for(|offers| *offers > 0).await.unwrap();
            // More than the sockets' buffers hold, and nobody reads it.
            let publications = 30;
            for number in 0..publications {
                let payload = vec![0; 1_000_000].into();
                bench.publisher.publish(Publication { payload, ..numbered(number) }).unwrap();
            }
            bench.until_taken(usize::from(MESSAGES)).await;
            let (mut acknowledged, mut published) = (Vec::new(), 0);
            while acknowledged.len() < usize::from(MESSAGES) || published < publications {
                let packet = tokio::time::timeout(LIMIT, peer.read()).await.expect("in time");
                let packet = packet.expect("the connection stands");
                match &packet {
                    Packet::PubAck(ack) => acknowledged.push(ack.pkid),
                    Packet::Publish(publish) if publish.retain => {
                        published += usize::from(publish.topic.starts_with(b"cic/v1/a/down/"));
                    }
                    _ => {}
                }
                peer.acknowledge(&packet).await;
            }
            assert_eq!(acknowledged, (1..=MESSAGES).collect::<Vec<_>>());
            bench.link.stop(Duration::ZERO).await;
        })
        .await;
}

#[tokio::test]
async fn a_heartbeat_that_comes_back_is_no_return_of_the_broker() {
    LocalSet::new()
        .run_until(async {
            let broker = mosquitto("topic readwrite #");
            let bench = Bench::start(broker.port, 1);
            bench.until(true).await;
            let mut connected = bench.connected();
            connected.mark_unchanged();
            let other = Other::connect(broker.port, "nothing").await;
            for topic in ["cic/v1/gateway/gw/heartbeat", "cic/v1/a/up/text"] {
                other.client.publish(topic, QoS::AtLeastOnce, false, "1").await.unwrap();
            }
            bench.until_taken(1).await;
            assert!(!connected.has_changed().unwrap(), "every appliance would be told");
            bench.link.stop(LIMIT).await;
        })
        .await;
}
