//! The broker connection over TLS with a client certificate, to a real Mosquitto.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use cic_gateway::{
    app, config,
    mqtt::link::{Link, Taken},
    store::password,
    telemetry::metrics::Metrics,
};
use support::{Mosquitto, logs::Logs, pki::Authority};
use tokio::task::LocalSet;

const LIMIT: Duration = Duration::from_secs(30);

/// Mosquitto that wants certificates of this authority.
fn mosquitto(authority: &Authority) -> Mosquitto {
    let dir = tempfile::tempdir().unwrap();
    let hash = password::hash(&"secret".into());
    std::fs::write(dir.path().join("passwd"), format!("gw:{hash}\n")).unwrap();
    std::fs::write(dir.path().join("acl"), "user gw\ntopic readwrite #\n").unwrap();
    let (cert, key) = authority.issue("localhost");
    let more = format!(
        "cafile {}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true",
        authority.ca_file()
    );
    Mosquitto::start_with(dir.path(), &more)
}

fn link(port: u16, ca_file: &str, (cert, key): &(String, String)) -> Link {
    let text = format!(
        "[mqtt]\nurl = \"mqtts://localhost:{port}\"\nusername = \"gw\"\npassword = \"secret\"\n\
         ca_file = {ca_file:?}\nclient_cert_file = {cert:?}\nclient_key_file = {key:?}\n"
    );
    let config = config::read(Some(("test", &text)), []).unwrap();
    let settings = app::external_broker(&config).unwrap();
    Link::start(settings, Box::new(|_| Taken::Yes), Metrics::new()).0
}

#[tokio::test]
async fn a_broker_that_wants_a_client_certificate_gets_the_configured_one() {
    LocalSet::new()
        .run_until(async {
            let dir = tempfile::tempdir().unwrap();
            let authority = Authority::new(dir.path(), "ours");
            let broker = mosquitto(&authority);
            let link = link(broker.port, &authority.ca_file(), &authority.issue("gateway"));
            let mut connected = link.connected();
            let up = connected.wait_for(|connected| *connected);
            tokio::time::timeout(LIMIT, up).await.expect("in time").unwrap();
            link.stop(LIMIT).await;
        })
        .await;
}

#[tokio::test]
async fn the_log_says_which_file_is_wrong() {
    LocalSet::new()
        .run_until(async {
            let logs = Logs::collect();
            let dir = tempfile::tempdir().unwrap();
            let ours = Authority::new(dir.path(), "ours");
            let other = Authority::new(dir.path(), "other");
            let broker = mosquitto(&ours);
            let rows = [
                (other.ca_file(), ours.issue("gateway"), "mqtt.ca_file"),
                (ours.ca_file(), other.issue("stranger"), "mqtt.client_cert_file"),
            ];
            for (ca, identity, key) in rows {
                let link = link(broker.port, &ca, &identity);
                let said = async {
                    while logs.with(key).is_empty() {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(LIMIT, said).await.expect("in time");
                assert!(!*link.connected().borrow());
                link.stop(Duration::ZERO).await;
            }
        })
        .await;
}
