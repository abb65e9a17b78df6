//! A bounded list of what is to be answered, each with something that tells it from the others.

use std::collections::VecDeque;

use serde_json::Value;

/// Directives that may wait for their answer; the oldest may have been lost.
const MAX_OWED: usize = 256;

/// What is to be answered.
#[derive(Debug, Default)]
pub(super) struct Owed(VecDeque<(String, Value)>);

impl Owed {
    /// This is to be answered.
    pub(super) fn add(&mut self, name: &str, about: Value) {
        self.0.push_back((name.to_owned(), about));
        if self.0.len() > MAX_OWED {
            self.0.pop_front();
        }
    }

    /// The oldest of this name that fits is answered; returns what it was about.
    pub(super) fn settle(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let at = self.0.iter().position(|(owed, about)| owed == name && fits(about))?;
        self.0.remove(at).map(|(_, about)| about)
    }

    /// Whether anything of this name is to be answered.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(owed, _)| owed == name)
    }
}
