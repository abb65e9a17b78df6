//! Whether CIC can be reached, for `check`: everything up to the first request.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls;

/// Connects to `cic.base_uri` and agrees on HTTP/2, and leaves again; says what was reached.
/// Without `tls` (HTTP/2 with prior knowledge) it only connects.
///
/// # Errors
/// What has to be mended, with the configuration's keys.
pub async fn probe(
    base_uri: &http::Uri,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
) -> Result<String, String> {
    let host = base_uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = base_uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    match tokio::time::timeout(patience, dial(host, port, tls)).await {
        Ok(result) => result,
        Err(_) => Err(format!("{host}:{port} does not answer within {patience:?}: cic.base_uri")),
    }
}

async fn dial(host: &str, port: u16, tls: Option<Arc<ClientConfig>>) -> Result<String, String> {
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|error| format!("{host}:{port}: {error}: cic.base_uri"))?;
    let Some(config) = tls else {
        return Ok(format!("{host}:{port} accepts connections, without TLS"));
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| format!("{host}: {error}: cic.base_uri"))?;
    let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(|error| {
        match tls::reason(&error) {
            Some(reason) => tls::explain(reason, host, "cic"),
            None => format!("TLS with {host}:{port} failed: {error}: cic.base_uri"),
        }
    })?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok(format!("{host}:{port} speaks HTTP/2 over TLS")),
        _ => Err(format!("{host}:{port} does not speak HTTP/2: cic.base_uri")),
    }
}
