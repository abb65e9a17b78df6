//! The auth API (auth 4 and 5): authorization codes and refresh tokens become access tokens.
//!
//! Called by `appliance pair` and by the appliance's actor. Secrets travel in query strings here,
//! so no URL is ever logged or put into an error.

use crate::{clock::Now, secret::Secret, store::Tokens};

/// Why no tokens were issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The pairing (or the code) is not accepted; trying again is of no use.
    #[error("CLOVA refused: {0}")]
    Rejected(String),
    /// The client id or secret is missing in the configuration.
    #[error("{0}")]
    Config(String),
    /// The server is away or answered with an error; trying later may help.
    #[error("the auth server does not answer as it should: {0}")]
    Unavailable(String),
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Device {
    /// `device_id`.
    pub device_id: String,
    /// `model_id`.
    pub model_id: String,
}

/// What the client needs to know.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// `https://auth.clova.ai/`.
    pub base_uri: String,
    /// Extra trust anchor (PEM), if any.
    pub ca_pem: Option<Vec<u8>>,
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: Secret,
    /// Sent with each request.
    pub user_agent: String,
}

/// The auth API's client; clones share their connections.
#[derive(Debug, Clone)]
pub struct AuthClient;

impl AuthClient {
    /// Builds the client.
    ///
    /// # Errors
    /// [`AuthError::Config`] for an unusable URI or trust anchor.
    pub fn new(_settings: AuthSettings) -> Result<Self, AuthError> {
        unimplemented!()
    }

    /// Trades an authorization code for tokens.
    pub async fn pair(
        &self,
        _device: &Device,
        _code: &Secret,
        _now: Now,
    ) -> Result<Tokens, AuthError> {
        unimplemented!()
    }

    /// Trades a refresh token for new tokens.
    pub async fn refresh(
        &self,
        _device: &Device,
        _refresh_token: &Secret,
        _now: Now,
    ) -> Result<Tokens, AuthError> {
        unimplemented!()
    }

    /// Deletes an access token at CLOVA (on unpairing); the outcome is only logged by callers.
    pub async fn delete(&self, _device: &Device, _access_token: &Secret) -> Result<(), AuthError> {
        unimplemented!()
    }
}
