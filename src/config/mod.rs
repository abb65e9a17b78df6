//! Every configuration key: defaults, the TOML file, the environment, and their checks.
//!
//! Called by the command line, once. Every mistake is found and named with key and line (or
//! environment variable), not only the first one.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys.rs` | the table of all keys, and the reference made from it |
//! | `read.rs` | the layers, and texts becoming values |
//! | `value.rs` | durations and sizes |
//! | `check.rs` | what concerns several keys |

mod check;
mod keys;
mod read;
mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use keys::reference;
pub use read::{Loaded, load, read};
pub use value::duration;

use jiff::tz::TimeZone;

use crate::{appliance::context::defaults::parse_zone, secret::Secret};

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[cic]`.
    pub cic: Cic,
    /// `[auth]`.
    pub auth: Auth,
    /// `[mqtt]`.
    pub mqtt: Mqtt,
    /// `[broker]`.
    pub broker: Broker,
    /// `[profiles]`.
    pub profiles: Profiles,
    /// `[store]`.
    pub store: Store,
    /// `[alerts]`.
    pub alerts: Alerts,
    /// `[http]`.
    pub http: Http,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[limits]`.
    pub limits: Limits,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $(
                #[doc = concat!("`", stringify!($field), "`; see [`reference`].")]
                pub $field: $type,
            )*
        }
    };
}

section! {
    /// Where CIC is and how long it is waited for.
    Cic {
        base_uri: String,
        ca_file: String,
        user_agent: String,
        ping_interval: Duration,
        ping_timeout: Duration,
        connect_timeout: Duration,
        result_timeout: Duration,
        linger: Duration,
    }
}
section! {
    /// The auth API.
    Auth { base_uri: String, ca_file: String, client_id: String, client_secret: Secret, }
}
section! {
    /// The broker that appliances connect to.
    Mqtt {
        url: String,
        topic_root: String,
        client_id: String,
        username: String,
        password: Secret,
        ca_file: String,
        client_cert_file: String,
        client_key_file: String,
        adapters: Vec<String>,
    }
}
section! {
    /// The embedded broker.
    Broker {
        enabled: bool,
        listen: SocketAddr,
        data_dir: PathBuf,
        cert_file: String,
        key_file: String,
    }
}
section! {
    /// What models of appliances have and can do.
    Profiles { dir: String, time_zone: String, }
}
section! {
    /// The store.
    Store { url: String, migrate: bool, secret_key: Secret, }
}
section! {
    /// Alarms and timers.
    Alerts { offline: String, past_due_window: Duration, ring_timeout: Duration, }
}
section! {
    /// Health, metrics and API.
    Http { listen: SocketAddr, admin_token: Secret, }
}
section! {
    /// Logs and traces.
    Telemetry { log: String, otlp_endpoint: String, otlp_ratio: f64, }
}
section! {
    /// Bounds.
    Limits {
        max_appliances: usize,
        max_utterance: Duration,
        max_directive: usize,
        max_attachment: usize,
    }
}

impl Profiles {
    /// `time_zone`.
    ///
    /// # Errors
    /// With a text for people when it is none.
    pub fn zone(&self) -> Result<TimeZone, String> {
        parse_zone(&self.time_zone)
    }
}

/// One mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// File and line, or the environment variable, or nothing for what is missing.
    pub place: String,
    /// `section.key`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

/// All mistakes in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Mistake>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.0.iter().map(|Mistake { place, key, problem }| match place.as_str() {
            "" => format!("{key}: {problem}"),
            _ if key.is_empty() => format!("{place}: {problem}"),
            _ => format!("{place}: {key}: {problem}"),
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests;
