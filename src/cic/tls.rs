//! One shared TLS client configuration a process: a configuration each would cost 12 KiB an
//! appliance.

use std::sync::Arc;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub String);

/// Client configuration with the public trust anchors, an extra one (PEM) if given, and these
/// ALPN protocols.
///
/// # Errors
/// When the PEM holds no usable certificate.
pub fn client_config(
    _extra_ca_pem: Option<&[u8]>,
    _alpn: &[&str],
) -> Result<Arc<rustls::ClientConfig>, TlsError> {
    unimplemented!()
}
