//! How the demo is told: who, what, and when.

use std::time::Instant;

/// Tells what happens, with the time since the demo began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrator {
    started: Instant,
}

impl Narrator {
    pub(super) fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// A new part begins.
    pub(super) fn title(&self, text: &str) {
        println!("\n{text}");
    }

    /// Somebody does something.
    pub(super) fn tell(&self, who: &str, what: &str) {
        println!("{:7.2} s  {who:10} {what}", self.started.elapsed().as_secs_f64());
    }
}
