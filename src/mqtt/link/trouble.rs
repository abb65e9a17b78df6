//! Why there is no usable broker connection, in words that an operator can act on.

use rumqttc::v5::{
    ConnectionError, StateError,
    mqttbytes::{
        self,
        v5::{ConnectReturnCode, SubscribeReasonCode},
    },
};

use super::{LinkSettings, watch::Silence};
use crate::{cic::tls, mqtt::topics};

/// Why a connection is given up.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It broke, or was refused.
    Connection(ConnectionError),
    /// A subscription was refused.
    Subscription { filter: String, code: SubscribeReasonCode },
    /// It looks alive, and is not.
    Silence(Silence),
}

impl Trouble {
    /// Whether it lasts until the operator has mended the broker's access rules.
    pub(super) fn is_about_rights(&self) -> bool {
        matches!(self, Self::Subscription { .. } | Self::Silence(Silence::Deaf))
    }

    pub(super) fn describe(&self, settings: &LinkSettings) -> String {
        match self {
            Self::Connection(error) => explain(error, settings),
            Self::Subscription { filter, code } => {
                format!("the broker refuses the subscription to {filter}: {code:?}")
            }
            Self::Silence(silence) => match silence {
                Silence::Unanswered => "the broker does not answer the subscription",
                Silence::Deaf => {
                    "the broker accepts the subscription and does not forward the gateway's own \
                     heartbeat"
                }
                Silence::NotForwarding => "the broker does not forward the heartbeat any more",
                Silence::Silent => "the broker has fallen silent",
                Silence::Unacknowledged => "the broker no longer acknowledges",
            }
            .to_owned(),
        }
    }
}

/// The rights that the gateway's user needs, as an operator would write them down.
pub(super) fn rights(settings: &LinkSettings) -> String {
    let root = &settings.topic_root;
    let own = topics::gateway(root, &settings.client_id);
    format!("read {root}/+/up/#, write {root}/+/down/#, read and write {own}/#")
}

/// The user whose rights these are.
pub(super) fn user(settings: &LinkSettings) -> &str {
    match settings.username.as_str() {
        "" => "(anonymous)",
        name => name,
    }
}

/// What has to be mended, with the configuration's keys where it is there.
pub(super) fn explain(error: &ConnectionError, settings: &LinkSettings) -> String {
    let user = user(settings);
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword => format!(
                "the broker does not accept user {user} with this password: mqtt.username, \
                 mqtt.password"
            ),
            ConnectReturnCode::NotAuthorized => format!(
                "the broker does not authorise user {user}, or its password is wrong: \
                 mqtt.username, mqtt.password"
            ),
            ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
                format!("the broker does not accept the client id: mqtt.client_id: {code:?}")
            }
            code => format!("the broker refuses the connection: {code:?}"),
        },
        ConnectionError::Timeout(_) => "the broker does not answer in time: mqtt.url".to_owned(),
        other => match tls_reason(other) {
            Some(reason) => tls::explain(reason, &settings.host, "mqtt"),
            None => format!("{other}: mqtt.url"),
        },
    }
}

/// rumqttc hides why TLS failed in several places.
fn tls_reason(error: &ConnectionError) -> Option<&rustls::Error> {
    match error {
        // After the handshake: with TLS 1.3 the broker looks at our certificate only then.
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error))) => {
            tls::reason(error)
        }
        other => tls::reason(other),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{AlertDescription, CertificateError};

    use super::*;

    fn settings() -> LinkSettings {
        LinkSettings {
            host: "broker.example".into(),
            port: 8883,
            tls: None,
            client_id: "gw-1".into(),
            username: "gw".into(),
            password: "secret".into(),
            topic_root: "cic/v1".into(),
            filters: Vec::new(),
        }
    }

    #[test]
    fn an_operator_reads_what_to_mend() {
        let io = |error: rustls::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let required = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let rows = [
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword),
                "user gw with this password: mqtt.username, mqtt.password",
            ),
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized),
                "does not authorise user gw",
            ),
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::ServerUnavailable),
                "ServerUnavailable",
            ),
            (ConnectionError::Tls(io(unknown).into()), "mqtt.ca_file"),
            (
                ConnectionError::MqttState(StateError::Deserialization(io(required).into())),
                "mqtt.client_cert_file",
            ),
            (ConnectionError::Io(io::ErrorKind::ConnectionRefused.into()), "refused: mqtt.url"),
        ];
        for (error, want) in rows {
            let text = explain(&error, &settings());
            assert!(text.contains(want), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn the_rights_are_those_that_broker_export_writes() {
        let want = "read cic/v1/+/up/#, write cic/v1/+/down/#, \
                    read and write cic/v1/gateway/gw-1/#";
        assert_eq!(rights(&settings()), want);
    }
}
