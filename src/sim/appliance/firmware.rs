//! Firmware that knows nothing of CLOVA: the topics below `up/x/` and `down/x/` of the shipped
//! profiles air-conditioner and refrigerator. Pure; called by `body.rs`.

use serde_json::{Map, Value, json};

use super::{
    controls::Controls,
    kind::{Dialect, Field, Form},
};

/// A publication below `up/`, and its payload.
pub(super) type Said = (String, String);

/// What came of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Obeyed {
    /// For people: what was done, or why nothing.
    pub(super) outcome: Result<String, String>,
    /// How it is now; retained.
    pub(super) status: Vec<Said>,
    /// The answer to a command that has an id.
    pub(super) answer: Option<Said>,
}

/// How it is now; to be retained by the broker.
pub(super) fn status(controls: &Controls) -> Vec<Said> {
    match controls.make.dialect {
        Dialect::Gateway => Vec::new(),
        Dialect::Object(fields) => {
            let all = fields.iter().map(|field| (field.name.to_owned(), shown(field, controls)));
            vec![("x/status".to_owned(), Value::Object(all.collect::<Map<_, _>>()).to_string())]
        }
        Dialect::Words(fields) => {
            let word = |field: &Field| match shown(field, controls) {
                Value::String(word) => word,
                value => value.to_string(),
            };
            fields.iter().map(|field| (format!("x/{}", field.name), word(field))).collect()
        }
    }
}

/// Does what a message below `down/x/` says: all of it, or nothing. `None` when it has no such
/// topic.
pub(super) fn obey(topic: &str, payload: &[u8], controls: &mut Controls) -> Option<Obeyed> {
    let (fields, is_answered) = match (controls.make.dialect, topic) {
        (Dialect::Object(fields), "x/set") => (fields, false),
        (Dialect::Words(fields), "x/command") => (fields, true),
        _ => return None,
    };
    let mut message: Map<String, Value> = match serde_json::from_slice(payload) {
        Ok(message) => message,
        Err(error) => return Some(refused(error.to_string())),
    };
    let id = if is_answered { message.remove("id") } else { None };
    let wanted: Result<Vec<_>, String> =
        message.iter().map(|(name, value)| read(fields, name, value)).collect();
    let wanted = match wanted {
        Ok(wanted) if !wanted.is_empty() => wanted,
        Ok(_) => return Some(refused("there is nothing in it".into())),
        Err(why) => return Some(refused(why)),
    };
    let before: Vec<_> = wanted.iter().map(|(item, _)| controls.get(item)).collect();
    let impossible = wanted.iter().find(|(item, value)| !controls.set(item, *value));
    if let Some((item, value)) = impossible {
        let why = format!("{value} is no value of its {item}");
        for ((item, _), value) in wanted.iter().zip(before) {
            value.map(|value| controls.set(item, value));
        }
        return Some(refused(why));
    }
    let told = message.iter().map(|(name, value)| format!("{name} {value}"));
    let answer = id.map(|id| ("x/done".to_owned(), json!({"id": id, "done": true}).to_string()));
    let outcome = Ok(told.collect::<Vec<_>>().join(", "));
    Some(Obeyed { outcome, status: status(controls), answer })
}

/// Firmware of this kind says nothing when it does nothing.
fn refused(why: String) -> Obeyed {
    Obeyed { outcome: Err(why), status: Vec::new(), answer: None }
}

fn shown(field: &Field, controls: &Controls) -> Value {
    let value = controls.get(field.item).unwrap_or_default();
    match field.form {
        Form::OnOff => json!(if value == 1 { "on" } else { "off" }),
        Form::Boolean => json!(value == 1),
        Form::Number => json!(value),
    }
}

fn read(fields: &[Field], name: &str, value: &Value) -> Result<(&'static str, i64), String> {
    let field = fields.iter().find(|field| field.name == name);
    let field = field.ok_or_else(|| format!("it has no {name}"))?;
    let read = match (field.form, value) {
        (Form::OnOff, Value::String(word)) if word == "on" => Some(1),
        (Form::OnOff, Value::String(word)) if word == "off" => Some(0),
        (Form::Boolean, Value::Bool(value)) => Some(i64::from(*value)),
        (Form::Number, Value::Number(value)) => value.as_i64(),
        _ => None,
    };
    read.map(|value| (field.item, value))
        .ok_or_else(|| format!("{value} is no value of its {name}"))
}

#[cfg(test)]
mod tests {
    use super::{super::kind::Kind, *};

    fn said(topic: &str, payload: Value) -> Said {
        (topic.to_owned(), payload.to_string())
    }

    #[test]
    fn an_air_conditioner_takes_an_object_whole_or_not_at_all() {
        let mut controls = Controls::new(Kind::AirConditioner.make());
        let first = json!({"power": "off", "temp": 23, "eco": false, "beep": 2});
        assert_eq!(status(&controls), [said("x/status", first.clone())]);
        let wrong = [
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{}", "there is nothing in it"),
            (r#"{"fan": 1}"#, "it has no fan"),
            (r#"{"power": 1}"#, "1 is no value of its power"),
            (r#"{"power": "on", "temp": 99}"#, "99 is no value of its temperature"),
            (r#"{"eco": "on"}"#, "\"on\" is no value of its eco"),
        ];
        for (payload, want) in wrong {
            let obeyed = obey("x/set", payload.as_bytes(), &mut controls).unwrap();
            assert_eq!(obeyed, refused(want.to_owned()), "{payload}");
            assert_eq!(status(&controls), [said("x/status", first.clone())], "{payload}");
        }
        let obeyed = obey("x/set", br#"{"power": "on", "beep": 3}"#, &mut controls).unwrap();
        let now = json!({"power": "on", "temp": 23, "eco": false, "beep": 3});
        assert_eq!(obeyed.outcome.unwrap(), "beep 3, power \"on\"");
        assert_eq!((obeyed.status, obeyed.answer), (vec![said("x/status", now)], None));
        assert_eq!(obey("x/command", b"{}", &mut controls), None);
    }

    #[test]
    fn a_fridge_answers_a_command_by_its_id() {
        let mut controls = Controls::new(Kind::Fridge.make());
        let plain = |topic: &str, text: &str| (topic.to_owned(), text.to_owned());
        assert_eq!(status(&controls), [plain("x/eco", "off"), plain("x/volume", "3")]);
        let command = br#"{"id": "m1", "eco": "on"}"#;
        let obeyed = obey("x/command", command, &mut controls).unwrap();
        assert_eq!(obeyed.status, [plain("x/eco", "on"), plain("x/volume", "3")]);
        assert_eq!(obeyed.answer, Some(said("x/done", json!({"id": "m1", "done": true}))));
        let command = br#"{"id": "m2", "volume": 11}"#;
        assert_eq!(obey("x/command", command, &mut controls).unwrap().answer, None);
    }

    #[test]
    fn firmware_that_obeys_directives_has_no_topics_of_its_own() {
        let mut controls = Controls::new(Kind::Television.make());
        assert!(status(&controls).is_empty());
        assert_eq!(obey("x/set", b"{}", &mut controls), None);
    }
}
