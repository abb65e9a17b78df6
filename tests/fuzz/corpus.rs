//! Where mutation begins: the guide's examples, and the project's own files.

use std::{fs, path::Path};

use serde_json::{Value, json};

fn files(folder: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn directives() -> Vec<Vec<u8>> {
    let mut all = files("tests/cic-examples/directives");
    all.extend(texts(&[
        r#"{"directive": {"header": {"namespace": "N", "name": "X"}, "payload": {"x": "\ud800"}}}"#,
        r#"{"directive": {"header": {"namespace": "N", "name": "X"}, "payload": {"x": 61e9990}}}"#,
    ]));
    all
}

/// Each example as a part, some with an attachment, a preamble or a cut.
pub fn multipart() -> Vec<Vec<u8>> {
    let part = |json: &[u8]| {
        let head = b"--b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".as_slice();
        [head, json, b"\r\n"].concat()
    };
    let attachment = b"--b\r\nContent-Type: application/octet-stream\r\nContent-ID: <1>\r\n\
        Content-Disposition: form-data; name=\"attachment\"\r\n\r\n\xff\xfb\x90d\r\n-\r\n--\r\n";
    let mut all: Vec<_> =
        directives().iter().map(|json| [b"\x40", &*part(json), b"--b--\r\n"].concat()).collect();
    let one = part(b"{}");
    all.push([b"\x01", &*one, attachment, b"--b--"].concat());
    all.push([b"\x03preamble\r\n", &*one, &*one, attachment].concat());
    all.push([b"\x07", &*one, b"--b", &*b"x".repeat(20_000)].concat());
    all.push(b"\x02--b\n\n{}\n--b--epilogue".to_vec());
    all
}

pub fn content_types() -> Vec<Vec<u8>> {
    texts(&[
        "multipart/related; boundary=dc-71f0;",
        "multipart/form-data;boundary=\"a b;c\"; x=y",
        "Multipart/Mixed; charset=utf-8; Boundary=--abc",
        "multipart/related; type=\"application/json\"; boundary=x",
        "application/json; boundary=x",
    ])
}

/// Topic, NUL, payload.
pub fn mqtt() -> Vec<Vec<u8>> {
    let rows = [
        ("status", json!("online")),
        (
            "recognize",
            json!({"utterance": "u1", "lang": "ko", "initiator": {"type": "WAKEWORD",
            "inputSource": "SELF", "payload": {"wakeWord": {"indices":
            {"startIndexInSamples": 0, "endIndexInSamples": 9}}}}, "expectSpeechId": "e"}),
        ),
        ("recognize", json!({"utterance": "u1", "cancel": true})),
        ("audio/u1", json!(1234)),
        ("text", json!({"text": "what time is it", "expectSpeechId": "e"})),
        ("speech", json!({"token": "t", "state": "started"})),
        (
            "playback",
            json!({"token": "t", "state": "started", "offsetInMilliseconds": 0,
            "totalInMilliseconds": 300_000}),
        ),
        ("button", json!({"button": "stopAlert", "token": "t"})),
        ("button", json!({"button": "custom", "name": "x"})),
        ("button", json!({"button": "next"})),
        ("alert", json!({"token": "t", "state": "failed"})),
        (
            "result",
            json!({"messageId": "m", "ok": true, "state":
            {"Speaker.VolumeState": {"volume": 1, "muted": false}}}),
        ),
        ("result", json!({"messageId": "m", "ok": false, "reason": "broken"})),
        ("settings", json!({"configuration": {"key": "value"}})),
        (
            "event",
            json!({"namespace": "Clova", "name": "ProcessDelegatedEvent",
            "payload": {"delegationId": "d"}}),
        ),
        ("x/SENSOR", json!({"Power": "ON"})),
    ];
    let line = |topic: &str, payload: &Value| format!("cic/v1/kitchen/up/{topic}\0{payload}");
    let rows = rows.iter().map(|(topic, payload)| line(topic, payload).into_bytes());
    let state = states().into_iter().map(|json| [b"cic/v1/kitchen/up/state\0", &*json].concat());
    rows.chain(state).collect()
}

/// Every context of the guide, as one appliance reports it.
pub fn states() -> Vec<Vec<u8>> {
    let contexts = files("tests/cic-examples/context");
    let named = contexts.iter().map(|json| {
        let value: Value = serde_json::from_slice(json).unwrap();
        let name =
            ["namespace", "name"].map(|key| value["header"][key].as_str().unwrap().to_owned());
        (name.join("."), value["payload"].clone())
    });
    let named: Vec<_> = named.collect();
    let all: Value = named.iter().cloned().collect::<serde_json::Map<_, _>>().into();
    let alone = named.into_iter().map(|(name, payload)| json!({name: payload}));
    alone.chain([all]).map(|value| value.to_string().into_bytes()).collect()
}

/// The recordings' first tenth of a second: the rest is more of the same.
pub fn recordings() -> Vec<Vec<u8>> {
    let mut all = files("assets/speech");
    all.iter_mut().for_each(|wav| wav.truncate(3244));
    all.push(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0".to_vec());
    all
}

pub fn answers() -> Vec<Vec<u8>> {
    let mut all = files("assets/answers");
    all.iter_mut().for_each(|mp3| mp3.truncate(2000));
    all
}

pub fn configurations() -> Vec<Vec<u8>> {
    let mut all = files("deploy");
    all.retain(|file| file.starts_with(b"#") && file.windows(5).any(|text| text == b"[cic]"));
    all.push(defaults().into_bytes());
    all.extend(texts(&["[cic]\nping_interval = \"60s\"\n[limits]\nmax_directive = \"256KiB\"\n"]));
    all
}

/// Every key with its default, from the table of the reference.
fn defaults() -> String {
    let reference = cic_gateway::config::reference();
    let rows = reference.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let keys = rows.filter(|row| row[1].starts_with('`'));
    let line =
        |row: Vec<&str>| format!("{} = {}\n", row[1].trim_matches('`'), row[2].trim_matches('`'));
    keys.map(line).collect()
}

pub fn environments() -> Vec<Vec<u8>> {
    texts(&[
        "CIC_GATEWAY__CIC__LINGER=60s\nCIC_GATEWAY__MQTT__URL=mqtts://broker:8883",
        "CIC_GATEWAY__STORE__URL=postgres://user:pass@host/db\nCIC_GATEWAY__STORE__MIGRATE=false",
        "CIC_GATEWAY__MQTT__ADAPTERS=native,hermes\nCIC_GATEWAY__LIMITS__MAX_APPLIANCES=1",
        "CIC_GATEWAY__HTTP__LISTEN=[::1]:0\nCIC_GATEWAY__LIMITS__MAX_ATTACHMENT=8MiB",
    ])
}

pub fn profiles() -> Vec<Vec<u8>> {
    files("profiles")
}

pub fn user_agents() -> Vec<Vec<u8>> {
    texts(&[
        "MyCompany/MyHub/1.0.0 (Linux 6;HomeHub)",
        "A/B/1.2.3 (OS;HW;key=value;other=a b)",
        "cic-gateway/cic-gateway/0.1.0 (Linux;Hub)",
    ])
}
