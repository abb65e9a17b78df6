//! What a command's payload is made from. Pure.

use serde_json::Value;

/// What may stand in braces.
pub(super) const PLACEHOLDERS: [&str; 8] =
    ["value", "step", "target", "messageId", "address", "name", "role", "pinCode"];

/// A JSON value with placeholders in its texts, as `"{value}"`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Value);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When a placeholder is not known, with a text for people.
    pub(super) fn parse(value: Value) -> Result<Self, String> {
        let mut unknown = None;
        each_placeholder(&value, &mut |name| {
            if !PLACEHOLDERS.contains(&name) {
                unknown.get_or_insert(name.to_owned());
            }
        });
        match unknown {
            Some(name) => {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" ");
                Err(format!("there is no {{{name}}}; there are {known}"))
            }
            None => Ok(Self(value)),
        }
    }

    /// Whether it has this placeholder.
    pub(super) fn has(&self, placeholder: &str) -> bool {
        let mut has = false;
        each_placeholder(&self.0, &mut |name| has |= name == placeholder);
        has
    }

    /// Whether it has no placeholder.
    pub(super) fn is_fixed(&self) -> bool {
        PLACEHOLDERS.iter().all(|name| !self.has(name))
    }

    /// Whether it is a text that looks like JSON and has placeholders inside.
    pub(super) fn is_json_in_text(&self) -> bool {
        let text = self.0.as_str().unwrap_or_default();
        text.starts_with(['{', '[']) && parts(text).len() > 1 && !self.is_fixed()
    }

    /// Puts values into it. A text that is nothing but a placeholder becomes the value itself,
    /// number or text, or `null` if there is none.
    pub(super) fn fill(&self, values: &dyn Fn(&str) -> Value) -> Value {
        fill(&self.0, values)
    }

    /// The payload: a text as it is, anything else as JSON.
    pub(super) fn bytes(&self, values: &dyn Fn(&str) -> Value) -> Vec<u8> {
        match self.fill(values) {
            Value::Null => Vec::new(),
            value => text_of(&value).into_bytes(),
        }
    }
}

/// A text as it is, anything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fill(value: &Value, values: &dyn Fn(&str) -> Value) -> Value {
    match value {
        Value::String(text) => fill_text(text, values),
        Value::Array(items) => items.iter().map(|item| fill(item, values)).collect(),
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, value)| (name.clone(), fill(value, values)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, values: &dyn Fn(&str) -> Value) -> Value {
    if let [Part::Placeholder(name)] = parts(text)[..] {
        return values(name);
    }
    let filled = parts(text).into_iter().map(|part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Placeholder(name) => match values(name) {
            Value::Null => String::new(),
            value => text_of(&value),
        },
    });
    Value::String(filled.collect())
}

enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// Only a word in braces is a placeholder: JSON that stands in a text has none by accident.
fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest, mut from) = (Vec::new(), text, 0);
    while let Some(open) = rest[from..].find('{').map(|at| from + at) {
        let word = rest[open + 1..].split('}').next().unwrap_or_default();
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !is_word || !rest[open + 1 + word.len()..].starts_with('}') {
            from = open + 1;
            continue;
        }
        if open > 0 {
            parts.push(Part::Text(&rest[..open]));
        }
        parts.push(Part::Placeholder(word));
        (rest, from) = (&rest[open + word.len() + 2..], 0);
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

fn each_placeholder<'a>(value: &'a Value, see: &mut dyn FnMut(&'a str)) {
    match value {
        Value::String(text) => {
            for part in parts(text) {
                if let Part::Placeholder(name) = part {
                    see(name);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_placeholder(item, see)),
        Value::Object(fields) => fields.values().for_each(|value| each_placeholder(value, see)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_words_in_braces_are_replaced() {
        let rows = [
            (json!("{value}"), json!(23)),
            (json!("VOL {value}!"), json!("VOL 23!")),
            (json!({"vol": "{value}", "on": true}), json!({"vol": 23, "on": true})),
            (json!(["{name}", "{address}"]), json!(["a \"b\"", null])),
            (json!("{address}-{name}"), json!("-a \"b\"")),
            (json!(r#"{"power": {"on": 1}}"#), json!(r#"{"power": {"on": 1}}"#)),
            (json!("{ {value}"), json!("{ 23")),
            (json!("{value"), json!("{value")),
            (json!("{}"), json!("{}")),
        ];
        let values = |name: &str| match name {
            "value" => json!(23),
            "name" => json!("a \"b\""),
            _ => Value::Null,
        };
        for (template, want) in rows {
            assert_eq!(
                Template::parse(template.clone()).unwrap().fill(&values),
                want,
                "{template}"
            );
        }
        let wrong = Template::parse(json!({"a": ["{valeu}"]})).unwrap_err();
        assert!(wrong.starts_with("there is no {valeu}; there are {value} {step}"), "{wrong}");
    }

    #[test]
    fn a_text_is_sent_as_it_is_and_anything_else_as_json() {
        let rows = [
            (json!("on"), "on"),
            (json!(true), "true"),
            (json!("{value}"), "23"),
            (json!({"a": "b"}), r#"{"a":"b"}"#),
            (json!("{name}"), ""),
        ];
        let values = |name: &str| if name == "value" { json!(23) } else { Value::Null };
        for (template, want) in rows {
            let bytes = Template::parse(template).unwrap().bytes(&values);
            assert_eq!(String::from_utf8(bytes).unwrap(), want);
        }
    }
}
