//! Where a value stands: in an appliance's own message, and in a context object. Pure.

use serde_json::{Map, Value};

use crate::appliance::context::{
    DEVICE_STATE, OWN,
    schema::{self, Kind},
    tables,
};

/// Where a value stands in an appliance's own message: RFC 6901, or empty for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer(String);

impl Pointer {
    /// Reads `/a/b`, or `a` for `/a`, or nothing for the whole message.
    pub(super) fn parse(text: &str) -> Self {
        if text.is_empty() || text.starts_with('/') {
            return Self(text.to_owned());
        }
        Self(format!("/{}", text.replace('~', "~0").replace('/', "~1")))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The value there; `null` counts as none.
    pub(super) fn find<'a>(&self, message: &'a Value) -> Option<&'a Value> {
        message.pointer(&self.0).filter(|value| !value.is_null())
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_whole() { "the message" } else { &self.0 })
    }
}

/// A field of a context object, for example `power.state` (of `Device.DeviceState`) or
/// `Speaker.VolumeState.muted`.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// `Namespace.Name`.
    pub(super) context: String,
    /// The field and those around it, the outermost first.
    pub(super) fields: Vec<String>,
    pub(super) kind: &'static Kind,
}

impl Path {
    /// Reads a path; it must lead to a field that the guide knows, and not to an object.
    ///
    /// # Errors
    /// With a text for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split('.').collect();
        let context = match text.starts_with(|c: char| c.is_ascii_uppercase()) {
            true => words.drain(..words.len().min(2)).collect::<Vec<_>>().join("."),
            false => DEVICE_STATE.to_owned(),
        };
        if OWN.contains(&context.as_str()) {
            return Err(format!("{context} is kept by the gateway itself"));
        }
        let mut kind = tables::of(&context).ok_or(format!("there is no context {context}"))?;
        let mut path = context.clone();
        for word in &words {
            let fields = kind.fields().ok_or(format!("{path} has no fields to name"))?;
            let field = fields.iter().find(|field| field.name == *word).ok_or_else(|| {
                let known: Vec<_> = fields.iter().map(|field| field.name).collect();
                format!("{path} has no {word:?}; it has {}", known.join(", "))
            })?;
            kind = &field.kind;
            path = format!("{path}.{word}");
        }
        if let Some(fields) = kind.fields() {
            let known: Vec<_> = fields.iter().map(|field| field.name).collect();
            return Err(format!("{path} is an object; name one of {}", known.join(", ")));
        }
        let fields = words.into_iter().map(str::to_owned).collect();
        Ok(Self { context, fields, kind })
    }

    /// Brings a value of an appliance into the form that the field wants, where that is clear:
    /// `"23"`, `23.0` and `22.7` are the integer 23; `1` and `"true"` are true.
    pub(super) fn coerce(&self, value: Value) -> Value {
        let text = value.as_str();
        let coerced = if self.kind.is_number() {
            let number = value.as_f64().or_else(|| text?.trim().parse().ok());
            let number = number.filter(|number| number.abs() < 1e15);
            number.map(|number| Value::from(number.round() as i64))
        } else if matches!(self.kind, Kind::Bool) {
            match (text, value.as_i64()) {
                (Some("true"), _) | (_, Some(1)) => Some(true.into()),
                (Some("false"), _) | (_, Some(0)) => Some(false.into()),
                _ => None,
            }
        } else {
            value.as_number().map(|number| Value::from(number.to_string()))
        };
        coerced.unwrap_or(value)
    }

    /// What is wrong with a value for this field.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let mut problems = Vec::new();
        schema::check(self.kind, &self.to_string(), value.clone(), &mut problems);
        match problems.pop() {
            Some(problem) => Err(problem.text),
            None => Ok(()),
        }
    }

    /// The value there.
    pub(super) fn find<'a>(&self, context: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.fields.split_first()?;
        rest.iter().try_fold(context.get(first)?, |value, field| value.get(field))
    }

    /// Puts a value there, and the objects around it.
    pub(super) fn put(&self, context: &mut Map<String, Value>, value: Value) {
        let Some((last, around)) = self.fields.split_last() else { return };
        let mut object = context;
        for field in around {
            let inner = object.entry(field).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return };
            object = inner;
        }
        object.insert(last.clone(), value);
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.context, self.fields.join("."))
    }
}
