//! The unit of ownership: a set of appliances, the thread they run on, and their MQTT connection.
//!
//! Started and stopped by [`crate::app`]. Nothing above knows how many shards there are; a home
//! hub has one.

pub mod desk;
mod pulse;

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    appliance::{env::Env, registry::Registry},
    mqtt::link::{Handler, Heard, Link, Taken},
    store::{SharedStore, StoreError},
};
use desk::Desk;
pub use pulse::Pulse;

/// How often the store is asked whether `cic-gateway appliance ...` has changed anything.
const FOLLOW: Duration = Duration::from_secs(1);
/// How often the actors are looked after.
const LOOK: Duration = Duration::from_secs(1);
/// How long stopping actors may take: their own 5 s for what is under way, and a little more.
const STOP_ACTORS: Duration = Duration::from_secs(6);
/// How long the publisher may take to empty its queue at the end.
const STOP_LINK: Duration = Duration::from_secs(1);

/// The routing end of a shard, made before its broker connection.
#[derive(Clone, Default)]
pub struct Router(Rc<RefCell<Option<Registry>>>);

impl Router {
    /// What the broker connection hands its messages to.
    pub fn handler(&self) -> Handler {
        let registry = self.0.clone();
        Box::new(move |heard| match (heard, registry.borrow_mut().as_mut()) {
            (Heard::Message(inbound), Some(registry)) => registry.route(inbound),
            (Heard::Message(inbound), None) => Taken::Later(inbound),
            (Heard::Lost, registry) => {
                registry.into_iter().for_each(|registry| registry.broker_lost());
                Taken::Yes
            }
        })
    }
}

/// A running shard.
pub struct Shard {
    registry: Rc<RefCell<Option<Registry>>>,
    link: Link,
    follower: JoinHandle<()>,
    keeper: JoinHandle<()>,
    pulse: Pulse,
    desk: Desk,
    clerk: JoinHandle<()>,
}

impl Shard {
    /// Starts the actors of all provisioned appliances on the current thread.
    ///
    /// # Errors
    /// When the store cannot say which appliances there are.
    pub async fn start(router: Router, link: Link, env: Rc<Env>) -> Result<Self, StoreError> {
        let revision = env.store.revision().await?;
        let appliances = env.store.list().await?;
        let kept = env.store.kept().await?;
        let store = env.store.clone();
        let mut registry = Registry::new(env);
        registry.provision(appliances, kept);
        *router.0.borrow_mut() = Some(registry);
        let (registry, connected) = (router.0, link.connected());
        let resubscribe = link.resubscriber();
        let follow =
            Follower { registry: registry.clone(), store, revision, connected, resubscribe };
        let follower = tokio::task::spawn_local(follow.run());
        let pulse = Pulse::start();
        let keeper = tokio::task::spawn_local(look_after(registry.clone(), pulse.clone()));
        let (desk, clerk) = Desk::open(registry.clone());
        Ok(Self { registry, link, follower, keeper, pulse, desk, clerk })
    }

    /// Whether the broker connection stands.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.link.connected()
    }

    /// The sign of life of the thread that the appliances are on.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// The way to this shard's appliances, from any thread.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Lets the actors finish what is under way, publishes what is queued, disconnects.
    pub async fn stop(self) {
        self.follower.abort();
        self.keeper.abort();
        let stopping = self.registry.borrow_mut().as_mut().map(Registry::stop).unwrap_or_default();
        let all = futures_util::future::join_all(stopping);
        if tokio::time::timeout(STOP_ACTORS, all).await.is_err() {
            tracing::warn!("some appliances' sessions did not close in time");
        }
        self.clerk.abort();
        self.link.stop(STOP_LINK).await;
    }
}

/// Looks after the actors, and lives itself. Beside the follower, which may wait for the store.
async fn look_after(registry: Rc<RefCell<Option<Registry>>>, pulse: Pulse) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pulse.beat();
        if let Some(registry) = registry.borrow_mut().as_mut() {
            registry.look_after();
        }
    }
}

/// Follows the store and the broker connection.
struct Follower {
    registry: Rc<RefCell<Option<Registry>>>,
    store: SharedStore,
    revision: i64,
    connected: watch::Receiver<bool>,
    resubscribe: Rc<Notify>,
}

impl Follower {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(FOLLOW);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_connected = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => self.follow_store().await,
                changed = self.connected.changed() => {
                    if changed.is_err() { return }
                    let connected = *self.connected.borrow_and_update();
                    if connected && was_connected {
                        self.with(Registry::broker_returned);
                    }
                    was_connected |= connected;
                }
            }
        }
    }

    fn with(&self, act: impl FnOnce(&Registry)) {
        if let Some(registry) = self.registry.borrow().as_ref() {
            act(registry);
        }
    }

    async fn follow_store(&mut self) {
        if let Err(error) = self.try_follow_store().await {
            tracing::warn!(%error, "the store does not answer; provisioning is not followed");
        }
    }

    async fn try_follow_store(&mut self) -> Result<(), StoreError> {
        let revision = self.store.revision().await?;
        if revision == self.revision {
            return Ok(());
        }
        let appliances = self.store.list().await?;
        if let Some(registry) = self.registry.borrow_mut().as_mut()
            // A new one has no alerts: the store removes them with the appliance.
            && registry.provision(appliances, HashMap::new())
        {
            // What a new appliance has published before we knew it is with the broker.
            self.resubscribe.notify_one();
        }
        self.revision = revision;
        Ok(())
    }
}
