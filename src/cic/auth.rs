//! The auth API (auth 4 to 6): authorization codes and refresh tokens become access tokens.
//!
//! Called by `appliance pair` and by the appliance's actor. Secrets travel in query strings here,
//! so no URL is ever logged or put into an error.

use std::time::Duration;

use serde::Deserialize;

use super::tls;
use crate::{clock::Now, secret::Secret, store::Tokens};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, bytes: tokens are a few hundred.
const MAX_ANSWER: usize = 64 * 1024;
/// Tokens that are said to end sooner live this long, or refreshing them would spin.
const MIN_LIFE: Duration = Duration::from_secs(1);

/// Why no tokens were issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The pairing (or the code) is not accepted; trying again is of no use.
    #[error("CLOVA refused: {0}")]
    Rejected(String),
    /// The configuration does not lead to a usable client.
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
pub struct AuthClient {
    http: reqwest::Client,
    token_uri: reqwest::Url,
    client_id: String,
    client_secret: Secret,
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
    refresh_token: String,
}

/// Samples of the Korean guide wrap the object (auth 8).
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Flat(Issued),
    Wrapped { value: Issued },
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl AuthClient {
    /// Builds the client.
    ///
    /// # Errors
    /// [`AuthError::Config`] for an unusable URI or trust anchor.
    pub fn new(settings: AuthSettings) -> Result<Self, AuthError> {
        let config = |why: String| AuthError::Config(why);
        let tls = tls::client_config(settings.ca_pem.as_deref(), &["http/1.1"])
            .map_err(|error| config(format!("auth.ca_file: {error}")))?;
        let base = reqwest::Url::parse(&settings.base_uri)
            .map_err(|error| config(format!("auth.base_uri: {error}")))?;
        let token_uri =
            base.join("token").map_err(|error| config(format!("auth.base_uri: {error}")))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .user_agent(settings.user_agent)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| config(error.without_url().to_string()))?;
        let (client_id, client_secret) = (settings.client_id, settings.client_secret);
        Ok(Self { http, token_uri, client_id, client_secret })
    }

    /// Trades an authorization code for tokens.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn pair(
        &self,
        device: &Device,
        code: &Secret,
        now: Now,
    ) -> Result<Tokens, AuthError> {
        self.issue("authorization_code", ("code", code), device, now).await
    }

    /// Trades a refresh token for new tokens.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn refresh(
        &self,
        device: &Device,
        refresh_token: &Secret,
        now: Now,
    ) -> Result<Tokens, AuthError> {
        self.issue("refresh_token", ("refresh_token", refresh_token), device, now).await
    }

    /// Deletes an access token at CLOVA (on unpairing); the outcome is only logged by callers.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn delete(&self, device: &Device, access_token: &Secret) -> Result<(), AuthError> {
        self.call("delete", ("access_token", access_token), device).await.map(drop)
    }

    /// Asks without saying who we are: whether there is somebody to ask; returns the status.
    ///
    /// # Errors
    /// What has to be mended, with the configuration's keys.
    pub async fn probe(&self) -> Result<u16, String> {
        let host = self.token_uri.host_str().unwrap_or_default();
        match self.http.get(self.token_uri.clone()).send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(match tls::reason(&error) {
                Some(reason) => tls::explain(reason, host, "auth"),
                None => format!("{host}: {}: auth.base_uri", describe(error)),
            }),
        }
    }

    async fn issue(
        &self,
        grant: &str,
        proof: (&str, &Secret),
        device: &Device,
        now: Now,
    ) -> Result<Tokens, AuthError> {
        let body = self.call(grant, proof, device).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| AuthError::Unavailable("200 without tokens".into()))?;
        let (Answer::Flat(issued) | Answer::Wrapped { value: issued }) = answer;
        let life = Duration::from_secs(issued.expires_in).max(MIN_LIFE);
        Ok(Tokens {
            access_token: issued.access_token.into(),
            refresh_token: issued.refresh_token.into(),
            issued_at: now.wall,
            expires_at: now.wall.checked_add(life).unwrap_or(jiff::Timestamp::MAX),
        })
    }

    async fn call(
        &self,
        grant: &str,
        (proof, secret): (&str, &Secret),
        device: &Device,
    ) -> Result<bytes::Bytes, AuthError> {
        if self.client_id.is_empty() {
            let text = "auth.client_id is empty; CLOVA issues one to each product";
            return Err(AuthError::Config(text.into()));
        }
        let unavailable = |error: reqwest::Error| AuthError::Unavailable(describe(error));
        let query = [
            ("grant_type", grant),
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose()),
            (proof, secret.expose()),
            ("device_id", device.device_id.as_str()),
            ("model_id", device.model_id.as_str()),
        ];
        let request = self.http.get(self.token_uri.clone()).query(&query);
        let response =
            request.header("accept", "application/json").send().await.map_err(unavailable)?;
        let status = response.status();
        let body = bounded(response).await?;
        match status.as_u16() {
            200 => Ok(body),
            // Other statuses are not the auth server's: a proxy on the way does not unpair.
            400 | 401 => Err(AuthError::Rejected(refusal(status.as_u16(), &body))),
            other => Err(AuthError::Unavailable(format!("status {other}"))),
        }
    }
}

async fn bounded(mut response: reqwest::Response) -> Result<bytes::Bytes, AuthError> {
    let mut body = bytes::BytesMut::new();
    let unavailable = |error| AuthError::Unavailable(describe(error));
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(AuthError::Unavailable(format!("an answer of over {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn refusal(status: u16, body: &[u8]) -> String {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error }) => error.chars().filter(|c| !c.is_control()).take(100).collect(),
        Err(_) => format!("status {status}"),
    }
}

/// The whole chain of causes, without the URL, which holds secrets.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
