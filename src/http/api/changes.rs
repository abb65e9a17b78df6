//! `GET /api/v1/events`: what changes, as server-sent events.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type},
};

use super::{
    Answer, State, parse,
    shapes::Focus,
    words::{AlertActionWord, AlertKindWord, CodeWord, DialogueWord, SessionWord, StopWord},
};
use crate::{
    appliance::feed::{Change, News, Place, Watcher, What},
    http::problem::Problem,
    ids::ApplianceId,
};

/// Silence after which a comment tells both ends that the other is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How soon a browser shall come back, milliseconds.
const RETRY: u32 = 2000;

/// Which changes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those of this appliance.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    appliance: Option<String>,
}

/// `data` of one event; `event` is its `kind`.
#[derive(Serialize, ToSchema)]
pub(super) struct Event {
    /// Which appliance.
    #[schema(value_type = String)]
    appliance: ApplianceId,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What.
    #[serde(flatten)]
    what: Kind,
}

/// One event of the stream, as its fields are read.
struct Sent;

impl PartialSchema for Sent {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let nothing = ObjectBuilder::new().max_properties(Some(0));
        let news = OneOfBuilder::new().item(Event::schema()).item(nothing);
        let data = text()
            .content_media_type("application/json")
            .content_schema(Some(news))
            .description(Some("What has changed; `{}` for `reset`."));
        ObjectBuilder::new()
            .property("event", text().description(Some("`kind` of the change, or `reset`.")))
            .property("id", text().description(Some("For `Last-Event-ID`.")))
            .property("data", data)
            .required("id")
            .into()
    }
}

impl ToSchema for Sent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Event::schemas(schemas);
    }
}

/// What has changed.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Kind {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
    /// It came or went.
    Presence { online: bool },
    /// Its session with CLOVA.
    Session { state: SessionWord, since: String, reason: Option<String> },
    /// Whose turn it is.
    Dialogue { state: DialogueWord, dialog_request_id: Option<String>, utterance: Option<String> },
    /// What CLOVA has understood so far.
    Understood { utterance: String, text: String },
    /// An utterance has ended.
    Captured { utterance: String, reason: StopWord, text: Option<String> },
    /// A directive went to the appliance.
    Directive { namespace: String, name: String, dialog_request_id: Option<String> },
    /// The appliance was told of an alert.
    Alert { action: AlertActionWord, token: String, r#type: AlertKindWord, scheduled_time: String },
    /// The appliance's alerts are others now, or in other states.
    Alerts { count: usize },
    /// What sounds how.
    Focus(Focus),
    /// What the appliance was told on `down/error`.
    Error { topic: String, code: CodeWord, message: String },
}

/// Follows what changes. An event's `id` goes into `Last-Event-ID` of the next request, which then
/// goes on where this one stopped. The event `reset` says that this is not possible, or that
/// changes were missed: ask anew how things are. A comment comes every 15 seconds of silence.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "watch",
    params(Wanted, ("Last-Event-ID" = Option<String>, Header, description = "Where to go on.")),
    responses((
        status = 200,
        description = "Events without end.",
        content_type = "text/event-stream",
        body = Sent,
    )),
)]
pub(super) async fn watch(
    state: State,
    wanted: web::Query<Wanted>,
    request: HttpRequest,
) -> Answer {
    let only = wanted.appliance.as_deref().map(parse).transpose()?;
    let last = request.headers().get("last-event-id").and_then(|last| last.to_str().ok());
    let watcher = state.feed.watch(last.and_then(Place::parse)).map_err(Problem::from)?;
    let stream = Stream { watcher, only, greeted: false };
    let events = stream::unfold(stream, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(web::Bytes::from(text)), stream))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        // Proxies that collect answers would hold back what happens now.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events))
}

struct Stream {
    watcher: Watcher,
    only: Option<ApplianceId>,
    greeted: bool,
}

impl Stream {
    /// The next stretch of the answer; `None` at its end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(format!("retry: {RETRY}\n\n"));
        }
        match tokio::time::timeout(HEARTBEAT, self.watcher.next()).await {
            Err(_) => Some(": still here\n\n".to_owned()),
            Ok(news) => Some(self.write(news?)),
        }
    }

    fn write(&self, news: News) -> String {
        match news {
            News::Reset(place) => format!("event: reset\nid: {place}\ndata: {{}}\n\n"),
            News::Changes(changes) => {
                let wanted = |change: &Change| {
                    self.only.as_ref().is_none_or(|only| *only == change.appliance)
                };
                let (mut text, last) = (String::new(), changes.last().map(|(place, _)| *place));
                for (place, change) in changes.iter().filter(|(_, change)| wanted(change)) {
                    text += &write(*place, change);
                }
                if let (true, Some(last)) = (text.is_empty(), last) {
                    // Nothing for this one, but it need not go back behind it.
                    text = format!("id: {last}\n\n");
                }
                text
            }
        }
    }
}

fn write(place: Place, change: &Change) -> String {
    let event = Event::new(change);
    let data = serde_json::to_value(&event).unwrap_or_default();
    let kind = data["kind"].as_str().unwrap_or("message");
    format!("event: {kind}\nid: {place}\ndata: {data}\n\n")
}

impl Event {
    fn new(change: &Change) -> Self {
        let (appliance, at) = (change.appliance.clone(), change.at.to_string());
        Self { appliance, at, what: Kind::new(&change.what) }
    }
}

impl Kind {
    fn new(what: &What) -> Self {
        match what.clone() {
            What::Added => Self::Added,
            What::Removed => Self::Removed,
            What::Presence { online } => Self::Presence { online },
            What::Session { state, since, reason } => {
                Self::Session { state: state.into(), since: since.to_string(), reason }
            }
            What::Dialogue { state, dialog_request_id, utterance } => Self::Dialogue {
                state: state.into(),
                dialog_request_id: dialog_request_id.map(|id| id.to_string()),
                utterance: utterance.map(|id| id.to_string()),
            },
            What::Understood { utterance, text } => {
                Self::Understood { utterance: utterance.to_string(), text }
            }
            What::Captured { utterance, reason, text } => {
                Self::Captured { utterance: utterance.to_string(), reason: reason.into(), text }
            }
            What::Directive { namespace, name, dialog_request_id } => Self::Directive {
                namespace,
                name,
                dialog_request_id: dialog_request_id.map(|id| id.to_string()),
            },
            What::Alert(action, alert) => Self::Alert {
                action: action.into(),
                token: alert.token.to_string(),
                r#type: alert.kind.into(),
                scheduled_time: alert.scheduled_time.to_string(),
            },
            What::Alerts { count } => Self::Alerts { count },
            What::Focus(places) => Self::Focus(places.into()),
            What::Error(error) => {
                let (topic, code, message) = (error.topic, error.code.into(), error.message);
                Self::Error { topic: topic.into(), code, message }
            }
        }
    }
}
