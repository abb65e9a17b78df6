//! DeviceControl, Settings and Clova: what the device was ordered, and whether its answers fit
//! (interfaces; flows 7 to 10).

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{
    super::metadata::{Metadata, Wrong},
    Owed, text,
};

/// Requests of the app that may wait for the device.
const MAX_DELEGATED: usize = 64;

/// Targets of reports, for targets of directives that differ (interfaces, DeviceControl).
const REPORTED: &[(&str, &str)] = &[
    ("energysave", "powersave"),
    ("ring", "soundmode"),
    ("silent", "soundmode"),
    ("vibrate", "soundmode"),
];

/// What one device was ordered.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// By command; about its `target` in reports.
    actions: Owed,
    /// ExpectReportState and the like.
    questions: Owed,
    delegated: VecDeque<(String, String)>,
}

/// Whether a directive of DeviceControl is answered with ActionExecuted or ActionFailed.
fn is_action(name: &str) -> bool {
    let named = ["Decrease", "Increase", "LaunchApp", "Open", "OpenScreen", "SetValue"];
    name.starts_with("Bt") || name.starts_with("Turn") || named.contains(&name)
}

/// `target` of the report of an order.
fn reported(name: &str, payload: &Value) -> Value {
    if name.starts_with("Bt") {
        return "bluetooth".into();
    }
    if name == "LaunchApp" {
        return "app".into();
    }
    let target = text(payload, "target");
    let other = REPORTED.iter().find(|(ordered, _)| *ordered == target);
    other.map_or(target, |(_, reported)| reported).into()
}

impl Orders {
    pub(super) fn note(&mut self, name: &str, payload: &Value) {
        match name {
            "HandleDelegatedEvent" => self.questions.add(name, payload["delegationId"].clone()),
            "ExpectReport" | "ExpectReportState" | "Update" => {
                self.questions.add(name, Value::Null);
            }
            name if is_action(name) => self.actions.add(name, reported(name, payload)),
            _ => {}
        }
    }

    pub(super) fn delegate(&mut self, id: &str, text: &str) {
        self.delegated.push_back((id.to_owned(), text.to_owned()));
        if self.delegated.len() > MAX_DELEGATED {
            self.delegated.pop_front();
        }
    }

    pub(super) fn delegated(&mut self, id: &str) -> Option<String> {
        let at = self.delegated.iter().position(|(known, _)| known == id)?;
        self.delegated.remove(at).map(|(_, text)| text)
    }

    pub(super) fn take(&mut self, name: &str, event: &Metadata) -> Result<Vec<Value>, Wrong> {
        match name {
            "ActionExecuted" | "ActionFailed" => self.acted(name, event),
            "ReportState" => {
                self.questions.settle("ExpectReportState", |_| true);
                needs_state(event)
            }
            "BtRequestToCancelPinCodeInput" => {
                Err("BtRequestToCancelPINCodeInput is its name since 2022".into())
            }
            "Report" => {
                let asked = self.questions.settle("Update", |_| true);
                let _ = asked.or_else(|| self.questions.settle("ExpectReport", |_| true));
                Ok(Vec::new())
            }
            "RequestVersionSpec" => Ok(vec![version_spec()]),
            "ProcessDelegatedEvent" => {
                let id = &event.payload["delegationId"];
                match self.questions.settle("HandleDelegatedEvent", |asked| asked == id) {
                    Some(_) => Ok(Vec::new()),
                    None => Err(format!("{id} was not delegated to this device")),
                }
            }
            _ => Ok(Vec::new()),
        }
    }

    fn acted(&mut self, name: &str, event: &Metadata) -> Result<Vec<Value>, Wrong> {
        needs_state(event)?;
        let (command, target) = (text(&event.payload, "command"), &event.payload["target"]);
        if (name, command) == ("ActionExecuted", "LaunchApp") {
            return Err("LaunchApp is reported only when it fails".into());
        }
        match self.actions.settle(command, |ordered| ordered == target) {
            Some(_) => Ok(Vec::new()),
            None => Err(format!("{name}: no {command} of {target} is to be answered")),
        }
    }
}

/// The data of these events is in the context (interfaces, DeviceControl).
fn needs_state(event: &Metadata) -> Result<Vec<Value>, Wrong> {
    match event.object("Device", "DeviceState").is_null() {
        true => Err(format!("{} without Device.DeviceState", event.name)),
        false => Ok(Vec::new()),
    }
}

/// The only setting that CLOVA provides so far.
fn version_spec() -> Value {
    let voice = |key: &str, name: &str| json!({"key": key, "name": name});
    let payload = json!({
        "clientName": "simulated",
        "deviceVersion": "1.0.0",
        "os": "",
        "specVersion": "20221201000000",
        "spec": {"voiceType": {
            "name": "Voice",
            "list": [voice("V001", "Ara"), voice("V002", "Jinho")],
            "default": voice("V001", "Ara"),
        }},
    });
    super::wire::directive("Settings", "UpdateVersionSpec", None, payload)
}
