//! What follows from an event: in the response, and on the downchannels of the account's devices
//! (flows 6, 7.2, 9).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    SimSettings,
    accounts::Asked,
    alerts::Wish,
    dossier::Dossier,
    metadata::{Metadata, Wrong},
    reply::speak,
    scenario::{Reply, embedded},
    state::{Down, State},
    wire::{self, Part},
};
use crate::ids::random_uuid;

/// Answers that a test may have prepared for one device.
const MAX_SCRIPTED: usize = 256;

/// An answer that a test has prepared.
#[derive(Debug)]
struct Scripted {
    event: String,
    parts: Vec<Part>,
}

/// What was sent to each device, and what is to be sent.
#[derive(Debug, Default)]
pub(super) struct Household {
    dossiers: Mutex<HashMap<String, Dossier>>,
    scripted: Mutex<HashMap<String, VecDeque<Scripted>>>,
    /// All devices belong to one account.
    is_shared: bool,
    pub(super) asks_for_state: bool,
}

impl Household {
    pub(super) fn new(settings: &SimSettings) -> Self {
        Self {
            is_shared: settings.one_account,
            asks_for_state: settings.asks_for_state,
            ..Self::default()
        }
    }

    fn dossiers(&self) -> MutexGuard<'_, HashMap<String, Dossier>> {
        self.dossiers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A directive goes to a device.
    pub(super) fn note(&self, device: &str, directive: &Value) {
        self.dossiers().entry(device.to_owned()).or_default().note(directive);
    }

    /// Looks into, or writes into, the dossier of a device.
    pub(super) fn dossier<R>(&self, device: &str, look: impl FnOnce(&mut Dossier) -> R) -> R {
        look(self.dossiers().entry(device.to_owned()).or_default())
    }

    pub(super) fn script(&self, device: &str, event: &str, parts: Vec<Part>) {
        let mut scripted = self.scripted.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = scripted.entry(device.to_owned()).or_default();
        queue.push_back(Scripted { event: event.to_owned(), parts });
        if queue.len() > MAX_SCRIPTED {
            queue.pop_front();
        }
    }

    fn scripted(&self, device: &str, event: &Metadata) -> Option<Vec<Part>> {
        let mut scripted = self.scripted.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = scripted.get_mut(device)?;
        let at = queue.iter().position(|scripted| scripted.event == event.name)?;
        let mut parts = queue.remove(at)?.parts;
        if let Some(id) = &event.dialogue {
            parts.iter_mut().for_each(|part| part.belong_to(id));
        }
        Some(parts)
    }
}

impl Part {
    /// A directive that has a dialogue id gets this one.
    fn belong_to(&mut self, dialogue: &str) {
        if let Self::Directive(directive) = self
            && let Some(id) = directive["directive"]["header"].get_mut("dialogRequestId")
        {
            *id = dialogue.into();
        }
    }
}

impl State {
    /// Notes what is about to be sent to a device.
    pub(super) fn note_parts(&self, device: &str, parts: &[Part]) {
        for part in parts {
            if let Part::Directive(directive) = part {
                self.household.note(device, directive);
            }
        }
    }

    /// What a test or a scenario sends by itself may be answered, like all else: alerts, and
    /// questions.
    pub(super) fn adopt(&self, device: &str, directive: &Value) {
        let (header, payload) =
            (&directive["directive"]["header"], &directive["directive"]["payload"]);
        if header["namespace"] == "Alerts" {
            self.write_book(device, |book| (book.adopt(directive), Vec::new()));
        }
        if let Some(id) =
            payload["expectSpeechId"].as_str().filter(|_| header["name"] == "ExpectSpeech")
        {
            self.note_question(id);
        }
    }

    /// Takes an event that is no request of the user; what is put into the response.
    pub(super) fn react(&self, device: &str, event: &Metadata) -> Result<Vec<Part>, Wrong> {
        if event.is_recognize() {
            return Ok(Vec::new());
        }
        let mut parts = self.take_report(device, event)?;
        let deliveries = &self.scenario.deliveries;
        let own = self.household.dossier(device, |dossier| dossier.take(event, deliveries))?;
        parts.extend(own.into_iter().map(Part::Directive));
        self.spread(device, event);
        if let Some(scripted) = self.household.scripted(device, event) {
            return Ok(scripted);
        }
        let asked = Asked { device, dialogue: "", alerts: event.alerts() };
        if let Some(reply) = self.scenario.reply_to(&event.name) {
            return Ok(reply.parts(&asked, self));
        }
        parts.extend(self.other_answer(&asked, event));
        Ok(parts)
    }

    fn other_answer(&self, asked: &Asked<'_>, event: &Metadata) -> Vec<Part> {
        match event.name.as_str() {
            "Clova.ProcessDelegatedEvent" => {
                let id = event.payload["delegationId"].as_str().unwrap_or_default();
                let text = self.household.dossier(asked.device, |dossier| dossier.delegated(id));
                // The app's dialogue, which this client never created.
                let dialogue = &random_uuid();
                let asked = Asked { dialogue, ..*asked };
                text.map(|text| self.answer(&asked, &text, None)).unwrap_or_default()
            }
            "SpeechSynthesizer.Request" => {
                let id = random_uuid();
                let mp3 = embedded("answers/sorry.mp3").unwrap_or_default();
                let speak = Part::Directive(speak(None, &id));
                vec![speak, Part::Attachment(id, Bytes::from_static(mp3))]
            }
            "System.RequestSynchronizeState" => vec![Part::Directive(self.old_list(asked.device))],
            "DeviceControl.RequestDeviceList" => {
                vec![Part::Directive(self.device_list(asked.device))]
            }
            _ => Vec::new(),
        }
    }

    /// The answer to a request of the user.
    pub(super) fn answer_request(&self, device: &str, event: &Metadata, text: &str) -> Vec<Part> {
        if let Some(scripted) = self.household.scripted(device, event) {
            return scripted;
        }
        let question = event.payload["speechId"].as_str().and_then(|id| self.question(id));
        let dialogue = event.dialogue.as_deref().unwrap_or_default();
        let asked = Asked { device, dialogue, alerts: event.alerts() };
        self.answer(&asked, text, question.as_deref())
    }

    /// What the scenario answers, or else the wish that is understood.
    fn answer(&self, asked: &Asked<'_>, text: &str, question: Option<&str>) -> Vec<Part> {
        let reply = self.scenario.reply(text, question);
        let parts = |reply: Option<&Reply>| reply.map(|reply| reply.parts(asked, self));
        // What the scenario says of any text comes last.
        let (own, rest) = match reply {
            Some(reply) if reply.is_for_anything() => (None, Some(reply)),
            reply => (reply, None),
        };
        let wish = || {
            let parts = self.fulfil(Wish::of(text)?, asked)?;
            self.note_dialogue(asked.device, asked.dialogue);
            Some(parts)
        };
        parts(own).or_else(wish).or_else(|| parts(rest)).unwrap_or_default()
    }

    /// What goes to other devices of the account, and to the one that it is about.
    fn spread(&self, device: &str, event: &Metadata) {
        let others = || self.account(device).into_iter().filter(|other| other != device);
        let wanted = event.payload["deviceId"].as_str().filter(|id| !id.is_empty());
        let asked = |id: &String| wanted.is_none_or(|wanted| wanted == id);
        match event.name.as_str() {
            "DeviceControl.ActionExecuted"
            | "DeviceControl.ActionFailed"
            | "DeviceControl.ReportState" => {
                let state = event.object("Device", "DeviceState");
                let told = json!({"deviceId": device, "deviceState": state});
                for id in self.account(device) {
                    self.send(&id, "DeviceControl", "SynchronizeState", told.clone());
                }
            }
            "DeviceControl.RequestStateSynchronization" => {
                for id in others().filter(asked) {
                    match self.is_online(&id) {
                        true => self.send(&id, "DeviceControl", "ExpectReportState", json!({})),
                        // A device without state is offline (interfaces, SynchronizeState).
                        false => {
                            let told = json!({"deviceId": id});
                            self.send(device, "DeviceControl", "SynchronizeState", told);
                        }
                    }
                }
            }
            "AudioPlayer.RequestPlaybackState" => {
                for id in others().filter(asked) {
                    self.send(&id, "AudioPlayer", "ExpectReportPlaybackState", json!({}));
                }
            }
            _ => {}
        }
    }

    /// A directive on the downchannel, without dialogue id.
    pub(super) fn send(&self, device: &str, namespace: &str, name: &str, payload: Value) {
        let directive = wire::directive(namespace, name, None, payload);
        self.tell(device, Down::Part(Part::Directive(directive)));
    }

    /// The devices of the account, this one among them.
    fn account(&self, device: &str) -> Vec<String> {
        match self.household.is_shared {
            true => self.devices(),
            false => vec![device.to_owned()],
        }
    }

    fn old_list(&self, device: &str) -> Value {
        let list = self.all_alerts(device);
        wire::directive("System", "SynchronizeState", None, list["directive"]["payload"].clone())
    }

    fn device_list(&self, device: &str) -> Value {
        let described = self.account(device).into_iter().map(|id| {
            json!({
                "deviceId": id, "deviceName": id, "modelId": "simulated",
                "clientId": "simulated", "clientName": "simulated",
                "bindTime": "2022-12-01T00:00:00+09:00",
                "availabilities": [{"name": "DELEGATION", "available": true}],
            })
        });
        let payload = json!({"deviceList": described.collect::<Vec<_>>()});
        wire::directive("DeviceControl", "RenderDeviceList", Some(&random_uuid()), payload)
    }
}
