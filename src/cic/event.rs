//! The JSON part of an event (transport 6): context, header, payload. Pure; called by the core.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ids::{DialogRequestId, MessageId};

/// One context object, ready to be sent.
#[derive(Debug, Clone)]
pub struct ContextObject<'a> {
    /// `header.namespace`.
    pub namespace: &'a str,
    /// `header.name`.
    pub name: &'a str,
    /// `payload`.
    pub payload: &'a RawValue,
}

/// An event, ready to be encoded.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// `header.namespace`.
    pub namespace: &'a str,
    /// `header.name`.
    pub name: &'a str,
    /// `header.messageId`.
    pub message_id: &'a MessageId,
    /// `header.dialogRequestId`, only with the two Recognize events.
    pub dialog_request_id: Option<&'a DialogRequestId>,
    /// `payload`.
    pub payload: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialog_request_id: Option<&'a DialogRequestId>,
}

#[derive(Serialize)]
struct Body<'a> {
    header: Header<'a>,
    payload: &'a RawValue,
}

#[derive(Serialize)]
struct Envelope<'a> {
    context: Vec<Body<'a>>,
    event: Body<'a>,
}

/// Encodes the `metadata` part.
pub fn encode(context: &[ContextObject<'_>], event: &Event<'_>) -> Bytes {
    let context = context.iter().map(|object| {
        let (namespace, name) = (object.namespace, object.name);
        let header = Header { namespace, name, message_id: None, dialog_request_id: None };
        Body { header, payload: object.payload }
    });
    let header = Header {
        namespace: event.namespace,
        name: event.name,
        message_id: Some(event.message_id),
        dialog_request_id: event.dialog_request_id,
    };
    let event = Body { header, payload: event.payload };
    let envelope = Envelope { context: context.collect(), event };
    serde_json::to_vec(&envelope).expect("texts and raw JSON always encode").into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_has_the_shape_of_the_guides_examples() {
        let payload = RawValue::from_string(r#"{"token":"t"}"#.into()).unwrap();
        let volume = RawValue::from_string(r#"{"volume":1}"#.into()).unwrap();
        let context =
            [ContextObject { namespace: "Speaker", name: "VolumeState", payload: &volume }];
        let event = Event {
            namespace: "TextRecognizer",
            name: "Recognize",
            message_id: &"m".into(),
            dialog_request_id: Some(&"d".into()),
            payload: &payload,
        };
        let encoded: Value = serde_json::from_slice(&encode(&context, &event)).unwrap();
        let want = json!({
            "context": [{"header": {"namespace": "Speaker", "name": "VolumeState"}, "payload": {"volume": 1}}],
            "event": {
                "header": {"namespace": "TextRecognizer", "name": "Recognize", "messageId": "m", "dialogRequestId": "d"},
                "payload": {"token": "t"},
            },
        });
        assert_eq!(encoded, want);
        let event = Event { dialog_request_id: None, ..event };
        let encoded: Value = serde_json::from_slice(&encode(&[], &event)).unwrap();
        assert_eq!(encoded["event"]["header"].get("dialogRequestId"), None);
        assert_eq!(encoded["context"], json!([]));
    }
}
