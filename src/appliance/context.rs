//! The context of every event (context chapter). Pure; called by the core.
//!
//! Holds what the appliance reported, and adds what the gateway keeps by itself. Bounded, because
//! an appliance may report what it likes.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::message::ContextReport;
use crate::cic::event::ContextObject;

/// Context objects an appliance may report.
const MAX_OBJECTS: usize = 32;
/// All their payloads together, bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Contexts that the gateway keeps by itself; ignored in `up/state`.
const OWN: [(&str, &str); 3] = [
    ("Alerts", "AlertsState"),
    ("AudioPlayer", "PlaybackState"),
    ("SpeechSynthesizer", "SpeechState"),
];

/// Why a reported context was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The gateway keeps it by itself.
    Own,
    /// The appliance has reported too many, or too large ones.
    Full,
}

/// What the gateway keeps by itself, as it was at one moment: an event that had to wait is sent
/// with these as they were when it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnContexts {
    /// `Alerts.AlertsState`.
    #[serde(rename = "Alerts.AlertsState")]
    pub alerts: Arc<RawValue>,
    /// `SpeechSynthesizer.SpeechState`; none before the first Speak.
    #[serde(
        rename = "SpeechSynthesizer.SpeechState",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub speech: Option<Arc<RawValue>>,
    /// `AudioPlayer.PlaybackState`.
    #[serde(
        rename = "AudioPlayer.PlaybackState",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub playback: Option<Arc<RawValue>>,
}

/// What an appliance reported, by `Namespace.Name`.
#[derive(Debug, Default)]
pub struct Contexts {
    objects: BTreeMap<(String, String), Box<RawValue>>,
    bytes: usize,
}

impl Contexts {
    /// Takes one report; it replaces the one of the same name.
    ///
    /// # Errors
    /// When it is not for the appliance to report, or a bound is reached.
    pub fn take(&mut self, report: ContextReport) -> Result<(), NotTaken> {
        if OWN.contains(&(report.namespace.as_str(), report.name.as_str())) {
            return Err(NotTaken::Own);
        }
        let name = (report.namespace, report.name);
        let old = self.objects.get(&name).map(|payload| payload.get().len());
        let bytes = self.bytes - old.unwrap_or(0) + report.payload.get().len();
        if bytes > MAX_BYTES || (old.is_none() && self.objects.len() >= MAX_OBJECTS) {
            return Err(NotTaken::Full);
        }
        self.bytes = bytes;
        self.objects.insert(name, report.payload);
        Ok(())
    }

    /// Every context object: the reported ones and the gateway's own.
    pub fn assemble<'a>(&'a self, own: &'a OwnContexts) -> Vec<ContextObject<'a>> {
        let reported = self.objects.iter().map(|((namespace, name), payload)| ContextObject {
            namespace,
            name,
            payload,
        });
        let object = |namespace, name, payload| ContextObject { namespace, name, payload };
        let alerts = object("Alerts", "AlertsState", &*own.alerts);
        let speech = own.speech.as_deref();
        let speech = speech.map(|payload| object("SpeechSynthesizer", "SpeechState", payload));
        let playback = own.playback.as_deref();
        let playback = playback.map(|payload| object("AudioPlayer", "PlaybackState", payload));
        reported.chain(std::iter::once(alerts)).chain(playback).chain(speech).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(namespace: &str, name: &str, payload: &str) -> ContextReport {
        ContextReport {
            namespace: namespace.into(),
            name: name.into(),
            payload: RawValue::from_string(payload.into()).unwrap(),
        }
    }

    #[test]
    fn a_report_replaces_the_one_of_the_same_name_and_leaves_the_others() {
        let mut contexts = Contexts::default();
        contexts.take(report("Speaker", "VolumeState", r#"{"volume":1}"#)).unwrap();
        contexts.take(report("Device", "Display", r#"{"size":"none"}"#)).unwrap();
        contexts.take(report("Speaker", "VolumeState", r#"{"volume":2}"#)).unwrap();
        let raw = |text: &str| Arc::from(RawValue::from_string(text.into()).unwrap());
        let own = OwnContexts {
            alerts: raw(r#"{"allAlerts":[]}"#),
            speech: Some(raw(r#"{"token":"t"}"#)),
            playback: Some(raw(r#"{"playerActivity":"IDLE"}"#)),
        };
        let all: Vec<_> = contexts
            .assemble(&own)
            .iter()
            .map(|c| format!("{}.{} {}", c.namespace, c.name, c.payload.get()))
            .collect();
        assert_eq!(
            all,
            [
                r#"Device.Display {"size":"none"}"#,
                r#"Speaker.VolumeState {"volume":2}"#,
                r#"Alerts.AlertsState {"allAlerts":[]}"#,
                r#"AudioPlayer.PlaybackState {"playerActivity":"IDLE"}"#,
                r#"SpeechSynthesizer.SpeechState {"token":"t"}"#
            ]
        );
    }

    #[test]
    fn the_gateways_own_contexts_are_refused() {
        for (namespace, name) in OWN {
            assert_eq!(Contexts::default().take(report(namespace, name, "{}")), Err(NotTaken::Own));
        }
    }

    #[test]
    fn an_appliance_cannot_grow_its_context_without_bound() {
        let mut contexts = Contexts::default();
        let taken =
            (0..100).filter(|n| contexts.take(report("X", &format!("C{n}"), "{}")).is_ok()).count();
        assert_eq!(taken, MAX_OBJECTS);
        let huge = format!("{:?}", "x".repeat(MAX_BYTES));
        assert_eq!(contexts.take(report("X", "C0", &huge)), Err(NotTaken::Full));
    }
}
