//! The machine with a clock; what it did, as short texts.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};

use super::super::{
    ActionResult, Configuration, Control, ControlSettings, Effect, Handling, Report, UnknownMessage,
};
use crate::{
    appliance::{message::ContextReport, outbox::Care},
    cic::directive::Directive,
    clock::Now,
};

pub const TIMEOUT: Duration = Duration::from_secs(4);
pub const OWN: &str = "90de78d7-0735-43a8-8bdc-acc3c8bc4a80";

pub fn directive(full_name: &str, id: &str, payload: &Value) -> Directive {
    let (namespace, name) = full_name.split_once('.').unwrap();
    Directive {
        namespace: namespace.into(),
        name: name.into(),
        message_id: id.into(),
        dialog_request_id: None,
        payload: RawValue::from_string(payload.to_string()).unwrap(),
    }
}

pub fn state(payload: &Value) -> ContextReport {
    let payload = RawValue::from_string(payload.to_string()).unwrap();
    ContextReport { namespace: "Device".into(), name: "DeviceState".into(), payload }
}

/// `Device.DeviceState` with Bluetooth like this.
pub fn bluetooth(connecting: &str, connected: &[&str]) -> ContextReport {
    let btlist = connected.iter().map(|address| json!({"address": address, "connected": true}));
    let known = json!({"address": "known", "connected": false});
    let btlist: Vec<_> = btlist.chain([known]).collect();
    state(&json!({"bluetooth": {"connecting": connecting, "btlist": btlist}}))
}

pub struct World {
    pub control: Control,
    pub now: Now,
    pub cares: Vec<(&'static str, Care)>,
}

impl World {
    /// Connected, and CIC has been asked for what it provides.
    pub fn new() -> Self {
        let settings = ControlSettings { result_timeout: TIMEOUT, device_id: OWN.into() };
        let now = Now { mono: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let mut world = Self { control: Control::new(settings), now, cares: Vec::new() };
        world.control.set_connected(true);
        world.saw(&["Settings.RequestVersionSpec {}"]);
        world
    }

    pub fn order(&mut self, full_name: &str, id: &str, payload: &Value) -> Handling {
        self.control.order(&directive(full_name, id, payload), self.now)
    }

    /// An order that the appliance gets.
    pub fn ask(&mut self, full_name: &str, id: &str, payload: &Value) {
        assert_eq!(self.order(full_name, id, payload), Handling::Deliver, "{full_name}");
    }

    pub fn answer(&mut self, id: &str, ok: bool) -> Result<(), UnknownMessage> {
        self.answer_with(id, ok, None, Vec::new())
    }

    pub fn answer_with(
        &mut self,
        id: &str,
        ok: bool,
        reason: Option<&str>,
        state: Vec<ContextReport>,
    ) -> Result<(), UnknownMessage> {
        let reason = reason.map(Into::into);
        self.control.result(ActionResult { message_id: id.into(), ok, reason, state }, self.now)
    }

    pub fn report_settings(&mut self, configuration: &Value) {
        let payload = json!({ "configuration": configuration });
        self.control.settings_reported(Configuration::parse(&payload.to_string()).unwrap());
    }

    /// Lets time pass from one deadline to the next.
    pub fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some(due) = self.control.poll_timeout().filter(|due| *due <= end.mono) {
            self.now = self.now.plus(due.saturating_duration_since(self.now.mono));
            self.control.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Everything that was to be done since the last look.
    pub fn seen(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(effect) = self.control.poll_effect() {
            seen.push(match effect {
                Effect::Apply(reports) => format!("apply {}", reports.len()),
                Effect::Report(report) => self.reported(&report),
                Effect::Failed(failure) => {
                    format!("failed {} {}: {}", failure.name, failure.target, failure.cause)
                }
            });
        }
        seen
    }

    #[track_caller]
    pub fn saw(&mut self, wanted: &[&str]) {
        assert_eq!(self.seen(), wanted);
    }

    fn reported(&mut self, report: &Report) -> String {
        self.cares.push((report.name, report.care));
        let payload: Value = serde_json::from_str(report.payload.get()).unwrap();
        match report.namespace {
            "DeviceControl" if report.name == "ReportState" => "ReportState".into(),
            "DeviceControl" => {
                let field = |name: &str| payload[name].as_str().unwrap().to_owned();
                format!("{} {} {}", report.name, field("command"), field("target"))
            }
            namespace => format!("{namespace}.{} {payload}", report.name),
        }
    }
}
