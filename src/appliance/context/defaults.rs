//! What stands in for what an appliance has not reported: its model's contexts (from
//! [`crate::profile`]) and its own (from provisioning). Pure; shared by all appliances of a model.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value, value::RawValue};

use super::{
    DEVICE_STATE, OWN, raw,
    schema::{self, Fault, Problem},
    tables,
};

/// Context objects by `Namespace.Name`, and the time zone of `Device.DeviceState.localTime`.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// As given: an item of DeviceState may lack what the appliance will report.
    given: BTreeMap<String, Map<String, Value>>,
    /// What of it can be sent before the appliance has reported anything.
    usable: BTreeMap<String, Map<String, Value>>,
    /// The same, written: all appliances of a model share it.
    written: BTreeMap<String, Arc<RawValue>>,
    zone: TimeZone,
}

impl Default for Defaults {
    fn default() -> Self {
        Self::new(TimeZone::fixed(jiff::tz::offset(9)))
    }
}

impl Defaults {
    /// None yet. The zone is Korea's, `+09:00`, by [`Default`].
    pub fn new(zone: TimeZone) -> Self {
        let (given, usable, written) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { given, usable, written, zone }
    }

    /// The zone of appliances that report no `localTime`.
    pub fn set_zone(&mut self, zone: TimeZone) {
        self.zone = zone;
    }

    /// Adds a context object; it replaces the one of the same name. In DeviceState, each item
    /// replaces the one of the same name.
    ///
    /// # Errors
    /// What is wrong with it, as [`check`] says; nothing is added then.
    pub fn add(&mut self, full_name: &str, payload: Map<String, Value>) -> Result<(), Vec<String>> {
        let wrong = check(full_name, &payload);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let given = self.given.entry(full_name.to_owned()).or_default();
        if full_name != DEVICE_STATE {
            given.clear();
        }
        given.extend(payload);
        let (usable, _) = prune(full_name, given.clone());
        match usable {
            Some(usable) => {
                self.written.insert(full_name.to_owned(), raw(&usable).into());
                self.usable.insert(full_name.to_owned(), usable);
            }
            None => {
                self.written.remove(full_name);
                self.usable.remove(full_name);
            }
        }
        Ok(())
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// A context object as it was given.
    pub fn given(&self, full_name: &str) -> Option<&Map<String, Value>> {
        self.given.get(full_name)
    }

    /// A context object without what cannot be sent before the appliance reports the rest.
    pub fn usable(&self, full_name: &str) -> Option<&Map<String, Value>> {
        self.usable.get(full_name)
    }

    /// The same, written.
    pub(super) fn written(&self, full_name: &str) -> Option<&Arc<RawValue>> {
        self.written.get(full_name)
    }

    /// The appliance's local time (context, DeviceState).
    pub(super) fn local_time(&self, wall: Timestamp, reported: Option<jiff::tz::Offset>) -> String {
        let zone = reported.map_or_else(|| self.zone.clone(), TimeZone::fixed);
        wall.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// A zone as `+09:00` or, where the machine knows it, as `Asia/Seoul`.
///
/// # Errors
/// With a text for people when it is neither.
pub fn parse_zone(text: &str) -> Result<TimeZone, String> {
    let parsed = jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(text);
    parsed.map_err(|_| {
        format!("{text:?} is no time zone that is known here; write \"+09:00\" or \"Asia/Seoul\"")
    })
}

/// What is wrong with a default, field by field. It may lack fields, which the appliance reports,
/// but have no other fields than CIC's.
pub fn check(full_name: &str, payload: &Map<String, Value>) -> Vec<String> {
    if OWN.contains(&full_name) {
        return vec![format!("{full_name} is kept by the gateway itself")];
    }
    if tables::of(full_name).is_none() {
        let known: Vec<_> = tables::names().filter(|name| !OWN.contains(name)).collect();
        return vec![format!("{full_name} is no context; there are {}", known.join(", "))];
    }
    let (_, problems) = prune(full_name, payload.clone());
    let told = problems.into_iter().filter(|problem| problem.fault != Fault::Missing);
    told.map(|problem| problem.text).collect()
}

/// What of a payload can be sent, and what is wrong with it.
pub(super) fn prune(
    full_name: &str,
    payload: Map<String, Value>,
) -> (Option<Map<String, Value>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let left = match tables::of(full_name) {
        None => Some(payload),
        Some(kind) => match schema::check(kind, full_name, Value::Object(payload), &mut problems) {
            Some(Value::Object(left)) => Some(left),
            _ => None,
        },
    };
    problems.sort();
    problems.dedup();
    (left, problems)
}
