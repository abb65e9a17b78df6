//! A small language for what a JSON object must look like, and its check, which leaves out what is
//! wrong. Pure; called by [`super`] and, for what a profile says, by [`crate::profile`].
//!
//! The tables written in it are in [`super::tables`]. What is wrong is left out as narrowly as CIC
//! allows: a field or an item of a list by itself, and the object around it only if it must have
//! it. So one wrong field costs an appliance that field, not every one of its events.

use jiff::{Timestamp, fmt::temporal::Pieces};
use serde_json::{Map, Value};

/// One field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub needed: Needed,
    /// What it must be.
    pub kind: Kind,
}

/// Whether a field must be there.
#[derive(Debug)]
pub enum Needed {
    /// Yes.
    Always,
    /// No. `null` counts as left out, and is left out.
    Optional,
    /// Yes, but CIC's own samples leave it out: an empty array is put there.
    OrEmpty,
    /// May be left out or `null`: a value that is returned as CIC sent it.
    AsReceived,
    /// Unless the field beside it has this value.
    Unless(&'static str, &'static str),
    /// If the field beside it has this value, and optional otherwise.
    If(&'static str, &'static str),
}

/// What a value must be.
#[derive(Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text of at most 2048 bytes.
    ShortText,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Some of these texts in one, with commas and without spaces.
    CommaList(&'static [&'static str]),
    /// Decimal degrees as text, between -n and n.
    Degrees(i32),
    /// ISO 8601 with offset.
    Time,
    /// ISO 8601 with an offset in numbers, not `Z`.
    LocalTime,
    /// `true` or `false`.
    Bool,
    /// A JSON integer.
    Integer,
    /// A JSON integer of at least 0.
    Whole,
    /// A JSON integer of 0 to n.
    UpTo(i64),
    /// Any texts.
    Texts,
    /// Any of these texts.
    Choices(&'static [&'static str]),
    /// An object with these fields, and any others.
    Object(&'static [Field]),
    /// An object whose `min` < `max` and whose `value` is between them.
    Range(&'static [Field]),
    /// An array of such objects.
    Objects(&'static [Field]),
    /// An array of such objects, at least one.
    SomeObjects(&'static [Field]),
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is not what it must be.
    Wrong,
    /// No table has it; it is passed on.
    Unknown,
}

/// One mistake in a payload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Of which kind.
    pub fault: Fault,
    /// Path and problem, for a person. Paths have no indices, so there are only as many texts as
    /// the tables have fields (and unknown ones).
    pub text: String,
}

/// Checks a value and returns what is left of it, or `None` if nothing is that could be sent.
pub fn check(kind: &Kind, path: &str, value: Value, problems: &mut Vec<Problem>) -> Option<Value> {
    match (kind, value) {
        (Kind::Object(fields), Value::Object(object)) => {
            check_fields(fields, path, object, problems).map(Value::Object)
        }
        (Kind::Range(fields), Value::Object(object)) => {
            let object = check_fields(fields, path, object, problems)?;
            check_range(path, &object, problems).then_some(Value::Object(object))
        }
        (Kind::Objects(fields) | Kind::SomeObjects(fields), Value::Array(items)) => {
            let was_empty = items.is_empty();
            let item_path = format!("{path}[]");
            let item = |item| check(&Kind::Object(fields), &item_path, item, problems);
            let left: Vec<_> = items.into_iter().filter_map(item).collect();
            if left.is_empty() && matches!(kind, Kind::SomeObjects(_)) {
                // Whatever emptied it has been told.
                return if was_empty { fault(problems, path, "must not be empty") } else { None };
            }
            Some(Value::Array(left))
        }
        (Kind::Choices(known), Value::Array(items)) => {
            let (left, others): (Vec<_>, Vec<_>) =
                items.into_iter().partition(|item| is_one_of(known, item));
            if !others.is_empty() {
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                fault(problems, path, &format!("can only have {known}"));
            }
            Some(Value::Array(left))
        }
        (kind, value) if kind.fits(&value) => Some(value),
        (kind, _) => fault(problems, path, &format!("must be {}", kind.describe())),
    }
}

fn fault(problems: &mut Vec<Problem>, path: &str, what: &str) -> Option<Value> {
    problems.push(Problem { fault: Fault::Wrong, text: format!("{path} {what}") });
    None
}

fn is_one_of(known: &[&str], value: &Value) -> bool {
    value.as_str().is_some_and(|text| known.contains(&text))
}

/// What is left of an object, or `None` if it lacks a field that it must have.
fn check_fields(
    fields: &[Field],
    path: &str,
    mut object: Map<String, Value>,
    problems: &mut Vec<Problem>,
) -> Option<Map<String, Value>> {
    for name in object.keys().filter(|name| !fields.iter().any(|field| field.name == *name)) {
        let name: String = name.chars().take(80).collect();
        problems.push(Problem { fault: Fault::Unknown, text: format!("{path} has no {name:?}") });
    }
    let mut is_usable = true;
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let must_be_there = field.is_needed(&object);
        let given = object.remove(field.name);
        let left = match (given, &field.needed) {
            (Some(Value::Null), Needed::AsReceived) => Some(Value::Null),
            (None | Some(Value::Null), Needed::OrEmpty) => Some(Value::Array(Vec::new())),
            (Some(Value::Null), _) if !must_be_there => None,
            (Some(value), _) => check(&field.kind, &path, value, problems),
            (None, _) => {
                if must_be_there {
                    let text = format!("{path} is missing");
                    problems.push(Problem { fault: Fault::Missing, text });
                }
                None
            }
        };
        is_usable &= left.is_some() || !must_be_there;
        object.extend(left.map(|value| (field.name.to_owned(), value)));
    }
    is_usable.then_some(object)
}

fn check_range(path: &str, object: &Map<String, Value>, problems: &mut Vec<Problem>) -> bool {
    let number = |name: &str| object.get(name).and_then(Value::as_i64);
    let (Some(min), Some(max), Some(value)) = (number("min"), number("max"), number("value"))
    else {
        return true;
    };
    let text = if min >= max {
        format!("{path}.min must be less than {path}.max")
    } else if !(min..=max).contains(&value) {
        format!("{path}.value must be between min {min} and max {max}")
    } else {
        return true;
    };
    problems.push(Problem { fault: Fault::Wrong, text });
    false
}

impl Field {
    fn is_needed(&self, beside: &Map<String, Value>) -> bool {
        let is = |name: &str, value: &str| beside.get(name).and_then(Value::as_str) == Some(value);
        match self.needed {
            Needed::Always | Needed::OrEmpty => true,
            Needed::Optional | Needed::AsReceived => false,
            Needed::Unless(name, value) => !is(name, value),
            Needed::If(name, value) => is(name, value),
        }
    }
}

impl Kind {
    /// The fields of the objects that it allows.
    pub fn fields(&self) -> Option<&'static [Field]> {
        match self {
            Self::Object(fields) | Self::Range(fields) => Some(fields),
            _ => None,
        }
    }

    /// Whether it allows JSON integers.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Whole | Self::UpTo(_))
    }

    fn fits(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Text => text.is_some(),
            Self::ShortText => text.is_some_and(|text| text.len() <= 2048),
            Self::OneOf(known) => is_one_of(known, value),
            Self::CommaList(known) => {
                text.is_some_and(|text| text.split(',').all(|part| known.contains(&part)))
            }
            Self::Degrees(most) => text
                .and_then(|text| text.parse::<f64>().ok())
                .is_some_and(|degrees| degrees.abs() <= f64::from(*most)),
            Self::Time => text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            Self::LocalTime => text.is_some_and(|text| offset_of(text).is_some()),
            Self::Bool => value.is_boolean(),
            Self::Integer => value.is_i64(),
            Self::Whole => value.as_i64().is_some_and(|number| number >= 0),
            Self::UpTo(most) => value.as_i64().is_some_and(|number| (0..=*most).contains(&number)),
            Self::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            // Handled by their own arms.
            Self::Choices(_) | Self::Object(_) | Self::Range(_) => false,
            Self::Objects(_) | Self::SomeObjects(_) => false,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::ShortText => "a text of at most 2048 bytes".into(),
            Self::OneOf(known) => format!("one of {}", known.join(", ")),
            Self::CommaList(known) => {
                format!("some of {} with commas and without spaces", known.join(", "))
            }
            Self::Degrees(most) => format!("a text with decimal degrees from -{most} to {most}"),
            Self::Time => "a time as 2026-01-31T09:00:00+09:00".into(),
            Self::LocalTime => "a time with its offset, as 2026-01-31T09:00:00+09:00".into(),
            Self::Bool => "true or false".into(),
            Self::Integer => "an integer".into(),
            Self::Whole => "an integer of at least 0".into(),
            Self::UpTo(most) => format!("an integer from 0 to {most}"),
            Self::Texts | Self::Choices(_) => "an array of texts".into(),
            Self::Object(_) | Self::Range(_) => "an object".into(),
            Self::Objects(_) | Self::SomeObjects(_) => "an array of objects".into(),
        }
    }
}

/// The offset from UTC that a local time names in numbers.
pub fn offset_of(local_time: &str) -> Option<jiff::tz::Offset> {
    let pieces = Pieces::parse(local_time).ok()?;
    pieces.time()?;
    match pieces.offset()? {
        jiff::fmt::temporal::PiecesOffset::Numeric(offset) => Some(offset.offset()),
        _ => None,
    }
}
