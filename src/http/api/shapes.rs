//! The bodies of requests and answers. The description of the API is derived from these.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::words::{
    AlertKindWord, AlertStateWord, CodeWord, DialogueWord, LangWord, PlaceWord, SessionWord,
};

use crate::{
    appliance::{
        alerts,
        focus::{Channel, Places},
        snapshot::Snapshot,
    },
    ids::ApplianceId,
    secret::Secret,
    store,
};

/// Which page of the appliances.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Appliances on a page. Without it all are listed; from `after` on, 100.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// Begin after this id.
    #[param(max_length = 64)]
    pub after: Option<String>,
    /// Only those whose id contains this text; upper and lower case are the same.
    #[param(max_length = 64)]
    pub q: Option<String>,
}

/// A new appliance.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewAppliance {
    /// Its id, also its MQTT user name. `gateway` and the gateway's own names at the broker are
    /// taken.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "kitchen")]
    pub id: ApplianceId,
    /// CLOVA's `model_id`; `generic` when absent.
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00]*$")]
    pub model_id: Option<String>,
    /// Language of its requests; `ko` when absent.
    pub lang: Option<LangWord>,
    /// CLOVA's `device_id`; a random UUID when absent.
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00]*$")]
    pub device_id: Option<String>,
}

/// An appliance that was just added.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ApplianceId,
    /// Its user name at the broker: the id.
    #[schema(value_type = String)]
    pub mqtt_user: ApplianceId,
    /// Its password at the broker. Shown only this once.
    pub mqtt_password: String,
    /// CLOVA's `device_id`.
    pub device_id: String,
    /// CLOVA's `model_id`.
    pub model_id: String,
}

/// An authorization code of CLOVA.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The code.
    #[schema(value_type = String, min_length = 1)]
    pub code: Secret,
}

/// A typed request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// What to ask; not only white space.
    #[schema(min_length = 1, pattern = "\\S")]
    pub text: String,
}

/// An appliance: as it was provisioned, and, while this gateway serves it, as it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Appliance {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ApplianceId,
    /// CLOVA's `model_id`.
    pub model_id: String,
    /// Language of its requests.
    pub lang: String,
    /// CLOVA's `device_id`.
    pub device_id: String,
    /// Whether it has tokens of CLOVA.
    pub paired: bool,
    /// When it was added.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Whether it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub online: Option<bool>,
    /// Its session with CLOVA.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session: Option<Session>,
    /// Whose turn it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dialogue: Option<Dialogue>,
    /// How many alerts it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub alerts: Option<usize>,
    /// Events that must not be lost and that CLOVA has not taken yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unsent_events: Option<usize>,
    /// What it was told on `down/error` last, oldest first; at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub errors: Option<Vec<InputError>>,
    /// What sounds how. Not in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub focus: Option<Focus>,
    /// Each context by its `Namespace.Name`, as CLOVA would get it now. Not in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<BTreeMap<String, Object>>)]
    pub context: Option<BTreeMap<String, Box<RawValue>>>,
}

impl Appliance {
    /// What may be shown of an appliance: no secret.
    pub fn new(stored: &store::Appliance, living: Option<Snapshot>, whole: bool) -> Self {
        let mut shown = Self {
            id: stored.id.clone(),
            model_id: stored.model_id.clone(),
            lang: stored.lang.clone(),
            device_id: stored.device_id.clone(),
            paired: stored.tokens.is_some(),
            created_at: stored.created_at.to_string(),
            online: None,
            session: None,
            dialogue: None,
            alerts: None,
            unsent_events: None,
            errors: None,
            focus: None,
            context: None,
        };
        if let Some(living) = living {
            shown.add(living, whole);
        }
        shown
    }

    fn add(&mut self, living: Snapshot, whole: bool) {
        let (state, since, reason) = living.session;
        let (turn, dialogue, utterance) = living.dialogue;
        let text = |id: &str| id.to_owned();
        self.online = Some(living.online);
        self.session = Some(Session { state: state.into(), since: since.to_string(), reason });
        self.dialogue = Some(Dialogue {
            state: turn.into(),
            dialog_request_id: dialogue.map(|id| text(id.as_str())),
            utterance: utterance.map(|id| text(id.as_str())),
        });
        self.alerts = Some(living.alerts.len());
        self.unsent_events = Some(living.unsent_events);
        let errors = living.errors.iter().map(|(at, error)| InputError {
            at: at.to_string(),
            topic: error.topic.to_string(),
            code: error.code.into(),
            message: error.message.clone(),
        });
        self.errors = Some(errors.collect());
        if whole {
            self.focus = Some(living.focus.into());
            self.context = Some(living.context.into_iter().collect());
        }
    }
}

/// Where a session with CLOVA stands.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// Where it stands.
    pub state: SessionWord,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// Why, for a person.
    pub reason: Option<String>,
}

/// Whose turn it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dialogue {
    /// Whose turn it is.
    pub state: DialogueWord,
    /// The dialogue, where there is or was one.
    pub dialog_request_id: Option<String>,
    /// The utterance that is heard.
    pub utterance: Option<String>,
}

/// What an appliance sent and the gateway could not use.
#[derive(Serialize, ToSchema)]
pub struct InputError {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// The topic, from `up/` on.
    pub topic: String,
    /// Machine-readable.
    pub code: CodeWord,
    /// For a person.
    pub message: String,
}

/// What sounds how.
#[derive(Serialize, ToSchema)]
pub struct Focus {
    /// Alarms and timers.
    pub alert: PlaceWord,
    /// The answer that is spoken.
    pub dialogue: PlaceWord,
    /// Music and other media.
    pub content: PlaceWord,
    /// Notifications.
    pub notification: PlaceWord,
}

impl From<Places> for Focus {
    fn from(places: Places) -> Self {
        let of = |channel| places.of(channel).into();
        Self {
            alert: of(Channel::Alert),
            dialogue: of(Channel::Dialogue),
            content: of(Channel::Content),
            notification: of(Channel::Notification),
        }
    }
}

/// An alarm, a timer or a reminder.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its identity.
    pub token: String,
    /// What it is.
    pub r#type: AlertKindWord,
    /// When it rings, as CLOVA wrote it.
    pub scheduled_time: String,
    /// What the user called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub label: Option<String>,
    /// What has become of it.
    pub state: AlertStateWord,
    /// Since when it is in this state.
    #[schema(format = DateTime)]
    pub since: String,
}

impl From<&alerts::Alert> for Alert {
    fn from(alert: &alerts::Alert) -> Self {
        Self {
            token: alert.token.as_str().to_owned(),
            r#type: alert.kind.into(),
            scheduled_time: alert.scheduled_time.to_string(),
            label: alert.label.as_deref().map(str::to_owned),
            state: alert.phase.into(),
            since: alert.since.to_string(),
        }
    }
}

/// All appliances that this gateway serves, in numbers.
#[derive(Serialize, ToSchema)]
pub struct Fleet {
    /// Version of the gateway.
    pub version: &'static str,
    /// How many appliances are in each state of their session; states without any are left out.
    pub sessions: BTreeMap<String, i64>,
    /// How many alerts are in each state.
    pub alerts: BTreeMap<String, i64>,
}
