//! Stands between gateway and simulated CIC, and notes when each audio message arrives.
//!
//! It ends the gateway's TLS, so that it sees what the simulated CIC is about to read. Audio
//! messages carry a mark that names speaker and message; what is measured is the time at which the
//! last byte of a message has arrived, decrypted.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use crate::sim::appliance::{CHUNK, CHUNK_TIME};

/// Begins a mark. A mark has one byte a sample: too quiet to be taken for speech.
const MAGIC: &[u8; 8] = b"cic-load";
/// Magic, speaker and message; two bytes a sample.
const MARK: usize = 2 * (MAGIC.len() + 4 + 4);
const BUFFER: usize = 64 * 1024;

/// An audio message: silence, and at its end a mark.
pub(super) fn marked(speaker: u32, message: u32) -> Bytes {
    let mut audio = vec![0; CHUNK];
    let letters = MAGIC.iter().copied().chain(speaker.to_be_bytes()).chain(message.to_be_bytes());
    for (sample, letter) in audio[CHUNK - MARK..].chunks_exact_mut(2).zip(letters) {
        sample[0] = letter;
    }
    audio.into()
}

/// Finds marks in a stream, however it is cut. One that a frame header tears apart is not found.
#[derive(Default)]
struct Scanner {
    bytes: Vec<u8>,
}

impl Scanner {
    fn feed(&mut self, data: &[u8], mut found: impl FnMut(u32, u32)) {
        self.bytes.extend_from_slice(data);
        let mut at = 0;
        while at + MARK <= self.bytes.len() {
            let candidates = &self.bytes[at..=self.bytes.len() - MARK];
            let Some(next) = candidates.iter().position(|byte| *byte == MAGIC[0]) else {
                at = self.bytes.len() + 1 - MARK;
                break;
            };
            at += next;
            at += match read(&self.bytes[at..at + MARK]) {
                Some((speaker, message)) => {
                    found(speaker, message);
                    MARK
                }
                None => 1,
            };
        }
        self.bytes.drain(..at);
    }
}

fn read(mark: &[u8]) -> Option<(u32, u32)> {
    let letters: Vec<u8> = mark.chunks_exact(2).filter(|s| s[1] == 0).map(|s| s[0]).collect();
    let numbers: &[u8; 8] = letters.strip_prefix(MAGIC)?.try_into().ok()?;
    let [s0, s1, s2, s3, m0, m1, m2, m3] = *numbers;
    Some((u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([m0, m1, m2, m3])))
}

/// When each speaker begins, and how late its messages arrived.
#[derive(Debug, Default)]
struct Arrivals {
    starts: Vec<Instant>,
    latencies: Vec<Duration>,
}

impl Arrivals {
    /// Late is what arrives after its scheduled time, whenever it was really sent: a sender that
    /// is held up does not hide what it would have measured.
    fn note(&mut self, speaker: u32, message: u32, now: Instant) {
        if let Some(start) = self.starts.get(speaker as usize) {
            let scheduled = *start + CHUNK_TIME * (message + 1);
            self.latencies.push(now.saturating_duration_since(scheduled));
        }
    }
}

/// A running tap; ends when dropped.
pub(super) struct Tap {
    addr: SocketAddr,
    ca_pem: String,
    arrivals: Arc<Mutex<Arrivals>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Tap {
    /// Starts it, in front of a simulated CIC without TLS.
    pub(super) fn start(cic: SocketAddr) -> Result<Self> {
        let (config, ca_pem) = certificate()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let arrivals = Arc::new(Mutex::new(Arrivals::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = arrivals.clone();
        let thread = std::thread::Builder::new().name("tap".into()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener, acceptor, cic, shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { addr, ca_pem, arrivals, stop: Some(stop), thread: Some(thread) })
    }

    /// `cic.base_uri` of a gateway that is to be measured.
    pub(super) fn uri(&self) -> String {
        format!("https://{}/", self.addr)
    }

    /// The trust anchor of its certificate (PEM).
    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Speakers begin then, by their number.
    pub(super) fn expect(&self, starts: Vec<Instant>) {
        let latencies = Vec::new();
        *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner) =
            Arrivals { starts, latencies };
    }

    /// How late the messages arrived, the least late first.
    pub(super) fn latencies(&self) -> Vec<Duration> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latencies = arrivals.latencies.clone();
        latencies.sort_unstable();
        latencies
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    cic: SocketAddr,
    arrivals: Arc<Mutex<Arrivals>>,
) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let _ = tcp.set_nodelay(true);
        let (acceptor, arrivals) = (acceptor.clone(), arrivals.clone());
        tokio::spawn(async move {
            let Ok(gateway) = acceptor.accept(tcp).await else { return };
            let Ok(cic) = TcpStream::connect(cic).await else { return };
            let _ = cic.set_nodelay(true);
            let (from_gateway, mut to_gateway) = tokio::io::split(gateway);
            let (mut from_cic, to_cic) = cic.into_split();
            tokio::select! {
                // Either side that ends, ends both.
                _ = listen(from_gateway, to_cic, &arrivals) => {}
                _ = tokio::io::copy(&mut from_cic, &mut to_gateway) => {}
            }
        });
    }
}

async fn listen(
    mut gateway: impl AsyncRead + Unpin,
    mut cic: impl AsyncWrite + Unpin,
    arrivals: &Mutex<Arrivals>,
) -> std::io::Result<()> {
    let (mut scanner, mut buffer) = (Scanner::default(), vec![0; BUFFER]);
    loop {
        let read = gateway.read(&mut buffer).await?;
        if read == 0 {
            return cic.shutdown().await;
        }
        let now = Instant::now();
        scanner.feed(&buffer[..read], |speaker, message| {
            let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.note(speaker, message, now);
        });
        cic.write_all(&buffer[..read]).await?;
    }
}

/// A trust anchor, and a server configuration for HTTP/2 on this machine.
fn certificate() -> Result<(ServerConfig, String)> {
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate()?;
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let chain = vec![server.signed_by(&key, &issuer)?.der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .context("no TLS for the tap")?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((config, ca_pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_however_the_stream_is_cut() {
        let frame = b"\x00\x0c\x80\x00\x00cic-frame";
        let stream =
            [frame, &marked(7, 0)[..], frame, &marked(300, 70_000), &marked(7, 1)].concat();
        for size in [1, 2, 31, 32, 33, 1000, 3200, stream.len()] {
            let (mut scanner, mut found) = (Scanner::default(), Vec::new());
            for piece in stream.chunks(size) {
                scanner.feed(piece, |speaker, message| found.push((speaker, message)));
                assert!(scanner.bytes.len() < MARK, "nothing piles up");
            }
            assert_eq!(found, [(7, 0), (300, 70_000), (7, 1)], "pieces of {size} bytes");
        }
    }

    #[test]
    fn a_message_is_late_from_its_schedule_on_not_from_its_sending() {
        let start = Instant::now();
        let mut arrivals = Arrivals { starts: vec![start], latencies: vec![] };
        // Held up for a second, then sent in a burst.
        let now = start + Duration::from_millis(1100);
        (0..=10).for_each(|message| arrivals.note(0, message, now));
        arrivals.note(9, 0, now);
        let late: Vec<_> = arrivals.latencies.iter().map(|late| late.as_millis()).collect();
        assert_eq!(late, [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100, 0]);
    }
}
