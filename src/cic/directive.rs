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
