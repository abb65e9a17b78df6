//! Health, metrics and the API. Started and stopped by [`crate::app`].
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the server, health and metrics |
//! | `api/` | `/api/v1` |
//! | `admin.rs` | who may use it |
//! | `openapi.rs` | the description of all this, and the routes that are made from it |
//! | `console.rs` | the page for people |
//! | `problem.rs` | how errors are answered |

mod admin;
pub mod api;
mod console;
mod openapi;
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
use openapi::Routes;
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
    openapi: String,
}

openapi::operations!(describe {
    healthz => __path_healthz, &[503];
    readyz => __path_readyz, &[503];
    metrics_text => __path_metrics_text, &[];
    openapi_json => __path_openapi_json, &[];
});

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
    let openapi = routes().description().to_json().map_err(std::io::Error::other)?;
    let state = web::Data::new(State { metrics, readiness, openapi });
    let (admin, api) = (web::Data::new(Admin::new(admin_token)), web::Data::new(api));
    let server = HttpServer::new(move || {
        let (below_api, rest) = routes().into_resources();
        let v1 = web::scope(openapi::API).wrap(from_fn(admin::only_admin));
        let v1 = below_api.into_iter().fold(v1, |v1, resource| v1.service(resource));
        let app = App::new()
            .app_data(state.clone())
            .app_data(admin.clone())
            .app_data(api.clone())
            .app_data(web::PayloadConfig::new(api::MAX_BODY))
            .app_data(web::QueryConfig::default().error_handler(|error, _| {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into()
            }))
            .configure(console::routes)
            .service(v1.default_service(web::to(not_found)))
            .default_service(web::to(not_found));
        rest.into_iter().fold(app, |app, resource| app.service(resource))
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

/// Everything that is described.
fn routes() -> Routes {
    let mut routes = Routes::new();
    describe(&mut routes);
    api::describe(&mut routes);
    routes
}

/// Whether the process works.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")),
)]
async fn healthz(state: web::Data<State>) -> HttpResponse {
    match state.readiness.is_alive() {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        Err(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).error_response(),
    }
}

/// Whether broker and store answer.
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, description = "They do.", body = String, content_type = "text/plain")),
)]
async fn readyz(state: web::Data<State>) -> HttpResponse {
    let check = tokio::time::timeout(READINESS, state.readiness.check()).await;
    match check.unwrap_or_else(|_| Err("the store does not answer in time".into())) {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"),
        Err(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).error_response(),
    }
}

/// All metrics, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
async fn metrics_text(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(state.metrics.render())
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json")),
)]
async fn openapi_json(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(state.openapi.clone())
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    Problem::not_found(format!("there is nothing at {}", request.path())).error_response()
}
