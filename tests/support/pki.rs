//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: PathBuf,
    name: String,
}

impl Authority {
    /// Makes one; `{name}.pem` in `dir` is its certificate.
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), cert.pem()).unwrap();
        let (dir, name) = (dir.to_owned(), name.to_owned());
        Self { issuer: Issuer::new(params, key), dir, name }
    }

    /// The path of its certificate.
    pub fn ca_file(&self) -> String {
        self.dir.join(format!("{}.pem", self.name)).display().to_string()
    }

    /// Issues a certificate; the paths of certificate and key.
    pub fn issue(&self, host: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let path = |what: &str| self.dir.join(format!("{}-{host}.{what}", self.name));
        std::fs::write(path("crt"), cert.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("crt").display().to_string(), path("key").display().to_string())
    }
}
