//! The store of a home hub: one SQLite file.

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use super::{StoreError, doings_sql, seal::SecretKey, sql};
use crate::{
    clock::{Clock, SystemClock},
    ids::ApplianceId,
    secret::Secret,
};

type Database = Sqlite;
type Arguments = SqliteArguments;

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Appliances in a SQLite file.
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
    key: SecretKey,
}

impl SqliteStore {
    /// Opens (or makes) the file that `url` names; its key lies beside it unless given.
    ///
    /// # Errors
    /// When file or key cannot be used.
    pub async fn open(url: &str, secret_key: &Secret) -> Result<Self, StoreError> {
        if url.contains(":memory:") {
            let text = "store.url: a store in memory would forget every pairing; name a file";
            return Err(StoreError::Config(text.into()));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| StoreError::Config(format!("store.url: {error}")))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let file = options.get_filename().to_owned();
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await;
        let pool =
            pool.map_err(|error| StoreError::Config(format!("{}: {error}", file.display())))?;
        let key = match secret_key.is_empty() {
            true => SecretKey::load_or_create(&key_file(&file))?,
            false => SecretKey::parse(secret_key.expose())?,
        };
        Ok(Self { pool, key })
    }

    /// Takes the write lock at once: a transaction that reads first and writes later could be
    /// refused without waiting.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Where the key of a SQLite store lies, unless `store.secret_key` is given.
pub fn key_file(database: &Path) -> std::path::PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

sql::appliance_store!(SqliteStore);
doings_sql::doings_store!(SqliteStore, begin, "SELECT pairing FROM appliances WHERE id = $1");
