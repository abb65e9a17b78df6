//! Which appliance is simulated, and at which broker.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::trouble::Place;
use crate::secret::Secret;

/// Version of MQTT that an appliance speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1.
    V3,
    /// 5.
    #[default]
    V5,
}

/// Which appliance, at which broker.
#[derive(Debug, Clone)]
pub struct ApplianceSettings {
    /// Its id.
    pub id: String,
    /// Its MQTT user name; without, the id.
    pub user: Option<String>,
    /// Its MQTT password; empty, and without user name, it is anonymous.
    pub password: Secret,
    /// The broker's host.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// TLS, if the broker wants it.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The version of MQTT that it speaks.
    pub version: MqttVersion,
    /// `mqtt.topic_root`.
    pub root: String,
    /// Where the answers are written, if anywhere.
    pub out: Option<PathBuf>,
    /// How long a Speak "plays" that names a URL, which is not downloaded.
    pub url_time: Duration,
}

impl Default for ApplianceSettings {
    fn default() -> Self {
        Self {
            id: "speaker".into(),
            user: None,
            password: Secret::default(),
            host: "127.0.0.1".into(),
            port: 1883,
            tls: None,
            version: MqttVersion::default(),
            root: "cic/v1".into(),
            out: None,
            url_time: Duration::from_secs(2),
        }
    }
}

impl ApplianceSettings {
    pub(super) fn client_id(&self) -> String {
        format!("sim-{}", self.id)
    }

    /// User name and password, unless it is anonymous.
    pub(super) fn login(&self) -> Option<(&str, &str)> {
        let anonymous = self.user.is_none() && self.password.is_empty();
        let user = self.user.as_deref().unwrap_or(&self.id);
        (!anonymous).then(|| (user, self.password.expose()))
    }

    pub(super) fn place(&self) -> Place {
        let user = match self.login() {
            Some((user, _)) => format!("user {user}"),
            None => "a login without password".to_owned(),
        };
        Place { user, addr: format!("{}:{}", self.host, self.port) }
    }
}
