//! The gateway and its embedded broker over TLS, with the kinds of certificate that hubs have.
#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use cic_gateway::{app::Gateway, config};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

const LIMIT: Duration = Duration::from_secs(30);

fn params(is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["hub.local".to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// A gateway with this certificate file connects to its own broker.
async fn connects_to_itself(cert: String, key: &KeyPair) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("cert.pem"), cert).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let text = format!(
        "[broker]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\n\
         cert_file = {:?}\nkey_file = {:?}\n[store]\nurl = \"sqlite://{}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n",
        path("broker"),
        path("cert.pem"),
        path("key.pem"),
        path("store.db"),
    );
    let config = config::read(Some(("test", &text)), []).unwrap();
    let gateway = Gateway::start(&config).await.unwrap();
    let mut connected = gateway.connected();
    let up = connected.wait_for(|connected| *connected);
    tokio::time::timeout(LIMIT, up).await.expect("in time").unwrap();
    gateway.stop().await;
}

#[actix_web::test]
async fn a_hub_with_a_certificate_of_its_own_making_connects_to_itself() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for is_ca in [false, true] {
        let key = KeyPair::generate().unwrap();
        let cert = params(is_ca).self_signed(&key).unwrap();
        connects_to_itself(cert.pem(), &key).await;
    }
}

#[actix_web::test]
async fn a_hub_with_a_chain_of_certificates_connects_to_itself() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (key, ca_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let ca = params(true).self_signed(&ca_key).unwrap();
    let cert = params(false).signed_by(&key, &Issuer::new(params(true), ca_key)).unwrap();
    connects_to_itself(cert.pem() + &ca.pem(), &key).await;
}
