//! The guide's message examples, as `tests/cic-examples` holds them.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A directive or an event of the guide.
#[derive(Clone)]
pub struct Example {
    pub is_directive: bool,
    pub namespace: String,
    pub name: String,
    /// The whole file: `{"directive": {...}}` or `{"context": [...], "event": {...}}`.
    pub message: Value,
}

impl Example {
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    kind: String,
    namespace: Option<String>,
    name: Option<String>,
    #[serde(default)]
    deviations: Vec<String>,
}

/// By file name without folder and ending, for example `Alerts.AlertStopped.2`.
pub struct Examples(BTreeMap<String, Example>);

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cic-examples")
}

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|wrong| panic!("{file}: {wrong}"))
}

fn entries() -> Vec<Entry> {
    serde_json::from_value(read("index.json")).unwrap()
}

/// `events/Alerts.AlertStopped.2.json` -> `Alerts.AlertStopped.2`.
fn stem(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.trim_end_matches(".json").to_owned()
}

impl Examples {
    /// All directives and events.
    pub fn read() -> Self {
        let messages = entries().into_iter().filter(|entry| entry.kind != "template");
        let messages = messages.filter(|entry| entry.kind != "context").map(|entry| {
            let (message, is_directive) = (read(&entry.file), entry.kind == "directive");
            let (namespace, name) = (entry.namespace.unwrap(), entry.name.unwrap());
            (stem(&entry.file), Example { is_directive, namespace, name, message })
        });
        Self(messages.collect())
    }

    pub fn get(&self, example: &str) -> Option<&Example> {
        self.0.get(example)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Example)> {
        self.0.iter()
    }
}

/// A content template (what `Clova.RenderTemplate` has for a payload) or a context object.
pub struct Other {
    /// Its file's name.
    pub name: String,
    pub json: Value,
    /// Where the example itself is not what the guide's table says, `payload.a.b: why`.
    pub deviations: Vec<String>,
}

/// All of `template` or `context`.
pub fn others(kind: &str) -> Vec<Other> {
    let wanted = entries().into_iter().filter(|entry| entry.kind == kind);
    let read = |entry: Entry| Other {
        name: stem(&entry.file),
        json: read(&entry.file),
        deviations: entry.deviations,
    };
    wanted.map(read).collect()
}
