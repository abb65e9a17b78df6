//! One alert: what CIC said of it, and what has become of it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::Token;

/// Longest token, scheduled time or label that is kept, bytes.
const MAX_TEXT: usize = 2048;
/// Largest `assets` and `assetPlayOrder` together, bytes.
const MAX_ASSETS: usize = 32 * 1024;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$inner])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Reads what [`Self::as_str`] writes.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }
    };
}

named! {
    /// `type` of an alert (alerts 1).
    AlertKind {
        /// Rings at a date and time.
        Alarm = "ALARM",
        /// Rings after a time span.
        Timer = "TIMER",
        /// Shows or speaks a text while it rings.
        Reminder = "REMINDER",
        /// Performs an action after it has been stopped.
        ActionTimer = "ACTIONTIMER",
    }
}

named! {
    /// What has become of an alert; also the label of `cic_gateway_alerts`.
    Phase {
        /// It waits for its time.
        Set = "set",
        /// It rings.
        Ringing = "ringing",
        /// It has rung and was stopped; CIC will delete it or set its next occurrence.
        Stopped = "stopped",
        /// It is gone; the store remembers it so that the appliance forgets it too. Never among an
        /// appliance's alerts.
        Deleted = "deleted",
    }
}

/// An alert (alerts 3.1).
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its identity, together with its kind.
    pub token: Token,
    /// Its `type`.
    pub kind: AlertKind,
    /// `scheduledTime`, as CIC wrote it.
    pub scheduled_time: Box<str>,
    /// The same as an instant.
    pub due: Timestamp,
    /// `label`.
    pub label: Option<Box<str>>,
    /// `assets`, a JSON array of which every element has the two fields that it needs.
    pub assets: Option<Box<RawValue>>,
    /// `assetPlayOrder`, a JSON array of ids that are in `assets`.
    pub asset_play_order: Option<Box<RawValue>>,
    /// What has become of it.
    pub phase: Phase,
    /// Since when it is in this phase.
    pub since: Timestamp,
}

/// Why a payload is no alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAlert {
    /// A field is missing or of another type.
    #[error("not an alert: {0}")]
    Shape(String),
    /// The time cannot be read.
    #[error("scheduledTime {0:?} is no time")]
    Time(String),
    /// A text or the assets exceed their bound.
    #[error("larger than an alert may be")]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    token: String,
    r#type: String,
    scheduled_time: String,
    label: Option<String>,
    #[serde(default)]
    assets: Option<Vec<Box<RawValue>>>,
    #[serde(default)]
    asset_play_order: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    asset_id: String,
    #[serde(rename = "url")]
    _url: String,
}

/// One entry of `Alerts.AlertsState`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    token: &'a Token,
    r#type: &'static str,
    scheduled_time: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    all_alerts: Vec<Info<'a>>,
    active_alerts: Vec<Info<'a>>,
}

impl Alert {
    /// Reads the payload of SetAlert, or an element of SynchronizeAlert.
    ///
    /// # Errors
    /// When it is none, or exceeds a bound.
    pub fn parse(payload: &str, now: Timestamp) -> Result<Self, InvalidAlert> {
        let payload: Payload = serde_json::from_str(payload)
            .map_err(|error| InvalidAlert::Shape(error.to_string()))?;
        let kind = AlertKind::parse(&payload.r#type)
            .ok_or_else(|| InvalidAlert::Shape(format!("type {:?} is unknown", payload.r#type)))?;
        let label = payload.label.as_deref().unwrap_or_default();
        if [&payload.token, &payload.scheduled_time, label].iter().any(|t| t.len() > MAX_TEXT) {
            return Err(InvalidAlert::TooLarge);
        }
        if payload.token.is_empty() || payload.token.contains('\0') || label.contains('\0') {
            return Err(InvalidAlert::Shape("token is empty, or token or label holds NUL".into()));
        }
        let due: Timestamp = payload
            .scheduled_time
            .parse()
            .map_err(|_| InvalidAlert::Time(payload.scheduled_time.clone()))?;
        let (assets, asset_play_order) = match kind {
            // It rings with the appliance's own tone (alerts 3.1).
            AlertKind::Alarm => (None, None),
            _ => usable_assets(payload.assets.as_deref(), payload.asset_play_order)?,
        };
        Ok(Self {
            token: payload.token.into(),
            kind,
            scheduled_time: payload.scheduled_time.into(),
            due,
            label: payload.label.map(Into::into),
            assets,
            asset_play_order,
            phase: Phase::Set,
            since: now,
        })
    }

    /// The same alert in another phase.
    pub fn in_phase(&self, phase: Phase, since: Timestamp) -> Self {
        Self { phase, since, ..self.clone() }
    }

    /// What identifies it, without what makes it large.
    pub fn bare(&self) -> Self {
        Self { label: None, assets: None, asset_play_order: None, ..self.clone() }
    }

    /// Whether it is the same occurrence: same token, type and time.
    pub fn is_same_occurrence(&self, other: &Self) -> bool {
        (&self.token, self.kind, self.due) == (&other.token, other.kind, other.due)
    }

    /// Bytes that it holds in memory and in the store, roughly.
    pub fn size(&self) -> usize {
        let raw = |raw: &Option<Box<RawValue>>| raw.as_ref().map_or(0, |raw| raw.get().len());
        let label = self.label.as_ref().map_or(0, |label| label.len());
        let texts = self.token.as_str().len() + self.scheduled_time.len() + label;
        texts + raw(&self.assets) + raw(&self.asset_play_order) + 128
    }

    /// Whether CIC says the same of both.
    pub fn is_alike(&self, other: &Self) -> bool {
        (&self.token, self.kind, &self.scheduled_time)
            == (&other.token, other.kind, &other.scheduled_time)
            && self.label == other.label
            && raw(&self.assets) == raw(&other.assets)
            && raw(&self.asset_play_order) == raw(&other.asset_play_order)
    }

    fn info(&self) -> Info<'_> {
        let (token, scheduled_time) = (&self.token, &*self.scheduled_time);
        Info { token, r#type: self.kind.as_str(), scheduled_time }
    }
}

impl PartialEq for Alert {
    fn eq(&self, other: &Self) -> bool {
        self.is_alike(other) && (self.phase, self.since) == (other.phase, other.since)
    }
}

fn raw(raw: &Option<Box<RawValue>>) -> Option<&str> {
    raw.as_ref().map(|raw| raw.get())
}

/// An asset that cannot be used is left out, and so is its place in the order (alerts 3.1).
#[allow(clippy::type_complexity)]
fn usable_assets(
    assets: Option<&[Box<RawValue>]>,
    order: Option<Vec<String>>,
) -> Result<(Option<Box<RawValue>>, Option<Box<RawValue>>), InvalidAlert> {
    let Some(assets) = assets else { return Ok((None, None)) };
    let read = |raw: &RawValue| serde_json::from_str::<Asset>(raw.get()).ok();
    let (kept, known): (Vec<_>, Vec<_>) =
        assets.iter().filter_map(|raw| Some((raw, read(raw)?.asset_id))).unzip();
    let order =
        order.map(|order| order.into_iter().filter(|id| known.contains(id)).collect::<Vec<_>>());
    let shape = |error: serde_json::Error| InvalidAlert::Shape(error.to_string());
    let assets = serde_json::value::to_raw_value(&kept).map_err(shape)?;
    let order = order.map(|order| serde_json::value::to_raw_value(&order)).transpose();
    let order = order.map_err(shape)?;
    let size = assets.get().len() + order.as_ref().map_or(0, |order| order.get().len());
    if size > MAX_ASSETS { Err(InvalidAlert::TooLarge) } else { Ok((Some(assets), order)) }
}

/// `Alerts.AlertsState`: every alert, and those that ring (alerts 4).
pub fn alerts_state<'a>(alerts: impl Iterator<Item = &'a Alert> + Clone) -> Arc<RawValue> {
    let active = alerts.clone().filter(|alert| alert.phase == Phase::Ringing);
    let state = State {
        all_alerts: alerts.map(Alert::info).collect(),
        active_alerts: active.map(Alert::info).collect(),
    };
    serde_json::value::to_raw_value(&state).expect("texts always encode").into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(payload: serde_json::Value) -> Result<Alert, InvalidAlert> {
        Alert::parse(&payload.to_string(), Timestamp::UNIX_EPOCH)
    }

    fn timed(text: &str) -> Option<String> {
        let alert = parse(json!({"token": "t", "type": "ALARM", "scheduledTime": text})).ok()?;
        assert_eq!(&*alert.scheduled_time, text, "kept as CIC wrote it");
        Some(alert.due.to_string())
    }

    #[test]
    fn a_scheduled_time_with_any_offset_is_the_right_instant() {
        let rows = [
            ("2026-03-02T18:40:00+09:00", Some("2026-03-02T09:40:00Z")),
            ("2026-03-02T18:40:00Z", Some("2026-03-02T18:40:00Z")),
            // The last hour before and the first after the clocks change in Berlin.
            ("2026-10-25T02:30:00+02:00", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T02:30:00+01:00", Some("2026-10-25T01:30:00Z")),
            // Past midnight, a leap day, half-hour offsets, a leap second.
            ("2026-12-31T23:59:59-05:00", Some("2027-01-01T04:59:59Z")),
            ("2028-02-29T00:00:00+09:00", Some("2028-02-28T15:00:00Z")),
            ("2026-03-02T18:40:00+05:30", Some("2026-03-02T13:10:00Z")),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59Z")),
            ("2026-03-02T18:40:00.250+09:00", Some("2026-03-02T09:40:00.25Z")),
            ("2026-03-02T18:40:00+0900", Some("2026-03-02T09:40:00Z")),
            ("2026-03-02T18:40:00", None),
            ("2026-02-30T18:40:00Z", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(timed(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_alert_is_refused_and_what_is_unknown_tolerated() {
        let good = json!({"token": "t", "type": "TIMER", "scheduledTime": "2026-03-02T18:40:00Z"});
        let with = |name: &str, value: serde_json::Value| {
            let mut alert = good.clone();
            alert[name] = value;
            parse(alert)
        };
        assert!(with("somethingNew", json!({"a": 1})).is_ok());
        assert!(matches!(with("type", json!("EGG_TIMER")), Err(InvalidAlert::Shape(_))));
        assert!(matches!(with("token", json!(7)), Err(InvalidAlert::Shape(_))));
        assert!(matches!(with("token", json!("")), Err(InvalidAlert::Shape(_))));
        assert!(matches!(with("token", json!("a\0b")), Err(InvalidAlert::Shape(_))));
        assert_eq!(with("label", json!("x".repeat(3000))).err(), Some(InvalidAlert::TooLarge));
    }

    #[test]
    fn assets_that_cannot_be_used_are_left_out_with_their_place_in_the_order() {
        let alert = parse(json!({
            "token": "t", "type": "REMINDER", "scheduledTime": "2026-03-02T18:40:00Z",
            "assets": [
                {"assetId": "a", "url": "clova://alert/bell/reminder", "extra": 1},
                {"assetId": "b"},
                {"url": "https://example.net/c.mp3"},
                {"assetId": "d", "url": "https://example.net/d.mp3"},
            ],
            "assetPlayOrder": ["a", "b", "d", "nowhere", "a"],
        }))
        .unwrap();
        let assets: serde_json::Value = serde_json::from_str(alert.assets.unwrap().get()).unwrap();
        assert_eq!(assets.as_array().unwrap().len(), 2);
        assert_eq!(assets[0]["extra"], 1, "what is known stays as it was");
        assert_eq!(alert.asset_play_order.unwrap().get(), r#"["a","d","a"]"#);
    }

    #[test]
    fn the_state_names_every_alert_and_those_that_ring() {
        let set = parse(json!({"token": "a", "type": "ALARM",
            "scheduledTime": "2026-03-02T18:40:00+09:00"}))
        .unwrap();
        let ringing = Alert { token: "b".into(), ..set.in_phase(Phase::Ringing, set.due) };
        let state = alerts_state([&set, &ringing].into_iter());
        let info = |token: &str| {
            format!(
                r#"{{"token":"{token}","type":"ALARM","scheduledTime":"2026-03-02T18:40:00+09:00"}}"#
            )
        };
        let want = format!(
            r#"{{"allAlerts":[{},{}],"activeAlerts":[{}]}}"#,
            info("a"),
            info("b"),
            info("b")
        );
        assert_eq!(state.get(), want);
        let none = alerts_state([].into_iter());
        assert_eq!(none.get(), r#"{"allAlerts":[],"activeAlerts":[]}"#);
    }
}
