//! DeviceControl: the names of commands and targets in directives and in reports.
//!
//! A target that the guide does not have for a directive is answered by ActionFailed at once, and
//! the appliance does not get it: otherwise it might do what CIC was told is impossible. Whether
//! the appliance supports a target that the guide has is for the appliance to say.

use serde::Deserialize;

use super::Cause;
use crate::{appliance::duties::Duty, cic::directive::Directive};

/// Longest target that is echoed, characters.
const MAX_TARGET: usize = 64;

/// `target` of TurnOn and TurnOff, and what reports call it. The reference and the guide's text
/// have different ones; all are understood, and reports use those of the reports' list. `power` is
/// in no list of reports.
const SWITCHES: &[(&str, &str)] = &[
    ("airplane", "airplane"),
    ("bluetooth", "bluetooth"),
    ("cellular", "cellular"),
    ("energysave", "powersave"),
    ("flashlight", "flashlight"),
    ("gps", "gps"),
    ("power", "power"),
    ("powersave", "powersave"),
    ("ring", "soundmode"),
    ("screenautobrightness", "screenautobrightness"),
    ("silent", "soundmode"),
    ("soundmode", "soundmode"),
    ("vibrate", "soundmode"),
    ("wifi", "wifi"),
];
/// `target` of Increase, Decrease and SetValue.
const LEVELS: &[(&str, &str)] =
    &[("channel", "channel"), ("screenbrightness", "screenbrightness"), ("volume", "volume")];
/// `target` of Open.
const SCREENS: &[(&str, &str)] = &[("home", "home"), ("settings", "settings")];
/// `target` of OpenScreen.
const SETTINGS: &[(&str, &str)] = &[("settings", "settings")];

/// What is reported of an order besides its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Action {
    /// `target` of the report.
    pub target: Box<str>,
}

#[derive(Deserialize)]
struct Target {
    target: Box<str>,
}

/// How an order is reported, and what is wrong with it.
pub(super) fn read(duty: &Duty, directive: &Directive) -> (Action, Option<Cause>) {
    let named = directive.payload_as::<Target>().ok().map(|Target { target }| target);
    let table = match duty.name {
        "TurnOn" | "TurnOff" => SWITCHES,
        "Increase" | "Decrease" | "SetValue" => LEVELS,
        "Open" => SCREENS,
        "OpenScreen" => SETTINGS,
        // Which app it is cannot be said in a report.
        "LaunchApp" => return (Action::on("app"), named.is_none().then_some(Cause::Payload)),
        _ => return (Action::on("bluetooth"), None),
    };
    let Some(named) = named else { return (Action::on(""), Some(Cause::Payload)) };
    match table.iter().find(|(target, _)| **target == *named) {
        Some((_, reported)) => (Action::on(reported), None),
        None => (Action::on(&named), Some(Cause::UnknownTarget)),
    }
}

/// Whether the real result of a connection is reported behind it.
pub(super) fn is_connect(name: &str) -> bool {
    matches!(name, "BtConnect" | "BtConnectByPINCode")
}

/// What the guide of 2022 calls an event: firmware may know the name of 2019.
pub fn current_event_name<'a>(namespace: &str, name: &'a str) -> &'a str {
    match (namespace, name) {
        ("DeviceControl", "BtRequestToCancelPinCodeInput") => "BtRequestToCancelPINCodeInput",
        _ => name,
    }
}

impl Action {
    fn on(target: &str) -> Self {
        Self { target: target.chars().take(MAX_TARGET).collect() }
    }
}
