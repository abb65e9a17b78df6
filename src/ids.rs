//! The names of things: newtypes for every identifier that crosses a module border.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Why a text cannot be an appliance id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApplianceId {
    /// Empty, or longer than 64 bytes.
    #[error("an appliance id has 1 to 64 characters, this one has {0}")]
    Length(usize),
    /// A character outside `A-Z a-z 0-9 _ -`.
    #[error("an appliance id consists of A-Z a-z 0-9 _ -, this one contains {0:?}")]
    Character(char),
    /// `gateway` names the gateway's own topics.
    #[error("\"gateway\" is reserved for the gateway itself")]
    Reserved,
}

/// The appliance id `{a}` of the MQTT topics: 1 to 64 of `A-Z a-z 0-9 _ -`, not `gateway`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ApplianceId(Arc<str>);

impl ApplianceId {
    /// Checks and keeps an appliance id.
    pub fn parse(text: &str) -> Result<Self, InvalidApplianceId> {
        if text.is_empty() || text.len() > 64 {
            return Err(InvalidApplianceId::Length(text.chars().count()));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '-';
        if let Some(bad) = text.chars().find(|c| !allowed(c)) {
            return Err(InvalidApplianceId::Character(bad));
        }
        if text == "gateway" {
            return Err(InvalidApplianceId::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ApplianceId {
    type Err = InvalidApplianceId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for ApplianceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ApplianceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ApplianceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ApplianceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident($text:ty)) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($text);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// CIC's `dialogRequestId`: names one request of the user and everything that answers it.
    DialogRequestId(Arc<str>)
}
text_id! {
    /// CIC's `messageId` of one event or directive.
    MessageId(Arc<str>)
}
text_id! {
    /// The appliance's own name for one recording of the user speaking. Each audio message has
    /// it: a short one is kept in place.
    UtteranceId(SmolStr)
}
text_id! {
    /// `Content-ID` of an attachment, what follows `cid:` in a directive.
    ContentId(Arc<str>)
}
text_id! {
    /// `token` of a Speak, a stream or an alert.
    Token(Arc<str>)
}
text_id! {
    /// `expectSpeechId` of an ExpectSpeech; goes back to CIC as `speechId`.
    ExpectSpeechId(Arc<str>)
}

/// A new random UUID in the usual text form, for message and dialogue ids.
pub fn random_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appliance_ids_are_checked() {
        for good in ["a", "speaker-1", "Kitchen_TV", &"x".repeat(64)] {
            assert_eq!(ApplianceId::parse(good).map(|id| id.to_string()), Ok(good.to_string()));
        }
        for bad in ["", "gateway", "a/b", "a+", "küche", &"x".repeat(65)] {
            assert!(ApplianceId::parse(bad).is_err(), "{bad}");
        }
    }
}
