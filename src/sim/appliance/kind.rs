//! What kinds of appliances there are, as data: what each reports of itself, what can be changed
//! about it, and how its firmware talks.

/// A kind of simulated appliance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// Plays music, has no screen; reports on `up/state`, obeys directives.
    #[default]
    Speaker,
    /// Has a screen and channels and can be switched off; otherwise as a speaker.
    Television,
    /// Knows nothing of CLOVA: JSON on `up/x/status` and `down/x/set`. Needs the profile
    /// air-conditioner.
    AirConditioner,
    /// Knows nothing of CLOVA: plain texts on `up/x/...`, commands with ids on `down/x/command`.
    /// Needs the profile refrigerator.
    Fridge,
}

/// Something about an appliance that can be changed.
#[derive(Debug)]
pub(super) struct Control {
    /// What `Device.DeviceState` calls it.
    pub(super) item: &'static str,
    /// What directives call it.
    pub(super) targets: &'static [&'static str],
    pub(super) knob: Knob,
}

/// What a control is like, and how it is at first.
#[derive(Debug)]
pub(super) enum Knob {
    /// On or off, in the words of `Device.DeviceState`.
    Switch { on: &'static str, off: &'static str, is_on: bool },
    /// A level; `step` is what "louder" means without a number.
    Range { min: i64, max: i64, step: i64, value: i64 },
    /// Channels from 1 to `last`, some of which have names.
    Channel { last: i64, names: &'static [(&'static str, i64)] },
}

/// How a firmware talks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dialect {
    /// As the MQTT reference describes: `up/state`, `down/directive`, `up/result`.
    Gateway,
    /// All its fields as one JSON object: `up/x/status` and, one or more of them, `down/x/set`.
    Object(&'static [Field]),
    /// Each field as a plain text on `up/x/{field}`; `{"id": ..., FIELD: ...}` on `down/x/command`
    /// is answered by `{"id": ..., "done": true}` on `up/x/done`.
    Words(&'static [Field]),
}

/// A field of a firmware's own messages.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The control behind it.
    pub(super) item: &'static str,
    pub(super) form: Form,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `on` and `off`.
    OnOff,
    /// `true` and `false`.
    Boolean,
    /// A number.
    Number,
}

/// All that is to know of a kind.
#[derive(Debug)]
pub(super) struct Make {
    /// `size` of `Device.Display`, with `orientation` and `dpi` unless it is `none`.
    pub(super) display: &'static str,
    pub(super) controls: &'static [Control],
    /// What `DeviceControl.Open` can show.
    pub(super) screens: &'static [&'static str],
    pub(super) dialect: Dialect,
}

const VOLUME: &[&str] = &["volume"];
const POWER: &[&str] = &["power"];
const ECO: &[&str] = &["energysave", "powersave"];

const SPEAKER: Make = Make {
    display: "none",
    controls: &[Control {
        item: "volume",
        targets: VOLUME,
        knob: Knob::Range { min: 0, max: 10, step: 1, value: 5 },
    }],
    screens: &[],
    dialect: Dialect::Gateway,
};

const TELEVISION: Make = Make {
    display: "xl100",
    controls: &[
        Control {
            item: "power",
            targets: POWER,
            knob: Knob::Switch { on: "active", off: "idle", is_on: true },
        },
        Control {
            item: "channel",
            targets: &["channel"],
            knob: Knob::Channel { last: 99, names: &[("SBS", 6), ("KBS", 9), ("MBC", 11)] },
        },
        Control {
            item: "volume",
            targets: VOLUME,
            knob: Knob::Range { min: 0, max: 100, step: 5, value: 20 },
        },
        Control {
            item: "screenBrightness",
            targets: &["screenbrightness"],
            knob: Knob::Range { min: 0, max: 100, step: 10, value: 50 },
        },
    ],
    screens: &["home", "settings"],
    dialect: Dialect::Gateway,
};

const AIR_CONDITIONER: Make = Make {
    display: "none",
    controls: &[
        Control {
            item: "power",
            targets: POWER,
            knob: Knob::Switch { on: "active", off: "idle", is_on: false },
        },
        // CLOVA has no such item.
        Control {
            item: "temperature",
            targets: &[],
            knob: Knob::Range { min: 16, max: 30, step: 1, value: 23 },
        },
        Control {
            item: "energySavingMode",
            targets: ECO,
            knob: Knob::Switch { on: "on", off: "off", is_on: false },
        },
        Control {
            item: "volume",
            targets: VOLUME,
            knob: Knob::Range { min: 0, max: 3, step: 1, value: 2 },
        },
    ],
    screens: &[],
    dialect: Dialect::Object(&[
        Field { name: "power", item: "power", form: Form::OnOff },
        Field { name: "temp", item: "temperature", form: Form::Number },
        Field { name: "eco", item: "energySavingMode", form: Form::Boolean },
        Field { name: "beep", item: "volume", form: Form::Number },
    ]),
};

const FRIDGE: Make = Make {
    display: "none",
    controls: &[
        Control {
            item: "energySavingMode",
            targets: ECO,
            knob: Knob::Switch { on: "on", off: "off", is_on: false },
        },
        Control {
            item: "volume",
            targets: VOLUME,
            knob: Knob::Range { min: 0, max: 10, step: 1, value: 3 },
        },
    ],
    screens: &[],
    dialect: Dialect::Words(&[
        Field { name: "eco", item: "energySavingMode", form: Form::OnOff },
        Field { name: "volume", item: "volume", form: Form::Number },
    ]),
};

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] =
        [Self::Speaker, Self::Television, Self::AirConditioner, Self::Fridge];

    /// The model id whose shipped profile fits it.
    pub fn model(self) -> &'static str {
        match self {
            Self::Speaker => "speaker",
            Self::Television => "television",
            Self::AirConditioner => "air-conditioner",
            Self::Fridge => "refrigerator",
        }
    }

    pub(super) fn make(self) -> &'static Make {
        match self {
            Self::Speaker => &SPEAKER,
            Self::Television => &TELEVISION,
            Self::AirConditioner => &AIR_CONDITIONER,
            Self::Fridge => &FRIDGE,
        }
    }
}

impl Make {
    /// The control that `Device.DeviceState` calls so.
    pub(super) fn control(&self, item: &str) -> Option<usize> {
        self.controls.iter().position(|control| control.item == item)
    }

    /// The control that directives call so.
    pub(super) fn target(&self, target: &str) -> Option<usize> {
        self.controls.iter().position(|control| control.targets.contains(&target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_consistent() {
        for kind in Kind::ALL {
            let make = kind.make();
            for control in make.controls {
                if let Knob::Range { min, max, step, value } = control.knob {
                    assert!(min < max && (min..=max).contains(&value) && step > 0, "{control:?}");
                }
            }
            let (Dialect::Object(fields) | Dialect::Words(fields)) = make.dialect else { continue };
            for field in fields {
                let at = make.control(field.item);
                let control = &make.controls[at.unwrap_or_else(|| panic!("{field:?}"))];
                let is_number = matches!(control.knob, Knob::Range { .. });
                assert_eq!(is_number, field.form == Form::Number, "{field:?}");
            }
        }
    }
}
