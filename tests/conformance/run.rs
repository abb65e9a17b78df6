//! Performs a case of the table with an appliance that does only what it is told to.

use std::time::Duration;

use bytes::Bytes;
use cic_gateway::{ids::random_uuid, sim::cic::SeenEvent};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    examples::{Example, Examples},
    pattern::{Names, edit, fits, resolve},
    support::{
        puppet::{LIMIT, Message},
        stage::{Actor, context, directive},
    },
    table::Step,
};

/// Topics that follow from everything, and which a case only looks at when it names them.
const AMBIENT: [&str; 3] = ["session", "dialogue", "focus"];

/// Contexts that every event carries (context, rules). `SpeechSynthesizer.SpeechState` joins them
/// with the first Speak.
const ALWAYS: [&str; 8] = [
    "Alerts.AlertsState",
    "AudioPlayer.PlaybackState",
    "Clova.Location",
    "Clova.SavedPlace",
    "Device.Audio",
    "Device.DeviceState",
    "Device.Display",
    "Speaker.VolumeState",
];

/// What stands for speech.
pub const SPEECH: &[u8] = b"an MP3, as far as anybody but the appliance cares";

pub struct Run<'a> {
    pub actor: &'a Actor,
    examples: &'a Examples,
    names: Names,
    /// What the appliance has got before is of no interest.
    heard_from: usize,
    taken: Vec<usize>,
    seen_from: u64,
    seen_at: usize,
}

impl<'a> Run<'a> {
    /// What connecting brings has come.
    pub async fn begin(actor: &'a Actor, examples: &'a Examples) -> Result<Self, String> {
        let mut run = Self {
            actor,
            examples,
            names: Names::new(),
            heard_from: 0,
            taken: Vec::new(),
            seen_from: 0,
            seen_at: 0,
        };
        run.settle().await?;
        run.mark();
        Ok(run)
    }

    /// What has come until now has been looked at.
    pub fn mark(&mut self) {
        (self.heard_from, self.taken) = (self.actor.puppet.count(), Vec::new());
        (self.seen_from, self.seen_at) = (self.actor.site.cic.event_count(), 0);
    }

    pub async fn perform(&mut self, step: &Step) -> Result<(), String> {
        let now = Timestamp::now();
        for (name, seconds) in [("now", 0), ("hour", 3600)] {
            let time = now + jiff::SignedDuration::from_secs(seconds);
            self.names
                .insert(name.into(), time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string().into());
        }
        match step {
            Step { cic: Some(example), .. } => self.send(example, step).await,
            Step { up: Some(topic), bytes: Some(count), .. } => {
                self.actor.puppet.says(topic, vec![0; *count]).await;
                Ok(())
            }
            Step { up: Some(topic), says, .. } => {
                let says = resolve(says.as_ref().unwrap_or(&Value::Null), &self.names)?;
                self.actor.says(topic, says).await;
                Ok(())
            }
            Step { down: Some(topic), is, .. } => {
                let is = is.clone().unwrap_or(json!({}));
                self.hear(topic, &is).await
            }
            Step { attachment: Some(_), .. } => self.hear_attachment().await,
            Step { event: Some(event), .. } => self.see(event, step).await,
            Step { store: Some(_), .. } => self.break_store().await,
            other => Err(format!("{other:?} is no step")),
        }
    }

    async fn send(&mut self, example: &str, step: &Step) -> Result<(), String> {
        let known = self.examples.get(example).filter(|example| example.is_directive);
        let mut message = match known {
            Some(Example { message, .. }) => message.clone(),
            None => directive(example, json!({})),
        };
        for (path, new) in &step.edit {
            let new = resolve(new, &self.names)?;
            edit(&mut message["directive"], path, new)?;
        }
        let has_id = message["directive"]["header"].get("dialogRequestId").is_some();
        let attachments = attachments(&message);
        match step.way.as_deref().unwrap_or(if has_id { "answer" } else { "channel" }) {
            "answer" => {
                let (cic, device) = (&self.actor.site.cic, &self.actor.device);
                let event = "TextRecognizer.Recognize";
                cic.answer_once(device, event, vec![message.clone()], attachments);
                self.actor.says("text", json!({"text": "something"})).await;
                let asked = self.next_event(event).await?;
                if has_id {
                    message["directive"]["header"]["dialogRequestId"] = asked.dialogue.into();
                }
            }
            "channel" => self.actor.cic_sends(&message),
            event => {
                let (cic, device) = (&self.actor.site.cic, &self.actor.device);
                cic.answer_once(device, event, vec![message.clone()], attachments);
            }
        }
        let flat = flat(&message);
        self.names.extend(step.r#as.clone().map(|name| (name, flat.clone())));
        self.names.insert("cic".into(), flat);
        Ok(())
    }

    /// Nothing about alerts can be kept any more.
    async fn break_store(&self) -> Result<(), String> {
        let path = self.actor.site.dir.path().join("store.db");
        let pool = sqlx::SqlitePool::connect(&path.display().to_string()).await;
        let pool = pool.map_err(|wrong| wrong.to_string())?;
        let renamed = sqlx::query("ALTER TABLE alerts RENAME TO lost").execute(&pool).await;
        renamed.map(drop).map_err(|wrong| wrong.to_string())
    }

    async fn hear(&mut self, topic: &str, is: &Value) -> Result<(), String> {
        let is = resolve(is, &self.names)?;
        let mut at = self.heard_from;
        loop {
            let fits_topic = |message: &Message| message.topic == topic;
            let heard = self.actor.puppet.next(at, fits_topic, LIMIT).await;
            let (next, message) =
                heard.ok_or_else(|| format!("down/{topic} {is} was not heard; {}", self.rest()))?;
            at = next;
            if self.taken.contains(&(next - 1)) {
                continue;
            }
            let json = message.json();
            if fits(&is, Some(&json)) {
                self.taken.push(next - 1);
                self.names.insert("down".into(), json);
                return Ok(());
            }
            if !is_ambient(&message) {
                return Err(format!("down/{topic} should be {is}, but is {json}"));
            }
        }
    }

    async fn hear_attachment(&mut self) -> Result<(), String> {
        let id = resolve(&"@down.attachments.0.contentId".into(), &self.names)?;
        let topic = format!("audio/{}", id.as_str().unwrap_or_default());
        let (mut at, mut bytes) = (self.heard_from, Vec::new());
        loop {
            let heard = self.actor.puppet.next(at, |m| m.topic == topic, LIMIT).await;
            let (next, message) = heard.ok_or_else(|| format!("{topic} did not end"))?;
            at = next;
            self.taken.push(next - 1);
            match message.payload.is_empty() {
                true if bytes == SPEECH => return Ok(()),
                true => return Err(format!("{topic} is {} bytes of something else", bytes.len())),
                false => bytes.extend_from_slice(&message.payload),
            }
        }
    }

    async fn see(&mut self, event: &str, step: &Step) -> Result<(), String> {
        let example = self.examples.get(event).filter(|example| !example.is_directive);
        let name = example.map_or_else(|| event.to_owned(), Example::full_name);
        let seen = self.next_event(&name).await?;
        let wanted = match (&step.payload, example) {
            (Some(payload), _) => resolve(payload, &self.names)?,
            (None, Some(example)) => {
                let mut payload = example.message["event"]["payload"].clone();
                for (path, new) in &step.edit {
                    edit(&mut payload, path, resolve(new, &self.names)?)?;
                }
                payload
            }
            (None, None) => return Err(format!("{event} is no example and has no payload")),
        };
        let is_exact = wanted == seen.payload || !has_any(&wanted);
        if !fits(&wanted, Some(&seen.payload)) || (is_exact && wanted != seen.payload) {
            return Err(format!("{name} should say {wanted}, but says {}", seen.payload));
        }
        let has_id = name.ends_with("Recognizer.Recognize");
        if has_id != seen.dialogue.is_some() {
            return Err(format!("{name} with dialogue id {:?}", seen.dialogue));
        }
        self.names.insert("event".into(), seen.payload.clone());
        self.check_context(&seen, step)
    }

    fn check_context(&self, seen: &SeenEvent, step: &Step) -> Result<(), String> {
        for name in ALWAYS {
            if context(seen, name).is_null() {
                return Err(format!("{} without {name}", seen.name));
            }
        }
        if context(seen, "Device.DeviceState")["localTime"].is_null() {
            return Err(format!("{} without localTime", seen.name));
        }
        for (name, wanted) in &step.context {
            let (wanted, actual) = (resolve(wanted, &self.names)?, context(seen, name));
            if !fits(&wanted, Some(actual)) {
                return Err(format!("{}: {name} should be {wanted}, but is {actual}", seen.name));
            }
        }
        Ok(())
    }

    /// The next event of this appliance, which must be of this name.
    async fn next_event(&mut self, name: &str) -> Result<SeenEvent, String> {
        let (cic, device) = (&self.actor.site.cic, &self.actor.device);
        loop {
            let count = cic.event_count();
            let seen = cic.events_after(self.seen_from, |seen| seen.device == *device);
            if let Some(seen) = seen.into_iter().nth(self.seen_at) {
                self.seen_at += 1;
                return match seen.name == name {
                    true => Ok(seen),
                    false => {
                        Err(format!("{name} should come, but {} {} did", seen.name, seen.payload))
                    }
                };
            }
            let any = |seen: &SeenEvent| seen.device == *device;
            if cic.next_event(count, any, LIMIT).await.is_none() {
                return Err(format!("{name} was not seen; {}", self.rest()));
            }
        }
    }

    /// What has been sent in either direction has arrived, and what follows from it.
    async fn settle(&mut self) -> Result<(), String> {
        self.flush_channel().await?;
        self.flush_events().await?;
        self.flush_channel().await
    }

    /// Whatever CIC has sent before has been dealt with.
    pub async fn flush_channel(&mut self) -> Result<(), String> {
        let help = directive("Clova.Help", json!({"sentinel": random_uuid()}));
        self.actor.cic_sends(&help);
        let wanted = &help["directive"]["payload"];
        let is_it = |message: &Message| message.json()["payload"] == *wanted;
        let heard = self.actor.puppet.next(self.heard_from, is_it, LIMIT).await;
        let (next, _) = heard.ok_or_else(|| format!("the gateway hangs; {}", self.rest()))?;
        self.taken.push(next - 1);
        Ok(())
    }

    /// Whatever the appliance has said before has been dealt with, and CIC has answered.
    async fn flush_events(&mut self) -> Result<(), String> {
        let button = random_uuid();
        self.actor.says("button", json!({"button": "custom", "name": button})).await;
        let (cic, device) = (&self.actor.site.cic, &self.actor.device);
        let is_it = |seen: &SeenEvent| seen.device == *device && seen.payload["button"] == button;
        let seen = cic.next_event(self.seen_from, is_it, LIMIT).await;
        seen.map(drop).ok_or_else(|| format!("no events go out; {}", self.rest()))
    }

    /// Nothing else has happened than what the case says.
    pub async fn end(mut self) -> Result<(), String> {
        self.settle().await?;
        let rest = self.unexpected();
        if !rest.is_empty() {
            return Err(format!("nothing else should happen, but {rest:#?}"));
        }
        let refused = self.actor.site.cic.refusals();
        let own: Vec<_> = refused.iter().filter(|r| r.device == self.actor.device).collect();
        if own.is_empty() { Ok(()) } else { Err(format!("CIC refuses {own:?}")) }
    }

    pub fn unexpected(&self) -> Vec<String> {
        let heard = self.actor.puppet.since(self.heard_from).into_iter().enumerate();
        let heard = heard.filter(|(at, message)| {
            !is_ambient(message) && !self.taken.contains(&(self.heard_from + at))
        });
        let heard =
            heard.map(|(_, m)| format!("down/{} {}", m.topic, String::from_utf8_lossy(&m.payload)));
        let device = &self.actor.device;
        let seen = self.actor.site.cic.events_after(self.seen_from, |s| s.device == *device);
        let seen = seen.into_iter().skip(self.seen_at);
        let seen = seen.filter(|seen| seen.name != "PlaybackController.CustomCommandIssued");
        heard.chain(seen.map(|seen| format!("{} {}", seen.name, seen.payload))).collect()
    }

    fn rest(&self) -> String {
        let own = |r: &&cic_gateway::sim::cic::Refusal| r.device == self.actor.device;
        let refused = self.actor.site.cic.refusals();
        let refused: Vec<_> = refused.iter().filter(own).collect();
        format!("otherwise {:#?}; refused {refused:?}", self.unexpected())
    }
}

/// Whether it may come at any time. A request that comes before the answer to the one before has
/// been read to its end cancels that, although nothing of it sounds.
fn is_ambient(message: &Message) -> bool {
    let nothing = || message.json()["tokens"] == json!([]);
    AMBIENT.contains(&message.topic.as_str()) || (message.topic == "cancel" && nothing())
}

fn has_any(pattern: &Value) -> bool {
    pattern.to_string().contains("\"@any\"")
}

/// As the appliance gets it, without attachments.
fn flat(message: &Value) -> Value {
    let (header, payload) = (&message["directive"]["header"], &message["directive"]["payload"]);
    let mut flat =
        json!({"namespace": header["namespace"], "name": header["name"], "payload": payload});
    flat["messageId"] = header.get("messageId").cloned().unwrap_or_else(|| "".into());
    flat["dialogRequestId"] = header.get("dialogRequestId").cloned().unwrap_or("@absent".into());
    flat
}

/// Bytes for every `cid:` address.
fn attachments(message: &Value) -> Vec<(String, Bytes)> {
    let url = message["directive"]["payload"]["url"].as_str().unwrap_or_default();
    let id = url.strip_prefix("cid:");
    id.into_iter().map(|id| (id.to_owned(), Bytes::from_static(SPEECH))).collect()
}

/// How long a case may take before it is called hung.
pub const CASE_LIMIT: Duration = Duration::from_secs(60);
