//! What operators see is true within seconds of it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    house::{House, LIMIT, wary},
    support::onlooker::Onlooker,
};

/// Status and text of a page, without any runtime.
fn page(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until a page says that the thread stands still; `false` when it never does.
fn is_said(addr: SocketAddr, path: &str) -> bool {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        let text = page(addr, path);
        if text.starts_with("HTTP/1.1 503") && text.contains("stands still") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// The gateway runs on this thread, which this test blocks.
#[actix_web::test]
async fn a_thread_that_stands_still_is_not_said_to_be_well() {
    let (house, speaker) = House::with_speaker(wary()).await;
    let addr = house.gateway.http_addr();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        assert!(page(addr, "/healthz").starts_with("HTTP/1.1 200"));
        tell.send(["/readyz", "/healthz"].map(|path| is_said(addr, path))).unwrap();
    });
    assert_eq!(told.recv_timeout(3 * LIMIT).unwrap(), [true, true]);
    house.until_ready(true).await;
    let healthy = reqwest::get(format!("http://{addr}/healthz")).await.unwrap().status();
    assert_eq!(healthy, 200);
    // Nobody was taken for stuck: they had no chance to say anything.
    assert_eq!(house.metric("actor_restarts_total"), Some(0.0));
    speaker.recovers().await;
    house.gateway.stop().await;
}

/// The broker accepts, and nothing moves. Also the retained words at the broker become true.
#[actix_web::test]
async fn a_broker_that_stands_still_is_said_to_until_it_moves() {
    let (house, speaker) = House::with_speaker(wary()).await;
    let mosquitto = house.site.mosquitto.as_ref().unwrap();
    mosquitto.freeze();
    let why = house.until_ready(false).await;
    assert!(why.contains("broker"), "{why}");
    assert_eq!(house.metric("mqtt_connected"), Some(0.0));
    mosquitto.thaw();
    house.until_ready(true).await;
    assert_eq!(house.metric("mqtt_connected"), Some(1.0));
    speaker.recovers().await;
    let password = house.site.appliances[0].settings.password.clone();
    let onlooker = Onlooker { port: mosquitto.port, password };
    assert_eq!(onlooker.session().await, "connected");
    house.gateway.stop().await;
    assert_eq!(onlooker.session().await, "stopped");
}
