//! The statements and the code for alerts and the outbox that both stores share.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::{
    appliance::{
        alerts::{Alert, AlertKind, Phase},
        ledger::Kept,
        outbox::Outgoing,
    },
    ids::ApplianceId,
};

pub(super) const PUT_ALERT: &str = "INSERT INTO alerts (appliance_id, token, kind, \
     scheduled_time, label, assets, asset_play_order, phase, since) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (appliance_id, token) DO UPDATE SET \
     kind = excluded.kind, scheduled_time = excluded.scheduled_time, label = excluded.label, \
     assets = excluded.assets, asset_play_order = excluded.asset_play_order, \
     phase = excluded.phase, since = excluded.since";
pub(super) const REMOVE_ALERT: &str = "DELETE FROM alerts WHERE appliance_id = $1 AND token = $2";
pub(super) const ENQUEUE: &str = "INSERT INTO outbox (appliance_id, number, namespace, name, \
     message_id, payload, contexts) VALUES ($1, $2, $3, $4, $5, $6, $7)";
pub(super) const DEQUEUE: &str = "DELETE FROM outbox WHERE appliance_id = $1 AND number = $2";
pub(super) const CLEAR_ALERTS: &str = "DELETE FROM alerts WHERE appliance_id = $1";
/// What is gone with its pairing the appliance must still hear, once the gateway is up again.
pub(super) const FORGET_ALERTS: &str = "UPDATE alerts SET phase = 'deleted', label = NULL, \
     assets = NULL, asset_play_order = NULL, since = $2 WHERE appliance_id = $1 \
     AND phase <> 'deleted'";
pub(super) const CLEAR_OUTBOX: &str = "DELETE FROM outbox WHERE appliance_id = $1";
pub(super) const ALERTS: &str = "SELECT appliance_id, token, kind, scheduled_time, label, \
     assets, asset_play_order, phase, since FROM alerts";
pub(super) const OUTBOX: &str = "SELECT appliance_id, number, namespace, name, message_id, \
     payload, contexts FROM outbox ORDER BY appliance_id, number";

#[derive(sqlx::FromRow)]
pub(super) struct AlertRow {
    appliance_id: String,
    token: String,
    kind: String,
    scheduled_time: String,
    label: Option<String>,
    assets: Option<String>,
    asset_play_order: Option<String>,
    phase: String,
    since: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct OutboxRow {
    appliance_id: String,
    number: i64,
    namespace: String,
    name: String,
    message_id: String,
    payload: String,
    contexts: String,
}

type Wrong = Box<dyn std::error::Error + Send + Sync>;

impl AlertRow {
    fn open(self) -> Result<Alert, Wrong> {
        let raw = |text: Option<String>| text.map(RawValue::from_string).transpose();
        Ok(Alert {
            token: self.token.into(),
            kind: AlertKind::parse(&self.kind).ok_or("unknown kind")?,
            due: self.scheduled_time.parse()?,
            scheduled_time: self.scheduled_time.into(),
            label: self.label.map(Into::into),
            assets: raw(self.assets)?,
            asset_play_order: raw(self.asset_play_order)?,
            phase: Phase::parse(&self.phase).ok_or("unknown phase")?,
            since: Timestamp::from_microsecond(self.since)?,
        })
    }
}

impl OutboxRow {
    fn open(self) -> Result<Outgoing, Wrong> {
        Ok(Outgoing {
            namespace: self.namespace.into(),
            name: self.name.into(),
            message_id: self.message_id.into(),
            payload: RawValue::from_string(self.payload)?.into(),
            contexts: serde_json::from_str(&self.contexts)?,
        })
    }
}

/// Sorts rows by appliance. One row that cannot be read must not keep the others from ringing.
pub(super) fn collect(alerts: Vec<AlertRow>, outbox: Vec<OutboxRow>) -> HashMap<ApplianceId, Kept> {
    let mut all: HashMap<ApplianceId, Kept> = HashMap::new();
    for row in alerts {
        let (Ok(id), token) = (ApplianceId::parse(&row.appliance_id), row.token.clone()) else {
            continue;
        };
        match row.open() {
            Ok(alert) => all.entry(id).or_default().alerts.push(Arc::new(alert)),
            Err(error) => tracing::error!(appliance = %id, token, %error, "an alert is unreadable"),
        }
    }
    for row in outbox {
        let (Ok(id), number) = (ApplianceId::parse(&row.appliance_id), row.number) else {
            continue;
        };
        match row.open() {
            Ok(event) => all.entry(id).or_default().outbox.push((number, Arc::new(event))),
            Err(error) => {
                tracing::error!(appliance = %id, number, %error, "an event is unreadable")
            }
        }
    }
    all
}

/// Implements [`super::doings::DoingsStore`] over a pool. `$begin` begins a transaction that
/// writes; `$lock` is the query that finds the pairing and keeps it as it is until the end.
macro_rules! doings_store {
    ($store:ident, $begin:ident, $lock:literal) => {
        #[async_trait::async_trait]
        impl crate::store::doings::DoingsStore for $store {
            async fn save(
                &self,
                saves: &[crate::store::doings::ApplianceSave],
            ) -> Result<Vec<crate::store::doings::Saved>, StoreError> {
                use crate::store::doings::Saved;
                let mut tx = self.$begin().await?;
                let mut results = Vec::with_capacity(saves.len());
                for save in saves {
                    let pairing: Option<(i64,)> = sqlx::query_as($lock)
                        .bind(save.appliance.as_str())
                        .fetch_optional(&mut *tx)
                        .await?;
                    if pairing.is_none_or(|(pairing,)| pairing != save.pairing) {
                        results.push(Saved::Gone);
                        continue;
                    }
                    let id = save.appliance.as_str();
                    if save.save.whole {
                        for text in [doings_sql::CLEAR_ALERTS, doings_sql::CLEAR_OUTBOX] {
                            sqlx::query(text).bind(id).execute(&mut *tx).await?;
                        }
                    }
                    for step in &save.save.steps {
                        Self::carry_out(id, step, &mut tx).await?;
                    }
                    results.push(Saved::Kept);
                }
                tx.commit().await?;
                Ok(results)
            }

            async fn kept(
                &self,
            ) -> Result<
                std::collections::HashMap<ApplianceId, crate::appliance::ledger::Kept>,
                StoreError,
            > {
                let alerts = sqlx::query_as(doings_sql::ALERTS).fetch_all(&self.pool).await?;
                let outbox = sqlx::query_as(doings_sql::OUTBOX).fetch_all(&self.pool).await?;
                Ok(doings_sql::collect(alerts, outbox))
            }
        }

        impl $store {
            async fn carry_out(
                id: &str,
                step: &crate::appliance::ledger::Step,
                tx: &mut sqlx::Transaction<'_, Database>,
            ) -> Result<(), StoreError> {
                use crate::appliance::{alerts, ledger::Step};
                let query = match step {
                    Step::Alert(alerts::Step::Put(alert)) => sqlx::query(doings_sql::PUT_ALERT)
                        .bind(id)
                        .bind(alert.token.as_str())
                        .bind(alert.kind.as_str())
                        .bind(&*alert.scheduled_time)
                        .bind(alert.label.as_deref())
                        .bind(alert.assets.as_ref().map(|raw| raw.get()))
                        .bind(alert.asset_play_order.as_ref().map(|raw| raw.get()))
                        .bind(alert.phase.as_str())
                        .bind(alert.since.as_microsecond()),
                    Step::Alert(alerts::Step::Remove(token)) => {
                        sqlx::query(doings_sql::REMOVE_ALERT).bind(id).bind(token.as_str())
                    }
                    Step::Enqueue(number, event) => {
                        let contexts = serde_json::to_string(&event.contexts)
                            .map_err(|error| StoreError::Unavailable(error.into()))?;
                        sqlx::query(doings_sql::ENQUEUE)
                            .bind(id)
                            .bind(number)
                            .bind(&*event.namespace)
                            .bind(&*event.name)
                            .bind(event.message_id.as_str())
                            .bind(event.payload.get())
                            .bind(contexts)
                    }
                    Step::Dequeue(number) => sqlx::query(doings_sql::DEQUEUE).bind(id).bind(number),
                };
                query.execute(&mut **tx).await?;
                Ok(())
            }
        }
    };
}

pub(super) use doings_store;
