//! `demo`, as somebody sees it who tries the program for the first time.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// What must be told, in this order; what stands behind it in a line varies.
const TOLD: &[&str] = &[
    "console            http://127.0.0.1:",
    "metrics            http://127.0.0.1:",
    "files              /",
    "the speaker is connected to CLOVA",
    "1. A plain question",
    "clova      understands \"what time is it\"",
    "hands on Clova.RenderText \"It is half past nine.\"",
    "speaker    has played answer-01.mp3",
    "2. A story, interrupted by another question",
    "gateway    drops the rest of the old answer",
    "clova      is told that the story was interrupted",
    "3. A request that needs a second turn",
    "clova      asks back: the microphone opens",
    "4. A television that is turned up by voice",
    "television has done it: volume 25",
    "5. An alarm that interrupts music and gives it back",
    "speaker    plays \"Waves\"",
    "speaker    RINGS, with the music behind it",
    "clova      is told: AlertStopped, and deletes the alarm",
    "speaker    has paused the music",
    "6. A timer that outlives the gateway",
    "gateway    is started again with the same database",
    "speaker    RINGS",
    "all        agree",
    "Everything that was to happen has happened",
    "answers (MP3)      /",
    "the gateway's log  /",
    "console            http://127.0.0.1:",
    "metrics            http://127.0.0.1:",
];

struct Demo {
    child: Child,
    dir: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
            .args(["demo", "--keep-running", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn();
        Self { child: child.unwrap(), dir }
    }

    /// What it prints until it has printed this, or has ended.
    fn read_until(&mut self, wanted: &str) -> String {
        let mut text = String::new();
        for line in BufReader::new(self.child.stdout.as_mut().unwrap()).lines() {
            let line = line.unwrap();
            text += &format!("{line}\n");
            if line.contains(wanted) {
                break;
            }
        }
        text
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_tells_its_story_and_leaves_everything_up_to_be_tried() {
    let mut demo = Demo::start();
    let text = demo.read_until("password");
    let mut rest = text.as_str();
    for told in TOLD {
        let at = rest.find(told).unwrap_or_else(|| panic!("{told:?} is missing from\n{text}"));
        rest = &rest[at + told.len()..];
    }
    assert!(demo.dir.path().join("answers/answer-01.mp3").exists());
    assert!(fetch(&text, "/\n").contains("<html"), "the console");
    let metrics = fetch(&text, "/metrics");
    assert!(metrics.contains("cic_gateway_appliances{state=\"connected\"} 2"), "{metrics}");
    let id = demo.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(demo.child.wait().unwrap().success());
    let log = std::fs::read_to_string(demo.dir.path().join("gateway.log")).unwrap();
    assert!(!log.contains("ERROR") && log.contains("gateway started"), "{log}");
}

/// A page of the gateway at the address that the demo tells.
fn fetch(told: &str, path: &str) -> String {
    let (before, _) = told.split_once(path).unwrap();
    let (_, address) = before.rsplit_once("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let path = path.trim_end();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}
