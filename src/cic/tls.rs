//! One shared TLS client configuration a process: a configuration each would cost 12 KiB an
//! appliance. Called by [`crate::app`], [`super::auth`] and the command line.

use std::{error::Error, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

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
    extra_ca_pem: Option<&[u8]>,
    alpn: &[&str],
) -> Result<Arc<ClientConfig>, TlsError> {
    let config = builder(extra_ca_pem)?.with_no_client_auth();
    Ok(with_alpn(config, alpn))
}

/// As [`client_config`], with a client certificate.
///
/// # Errors
/// When a PEM cannot be used, or certificate and key do not fit.
pub fn client_config_with_identity(
    extra_ca_pem: Option<&[u8]>,
    alpn: &[&str],
    cert_pem: &[u8],
    key_pem: &[u8],
) -> Result<Arc<ClientConfig>, TlsError> {
    let chain = certificates(cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|error| TlsError(format!("no usable private key: {error}")))?;
    let config = builder(extra_ca_pem)?
        .with_client_auth_cert(chain, key)
        .map_err(|error| TlsError(format!("certificate and key do not fit: {error}")))?;
    Ok(with_alpn(config, alpn))
}

fn builder(
    extra_ca_pem: Option<&[u8]>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca_pem.map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(|error| TlsError(format!("no trust anchor: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?;
    Ok(builder.with_root_certificates(roots))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(TlsError("the PEM file holds no certificate".into())),
        Err(error) => Err(TlsError(format!("the PEM file cannot be read: {error}"))),
    }
}

fn with_alpn(mut config: ClientConfig, alpn: &[&str]) -> Arc<ClientConfig> {
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Why TLS failed, if that is what an error of a network library comes from.
pub fn reason<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(reason) = error.downcast_ref() {
            return Some(reason);
        }
        // An I/O error names what its content comes from, not the content itself.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// What has to be mended when TLS with this host failed, in the configuration's `section`.
pub fn explain(error: &rustls::Error, host: &str, section: &str) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};
    match error {
        Tls::InvalidCertificate(Certificate::UnknownIssuer) => format!(
            "the certificate of {host} is signed by nobody whom we trust: {section}.ca_file must \
             hold the certificate of the authority that signed it"
        ),
        Tls::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => format!("the certificate of {host} is for another name ({error})"),
        Tls::InvalidCertificate(why) => {
            format!("the certificate of {host} cannot be accepted ({why})")
        }
        Tls::AlertReceived(Alert::CertificateRequired) => format!(
            "{host} wants a client certificate: {section}.client_cert_file, \
             {section}.client_key_file"
        ),
        Tls::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate,
        ) => format!(
            "{host} does not accept our client certificate ({error}): {section}.client_cert_file"
        ),
        other => format!("TLS with {host} failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_without_certificate_is_refused() {
        assert!(client_config(None, &["h2"]).is_ok());
        for bad in
            [&b""[..], b"no pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(client_config(Some(bad), &[]).is_err());
        }
    }
}
