//! `/api/v1`: provisioning, live state, alerts, and requests on behalf of an appliance.
//!
//! What is described is what is served: the routes are made from the descriptions.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the routes, and what all of them share |
//! | `appliances.rs` | provisioning and live state |
//! | `doings.rs` | alerts, and requests on behalf of an appliance |
//! | `changes.rs` | the stream of changes |
//! | `shapes.rs`, `words.rs` | bodies |

mod appliances;
mod changes;
mod doings;
mod shapes;
mod words;

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{openapi::operations, problem::Problem};
use crate::{
    appliance::feed::Feed, ids::ApplianceId, provisioning::Provisioning, shard::desk::Desk,
    store::Appliance, telemetry::metrics::Metrics,
};

/// Largest request body, bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// What the API works on.
#[derive(Clone)]
pub struct Api {
    /// The store and the auth API.
    pub provisioning: Provisioning,
    /// The living appliances.
    pub desk: Desk,
    /// What changes about them.
    pub feed: Feed,
    /// Numbers of all of them.
    pub metrics: Metrics,
}

type Answer = Result<HttpResponse, Problem>;
type State = web::Data<Api>;

operations!(describe {
    changes::watch => changes::__path_watch, &[404, 422, 503];
    appliances::fleet => appliances::__path_fleet, &[];
    appliances::list => appliances::__path_list, &[422, 503];
    appliances::add => appliances::__path_add, &[400, 409, 413, 422, 503];
    appliances::show => appliances::__path_show, &[404, 503];
    appliances::remove => appliances::__path_remove, &[404, 503];
    appliances::pair => appliances::__path_pair, &[400, 404, 413, 422, 503];
    appliances::unpair => appliances::__path_unpair, &[404, 503];
    doings::alerts => doings::__path_alerts, &[404, 503];
    doings::stop_alert => doings::__path_stop_alert, &[404, 503];
    doings::text => doings::__path_text, &[400, 404, 409, 413, 422, 503];
});

/// A request's body; too large a one is a problem like any other.
struct Body(web::Bytes);

impl FromRequest for Body {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let problem = |error: actix_web::Error| {
                let status = error.as_response_error().status_code();
                Problem::new(status, format!("the body cannot be read: {error}"))
            };
            body.await.map(Self).map_err(problem)
        })
    }
}

/// Reads a body: not JSON is 400, JSON of another shape is 422.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let whole: Value = serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))
    })?;
    serde_json::from_value(whole).map_err(|error| unprocessable(error.to_string()))
}

fn unprocessable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

fn not_served() -> Problem {
    let detail = "the appliance is not served by this gateway at the moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

fn store_problem(error: crate::store::StoreError) -> Problem {
    crate::provisioning::ProvisionError::from(error).into()
}

/// What cannot be an id names no appliance.
fn parse(id: &str) -> Result<ApplianceId, Problem> {
    let unknown = |_| Problem::not_found("no appliance with this id exists");
    ApplianceId::parse(id).map_err(unknown)
}

async fn find(state: &Api, id: &str) -> Result<Appliance, Problem> {
    Ok(state.provisioning.get(&parse(id)?).await?)
}
