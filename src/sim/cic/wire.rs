//! Writes multipart as CIC does (transport 8.2).

use bytes::Bytes;
use h2::SendStream;
use serde_json::{Value, json};

use crate::ids::random_uuid;

/// A boundary, and the parts that are written with it.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Writer(String);

impl Writer {
    pub(in crate::sim) fn new() -> Self {
        Self(format!("dc-{}", random_uuid()))
    }

    pub(in crate::sim) fn content_type(&self) -> String {
        format!("multipart/related; boundary={};", self.0)
    }

    pub(in crate::sim) fn opening(&self) -> Bytes {
        format!("--{}", self.0).into()
    }

    /// A part, with the delimiter that follows it at once.
    pub(in crate::sim) fn part(&self, part: &Part) -> Bytes {
        let boundary = &self.0;
        let (head, body) = match part {
            Part::Directive(directive) => (
                format!(
                    "Content-Disposition: form-data; name=\"directive-{}\"\r\n\
                     Content-Type: application/json; charset=utf-8",
                    random_uuid()
                ),
                Bytes::from(directive.to_string()),
            ),
            Part::Attachment(id, body) => (
                format!(
                    "Content-Disposition: form-data; name=\"attachment-{}\"\r\n\
                     Content-ID: {id}\r\nContent-Type: application/octet-stream",
                    random_uuid()
                ),
                body.clone(),
            ),
        };
        [b"\r\n", head.as_bytes(), b"\r\n\r\n", &body, b"\r\n--", boundary.as_bytes()]
            .concat()
            .into()
    }

    /// The delimiter behind a part, as [`Writer::part`] ends with it.
    pub(super) fn delimiter(&self) -> Bytes {
        format!("\r\n--{}", self.0).into()
    }

    pub(super) fn closing(&self) -> Bytes {
        Bytes::from_static(b"--\r\n")
    }
}

/// One part of an answer.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Part {
    Directive(Value),
    Attachment(String, Bytes),
}

/// A directive with a fresh message id.
pub(in crate::sim) fn directive(
    namespace: &str,
    name: &str,
    dialogue: Option<&str>,
    payload: Value,
) -> Value {
    let mut header = json!({"namespace": namespace, "name": name, "messageId": random_uuid()});
    if let Some(dialogue) = dialogue {
        header["dialogRequestId"] = dialogue.into();
    }
    json!({"directive": {"header": header, "payload": payload}})
}

/// The body of an error response (transport 10).
pub(super) fn exception(status: u16, description: &str) -> Value {
    let payload = json!({"code": status, "description": description});
    directive("System", "Exception", None, payload)
}

/// Writes bytes as flow control lets them through.
pub(crate) async fn write(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    end: bool,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let granted = match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
            // An empty DATA frame is a fault of its own.
            Some(Ok(0)) => continue,
            Some(granted) => granted?,
            None => return Err(h2::Reason::CANCEL.into()),
        };
        let piece = data.split_to(granted.min(data.len()));
        let last = end && data.is_empty();
        stream.send_data(piece, last)?;
    }
    Ok(())
}
