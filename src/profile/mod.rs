//! What a model of appliance has and can do, as a TOML file says it (`profiles/*.toml`,
//! `docs/profiles.md`). Pure but for [`Profiles::load`].
//!
//! A profile gives the contexts of an appliance before it reports anything, and translates between
//! CIC and firmware that speaks only its own JSON: its messages below `up/x/` become parts of the
//! context, control directives become messages below `down/x/`. Loaded by [`crate::app`] and
//! checked by [`crate::config`]; asked by the appliance's core.
//!
//! | file | what it holds |
//! |---|---|
//! | `library.rs` | all profiles, and which one a model has |
//! | `read.rs` | a file becoming a profile |
//! | `consistency.rs` | what concerns several parts of one |
//! | `state.rs` | messages of the appliance becoming context |
//! | `command.rs` | directives becoming messages to the appliance |
//! | `path.rs`, `template.rs` | where a value stands, and what a message is made from |

mod command;
mod consistency;
mod library;
mod path;
mod read;
mod state;
mod template;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use self::{
    command::{Asked, CommandRule, Expected},
    state::StateRule,
};
pub use self::{
    command::{Command, Expect},
    library::Profiles,
    state::Mapped,
};
use crate::{
    appliance::{
        context::{Contexts, Defaults, tables},
        message::ErrorCode,
    },
    cic::directive::Directive,
};

/// One model of appliance, or several.
#[derive(Debug, Clone)]
pub struct Profile {
    name: String,
    /// Model ids, with `*` for any characters and `?` for any one.
    models: Vec<String>,
    has_zone: bool,
    defaults: Arc<Defaults>,
    /// By item of DeviceState: what Increase and Decrease change it by.
    steps: BTreeMap<String, i64>,
    states: Vec<StateRule>,
    commands: Vec<CommandRule>,
}

/// One mistake in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// File and line.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// All mistakes in profiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ProfileError(pub Vec<Mistake>);

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl Profile {
    /// Reads a profile; `file` is the name of its file, without folder and `.toml` its own name.
    ///
    /// # Errors
    /// Every mistake that was found, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        read::parse(file, text)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in for what an appliance of this model has not reported: for
    /// [`Contexts::new`], after [`Defaults::add`] of the appliance's own.
    pub fn default_contexts(&self) -> &Arc<Defaults> {
        &self.defaults
    }

    /// What a message of the appliance says, by its topic from `up/` on; `None` when the profile
    /// knows nothing of this topic. A message that only answers a command says nothing.
    pub fn state(
        &self,
        topic: &str,
        payload: &[u8],
    ) -> Option<Result<Mapped, (ErrorCode, String)>> {
        let rules = self.states.iter().filter(|rule| rule.topic == topic);
        match rules.clone().next() {
            Some(_) => Some(state::map(rules, payload)),
            None => self.answers_on(topic).then(|| Ok(Mapped::default())),
        }
    }

    /// What is to be published for a control directive; `None` when the profile has no rule for it
    /// and the appliance gets it on `down/directive`.
    ///
    /// # Errors
    /// In [`Some`], why it cannot be carried out, for a person: it has failed.
    pub fn command(
        &self,
        directive: &Directive,
        known: &Contexts,
    ) -> Option<Result<Command, String>> {
        if directive.namespace != "DeviceControl" || self.commands.is_empty() {
            return None;
        }
        let payload: Map<String, Value> = serde_json::from_str(directive.payload.get()).ok()?;
        let target = payload.get("target").and_then(Value::as_str);
        let rule = self.commands.iter().find(|rule| rule.is_for(&directive.name, target))?;
        let item = target.and_then(tables::item_of).unwrap_or("bluetooth");
        let state = known.device_state();
        let asked = Asked {
            directive: &directive.name,
            message_id: directive.message_id.as_str(),
            payload: &payload,
            item: state.get(item).and_then(Value::as_object),
            step: self.steps.get(item).copied().unwrap_or(1),
        };
        Some(rule.command(&asked))
    }

    fn answers_on(&self, awaited: &str) -> bool {
        self.commands.iter().any(|rule| match &rule.expect {
            Expected::Message { topic, .. } => topic == awaited,
            Expected::Sent | Expected::State { .. } => false,
        })
    }
}

/// One name for the two that CIC has for the same target.
fn same_target(target: &str) -> &str {
    if target == "energysave" { "powersave" } else { target }
}

#[cfg(test)]
mod tests;
