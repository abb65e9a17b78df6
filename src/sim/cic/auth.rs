//! The simulated auth server (auth 3 to 6): HTTP/1.1, all parameters in the query.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{
    server,
    state::{Device, Issued, State},
};

pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    loop {
        let tcp = server::accept(&listener).await;
        let (tls, state) = (tls.clone(), state.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&state, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            // A client that goes away in the middle is its own business.
            match tls {
                None => drop(server.serve_connection(TokioIo::new(tcp), service).await),
                Some(tls) => {
                    if let Ok(stream) = tls.accept(tcp).await {
                        drop(server.serve_connection(TokioIo::new(stream), service).await);
                    }
                }
            }
        });
    }
}

type Answer = Result<Value, (StatusCode, Value)>;

fn answer<B>(state: &State, request: &Request<B>) -> Response<Full<Bytes>> {
    let query = query(request.uri().query().unwrap_or_default());
    let result = match (request.method(), request.uri().path()) {
        (&Method::GET, "/authorize") => authorize(state, &query, request),
        (&Method::GET, "/token") => token(state, &query),
        (_, "/authorize" | "/token") => refuse(405, "method_not_allowed"),
        _ => refuse(404, "not_found"),
    };
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err((status, body)) => (status, body),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

fn refuse(status: u16, error: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Err((status, json!({"error": error})))
}

fn query(text: &str) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://query/?{text}"));
    let pairs = url.iter().flat_map(|url| url.query_pairs().into_owned().collect::<Vec<_>>());
    pairs.collect()
}

fn required<'a, const N: usize>(
    query: &'a HashMap<String, String>,
    names: [&str; N],
) -> Result<[&'a str; N], (StatusCode, Value)> {
    let missing = names.iter().find(|name| query.get(**name).is_none_or(|value| value.is_empty()));
    if let Some(name) = missing {
        let body =
            json!({"error": "invalid_request", "error_description": format!("{name} is missing")});
        return Err((StatusCode::BAD_REQUEST, body));
    }
    Ok(names.map(|name| query.get(name).map_or("", String::as_str)))
}

fn authorize<B>(state: &State, query: &HashMap<String, String>, request: &Request<B>) -> Answer {
    let names = ["client_id", "device_id", "model_id", "response_type", "state"];
    let [client, device, model, kind, echo] = required(query, names)?;
    let guest = query.get("request_vu").is_some_and(|value| value == "Y");
    if kind != "code" || !state.is_client(client, None) {
        return refuse(400, "invalid_request");
    }
    if !guest && request.headers().get("authorization").is_none() {
        return refuse(403, "invalid_token");
    }
    let device = Device { id: device.to_owned(), model: model.to_owned() };
    let code = state.issue_code(Some(device));
    Ok(json!({"code": code.expose(), "state": echo}))
}

fn token(state: &State, query: &HashMap<String, String>) -> Answer {
    let [grant, client, secret] = required(query, ["grant_type", "client_id", "client_secret"])?;
    if !state.is_client(client, Some(secret)) {
        return refuse(400, "unauthorized_client");
    }
    let issued = match grant {
        "authorization_code" => {
            let [code, device, model] = required(query, ["code", "device_id", "model_id"])?;
            let device = Device { id: device.to_owned(), model: model.to_owned() };
            state.redeem_code(code, &device)
        }
        "refresh_token" => {
            let [token, model] = required(query, ["refresh_token", "model_id"])?;
            state.redeem_refresh(token, model)
        }
        "delete" => {
            let [access, ..] = required(query, ["access_token", "device_id", "model_id"])?;
            return match state.delete(access) {
                true => Ok(json!({"access_token": access, "client_id": client, "expires_in": 0})),
                false => refuse(400, "invalid_token"),
            };
        }
        _ => return refuse(400, "unsupported_grant_type"),
    };
    let Some(Issued { access, refresh, expires_in }) = issued else {
        return refuse(400, "invalid_grant");
    };
    Ok(json!({
        "access_token": access,
        "expires_in": expires_in,
        "refresh_token": refresh,
        "token_type": "Bearer",
    }))
}
