//! The actors of one shard: spawns them, routes to them, respawns one that panicked.
//!
//! Called by [`crate::shard`] only, on the shard's own thread.

use std::{cell::RefCell, collections::BTreeMap, collections::HashMap, rc::Rc};

use actix::{Actor, Addr, dev::SendError};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    actor::{ApplianceActor, BrokerReturned, FromAppliance, LostAudio, Provisioned, Stop},
    env::Env,
};
use crate::{
    ids::{ApplianceId, UtteranceId},
    mqtt::{Inbound, link::Taken, topics},
    store,
};

/// Retained topics that are remembered of one appliance, for a respawned actor.
const MAX_RETAINED: usize = 40;

struct Entry {
    addr: Addr<ApplianceActor>,
    record: store::Appliance,
    lost_audio: LostAudio,
    /// The last message of each retained topic: a respawned actor needs them again, and the
    /// broker sends them only with a new subscription.
    retained: BTreeMap<String, Bytes>,
}

/// The actors of one shard.
pub struct Registry {
    env: Rc<Env>,
    entries: HashMap<ApplianceId, Entry>,
}

impl Registry {
    /// An empty registry.
    pub fn new(env: Rc<Env>) -> Self {
        Self { env, entries: HashMap::new() }
    }

    /// Makes the actors fit what is provisioned: new ones start, removed ones stop, changed ones
    /// are told. Returns whether there are new ones.
    pub fn provision(&mut self, appliances: Vec<store::Appliance>) -> bool {
        let known: HashMap<_, _> =
            appliances.into_iter().map(|record| (record.id.clone(), record)).collect();
        self.entries.retain(|id, entry| {
            let keep = known.contains_key(id);
            if !keep {
                let (done, _) = oneshot::channel();
                entry.addr.do_send(Stop { done });
            }
            keep
        });
        let mut any_new = false;
        for (id, record) in known {
            match self.entries.get_mut(&id) {
                Some(entry) if entry.record == record => {}
                Some(entry) => {
                    entry.record = record.clone();
                    entry.addr.do_send(Provisioned(record));
                }
                None => {
                    any_new = true;
                    let entry = self.spawn(record);
                    self.entries.insert(id, entry);
                }
            }
        }
        any_new
    }

    /// Hands a message to its appliance's actor.
    pub fn route(&mut self, inbound: Inbound) -> Taken {
        let Some((id, rest)) = topics::split(&self.env.topic_root, &inbound.topic) else {
            return Taken::Yes;
        };
        let Some(entry) = self.entries.get_mut(id) else {
            tracing::debug!(topic = %inbound.topic, "message of an appliance that is not provisioned");
            self.env.metrics.dropped.with_label_values(&["not_provisioned"]).inc();
            return Taken::Yes;
        };
        if is_retained(rest)
            && (entry.retained.len() < MAX_RETAINED || entry.retained.contains_key(rest))
        {
            entry.retained.insert(rest.to_owned(), Bytes::copy_from_slice(&inbound.payload));
        }
        let message = FromAppliance {
            topic: rest.to_owned(),
            payload: inbound.payload.clone(),
            received: inbound.received,
        };
        match entry.addr.try_send(message) {
            Ok(()) => Taken::Yes,
            Err(SendError::Full(message)) => match message.topic.strip_prefix("up/audio/") {
                Some(utterance) => self.lose_audio(id.to_owned().as_str(), utterance),
                None => Taken::Later(inbound),
            },
            Err(SendError::Closed(_)) => {
                self.sweep();
                Taken::Later(inbound)
            }
        }
    }

    /// Respawns every actor that has panicked.
    pub fn sweep(&mut self) {
        let dead = self.entries.iter().filter(|(_, entry)| !entry.addr.connected());
        let dead: Vec<ApplianceId> = dead.into_iter().map(|(id, _)| id.clone()).collect();
        for id in dead {
            let Some(old) = self.entries.remove(&id) else { continue };
            tracing::error!(appliance = %id, "an appliance's actor panicked; it is respawned");
            self.env.metrics.actor_restarts.inc();
            let mut entry = self.spawn(old.record);
            for (topic, payload) in &old.retained {
                let (topic, payload) = (topic.clone(), payload.clone());
                let received = self.env.clock.now().mono;
                entry.addr.do_send(FromAppliance { topic, payload, received });
            }
            entry.retained = old.retained;
            self.entries.insert(id, entry);
        }
    }

    /// The broker connection was lost and is back.
    pub fn broker_returned(&self) {
        for entry in self.entries.values() {
            entry.addr.do_send(BrokerReturned);
        }
    }

    /// Stops all actors; each receiver resolves when one is done.
    pub fn stop(&mut self) -> Vec<oneshot::Receiver<()>> {
        let stop = |(_, entry): (ApplianceId, Entry)| {
            let (done, stopped) = oneshot::channel();
            entry.addr.do_send(Stop { done });
            stopped
        };
        self.entries.drain().map(stop).collect()
    }

    fn spawn(&self, record: store::Appliance) -> Entry {
        let lost_audio: LostAudio = Rc::new(RefCell::new(None));
        let actor = ApplianceActor::new(record.clone(), self.env.clone(), lost_audio.clone());
        Entry { addr: actor.start(), record, lost_audio, retained: BTreeMap::new() }
    }

    fn lose_audio(&mut self, id: &str, utterance: &str) -> Taken {
        self.env.metrics.audio_dropped.with_label_values(&["mailbox_full"]).inc();
        if let Some(entry) = self.entries.get(id) {
            *entry.lost_audio.borrow_mut() = Some(UtteranceId::from(utterance));
        }
        Taken::Yes
    }
}

fn is_retained(rest: &str) -> bool {
    rest == "up/status" || rest == "up/state" || rest.starts_with("up/state/")
}
