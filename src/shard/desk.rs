//! Carries what the HTTP API asks of living appliances to their shard's thread, and the answers
//! back. Handed out by [`super::Shard`].

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    appliance::{
        actor::{Inspect, Request, StopAlert},
        alerts::Refused,
        message::InputError,
        registry::Registry,
        snapshot::Snapshot,
    },
    ids::{ApplianceId, Token},
};

/// Asks that may wait.
const WAITING: usize = 256;
/// How long an appliance's actor may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// No actor serves this appliance (yet).
    #[error("the appliance is not served by this gateway")]
    NotServed,
    /// The actor is busy, stuck or ending.
    #[error("the appliance does not answer at the moment")]
    Busy,
}

enum Ask {
    Inspect {
        ids: Vec<ApplianceId>,
        whole: bool,
        answer: oneshot::Sender<HashMap<ApplianceId, oneshot::Receiver<Snapshot>>>,
    },
    StopAlert(ApplianceId, StopAlert, oneshot::Sender<Result<(), DeskError>>),
    Request(ApplianceId, Request, oneshot::Sender<Result<(), DeskError>>),
}

/// The way to the appliances of a shard, from any thread.
#[derive(Debug, Clone)]
pub struct Desk(mpsc::Sender<Ask>);

impl Desk {
    /// Serves asks on the current thread.
    pub(super) fn open(registry: Rc<RefCell<Option<Registry>>>) -> (Self, JoinHandle<()>) {
        let (asks, mut inbox) = mpsc::channel::<Ask>(WAITING);
        let task = tokio::task::spawn_local(async move {
            while let Some(ask) = inbox.recv().await {
                if let Some(registry) = registry.borrow().as_ref() {
                    serve(registry, ask);
                }
            }
        });
        (Self(asks), task)
    }

    /// How these appliances are; those that do not answer are left out.
    pub async fn inspect(&self, ids: Vec<ApplianceId>) -> HashMap<ApplianceId, Snapshot> {
        self.look(ids, false).await
    }

    /// How this appliance is, with its context; nothing if it does not answer.
    pub async fn inspect_whole(&self, id: &ApplianceId) -> Option<Snapshot> {
        self.look(vec![id.clone()], true).await.remove(id)
    }

    async fn look(&self, ids: Vec<ApplianceId>, whole: bool) -> HashMap<ApplianceId, Snapshot> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Ask::Inspect { ids, whole, answer }).await.is_err() {
            return HashMap::new();
        }
        let mut found = HashMap::new();
        let collect = async {
            for (id, snapshot) in answered.await.unwrap_or_default() {
                if let Ok(snapshot) = snapshot.await {
                    found.insert(id, snapshot);
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, collect).await;
        found
    }

    /// Presses the stop button of an alert.
    ///
    /// # Errors
    /// The outer one when the appliance does not answer, the inner one what the appliance says.
    pub async fn stop_alert(
        &self,
        id: ApplianceId,
        token: Token,
    ) -> Result<Result<(), Refused>, DeskError> {
        let (reply, replied) = oneshot::channel();
        self.ask(|taken| Ask::StopAlert(id, StopAlert { token, reply }, taken), replied).await
    }

    /// Makes a typed request on behalf of an appliance.
    ///
    /// # Errors
    /// The outer one when the appliance does not answer, the inner one why no request is made.
    pub async fn request(
        &self,
        id: ApplianceId,
        text: String,
    ) -> Result<Result<(), InputError>, DeskError> {
        let (reply, replied) = oneshot::channel();
        self.ask(|taken| Ask::Request(id, Request { text, reply }, taken), replied).await
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<(), DeskError>>) -> Ask,
        replied: oneshot::Receiver<T>,
    ) -> Result<T, DeskError> {
        let (taken, is_taken) = oneshot::channel();
        self.0.send(ask(taken)).await.map_err(|_| DeskError::Busy)?;
        is_taken.await.map_err(|_| DeskError::Busy)??;
        let reply = tokio::time::timeout(PATIENCE, replied).await.map_err(|_| DeskError::Busy)?;
        reply.map_err(|_| DeskError::Busy)
    }
}

fn serve(registry: &Registry, ask: Ask) {
    match ask {
        Ask::Inspect { ids, whole, answer } => {
            let inspect = |id: ApplianceId| {
                let (reply, replied) = oneshot::channel();
                registry.addr(&id)?.try_send(Inspect { whole, reply }).ok()?;
                Some((id, replied))
            };
            let _ = answer.send(ids.into_iter().filter_map(inspect).collect());
        }
        Ask::StopAlert(id, stop, taken) => {
            let result = registry.addr(&id).ok_or(DeskError::NotServed);
            let _ = taken
                .send(result.and_then(|addr| addr.try_send(stop).map_err(|_| DeskError::Busy)));
        }
        Ask::Request(id, request, taken) => {
            let result = registry.addr(&id).ok_or(DeskError::NotServed);
            let _ = taken
                .send(result.and_then(|addr| addr.try_send(request).map_err(|_| DeskError::Busy)));
        }
    }
}
