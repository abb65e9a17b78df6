//! `[[state]]`: what an appliance reports on its own topics becomes parts of its context. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::to_raw_value};

use super::{
    path::{Path, Pointer},
    template::text_of,
};
use crate::appliance::message::{ContextReport, ErrorCode};

/// One rule: a field of a message is a field of a context.
#[derive(Debug, Clone)]
pub(super) struct StateRule {
    /// From `up/` on.
    pub(super) topic: String,
    pub(super) from: Pointer,
    pub(super) to: Path,
    /// CIC's value by the appliance's, as text; without one the values are the same.
    pub(super) map: Option<BTreeMap<String, Value>>,
}

/// What a message says.
#[derive(Debug, Default)]
pub struct Mapped {
    /// Parts of contexts, for [`crate::appliance::context::Contexts::merge`].
    pub parts: Vec<ContextReport>,
    /// What is wrong with each of the other fields.
    pub invalid: Vec<String>,
}

/// Applies the rules of one topic to a message.
///
/// # Errors
/// When it is not JSON although a rule wants a field of it.
pub(super) fn map<'a>(
    rules: impl Iterator<Item = &'a StateRule> + Clone,
    payload: &[u8],
) -> Result<Mapped, (ErrorCode, String)> {
    let is_plain = rules.clone().all(|rule| rule.from.is_whole());
    let message = read(payload, is_plain)?;
    let mut contexts: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut mapped = Mapped::default();
    for rule in rules {
        // A message need not say everything each time.
        let Some(value) = rule.from.find(&message) else { continue };
        match rule.value(value) {
            Ok(value) => rule.to.put(contexts.entry(&rule.to.context).or_default(), value),
            Err(why) => mapped.invalid.push(why),
        }
    }
    mapped.parts = contexts.into_iter().filter_map(|(name, part)| report(name, &part)).collect();
    Ok(mapped)
}

/// Reads a message: JSON, or a plain text where no rule wants a field of it.
pub(super) fn read(payload: &[u8], is_plain: bool) -> Result<Value, (ErrorCode, String)> {
    if payload.is_empty() {
        // Clears a retained message, and says nothing.
        return Ok(Value::Null);
    }
    serde_json::from_slice(payload).or_else(|error| match std::str::from_utf8(payload) {
        Ok(text) if is_plain => Ok(Value::String(text.trim().to_owned())),
        _ => Err((ErrorCode::InvalidJson, error.to_string())),
    })
}

impl StateRule {
    fn value(&self, value: &Value) -> Result<Value, String> {
        let value = match &self.map {
            None => self.to.coerce(value.clone()),
            Some(map) => map.get(&text_of(value)).cloned().ok_or_else(|| {
                let shown: String = value.to_string().chars().take(80).collect();
                let known: Vec<_> = map.keys().map(String::as_str).collect();
                format!(
                    "{} of {} is {shown}, not one of {}",
                    self.from,
                    self.topic,
                    known.join(", ")
                )
            })?,
        };
        self.to.check(&value).map_err(|why| format!("{} of {}: {why}", self.from, self.topic))?;
        Ok(value)
    }
}

fn report(full_name: &str, part: &Map<String, Value>) -> Option<ContextReport> {
    let (namespace, name) = full_name.split_once('.')?;
    let payload = to_raw_value(part).ok()?;
    Some(ContextReport { namespace: namespace.into(), name: name.into(), payload })
}
