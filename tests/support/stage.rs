//! A live gateway between a simulated CIC and appliances that do only what a test says.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use cic_gateway::{
    app::Gateway,
    ids::random_uuid,
    sim::cic::{SeenEvent, SimSettings},
};
use serde_json::{Value, json};

use super::{
    puppet::{LIMIT, Message, Puppet},
    site::{BrokerKind, Plan, Site},
};

/// An appliance, and what of CIC concerns it.
pub struct Actor {
    pub puppet: Puppet,
    pub device: String,
    pub id: String,
    pub site: Rc<Site>,
    /// What was waited for last.
    heard: Cell<usize>,
    seen: Cell<u64>,
}

pub struct Stage {
    pub site: Rc<Site>,
    pub gateway: Option<Gateway>,
    pub actors: Vec<Actor>,
}

/// `Namespace.Name` of a `down/directive`.
pub fn full_name(directive: &Value) -> String {
    let text = |name: &str| directive[name].as_str().unwrap_or_default().to_owned();
    format!("{}.{}", text("namespace"), text("name"))
}

/// A directive as CIC sends it, without dialogue id.
pub fn directive(full_name: &str, payload: Value) -> Value {
    let (namespace, name) = full_name.split_once('.').unwrap();
    let header = json!({"namespace": namespace, "name": name, "messageId": random_uuid()});
    json!({"directive": {"header": header, "payload": payload}})
}

/// The same, with a dialogue id; in the answer to a request it becomes the request's own.
pub fn in_dialogue(full_name: &str, payload: Value) -> Value {
    let mut made = directive(full_name, payload);
    made["directive"]["header"]["dialogRequestId"] = random_uuid().into();
    made
}

/// All that an appliance can be.
pub fn state() -> Value {
    let switch = json!({"actions": ["TurnOn", "TurnOff"], "state": "off"});
    let level = json!({
        "actions": ["Increase", "Decrease", "SetValue"], "min": 0, "max": 10, "value": 5,
    });
    let actions = [
        "TurnOn",
        "TurnOff",
        "BtConnect",
        "BtConnectByPINCode",
        "BtDisconnect",
        "BtStartPairing",
        "BtStopPairing",
    ];
    json!({
        "Device.DeviceState": {
            "airplane": switch, "gps": switch, "volume": level,
            "power": {"actions": ["TurnOn", "TurnOff"], "state": "active"},
            "bluetooth": {
                "actions": actions, "state": "on", "pairing": "off", "scanning": "off",
                "connecting": "off", "btlist": [], "scanlist": [],
            },
        },
        "Device.Display": {"size": "none"},
        "Device.Audio": {"acceptContentType": [
            {"mimeType": "audio/mpeg", "audioCodec": "MP3", "fileExtension": "MP3"},
        ]},
        "Speaker.VolumeState": {"volume": 5, "muted": false},
        "Clova.Location": {
            "latitude": "37.5", "longitude": "127.0", "refreshedAt": "2022-12-01T12:00:00+09:00",
        },
        "Clova.SavedPlace": {"places": [{
            "latitude": "37.5", "longitude": "127.0", "name": "집",
            "refreshedAt": "2022-12-01T12:00:00+09:00",
        }]},
    })
}

impl Stage {
    /// With so many appliances, all connected; CIC is started with these settings.
    pub async fn build(appliances: usize, sim: SimSettings, more: &str) -> Self {
        let plan = Plan { broker: BrokerKind::Embedded, sim, appliances, ..Plan::default() };
        let site = Site::build(Plan { cic: more.to_owned(), ..plan }).await;
        let gateway = Some(Gateway::start(&site.config).await.unwrap());
        let mut stage = Self { site: Rc::new(site), gateway, actors: Vec::new() };
        let arrivals = (0..appliances).map(|number| stage.arrive(number));
        stage.actors = futures_util::future::join_all(arrivals).await;
        stage
    }

    /// An appliance is switched on; returns once its session is connected.
    pub async fn arrive(&self, number: usize) -> Actor {
        let appliance = &self.site.appliances[number];
        let puppet = Puppet::arrive(&appliance.settings, &state()).await;
        let (device, id) = (appliance.device.clone(), appliance.id.to_string());
        let (heard, seen) = (Cell::new(0), Cell::new(0));
        let actor = Actor { puppet, device, id, site: self.site.clone(), heard, seen };
        actor.hears("session", |session| session["state"] == "connected").await;
        actor
    }

    pub fn metrics(&self) -> String {
        self.gateway.as_ref().unwrap().metrics().render()
    }

    /// CIC had nothing to complain of.
    pub async fn ends(mut self) {
        assert_eq!(self.site.cic.refusals(), []);
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
    }
}

impl Actor {
    /// From now on: what came before is not waited for any more.
    pub fn mark(&self) {
        self.heard.set(self.puppet.count());
        self.seen.set(self.site.cic.event_count());
    }

    /// CIC sends a directive on the downchannel.
    pub fn cic_sends(&self, directive: &Value) {
        assert!(self.site.cic.push_to(&self.device, directive), "the downchannel is open");
    }

    /// CIC sends a directive without dialogue id on the downchannel.
    pub fn cic_orders(&self, full_name: &str, payload: Value) {
        self.cic_sends(&directive(full_name, payload));
    }

    /// The user asks something, and CIC answers with these; returns the request's dialogue id.
    pub async fn asks(&self, directives: Vec<Value>, attachments: Vec<(String, Bytes)>) -> String {
        let event = "TextRecognizer.Recognize";
        self.site.cic.answer_once(&self.device, event, directives, attachments);
        self.says("text", json!({"text": "something"})).await;
        self.cic_sees(event).await.dialogue.unwrap()
    }

    /// The appliance publishes below `up/`.
    pub async fn says(&self, rest: &str, payload: Value) {
        self.puppet.says(rest, payload.to_string()).await;
    }

    /// Waits for the next message on `down/{topic}` that fits.
    pub async fn hears(&self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let fits = |message: &Message| message.topic == topic && wanted(&message.json());
        let (next, message) = self.puppet.hears(self.heard.get(), topic, fits).await;
        self.heard.set(next);
        message.json()
    }

    /// How much of what it got has been looked at.
    pub fn count(&self) -> usize {
        self.heard.get()
    }

    /// Waits for the next directive of this name.
    pub async fn hears_directive(&self, name: &str) -> Value {
        let fits = |m: &Message| m.topic == "directive" && full_name(&m.json()) == name;
        let (next, message) = self.puppet.hears(self.heard.get(), name, fits).await;
        self.heard.set(next);
        message.json()
    }

    /// Waits until CIC has the next event of this name.
    pub async fn cic_sees(&self, name: &str) -> SeenEvent {
        let fits = |seen: &SeenEvent| seen.device == self.device && seen.name == name;
        let seen = self.site.cic.next_event(self.seen.get(), fits, LIMIT).await;
        let (next, seen) = seen.unwrap_or_else(|| {
            let others = self.cic_saw().into_iter().map(|seen| seen.name);
            panic!(
                "{name} was not seen, but {:?}; refused: {:?}",
                others.collect::<Vec<_>>(),
                self.site.cic.refusals()
            )
        });
        self.seen.set(next);
        seen
    }

    /// What CIC has seen since what was waited for last.
    pub fn cic_saw(&self) -> Vec<SeenEvent> {
        self.site.cic.events_after(self.seen.get(), |seen| seen.device == self.device)
    }

    /// What has been heard since what was waited for last.
    pub fn heard(&self) -> Vec<Message> {
        self.puppet.since(self.heard.get())
    }

    /// Everything that CIC has sent before this has been dealt with; returns what the appliance has
    /// got of it.
    pub async fn settles(&self) -> Vec<Message> {
        let from = self.heard.get();
        let sentinel = directive("Clova.Help", json!({"sentinel": random_uuid()}));
        self.cic_sends(&sentinel);
        let wanted = &sentinel["directive"]["payload"];
        self.hears("directive", |directive| directive["payload"] == *wanted).await;
        let mut heard = self.puppet.since(from);
        heard.truncate(self.heard.get() - from - 1);
        heard
    }
}

/// A context object of an event; `null` when it is not there.
pub fn context<'a>(event: &'a SeenEvent, full_name: &str) -> &'a Value {
    let (namespace, name) = full_name.split_once('.').unwrap();
    let mut objects = event.context.as_array().into_iter().flatten();
    let found = objects.find(|object| {
        object["header"]["namespace"] == namespace && object["header"]["name"] == name
    });
    found.map_or(&Value::Null, |object| &object["payload"])
}
