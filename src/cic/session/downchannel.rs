//! The first request of a connection, `GET /v1/directives`, and everything that is read from it
//! (transport 5).

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{Request, Response};
use tokio::time::timeout;

use super::{Shared, body, describe};
use crate::{
    cic::message::{CloseReason, Notice, Source},
    secret::Secret,
};

/// Reads the downchannel until it ends, for whatever reason.
pub(super) async fn read(
    shared: Rc<Shared>,
    send: SendRequest<Bytes>,
    token: Secret,
) -> CloseReason {
    let patience = shared.settings.connect_timeout;
    let response = match timeout(patience, open(&shared, send, &token)).await {
        Ok(Ok(response)) => response,
        Ok(Err(why)) => return CloseReason::Lost(why),
        Err(_) => return CloseReason::NoHello,
    };
    let status = response.status().as_u16();
    if status != 200 {
        let description = describe::error_body(response).await;
        return CloseReason::Status { status, description };
    }
    if !shared.tell(Notice::ChannelOpen).await {
        return CloseReason::Requested;
    }
    follow(&shared, response).await
}

async fn open(
    shared: &Shared,
    send: SendRequest<Bytes>,
    token: &Secret,
) -> Result<Response<RecvStream>, String> {
    let request = request_head(shared, "GET", "v1/directives", token)?
        .body(())
        .map_err(|error| error.to_string())?;
    let mut send = send.ready().await.map_err(|error| error.to_string())?;
    let (response, _) = send.send_request(request, true).map_err(|error| error.to_string())?;
    response.await.map_err(|error| error.to_string())
}

/// Method, URI and the headers that every request carries (transport 3).
pub(super) fn request_head(
    shared: &Shared,
    method: &str,
    path: &str,
    token: &Secret,
) -> Result<http::request::Builder, String> {
    let base = &shared.settings.base_uri;
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let scheme = base.scheme_str().unwrap_or("https");
    let prefix = base.path().trim_end_matches('/');
    let mut bearer = http::HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| "the access token is no header value".to_owned())?;
    bearer.set_sensitive(true);
    Ok(Request::builder()
        .method(method)
        .uri(format!("{scheme}://{authority}{prefix}/{path}"))
        .header("authorization", bearer)
        .header("user-agent", shared.settings.user_agent.clone()))
}

async fn follow(shared: &Shared, response: Response<RecvStream>) -> CloseReason {
    let body = body::Body::new(shared, Source::Downchannel, response.headers());
    let Some(mut body) = body else {
        return CloseReason::Lost("the downchannel is not multipart".into());
    };
    let mut stream = body::Stream(response.into_body());
    let patience = tokio::time::sleep(shared.settings.connect_timeout);
    tokio::pin!(patience);
    loop {
        let chunk = tokio::select! {
            chunk = stream.next() => chunk,
            () = &mut patience, if !body.saw_hello() => return CloseReason::NoHello,
        };
        let why = match chunk {
            Ok(Some(chunk)) => {
                shared.patience.heard();
                match body.take(chunk.clone()).await {
                    Ok(()) => {
                        stream.release(chunk.len());
                        continue;
                    }
                    Err(why) => why,
                }
            }
            Ok(None) => "CIC ended the downchannel".to_owned(),
            Err(why) => why,
        };
        let _ = body.finish().await;
        return CloseReason::Lost(why);
    }
}
