//! Connections, downchannels, and who may ask (transport 2, 3, 5, 9).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

use super::{
    event,
    state::{Fault, State},
    wire::{self, Part, Writer},
};
use crate::cic::user_agent;

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// One connection, as its requests see it.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) state: Arc<State>,
    /// Ends the connection with GOAWAY.
    pub(super) goaway: Notify,
}

pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let _ = tcp.set_nodelay(true);
        let (tls, state) = (tls.clone(), state.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(tcp, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(tcp).await {
                        converse(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, state: Arc<State>) {
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let connection = Arc::new(Connection { number, state, goaway: Notify::new() });
    let Ok(mut h2) = h2::server::handshake(stream).await else { return };
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = h2.accept() => accepted,
            () = connection.goaway.notified() => {
                h2.abrupt_shutdown(h2::Reason::NO_ERROR);
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else { return };
        tasks.spawn(answer(connection.clone(), request, respond));
        while tasks.try_join_next().is_some() {}
    }
}

async fn answer(
    connection: Arc<Connection>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let path = (request.method().as_str(), request.uri().path());
    let allowed = admit(&connection.state, &request);
    // A client that goes away in the middle is its own business.
    let _ = match (path, allowed) {
        (_, Err((status, why))) => refuse(&mut respond, status, &why).await,
        (("GET", "/v1/directives"), Ok(device)) => channel(&connection, &device, respond).await,
        (("POST", "/v1/events"), Ok(device)) => {
            event::receive(&connection, &device, request, respond).await
        }
        (("GET", "/ping"), Ok(_)) => empty(&mut respond, 204),
        (("GET" | "POST", "/v1/directives" | "/v1/events"), Ok(_)) => {
            refuse(&mut respond, 400, "wrong method").await
        }
        (_, Ok(_)) => refuse(&mut respond, 404, "no such path").await,
    };
}

/// The device, if the request's headers are as they must be.
fn admit(state: &State, request: &Request<RecvStream>) -> Result<String, (u16, String)> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let agent = header("user-agent").ok_or((400, "User-Agent is missing".to_owned()))?;
    user_agent::check(agent).map_err(|error| (400, format!("User-Agent: {error}")))?;
    let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    token
        .and_then(|token| state.device(token))
        .ok_or((401, "the access token is missing, wrong or expired".to_owned()))
}

pub(super) fn empty(respond: &mut SendResponse<Bytes>, status: u16) -> Result<(), h2::Error> {
    let response =
        Response::builder().status(status).body(()).map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    respond.send_response(response, true).map(drop)
}

/// An error with `System.Exception` (transport 10).
pub(super) async fn refuse(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    why: &str,
) -> Result<(), h2::Error> {
    tracing::debug!(status, why, "refused");
    let writer = Writer::new();
    let mut stream = begin(respond, status, &writer)?;
    let part = writer.part(&Part::Directive(wire::exception(status, why)));
    let body = [writer.opening(), part, writer.closing()].concat();
    wire::write(&mut stream, body.into(), true).await
}

/// Sends response headers that announce multipart.
pub(super) fn begin(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    writer: &Writer,
) -> Result<h2::SendStream<Bytes>, h2::Error> {
    let response = Response::builder()
        .status(status)
        .header("content-type", writer.content_type())
        .body(())
        .map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    respond.send_response(response, false)
}

/// The downchannel: hello, then whatever is pushed, until a newer one takes its place.
async fn channel(
    connection: &Connection,
    device: &str,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let state = &connection.state;
    if !state.begin_channel(device) {
        return refuse(&mut respond, 429, "another downchannel request is under way").await;
    }
    let fault = state.fault(true);
    if let Some(Fault::ChannelStatus(status)) = fault {
        state.give_up_channel(device);
        return refuse(&mut respond, status, "injected fault").await;
    }
    let mut parts = state.open_channel(device, connection.number);
    let writer = Writer::new();
    let result = async {
        let mut stream = begin(&mut respond, 200, &writer)?;
        wire::write(&mut stream, writer.opening(), false).await?;
        if fault != Some(Fault::NoHello) {
            let hello = wire::directive("Clova", "Hello", None, json!({}));
            wire::write(&mut stream, writer.part(&Part::Directive(hello)), false).await?;
        }
        loop {
            let part = tokio::select! {
                part = parts.recv() => part,
                reset = std::future::poll_fn(|cx| stream.poll_reset(cx)) => {
                    return reset.map(drop);
                }
            };
            match part {
                Some(part) => wire::write(&mut stream, writer.part(&part), false).await?,
                None => return wire::write(&mut stream, writer.closing(), true).await,
            }
        }
    }
    .await;
    state.close_channel(device, connection.number);
    result
}
