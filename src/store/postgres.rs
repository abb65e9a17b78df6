//! The store of a fleet: PostgreSQL.

use std::time::Duration;

use sqlx::{
    PgPool, Postgres,
    migrate::Migrator,
    postgres::{PgArguments, PgPoolOptions},
    query::Query,
};

use super::{StoreError, seal::SecretKey, sql};
use crate::{ids::ApplianceId, secret::Secret};

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

    /// A change that a running gateway follows; exactly one row, or [`StoreError::NotFound`].
    async fn change(&self, query: Query<'_, Postgres, PgArguments>) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        if query.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        sqlx::query(sql::RAISE).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

sql::appliance_store!(PostgresStore);
