//! The layers (defaults, file, environment), and texts becoming values.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{
    Alerts, Auth, Broker, Cic, Config, ConfigErrors, Http, Limits, Mistake, Mqtt, Profiles, Store,
    Telemetry, check,
    keys::{KEYS, Key, Kind},
    value,
};
use crate::secret::Secret;

/// What every environment variable of ours begins with.
const PREFIX: &str = "CIC_GATEWAY__";
/// Where the configuration is looked for without `--config`.
const PLACES: [&str; 2] = ["cic-gateway.toml", "/etc/cic-gateway/config.toml"];

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if there was one.
    pub source: Option<PathBuf>,
}

/// Reads the configuration: `path` if given, else the first of the usual places that exists, else
/// defaults; then the environment.
///
/// # Errors
/// Every mistake that was found.
pub fn load(path: Option<&Path>) -> Result<Loaded, ConfigErrors> {
    let found = PLACES.iter().map(Path::new).find(|place| place.exists());
    let source = path.or(found).map(Path::to_path_buf);
    let unreadable = |path: &Path, error: std::io::Error| {
        let (place, problem) = (path.display().to_string(), error.to_string());
        ConfigErrors(vec![Mistake { place, key: String::new(), problem }])
    };
    let text = match &source {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?),
        None => None,
    };
    let name = source.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let file = text.as_deref().map(|text| (name.as_str(), text));
    let (environment, mistakes) = own_variables(std::env::vars_os());
    Ok(Loaded { config: merge(file, environment, mistakes)?, source })
}

/// Reads a configuration from a file's name and text, and environment variables.
///
/// # Errors
/// Every mistake that was found.
pub fn read(
    file: Option<(&str, &str)>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    merge(file, environment, Vec::new())
}

/// Our own environment variables, and those of them that are no text. What others have put there
/// need not even be UTF-8.
fn own_variables(
    all: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Vec<(String, String)>, Vec<Mistake>) {
    let (mut own, mut mistakes) = (Vec::new(), Vec::new());
    for (name, value) in all {
        let name = name.to_string_lossy().into_owned();
        let Some(key) = key_of(&name) else { continue };
        match value.into_string() {
            Ok(value) => own.push((name, value)),
            Err(_) => {
                mistakes.push(Mistake { place: name, key, problem: "is not UTF-8".into() });
            }
        }
    }
    (own, mistakes)
}

/// The key that an environment variable gives, if it is one of ours.
fn key_of(variable: &str) -> Option<String> {
    Some(variable.strip_prefix(PREFIX)?.to_lowercase().replacen("__", ".", 1))
}

fn merge(
    file: Option<(&str, &str)>,
    environment: impl IntoIterator<Item = (String, String)>,
    mistakes: Vec<Mistake>,
) -> Result<Config, ConfigErrors> {
    let mut layers = Layers { mistakes, ..Layers::default() };
    let is_read = file.is_none_or(|(name, text)| layers.add_file(name, text));
    layers.add_environment(environment);
    layers.resolve_files();
    let config = layers.build();
    // Without the file nobody knows what is missing. A key that is wrong already has its default
    // here: what follows from that would only confuse.
    if is_read {
        let faulty: Vec<String> = layers.mistakes.iter().map(|m| m.key.clone()).collect();
        let is_faulty = |key: &str| faulty.iter().any(|f| f == key || *f == file_key(key));
        check::check(&config, |key, problem| {
            if !is_faulty(key) {
                layers.wrong(key, problem);
            }
        });
    }
    if layers.mistakes.is_empty() { Ok(config) } else { Err(ConfigErrors(layers.mistakes)) }
}

/// The key under which a secret's file is named.
fn file_key(secret: &str) -> String {
    format!("{secret}_file")
}

/// The secret that a key gives, by itself or as a file's name.
fn secret_of(key: &str) -> Option<String> {
    let secrets = KEYS.iter().filter(|known| known.kind == Kind::Secret).map(Key::full_name);
    secrets.into_iter().find(|name| key == name || key == file_key(name))
}

/// A text and where it stands.
#[derive(Debug, Clone)]
struct Given {
    text: String,
    place: String,
}

#[derive(Default)]
struct Layers {
    given: BTreeMap<String, Given>,
    mistakes: Vec<Mistake>,
}

impl Layers {
    /// Returns whether the file could be read at all.
    fn add_file(&mut self, name: &str, text: &str) -> bool {
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let place = |at: usize| format!("{name}:{}", line(at));
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let problem = error.message().to_owned();
                self.mistakes.push(Mistake { place: place(at), key: String::new(), problem });
                return false;
            }
        };
        for (section, content) in document.get_ref() {
            let at = place(section.span().start);
            let DeValue::Table(table) = content.get_ref() else {
                self.mistake(
                    at,
                    section.get_ref(),
                    "is no section; write [section] above its keys",
                );
                continue;
            };
            for (name, content) in table {
                let key = format!("{}.{}", section.get_ref(), name.get_ref());
                let place = place(name.span().start);
                match text_of(content.get_ref()) {
                    Some(text) => self.add(key, Given { text, place }),
                    None => self.mistake(
                        place,
                        &key,
                        "must be a text, number, boolean or list of texts",
                    ),
                }
            }
        }
        true
    }

    /// A secret in the environment, by itself or as a file, replaces both in the file.
    fn add_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        let own = environment
            .into_iter()
            .filter_map(|(name, text)| Some((key_of(&name)?, Given { text, place: name })));
        let own: Vec<_> = own.collect();
        for secret in own.iter().filter(|(_, given)| !given.text.is_empty()) {
            if let Some(secret) = secret_of(&secret.0) {
                self.given.remove(&file_key(&secret));
                self.given.remove(&secret);
            }
        }
        for (key, given) in own {
            self.add(key, given);
        }
    }

    fn add(&mut self, key: String, given: Given) {
        if secret_of(&key).is_some() {
            // An empty one is not given: deployments leave such variables and lines behind.
            if !given.text.is_empty() {
                self.given.insert(key, given);
            }
            return;
        }
        if KEYS.iter().any(|known| known.full_name() == key) {
            self.given.insert(key, given);
            return;
        }
        let hint = nearest(&key).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        self.mistake(given.place, &key, &format!("unknown key{hint}"));
    }

    /// Secrets given as `KEY_file`.
    fn resolve_files(&mut self) {
        for key in KEYS.iter().filter(|key| key.kind == Kind::Secret) {
            let name = key.full_name();
            let Some(Given { text: path, place }) = self.given.remove(&file_key(&name)) else {
                continue;
            };
            if self.given.contains_key(&name) {
                self.mistake(
                    place,
                    &file_key(&name),
                    &format!("{name} is given too; leave one out"),
                );
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\r', '\n']).to_owned();
                    self.given.insert(name, Given { text, place });
                }
                Err(error) => self.mistake(place, &file_key(&name), &format!("{path}: {error}")),
            }
        }
    }

    fn mistake(&mut self, place: String, key: &str, problem: &str) {
        self.mistakes.push(Mistake { place, key: key.to_owned(), problem: problem.to_owned() });
    }

    /// A mistake in the value of a key, wherever that was given.
    fn wrong(&mut self, key: &str, problem: String) {
        let place = self.given.get(key).map(|given| given.place.clone()).unwrap_or_default();
        self.mistake(place, key, &problem);
    }

    fn value<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let known = KEYS.iter().find(|known| known.full_name() == key);
        let default = known.map_or("", |known: &Key| known.default);
        let text = self.given.get(key).map_or(default, |given| given.text.as_str());
        match parse(text) {
            Ok(value) => value,
            Err(problem) => {
                self.wrong(key, problem);
                parse(default).unwrap_or_else(|_| panic!("the default of {key} fits its type"))
            }
        }
    }

    fn text(&mut self, key: &str) -> String {
        self.value(key, |text| Ok(text.to_owned()))
    }

    fn ratio(&mut self, key: &str) -> f64 {
        self.value(key, |text| match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err("must be a number from 0 to 1".into()),
        })
    }

    fn secret(&mut self, key: &str) -> Secret {
        self.text(key).into()
    }

    /// Where `0s` turns something off.
    fn duration_or_none(&mut self, key: &str) -> Duration {
        self.value(key, value::duration)
    }

    /// An interval or a time-out: at zero nothing would work.
    fn duration(&mut self, key: &str) -> Duration {
        self.value(key, |text| match value::duration(text)? {
            Duration::ZERO => Err("must be longer than nothing".into()),
            duration => Ok(duration),
        })
    }

    fn parsed<T: FromStr>(&mut self, key: &str, what: &str) -> T {
        self.value(key, |text| text.parse().map_err(|_| format!("{text:?} is no {what}")))
    }

    fn build(&mut self) -> Config {
        Config {
            cic: Cic {
                base_uri: self.text("cic.base_uri"),
                ca_file: self.text("cic.ca_file"),
                user_agent: self.text("cic.user_agent"),
                ping_interval: self.duration("cic.ping_interval"),
                ping_timeout: self.duration("cic.ping_timeout"),
                connect_timeout: self.duration("cic.connect_timeout"),
                result_timeout: self.duration("cic.result_timeout"),
                linger: self.duration_or_none("cic.linger"),
            },
            auth: Auth {
                base_uri: self.text("auth.base_uri"),
                ca_file: self.text("auth.ca_file"),
                client_id: self.text("auth.client_id"),
                client_secret: self.secret("auth.client_secret"),
            },
            mqtt: self.mqtt(),
            broker: Broker {
                enabled: self.parsed("broker.enabled", "boolean; write true or false"),
                listen: self.parsed("broker.listen", "address and port, as 127.0.0.1:1883"),
                data_dir: self.text("broker.data_dir").into(),
                cert_file: self.text("broker.cert_file"),
                key_file: self.text("broker.key_file"),
            },
            profiles: Profiles {
                dir: self.text("profiles.dir"),
                time_zone: self.text("profiles.time_zone"),
            },
            store: Store {
                url: self.text("store.url"),
                migrate: self.parsed("store.migrate", "boolean; write true or false"),
                secret_key: self.secret("store.secret_key"),
            },
            alerts: Alerts {
                offline: self.text("alerts.offline"),
                past_due_window: self.duration_or_none("alerts.past_due_window"),
                ring_timeout: self.duration("alerts.ring_timeout"),
            },
            http: Http {
                listen: self.parsed("http.listen", "address and port, as 127.0.0.1:8080"),
                admin_token: self.secret("http.admin_token"),
            },
            telemetry: Telemetry {
                log: self.text("telemetry.log"),
                otlp_endpoint: self.text("telemetry.otlp_endpoint"),
                otlp_ratio: self.ratio("telemetry.otlp_ratio"),
            },
            limits: Limits {
                max_appliances: self.parsed("limits.max_appliances", "number"),
                max_utterance: self.duration("limits.max_utterance"),
                max_directive: self.value("limits.max_directive", value::size),
                max_attachment: self.value("limits.max_attachment", value::size),
            },
        }
    }

    fn mqtt(&mut self) -> Mqtt {
        let list = |text: &str| {
            let items = text.split(',').map(|item| item.trim().to_owned());
            Ok(items.filter(|item| !item.is_empty()).collect())
        };
        Mqtt {
            url: self.text("mqtt.url"),
            topic_root: self.text("mqtt.topic_root"),
            client_id: self.text("mqtt.client_id"),
            username: self.text("mqtt.username"),
            password: self.secret("mqtt.password"),
            ca_file: self.text("mqtt.ca_file"),
            client_cert_file: self.text("mqtt.client_cert_file"),
            client_key_file: self.text("mqtt.client_key_file"),
            adapters: self.value("mqtt.adapters", list),
        }
    }
}

/// A TOML value as the text that the environment would give.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| text_of(item.get_ref())).collect();
            Some(items?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The known key that looks most like this one.
fn nearest(key: &str) -> Option<String> {
    let known = KEYS.iter().map(Key::full_name);
    let scored = known.map(|known| (distance(key, &known), known));
    scored.min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
