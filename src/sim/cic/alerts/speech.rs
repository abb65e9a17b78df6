//! What users hear of their alerts: recordings that are built in, whatever the scenario.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Content;
use crate::{
    appliance::alerts::AlertKind,
    ids::random_uuid,
    sim::cic::{
        reply::speak,
        scenario::embedded,
        wire::{self, Part},
    },
};

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim::cic) enum Said {
    /// It is set.
    Set(AlertKind),
    /// It could not be set.
    Failed,
    /// It is stopped.
    Stopped(Option<AlertKind>),
    /// It is deleted.
    Deleted,
}

impl Said {
    fn recording(self) -> &'static str {
        match self {
            Self::Set(AlertKind::Timer) => "answers/timer-set.mp3",
            Self::Set(_) => "answers/alert-set.mp3",
            Self::Failed => "answers/alert-failed.mp3",
            Self::Stopped(Some(AlertKind::Timer)) => "answers/timer-stopped.mp3",
            Self::Stopped(_) => "answers/alert-stopped.mp3",
            Self::Deleted => "answers/alert-deleted.mp3",
        }
    }

    /// A Speak with its attachment.
    pub(in crate::sim::cic) fn parts(self, dialogue: &str) -> [Part; 2] {
        let id = random_uuid();
        let mp3 = Bytes::from_static(embedded(self.recording()).unwrap_or_default());
        [Part::Directive(speak(Some(dialogue), &id)), Part::Attachment(id, mp3)]
    }
}

/// Clova.RenderTemplate, which shows the new alert (templates).
pub(super) fn template(content: &Content, dialogue: &str) -> Value {
    let text = |value: &str| json!({"type": "string", "value": value});
    let mut payload = json!({
        "token": text(&content.token),
        "scheduledTime": {"type": "datetime", "value": content.time},
    });
    let label = content.label.as_deref().unwrap_or_default();
    payload["type"] = match content.kind {
        AlertKind::Timer => "Timer",
        AlertKind::Alarm => "Alarm",
        AlertKind::Reminder => "Reminder",
        AlertKind::ActionTimer => "ActionTimer",
    }
    .into();
    if content.kind != AlertKind::Timer {
        payload["repeatPeriod"] = text("");
        payload["repeatDay"] = json!([]);
    }
    match content.kind {
        AlertKind::Reminder => {
            (payload["content"], payload["label"]) = (text(label), text(label));
            payload["status"] = text("TODO");
        }
        AlertKind::ActionTimer => {
            (payload["action"], payload["label"]) = (text(""), text(label));
        }
        AlertKind::Timer | AlertKind::Alarm => {}
    }
    wire::directive("Clova", "RenderTemplate", Some(dialogue), payload)
}
