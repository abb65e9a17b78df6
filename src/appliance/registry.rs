//! The actors of one shard: spawns them, routes to them, respawns one that panicked or is stuck.
//!
//! Called by [`crate::shard`] only, on the shard's own thread.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use actix::{Actor, Addr, dev::SendError};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    actor::{
        ApplianceActor, BrokerLost, BrokerReturned, FromAppliance, LastWord, MAILBOX, Provisioned,
        Pulse, Shared, Stop,
    },
    env::Env,
    feed::What,
    ledger::Kept,
    recent::Recent,
    trace::Way,
};
use crate::{
    clock::mono,
    ids::{ApplianceId, UtteranceId},
    mqtt::{Inbound, link::Taken, native, topics},
    store,
};

/// Retained topics that are remembered of one appliance, for a respawned actor.
const MAX_RETAINED: usize = 40;
/// An actor that has given no sign of life at so many looks in a row is stuck. Looks, not seconds:
/// a process that was suspended has not looked.
const STUCK: u32 = 10;

/// Why an actor has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Panicked,
    Stuck,
}

struct Entry {
    addr: Addr<ApplianceActor>,
    record: store::Appliance,
    shared: Rc<Shared>,
    /// The last message of each retained topic: a respawned actor needs them again, and the
    /// broker sends them only with a new subscription.
    retained: BTreeMap<String, Bytes>,
    recent: Recent,
    /// Looks since it was asked for a sign of life, if it was.
    missed: Option<u32>,
}

impl Entry {
    /// Asks the actor for a sign of life, and sees whether it has given the last one.
    fn look(&mut self) -> Option<Failure> {
        if !self.addr.connected() {
            return Some(Failure::Panicked);
        }
        self.missed = match self.missed {
            Some(missed) if !self.shared.alive.take() => Some(missed + 1),
            _ => {
                // Its mailbox may be full, and there is never more than one of these in it.
                self.addr.do_send(Pulse);
                Some(0)
            }
        };
        (self.missed >= Some(STUCK)).then_some(Failure::Stuck)
    }
}

/// The actors of one shard.
pub struct Registry {
    env: Rc<Env>,
    entries: HashMap<ApplianceId, Entry>,
    stopping: bool,
}

impl Registry {
    /// An empty registry.
    pub fn new(env: Rc<Env>) -> Self {
        Self { env, entries: HashMap::new(), stopping: false }
    }

    /// Makes the actors fit what is provisioned: new ones start with what the store kept of
    /// them, removed ones stop, changed ones are told. Returns whether there are new ones.
    pub fn provision(
        &mut self,
        appliances: Vec<store::Appliance>,
        mut kept: HashMap<ApplianceId, Kept>,
    ) -> bool {
        let known: HashMap<_, _> =
            appliances.into_iter().map(|record| (record.id.clone(), record)).collect();
        self.entries.retain(|id, entry| {
            // Removed, or removed and added again since the last look.
            let record = known.get(id);
            let keep = record.is_some_and(|record| is_same(record, &entry.record));
            if !keep {
                let (done, _) = oneshot::channel();
                let last_word = if record.is_some() { LastWord::None } else { LastWord::Cleared };
                entry.addr.do_send(Stop { done, last_word });
                self.env.show(id, What::Removed);
            }
            keep
        });
        let mut any_new = false;
        for (id, record) in known {
            match self.entries.get_mut(&id) {
                Some(entry) if entry.record.pairing == record.pairing => {}
                Some(entry) => {
                    entry.record = record.clone();
                    entry.addr.do_send(Provisioned(record));
                }
                None => {
                    any_new = true;
                    self.env.show(&id, What::Added);
                    let shared = Shared::default();
                    shared.tokens.replace(record.tokens.clone());
                    shared.kept.replace(kept.remove(&id).unwrap_or_default());
                    let entry = self.spawn(record, Rc::new(shared), false);
                    self.entries.insert(id, entry);
                }
            }
        }
        any_new
    }

    /// The actor of an appliance.
    pub fn addr(&self, id: &ApplianceId) -> Option<&Addr<ApplianceActor>> {
        self.entries.get(id).map(|entry| &entry.addr)
    }

    /// Hands a message to its appliance's actor.
    pub fn route(&mut self, mut inbound: Inbound) -> Taken {
        cut(&mut inbound.payload);
        let Some((id, rest)) = topics::split(&self.env.topic_root, &inbound.topic) else {
            return Taken::Yes;
        };
        let Some(entry) = self.entries.get_mut(id) else {
            tracing::debug!(topic = %inbound.topic, "message of an appliance that is not provisioned");
            self.env.metrics.dropped.with_label_values(&["not_provisioned"]).inc();
            return Taken::Yes;
        };
        if is_retained(rest)
            && inbound.payload.len() <= native::MAX_JSON
            && (entry.retained.len() < MAX_RETAINED
                || is_one_of_a_kind(rest)
                || entry.retained.contains_key(rest))
        {
            entry.retained.insert(rest.to_owned(), Bytes::copy_from_slice(&inbound.payload));
        }
        if inbound.repeated && entry.recent.has(rest, &inbound.payload) {
            self.env.metrics.dropped.with_label_values(&["repeated"]).inc();
            return Taken::Yes;
        }
        let message = FromAppliance {
            topic: inbound.topic.slice_ref(rest),
            payload: inbound.payload.clone(),
            retained: inbound.retained,
            way: Way {
                received: inbound.received,
                queued: mono(),
                traceparent: inbound.traceparent.clone(),
            },
        };
        match entry.addr.try_send(message) {
            Ok(()) => {
                // Audio is delivered at most once.
                if !rest.starts_with("up/audio/") {
                    entry.recent.note(rest, &inbound.payload);
                }
                Taken::Yes
            }
            Err(SendError::Full(message)) => match message.topic.strip_prefix("up/audio/") {
                Some(utterance) => self.lose_audio(id.to_owned().as_str(), utterance),
                None => Taken::Later(inbound),
            },
            Err(SendError::Closed(_)) => {
                // At the end the broker keeps what nobody took.
                if !self.stopping {
                    self.sweep();
                }
                Taken::Later(inbound)
            }
        }
    }

    /// Respawns every actor that has panicked.
    pub fn sweep(&mut self) {
        let dead = self.entries.iter().filter(|(_, entry)| !entry.addr.connected());
        let dead: Vec<_> = dead.map(|(id, _)| (id.clone(), Failure::Panicked)).collect();
        self.replace(dead);
    }

    /// Looks after all actors, once a second: whoever has panicked or is stuck is respawned.
    pub fn look_after(&mut self) {
        let looked = self.entries.iter_mut().map(|(id, entry)| (id, entry.look()));
        let failed = looked.filter_map(|(id, failure)| Some((id.clone(), failure?))).collect();
        self.replace(failed);
    }

    fn replace(&mut self, failed: Vec<(ApplianceId, Failure)>) {
        for (id, failure) in failed {
            let Some(old) = self.entries.remove(&id) else { continue };
            tell(&id, failure, &old.shared);
            self.env.metrics.actor_restarts.inc();
            let heir = Rc::new(old.shared.heir());
            old.shared.retire(&self.env);
            // The record is as old as the last pairing; its tokens may be spent.
            let tokens = heir.tokens.borrow().clone();
            let record = store::Appliance { tokens, ..old.record };
            let mut entry = self.spawn(record, heir, true);
            for (topic, payload) in &old.retained {
                let (topic, payload) = (topic.as_str().into(), payload.clone());
                let now = self.env.clock.now().mono;
                let way = Way { received: now, queued: now, traceparent: None };
                entry.addr.do_send(FromAppliance { topic, payload, retained: true, way });
            }
            entry.retained = old.retained;
            self.entries.insert(id, entry);
        }
    }

    /// The broker connection is lost.
    pub fn broker_lost(&self) {
        for entry in self.entries.values() {
            entry.addr.do_send(BrokerLost);
        }
    }

    /// The broker connection was lost and is back.
    pub fn broker_returned(&self) {
        for entry in self.entries.values() {
            entry.addr.do_send(BrokerReturned);
        }
    }

    /// Stops all actors; each receiver resolves when one is done. Until then they still take
    /// what belongs to requests that are under way, and refuse new ones.
    pub fn stop(&mut self) -> Vec<oneshot::Receiver<()>> {
        self.stopping = true;
        let stop = |entry: &Entry| {
            let (done, stopped) = oneshot::channel();
            entry.addr.do_send(Stop { done, last_word: LastWord::Stopped });
            stopped
        };
        self.entries.values().map(stop).collect()
    }

    fn spawn(&self, record: store::Appliance, shared: Rc<Shared>, respawned: bool) -> Entry {
        let actor =
            ApplianceActor::new(record.clone(), self.env.clone(), shared.clone(), respawned);
        // In `started` it would come too late: messages arrive before that runs.
        let addr = ApplianceActor::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            actor
        });
        let (retained, recent) = (BTreeMap::new(), Recent::default());
        Entry { addr, record, shared, retained, recent, missed: None }
    }

    fn lose_audio(&mut self, id: &str, utterance: &str) -> Taken {
        self.env.metrics.audio_dropped.with_label_values(&["mailbox_full"]).inc();
        if let Some(entry) = self.entries.get(id) {
            entry.shared.lost_audio.replace(Some(UtteranceId::from(utterance)));
        }
        Taken::Yes
    }
}

/// Tells operators, with all that is known from outside.
fn tell(id: &ApplianceId, failure: Failure, shared: &Shared) {
    let (took, at) = shared.took.get().map_or(("nothing", None), |(took, at)| (took, Some(at)));
    let seconds = at.map(|at| crate::clock::mono().saturating_duration_since(at).as_secs());
    let session = shared.state.get().map(|state| state.as_str());
    let kept = shared.kept.borrow();
    let (alerts, unsent) = (kept.alerts.len(), kept.outbox.len());
    let what = match failure {
        Failure::Panicked => "an appliance's actor panicked; it is respawned",
        Failure::Stuck => "an appliance's actor is stuck; it is replaced",
    };
    tracing::error!(appliance = %id, took_last = took, seconds, session, alerts, unsent, "{what}");
}

/// Whether both are the same appliance, as far as its actor must know.
fn is_same(a: &store::Appliance, b: &store::Appliance) -> bool {
    (&a.device_id, &a.model_id, &a.lang, a.created_at)
        == (&b.device_id, &b.model_id, &b.lang, b.created_at)
}

/// What is too large is refused whatever it says, but hundreds of them may wait until then: of each
/// remains just enough to see that it is too large.
fn cut(payload: &mut Bytes) {
    let largest = native::MAX_JSON.max(native::MAX_AUDIO);
    if payload.len() > largest {
        *payload = Bytes::copy_from_slice(&payload[..=largest]);
    }
}

/// Whether a topic's last message stays true until the next one, and so is worth to be repeated.
/// What comes on a topic of the firmware's own is its state.
fn is_retained(rest: &str) -> bool {
    let context = rest.strip_prefix("up/state/");
    is_one_of_a_kind(rest)
        || rest.starts_with("up/x/")
        || context.is_some_and(native::is_context_name)
}

/// Whether there is always room for it, whatever else an appliance says.
fn is_one_of_a_kind(rest: &str) -> bool {
    matches!(rest, "up/status" | "up/state" | "up/settings")
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
