//! `/api/v1`: provisioning, live state, alerts, and requests on behalf of an appliance.

use std::collections::HashMap;

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::{
    appliance::{
        alerts::{Alert, Refused},
        message::{ErrorCode, InputError},
        snapshot::Snapshot,
    },
    ids::ApplianceId,
    provisioning::Provisioning,
    secret::Secret,
    shard::desk::Desk,
    store::{
        Appliance,
        provision::{DEFAULT_LANG, DEFAULT_MODEL, LANGS, NewAppliance},
    },
};

/// Largest request body, bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Appliances on a page, unless asked for another number; and at most.
const PAGE: (usize, usize) = (100, 1000);

/// What the API works on.
#[derive(Clone)]
pub struct Api {
    /// The store and the auth API.
    pub provisioning: Provisioning,
    /// The living appliances.
    pub desk: Desk,
}

type Answer = Result<HttpResponse, Problem>;
type State = web::Data<Api>;

/// The routes, below `/api/v1`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let resource =
        |path: &str| web::resource(path.to_owned()).default_service(web::to(super::not_allowed));
    config
        .service(resource("/appliances").route(web::get().to(list)).route(web::post().to(add)))
        .service(
            resource("/appliances/{id}").route(web::get().to(show)).route(web::delete().to(remove)),
        )
        .service(
            resource("/appliances/{id}/pair")
                .route(web::post().to(pair))
                .route(web::delete().to(unpair)),
        )
        .service(resource("/appliances/{id}/alerts").route(web::get().to(alerts)))
        .service(resource("/appliances/{id}/alerts/{token}/stop").route(web::post().to(stop_alert)))
        .service(resource("/appliances/{id}/text").route(web::post().to(text)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

/// One page, by id; `Link` leads to the next one.
async fn list(state: State, query: web::Query<Page>) -> Answer {
    let limit = query.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        let detail = format!("limit must be 1 to {}", PAGE.1);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let after = query.after.clone().unwrap_or_default();
    let all = state.provisioning.store.list().await.map_err(store_problem)?;
    let mut rest = all.into_iter().filter(|appliance| appliance.id.as_str() > after.as_str());
    let page: Vec<Appliance> = rest.by_ref().take(limit).collect();
    let ids = page.iter().map(|appliance| appliance.id.clone()).collect();
    let living = state.desk.inspect(ids).await;
    let shown: Vec<Value> =
        page.iter().map(|appliance| describe(appliance, living.get(&appliance.id))).collect();
    let mut response = HttpResponse::Ok();
    if let (Some(last), Some(_)) = (page.last(), rest.next()) {
        let next = format!("</api/v1/appliances?limit={limit}&after={}>; rel=\"next\"", last.id);
        response.insert_header(("link", next));
    }
    Ok(response.json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Add {
    id: ApplianceId,
    model_id: Option<String>,
    lang: Option<String>,
    device_id: Option<String>,
}

async fn add(state: State, Body(body): Body) -> Answer {
    let Add { id, model_id, lang, device_id } = read(&body)?;
    let lang = lang.unwrap_or_else(|| DEFAULT_LANG.to_owned());
    if !LANGS.contains(&lang.as_str()) {
        return Err(unprocessable(format!("lang must be one of {}", LANGS.join(", "))));
    }
    for (name, text) in [("modelId", &model_id), ("deviceId", &device_id)] {
        let usable = |text: &String| !text.is_empty() && text.len() <= 256 && !text.contains('\0');
        if !text.as_ref().is_none_or(usable) {
            return Err(unprocessable(format!("{name} must have 1 to 256 characters")));
        }
    }
    let model_id = model_id.unwrap_or_else(|| DEFAULT_MODEL.to_owned());
    let new = NewAppliance { id, model_id, lang, device_id };
    let (appliance, password) = state.provisioning.add(new).await?;
    let place = format!("/api/v1/appliances/{}", appliance.id);
    Ok(HttpResponse::Created().insert_header(("location", place)).json(json!({
        "id": appliance.id,
        "mqttUser": appliance.id,
        "mqttPassword": password.expose(),
        "deviceId": appliance.device_id,
        "modelId": appliance.model_id,
    })))
}

async fn show(state: State, id: web::Path<String>) -> Answer {
    let appliance = find(&state, &id).await?;
    let living = state.desk.inspect(vec![appliance.id.clone()]).await;
    Ok(HttpResponse::Ok().json(describe(&appliance, living.get(&appliance.id))))
}

async fn remove(state: State, id: web::Path<String>) -> Answer {
    state.provisioning.remove(&parse(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    code: Secret,
}

async fn pair(state: State, id: web::Path<String>, Body(body): Body) -> Answer {
    let Pair { code } = read(&body)?;
    if code.is_empty() {
        return Err(unprocessable("code is empty"));
    }
    let appliance = state.provisioning.pair(&parse(&id)?, &code).await?;
    Ok(HttpResponse::Ok().json(describe(&appliance, None)))
}

async fn unpair(state: State, id: web::Path<String>) -> Answer {
    state.provisioning.unpair(&parse(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn alerts(state: State, id: web::Path<String>) -> Answer {
    let appliance = find(&state, &id).await?;
    let mut living = state.desk.inspect(vec![appliance.id.clone()]).await;
    let snapshot = living.remove(&appliance.id).ok_or_else(not_served)?;
    let alerts = snapshot.alerts.iter().map(|alert| AlertJson::new(alert));
    Ok(HttpResponse::Ok().json(alerts.collect::<Vec<_>>()))
}

async fn stop_alert(state: State, path: web::Path<(String, String)>) -> Answer {
    let (id, token) = path.into_inner();
    let appliance = find(&state, &id).await?;
    match state.desk.stop_alert(appliance.id, token.into()).await? {
        Ok(()) => Ok(HttpResponse::Accepted().finish()),
        Err(Refused::Unknown) => Err(Problem::not_found("there is no alert with this token")),
        Err(Refused::NotConnected) => Err(not_served()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

async fn text(state: State, id: web::Path<String>, Body(body): Body) -> Answer {
    let Text { text } = read(&body)?;
    if text.trim().is_empty() {
        return Err(unprocessable("text is empty"));
    }
    let appliance = find(&state, &id).await?;
    match state.desk.request(appliance.id, text).await? {
        Ok(()) => Ok(HttpResponse::Accepted().finish()),
        Err(InputError { code: ErrorCode::NotPaired, message, .. }) => {
            Err(Problem::new(StatusCode::CONFLICT, message))
        }
        Err(refused) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, refused.message)),
    }
}

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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertJson<'a> {
    token: &'a str,
    r#type: &'static str,
    scheduled_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    state: &'static str,
    since: String,
}

impl<'a> AlertJson<'a> {
    fn new(alert: &'a Alert) -> Self {
        Self {
            token: alert.token.as_str(),
            r#type: alert.kind.as_str(),
            scheduled_time: &alert.scheduled_time,
            label: alert.label.as_deref(),
            state: alert.phase.as_str(),
            since: alert.since.to_string(),
        }
    }
}

/// What may be shown of an appliance: no secret.
fn describe(appliance: &Appliance, living: Option<&Snapshot>) -> Value {
    let mut shown = json!({
        "id": appliance.id,
        "modelId": appliance.model_id,
        "lang": appliance.lang,
        "deviceId": appliance.device_id,
        "paired": appliance.tokens.is_some(),
        "createdAt": appliance.created_at.to_string(),
    });
    if let Some(snapshot) = living {
        let fields = living_fields(snapshot);
        shown.as_object_mut().into_iter().for_each(|shown| shown.extend(fields.clone()));
    }
    shown
}

fn living_fields(snapshot: &Snapshot) -> serde_json::Map<String, Value> {
    let (state, since, reason) = &snapshot.session;
    let (turn, dialogue, utterance) = &snapshot.dialogue;
    let errors = snapshot.errors.iter().map(|(at, error)| {
        json!({
            "at": at.to_string(),
            "topic": error.topic,
            "code": error.code.as_str(),
            "message": error.message,
        })
    });
    let fields: HashMap<&str, Value> = HashMap::from([
        ("online", json!(snapshot.online)),
        ("session", json!({"state": state.as_str(), "since": since.to_string(), "reason": reason})),
        (
            "dialogue",
            json!({"state": turn.as_str(), "dialogRequestId": dialogue, "utterance": utterance}),
        ),
        ("alerts", json!(snapshot.alerts.len())),
        ("unsentEvents", json!(snapshot.unsent_events)),
        ("errors", errors.collect()),
    ]);
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
