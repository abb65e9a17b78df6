//! What the cloud has sent one device that it may or must answer, and what the device has reported
//! of it (interfaces, flows 4 to 12). Pure: directives go in as they are sent, events as they come;
//! out come refusals and answers.
//!
//! A directive may be lost on its way, so one that is never answered is no mistake; an answer to
//! what was never asked is one.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the dossier, and which part of it an event concerns |
//! | `playback.rs`, `reports.rs` | streams: what was handed out, merged and reported of each |
//! | `buttons.rs` | PlaybackController: buttons, and what they lead to |
//! | `orders.rs` | DeviceControl, Settings, Clova: orders and their answers |
//! | `speech.rs` | Speaks and what was reported of each |
//! | `display.rs` | TemplateRuntime: tracks that were shown, and what is asked about them |
//! | `owed.rs` | a bounded list of what is to be answered |

mod buttons;
mod display;
mod orders;
mod owed;
mod playback;
mod reports;
mod speech;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{
    metadata::{Metadata, Wrong},
    scenario::Delivery,
    wire,
};
use crate::ids::random_uuid;
use display::Display;
use orders::Orders;
use owed::Owed;
use playback::Streams;
pub use playback::{SeenStream, StreamStage};
use speech::Speaks;

/// All that one device was sent.
#[derive(Debug, Default)]
pub(super) struct Dossier {
    streams: Streams,
    pressed: Owed,
    orders: Orders,
    speaks: Speaks,
    display: Display,
}

impl Dossier {
    /// A directive goes to the device. What is malformed in it is not noted.
    pub(super) fn note(&mut self, directive: &Value) {
        let directive = &directive["directive"];
        let (header, payload) = (&directive["header"], &directive["payload"]);
        let dialogue = header["dialogRequestId"].as_str();
        let name = header["name"].as_str().unwrap_or_default();
        match header["namespace"].as_str().unwrap_or_default() {
            "AudioPlayer" => {
                self.streams.note(name, payload, dialogue);
                self.display.note_play(name, payload);
            }
            "PlaybackController" => self.note_control(name, payload),
            "DeviceControl" | "Settings" | "Clova" => self.orders.note(name, payload),
            "SpeechSynthesizer" => self.speaks.note(name, payload),
            "TemplateRuntime" => self.display.note(name, payload),
            _ => {}
        }
    }

    /// An event of the device; what answers it by itself.
    pub(super) fn take(
        &mut self,
        event: &Metadata,
        deliveries: &[Delivery],
    ) -> Result<Vec<Value>, Wrong> {
        let (namespace, name) = event.name.split_once('.').unwrap_or_default();
        match namespace {
            "AudioPlayer" => self.streams.take(name, event, deliveries),
            "PlaybackController" => self.press(name, &event.payload),
            "DeviceControl" | "Settings" | "Clova" => self.orders.take(name, event),
            "SpeechSynthesizer" => self.speaks.take(name, &event.payload),
            "TemplateRuntime" => self.display.take(name, &event.payload),
            _ => Ok(Vec::new()),
        }
    }

    /// The streams that were handed out, the oldest first.
    pub(super) fn streams(&self) -> Vec<SeenStream> {
        self.streams.view()
    }

    /// A request that the user's app has handed to this device.
    pub(super) fn delegate(&mut self, id: &str, text: &str) {
        self.orders.delegate(id, text);
    }

    /// What was asked in a delegated request, once its result is fetched.
    pub(super) fn delegated(&mut self, id: &str) -> Option<String> {
        self.orders.delegated(id)
    }
}

/// A directive with an id that the client never created, as in the guide's samples
/// (dialogue 2.2).
fn foreign(namespace: &str, name: &str, payload: Value) -> Value {
    wire::directive(namespace, name, Some(&random_uuid()), payload)
}

/// A text of an object; empty if it is none.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
