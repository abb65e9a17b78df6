//! Health and metrics for operators. Started and stopped by [`crate::app`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web,
};
use async_trait::async_trait;
use serde_json::json;

use crate::telemetry::metrics::Metrics;

/// How long the readiness check may take.
const READINESS: Duration = Duration::from_secs(2);

/// Says whether the gateway can do its work.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// `Ok`, or why not.
    async fn check(&self) -> Result<(), String>;
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    handle: ServerHandle,
}

struct State {
    metrics: Metrics,
    readiness: Arc<dyn Readiness>,
}

/// Starts the server in the current actix system.
///
/// # Errors
/// When the address cannot be used.
pub fn start(
    listen: SocketAddr,
    metrics: Metrics,
    readiness: Arc<dyn Readiness>,
) -> std::io::Result<Server> {
    let state = web::Data::new(State { metrics, readiness });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .service(get("/healthz", web::get().to(healthz)))
            .service(get("/readyz", web::get().to(readyz)))
            .service(get("/metrics", web::get().to(metrics_text)))
            .default_service(web::to(not_found))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(listen)?;
    let addr = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(Server { addr, handle })
}

impl Server {
    /// Ends it; requests that are under way get a second.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

fn get(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(not_allowed))
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

async fn readyz(state: web::Data<State>) -> HttpResponse {
    let check = tokio::time::timeout(READINESS, state.readiness.check()).await;
    match check.unwrap_or_else(|_| Err("the store does not answer in time".into())) {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"),
        Err(reason) => problem(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

async fn metrics_text(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(state.metrics.render())
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    problem(StatusCode::NOT_FOUND, &format!("there is nothing at {}", request.path()))
}

async fn not_allowed() -> HttpResponse {
    problem(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here")
}

/// A problem document (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or("error");
    let body =
        json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Result<(), String>);

    #[async_trait]
    impl Readiness for Fixed {
        async fn check(&self) -> Result<(), String> {
            self.0.clone()
        }
    }

    async fn fetch(server: &Server, path: &str) -> (u16, String, String) {
        let response = reqwest::get(format!("http://{}{path}", server.addr)).await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.text().await.unwrap())
    }

    fn serve(readiness: Result<(), String>) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        start("127.0.0.1:0".parse().unwrap(), Metrics::new(), Arc::new(Fixed(readiness))).unwrap()
    }

    #[actix_web::test]
    async fn health_readiness_and_metrics_are_served() {
        let server = serve(Ok(()));
        assert_eq!(fetch(&server, "/healthz").await.0, 200);
        assert_eq!(fetch(&server, "/readyz").await.0, 200);
        let (status, kind, text) = fetch(&server, "/metrics").await;
        assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4"));
        assert!(text.contains("cic_gateway_build_info"));
        server.stop().await;
    }

    #[actix_web::test]
    async fn what_is_not_ready_or_not_there_is_a_problem_document() {
        let server = serve(Err("the broker is away".into()));
        let (status, kind, text) = fetch(&server, "/readyz").await;
        assert_eq!((status, kind.as_str()), (503, "application/problem+json"));
        assert!(text.contains("the broker is away"));
        assert_eq!(fetch(&server, "/nothing").await.0, 404);
        let posted =
            reqwest::Client::new().post(format!("http://{}/healthz", server.addr)).send().await;
        assert_eq!(posted.unwrap().status().as_u16(), 405);
        server.stop().await;
    }
}
