//! What can be changed about a simulated appliance, and how it is now. Pure; called by `body.rs`.

use serde_json::{Map, Value, json};

use super::kind::{Control, Knob, Make};

/// Why an order is not carried out: the `reason` of `up/result`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it has no {0:?}")]
    NoSuchThing(String),
    #[error("it does not know {0}")]
    NoSuchCommand(String),
    #[error("{command} makes no sense for its {item}")]
    Senseless { command: String, item: &'static str },
    #[error("{0:?} is no value of its {1}")]
    NoSuchValue(String, &'static str),
    #[error("it is switched off")]
    SwitchedOff,
}

/// All controls of one appliance.
#[derive(Debug)]
pub(super) struct Controls {
    pub(super) make: &'static Make,
    /// In the order of [`Make::controls`]: 0 or 1 of a switch, a level, the number of a channel.
    values: Vec<i64>,
    muted: bool,
}

impl Controls {
    pub(super) fn new(make: &'static Make) -> Self {
        let first = |control: &Control| match control.knob {
            Knob::Switch { is_on, .. } => i64::from(is_on),
            Knob::Range { value, .. } => value,
            Knob::Channel { .. } => 1,
        };
        Self { make, values: make.controls.iter().map(first).collect(), muted: false }
    }

    /// Carries out a DeviceControl directive; says how it is now, for people.
    pub(super) fn order(&mut self, command: &str, payload: &Value) -> Result<String, Refusal> {
        let target = payload["target"].as_str().unwrap_or_default();
        match command {
            "TurnOn" | "TurnOff" | "Increase" | "Decrease" | "SetValue" => {}
            "Open" | "OpenScreen" => return self.open(target),
            _ => return Err(Refusal::NoSuchCommand(command.to_owned())),
        }
        let at = self.make.target(target);
        let at = at.ok_or_else(|| Refusal::NoSuchThing(target.to_owned()))?;
        if self.is_off() && self.make.controls[at].item != "power" {
            return Err(Refusal::SwitchedOff);
        }
        self.values[at] = self.wanted(at, command, given(&payload["value"]))?;
        Ok(self.describe(at))
    }

    fn open(&self, screen: &str) -> Result<String, Refusal> {
        match self.make.screens.contains(&screen) {
            _ if self.is_off() => Err(Refusal::SwitchedOff),
            true => Ok(format!("screen {screen}")),
            false => Err(Refusal::NoSuchThing(screen.to_owned())),
        }
    }

    /// What a control shall be.
    fn wanted(&self, at: usize, command: &str, value: Option<String>) -> Result<i64, Refusal> {
        let (now, Control { item, knob, .. }) = (self.values[at], &self.make.controls[at]);
        let number = |text: &String| {
            text.parse::<i64>().map_err(|_| Refusal::NoSuchValue(text.clone(), item))
        };
        let by = value.as_ref().map(number);
        let by = |step: i64| by.clone().unwrap_or(Ok(step));
        match (command, knob) {
            ("TurnOn", Knob::Switch { .. }) => Ok(1),
            ("TurnOff", Knob::Switch { .. }) => Ok(0),
            ("Increase", Knob::Range { step, .. }) => Ok(self.within(at, now + by(*step)?)),
            ("Decrease", Knob::Range { step, .. }) => Ok(self.within(at, now - by(*step)?)),
            ("SetValue", Knob::Range { min, .. }) => Ok(self.within(at, by(*min)?)),
            ("Increase", Knob::Channel { .. }) => Ok(self.within(at, now + by(1)?)),
            ("Decrease", Knob::Channel { .. }) => Ok(self.within(at, now - by(1)?)),
            ("SetValue", Knob::Channel { last, names }) => {
                let value = value.unwrap_or_default();
                let named = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&value));
                let number = named.map(|(_, number)| *number).or_else(|| value.parse().ok());
                let known = number.filter(|number| (1..=*last).contains(number));
                known.ok_or(Refusal::NoSuchValue(value, item))
            }
            _ => Err(Refusal::Senseless { command: command.to_owned(), item }),
        }
    }

    /// The nearest value that there is.
    fn within(&self, at: usize, value: i64) -> i64 {
        match self.make.controls[at].knob {
            Knob::Switch { .. } => value.clamp(0, 1),
            Knob::Range { min, max, .. } => value.clamp(min, max),
            Knob::Channel { last, .. } => value.clamp(1, last),
        }
    }

    /// The value of a control, by its item.
    pub(super) fn get(&self, item: &str) -> Option<i64> {
        self.make.control(item).map(|at| self.values[at])
    }

    /// Sets a control, by its item; `false` when it cannot be so.
    pub(super) fn set(&mut self, item: &str, value: i64) -> bool {
        let at = self.make.control(item).filter(|at| self.within(*at, value) == value);
        at.map(|at| self.values[at] = value).is_some()
    }

    /// Switches its sound off, or on again as loud as before.
    pub(super) fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    fn is_off(&self) -> bool {
        self.get("power") == Some(0)
    }

    fn describe(&self, at: usize) -> String {
        let (value, Control { item, knob, .. }) = (self.values[at], &self.make.controls[at]);
        match knob {
            Knob::Switch { .. } => format!("{item} {}", if value == 1 { "on" } else { "off" }),
            Knob::Range { .. } | Knob::Channel { .. } => format!("{item} {value}"),
        }
    }

    /// What it reports on `up/state`, for firmware that does.
    pub(super) fn contexts(&self) -> Value {
        let display = match self.make.display {
            "none" => json!({"size": "none"}),
            size => json!({"size": size, "orientation": "landscape", "dpi": 160}),
        };
        let mut contexts = json!({
            "Device.DeviceState": self.device_state(),
            "Device.Display": display,
            "Device.Audio": {"acceptContentType": [
                {"mimeType": "audio/mpeg", "audioCodec": "MP3", "fileExtension": "MP3"},
            ]},
        });
        if let Some(volume) = self.get("volume") {
            contexts["Speaker.VolumeState"] = json!({"volume": volume, "muted": self.muted});
        }
        contexts
    }

    fn device_state(&self) -> Value {
        let item = |(control, value): (&Control, &i64)| {
            let state = match control.knob {
                Knob::Switch { on, off, .. } => json!({
                    "actions": ["TurnOff", "TurnOn"],
                    "state": if *value == 1 { on } else { off },
                }),
                Knob::Range { min, max, .. } => json!({
                    "actions": ["Decrease", "Increase", "SetValue"],
                    "min": min, "max": max, "value": value,
                }),
                Knob::Channel { .. } => json!({"actions": ["Decrease", "Increase", "SetValue"]}),
            };
            (control.item.to_owned(), state)
        };
        Value::Object(self.make.controls.iter().zip(&self.values).map(item).collect::<Map<_, _>>())
    }
}

/// The guide wants a text; a number is understood as well.
fn given(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::kind::Kind, *};

    fn order(controls: &mut Controls, command: &str, target: &str, value: Value) -> String {
        let payload = json!({"target": target, "value": value});
        controls.order(command, &payload).unwrap_or_else(|refusal| format!("no: {refusal}"))
    }

    #[test]
    fn a_television_carries_out_what_it_can_and_says_what_it_cannot() {
        let mut television = Controls::new(Kind::Television.make());
        let rows = [
            ("Increase", "volume", Value::Null, "volume 25"),
            ("Increase", "volume", json!("10"), "volume 35"),
            ("Decrease", "volume", json!(1), "volume 34"),
            ("Increase", "volume", json!("1000"), "volume 100"),
            ("SetValue", "volume", json!("7"), "volume 7"),
            ("SetValue", "volume", json!("loud"), "no: \"loud\" is no value of its volume"),
            ("Increase", "screenbrightness", Value::Null, "screenBrightness 60"),
            ("SetValue", "channel", json!("mbc"), "channel 11"),
            ("Increase", "channel", Value::Null, "channel 12"),
            ("SetValue", "channel", json!("900"), "no: \"900\" is no value of its channel"),
            ("TurnOn", "volume", Value::Null, "no: TurnOn makes no sense for its volume"),
            ("TurnOn", "wifi", Value::Null, "no: it has no \"wifi\""),
            ("Open", "home", Value::Null, "screen home"),
            ("Open", "cellar", Value::Null, "no: it has no \"cellar\""),
            ("BtConnect", "", Value::Null, "no: it does not know BtConnect"),
            ("TurnOff", "power", Value::Null, "power off"),
            ("Increase", "volume", Value::Null, "no: it is switched off"),
            ("Open", "home", Value::Null, "no: it is switched off"),
            ("TurnOn", "power", Value::Null, "power on"),
        ];
        for (command, target, value, want) in rows {
            let shown = format!("{command} {target} {value}");
            assert_eq!(order(&mut television, command, target, value), want, "{shown}");
        }
        let contexts = television.contexts();
        let state = &contexts["Device.DeviceState"];
        assert_eq!(state["volume"]["value"], 7);
        assert_eq!(state["power"]["state"], "active");
        assert_eq!(state["channel"], json!({"actions": ["Decrease", "Increase", "SetValue"]}));
        assert_eq!(contexts["Speaker.VolumeState"], json!({"volume": 7, "muted": false}));
        assert_eq!(contexts["Device.Display"]["size"], "xl100");
    }

    #[test]
    fn what_every_kind_reports_is_what_the_guide_wants() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::AirConditioner) {
            let contexts = Controls::new(kind.make()).contexts();
            for (name, payload) in contexts.as_object().unwrap() {
                let (namespace, name) = name.split_once('.').unwrap();
                let payload = serde_json::value::to_raw_value(payload).unwrap();
                let (namespace, name) = (namespace.into(), name.into());
                let report = crate::appliance::message::ContextReport { namespace, name, payload };
                let mut taken = crate::appliance::context::Contexts::new(Default::default());
                let complaints = taken.take(report);
                assert!(complaints.is_empty(), "{kind:?}: {complaints:?}");
            }
        }
    }

    #[test]
    fn a_control_is_only_set_to_what_it_can_be() {
        let mut fridge = Controls::new(Kind::Fridge.make());
        assert!(fridge.set("volume", 10) && !fridge.set("volume", 11) && !fridge.set("door", 1));
        assert!(fridge.set("energySavingMode", 1) && !fridge.set("energySavingMode", 2));
        assert_eq!((fridge.get("volume"), fridge.get("energySavingMode")), (Some(10), Some(1)));
    }
}
