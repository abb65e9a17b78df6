//! A directive's header, with its payload left raw until somebody acts on it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ids::{DialogRequestId, MessageId};

/// A directive as CIC sent it (transport 7). Unknown fields are tolerated.
#[derive(Debug, Clone)]
pub struct Directive {
    /// `header.namespace`.
    pub namespace: String,
    /// `header.name`.
    pub name: String,
    /// `header.messageId`; empty when CIC left it out.
    pub message_id: MessageId,
    /// `header.dialogRequestId`.
    pub dialog_request_id: Option<DialogRequestId>,
    /// `payload`, untouched; `{}` when absent.
    pub payload: Box<RawValue>,
}

/// Why bytes are no directive.
#[derive(Debug, thiserror::Error)]
pub enum DirectiveError {
    /// Not JSON, not UTF-8, or without the fields that every directive has.
    #[error("not a directive: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The payload is something else than an object.
    #[error("the payload is no object")]
    Payload,
}

#[derive(Deserialize)]
struct Envelope {
    directive: Body,
}

#[derive(Deserialize)]
struct Body {
    header: Header,
    payload: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    namespace: String,
    name: String,
    message_id: Option<String>,
    dialog_request_id: Option<String>,
}

/// Reads a directive.
///
/// # Errors
/// When it cannot be one; it is then skipped by itself.
pub fn decode(bytes: &[u8]) -> Result<Directive, DirectiveError> {
    let Envelope { directive: Body { header, payload } } = serde_json::from_slice(bytes)?;
    let empty = || RawValue::from_string("{}".into()).expect("{} is JSON");
    let payload = payload.unwrap_or_else(empty);
    if !payload.get().starts_with('{') {
        return Err(DirectiveError::Payload);
    }
    Ok(Directive {
        namespace: header.namespace,
        name: header.name,
        message_id: header.message_id.unwrap_or_default().into(),
        dialog_request_id: header.dialog_request_id.map(Into::into),
        payload,
    })
}

impl PartialEq for Directive {
    fn eq(&self, other: &Self) -> bool {
        (&self.namespace, &self.name, &self.message_id, &self.dialog_request_id)
            == (&other.namespace, &other.name, &other.message_id, &other.dialog_request_id)
            && self.payload.get() == other.payload.get()
    }
}

impl Directive {
    /// `Namespace.Name`, as the guide writes it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// Whether it is `namespace.name`.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// Reads the payload into a typed form.
    ///
    /// # Errors
    /// When a field that the type needs is missing or of another type.
    pub fn payload_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_guide_decodes() {
        let mut seen = 0;
        for entry in std::fs::read_dir("tests/cic-examples/directives").unwrap() {
            let path = entry.unwrap().path();
            let directive = decode(&std::fs::read(&path).unwrap());
            assert!(directive.is_ok(), "{}: {directive:?}", path.display());
            seen += 1;
        }
        assert_eq!(seen, 94);
    }

    #[test]
    fn what_is_no_directive_is_refused() {
        let header = r#""header":{"namespace":"Clova","name":"Hello"}"#;
        let rows: [(Vec<u8>, bool); 8] = [
            (format!(r#"{{"directive":{{{header}}}}}"#).into(), true),
            (format!(r#"{{"directive":{{{header},"payload":null}}}}"#).into(), true),
            (format!(r#"{{"directive":{{{header},"payload":{{}},"x":1}},"y":2}}"#).into(), true),
            (format!(r#"{{"directive":{{{header},"payload":[]}}}}"#).into(), false),
            (br#"{"directive":{"header":{"namespace":"Clova"},"payload":{}}}"#.to_vec(), false),
            (br#"{"event":{}}"#.to_vec(), false),
            (b"{\"directive\":{\"header\":{\"namespace\":\"\xff\"".to_vec(), false),
            (b"".to_vec(), false),
        ];
        for (bytes, good) in rows {
            assert_eq!(decode(&bytes).is_ok(), good, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
