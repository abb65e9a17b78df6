//! `[[command]]`: a control directive becomes a message on one of the appliance's own topics. Pure.
//!
//! `DeviceControl` in the interfaces chapter.

use serde_json::{Map, Value};

use super::{
    path::{Path, Pointer},
    state::read,
    template::{Template, text_of},
};
use crate::appliance::context::Contexts;

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct CommandRule {
    pub(super) directives: Vec<String>,
    pub(super) target: Option<String>,
    /// From `down/` on.
    pub(super) topic: String,
    pub(super) payload: Template,
    pub(super) expect: Expected,
}

/// How its success is recognised, before values are put in.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    Sent,
    State { path: Path, value: Template },
    Message { topic: String, from: Pointer, value: Option<Template>, failed: Option<Template> },
}

/// What is to be published for a directive, and how its success is recognised.
#[derive(Debug, Clone)]
pub struct Command {
    /// What follows `{root}/{a}/`; begins with `down/x/`.
    pub topic: String,
    /// The message.
    pub payload: Vec<u8>,
    /// When CIC is told that it is done; if it is not within `cic.result_timeout`, it has failed.
    pub expect: Expect,
}

/// How the success of a [`Command`] is recognised.
#[derive(Debug, Clone)]
pub struct Expect(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Sent,
    State { path: Path, value: Value },
    Message { topic: String, from: Pointer, value: Option<Value>, failed: Option<Value> },
}

/// A control directive.
pub(super) struct Asked<'a> {
    pub(super) directive: &'a str,
    pub(super) message_id: &'a str,
    pub(super) payload: &'a Map<String, Value>,
    /// What this target is in DeviceState.
    pub(super) item: Option<&'a Map<String, Value>>,
    /// The item's step.
    pub(super) step: i64,
}

impl CommandRule {
    /// Whether it is for this directive and target.
    pub(super) fn is_for(&self, directive: &str, target: Option<&str>) -> bool {
        let same = |target: &str| super::same_target(target).to_owned();
        self.directives.iter().any(|name| name == directive)
            && (self.target.is_none() || self.target.as_deref().map(same) == target.map(same))
    }

    /// What is to be published.
    ///
    /// # Errors
    /// With a text for people when a value is not known.
    pub(super) fn command(&self, asked: &Asked<'_>) -> Result<Command, String> {
        let needs = |name: &str| self.payload.has(name) || self.expect.has(name);
        let value = if needs("value") { asked.value()? } else { Value::Null };
        let step = if needs("step") { Value::from(asked.amount()?) } else { Value::Null };
        let values = |name: &str| match name {
            "value" => value.clone(),
            "step" => step.clone(),
            "messageId" => asked.message_id.into(),
            field => asked.payload.get(field).cloned().unwrap_or_default(),
        };
        let (topic, payload) = (self.topic.clone(), self.payload.bytes(&values));
        Ok(Command { topic, payload, expect: Expect(self.expect.fill(&values)) })
    }
}

impl Expected {
    fn has(&self, placeholder: &str) -> bool {
        match self {
            Self::Sent => false,
            Self::State { value, .. } => value.has(placeholder),
            Self::Message { value, failed, .. } => {
                value.iter().chain(failed).any(|template| template.has(placeholder))
            }
        }
    }

    fn fill(&self, values: &dyn Fn(&str) -> Value) -> Kind {
        match self {
            Self::Sent => Kind::Sent,
            Self::State { path, value } => {
                Kind::State { path: path.clone(), value: path.coerce(value.fill(values)) }
            }
            Self::Message { topic, from, value, failed } => {
                let fill = |template: &Option<Template>| Some(template.as_ref()?.fill(values));
                let (topic, from) = (topic.clone(), from.clone());
                Kind::Message { topic, from, value: fill(value), failed: fill(failed) }
            }
        }
    }
}

impl Asked<'_> {
    fn number(&self, name: &str) -> Option<i64> {
        self.item?.get(name)?.as_i64()
    }

    /// By how much to increase or decrease: CIC's amount or the item's step. CIC sends texts.
    fn amount(&self) -> Result<i64, String> {
        match self.payload.get("value") {
            None | Some(Value::Null) => Ok(self.step),
            Some(value) => {
                let text = text_of(value);
                text.trim().parse().map_err(|_| format!("{text:?} is no amount"))
            }
        }
    }

    /// The new value of what the directive changes.
    fn value(&self) -> Result<Value, String> {
        let known = || self.number("value").ok_or("its present value is not known");
        let new = match self.directive {
            "Increase" => known()?.saturating_add(self.amount()?),
            "Decrease" => known()?.saturating_sub(self.amount()?),
            _ => {
                let text = self.payload.get("value").map(text_of).unwrap_or_default();
                match text.trim().parse::<i64>() {
                    Ok(number) => number,
                    Err(_) if self.number("min").is_some() => {
                        return Err(format!("{text:?} is no number"));
                    }
                    // The name of a channel.
                    Err(_) => return Ok(text.into()),
                }
            }
        };
        let (min, max) = (self.number("min"), self.number("max"));
        Ok(new.min(max.unwrap_or(i64::MAX)).max(min.unwrap_or(i64::MIN)).into())
    }
}

impl Expect {
    /// Whether nothing more is to be waited for once it is published: the appliance says nothing
    /// of it, or already is as the command wants it and so may report no change.
    pub fn is_met(&self, contexts: &Contexts) -> bool {
        match &self.0 {
            Kind::Sent => true,
            Kind::Message { .. } => false,
            Kind::State { path, value } => {
                let context = contexts.get(&path.context);
                let context = context.and_then(|raw| serde_json::from_str(raw.get()).ok());
                context.is_some_and(|context| path.find(&context) == Some(value))
            }
        }
    }

    /// Whether a message of the appliance on one of its own topics (from `up/` on) says that the
    /// command was carried out (`true`) or failed (`false`).
    pub fn answer(&self, topic: &str, payload: &[u8]) -> Option<bool> {
        let Kind::Message { topic: awaited, from, value, failed } = &self.0 else { return None };
        if topic != awaited {
            return None;
        }
        let message = read(payload, from.is_whole()).ok()?;
        let said = text_of(from.find(&message)?);
        let is = |value: &Option<Value>| value.as_ref().map(|value| text_of(value) == said);
        match (is(value), is(failed)) {
            (_, Some(true)) => Some(false),
            (Some(true) | None, _) => Some(true),
            (Some(false), _) => None,
        }
    }
}
