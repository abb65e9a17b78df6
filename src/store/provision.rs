//! Provisioning: what makes an appliance, and who may log in to the broker.
//!
//! Called by the command line and, for logins, by the embedded broker.

use jiff::Timestamp;

use super::{Appliance, ApplianceStore, StoreError, password};
use crate::{
    ids::{ApplianceId, random_uuid},
    secret::Secret,
};

/// `model_id` of an appliance that names none.
pub const DEFAULT_MODEL: &str = "generic";
/// Language of an appliance that names none.
pub const DEFAULT_LANG: &str = "ko";
/// Languages that CLOVA understands.
pub const LANGS: [&str; 3] = ["ko", "en", "ja"];

/// What a new appliance is given; everything else is made.
#[derive(Debug, Clone)]
pub struct NewAppliance {
    /// Its id.
    pub id: ApplianceId,
    /// CLOVA's `model_id`.
    pub model_id: String,
    /// `ko`, `en` or `ja`.
    pub lang: String,
    /// CLOVA's `device_id`; a random UUID when absent.
    pub device_id: Option<String>,
}

/// The id cannot be an appliance's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is the gateway's own name at the broker (mqtt.username or mqtt.client_id); take another id"
)]
pub struct Reserved(pub ApplianceId);

/// Whether an appliance may have this id, where the gateway has these names at the broker: an
/// appliance with one of them would share the gateway's login, or its session.
///
/// To be asked before [`add`].
///
/// # Errors
/// [`Reserved`] when it is one of them.
pub fn check_id(id: &ApplianceId, gateway: &[&str]) -> Result<(), Reserved> {
    match gateway.contains(&id.as_str()) {
        true => Err(Reserved(id.clone())),
        false => Ok(()),
    }
}

/// Adds an appliance; returns it with its MQTT password, which is known only now.
///
/// # Errors
/// [`StoreError::Duplicate`] when the id is taken.
pub async fn add(
    store: &dyn ApplianceStore,
    new: NewAppliance,
    now: Timestamp,
) -> Result<(Appliance, Secret), StoreError> {
    let password = password::generate();
    let appliance = Appliance {
        id: new.id,
        model_id: new.model_id,
        lang: new.lang,
        device_id: new.device_id.unwrap_or_else(random_uuid),
        password_hash: password::hash(&password),
        tokens: None,
        pairing: 0,
        created_at: now,
    };
    store.add(&appliance).await?;
    Ok((appliance, password))
}

/// Whether this user, an appliance or the gateway itself, has this password.
pub async fn verify_password(
    store: &dyn ApplianceStore,
    gateway: &str,
    user: &str,
    password: &[u8],
) -> bool {
    if user == gateway {
        let known = store.gateway_password().await.map(|known| password::hash(&known));
        return known.is_ok_and(|hash| password::verify(password, &hash));
    }
    let Ok(id) = ApplianceId::parse(user) else { return false };
    match store.get(&id).await {
        Ok(Some(appliance)) => password::verify(password, &appliance.password_hash),
        Ok(None) => false,
        Err(error) => {
            tracing::error!(%error, "a login is refused because the store does not answer");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_names_are_no_appliances_ids() {
        let id = |text: &str| ApplianceId::parse(text).unwrap();
        let gateway = ["hub", "cic-gateway"];
        assert_eq!(check_id(&id("kitchen"), &gateway), Ok(()));
        for name in gateway {
            assert_eq!(check_id(&id(name), &gateway), Err(Reserved(id(name))));
        }
    }
}
