//! TCP, TLS and h2, within `cic.connect_timeout`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{PingPong, client::SendRequest};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::SessionSettings;

/// Bytes that CIC may send on one stream before they are taken.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes that CIC may send on all streams before they are taken.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Largest header list from CIC, bytes.
const MAX_HEADERS: u32 = 16 * 1024;
/// Bytes that h2 buffers of one upload.
const SEND_BUFFER: usize = 32 * 1024;

/// An open connection.
pub(super) struct Connection {
    pub(super) send: SendRequest<Bytes>,
    pub(super) ping: PingPong,
    pub(super) driver: JoinHandle<Result<(), h2::Error>>,
    /// Resolves when CIC has sent GOAWAY. To be dropped before the connection can close.
    pub(super) going_away: oneshot::Receiver<()>,
}

/// Connects; the error says what failed.
pub(super) async fn connect(settings: &SessionSettings) -> Result<Connection, String> {
    tokio::time::timeout(settings.connect_timeout, dial(settings))
        .await
        .unwrap_or_else(|_| Err(format!("no connection within {:?}", settings.connect_timeout)))
}

async fn dial(settings: &SessionSettings) -> Result<Connection, String> {
    let host = settings.base_uri.host().ok_or("cic.base_uri names no host")?;
    let host = host.trim_matches(['[', ']']);
    let default = if settings.tls.is_some() { 443 } else { 80 };
    let port = settings.base_uri.port_u16().unwrap_or(default);
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| format!("tcp: {error}"))?;
    tcp.set_nodelay(true).map_err(|error| format!("tcp: {error}"))?;
    let Some(tls) = &settings.tls else { return handshake(tcp).await };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(tls.clone())
        .connect(name, tcp)
        .await
        .map_err(|error| format!("tls: {error}"))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err("tls: the server does not speak HTTP/2".into());
    }
    handshake(stream).await
}

async fn handshake<S>(stream: S) -> Result<Connection, String>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (send, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buffer_size(SEND_BUFFER)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(|error| format!("http/2: {error}"))?;
    let ping = connection.ping_pong().ok_or("http/2: no ping")?;
    let (tell, going_away) = oneshot::channel();
    let driver = Driver { connection, watch: Some((send.clone(), tell)) };
    let driver = tokio::task::spawn_local(driver);
    Ok(Connection { send, ping, driver, going_away })
}

/// Drives the connection and watches for GOAWAY. h2 lets streams end in peace after a graceful one
/// and refuses new ones, but tells nobody: the downchannel would stay open and every event fail.
struct Driver<S> {
    connection: h2::client::Connection<S>,
    watch: Option<(SendRequest<Bytes>, oneshot::Sender<()>)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.connection).poll(cx);
        if let Some((send, tell)) = &mut self.watch {
            let nobody_waits = tell.poll_closed(cx).is_ready();
            let refuses = matches!(send.poll_ready(cx), Poll::Ready(Err(_)));
            // The handle that we watch with would keep the connection open.
            if let Some((_, tell)) = self.watch.take_if(|_| nobody_waits || refuses) {
                let _ = tell.send(());
            }
        }
        ended
    }
}
