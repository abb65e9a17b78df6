//! Alerts, and requests on behalf of an appliance.

use actix_web::{HttpResponse, http::StatusCode, web};

use super::{
    Answer, Body, State, find, not_served, read,
    shapes::{Alert, Text},
    unprocessable,
};
use crate::{
    appliance::{
        alerts::Refused,
        message::{ErrorCode, InputError},
    },
    http::problem::Problem,
};

/// The alerts of an appliance.
#[utoipa::path(
    get,
    path = "/api/v1/appliances/{id}/alerts",
    params(("id" = String, Path, description = "The appliance.")),
    responses((status = 200, description = "Its alerts, by token.", body = Vec<Alert>)),
)]
pub(super) async fn alerts(state: State, id: web::Path<String>) -> Answer {
    let appliance = find(&state, &id).await?;
    let mut living = state.desk.inspect(vec![appliance.id.clone()]).await;
    let snapshot = living.remove(&appliance.id).ok_or_else(not_served)?;
    let alerts = snapshot.alerts.iter().map(|alert| Alert::from(&**alert));
    Ok(HttpResponse::Ok().json(alerts.collect::<Vec<_>>()))
}

/// Presses the stop button of an alert.
#[utoipa::path(
    post,
    path = "/api/v1/appliances/{id}/alerts/{token}/stop",
    params(
        ("id" = String, Path, description = "The appliance."),
        ("token" = String, Path, description = "The alert."),
    ),
    responses((status = 202, description = "The button is pressed.")),
)]
pub(super) async fn stop_alert(state: State, path: web::Path<(String, String)>) -> Answer {
    let (id, token) = path.into_inner();
    let appliance = find(&state, &id).await?;
    match state.desk.stop_alert(appliance.id, token.into()).await? {
        Ok(()) => Ok(HttpResponse::Accepted().finish()),
        Err(Refused::Unknown) => Err(Problem::not_found("there is no alert with this token")),
        Err(Refused::NotConnected) => Err(not_served()),
    }
}

/// Makes a typed request on behalf of an appliance, which gets the answer.
#[utoipa::path(
    post,
    path = "/api/v1/appliances/{id}/text",
    params(("id" = String, Path, description = "The appliance.")),
    request_body = Text,
    responses((status = 202, description = "The request is on its way.")),
)]
pub(super) async fn text(state: State, id: web::Path<String>, Body(body): Body) -> Answer {
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
