//! The store of a fleet: PostgreSQL.

use std::time::Duration;

use sqlx::{
    PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgArguments, PgPoolOptions},
    query::Query,
};

use super::{StoreError, doings_sql, seal::SecretKey, sql};
use crate::{
    clock::{Clock, SystemClock},
    ids::ApplianceId,
    secret::Secret,
};

type Database = Postgres;
type Arguments = PgArguments;

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// Appliances in PostgreSQL.
pub struct PostgresStore {
    pub(super) pool: PgPool,
    key: SecretKey,
}

impl PostgresStore {
    /// Connects to the database that `url` names.
    ///
    /// # Errors
    /// When it does not answer, or there is no key.
    pub async fn open(url: &str, secret_key: &Secret) -> Result<Self, StoreError> {
        let key = SecretKey::parse(secret_key.expose())?;
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(Duration::from_secs(3))
            .connect(url)
            .await?;
        Ok(Self { pool, key })
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }
}

sql::appliance_store!(PostgresStore);
doings_sql::doings_store!(
    PostgresStore,
    begin,
    "SELECT pairing FROM appliances WHERE id = $1 FOR SHARE"
);
