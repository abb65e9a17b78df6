//! Texts of which there are only a few, in bodies. The description lists what the code can say.

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::{
    appliance::{
        alerts::{AlertAction, AlertKind, Phase},
        focus::Place,
        message::{DialogueState, ErrorCode, SessionState, StopReason},
    },
    store::provision::LANGS,
};

fn one_of(texts: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(texts)).build().into()
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($of:ty) = $all:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize)]
        #[serde(transparent)]
        pub struct $name(&'static str);

        impl From<$of> for $name {
            fn from(of: $of) -> Self {
                Self(of.as_str())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of($all.into_iter().map(|of: $of| of.as_str()))
            }
        }

        impl ToSchema for $name {}
    )*};
}

words! {
    /// `down/session` `state`.
    SessionWord(SessionState) = SessionState::ALL;
    /// `down/dialogue` `state`.
    DialogueWord(DialogueState) = DialogueState::ALL;
    /// `down/capture stop` `reason`.
    StopWord(StopReason) = StopReason::ALL;
    /// `down/error` `code`.
    CodeWord(ErrorCode) = ErrorCode::ALL.iter().copied();
    /// How a channel sounds.
    PlaceWord(Place) = [Place::Foreground, Place::Background, Place::None];
    /// `type` of an alert.
    AlertKindWord(AlertKind) = AlertKind::ALL.iter().copied();
    /// What has become of an alert that an appliance has.
    AlertStateWord(Phase) = [Phase::Set, Phase::Ringing, Phase::Stopped];
    /// `down/alert` `action`.
    AlertActionWord(AlertAction) =
        [AlertAction::Set, AlertAction::Ring, AlertAction::Stop, AlertAction::Delete];
}

/// A language that CLOVA understands.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct LangWord(pub String);

impl TryFrom<String> for LangWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match LANGS.contains(&text.as_str()) {
            true => Ok(Self(text)),
            false => Err(format!("lang must be one of {}", LANGS.join(", "))),
        }
    }
}

impl PartialSchema for LangWord {
    fn schema() -> RefOr<Schema> {
        one_of(LANGS)
    }
}

impl ToSchema for LangWord {}
