//! Appliances, their sealed tokens, their alerts and their outbox, in SQLite (a home hub) or PostgreSQL (a fleet).
//!
//! Called by the command line (provisioning), by [`crate::shard`] (which appliances exist) and by
//! the appliance's actor (tokens). Both stores run one contract suite, `tests/store.rs`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`seal`] | AEAD sealing of tokens with `store.secret_key` |
//! | [`password`] | MQTT passwords and their hashes, in Mosquitto's own format |
//! | [`provision`] | what makes an appliance, and who may log in |
//! | [`doings`] | alerts, the outbox, and the task that writes them |
//! | [`sqlite`], [`postgres`] | the two stores |

pub mod doings;
mod doings_sql;
mod measured;
pub mod password;
pub mod postgres;
pub mod provision;
pub mod seal;
mod sql;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{ids::ApplianceId, secret::Secret, telemetry::metrics::Metrics};
use measured::Measured;

/// A provisioned appliance.
#[derive(Debug, Clone, PartialEq)]
pub struct Appliance {
    /// Its id, also its MQTT user name.
    pub id: ApplianceId,
    /// CLOVA's `model_id`.
    pub model_id: String,
    /// Language of its requests: `ko`, `en` or `ja`.
    pub lang: String,
    /// CLOVA's `device_id`; also the `deviceUUID` of its utterances.
    pub device_id: String,
    /// Its MQTT password's hash, in Mosquitto's `$7$` format.
    pub password_hash: String,
    /// Its CLOVA tokens while it is paired.
    pub tokens: Option<Tokens>,
    /// Changes whenever it is paired or unpaired.
    pub pairing: i64,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What pairing with CLOVA yields (auth 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// Bearer token for every CIC request.
    pub access_token: Secret,
    /// Renews the access token.
    pub refresh_token: Secret,
    /// When the access token was issued.
    pub issued_at: Timestamp,
    /// When the access token ends.
    pub expires_at: Timestamp,
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An appliance of this id exists already.
    #[error("an appliance with this id exists already")]
    Duplicate,
    /// No appliance of this id exists.
    #[error("no appliance with this id exists")]
    NotFound,
    /// A sealed token cannot be opened: `store.secret_key` is not the one that sealed it.
    #[error("a sealed token cannot be opened; store.secret_key is not the one that sealed it")]
    Sealed,
    /// The schema is older or newer than this program and `store.migrate` is off.
    #[error("the store's schema does not fit this program: {0}; run `cic-gateway migrate`")]
    Schema(String),
    /// The configuration does not lead to a usable store.
    #[error("{0}")]
    Config(String),
    /// The database is away or refused; retrying later may help.
    #[error("the database does not answer as it should: {0}")]
    Unavailable(anyhow::Error),
}

/// The appliances of a gateway.
///
/// Every change raises [`ApplianceStore::revision`], also one made by another process, so that a
/// running gateway follows `cic-gateway appliance ...` by polling one number.
#[async_trait]
pub trait ApplianceStore: Send + Sync {
    /// Adds an appliance. [`StoreError::Duplicate`] if its id is taken.
    async fn add(&self, appliance: &Appliance) -> Result<(), StoreError>;
    /// One appliance.
    async fn get(&self, id: &ApplianceId) -> Result<Option<Appliance>, StoreError>;
    /// All appliances, by id.
    async fn list(&self) -> Result<Vec<Appliance>, StoreError>;
    /// Removes an appliance and its tokens. [`StoreError::NotFound`] if there is none.
    async fn remove(&self, id: &ApplianceId) -> Result<(), StoreError>;
    /// Stores what a pairing yielded, replacing what was there; alerts and outbox belong to
    /// the old pairing and go with it. Of the alerts remains that they are deleted, so that the
    /// appliance hears it even if no gateway runs now.
    async fn set_tokens(&self, id: &ApplianceId, tokens: &Tokens) -> Result<(), StoreError>;
    /// Stores what a refresh yielded, if the pairing is still the one that was refreshed; `false`
    /// when somebody paired or unpaired meanwhile. Does not raise the revision.
    async fn renew_tokens(
        &self,
        id: &ApplianceId,
        pairing: i64,
        tokens: &Tokens,
    ) -> Result<bool, StoreError>;
    /// Forgets the tokens, and alerts and outbox as [`Self::set_tokens`] does; fine if there were none. [`StoreError::NotFound`] without appliance.
    async fn clear_tokens(&self, id: &ApplianceId) -> Result<(), StoreError>;
    /// A number that grows with every change to the set of appliances or their pairing.
    async fn revision(&self) -> Result<i64, StoreError>;
    /// The password under which the gateway itself and the embedded broker know each other, and
    /// which `broker export` writes; made once, sealed.
    async fn gateway_password(&self) -> Result<Secret, StoreError>;
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Ends all connections.
    async fn close(&self);
}

/// Everything that a store does.
pub trait Store: ApplianceStore + doings::DoingsStore {}

impl<S: ApplianceStore + doings::DoingsStore> Store for S {}

/// A store shared by everything in a process.
pub type SharedStore = Arc<dyn Store>;

/// Opens the store that `url` names and, if `migrate`, brings its schema up to date.
///
/// # Errors
/// When it cannot be opened, or its schema does not fit.
pub async fn open(
    url: &str,
    secret_key: &Secret,
    migrate: bool,
    metrics: Metrics,
) -> Result<SharedStore, StoreError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => {
            let inner = sqlite::SqliteStore::open(url, secret_key).await?;
            if migrate {
                sqlite::MIGRATOR.run(&inner.pool).await?;
            }
            usable(Measured { inner, metrics }).await
        }
        Some("postgres" | "postgresql") => {
            let inner = postgres::PostgresStore::open(url, secret_key).await?;
            if migrate {
                // Under an advisory lock: several gateways may start at once.
                postgres::MIGRATOR.run(&inner.pool).await?;
            }
            usable(Measured { inner, metrics }).await
        }
        _ => {
            let text = "store.url must begin with sqlite:// or postgres://";
            Err(StoreError::Config(text.into()))
        }
    }
}

/// Without migration the schema may be too old: found out now rather than in the night.
async fn usable<S: Store + 'static>(store: Measured<S>) -> Result<SharedStore, StoreError> {
    if let Err(StoreError::Unavailable(error)) = store.inner.revision().await {
        return Err(StoreError::Schema(error.to_string()));
    }
    Ok(Arc::new(store))
}
