//! Malformed variants of a directive, made from an example: each field is left out, is `null`, is
//! of another type; each object has a field more.

use serde_json::{Value, json};

/// A changed directive, and what was changed.
pub struct Variant {
    pub what: String,
    pub message: Value,
    /// Only a field more than the guide knows, which changes nothing.
    pub is_harmless: bool,
}

/// A way from the root of a message to a value.
type Path = Vec<String>;

/// Every place of a value below `path`, itself included, so deep. Of a list, the first item.
fn places(value: &Value, path: &Path, depth: usize, found: &mut Vec<Path>) {
    found.push(path.clone());
    let Some(depth) = depth.checked_sub(1) else { return };
    let below = |step: &str| [path.clone(), vec![step.to_owned()]].concat();
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, &below(name), depth, found));
        }
        Value::Array(items) => {
            items.iter().take(1).for_each(|item| places(item, &below("0"), depth, found));
        }
        _ => {}
    }
}

fn pointer(path: &Path) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

/// A value of another type.
fn other_type(value: &Value) -> Value {
    if value.is_string() { json!(7) } else { json!("text") }
}

fn without(message: &Value, path: &Path) -> Option<Value> {
    let (last, parent) = path.split_last()?;
    let mut message = message.clone();
    match message.pointer_mut(&pointer(&parent.to_vec()))? {
        Value::Object(fields) => drop(fields.remove(last)?),
        Value::Array(items) => drop(items.remove(0)),
        _ => return None,
    }
    Some(message)
}

fn with(message: &Value, path: &Path, new: Value) -> Option<Value> {
    let mut message = message.clone();
    *message.pointer_mut(&pointer(path))? = new;
    Some(message)
}

fn with_more(message: &Value, path: &Path) -> Option<Value> {
    let mut message = message.clone();
    let object = message.pointer_mut(&pointer(path))?.as_object_mut()?;
    object.insert("fieldOfNextYear".into(), json!({"deep": [1, null, "x"]}));
    Some(message)
}

/// All variants of a whole directive message, down to this depth.
pub fn variants(message: &Value, depth: usize) -> Vec<Variant> {
    let mut found = Vec::new();
    places(message, &Path::new(), depth, &mut found);
    let mut variants = Vec::new();
    for path in found {
        let name = path.join(".");
        let mut add = |what: String, message: Option<Value>, is_harmless: bool| {
            let what = format!("{name} {what}");
            variants.extend(message.map(|message| Variant { what, message, is_harmless }));
        };
        add("left out".into(), without(message, &path), false);
        add("null".into(), with(message, &path, Value::Null), false);
        let other = other_type(message.pointer(&pointer(&path)).unwrap_or(&Value::Null));
        add(format!("is {other}"), with(message, &path, other), false);
        // Settings are all texts.
        let is_harmless = path.last().is_none_or(|last| last != "configuration");
        add("has a field more".into(), with_more(message, &path), is_harmless);
    }
    variants
}
