//! Tokens, channels, questions, and the journal of what was seen.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{SimSettings, scenario::Scenario, wire::Part};
use crate::{ids::random_uuid, secret::Secret};

/// Something that goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next downchannel request is answered with this status.
    ChannelStatus(u16),
    /// The next downchannel opens and never says hello.
    NoHello,
    /// The next event is answered with this status.
    EventStatus(u16),
    /// The next event's answer ends in the middle.
    TruncatedAnswer,
    /// The next event's stream is reset.
    ResetEvent,
    /// The next event's answer begins with parts that cannot be used: no JSON, no UTF-8, a
    /// directive of 10 MiB, an attachment that no directive wants.
    Rubbish,
    /// The next event ends the connection with GOAWAY.
    Goaway,
}

impl Fault {
    pub(super) fn concerns_channel(self) -> bool {
        matches!(self, Self::ChannelStatus(_) | Self::NoHello)
    }
}

/// An event that the simulated CIC received.
#[derive(Debug, Clone)]
pub struct SeenEvent {
    /// `device_id` of the token that it came with.
    pub device: String,
    /// Number of the connection.
    pub connection: u64,
    /// `Namespace.Name`.
    pub name: String,
    /// `header.dialogRequestId`.
    pub dialogue: Option<String>,
    /// `payload`.
    pub payload: Value,
    /// `context`.
    pub context: Value,
    /// All audio, in order.
    pub audio: Bytes,
    /// What was recognised, or typed.
    pub text: String,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) model: String,
}

#[derive(Debug)]
struct Channel {
    connection: u64,
    parts: mpsc::UnboundedSender<Part>,
}

#[derive(Debug, Default)]
struct Inner {
    codes: HashMap<String, Option<Device>>,
    access: HashMap<String, (Device, Timestamp)>,
    refresh: HashMap<String, Device>,
    channels: HashMap<String, Channel>,
    opening: HashSet<String>,
    questions: HashMap<String, String>,
    dialogues: HashMap<String, Vec<String>>,
    message_ids: HashSet<String>,
    faults: VecDeque<Fault>,
    journal: Vec<SeenEvent>,
}

/// What the servers share.
#[derive(Debug)]
pub(super) struct State {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    pub(super) scenario: Scenario,
    client: (String, Secret),
    token_life: Duration,
}

/// Freshly issued tokens.
pub(super) struct Issued {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) expires_in: u64,
}

impl State {
    pub(super) fn new(settings: &SimSettings) -> Self {
        Self {
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
            scenario: settings.scenario.clone(),
            client: settings.client.clone(),
            token_life: settings.token_life,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_client(&self, id: &str, secret: Option<&str>) -> bool {
        let (known, known_secret) = &self.client;
        known.is_empty()
            || (known == id && secret.is_none_or(|secret| secret == known_secret.expose()))
    }

    pub(super) fn issue_code(&self, device: Option<Device>) -> Secret {
        let code = random_uuid();
        self.lock().codes.insert(code.clone(), device);
        code.into()
    }

    /// Trades a code, once, for the device that it was issued to.
    pub(super) fn redeem_code(&self, code: &str, device: &Device) -> Option<Issued> {
        let bound = self.lock().codes.remove(code)?;
        bound.is_none_or(|bound| bound == *device).then(|| self.issue(device))
    }

    /// Trades a refresh token, once.
    pub(super) fn redeem_refresh(&self, token: &str, model: &str) -> Option<Issued> {
        let device = self.lock().refresh.remove(token)?;
        (device.model == model).then(|| self.issue(&device))
    }

    fn issue(&self, device: &Device) -> Issued {
        let (access, refresh) = (random_uuid(), random_uuid());
        let ends = Timestamp::now().checked_add(self.token_life).unwrap_or(Timestamp::MAX);
        let mut inner = self.lock();
        inner.access.retain(|_, (known, _)| known != device);
        inner.access.insert(access.clone(), (device.clone(), ends));
        inner.refresh.insert(refresh.clone(), device.clone());
        Issued { access, refresh, expires_in: self.token_life.as_secs() }
    }

    pub(super) fn delete(&self, access: &str) -> bool {
        self.lock().access.remove(access).is_some()
    }

    pub(super) fn expire_tokens(&self) {
        self.lock().access.clear();
    }

    pub(super) fn revoke_pairings(&self) {
        let mut inner = self.lock();
        inner.access.clear();
        inner.refresh.clear();
    }

    /// The device that a bearer token belongs to.
    pub(super) fn device(&self, token: &str) -> Option<String> {
        let inner = self.lock();
        let (device, ends) = inner.access.get(token)?;
        (*ends > Timestamp::now()).then(|| device.id.clone())
    }

    pub(super) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// The next fault that concerns downchannels, or events.
    pub(super) fn fault(&self, channel: bool) -> Option<Fault> {
        let mut inner = self.lock();
        let at = inner.faults.iter().position(|fault| fault.concerns_channel() == channel)?;
        inner.faults.remove(at)
    }

    /// A downchannel request arrives; `false` while another one of this device is unanswered.
    pub(super) fn begin_channel(&self, device: &str) -> bool {
        self.lock().opening.insert(device.to_owned())
    }

    pub(super) fn give_up_channel(&self, device: &str) {
        self.lock().opening.remove(device);
    }

    /// The downchannel is open; an older one ends because its sender is dropped.
    pub(super) fn open_channel(
        &self,
        device: &str,
        connection: u64,
    ) -> mpsc::UnboundedReceiver<Part> {
        let (parts, receiver) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        inner.opening.remove(device);
        inner.channels.insert(device.to_owned(), Channel { connection, parts });
        drop(inner);
        self.note();
        receiver
    }

    pub(super) fn close_channel(&self, device: &str, connection: u64) {
        let mut inner = self.lock();
        if inner.channels.get(device).is_some_and(|channel| channel.connection == connection) {
            inner.channels.remove(device);
        }
        drop(inner);
        self.note();
    }

    /// Whether the device's current downchannel is on this connection.
    pub(super) fn has_channel(&self, device: &str, connection: u64) -> bool {
        let inner = self.lock();
        inner.channels.get(device).is_some_and(|channel| channel.connection == connection)
    }

    pub(super) fn channels(&self) -> usize {
        self.lock().channels.len()
    }

    /// Writes a part on a device's downchannel.
    pub(super) fn tell(&self, device: &str, part: Part) {
        if let Some(channel) = self.lock().channels.get(device) {
            let _ = channel.parts.send(part);
        }
    }

    pub(super) fn push(&self, directive: &Value) -> usize {
        let inner = self.lock();
        let sent = inner.channels.values();
        sent.filter(|c| c.parts.send(Part::Directive(directive.clone())).is_ok()).count()
    }

    /// `false` when this message id has been used before.
    pub(super) fn is_new_message(&self, id: &str) -> bool {
        self.lock().message_ids.insert(id.to_owned())
    }

    pub(super) fn ask(&self, question: &str) -> String {
        let id = random_uuid();
        self.lock().questions.insert(id.clone(), question.to_owned());
        id
    }

    pub(super) fn question(&self, id: &str) -> Option<String> {
        self.lock().questions.get(id).cloned()
    }

    /// Notes a dialogue id; returns the one before it.
    pub(super) fn note_dialogue(&self, device: &str, id: &str) -> Option<String> {
        let mut inner = self.lock();
        let known = inner.dialogues.entry(device.to_owned()).or_default();
        if known.last().is_none_or(|last| last != id) {
            known.push(id.to_owned());
        }
        known.len().checked_sub(2).and_then(|at| known.get(at)).cloned()
    }

    pub(super) fn record(&self, event: SeenEvent) {
        tracing::debug!(event = event.name, complete = event.complete, text = event.text, "event");
        self.lock().journal.push(event);
        self.note();
    }

    fn note(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn seen(&self) -> Vec<SeenEvent> {
        self.lock().journal.clone()
    }

    pub(super) async fn wait_for(
        &self,
        wanted: impl Fn(&SeenEvent) -> bool,
        limit: Duration,
    ) -> Option<SeenEvent> {
        let mut changed = self.changed.subscribe();
        let find = async {
            loop {
                if let Some(found) = self.lock().journal.iter().find(|seen| wanted(seen)) {
                    return Some(found.clone());
                }
                changed.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, find).await.ok().flatten()
    }
}
