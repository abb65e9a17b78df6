//! The context of every event (context chapter). Pure; called by the core.
//!
//! Holds what the appliance reported, lets its model's and its own [`Defaults`] stand in for what
//! it did not, and adds what the gateway keeps by itself. What CIC would refuse is left out and
//! told to the appliance once, so that one wrong field does not make every event fail. Bounded,
//! because an appliance may report what it likes.
//!
//! | file | what it holds |
//! |---|---|
//! | `schema.rs` | a small language for what a payload must look like, and its check |
//! | `tables.rs` | the guide's tables in that language |
//! | `defaults.rs` | what stands in for what has not been reported |

pub mod defaults;
pub mod schema;
pub mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

pub use self::defaults::Defaults;
use self::{
    defaults::prune,
    schema::{Fault, Problem, offset_of},
};
use super::message::{ContextReport, ErrorCode};
use crate::{cic::event::ContextObject, clock::Now};

/// Context objects an appliance may report.
const MAX_OBJECTS: usize = 32;
/// All their payloads together, as reported, bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Complaints that are remembered so as not to be repeated, besides those about known fields.
const MAX_TOLD: usize = 64;

/// The context that devices are controlled by; its `localTime` is the gateway's.
pub const DEVICE_STATE: &str = "Device.DeviceState";
/// Contexts that the gateway keeps by itself; ignored in `up/state`.
pub const OWN: [&str; 3] =
    ["Alerts.AlertsState", "AudioPlayer.PlaybackState", "SpeechSynthesizer.SpeechState"];

/// What `down/error` shall say of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// `invalid_context` or `context_ignored`.
    pub code: ErrorCode,
    /// The path and what is wrong there.
    pub message: String,
}

/// What the gateway keeps by itself, as it was at one moment: an event that had to wait is sent
/// with these as they were when it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnContexts {
    /// `Alerts.AlertsState`.
    #[serde(rename = "Alerts.AlertsState")]
    pub alerts: Arc<RawValue>,
    /// `SpeechSynthesizer.SpeechState`; none before the first Speak.
    #[serde(
        rename = "SpeechSynthesizer.SpeechState",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub speech: Option<Arc<RawValue>>,
    /// `AudioPlayer.PlaybackState`.
    #[serde(
        rename = "AudioPlayer.PlaybackState",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub playback: Option<Arc<RawValue>>,
}

/// One context object.
#[derive(Debug, Default)]
struct Object {
    /// As the appliance reported it.
    reported: Option<Box<RawValue>>,
    /// What is sent: without what is wrong, with what stands in. DeviceState is without
    /// `localTime` here.
    sent: Option<Arc<RawValue>>,
    /// What the appliance has been told about the last report.
    told: BTreeSet<String>,
}

/// All context objects of one appliance, by `Namespace.Name`.
#[derive(Debug, Default)]
pub struct Contexts {
    defaults: Arc<Defaults>,
    objects: BTreeMap<String, Object>,
    /// What has been reported.
    bytes: usize,
    count: usize,
    told: BTreeSet<String>,
    /// The offset of the `localTime` that the appliance reported.
    offset: Option<Offset>,
    /// DeviceState with this `localTime`.
    timed: Option<(String, Box<RawValue>)>,
}

impl Contexts {
    /// Starts with what stands in for what the appliance has not reported yet.
    pub fn new(defaults: Arc<Defaults>) -> Self {
        let mut contexts = Self { defaults: defaults.clone(), ..Self::default() };
        for name in defaults.names() {
            let sent = defaults.written(name).cloned();
            contexts.objects.insert(name.to_owned(), Object { sent, ..Object::default() });
        }
        contexts
    }

    /// Takes one report of `up/state` or of `up/result`; it replaces the one of the same name.
    ///
    /// A field that CIC would refuse is left out, with the object around it if that must have it,
    /// up to the whole report; what stands in then is the default. An item of DeviceState takes
    /// fields that it lacks (`actions`, `min`, ...) from the default; `null` says that the
    /// appliance has no such item.
    ///
    /// Returns what the appliance is to be told: each mistake once, until it was absent.
    pub fn take(&mut self, report: ContextReport) -> Vec<Complaint> {
        let name = format!("{}.{}", report.namespace, report.name);
        match object(&report.payload) {
            Some(payload) => self.put(name, report.payload, payload, Fault::Missing),
            None => self.refuse(ErrorCode::InvalidContext, format!("{name} must be an object")),
        }
    }

    /// Takes a part of a context, as a profile makes it from the appliance's own messages: it
    /// replaces those fields and leaves the others. What is still missing is not complained about.
    pub fn merge(&mut self, part: ContextReport) -> Vec<Complaint> {
        let name = format!("{}.{}", part.namespace, part.name);
        let Some(part) = object(&part.payload) else {
            return self.refuse(ErrorCode::InvalidContext, format!("{name} must be an object"));
        };
        let reported = self.objects.get(&name).and_then(|known| known.reported.as_deref());
        let mut whole = match reported.and_then(object) {
            Some(reported) => reported,
            // DeviceState is completed item by item anyway.
            None if name == DEVICE_STATE => Map::new(),
            None => self.defaults.given(&name).cloned().unwrap_or_default(),
        };
        overlay(&mut whole, part);
        self.put(name, raw(&whole), whole, Fault::Wrong)
    }

    /// Whether the appliance has not been told this yet, as far as is remembered: for complaints
    /// about its reports that are made elsewhere.
    pub fn is_news(&mut self, message: &str) -> bool {
        if self.told.contains(message) {
            return false;
        }
        if self.told.len() < MAX_TOLD {
            self.told.insert(message.to_owned());
        }
        true
    }

    /// A context object as it would be sent now; DeviceState without `localTime`.
    pub fn get(&self, full_name: &str) -> Option<&RawValue> {
        self.objects.get(full_name)?.sent.as_deref()
    }

    /// The last known DeviceState, empty if there is none.
    pub fn device_state(&self) -> Map<String, Value> {
        self.get(DEVICE_STATE).and_then(object).unwrap_or_default()
    }

    /// Every context object: the reported ones, what stands in for others, and the gateway's own.
    pub fn assemble<'a>(&'a mut self, own: &'a OwnContexts, now: Now) -> Vec<ContextObject<'a>> {
        self.set_local_time(now);
        let timed = self.timed.as_ref().map(|(_, payload)| &**payload);
        let known = self.objects.iter().filter_map(move |(full_name, object)| {
            let payload = if full_name == DEVICE_STATE { timed } else { object.sent.as_deref() };
            let (namespace, name) = full_name.split_once('.')?;
            Some(ContextObject { namespace, name, payload: payload? })
        });
        let object = |namespace, name, payload| ContextObject { namespace, name, payload };
        let alerts = object("Alerts", "AlertsState", &*own.alerts);
        let speech = own.speech.as_deref();
        let speech = speech.map(|payload| object("SpeechSynthesizer", "SpeechState", payload));
        let playback = own.playback.as_deref();
        let playback = playback.map(|payload| object("AudioPlayer", "PlaybackState", payload));
        known.chain(std::iter::once(alerts)).chain(playback).chain(speech).collect()
    }

    /// Puts a report in its place; mistakes of a kind below `least` are not told.
    fn put(
        &mut self,
        name: String,
        reported: Box<RawValue>,
        payload: Map<String, Value>,
        least: Fault,
    ) -> Vec<Complaint> {
        if OWN.contains(&name.as_str()) {
            let why = format!("{name} is kept by the gateway itself");
            return self.refuse(ErrorCode::ContextIgnored, why);
        }
        let known = self.objects.get(&name).and_then(|known| known.reported.as_deref());
        let old = known.map(|payload| payload.get().len());
        let bytes = self.bytes - old.unwrap_or(0) + reported.get().len();
        let count = self.count + usize::from(old.is_none());
        if bytes > MAX_BYTES || count > MAX_OBJECTS {
            let message = format!("{name} exceeds the context's bounds");
            return vec![Complaint { code: ErrorCode::InvalidContext, message }];
        }
        (self.bytes, self.count) = (bytes, count);
        if name == DEVICE_STATE {
            let local_time = payload.get("localTime").and_then(Value::as_str);
            self.offset = local_time.and_then(offset_of);
            self.timed = None;
        }
        let (sent, problems) = self.complete(&name, payload);
        let object = self.objects.entry(name).or_default();
        object.reported = Some(reported);
        object.sent = sent.as_ref().map(|sent| raw(sent).into());
        object.tell(problems.into_iter().filter(|problem| told(problem, least)))
    }

    /// What is sent for a report, and what is wrong with it.
    fn complete(
        &self,
        name: &str,
        mut payload: Map<String, Value>,
    ) -> (Option<Map<String, Value>>, Vec<Problem>) {
        if name != DEVICE_STATE {
            let (sent, problems) = prune(name, payload);
            return (sent.or_else(|| self.defaults.usable(name).cloned()), problems);
        }
        let absent = payload.iter().filter(|(_, item)| item.is_null());
        let absent: Vec<String> = absent.map(|(name, _)| name.clone()).collect();
        for (name, item) in self.defaults.given(name).into_iter().flatten() {
            if let (Some(Value::Object(reported)), Value::Object(item)) =
                (payload.get_mut(name), item)
            {
                let mut whole = item.clone();
                whole.extend(std::mem::take(reported));
                *reported = whole;
            }
        }
        let (sent, problems) = prune(name, payload);
        let mut sent = sent.unwrap_or_default();
        // The gateway's own is put in its place with every event.
        sent.remove("localTime");
        for (name, item) in self.defaults.usable(name).into_iter().flatten() {
            if !sent.contains_key(name) && !absent.contains(name) {
                sent.insert(name.clone(), item.clone());
            }
        }
        (Some(sent), problems)
    }

    fn refuse(&mut self, code: ErrorCode, message: String) -> Vec<Complaint> {
        let is_news = self.is_news(&message);
        is_news.then_some(Complaint { code, message }).into_iter().collect()
    }

    fn set_local_time(&mut self, now: Now) {
        let Some(state) = self.get(DEVICE_STATE) else { return };
        let time = self.defaults.local_time(now.wall, self.offset);
        if self.timed.as_ref().is_some_and(|(shown, _)| *shown == time) {
            return;
        }
        let rest = &state.get()[1..];
        let comma = if rest.starts_with('}') { "" } else { "," };
        let text = format!(r#"{{"localTime":"{time}"{comma}{rest}"#);
        let payload = RawValue::from_string(text).expect("an object with one more field is JSON");
        self.timed = Some((time, payload));
    }
}

impl Object {
    /// What of these is new to the appliance.
    fn tell(&mut self, problems: impl Iterator<Item = Problem>) -> Vec<Complaint> {
        let problems: BTreeSet<_> = problems.map(|problem| problem.text).collect();
        let told = std::mem::replace(&mut self.told, problems);
        let news = self.told.difference(&told).cloned();
        news.map(|message| Complaint { code: ErrorCode::InvalidContext, message }).collect()
    }
}

/// Fields that no table has are CIC's business.
fn told(problem: &Problem, least: Fault) -> bool {
    problem.fault >= least && problem.fault != Fault::Unknown
}

/// An object's fields.
fn object(payload: &RawValue) -> Option<Map<String, Value>> {
    serde_json::from_str(payload.get()).ok()
}

fn raw(payload: &Map<String, Value>) -> Box<RawValue> {
    serde_json::value::to_raw_value(payload).expect("JSON always encodes")
}

/// Puts fields of one object over those of another, object by object.
fn overlay(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (name, value) in over {
        match (under.get_mut(&name), value) {
            (Some(Value::Object(under)), Value::Object(over)) => overlay(under, over),
            (_, value) => {
                under.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
