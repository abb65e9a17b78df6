//! The statements and the code that both stores share: their SQL is the same, their types differ.

use jiff::Timestamp;

use super::{Appliance, StoreError, Tokens, seal::SecretKey};
use crate::ids::ApplianceId;

pub(super) const COLUMNS: &str = "id, model_id, lang, device_id, password_hash, access_token, \
     refresh_token, issued_at, expires_at, pairing, created_at";
pub(super) const RAISE: &str = "UPDATE revision SET number = number + 1";
pub(super) const INSERT: &str = "INSERT INTO appliances (id, model_id, lang, device_id, \
     password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
pub(super) const DELETE: &str = "DELETE FROM appliances WHERE id = $1";
pub(super) const SET_TOKENS: &str = "UPDATE appliances SET access_token = $2, \
     refresh_token = $3, issued_at = $4, expires_at = $5, pairing = pairing + 1 WHERE id = $1";
pub(super) const RENEW_TOKENS: &str = "UPDATE appliances SET access_token = $2, \
     refresh_token = $3, issued_at = $4, expires_at = $5 WHERE id = $1 AND pairing = $6";
pub(super) const CLEAR_TOKENS: &str = "UPDATE appliances SET access_token = NULL, \
     refresh_token = NULL, issued_at = NULL, expires_at = NULL, pairing = pairing + 1 \
     WHERE id = $1";
pub(super) const REVISION: &str = "SELECT number FROM revision";
pub(super) const PASSWORD: &str = "SELECT value FROM settings WHERE name = 'gateway_password'";
pub(super) const MAKE_PASSWORD: &str = "INSERT INTO settings (name, value) \
     VALUES ('gateway_password', $1) ON CONFLICT (name) DO NOTHING";

/// One row of `appliances`.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    model_id: String,
    lang: String,
    device_id: String,
    password_hash: String,
    access_token: Option<String>,
    refresh_token: Option<String>,
    issued_at: Option<i64>,
    expires_at: Option<i64>,
    pairing: i64,
    created_at: i64,
}

impl Row {
    pub(super) fn open(self, key: &SecretKey) -> Result<Appliance, StoreError> {
        let broken = |error: &dyn std::fmt::Display| {
            StoreError::Unavailable(anyhow::anyhow!("a row cannot be read: {error}"))
        };
        let time =
            |micros: i64| Timestamp::from_microsecond(micros).map_err(|error| broken(&error));
        let tokens = match (self.access_token, self.refresh_token, self.issued_at, self.expires_at)
        {
            (Some(access), Some(refresh), Some(issued_at), Some(expires_at)) => {
                let open = |name, sealed: &str| key.open(&place(&self.id, name), sealed);
                match (open("access", &access), open("refresh", &refresh)) {
                    (Ok(access_token), Ok(refresh_token)) => Some(Tokens {
                        access_token,
                        refresh_token,
                        issued_at: time(issued_at)?,
                        expires_at: time(expires_at)?,
                    }),
                    // It must not block the others, and pairing it again must be possible.
                    _ => {
                        tracing::error!(
                            appliance = self.id,
                            "its tokens cannot be opened with store.secret_key; pair it again"
                        );
                        None
                    }
                }
            }
            _ => None,
        };
        Ok(Appliance {
            id: ApplianceId::parse(&self.id).map_err(|error| broken(&error))?,
            model_id: self.model_id,
            lang: self.lang,
            device_id: self.device_id,
            password_hash: self.password_hash,
            tokens,
            pairing: self.pairing,
            created_at: time(self.created_at)?,
        })
    }
}

/// Tokens as they are stored.
pub(super) struct Sealed {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
}

impl Sealed {
    pub(super) fn new(key: &SecretKey, id: &ApplianceId, tokens: &Tokens) -> Self {
        Self {
            access: key.seal(&place(id.as_str(), "access"), &tokens.access_token),
            refresh: key.seal(&place(id.as_str(), "refresh"), &tokens.refresh_token),
            issued_at: tokens.issued_at.as_microsecond(),
            expires_at: tokens.expires_at.as_microsecond(),
        }
    }
}

fn place(id: &str, token: &str) -> String {
    format!("{id}/{token}")
}

/// Where a setting is sealed to.
pub(super) const PASSWORD_PLACE: &str = "settings/gateway_password";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Duplicate,
            _ => Self::Unavailable(anyhow::Error::new(error)),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self::Schema(other.to_string()),
        }
    }
}

/// Implements [`super::ApplianceStore`] over a pool; the two databases differ in type only.
macro_rules! appliance_store {
    ($store:ident) => {
        impl $store {
            /// A change that a running gateway follows, and that ends what belongs to the pairing;
            /// exactly one row, or [`StoreError::NotFound`].
            async fn change(
                &self,
                id: &ApplianceId,
                query: Query<'_, Database, Arguments>,
            ) -> Result<(), StoreError> {
                let mut tx = self.begin().await?;
                if query.execute(&mut *tx).await?.rows_affected() == 0 {
                    return Err(StoreError::NotFound);
                }
                sqlx::query(doings_sql::FORGET_ALERTS)
                    .bind(id.as_str())
                    .bind(SystemClock.now().wall.as_microsecond())
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(doings_sql::CLEAR_OUTBOX).bind(id.as_str()).execute(&mut *tx).await?;
                sqlx::query(sql::RAISE).execute(&mut *tx).await?;
                Ok(tx.commit().await?)
            }
        }

        #[async_trait::async_trait]
        impl crate::store::ApplianceStore for $store {
            async fn add(&self, a: &crate::store::Appliance) -> Result<(), StoreError> {
                let mut tx = self.pool.begin().await?;
                sqlx::query(sql::INSERT)
                    .bind(a.id.as_str())
                    .bind(&a.model_id)
                    .bind(&a.lang)
                    .bind(&a.device_id)
                    .bind(&a.password_hash)
                    .bind(a.created_at.as_microsecond())
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(sql::RAISE).execute(&mut *tx).await?;
                tx.commit().await?;
                match &a.tokens {
                    Some(tokens) => self.set_tokens(&a.id, tokens).await,
                    None => Ok(()),
                }
            }

            async fn get(
                &self,
                id: &ApplianceId,
            ) -> Result<Option<crate::store::Appliance>, StoreError> {
                let text = format!("SELECT {} FROM appliances WHERE id = $1", sql::COLUMNS);
                let row: Option<sql::Row> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(id.as_str())
                    .fetch_optional(&self.pool)
                    .await?;
                row.map(|row| row.open(&self.key)).transpose()
            }

            async fn list(&self) -> Result<Vec<crate::store::Appliance>, StoreError> {
                let text = format!("SELECT {} FROM appliances ORDER BY id", sql::COLUMNS);
                let rows: Vec<sql::Row> =
                    sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await?;
                rows.into_iter().map(|row| row.open(&self.key)).collect()
            }

            async fn remove(&self, id: &ApplianceId) -> Result<(), StoreError> {
                self.change(id, sqlx::query(sql::DELETE).bind(id.as_str())).await
            }

            async fn set_tokens(
                &self,
                id: &ApplianceId,
                tokens: &crate::store::Tokens,
            ) -> Result<(), StoreError> {
                let sealed = sql::Sealed::new(&self.key, id, tokens);
                let query = sqlx::query(sql::SET_TOKENS)
                    .bind(id.as_str())
                    .bind(sealed.access)
                    .bind(sealed.refresh)
                    .bind(sealed.issued_at)
                    .bind(sealed.expires_at);
                self.change(id, query).await
            }

            async fn renew_tokens(
                &self,
                id: &ApplianceId,
                pairing: i64,
                tokens: &crate::store::Tokens,
            ) -> Result<bool, StoreError> {
                let sealed = sql::Sealed::new(&self.key, id, tokens);
                let done = sqlx::query(sql::RENEW_TOKENS)
                    .bind(id.as_str())
                    .bind(sealed.access)
                    .bind(sealed.refresh)
                    .bind(sealed.issued_at)
                    .bind(sealed.expires_at)
                    .bind(pairing)
                    .execute(&self.pool)
                    .await?;
                Ok(done.rows_affected() == 1)
            }

            async fn clear_tokens(&self, id: &ApplianceId) -> Result<(), StoreError> {
                self.change(id, sqlx::query(sql::CLEAR_TOKENS).bind(id.as_str())).await
            }

            async fn revision(&self) -> Result<i64, StoreError> {
                let (number,): (i64,) = sqlx::query_as(sql::REVISION).fetch_one(&self.pool).await?;
                Ok(number)
            }

            async fn gateway_password(&self) -> Result<Secret, StoreError> {
                let fresh = self.key.seal(sql::PASSWORD_PLACE, &crate::store::password::generate());
                let read = sqlx::query_as::<_, (String,)>(sql::PASSWORD);
                if let Some((sealed,)) = read.fetch_optional(&self.pool).await? {
                    return self.key.open(sql::PASSWORD_PLACE, &sealed);
                }
                sqlx::query(sql::MAKE_PASSWORD).bind(fresh).execute(&self.pool).await?;
                let (sealed,): (String,) =
                    sqlx::query_as(sql::PASSWORD).fetch_one(&self.pool).await?;
                self.key.open(sql::PASSWORD_PLACE, &sealed)
            }

            async fn ping(&self) -> Result<(), StoreError> {
                self.revision().await.map(drop)
            }

            async fn close(&self) {
                self.pool.close().await;
            }
        }
    };
}

pub(super) use appliance_store;
