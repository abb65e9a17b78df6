//! Buttons, and the directives that press them from afar. They never act here: CIC is told, and
//! its directive does the work (interfaces, PlaybackController).

use std::collections::BTreeMap;

use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::{
    NotPlayback, Playback,
    fields::{Fields, to_raw},
};
use crate::{clock::Now, ids::Token};

/// A button of the appliance. No event names a `source`: CLOVA chooses what is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Button {
    /// Play, or a chosen track.
    Play(Option<Token>),
    /// Pause.
    Pause,
    /// Resume.
    Resume,
    /// Stop.
    Stop,
    /// Next track.
    Next,
    /// Previous track.
    Previous,
    /// Repeat this track, or no longer. The guide lets a device change its own mode and show it in
    /// the context; here no button acts locally, so CIC is told the mode that is wanted, and its
    /// SetRepeatMode sets it.
    Repeat,
    /// A custom shortcut, by its name at CIC, for example `CUSTOM_BUTTON_2`.
    Custom(String),
}

/// A button was pressed while CIC is away: nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("CIC is not connected")]
pub struct NotConnected;

/// Directives that press a button, and the event of that button.
const PRESSED: [(&str, &str); 5] = [
    ("ExpectPauseCommand", "PauseCommandIssued"),
    ("ExpectResumeCommand", "ResumeCommandIssued"),
    ("ExpectStopCommand", "StopCommandIssued"),
    ("ExpectNextCommand", "NextCommandIssued"),
    ("ExpectPreviousCommand", "PreviousCommandIssued"),
];

impl Playback {
    /// Tells CIC of a button.
    ///
    /// # Errors
    /// When CIC is away: a button is not kept.
    pub fn press(&mut self, button: &Button, now: Now) -> Result<(), NotConnected> {
        self.catch_up(now);
        self.settle();
        if !self.is_connected {
            return Err(NotConnected);
        }
        self.press_now(button, now);
        Ok(())
    }

    fn press_now(&mut self, button: &Button, now: Now) {
        let other_mode = if self.repeat_one { "NONE" } else { "REPEAT_ONE" };
        let (name, payload) = match button {
            Button::Play(Some(token)) => ("PlayCommandIssued", json!({ "token": token })),
            Button::Play(None) | Button::Resume => ("ResumeCommandIssued", json!({})),
            Button::Pause => ("PauseCommandIssued", json!({})),
            Button::Stop => ("StopCommandIssued", json!({})),
            Button::Next => ("NextCommandIssued", json!({})),
            Button::Previous => ("PreviousCommandIssued", json!({})),
            Button::Repeat => ("SetRepeatModeCommandIssued", json!({ "repeatMode": other_mode })),
            Button::Custom(button) => ("CustomCommandIssued", json!({ "button": button })),
        };
        self.issue(name, to_raw(&payload), now);
    }

    /// Presses the button that an `Expect...Command` names.
    pub(super) fn press_for_cic(
        &mut self,
        directive: &str,
        payload: &RawValue,
        now: Now,
    ) -> Result<(), NotPlayback> {
        let payload = Fields::read("payload", payload)?;
        if directive == "ExpectPlayCommand" {
            self.issue("PlayCommandIssued", chosen(&payload)?, now);
            return Ok(());
        }
        let pressed = PRESSED.iter().find(|(expected, _)| *expected == directive);
        let (_, event) = pressed.ok_or(NotPlayback::Unknown)?;
        let answer = match target(&payload)? {
            Some(namespace) => json!({"source": {"namespace": namespace}}),
            None => json!({}),
        };
        self.issue(event, to_raw(&answer), now);
        Ok(())
    }

    fn issue(&mut self, name: &'static str, payload: Box<RawValue>, now: Now) {
        self.ask("PlaybackController", name, payload.into(), self.position(now));
    }
}

/// `target.namespace`.
pub(super) fn target(payload: &Fields<'_>) -> Result<Option<String>, NotPlayback> {
    let Some(target) = payload.raw("target") else { return Ok(None) };
    Fields::read("target", target)?.needed_text("namespace").map(Some)
}

/// What PlayCommandIssued repeats of ExpectPlayCommand, unchanged.
fn chosen(payload: &Fields<'_>) -> Result<Box<RawValue>, NotPlayback> {
    payload.text("token")?;
    if let Some(handover) = payload.raw("handover") {
        Fields::read("handover", handover)?;
    }
    let named = |name| payload.raw(name).map(|raw| (name, raw));
    let answer: BTreeMap<_, _> = ["handover", "token"].into_iter().filter_map(named).collect();
    to_raw_value(&answer).map_err(|error| NotPlayback::Payload(error.to_string()))
}
