//! What appliances are about: their alerts, and the events that CIC has not answered.
//!
//! Called by the shard (everything, at start) and through [`Saver`] by the appliances' actors.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{SharedStore, StoreError};
use crate::{
    appliance::ledger::{Kept, Save},
    ids::ApplianceId,
};

/// Saves that go together into one transaction.
const MAX_TOGETHER: usize = 256;

/// A save of one appliance.
#[derive(Debug, Clone)]
pub struct ApplianceSave {
    /// Whose.
    pub appliance: ApplianceId,
    /// The pairing that it belongs to.
    pub pairing: i64,
    /// What is to be kept.
    pub save: Save,
}

/// How a save ended, where the store answered at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is durable.
    Kept,
    /// The appliance is gone, or was paired or unpaired meanwhile: nothing was written.
    Gone,
}

/// Alerts and the outbox.
#[async_trait]
pub trait DoingsStore: Send + Sync {
    /// Keeps these saves, all of them or none, in one durable transaction; answers in the same
    /// order.
    async fn save(&self, saves: &[ApplianceSave]) -> Result<Vec<Saved>, StoreError>;
    /// Everything that is kept, by appliance. A row that cannot be read is left out and logged.
    async fn kept(&self) -> Result<HashMap<ApplianceId, Kept>, StoreError>;
}

type Request = (ApplianceSave, oneshot::Sender<Result<Saved, StoreError>>);

/// Hands saves to one task, which writes what arrives together in one transaction: a durable
/// write costs milliseconds on an SD card, and a thousand alerts may be due in one second.
#[derive(Debug, Clone)]
pub struct Saver(mpsc::UnboundedSender<Request>);

impl Saver {
    /// Starts the task. It ends once every clone of the saver is gone and all is written.
    pub fn start(store: SharedStore) -> (Self, JoinHandle<()>) {
        // Each appliance has one save under way, so their number bounds the queue.
        let (requests, inbox) = mpsc::unbounded_channel();
        (Self(requests), tokio::spawn(write(store, inbox)))
    }

    /// Keeps a save.
    ///
    /// # Errors
    /// When the store failed; nobody knows whether it was kept.
    pub async fn save(&self, save: ApplianceSave) -> Result<Saved, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::Unavailable(anyhow::anyhow!("the store is being closed"));
        self.0.send((save, answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn write(store: SharedStore, mut inbox: mpsc::UnboundedReceiver<Request>) {
    let mut together = Vec::with_capacity(MAX_TOGETHER);
    while inbox.recv_many(&mut together, MAX_TOGETHER).await > 0 {
        let (saves, answers): (Vec<_>, Vec<_>) = together.drain(..).unzip();
        match store.save(&saves).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(Ok(result));
                }
            }
            // One of them may be to blame: each on its own.
            Err(error) if saves.len() > 1 => {
                tracing::warn!(%error, saves = saves.len(), "alerts could not be kept together");
                for (save, answer) in saves.iter().zip(answers) {
                    let result = store.save(std::slice::from_ref(save)).await;
                    let _ = answer.send(result.map(|mut saved| saved.remove(0)));
                }
            }
            Err(error) => {
                answers.into_iter().for_each(|answer| drop(answer.send(Err(clone(&error)))))
            }
        }
    }
}

fn clone(error: &StoreError) -> StoreError {
    StoreError::Unavailable(anyhow::anyhow!("{error}"))
}
