//! Adding, pairing and removing appliances: what the command line and the HTTP API share.
//!
//! A running gateway follows the store by itself.

use crate::{
    cic::auth::{AuthClient, AuthError, Device},
    clock::SharedClock,
    ids::ApplianceId,
    secret::Secret,
    store::{
        Appliance, SharedStore, StoreError,
        provision::{self, NewAppliance},
    },
};

/// Why something could not be done, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The id is taken.
    #[error("an appliance with this id exists already")]
    Duplicate,
    /// The id is the gateway's own name at the broker.
    #[error("{0}")]
    Reserved(#[from] provision::Reserved),
    /// `limits.max_appliances` is reached.
    #[error("limits.max_appliances ({0}) is reached")]
    Full(usize),
    /// No such appliance.
    #[error("no appliance with this id exists")]
    NotFound,
    /// CLOVA does not accept the authorization code.
    #[error("{0}; ask the companion app for a new code")]
    Refused(String),
    /// Store or auth server are away; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for ProvisionError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate => Self::Duplicate,
            StoreError::NotFound => Self::NotFound,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<AuthError> for ProvisionError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Rejected(_) => Self::Refused(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The store and the auth API, for whoever provisions.
#[derive(Clone)]
pub struct Provisioning {
    /// Keeps the appliances.
    pub store: SharedStore,
    /// Trades authorization codes.
    pub auth: AuthClient,
    /// When something was added or issued.
    pub clock: SharedClock,
    /// `limits.max_appliances`.
    pub max_appliances: usize,
    /// The gateway's own names at the broker, which no appliance may have.
    pub gateway_names: [String; 2],
}

impl Provisioning {
    /// Adds an appliance; returns it with its MQTT password, which is known only now.
    ///
    /// # Errors
    /// [`ProvisionError::Duplicate`], [`ProvisionError::Full`], [`ProvisionError::Reserved`], or
    /// the store's.
    pub async fn add(&self, new: NewAppliance) -> Result<(Appliance, Secret), ProvisionError> {
        provision::check_id(&new.id, &self.gateway_names.each_ref().map(String::as_str))?;
        if self.store.list().await?.len() >= self.max_appliances {
            return Err(ProvisionError::Full(self.max_appliances));
        }
        Ok(provision::add(self.store.as_ref(), new, self.clock.now().wall).await?)
    }

    /// One appliance.
    ///
    /// # Errors
    /// [`ProvisionError::NotFound`], or the store's.
    pub async fn get(&self, id: &ApplianceId) -> Result<Appliance, ProvisionError> {
        self.store.get(id).await?.ok_or(ProvisionError::NotFound)
    }

    /// Trades an authorization code for tokens. Returns the appliance as it is now.
    ///
    /// # Errors
    /// [`ProvisionError::Refused`] for a code that CLOVA does not accept, and see above.
    pub async fn pair(&self, id: &ApplianceId, code: &Secret) -> Result<Appliance, ProvisionError> {
        let appliance = self.get(id).await?;
        let tokens = self.auth.pair(&device(&appliance), code, self.clock.now()).await?;
        self.store.set_tokens(id, &tokens).await?;
        self.get(id).await
    }

    /// Forgets tokens and alerts, here and then at CLOVA; fine if there were none.
    ///
    /// # Errors
    /// [`ProvisionError::NotFound`], or the store's.
    pub async fn unpair(&self, id: &ApplianceId) -> Result<(), ProvisionError> {
        let appliance = self.get(id).await?;
        self.store.clear_tokens(id).await?;
        if let Some(tokens) = &appliance.tokens
            && let Err(error) = self.auth.delete(&device(&appliance), &tokens.access_token).await
        {
            tracing::warn!(%error, "the token could not be deleted at CLOVA; it runs out by itself");
        }
        Ok(())
    }

    /// Removes an appliance and everything that is kept of it.
    ///
    /// # Errors
    /// [`ProvisionError::NotFound`], or the store's.
    pub async fn remove(&self, id: &ApplianceId) -> Result<(), ProvisionError> {
        Ok(self.store.remove(id).await?)
    }
}

fn device(appliance: &Appliance) -> Device {
    let (device_id, model_id) = (appliance.device_id.clone(), appliance.model_id.clone());
    Device { device_id, model_id }
}
