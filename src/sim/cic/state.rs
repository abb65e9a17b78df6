//! Tokens, channels, questions and message ids. Everything that grows is bounded.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Reach, SimSettings,
    accounts::Accounts,
    fault::{Fault, Faults, Injection, Place},
    household::Household,
    journal::Journal,
    scenario::Scenario,
    wire::Part,
};
use crate::{ids::random_uuid, secret::Secret};

/// Codes, access tokens, and refresh tokens that are remembered, each.
const MAX_TOKENS: usize = 100_000;
/// Message ids that are remembered.
const MAX_MESSAGE_IDS: usize = 50_000;
/// Questions that may still be answered.
const MAX_QUESTIONS: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) model: String,
}

/// A map that forgets its oldest entry when it is full.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
    bound: usize,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn new(bound: usize) -> Self {
        Self { map: HashMap::new(), order: VecDeque::new(), bound }
    }

    /// `false` when it was there before.
    fn insert(&mut self, key: K, value: V) -> bool {
        let is_new = self.map.insert(key.clone(), value).is_none();
        if is_new {
            self.order.push_back(key);
        }
        if self.order.len() > self.bound
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        is_new
    }

    fn clear(&mut self) {
        self.map.clear();
        self.order.clear();
    }
}

/// What goes down an open downchannel.
#[derive(Debug)]
pub(super) enum Down {
    Part(Part),
    /// RST_STREAM.
    Reset,
    /// The closing delimiter and END_STREAM, as when a newer downchannel opens.
    End,
}

#[derive(Debug)]
struct Channel {
    connection: u64,
    number: u64,
    down: mpsc::UnboundedSender<Down>,
}

/// What is known of one device.
#[derive(Debug, Default)]
struct Client {
    /// A downchannel request is unanswered.
    opening: bool,
    /// When the last one came.
    asked: Option<Instant>,
    channel: Option<Channel>,
    /// The dialogue before the latest, and the latest.
    dialogues: (Option<String>, Option<String>),
}

#[derive(Debug)]
struct Inner {
    codes: Bounded<String, Option<Device>>,
    access: Bounded<String, (Device, Timestamp)>,
    refresh: Bounded<String, Device>,
    clients: HashMap<String, Client>,
    questions: Bounded<String, String>,
    message_ids: Bounded<String, ()>,
    faults: Faults,
    channels: u64,
}

/// What the servers share.
#[derive(Debug)]
pub(super) struct State {
    inner: Mutex<Inner>,
    open_channels: watch::Sender<usize>,
    pub(super) reach: watch::Sender<Reach>,
    pub(super) accounts: Accounts,
    pub(super) household: Household,
    pub(super) journal: Journal,
    pub(super) scenario: Scenario,
    client: (String, Secret),
    token_life: Duration,
    channel_interval: Duration,
}

/// Freshly issued tokens.
pub(super) struct Issued {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) expires_in: u64,
}

/// A downchannel that is open as long as this lives, however its task ends.
pub(super) struct OpenChannel {
    state: Arc<State>,
    device: String,
    number: u64,
    pub(super) down: mpsc::UnboundedReceiver<Down>,
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        let mut inner = self.state.lock();
        if let Some(client) = inner.clients.get_mut(&self.device)
            && client.channel.as_ref().is_some_and(|channel| channel.number == self.number)
        {
            client.channel = None;
            self.state.open_channels.send_modify(|count| *count -= 1);
        }
    }
}

impl State {
    pub(super) fn new(settings: &SimSettings) -> Self {
        let mut faults = Faults::default();
        settings.scenario.faults.iter().for_each(|injection| faults.add(injection.clone()));
        let inner = Inner {
            codes: Bounded::new(MAX_TOKENS),
            access: Bounded::new(MAX_TOKENS),
            refresh: Bounded::new(MAX_TOKENS),
            clients: HashMap::new(),
            questions: Bounded::new(MAX_QUESTIONS),
            message_ids: Bounded::new(MAX_MESSAGE_IDS),
            faults,
            channels: 0,
        };
        Self {
            inner: Mutex::new(inner),
            open_channels: watch::Sender::new(0),
            reach: watch::Sender::new(Reach::Whole),
            accounts: Accounts::new(settings),
            household: Household::new(settings),
            journal: Journal::default(),
            scenario: settings.scenario.clone(),
            client: settings.client.clone(),
            token_life: settings.token_life,
            channel_interval: settings.channel_interval,
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
        let bound = self.lock().codes.map.remove(code)?;
        bound.is_none_or(|bound| bound == *device).then(|| self.issue(device))
    }

    /// Trades a refresh token, once.
    pub(super) fn redeem_refresh(&self, token: &str, model: &str) -> Option<Issued> {
        let device = self.lock().refresh.map.remove(token)?;
        (device.model == model).then(|| self.issue(&device))
    }

    fn issue(&self, device: &Device) -> Issued {
        let (access, refresh) = (random_uuid(), random_uuid());
        let ends = Timestamp::now().checked_add(self.token_life).unwrap_or(Timestamp::MAX);
        let mut inner = self.lock();
        inner.access.map.retain(|_, (known, _)| known != device);
        inner.access.insert(access.clone(), (device.clone(), ends));
        inner.refresh.insert(refresh.clone(), device.clone());
        Issued { access, refresh, expires_in: self.token_life.as_secs() }
    }

    pub(super) fn delete(&self, access: &str) -> bool {
        self.lock().access.map.remove(access).is_some()
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
        let (device, ends) = inner.access.map.get(token)?;
        (*ends > Timestamp::now()).then(|| device.id.clone())
    }

    pub(super) fn inject(&self, injection: Injection) {
        self.lock().faults.add(injection);
    }

    pub(super) fn fault(&self, place: Place) -> Option<Fault> {
        self.lock().faults.meet(place)
    }

    pub(super) fn fault_of_text(&self, text: &str) -> Option<Fault> {
        self.lock().faults.meet_text(text)
    }

    /// A downchannel request arrives; the error says why it comes too soon (transport C7).
    pub(super) fn begin_channel(&self, device: &str) -> Result<(), &'static str> {
        let mut inner = self.lock();
        let client = inner.clients.entry(device.to_owned()).or_default();
        let now = Instant::now();
        let before = client.asked.replace(now);
        if client.opening {
            return Err("another downchannel request is under way");
        }
        if before.is_some_and(|before| now < before + self.channel_interval) {
            return Err("downchannel requests in quick succession");
        }
        client.opening = true;
        Ok(())
    }

    pub(super) fn give_up_channel(&self, device: &str) {
        if let Some(client) = self.lock().clients.get_mut(device) {
            client.opening = false;
        }
    }

    /// The downchannel is open; an older one is told to end.
    pub(super) fn open_channel(self: &Arc<Self>, device: &str, connection: u64) -> OpenChannel {
        let (sender, down) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        inner.channels += 1;
        let number = inner.channels;
        let client = inner.clients.entry(device.to_owned()).or_default();
        client.opening = false;
        let older = client.channel.replace(Channel { connection, number, down: sender });
        match older {
            Some(older) => drop(older.down.send(Down::End)),
            None => self.open_channels.send_modify(|count| *count += 1),
        }
        OpenChannel { state: self.clone(), device: device.to_owned(), number, down }
    }

    /// Whether the device's current downchannel is on this connection.
    pub(super) fn has_channel(&self, device: &str, connection: u64) -> bool {
        let inner = self.lock();
        let channel = inner.clients.get(device).and_then(|client| client.channel.as_ref());
        channel.is_some_and(|channel| channel.connection == connection)
    }

    pub(super) fn channels(&self) -> usize {
        *self.open_channels.borrow()
    }

    pub(super) async fn wait_for_channels(&self, count: usize, limit: Duration) -> bool {
        let mut open = self.open_channels.subscribe();
        let wait = open.wait_for(|open| *open == count);
        matches!(tokio::time::timeout(limit, wait).await, Ok(Ok(_)))
    }

    /// Sends something down a device's downchannel; `false` when it has none.
    pub(super) fn tell(&self, device: &str, down: Down) -> bool {
        if let Down::Part(Part::Directive(directive)) = &down {
            self.household.note(device, directive);
        }
        let inner = self.lock();
        let channel = inner.clients.get(device).and_then(|client| client.channel.as_ref());
        channel.is_some_and(|channel| channel.down.send(down).is_ok())
    }

    /// Devices that have, or had, a downchannel.
    pub(super) fn devices(&self) -> Vec<String> {
        let mut devices: Vec<_> = self.lock().clients.keys().cloned().collect();
        devices.sort();
        devices
    }

    pub(super) fn is_online(&self, device: &str) -> bool {
        self.lock().clients.get(device).is_some_and(|client| client.channel.is_some())
    }

    /// A directive that a test sends to one device.
    pub(super) fn push(&self, device: &str, directive: &Value) -> bool {
        if !self.is_online(device) {
            return false;
        }
        self.adopt(device, directive);
        self.tell(device, Down::Part(Part::Directive(directive.clone())))
    }

    pub(super) fn knows_message(&self, id: &str) -> bool {
        self.lock().message_ids.map.contains_key(id)
    }

    /// Notes the message id of an event that has come whole; `false` when it was used before.
    pub(super) fn note_message(&self, id: &str) -> bool {
        self.lock().message_ids.insert(id.to_owned(), ())
    }

    pub(super) fn ask(&self, question: &str) -> String {
        let id = random_uuid();
        self.lock().questions.insert(id.clone(), question.to_owned());
        id
    }

    /// A question of which nothing more is known than its id.
    pub(super) fn note_question(&self, id: &str) {
        self.lock().questions.insert(id.to_owned(), id.to_owned());
    }

    pub(super) fn question(&self, id: &str) -> Option<String> {
        self.lock().questions.map.get(id).cloned()
    }

    /// Notes a dialogue id; returns the one before it.
    pub(super) fn note_dialogue(&self, device: &str, id: &str) -> Option<String> {
        let mut inner = self.lock();
        let (before, latest) = &mut inner.clients.entry(device.to_owned()).or_default().dialogues;
        if latest.as_deref() != Some(id) {
            *before = latest.replace(id.to_owned());
        }
        before.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut bounded = Bounded::new(2);
        assert!(bounded.insert(1, "a") && bounded.insert(2, "b"));
        assert!(!bounded.insert(2, "c"));
        assert!(bounded.insert(3, "d"));
        assert_eq!(bounded.map.get(&1), None);
        assert_eq!(bounded.map.len(), 2);
    }
}
