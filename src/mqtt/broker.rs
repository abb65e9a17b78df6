//! The embedded broker of a home hub and of `demo`, on the `mqtt5` crate. Started by
//! [`crate::app`].
//!
//! Its users are the provisioned appliances, and each may only publish below its own `up/` and
//! subscribe below its own `down/`. Retained messages and sessions survive a restart.

use std::{future::Future, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use mqtt5::{
    broker::{
        MqttBroker,
        auth::{AuthProvider, AuthResult},
        config::{BrokerConfig, StorageConfig, TlsConfig},
    },
    packet::connect::ConnectPacket,
    protocol::v5::reason_codes::ReasonCode,
};
use tokio::task::JoinHandle;

/// Largest packet, bytes.
const MAX_PACKET: usize = 1024 * 1024;
/// How long the broker may take to end.
const STOP: Duration = Duration::from_secs(1);

/// Where the broker listens and keeps its state.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Retained messages and sessions are kept here.
    pub data_dir: PathBuf,
    /// Certificate and key files (PEM), for TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// `{root}` of all topics.
    pub topic_root: String,
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker does not start: {0}")]
pub struct BrokerError(String);

/// Who may log in.
#[async_trait]
pub trait Users: Send + Sync {
    /// Whether this user has this password.
    async fn verify(&self, user: &str, password: &[u8]) -> bool;
}

/// How the gateway itself logs in.
#[derive(Debug, Clone)]
pub struct GatewayLogin {
    /// Its user name; decides who has the gateway's rights.
    pub user: String,
    /// Its MQTT client id: nobody else may take its session over.
    pub client_id: String,
}

/// A running broker.
pub struct Broker {
    addr: SocketAddr,
    shutdown: mqtt5::broker::BrokerShutdownHandle,
    task: JoinHandle<()>,
}

impl Broker {
    /// Starts the broker.
    ///
    /// # Errors
    /// When the address, the data directory or the certificate cannot be used.
    pub async fn start(
        settings: BrokerSettings,
        users: Arc<dyn Users>,
        gateway: GatewayLogin,
    ) -> Result<Self, BrokerError> {
        let wrong = |error: mqtt5::MqttError| BrokerError(error.to_string());
        std::fs::create_dir_all(&settings.data_dir)
            .map_err(|error| BrokerError(format!("{}: {error}", settings.data_dir.display())))?;
        let storage = StorageConfig::default().with_base_dir(settings.data_dir.clone());
        let mut config = BrokerConfig::default()
            .with_bind_address(settings.listen)
            .with_max_packet_size(MAX_PACKET)
            .with_sys_topics_enabled(false)
            .with_storage(storage);
        let secure = settings.tls.is_some();
        if let Some((cert, key)) = settings.tls {
            config = config
                .with_bind_addresses(Vec::new())
                .with_tls(TlsConfig::new(cert, key).with_bind_address(settings.listen));
        }
        let rights = Rights { users, root: settings.topic_root, gateway };
        let mut broker = MqttBroker::with_config(config)
            .await
            .map_err(wrong)?
            .with_auth_provider(Arc::new(rights));
        let addr = if secure { broker.tls_local_addr() } else { broker.local_addr() };
        let addr = addr.ok_or_else(|| BrokerError("it has no address".into()))?;
        let shutdown = broker.shutdown_handle();
        let task = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!(%error, "the embedded broker ended");
            }
        });
        Ok(Self { addr, shutdown, task })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it; state is on disk.
    pub async fn stop(mut self) {
        self.shutdown.shutdown();
        if tokio::time::timeout(STOP, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Rights {
    users: Arc<dyn Users>,
    root: String,
    gateway: GatewayLogin,
}

type Pinned<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl AuthProvider for Rights {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        _: SocketAddr,
    ) -> Pinned<'a, mqtt5::error::Result<AuthResult>> {
        Box::pin(async move {
            let refused = Ok(AuthResult::fail(ReasonCode::BadUsernameOrPassword));
            let (Some(user), Some(password)) = (&connect.username, &connect.password) else {
                return refused;
            };
            if !may_be(&self.gateway, user, &connect.client_id) {
                tracing::warn!(user, client_id = connect.client_id, "another one's client id");
                return Ok(AuthResult::fail(ReasonCode::ClientIdentifierNotValid));
            }
            match self.users.verify(user, password).await {
                true => Ok(AuthResult::success_with_user(user.clone())),
                false => refused,
            }
        })
    }

    fn authorize_publish<'a>(
        &'a self,
        _: &str,
        user: Option<&'a str>,
        topic: &'a str,
    ) -> Pinned<'a, bool> {
        let may = user.is_some_and(|user| may_publish(&self.root, &self.gateway.user, user, topic));
        Box::pin(std::future::ready(may))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Pinned<'a, bool> {
        let may =
            user.is_some_and(|user| may_subscribe(&self.root, &self.gateway.user, user, filter));
        Box::pin(std::future::ready(may))
    }
}

/// A client id names a session: whoever has the gateway's takes it away from the gateway.
fn may_be(gateway: &GatewayLogin, user: &str, client_id: &str) -> bool {
    client_id != gateway.client_id || user == gateway.user
}

/// An appliance publishes below its own `up/`, the gateway below every `down/` and `gateway/`.
pub fn may_publish(root: &str, gateway: &str, user: &str, topic: &str) -> bool {
    if topic.contains(['+', '#']) {
        return false;
    }
    let Some((owner, rest)) = super::topics::split(root, topic) else { return false };
    match user == gateway {
        true => owner == "gateway" || rest.starts_with("down/"),
        false => owner == user && rest.starts_with("up/"),
    }
}

/// An appliance reads below its own `down/`, the gateway below every `up/` and `gateway/`.
pub fn may_subscribe(root: &str, gateway: &str, user: &str, filter: &str) -> bool {
    let Some((owner, rest)) = super::topics::split(root, filter) else { return false };
    let below =
        |side: &str| rest == side || rest.strip_prefix(side).is_some_and(|r| r.starts_with('/'));
    match user == gateway {
        true => owner == "gateway" || below("up"),
        false => owner == user && below("down"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appliances_have_exactly_two_rights() {
        let publish = |user, topic| may_publish("cic/v1", "gw", user, topic);
        assert!(publish("a", "cic/v1/a/up/text"));
        for topic in
            ["cic/v1/b/up/text", "cic/v1/a/down/text", "cic/v1/a", "x", "cic/v1/+/up/x", "$SYS/x"]
        {
            assert!(!publish("a", topic), "{topic}");
        }
        assert!(publish("gw", "cic/v1/b/down/text") && publish("gw", "cic/v1/gateway/g/status"));
        assert!(!publish("gw", "cic/v1/b/up/text"));
        let subscribe = |user, filter| may_subscribe("cic/v1", "gw", user, filter);
        assert!(subscribe("a", "cic/v1/a/down/#") && subscribe("a", "cic/v1/a/down/audio/+"));
        for filter in [
            "#",
            "cic/#",
            "cic/v1/#",
            "cic/v1/+/down/#",
            "cic/v1/b/down/#",
            "cic/v1/a/up/#",
            "cic/v1/a/#",
            "cic/v1/a/+/x",
            "$share/g/cic/v1/a/down/#",
            "$SYS/#",
            "cic/v1/a/downtown",
        ] {
            assert!(!subscribe("a", filter), "{filter}");
        }
        assert!(subscribe("gw", "cic/v1/+/up/#") && !subscribe("gw", "cic/v1/+/down/#"));
    }
}
