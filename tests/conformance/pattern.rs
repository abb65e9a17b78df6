//! Values that a row of the table writes as `"@name"` or `"@name.path"`, and what fits them.

use std::collections::BTreeMap;

use serde_json::Value;

/// What names stand for while a case runs.
pub type Names = BTreeMap<String, Value>;

/// Follows a path such as `payload.assets.0.url`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

fn looked_up(text: &str, names: &Names) -> Result<Value, String> {
    let (name, path) = match text.split_once('.') {
        Some((name, path)) => (name, Some(path)),
        None => (text, None),
    };
    let value = names.get(name).ok_or_else(|| format!("@{name} stands for nothing"))?;
    let found = path.map_or(Some(value), |path| at(value, path));
    found.cloned().ok_or_else(|| format!("there is no @{text} in {value}"))
}

/// Puts values in the place of their names. `@null` is what TOML has no word
/// for; `@any` and `@absent` stay.
pub fn resolve(value: &Value, names: &Names) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix('@') {
            None | Some("any" | "absent") => value.clone(),
            Some("null") => Value::Null,
            Some(name) => looked_up(name, names)?,
        },
        Value::Array(items) => {
            items.iter().map(|item| resolve(item, names)).collect::<Result<_, _>>()?
        }
        Value::Object(fields) => {
            let resolved = fields
                .iter()
                .map(|(key, value)| Ok::<_, String>((key.clone(), resolve(value, names)?)));
            Value::Object(resolved.collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

/// Whether a value has all that a resolved pattern names; objects may have more. `@any` is fitted
/// by whatever is there, `@absent` by nothing.
pub fn fits(pattern: &Value, actual: Option<&Value>) -> bool {
    match (pattern, actual) {
        (Value::String(text), actual) if text == "@any" => actual.is_some(),
        (Value::String(text), actual) if text == "@absent" => actual.is_none(),
        (Value::Object(wanted), Some(Value::Object(actual))) => {
            wanted.iter().all(|(key, pattern)| fits(pattern, actual.get(key)))
        }
        (Value::Array(wanted), Some(Value::Array(actual))) => {
            let mut pairs = wanted.iter().zip(actual);
            wanted.len() == actual.len() && pairs.all(|(p, a)| fits(p, Some(a)))
        }
        (pattern, actual) => actual == Some(pattern),
    }
}

/// Changes one place of a message; `@absent` takes it out.
pub fn edit(message: &mut Value, path: &str, new: Value) -> Result<(), String> {
    let (parent, last) = match path.rsplit_once('.') {
        Some((parent, last)) => (parent.split('.').collect(), last),
        None => (Vec::new(), path),
    };
    let place = parent.into_iter().try_fold(message, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        value => value.get_mut(step),
    });
    let place = place.ok_or_else(|| format!("there is no {path}"))?;
    match (place, last.parse::<usize>()) {
        (Value::Object(fields), _) if new == "@absent" => drop(fields.remove(last)),
        (Value::Object(fields), _) => drop(fields.insert(last.to_owned(), new)),
        (Value::Array(items), Ok(at)) if at < items.len() => items[at] = new,
        _ => return Err(format!("{path} cannot be changed")),
    }
    Ok(())
}
