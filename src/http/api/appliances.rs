//! Provisioning and live state.

use actix_web::{HttpResponse, http::StatusCode, web};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Answer, Body, State, find, parse, read,
    shapes::{Added, Appliance, Fleet, NewAppliance, Page, Pair},
    store_problem, unprocessable,
};
use crate::{
    http::problem::Problem,
    store::{
        self,
        provision::{self, DEFAULT_LANG, DEFAULT_MODEL},
    },
};

/// Appliances on a page, if only its begin is named; and at most.
const PAGE: (usize, usize) = (100, 1000);

/// All appliances in numbers.
#[utoipa::path(
    get,
    path = "/api/v1/fleet",
    responses((status = 200, description = "The numbers.", body = Fleet)),
)]
pub(super) async fn fleet(state: State) -> HttpResponse {
    let metrics = &state.metrics;
    HttpResponse::Ok().json(Fleet {
        version: env!("CARGO_PKG_VERSION"),
        sessions: metrics.by_label(&metrics.appliances),
        alerts: metrics.by_label(&metrics.alerts),
    })
}

/// The appliances, by id: all of them, or a page if `limit` or `after` is given.
#[utoipa::path(
    get,
    path = "/api/v1/appliances",
    params(Page),
    responses((
        status = 200,
        description = "All, or the page.",
        body = Vec<Appliance>,
        headers(("Link" = String, description = "With `rel=\"next\"`: the next page, if there is one.")),
    )),
)]
pub(super) async fn list(state: State, query: web::Query<Page>) -> Answer {
    let Page { limit, after, q } = query.into_inner();
    let limit = limit.or(after.is_some().then_some(PAGE.0));
    if limit.is_some_and(|limit| !(1..=PAGE.1).contains(&limit)) {
        let detail = format!("limit must be 1 to {}", PAGE.1);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    if [&after, &q].into_iter().flatten().any(|text| text.chars().count() > 64) {
        return Err(unprocessable("after and q have at most 64 characters"));
    }
    let (after, part) = (after.unwrap_or_default(), q.unwrap_or_default().to_ascii_lowercase());
    let wanted = |appliance: &store::Appliance| {
        let id = appliance.id.as_str();
        id > after.as_str() && id.to_ascii_lowercase().contains(&part)
    };
    let all = state.provisioning.store.list().await.map_err(store_problem)?;
    let mut rest = all.into_iter().filter(wanted);
    let page: Vec<store::Appliance> = rest.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    let ids = page.iter().map(|appliance| appliance.id.clone()).collect();
    let mut living = state.desk.inspect(ids).await;
    let shown = page.iter().map(|one| Appliance::new(one, living.remove(&one.id), false));
    let shown: Vec<Appliance> = shown.collect();
    let mut response = HttpResponse::Ok();
    if let (Some(limit), Some(last), Some(_)) = (limit, page.last(), rest.next()) {
        let q = match part.as_str() {
            "" => String::new(),
            part => format!("&q={}", utf8_percent_encode(part, NON_ALPHANUMERIC)),
        };
        let next = format!("</api/v1/appliances?limit={limit}&after={}{q}>; rel=\"next\"", last.id);
        response.insert_header(("link", next));
    }
    Ok(response.json(shown))
}

/// Adds an appliance. The answer has its password at the broker, only this once.
#[utoipa::path(
    post,
    path = "/api/v1/appliances",
    request_body = NewAppliance,
    responses((
        status = 201,
        description = "It was added.",
        body = Added,
        headers(("Location" = String, description = "Where it is.")),
    )),
)]
pub(super) async fn add(state: State, Body(body): Body) -> Answer {
    let NewAppliance { id, model_id, lang, device_id } = read(&body)?;
    for (name, text) in [("modelId", &model_id), ("deviceId", &device_id)] {
        let usable =
            |text: &String| !text.is_empty() && text.chars().count() <= 256 && !text.contains('\0');
        if !text.as_ref().is_none_or(usable) {
            return Err(unprocessable(format!("{name} must have 1 to 256 characters")));
        }
    }
    let lang = lang.map_or_else(|| DEFAULT_LANG.to_owned(), |lang| lang.0);
    let model_id = model_id.unwrap_or_else(|| DEFAULT_MODEL.to_owned());
    let new = provision::NewAppliance { id, model_id, lang, device_id };
    let (appliance, password) = state.provisioning.add(new).await?;
    let place = format!("/api/v1/appliances/{}", appliance.id);
    Ok(HttpResponse::Created().insert_header(("location", place)).json(Added {
        id: appliance.id.clone(),
        mqtt_user: appliance.id,
        mqtt_password: password.expose().to_owned(),
        device_id: appliance.device_id,
        model_id: appliance.model_id,
    }))
}

/// One appliance, with what sounds and with its context.
#[utoipa::path(
    get,
    path = "/api/v1/appliances/{id}",
    params(("id" = String, Path, description = "The appliance.")),
    responses((status = 200, description = "The appliance.", body = Appliance)),
)]
pub(super) async fn show(state: State, id: web::Path<String>) -> Answer {
    let appliance = find(&state, &id).await?;
    let living = state.desk.inspect_whole(&appliance.id).await;
    Ok(HttpResponse::Ok().json(Appliance::new(&appliance, living, true)))
}

/// Removes an appliance and everything that is kept of it.
#[utoipa::path(
    delete,
    path = "/api/v1/appliances/{id}",
    params(("id" = String, Path, description = "The appliance.")),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn remove(state: State, id: web::Path<String>) -> Answer {
    state.provisioning.remove(&parse(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Trades an authorization code of CLOVA for tokens.
#[utoipa::path(
    post,
    path = "/api/v1/appliances/{id}/pair",
    params(("id" = String, Path, description = "The appliance.")),
    request_body = Pair,
    responses((status = 200, description = "It is paired.", body = Appliance)),
)]
pub(super) async fn pair(state: State, id: web::Path<String>, Body(body): Body) -> Answer {
    let Pair { code } = read(&body)?;
    if code.is_empty() {
        return Err(unprocessable("code is empty"));
    }
    let appliance = state.provisioning.pair(&parse(&id)?, &code).await?;
    Ok(HttpResponse::Ok().json(Appliance::new(&appliance, None, true)))
}

/// Unpairs an appliance: its tokens, alerts and unsent events are deleted.
#[utoipa::path(
    delete,
    path = "/api/v1/appliances/{id}/pair",
    params(("id" = String, Path, description = "The appliance.")),
    responses((status = 204, description = "It is not paired any more.")),
)]
pub(super) async fn unpair(state: State, id: web::Path<String>) -> Answer {
    state.provisioning.unpair(&parse(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
