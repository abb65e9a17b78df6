//! What a user would run instead of the gateway: a general proxy, HTTP/2 over TLS on both sides.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::net::TcpStream;

use super::{gateway::free_port, process::Measured, sink::Sink};
use crate::sim::tls::Identity;

const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy that is measured.
pub(super) struct Peer {
    pub(super) process: Measured,
    pub(super) addr: SocketAddr,
    /// The trust anchor of its certificate.
    pub(super) ca_pem: String,
}

impl Peer {
    /// Starts nghttpx (Debian package nghttp2-proxy) in front of the sink, as one process so that
    /// its account is whole.
    pub(super) async fn nghttpx(sink: &Sink, dir: &Path) -> Result<Self> {
        let (files, ca_pem) = Files::write(sink, dir)?;
        let (port, to) = (free_port()?, sink.place.addr);
        let mut command = Command::new("nghttpx");
        command
            .args(["--conf=/dev/null", "--no-ocsp", "--single-process", "--log-level=ERROR"])
            .arg(format!("--frontend=127.0.0.1,{port}"))
            .arg(format!("--backend={},{};;tls;proto=h2;sni=localhost", to.ip(), to.port()))
            .arg(format!("--cacert={}", files.trust))
            .args([&files.key, &files.key]);
        Self::begin(&mut command, port, ca_pem, "nghttp2-proxy").await
    }

    /// Starts HAProxy (Debian package haproxy) in front of the sink, with one thread: the gateway
    /// relays on one as well.
    pub(super) async fn haproxy(sink: &Sink, dir: &Path) -> Result<Self> {
        let (files, ca_pem) = Files::write(sink, dir)?;
        let (port, to) = (free_port()?, sink.place.addr);
        let text = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  \
             timeout client 5m\n  timeout server 5m\n  timeout connect 10s\n\
             frontend speakers\n  bind 127.0.0.1:{port} ssl crt {} alpn h2\n  \
             default_backend cic\nbackend cic\n  \
             server cic {to} ssl verify required ca-file {} verifyhost localhost sni str(localhost) alpn h2\n",
            files.key, files.trust
        );
        let file = dir.join("haproxy.cfg");
        std::fs::write(&file, text)?;
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-q").arg("-f").arg(file);
        Self::begin(&mut command, port, ca_pem, "haproxy").await
    }

    async fn begin(
        command: &mut Command,
        port: u16,
        ca_pem: String,
        package: &str,
    ) -> Result<Self> {
        let process = Measured::start(command);
        let process = process.with_context(|| format!("it needs: apt-get install {package}"))?;
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let mut peer = Self { process, addr, ca_pem };
        let connected = async {
            while TcpStream::connect(addr).await.is_err() {
                ensure!(!peer.process.has_ended(), "{package} ends at once");
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, connected).await.context("the proxy does not listen")??;
        Ok(peer)
    }
}

/// What a proxy reads.
struct Files {
    /// Its certificate and key.
    key: String,
    /// The sink's trust anchor.
    trust: String,
}

impl Files {
    fn write(sink: &Sink, dir: &Path) -> Result<(Self, String)> {
        let identity = Identity::new()?;
        let write = |name: &str, text: &str| -> Result<String> {
            let file = dir.join(name);
            std::fs::write(&file, text)?;
            Ok(file.display().to_string())
        };
        let key = write("proxy.pem", &identity.pem())?;
        let trust = write("sink-ca.pem", &sink.place.ca_pem)?;
        Ok((Self { key, trust }, identity.ca_pem().to_owned()))
    }
}
