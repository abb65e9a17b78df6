//! What concerns the meaning of a key, or several keys.

use super::Config;
use crate::{
    cic::{tls, user_agent},
    mqtt::topics,
    profile::Profiles,
    store::seal::SecretKey,
    telemetry::logs,
};

/// Longest MQTT client id, characters: it is a level of the gateway's own topics.
const MAX_CLIENT_ID: usize = 128;

/// Reports every mistake as a key and a problem.
pub(super) fn check(config: &Config, mut wrong: impl FnMut(&str, String)) {
    if let Err(error) = user_agent::check(&config.cic.user_agent) {
        wrong("cic.user_agent", error.to_string());
    }
    uri(&config.cic.base_uri, &["http", "https"], "cic.base_uri", &mut wrong);
    uri(&config.auth.base_uri, &["http", "https"], "auth.base_uri", &mut wrong);
    uri(&config.mqtt.url, &["mqtt", "mqtts"], "mqtt.url", &mut wrong);
    if !config.telemetry.otlp_endpoint.is_empty() {
        let endpoint = &config.telemetry.otlp_endpoint;
        uri(endpoint, &["http", "https"], "telemetry.otlp_endpoint", &mut wrong);
    }
    if let Err(error) = logs::filter(&config.telemetry.log) {
        wrong("telemetry.log", format!("{error}; write for example \"warn,cic_gateway=debug\""));
    }
    mqtt(config, &mut wrong);
    files(config, &mut wrong);
    profiles(config, &mut wrong);
    store(config, &mut wrong);
    if !config.http.listen.ip().is_loopback() && config.http.admin_token.is_empty() {
        wrong("http.admin_token", "is required when http.listen is not a loopback address".into());
    }
    if !["keep", "forget"].contains(&config.alerts.offline.as_str()) {
        wrong("alerts.offline", "must be \"keep\" or \"forget\"".into());
    }
}

fn uri(text: &str, schemes: &[&str], key: &str, wrong: &mut impl FnMut(&str, String)) {
    let schemes = schemes.join(":// or ");
    match text.parse::<::http::Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => {
            let scheme = uri.scheme_str().unwrap_or_default();
            if !schemes.split(":// or ").any(|known| known == scheme) {
                wrong(key, format!("must begin with {schemes}://"));
            }
        }
        _ => wrong(key, format!("must be a URI that begins with {schemes}:// and names a host")),
    }
}

fn mqtt(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    let root = &config.mqtt.topic_root;
    if !topics::is_topic(root) || root.split('/').any(str::is_empty) || root.starts_with('$') {
        wrong(
            "mqtt.topic_root",
            "must be topic levels without + # and empty ones, as cic/v1".into(),
        );
    }
    if !topics::is_level(&config.mqtt.client_id, MAX_CLIENT_ID) {
        wrong(
            "mqtt.client_id",
            format!("must have 1 to {MAX_CLIENT_ID} characters, none of them / + #"),
        );
    }
    for adapter in &config.mqtt.adapters {
        match adapter.as_str() {
            "native" => {}
            "hermes" => wrong("mqtt.adapters", "\"hermes\" is not in this version yet".into()),
            other => {
                wrong("mqtt.adapters", format!("there is no adapter {other:?}; use \"native\""))
            }
        }
    }
}

fn files(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    let files = [
        ("cic.ca_file", &config.cic.ca_file),
        ("auth.ca_file", &config.auth.ca_file),
        ("mqtt.ca_file", &config.mqtt.ca_file),
        ("mqtt.client_cert_file", &config.mqtt.client_cert_file),
        ("mqtt.client_key_file", &config.mqtt.client_key_file),
        ("broker.cert_file", &config.broker.cert_file),
        ("broker.key_file", &config.broker.key_file),
    ];
    for (key, path) in files {
        if !path.is_empty()
            && let Err(problem) = pem(key, path)
        {
            wrong(key, format!("{path}: {problem}"));
        }
    }
    for pair in [[3, 4], [5, 6]].map(|pair| pair.map(|index| files[index])) {
        if let [(key, ""), (other, given)] | [(other, given), (key, "")] =
            pair.map(|(key, path)| (key, path.as_str()))
            && !given.is_empty()
        {
            wrong(key, format!("is missing, although {other} is given"));
        }
    }
}

/// Whether the file holds what the key is for.
fn pem(key: &str, path: &str) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let read = match key.ends_with("key_file") {
        true => tls::private_key(&pem).map(drop),
        false => tls::certificates(&pem).map(drop),
    };
    read.map_err(|error| error.to_string())
}

fn profiles(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    if let Err(problem) = config.profiles.zone() {
        wrong("profiles.time_zone", problem);
    } else if let Err(error) = Profiles::configured(&config.profiles) {
        for mistake in error.0 {
            wrong("profiles.dir", mistake.to_string());
        }
    }
}

fn store(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    let (url, key) = (&config.store.url, &config.store.secret_key);
    let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if !postgres && !url.starts_with("sqlite:") {
        wrong("store.url", "must begin with sqlite:// or postgres://".into());
    }
    if (postgres || !key.is_empty())
        && let Err(error) = SecretKey::parse(key.expose())
    {
        let missing = if key.is_empty() { "is required with PostgreSQL: " } else { "" };
        wrong("store.secret_key", format!("{missing}{error}"));
    }
}
