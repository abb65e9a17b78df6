//! What appliances get.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::MAX_AUDIO_DOWN;
use crate::{
    appliance::{
        alerts::{Alert, AlertAction},
        message::{About, Down, InputError},
    },
    ids::{ApplianceId, MessageId, Token},
    mqtt::{Publication, Qos},
};

/// Writes a message, as one publication or (audio) several; pushes them onto `out` in order.
pub fn encode(root: &str, appliance: &ApplianceId, down: &Down, out: &mut Vec<Publication>) {
    let prefix = format!("{root}/{appliance}/down");
    if let Down::Audio { content_id, data } = down {
        return encode_audio(&format!("{prefix}/audio/{content_id}"), data, out);
    }
    if let Down::Firmware { topic, payload } = down {
        let (topic, payload) = (format!("{root}/{appliance}/{topic}"), payload.clone());
        return out.push(Publication { topic, payload, qos: Qos::AtLeastOnce, retain: false });
    }
    let (name, payload) = describe(down);
    let retain = matches!(down, Down::Session { .. });
    let topic = format!("{prefix}/{name}");
    out.push(Publication { topic, payload: payload.into(), qos: Qos::AtLeastOnce, retain });
}

/// Has the broker forget what an appliance's session was.
pub fn cleared_session(root: &str, appliance: &ApplianceId) -> Publication {
    let topic = format!("{root}/{appliance}/down/session");
    Publication { topic, payload: Bytes::new(), qos: Qos::AtLeastOnce, retain: true }
}

fn encode_audio(topic: &str, data: &Bytes, out: &mut Vec<Publication>) {
    let mut rest = data.clone();
    loop {
        let payload = rest.split_to(rest.len().min(MAX_AUDIO_DOWN));
        let topic = topic.to_owned();
        out.push(Publication { topic, payload, qos: Qos::AtLeastOnce, retain: false });
        if rest.is_empty() {
            return;
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectiveJson<'a> {
    namespace: &'a str,
    name: &'a str,
    message_id: &'a MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialog_request_id: Option<&'a str>,
    payload: &'a RawValue,
    attachments: Vec<Value>,
}

/// Topic and JSON of everything but audio.
fn describe(down: &Down) -> (&'static str, String) {
    match down {
        Down::Session { state, since, reason } => {
            let since = since.round(jiff::Unit::Millisecond).unwrap_or(*since).to_string();
            let state = state.as_str();
            (
                "session",
                object([
                    ("state", json!(state)),
                    ("since", json!(since)),
                    ("reason", json!(reason)),
                ]),
            )
        }
        Down::Dialogue { state, dialog_request_id, utterance } => {
            let state = ("state", json!(state.as_str()));
            let id = ("dialogRequestId", json!(dialog_request_id));
            ("dialogue", object([state, id, ("utterance", json!(utterance))]))
        }
        Down::CaptureStop { utterance, reason, recognized_text } => {
            let what = [("action", json!("stop")), ("utterance", json!(utterance))];
            let why =
                [("reason", json!(reason.as_str())), ("recognizedText", json!(recognized_text))];
            ("capture", object(what.into_iter().chain(why)))
        }
        Down::CaptureListen { timeout_in_milliseconds, explicit, expect_speech_id } => {
            let what = [
                ("action", json!("listen")),
                ("timeoutInMilliseconds", json!(timeout_in_milliseconds)),
            ];
            let why = [("explicit", json!(explicit)), ("expectSpeechId", json!(expect_speech_id))];
            ("capture", object(what.into_iter().chain(why)))
        }
        Down::Text { utterance, text } => {
            ("text", object([("utterance", json!(utterance)), ("text", json!(text))]))
        }
        Down::Directive { directive, attachments } => {
            let described = attachments.iter().map(|attachment| {
                json!({"contentId": attachment.content_id, "contentType": attachment.content_type})
            });
            let json = DirectiveJson {
                namespace: &directive.namespace,
                name: &directive.name,
                message_id: &directive.message_id,
                dialog_request_id: directive.dialog_request_id.as_ref().map(|id| id.as_str()),
                payload: &directive.payload,
                attachments: described.collect(),
            };
            ("directive", serde_json::to_string(&json).expect("texts and raw JSON always encode"))
        }
        Down::Cancel { dialog_request_id, tokens } => {
            let id = ("dialogRequestId", json!(dialog_request_id));
            ("cancel", object([id, ("tokens", json!(tokens))]))
        }
        Down::Focus(places) => {
            let places = places
                .iter()
                .map(|(channel, place)| (channel.as_str(), Value::from(place.as_str())));
            ("focus", object(places))
        }
        Down::Alert(action, alert) => ("alert", describe_alert(*action, alert)),
        Down::Error(error) => ("error", describe_error(error)),
        Down::Audio { .. } | Down::Firmware { .. } => ("", String::new()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertJson<'a> {
    action: &'a str,
    token: &'a Token,
    r#type: &'a str,
    scheduled_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assets: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_play_order: Option<&'a RawValue>,
}

fn describe_alert(action: AlertAction, alert: &Alert) -> String {
    let json = AlertJson {
        action: action.as_str(),
        token: &alert.token,
        r#type: alert.kind.as_str(),
        scheduled_time: &alert.scheduled_time,
        label: alert.label.as_deref(),
        assets: alert.assets.as_deref(),
        asset_play_order: alert.asset_play_order.as_deref(),
    };
    serde_json::to_string(&json).expect("texts and raw JSON always encode")
}

fn describe_error(error: &InputError) -> String {
    let About { utterance, message_id, token, content_id } = &error.about;
    object([
        ("topic", json!(error.topic)),
        ("code", json!(error.code.as_str())),
        ("message", json!(error.message)),
        ("utterance", json!(utterance)),
        ("messageId", json!(message_id)),
        ("token", json!(token)),
        ("contentId", json!(content_id)),
    ])
}

/// A JSON object of the fields that have a value.
fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    let object: Map<String, Value> =
        present.map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(object).to_string()
}
