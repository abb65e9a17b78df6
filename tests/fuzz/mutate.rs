//! Mutations: of bytes, and of JSON by its structure.

use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

/// Texts that tend to break readers.
const WORDS: [&[u8]; 28] = [
    b"",
    b"\0",
    b"\r\n",
    b"--",
    b"\r\n--b",
    b"--b--",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{}",
    b"[",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"0.1",
    b"true",
    b"\xff\xfe",
    b"\xf0\x9f\x98\x80",
    b"/",
    b"#",
    b"+",
    b"cid:",
    b";",
    b"=",
    b"9999-12-31T23:59:59.999999999Z",
    b"\xef\xbf\xbf",
    b"-9999-01-01T00:00:00+25:00",
];

/// One of the corpus, changed a few times.
pub fn one(corpus: &[Vec<u8>], rng: &mut SmallRng) -> Vec<u8> {
    let mut input = corpus.choose(rng).unwrap().clone();
    if rng.random_ratio(1, 2)
        && let Some(changed) = json_changed(&input, rng)
    {
        return changed;
    }
    for _ in 0..rng.random_range(1..5) {
        change(&mut input, corpus, rng);
    }
    input.truncate(256 * 1024);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut SmallRng) {
    let at = rng.random_range(0..=input.len());
    let end = (at + rng.random_range(0..64)).min(input.len());
    match rng.random_range(0..7) {
        0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        1 if at < input.len() => input[at] = rng.random(),
        2 => drop(input.drain(at..end)),
        3 => {
            let again = input[at..end].repeat(rng.random_range(1..40));
            input.splice(at..at, again);
        }
        4 => drop(input.splice(at..end, WORDS.choose(rng).unwrap().iter().copied())),
        5 => {
            let other = corpus.choose(rng).unwrap();
            let from = rng.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => drop(input.splice(at..at, WORDS.choose(rng).unwrap().iter().copied())),
    }
}

/// With a value of the JSON behind its last NUL, if there is one, changed.
fn json_changed(input: &[u8], rng: &mut SmallRng) -> Option<Vec<u8>> {
    let start = input.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
    let mut value: Value = serde_json::from_slice(&input[start..]).ok()?;
    for _ in 0..rng.random_range(1..4) {
        change_somewhere(&mut value, rng);
    }
    Some([&input[..start], value.to_string().as_bytes()].concat())
}

fn change_somewhere(value: &mut Value, rng: &mut SmallRng) {
    let is_deep = !rng.random_ratio(1, 4);
    match value {
        Value::Object(fields) if is_deep && !fields.is_empty() => change_field(fields, rng),
        Value::Array(items) if is_deep && !items.is_empty() => {
            let at = rng.random_range(0..items.len());
            match rng.random_range(0..5) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => change_somewhere(&mut items[at], rng),
            }
        }
        other => *other = strange(rng),
    }
}

fn change_field(fields: &mut Map<String, Value>, rng: &mut SmallRng) {
    let names: Vec<_> = fields.keys().cloned().collect();
    let name = names.choose(rng).unwrap();
    match rng.random_range(0..8) {
        0 => drop(fields.remove(name)),
        1 => {
            let value = fields[name].clone();
            fields.insert(names.choose(rng).unwrap().clone(), value);
        }
        2 => {
            let value = fields.remove(name).unwrap();
            fields.insert(String::from_utf8_lossy(WORDS.choose(rng).unwrap()).into(), value);
        }
        _ => change_somewhere(fields.get_mut(name).unwrap(), rng),
    }
}

fn strange(rng: &mut SmallRng) -> Value {
    let word = String::from_utf8_lossy(WORDS.choose(rng).unwrap()).into_owned();
    let values = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(0.5),
        json!({}),
        json!([]),
        json!([{}, null, 1]),
        json!(word),
        json!(word.repeat(500)),
        json!("2026-03-02T09:00:01Z"),
        json!("cid:x"),
    ];
    values.choose(rng).unwrap().clone()
}
