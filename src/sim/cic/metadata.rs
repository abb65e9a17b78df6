//! The JSON part of an event, checked against the guide (transport 6).

use serde_json::{Map, Value};

use super::{state::State, strict};
use crate::{cic::names, mqtt::native::check_initiator};

/// Why an event is answered with `400`.
pub(super) type Wrong = String;

/// An event whose first attempt was taken.
pub(super) const REPEATED: &str = "messageId was used before";

/// What stands in the JSON part.
pub(super) struct Metadata {
    /// `Namespace.Name`.
    pub(super) name: String,
    /// `header.messageId`.
    pub(super) message_id: String,
    pub(super) dialogue: Option<String>,
    pub(super) payload: Value,
    pub(super) context: Value,
}

impl Metadata {
    /// Reads and checks it.
    pub(super) fn check(text: &[u8], state: &State) -> Result<Self, Wrong> {
        let mut value: Value =
            serde_json::from_slice(text).map_err(|error| format!("metadata: {error}"))?;
        only(object(&value, "metadata")?, "metadata", &["context", "event"])?;
        let context = value.get_mut("context").map(Value::take).unwrap_or_default();
        strict::check_context(context.as_array().ok_or("context must be an array")?)?;
        let mut event = value.get_mut("event").map(Value::take).ok_or("event is missing")?;
        only(object(&event, "event")?, "event", &["header", "payload"])?;
        let payload = event.get_mut("payload").map(Value::take).unwrap_or_default();
        object(&payload, "payload")?;
        let header = object(&event["header"], "header")?;
        let known = ["namespace", "name", "messageId", "dialogRequestId"];
        only(header, "header", &known)?;
        let namespace = field(header, "namespace")?.ok_or("header.namespace is missing")?;
        let name = field(header, "name")?.ok_or("header.name is missing")?;
        let message_id = field(header, "messageId")?.ok_or("header.messageId is missing")?;
        let dialogue = field(header, "dialogRequestId")?.map(str::to_owned);
        if names::known_event(namespace, name).is_none() {
            return Err(format!("there is no event {namespace}.{name}"));
        }
        if state.knows_message(message_id) {
            return Err(REPEATED.into());
        }
        let (name, message_id) = (format!("{namespace}.{name}"), message_id.to_owned());
        let metadata = Self { name, message_id, dialogue, payload, context };
        if metadata.alerts().is_null() {
            return Err("context Alerts.AlertsState is missing".into());
        }
        metadata.check_dialogue(state)?;
        strict::check_event(&metadata.name, &metadata.payload)?;
        Ok(metadata)
    }

    /// Whether it is a request of the user, which has a dialogue id.
    pub(super) fn is_recognize(&self) -> bool {
        self.is_speech() || self.name == "TextRecognizer.Recognize"
    }

    /// Whether audio follows.
    pub(super) fn is_speech(&self) -> bool {
        self.name == "SpeechRecognizer.Recognize"
    }

    /// `Alerts.AlertsState`, which every event carries (alerts 1).
    pub(super) fn alerts(&self) -> &Value {
        self.object("Alerts", "AlertsState")
    }

    /// The payload of a context object; `null` when it is not there.
    pub(super) fn object(&self, namespace: &str, name: &str) -> &Value {
        let mut objects = self.context.as_array().into_iter().flatten();
        let found = objects.find(|object| {
            object["header"]["namespace"] == namespace && object["header"]["name"] == name
        });
        found.map_or(&Value::Null, |object| &object["payload"])
    }

    fn check_dialogue(&self, state: &State) -> Result<(), Wrong> {
        match (self.is_recognize(), &self.dialogue) {
            (true, None) => return Err("Recognize without dialogRequestId".into()),
            (false, Some(_)) => return Err(format!("{} carries a dialogRequestId", self.name)),
            (false, None) => return Ok(()),
            (true, Some(_)) => {}
        }
        if let Some(id) = self.payload.get("speechId") {
            let known = id.as_str().is_some_and(|id| state.question(id).is_some());
            if !known || !self.payload["explicit"].is_boolean() {
                return Err("speechId or explicit do not fit an ExpectSpeech".into());
            }
        }
        match self.payload.get("initiator").and_then(Value::as_object) {
            Some(initiator) => check_initiator(initiator),
            None => Ok(()),
        }
    }
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, Wrong> {
    value.as_object().ok_or_else(|| format!("{name} must be an object"))
}

/// Names that the guide does not know are slips of the pen (`events`, `dialogRequestID`).
fn only(object: &Map<String, Value>, what: &str, known: &[&str]) -> Result<(), Wrong> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{what} has no field {name}")),
        None => Ok(()),
    }
}

fn field<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Wrong> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("header.{name} must be a text")),
    }
}
