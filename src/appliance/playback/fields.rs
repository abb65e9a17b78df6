//! Reads payloads field by field, so that an error names the field that is wrong and everything
//! else stays exactly as CIC wrote it. `null` counts as absent. Pure; called by the readers of
//! Play, StreamDeliver and the small directives.

use std::{collections::BTreeMap, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::NotPlayback;

/// Longer times mean never; also keeps sums of times and instants within their range.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How deep objects are merged; the guide's have two levels.
const MERGE_DEPTH: u8 = 8;

/// The fields of one JSON object.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    path: &'a str,
    fields: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// Reads an object; `path` is what errors call it.
    pub fn read(path: &'a str, raw: &'a RawValue) -> Result<Self, NotPlayback> {
        let fields = serde_json::from_str(raw.get())
            .map_err(|_| NotPlayback::Payload(format!("{path} is no object")))?;
        Ok(Self { path, fields })
    }

    /// A field as CIC wrote it.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.get(name).copied().filter(|raw| raw.get() != "null")
    }

    /// A field that must be there, as CIC wrote it.
    pub fn needed_raw(&self, name: &str) -> Result<&'a RawValue, NotPlayback> {
        self.raw(name).ok_or_else(|| self.missing(name))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<String>, NotPlayback> {
        self.value(name, "no text")
    }

    /// A text that must be there.
    pub fn needed_text(&self, name: &str) -> Result<String, NotPlayback> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, NotPlayback> {
        self.value(name, "no boolean")
    }

    /// A time in milliseconds, at most [`LONGEST`]. A fraction is cut off.
    pub fn millis(&self, name: &str) -> Result<Option<Duration>, NotPlayback> {
        let wrong = "no number of milliseconds";
        let Some(number) = self.value::<f64>(name, wrong)? else { return Ok(None) };
        if number < 0.0 {
            return Err(self.wrong(name, wrong));
        }
        let millis = number.min(LONGEST.as_millis() as f64);
        Ok(Some(Duration::from_millis(millis as u64)))
    }

    fn value<T: DeserializeOwned>(
        &self,
        name: &str,
        wrong: &str,
    ) -> Result<Option<T>, NotPlayback> {
        let read = |raw: &RawValue| serde_json::from_str(raw.get());
        self.raw(name).map(read).transpose().map_err(|_| self.wrong(name, wrong))
    }

    fn missing(&self, name: &str) -> NotPlayback {
        self.wrong(name, "missing")
    }

    fn wrong(&self, name: &str, what: &str) -> NotPlayback {
        NotPlayback::Payload(format!("{}.{name} is {what}", self.path))
    }
}

/// The same object with one field replaced or added; what is no object stays as it is.
pub(super) fn with(raw: &RawValue, name: &str, value: &RawValue) -> Box<RawValue> {
    let Some(mut fields) = object(raw) else { return raw.to_owned() };
    fields.insert(name.to_owned(), value);
    to_raw(&fields)
}

/// Merges what StreamDeliver brings into what Play had, leaf by leaf; `null` brings nothing
/// (interfaces, AudioStreamInfoObject).
pub(super) fn merge(had: &RawValue, brings: &RawValue) -> Box<RawValue> {
    merge_to(had, brings, MERGE_DEPTH)
}

fn merge_to(had: &RawValue, brings: &RawValue, depth: u8) -> Box<RawValue> {
    if brings.get() == "null" {
        return had.to_owned();
    }
    let (Some(had), Some(brings)) = (object(had), object(brings)) else {
        return brings.to_owned();
    };
    let mut merged: BTreeMap<_, _> =
        had.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    for (name, value) in brings {
        let value = match merged.get(&name) {
            Some(had) if depth > 0 => merge_to(had, value, depth - 1),
            None if value.get() == "null" => continue,
            _ => value.to_owned(),
        };
        merged.insert(name, value);
    }
    to_raw(&merged)
}

fn object(raw: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// Encodes what always can be.
pub(super) fn to_raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts, numbers and raw JSON always encode")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn merged(had: Value, brings: Value) -> Value {
        let merged = merge(&to_raw(&had), &to_raw(&brings));
        serde_json::from_str(merged.get()).unwrap()
    }

    #[test]
    fn the_guides_own_example_of_a_merge_gives_what_the_guide_says() {
        let report = |delay: Value, interval: Value, position: Value| {
            json!({"progressReport": {
                "progressReportDelayInMilliseconds": delay,
                "progressReportIntervalInMilliseconds": interval,
                "progressReportPositionInMilliseconds": position,
            }})
        };
        let had = report(Value::Null, json!(20000), json!(30000));
        let brings = report(json!(3000), Value::Null, json!(50000));
        assert_eq!(merged(had, brings), report(json!(3000), json!(20000), json!(50000)));
    }

    #[test]
    fn leaves_are_merged_one_by_one_and_null_counts_as_absent() {
        let rows = [
            (json!({"a": 1}), json!({}), json!({"a": 1})),
            (json!({"a": 1}), json!({"a": null}), json!({"a": 1})),
            (json!({}), json!({"a": 1}), json!({"a": 1})),
            (json!({"a": null}), json!({"a": 1}), json!({"a": 1})),
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
            (json!({"a": null}), json!({"a": null}), json!({"a": null})),
            (json!({}), json!({"a": null}), json!({})),
            (json!({"a": {"b": 1}}), json!({"a": null}), json!({"a": {"b": 1}})),
            (json!({"a": null}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
            (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": null, "c": 3}}), {
                json!({"a": {"b": 1, "c": 3}})
            }),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
        ];
        for (had, brings, want) in rows {
            assert_eq!(merged(had.clone(), brings.clone()), want, "{had} {brings}");
        }
    }

    #[test]
    fn numbers_and_texts_stay_exactly_as_they_were_written() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let had = raw(r#"{"n":12345678901234567890123,"customData":"\u0041\n"}"#);
        let want = r#"{"a":1.50,"customData":"\u0041\n","n":12345678901234567890123}"#;
        assert_eq!(merge(&had, &raw(r#"{"a":1.50}"#)).get(), want);
        assert_eq!(with(&had, "a", &raw("1.50")).get(), want);
    }

    #[test]
    fn deeply_nested_payloads_are_merged_without_exhausting_the_stack() {
        let nested = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        let raw = |text: String| RawValue::from_string(text).unwrap();
        let merged = merge(&raw(nested(1000)), &raw(nested(2000)));
        assert_eq!(merged.get(), nested(2000));
    }

    #[test]
    fn an_error_names_the_field_that_is_wrong() {
        let raw = to_raw(&json!({"a": 7, "b": -1, "c": null, "d": "x", "e": 2.5, "f": 1e300}));
        let fields = Fields::read("payload", &raw).unwrap();
        let told = |wrong: NotPlayback| wrong.to_string();
        assert_eq!(told(fields.text("a").unwrap_err()), "payload.a is no text");
        assert_eq!(told(fields.boolean("a").unwrap_err()), "payload.a is no boolean");
        assert_eq!(told(fields.millis("b").unwrap_err()), "payload.b is no number of milliseconds");
        assert_eq!(told(fields.needed_text("c").unwrap_err()), "payload.c is missing");
        assert_eq!(told(fields.needed_raw("z").unwrap_err()), "payload.z is missing");
        assert_eq!(fields.millis("e").unwrap(), Some(Duration::from_millis(2)));
        assert_eq!(fields.millis("f").unwrap(), Some(LONGEST));
        let text = to_raw(&"text");
        assert_eq!(told(Fields::read("audioItem", &text).unwrap_err()), "audioItem is no object");
    }
}
