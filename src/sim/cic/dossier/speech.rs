//! Speaks, and what was reported of each: SpeechStarted, then SpeechFinished or SpeechStopped
//! (dialogue 8).

use std::collections::VecDeque;

use serde_json::Value;

use super::{super::metadata::Wrong, text};

/// Speaks that are remembered.
const MAX_SPEAKS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handed,
    Started,
    Over,
}

/// The Speaks of one device, by token.
#[derive(Debug, Default)]
pub(super) struct Speaks(VecDeque<(String, Stage)>);

impl Speaks {
    pub(super) fn note(&mut self, name: &str, payload: &Value) {
        let Some(token) = payload["token"].as_str().filter(|_| name == "Speak") else { return };
        self.0.retain(|(known, stage)| known != token || *stage != Stage::Over);
        self.0.push_back((token.to_owned(), Stage::Handed));
        if self.0.len() > MAX_SPEAKS {
            self.0.pop_front();
        }
    }

    /// The same token may have been handed out more than once: the first that fits counts.
    pub(super) fn take(&mut self, name: &str, payload: &Value) -> Result<Vec<Value>, Wrong> {
        let token = text(payload, "token");
        let (from, to): (&[Stage], _) = match name {
            "SpeechStarted" => (&[Stage::Handed], Stage::Started),
            "SpeechFinished" => (&[Stage::Started], Stage::Over),
            "SpeechStopped" => (&[Stage::Started, Stage::Handed], Stage::Over),
            _ => return Ok(Vec::new()),
        };
        let mut of_this = self.0.iter_mut().filter(|(known, _)| known == token).peekable();
        if of_this.peek().is_none() {
            return Err(format!("{name} of {token}, which was never sent"));
        }
        let Some((_, stage)) = of_this.find(|(_, stage)| from.contains(stage)) else {
            return Err(format!("{name} of {token} at the wrong time"));
        };
        *stage = to;
        Ok(Vec::new())
    }
}
