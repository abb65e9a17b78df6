//! How often the gateway allocates for an audio message that it relays, from MQTT to HTTP/2 over
//! TLS. Everybody else is a process of its own, so that all allocations here are the gateway's.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    alloc::System,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cic_gateway::{app::Gateway, config};
use prometheus::IntCounter;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::{Mosquitto, cli::Cli};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a simulated appliance sends at a time: 100 ms.
const MESSAGE: u64 = 3200;
/// Audio that is relayed before counting, and by the end of it: buffers have grown by then.
const FROM: u64 = 20 * MESSAGE;
const TO: u64 = 100 * MESSAGE;
const MOST: f64 = 6.0;
/// How long the gateway is looked at while nobody speaks.
const IDLE: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(60);

/// How often this process has allocated, up to a moment.
struct Moment {
    at: Instant,
    allocations: f64,
}

impl Moment {
    fn now() -> Self {
        let stats = GLOBAL.stats();
        let allocations = (stats.allocations + stats.reallocations) as f64;
        Self { at: Instant::now(), allocations }
    }

    /// Seconds, and allocations.
    fn since(&self, before: &Self) -> (f64, f64) {
        ((self.at - before.at).as_secs_f64(), self.allocations - before.allocations)
    }
}

/// Ends when dropped.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// What it prints, up to a line that contains this.
    fn read_until(&mut self, what: &str) -> String {
        let lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.unwrap());
            text.push('\n');
            if text.contains(what) {
                return text;
            }
        }
        panic!("it ended after: {text}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[actix_web::test]
async fn a_relayed_audio_message_costs_at_most_six_allocations() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::with("");
    let (any, ca) = ("127.0.0.1:0", "ca.pem");
    let arguments = ["simulate", "cic", "--listen", any, "--auth-listen", any, "--ca-out", ca];
    let mut cic = Process::start(&mut cli.command(&arguments));
    let said = cic.read_until("--code ");
    let (clova, code) = said.split_once("\nPair an appliance").unwrap();
    let clova = clova.split_once("[cic]").unwrap().1;
    let clova = clova.replace(ca, &cli.path(ca).display().to_string());
    let code = code.rsplit(' ').next().unwrap().trim();
    let common = format!("[cic]{clova}\n[http]\nlisten = \"{any}\"\n");
    let mqtt = "[mqtt]\nusername = \"gw\"\npassword = \"gw-s3cret\"\n";
    cli.configure(&format!("{common}{mqtt}"));
    let run = |arguments: &[&str]| {
        let (code, text) = cli.run(arguments);
        assert_eq!(code, 0, "{text}");
        text
    };
    let added = run(&["--format", "json", "appliance", "add", "speaker", "--lang", "en"]);
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    run(&["appliance", "pair", "speaker", "--code", code]);
    run(&["broker", "export", "--mosquitto", "."]);
    let mosquitto = Mosquitto::start(cli.dir.path());
    let url = format!("mqtt://127.0.0.1:{}", mosquitto.port);
    cli.configure(&format!("{common}{mqtt}url = {url:?}\n"));
    let text = std::fs::read_to_string(cli.path("gateway.toml")).unwrap();
    let gateway = Gateway::start(&config::read(Some(("test", &text)), []).unwrap()).await.unwrap();

    write_wav(&cli.path("long.wav"), TO as usize + 20 * MESSAGE as usize);
    let speak = ["simulate", "appliance", "speaker", "--mqtt", &url, "--hold", "--wav", "long.wav"];
    let password = added["mqttPassword"].as_str().unwrap();
    let speaker = Process::start(cli.command(&speak).env("CIC_APPLIANCE_PASSWORD", password));

    let relayed = gateway.metrics().audio_bytes.with_label_values(&["up"]);
    let statuses = gateway.metrics().mqtt_messages.with_label_values(&["up", "status"]);
    let (first, before) = until(&relayed, FROM).await;
    let (last, after) = until(&relayed, TO).await;
    let (took, all) = after.since(&before);
    let said = statuses.get();
    drop(speaker);
    until(&statuses, said + 1).await;
    // What it does for itself, like looking into its store, is not the audio's.
    let before = Moment::now();
    tokio::time::sleep(IDLE).await;
    let (idle, own) = Moment::now().since(&before);
    let messages = (last - first) as f64 / MESSAGE as f64;
    let each = (all - own * took / idle) / messages;
    println!("{each:.2} allocations for each of {messages} audio messages of 100 ms");
    assert!(each <= MOST, "{each:.2} allocations for each audio message");
    gateway.stop().await;
}

/// Waits until a counter has come so far.
async fn until(counter: &IntCounter, count: u64) -> (u64, Moment) {
    let enough = async {
        while counter.get() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, enough).await.expect("the gateway gets so far");
    (counter.get(), Moment::now())
}

/// Silence; a button is held while it lasts.
fn write_wav(path: &std::path::Path, bytes: usize) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    (0..bytes / 2).for_each(|_| file.write_sample(0i16).unwrap());
    file.finalize().unwrap();
}
