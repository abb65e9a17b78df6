//! The JSON part of an event (transport 6): context, header, payload.

use bytes::Bytes;
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

/// Encodes the `metadata` part.
pub fn encode(_context: &[ContextObject<'_>], _event: &Event<'_>) -> Bytes {
    unimplemented!()
}
