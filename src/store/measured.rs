//! A store that counts its time and its failures.

use std::{
    collections::HashMap,
    future::Future,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    Appliance, ApplianceStore, StoreError, Tokens,
    doings::{ApplianceSave, DoingsStore, Saved},
};
use crate::{
    appliance::ledger::Kept, ids::ApplianceId, secret::Secret, telemetry::metrics::Metrics,
};

/// How long the database may take: whoever waits for it has other things to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wraps a store.
pub(super) struct Measured<S> {
    pub(super) inner: S,
    pub(super) metrics: Metrics,
}

impl<S> Measured<S> {
    async fn time<T>(
        &self,
        op: &str,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let late = || StoreError::Unavailable(anyhow::anyhow!("no answer within {PATIENCE:?}"));
        let result = tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| Err(late()));
        let took = started.elapsed().as_secs_f64();
        self.metrics.store_seconds.with_label_values(&[op]).observe(took);
        if matches!(result, Err(StoreError::Unavailable(_) | StoreError::Sealed)) {
            self.metrics.store_errors.with_label_values(&[op]).inc();
        }
        result
    }
}

#[async_trait]
impl<S: ApplianceStore> ApplianceStore for Measured<S> {
    async fn add(&self, appliance: &Appliance) -> Result<(), StoreError> {
        self.time("add", self.inner.add(appliance)).await
    }

    async fn get(&self, id: &ApplianceId) -> Result<Option<Appliance>, StoreError> {
        self.time("get", self.inner.get(id)).await
    }

    async fn list(&self) -> Result<Vec<Appliance>, StoreError> {
        self.time("list", self.inner.list()).await
    }

    async fn remove(&self, id: &ApplianceId) -> Result<(), StoreError> {
        self.time("remove", self.inner.remove(id)).await
    }

    async fn set_tokens(&self, id: &ApplianceId, tokens: &Tokens) -> Result<(), StoreError> {
        self.time("set_tokens", self.inner.set_tokens(id, tokens)).await
    }

    async fn renew_tokens(
        &self,
        id: &ApplianceId,
        pairing: i64,
        tokens: &Tokens,
    ) -> Result<bool, StoreError> {
        self.time("renew_tokens", self.inner.renew_tokens(id, pairing, tokens)).await
    }

    async fn clear_tokens(&self, id: &ApplianceId) -> Result<(), StoreError> {
        self.time("clear_tokens", self.inner.clear_tokens(id)).await
    }

    async fn revision(&self) -> Result<i64, StoreError> {
        self.time("revision", self.inner.revision()).await
    }

    async fn gateway_password(&self) -> Result<Secret, StoreError> {
        self.time("gateway_password", self.inner.gateway_password()).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.time("ping", self.inner.ping()).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl<S: DoingsStore> DoingsStore for Measured<S> {
    async fn save(&self, saves: &[ApplianceSave]) -> Result<Vec<Saved>, StoreError> {
        self.time("save_alerts", self.inner.save(saves)).await
    }

    async fn kept(&self) -> Result<HashMap<ApplianceId, Kept>, StoreError> {
        self.time("load_alerts", self.inner.kept()).await
    }
}
