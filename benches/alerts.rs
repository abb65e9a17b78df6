//! `cargo bench --bench alerts`: 100,000 pending alerts in one gateway, 1,000 of them due at the
//! same instant. Prints how late they ring, as a subscriber of the broker sees it, and what they
//! cost in memory. Needs Mosquitto (`apt-get install mosquitto`) on Linux; CIC is nowhere.
//!
//! Latency is measured from the scheduled time, so a stalled gateway cannot hide its stall.

use std::{
    collections::HashMap,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cic_gateway::{
    app::{self, Gateway},
    appliance::{
        alerts::{self, Alert},
        ledger::{Save, Step},
    },
    config::{self, Config},
    ids::ApplianceId,
    store::{Appliance, Tokens, doings::ApplianceSave},
    telemetry::metrics::Metrics,
};
use jiff::{Timestamp, ToSpan};
use rumqttc::v5::{
    AsyncClient, Event, EventLoop, MqttOptions, mqttbytes::QoS, mqttbytes::v5::Packet,
};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const APPLIANCES: usize = 1_000;
const ALERTS_EACH: usize = 100;
/// From the beginning to the moment when a thousand alerts are due: filling the store takes most
/// of it.
const LEAD: i64 = 30;

fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    actix_rt::System::new().block_on(run())
}

async fn run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let _broker = Mosquitto::start(dir.path(), port)?;
    let config = configuration(dir.path(), port)?;
    let ids: Vec<ApplianceId> = (0..APPLIANCES)
        .map(|n| ApplianceId::parse(&format!("a{n}")))
        .collect::<std::result::Result<_, _>>()?;
    let due = Timestamp::now().checked_add(LEAD.seconds())?.round(jiff::Unit::Second)?;
    fill(&config, &ids, due).await?;
    let (client, events) = subscriber(port).await?;
    let before = resident_kib()?;
    let gateway = Gateway::start(&config).await?;
    let loaded = resident_kib()?;
    for id in &ids {
        client.publish(format!("cic/v1/{id}/up/status"), QoS::AtLeastOnce, true, "online").await?;
    }
    let mut late = listen(events, due).await?;
    late.sort();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("pending alerts: {}, due at one instant: {}", APPLIANCES * ALERTS_EACH, late.len());
    println!("late, ms: p50 {:.1}, p99 {:.1}, max {:.1}", at(0.5), at(0.99), at(1.0));
    let each = (loaded - before) * 1024.0 / (APPLIANCES * ALERTS_EACH) as f64;
    println!(
        "resident: {before:.0} KiB before, {loaded:.0} KiB with all, {each:.0} bytes an alert, appliances included"
    );
    gateway.stop().await;
    Ok(())
}

fn configuration(dir: &std::path::Path, port: u16) -> Result<Config> {
    let text = format!(
        "[cic]\nbase_uri = \"http://127.0.0.1:9/\"\n[auth]\nbase_uri = \"http://127.0.0.1:9/\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n[store]\nurl = \"sqlite://{}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n",
        dir.join("store.db").display()
    );
    Ok(config::read(Some(("bench", &text)), [])?)
}

/// Every appliance has one alert that is due, and the others a week later.
async fn fill(config: &Config, ids: &[ApplianceId], due: Timestamp) -> Result<()> {
    let store = app::open_store(config, &Metrics::new()).await?;
    let later = due.checked_add((7 * 24).hours())?;
    let tokens = Tokens {
        access_token: "access".into(),
        refresh_token: "refresh".into(),
        issued_at: Timestamp::now(),
        expires_at: later,
    };
    let mut saves = Vec::new();
    for id in ids {
        store
            .add(&Appliance {
                id: id.clone(),
                model_id: "m".into(),
                lang: "ko".into(),
                device_id: "d".into(),
                password_hash: String::new(),
                tokens: None,
                pairing: 0,
                created_at: due,
            })
            .await?;
        // Only a paired appliance has alerts.
        store.set_tokens(id, &tokens).await?;
        let steps = (0..ALERTS_EACH).map(|n| step(id, n, if n == 0 { due } else { later }));
        let save = Save { whole: false, steps: steps.collect::<Result<_>>()? };
        saves.push(ApplianceSave { appliance: id.clone(), pairing: 1, save });
    }
    store.save(&saves).await?;
    store.close().await;
    Ok(())
}

fn step(id: &ApplianceId, number: usize, due: Timestamp) -> Result<Step> {
    let token = format!("{id}-5d76a5dc-223e-4352-a0f6-bf2dec1b{number:04}");
    let payload = json!({"token": token, "type": "ALARM", "scheduledTime": due.to_string()});
    let alert = Alert::parse(&payload.to_string(), due)?;
    Ok(Step::Alert(alerts::Step::Put(Arc::new(alert))))
}

async fn subscriber(port: u16) -> Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new("bench", "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(100);
    let (client, mut events) = AsyncClient::new(options, 2 * APPLIANCES);
    client.subscribe("cic/v1/+/down/alert", QoS::AtMostOnce).await?;
    while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
    Ok((client, events))
}

/// How late each ring arrives.
async fn listen(mut events: EventLoop, due: Timestamp) -> Result<Vec<Duration>> {
    let mut late = HashMap::new();
    while late.len() < APPLIANCES {
        let Event::Incoming(Packet::Publish(publish)) = events.poll().await? else { continue };
        let value: serde_json::Value = serde_json::from_slice(&publish.payload)?;
        if value["action"] == "ring" {
            let by = Duration::try_from(Timestamp::now().duration_since(due))?;
            late.entry(publish.topic).or_insert(by);
        }
    }
    Ok(late.into_values().collect())
}

fn resident_kib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(number.parse()?)
}

/// A broker for everybody, without persistence.
struct Mosquitto(Child);

impl Mosquitto {
    fn start(dir: &std::path::Path, port: u16) -> Result<Self> {
        let file = dir.join("mosquitto.conf");
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
             max_inflight_messages 0\n"
        );
        std::fs::write(&file, config)?;
        let program = ["/usr/sbin/mosquitto", "mosquitto"]
            .into_iter()
            .find(|program| Command::new(program).arg("-h").stdout(Stdio::null()).status().is_ok())
            .ok_or("install it: apt-get install mosquitto")?;
        let child = Command::new(program).arg("-c").arg(&file).stderr(Stdio::null()).spawn()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self(child))
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
