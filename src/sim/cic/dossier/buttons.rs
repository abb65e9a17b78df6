//! PlaybackController: buttons, pressed by the user or at CIC's wish, and the directives that do
//! what they say (flows 5).

use serde_json::{Value, json};

use super::{super::metadata::Wrong, Dossier, foreign, text};

/// Directives that press a button, and its event.
const PRESSED: &[(&str, &str)] = &[
    ("ExpectNextCommand", "NextCommandIssued"),
    ("ExpectPauseCommand", "PauseCommandIssued"),
    ("ExpectPlayCommand", "PlayCommandIssued"),
    ("ExpectPreviousCommand", "PreviousCommandIssued"),
    ("ExpectResumeCommand", "ResumeCommandIssued"),
    ("ExpectStopCommand", "StopCommandIssued"),
];

impl Dossier {
    pub(super) fn note_control(&mut self, name: &str, payload: &Value) {
        let pressed = PRESSED.iter().find(|(directive, _)| *directive == name);
        if let Some((_, event)) = pressed {
            // What must be copied: `target` as `source`, or all of what is to be played.
            let about = match name {
                "ExpectPlayCommand" => {
                    json!({"token": payload["token"], "handover": payload["handover"]})
                }
                _ => json!({"namespace": payload["target"]["namespace"]}),
            };
            self.pressed.add(event, about);
        }
    }

    /// A button: what was to be copied must have been, and a press of the user's own names no
    /// source that nobody has named.
    pub(super) fn press(&mut self, name: &str, payload: &Value) -> Result<Vec<Value>, Wrong> {
        let copied = |about: &Value| match name {
            "PlayCommandIssued" => {
                about["token"] == payload["token"] && about["handover"] == payload["handover"]
            }
            _ => about["namespace"] == payload["source"]["namespace"],
        };
        if self.pressed.has(name) && self.pressed.settle(name, copied).is_none() {
            return Err(format!("{name} does not repeat what its Expect... directive says"));
        }
        let target = match payload.get("source") {
            Some(source) => json!({ "target": source }),
            None => json!({}),
        };
        let control = |name: &str, payload: Value| foreign("PlaybackController", name, payload);
        Ok(match name {
            "PauseCommandIssued" => vec![control("Pause", target)],
            "ResumeCommandIssued" => vec![control("Resume", target)],
            "StopCommandIssued" => vec![control("Stop", target)],
            "NextCommandIssued" => vec![control("Next", json!({}))],
            "PreviousCommandIssued" => vec![control("Previous", json!({}))],
            "SetRepeatModeCommandIssued" => {
                vec![control("SetRepeatMode", json!({"repeatMode": payload["repeatMode"]}))]
            }
            "PlayCommandIssued" => match text(payload, "token") {
                "" => Vec::new(),
                token => vec![self.streams.play_again(token)],
            },
            _ => Vec::new(),
        })
    }
}
