//! Certificates for the servers that are simulated or measured on this machine.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio_rustls::TlsAcceptor;

/// Names under which this machine is reached.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "simulated-cic"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("no certificate could be made: {0}")]
pub struct CertificateError(String);

impl CertificateError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A server certificate, its key, and the trust anchor that vouches for it.
pub(crate) struct Identity {
    ca_pem: String,
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Identity {
    /// A fresh one for this machine.
    pub(crate) fn new() -> Result<Self, CertificateError> {
        let failed = CertificateError::new;
        let mut ca = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "cic-gateway simulated CIC");
        let ca_key = rcgen::KeyPair::generate().map_err(failed)?;
        let ca_pem = ca.self_signed(&ca_key).map_err(failed)?.pem();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let names = NAMES.map(str::to_owned).to_vec();
        let server = rcgen::CertificateParams::new(names).map_err(failed)?;
        let certificate = server.signed_by(&key, &issuer).map_err(failed)?;
        Ok(Self { ca_pem, certificate, key })
    }

    /// The trust anchor.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Certificate and private key, as other servers want them in one file.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.certificate.pem(), self.key.serialize_pem())
    }

    /// Accepts TLS with one ALPN protocol.
    pub(crate) fn acceptor(&self, alpn: &str) -> Result<TlsAcceptor, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let chain: Vec<CertificateDer<'static>> = vec![self.certificate.der().clone()];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(CertificateError::new)?;
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
