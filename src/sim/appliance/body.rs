//! What a simulated appliance is besides its voice: it obeys directives, plays media, keeps
//! settings and shows notifications. Pure: takes the time, returns what to publish and to tell;
//! called by `life.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    ApplianceSettings, Heard,
    controls::Controls,
    firmware,
    kind::Dialect,
    media::{self, Media, Pace},
};

/// Directives that are known when the broker repeats them.
const REMEMBERED: usize = 64;
/// Settings that are kept.
const MAX_SETTINGS: usize = 256;
/// Directives of DeviceControl that are no orders.
const NO_ORDERS: [&str; 3] = ["ExpectReportState", "RenderDeviceList", "SynchronizeState"];

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    /// Publish this below `up/`.
    Publish { rest: String, retain: bool, payload: String },
    /// Tell the owner.
    Tell(Heard),
}

/// The body of one appliance.
#[derive(Debug)]
pub(super) struct Body {
    controls: Controls,
    media: Media,
    settings: BTreeMap<String, String>,
    light: bool,
    /// `messageId`s, the oldest first.
    known: VecDeque<String>,
    outputs: VecDeque<Output>,
}

impl Body {
    pub(super) fn new(settings: &ApplianceSettings) -> Self {
        let pace = Pace { speed: settings.media_speed, length: settings.media_length };
        Self {
            controls: Controls::new(settings.kind.make()),
            media: Media::new(pace),
            settings: settings.settings.clone(),
            light: false,
            known: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// What it says of itself when it comes online.
    pub(super) fn greet(&mut self) {
        self.report_state();
        if !self.settings.is_empty() {
            self.report_settings();
        }
    }

    /// `false` when the broker has repeated this directive. One without an id is always new.
    pub(super) fn is_new(&mut self, directive: &Value) -> bool {
        let Some(id) = directive["messageId"].as_str() else { return true };
        if self.known.iter().any(|known| known == id) {
            return false;
        }
        if self.known.len() == REMEMBERED {
            self.known.pop_front();
        }
        self.known.push_back(id.to_owned());
        true
    }

    /// A `down/directive`, unless it is for the voice.
    pub(super) fn directive(&mut self, directive: &Value, now: Instant) {
        let text = |name: &str| directive[name].as_str().unwrap_or_default();
        let (name, payload) = (text("name"), &directive["payload"]);
        match text("namespace") {
            "DeviceControl" if !NO_ORDERS.contains(&name) => {
                self.order(text("messageId"), name, payload);
            }
            "AudioPlayer" if name == "Play" => self.media.play(payload, now),
            "PlaybackController" => self.control_playback(name, payload, now),
            "Settings" if name == "Update" => self.configure(text("messageId"), payload),
            "Notifier" => self.notify(name, payload),
            _ => {}
        }
        self.tell_media();
    }

    /// `down/focus`.
    pub(super) fn focus(&mut self, places: &Value) {
        self.media.duck(places["content"] == "background");
        self.tell_media();
    }

    /// The tokens of a `down/cancel`.
    pub(super) fn cancel(&mut self, tokens: &[&str], now: Instant) {
        tokens.iter().for_each(|token| self.media.cancel(token, now));
        self.tell_media();
    }

    /// A `down/error`.
    pub(super) fn complain(&mut self, error: &Value) {
        if error["topic"] == "up/playback" && error["code"] == "invalid_payload" {
            self.media.forget(error["token"].as_str().unwrap_or_default());
        }
    }

    /// A message below `down/x/`; `rest` begins with `x/`.
    pub(super) fn firmware(&mut self, rest: &str, payload: &[u8]) {
        let obeyed = firmware::obey(rest, payload, &mut self.controls);
        let (topic, payload) =
            (format!("down/{rest}"), String::from_utf8_lossy(payload).into_owned());
        let Some(obeyed) = obeyed else {
            let outcome = Err("it has no such topic".to_owned());
            return self.tell(Heard::Firmware { topic, payload, outcome });
        };
        for (rest, payload) in obeyed.status {
            self.publish(rest, true, payload);
        }
        if let Some((rest, payload)) = obeyed.answer {
            self.publish(rest, false, payload);
        }
        self.tell(Heard::Firmware { topic, payload, outcome: obeyed.outcome });
    }

    /// When [`Body::handle_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.media.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.media.handle_timeout(now);
        self.tell_media();
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A control directive: always answered.
    fn order(&mut self, message_id: &str, command: &str, payload: &Value) {
        let outcome = self.controls.order(command, payload).map_err(|refusal| refusal.to_string());
        let mut result = json!({"messageId": message_id, "ok": outcome.is_ok()});
        match &outcome {
            Ok(_) => result["state"] = self.controls.contexts(),
            Err(reason) => result["reason"] = json!(reason),
        }
        self.publish("result", false, result.to_string());
        if outcome.is_ok() {
            // What the broker keeps must not be older than the result.
            self.report_state();
        }
        let target = payload["target"].as_str().unwrap_or_default().to_owned();
        self.tell(Heard::Ordered { command: command.to_owned(), target, outcome });
    }

    fn control_playback(&mut self, name: &str, payload: &Value, now: Instant) {
        if payload["target"]["namespace"].as_str().is_some_and(|target| target != "AudioPlayer") {
            return;
        }
        match name {
            "Pause" => self.media.pause(now),
            "Resume" => self.media.resume(now),
            "Stop" => self.media.stop(now),
            "Mute" | "Unmute" => {
                self.controls.mute(name == "Mute");
                self.report_state();
            }
            "VolumeUp" | "VolumeDown" => {
                let command = if name == "VolumeUp" { "Increase" } else { "Decrease" };
                if self.controls.order(command, &json!({"target": "volume"})).is_ok() {
                    self.report_state();
                }
            }
            _ => {}
        }
    }

    fn configure(&mut self, message_id: &str, payload: &Value) {
        let wanted = payload["configuration"].as_object();
        let wanted = wanted
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let mut changed = self.settings.clone();
        changed.extend(wanted);
        let fits = changed.len() <= MAX_SETTINGS;
        if fits {
            self.settings = changed;
            self.report_settings();
        }
        let mut result = json!({"messageId": message_id, "ok": fits});
        if !fits {
            result["reason"] = json!("it has no room for more settings");
        }
        self.publish("result", false, result.to_string());
        self.tell(Heard::Configured(self.settings.clone()));
    }

    fn notify(&mut self, name: &str, payload: &Value) {
        self.light = match name {
            "ClearIndicator" => false,
            _ => self.light || payload["light"] == "DEFAULT",
        };
        let light = self.light;
        let assets = payload["assets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let order = payload["assetPlayOrder"].as_array().into_iter().flatten();
        let url = |id: &Value| assets.iter().find(|asset| asset["assetId"] == *id);
        let sounds = order.filter_map(|id| url(id)?["url"].as_str().map(str::to_owned)).collect();
        self.tell(Heard::Notified { light, sounds });
    }

    fn report_state(&mut self) {
        match self.controls.make.dialect {
            Dialect::Gateway => {
                let contexts = self.controls.contexts().to_string();
                self.publish("state", true, contexts);
            }
            Dialect::Object(_) | Dialect::Words(_) => {
                for (rest, payload) in firmware::status(&self.controls) {
                    self.publish(rest, true, payload);
                }
            }
        }
    }

    fn report_settings(&mut self) {
        let payload = json!({"configuration": self.settings}).to_string();
        self.publish("settings", true, payload);
    }

    fn tell_media(&mut self) {
        while let Some(output) = self.media.poll_output() {
            match output {
                media::Output::Began { token, url, title } => {
                    self.tell(Heard::Stream { token, url, title });
                }
                media::Output::Ducked { token, ducked } => {
                    self.tell(Heard::Ducked { token, ducked });
                }
                media::Output::Report { token, state, offset, total } => {
                    let report = json!({
                        "token": token, "state": state,
                        "offsetInMilliseconds": millis(offset),
                        "totalInMilliseconds": millis(total),
                    });
                    self.publish("playback", false, report.to_string());
                    self.tell(Heard::Media { token, state, offset });
                }
            }
        }
    }

    fn publish(&mut self, rest: impl Into<String>, retain: bool, payload: String) {
        self.outputs.push_back(Output::Publish { rest: rest.into(), retain, payload });
    }

    fn tell(&mut self, heard: Heard) {
        self.outputs.push_back(Output::Tell(heard));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
