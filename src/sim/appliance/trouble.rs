//! Why an appliance has no broker, told so that a person can act on it.

use std::io;

use rumqttc::{TlsError, v5};

/// Why there is no connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The broker answered, and does not want us.
    #[error("the broker refused {0}: {1}")]
    Refused(String, String),
    /// Nobody listens, or the name is unknown.
    #[error("the broker at {0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// There is somebody, but no TLS that we trust.
    #[error("no TLS with the broker at {0}: {1}")]
    Tls(String, String),
    /// There is somebody who does not answer in MQTT.
    #[error("what listens at {0} does not answer as a broker does ({1}); does it want mqtts://?")]
    NoBroker(String, String),
    /// The broker does not let us hear what is sent to us.
    #[error("the broker does not let {0} subscribe to {1}")]
    NoRight(String, String),
    /// We were connected.
    #[error("the connection to the broker is lost: {0}")]
    Lost(String),
}

/// What a client says went wrong, apart from who and where we are.
#[derive(Debug)]
pub(super) enum Cause {
    Refused(String),
    Tls(String),
    Unreachable(String),
    Other(String),
}

/// Who and where we are.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) user: String,
    pub(super) addr: String,
}

impl Place {
    pub(super) fn trouble(&self, cause: Cause, connected: bool) -> Trouble {
        let (user, addr) = (self.user.clone(), self.addr.clone());
        match cause {
            Cause::Refused(why) => Trouble::Refused(user, why),
            Cause::Tls(why) | Cause::Unreachable(why) | Cause::Other(why) if connected => {
                Trouble::Lost(why)
            }
            Cause::Tls(why) => Trouble::Tls(addr, why),
            Cause::Unreachable(why) => Trouble::Unreachable(addr, why),
            Cause::Other(why) => Trouble::NoBroker(addr, why),
        }
    }

    pub(super) fn no_right(&self, filter: &str) -> Trouble {
        Trouble::NoRight(self.user.clone(), filter.to_owned())
    }
}

/// Why a login is not accepted; Mosquitto says "not authorized" for a wrong password.
const BAD_LOGIN: &str = "bad user name or password";

impl From<rumqttc::ConnectionError> for Cause {
    fn from(error: rumqttc::ConnectionError) -> Self {
        use rumqttc::{ConnectReturnCode as Code, ConnectionError as Error, StateError};
        match error {
            Error::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => {
                Self::Refused(BAD_LOGIN.into())
            }
            Error::ConnectionRefused(code) => Self::Refused(words(&format!("{code:?}"))),
            Error::Tls(error) => tls(error),
            Error::Io(error) => io_error(&error),
            Error::MqttState(StateError::Io(error)) => Self::Other(reason(&error)),
            Error::MqttState(StateError::ConnectionAborted) => Self::Other(CLOSED.into()),
            Error::NetworkTimeout | Error::FlushTimeout => Self::Other(SILENT.into()),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<v5::ConnectionError> for Cause {
    fn from(error: v5::ConnectionError) -> Self {
        use v5::{ConnectionError as Error, StateError, mqttbytes::v5::ConnectReturnCode as Code};
        match error {
            Error::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => {
                Self::Refused(BAD_LOGIN.into())
            }
            Error::ConnectionRefused(code) => Self::Refused(words(&format!("{code:?}"))),
            Error::Tls(error) => tls(error),
            Error::Io(error) => io_error(&error),
            Error::MqttState(StateError::Io(error)) => Self::Other(reason(&error)),
            Error::MqttState(StateError::ConnectionAborted) => Self::Other(CLOSED.into()),
            Error::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
                let code = words(&format!("{reason_code:?}"));
                Self::Other(reason_string.unwrap_or(code))
            }
            Error::Timeout(_) => Self::Other(SILENT.into()),
            error => Self::Other(error.to_string()),
        }
    }
}

const CLOSED: &str = "the connection was closed";
const SILENT: &str = "no answer within 5 s";

fn tls(error: TlsError) -> Cause {
    match error {
        TlsError::Io(error) => Cause::Tls(reason(&error)),
        TlsError::TLS(error) => Cause::Tls(error.to_string()),
        error => Cause::Tls(error.to_string()),
    }
}

fn io_error(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::InvalidData => Cause::Other(reason(error)),
        _ => Cause::Unreachable(reason(error)),
    }
}

/// Without "(os error 111)", and with a small first letter.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// `ServerBusy` as "server busy".
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_exactly() {
        let place = Place { user: "user kitchen".into(), addr: "broker:1883".into() };
        let refused = || io::Error::from_raw_os_error(111);
        let bad = v5::mqttbytes::v5::ConnectReturnCode::NotAuthorized;
        let busy = v5::mqttbytes::v5::ConnectReturnCode::ServerBusy;
        let old = rumqttc::ConnectReturnCode::BadUserNamePassword;
        let rows: [(Cause, &str); 5] = [
            (
                v5::ConnectionError::ConnectionRefused(bad).into(),
                "the broker refused user kitchen: bad user name or password",
            ),
            (
                rumqttc::ConnectionError::ConnectionRefused(old).into(),
                "the broker refused user kitchen: bad user name or password",
            ),
            (
                v5::ConnectionError::ConnectionRefused(busy).into(),
                "the broker refused user kitchen: server busy",
            ),
            (
                v5::ConnectionError::Io(refused()).into(),
                "the broker at broker:1883 cannot be reached: connection refused",
            ),
            (
                rumqttc::ConnectionError::Io(refused()).into(),
                "the broker at broker:1883 cannot be reached: connection refused",
            ),
        ];
        for (cause, want) in rows {
            assert_eq!(place.trouble(cause, false).to_string(), want);
        }
        let lost = place.trouble(Cause::Other(CLOSED.into()), true).to_string();
        assert_eq!(lost, "the connection to the broker is lost: the connection was closed");
    }
}
