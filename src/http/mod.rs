//! Health, metrics and the API. Started and stopped by [`crate::app`].
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the server, health and metrics |
//! | `api.rs` | `/api/v1` |
//! | `admin.rs` | who may use it |
//! | `problem.rs` | how errors are answered |

mod admin;
pub mod api;
mod problem;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, ResponseError, dev::ServerHandle, http::StatusCode,
    middleware::from_fn, web,
};
use async_trait::async_trait;

use crate::{secret::Secret, telemetry::metrics::Metrics};
use admin::Admin;
use api::Api;
use problem::Problem;

/// How long the readiness check may take.
const READINESS: Duration = Duration::from_secs(2);

/// Says whether the gateway can do its work.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// `Ok`, or why not.
    async fn check(&self) -> Result<(), String>;

    /// `Ok`, or why only a restart helps.
    fn is_alive(&self) -> Result<(), String>;
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
    admin_token: &Secret,
    metrics: Metrics,
    readiness: Arc<dyn Readiness>,
    api: Api,
) -> std::io::Result<Server> {
    let state = web::Data::new(State { metrics, readiness });
    let (admin, api) = (web::Data::new(Admin::new(admin_token)), web::Data::new(api));
    let server = HttpServer::new(move || {
        let v1 = web::scope("/api/v1")
            .wrap(from_fn(admin::only_admin))
            .configure(api::routes)
            .default_service(web::to(not_found));
        App::new()
            .app_data(state.clone())
            .app_data(admin.clone())
            .app_data(api.clone())
            .app_data(web::PayloadConfig::new(api::MAX_BODY))
            .app_data(web::QueryConfig::default().error_handler(|error, _| {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into()
            }))
            .service(get("/healthz", web::get().to(healthz)))
            .service(get("/readyz", web::get().to(readyz)))
            .service(get("/metrics", web::get().to(metrics_text)))
            .service(v1)
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

async fn healthz(state: web::Data<State>) -> HttpResponse {
    match state.readiness.is_alive() {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        Err(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).error_response(),
    }
}

async fn readyz(state: web::Data<State>) -> HttpResponse {
    let check = tokio::time::timeout(READINESS, state.readiness.check()).await;
    match check.unwrap_or_else(|_| Err("the store does not answer in time".into())) {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"),
        Err(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).error_response(),
    }
}

async fn metrics_text(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(state.metrics.render())
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    Problem::not_found(format!("there is nothing at {}", request.path())).error_response()
}

async fn not_allowed(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} is not answered here", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).error_response()
}
