//! Steps of a scenario that concern alerts, and which way steps go.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    alerts::Repeat,
    scenario::{named, nothing},
    wire,
};
use crate::appliance::alerts::AlertKind;

/// What is done to alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verb {
    Set,
    Edit,
    Delete,
    Stop,
    Clear,
    Synchronize,
}

/// A step that concerns alerts.
#[derive(Debug)]
pub(super) struct AlertStep {
    pub(super) verb: Verb,
    /// Alerts of this type; without, of all.
    pub(super) kind: Option<AlertKind>,
    pub(super) after: Option<Duration>,
    pub(super) label: Option<String>,
    pub(super) repeat: Option<Repeat>,
    pub(super) action: Vec<Value>,
    /// On the downchannel, as from the app, instead of in the response.
    pub(super) on_channel: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AlertToml {
    alert: Verb,
    #[serde(default, deserialize_with = "kind")]
    r#type: Option<AlertKind>,
    r#in: Option<u32>,
    label: Option<String>,
    every: Option<u32>,
    #[serde(default)]
    new_token: bool,
    #[serde(default)]
    action: Vec<ActionToml>,
    #[serde(default)]
    on: Way,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionToml {
    directive: String,
    payload: Option<Value>,
}

/// Which way a directive goes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    #[default]
    Response,
    Channel,
}

impl AlertToml {
    pub(super) fn build(self) -> AlertStep {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let new_token = self.new_token;
        AlertStep {
            verb: self.alert,
            kind: self.r#type,
            after: self.r#in.map(seconds),
            label: self.label,
            repeat: self.every.map(|every| Repeat { every: seconds(every.max(1)), new_token }),
            action: self.action.into_iter().map(ActionToml::build).collect(),
            on_channel: self.on == Way::Channel,
        }
    }
}

impl ActionToml {
    fn build(self) -> Value {
        let (namespace, name) = named(&self.directive);
        wire::directive(namespace, name, None, self.payload.unwrap_or_else(nothing))
    }
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<AlertKind>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let kind = AlertKind::parse(&text);
    let unknown = || serde::de::Error::custom(format!("there is no type {text}"));
    kind.map(Some).ok_or_else(unknown)
}
