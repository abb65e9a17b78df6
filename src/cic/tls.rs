//! One shared TLS client configuration a process: a configuration each would cost 12 KiB an
//! appliance. Called by [`crate::app`], [`super::auth`] and the command line.

use std::{error::Error, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
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
    let key = private_key(key_pem)?;
    let config = builder(extra_ca_pem)?
        .with_client_auth_cert(chain, key)
        .map_err(|error| TlsError(format!("certificate and key do not fit: {error}")))?;
    Ok(with_alpn(config, alpn))
}

/// Client configuration that trusts exactly one server: the one with the first certificate of this
/// PEM, whatever names it has, whoever signed it, and whether or not it has expired.
///
/// For the gateway's own connection to its embedded broker: the certificate is the appliances'
/// matter, made for the hub's name and perhaps signed by itself, while the gateway connects to a
/// loopback address. That the server has the key of the certificate is still checked.
///
/// # Errors
/// When the PEM holds no certificate.
pub fn pinned(cert_pem: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let certificate = certificates(cert_pem)?.swap_remove(0);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { certificate, algorithms }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Compares the server's certificate with a known one.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
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

/// The key in a PEM file.
///
/// # Errors
/// When there is none.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| TlsError(format!("no usable private key: {error}")))
}

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// When there is none, or the file is broken.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::{
        ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion,
        server::ResolvesServerCert,
        sign::CertifiedKey,
        version::{TLS12, TLS13},
    };

    use super::*;

    /// A server's certificate file, its chain and its key.
    struct Identity {
        pem: String,
        chain: Vec<CertificateDer<'static>>,
        key: KeyPair,
    }

    fn params(is_ca: bool) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["hub.local".to_owned()]).unwrap();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    fn self_signed(is_ca: bool) -> Identity {
        let key = KeyPair::generate().unwrap();
        let cert = params(is_ca).self_signed(&key).unwrap();
        Identity { pem: cert.pem(), chain: vec![cert.der().clone()], key }
    }

    fn signed_by_a_private_authority() -> Identity {
        let (key, ca_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let ca = params(true).self_signed(&ca_key).unwrap();
        let cert = params(false).signed_by(&key, &Issuer::new(params(true), ca_key)).unwrap();
        let chain = vec![cert.der().clone(), ca.der().clone()];
        Identity { pem: cert.pem() + &ca.pem(), chain, key }
    }

    /// A server that shows this chain and has this key, whether or not they fit.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesServerCert for Shows {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }

    fn handshake(
        client: Arc<ClientConfig>,
        chain: &[CertificateDer<'static>],
        key: &KeyPair,
        version: &'static SupportedProtocolVersion,
    ) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shows = Arc::new(Shows(Arc::new(CertifiedKey::new(chain.to_vec(), key))));
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(shows);
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut client = ClientConnection::new(client, name).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn a_pinned_certificate_is_accepted_whatever_its_name_and_whoever_signed_it() {
        for version in [&TLS12, &TLS13] {
            for Identity { pem, chain, key } in
                [self_signed(false), self_signed(true), signed_by_a_private_authority()]
            {
                let client = pinned(pem.as_bytes()).unwrap();
                assert_eq!(handshake(client, &chain, &key, version), Ok(()), "{version:?}");
                let client = client_config(Some(pem.as_bytes()), &[]).unwrap();
                assert!(handshake(client, &chain, &key, version).is_err(), "not for 127.0.0.1");
            }
        }
    }

    #[test]
    fn another_certificate_and_another_key_are_refused() {
        for version in [&TLS12, &TLS13] {
            let (ours, other) = (signed_by_a_private_authority(), self_signed(false));
            let client = || pinned(ours.pem.as_bytes()).unwrap();
            assert!(handshake(client(), &other.chain, &other.key, version).is_err());
            // Neither the authority of the chain nor the certificate without its key will do.
            let authority = &ours.chain[1..];
            assert!(handshake(client(), authority, &ours.key, version).is_err());
            assert!(handshake(client(), &ours.chain, &other.key, version).is_err());
        }
        assert!(pinned(b"no pem").is_err());
    }

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
