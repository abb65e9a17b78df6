//! The simulated CIC in its light mode: it greets, reads events without looking into them, and
//! answers that there is nothing to do. `load` measures with it, because the strict simulator
//! would cost more than what is measured.

use std::{future::poll_fn, rc::Rc};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Method, Request, Response};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_local,
};
use tokio_rustls::TlsAcceptor;

pub(crate) use super::cic::wire::write;
use super::cic::wire::{Part, Writer, directive};

/// Hears the body of one request.
pub(crate) trait Ear: 'static {
    /// The next piece of it.
    fn hear(&mut self, piece: &[u8]);
}

/// Serves for ever, on a `LocalSet`; each request gets an ear of its own.
pub(crate) async fn serve<E: Ear>(
    listener: TcpListener,
    tls: TlsAcceptor,
    ear: impl Fn() -> E + 'static,
) {
    let ear = Rc::new(ear);
    loop {
        let tcp = super::cic::accept(&listener).await;
        let (tls, ear) = (tls.clone(), ear.clone());
        spawn_local(async move { converse(tcp, tls, ear).await });
    }
}

async fn converse<E: Ear>(tcp: TcpStream, tls: TlsAcceptor, ear: Rc<impl Fn() -> E + 'static>) {
    let Ok(stream) = tls.accept(tcp).await else { return };
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let ear = ear();
        spawn_local(async move {
            // A client that goes away in the middle is its own business.
            let _ = answer(request, respond, ear).await;
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    ear: impl Ear,
) -> Result<(), h2::Error> {
    if request.method() == Method::GET && request.uri().path() == "/v1/directives" {
        return greet(respond).await;
    }
    listen(request.into_body(), respond, ear).await
}

/// The downchannel, which stays open until the client resets it.
async fn greet(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let writer = Writer::new();
    let response = Response::builder().header("content-type", writer.content_type());
    let response = response.body(()).map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    let mut stream = respond.send_response(response, false)?;
    let hello = Part::Directive(directive("Clova", "Hello", None, json!({})));
    let greeting = [writer.opening(), writer.part(&hello)].concat();
    write(&mut stream, greeting.into(), false).await?;
    poll_fn(|cx| stream.poll_reset(cx)).await.map(drop)
}

async fn listen(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    mut ear: impl Ear,
) -> Result<(), h2::Error> {
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        ear.hear(&piece);
    }
    let mut response = Response::new(());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    respond.send_response(response, true).map(drop)
}
