//! Which appliance is simulated, and at which broker.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use super::{Kind, trouble::Place};
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
    /// What kind of appliance it is.
    pub kind: Kind,
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
    /// How many seconds of media pass in one second; more than 0.
    pub media_speed: f64,
    /// How long media "play" when CIC does not say how long they are.
    pub media_length: Duration,
    /// The settings that it has at first; without any it reports none until it is given some.
    pub settings: BTreeMap<String, String>,
}

impl Default for ApplianceSettings {
    fn default() -> Self {
        Self {
            id: "speaker".into(),
            kind: Kind::default(),
            user: None,
            password: Secret::default(),
            host: "127.0.0.1".into(),
            port: 1883,
            tls: None,
            version: MqttVersion::default(),
            root: "cic/v1".into(),
            out: None,
            url_time: Duration::from_secs(2),
            media_speed: 1.0,
            media_length: Duration::from_secs(180),
            settings: BTreeMap::new(),
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
