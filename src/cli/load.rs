//! `load`: many simulated speakers speak at once through a gateway that is a process of its own.
//!
//! | file | what it holds |
//! |---|---|
//! | `gateway.rs` | the gateway's process, and the operating system's account of it |
//! | `tap.rs` | sees when each audio message arrives at the simulated CIC |
//! | `mosquitto.rs` | another broker than the gateway's own |
//! | `report.rs` | the figures |

mod gateway;
mod mosquitto;
mod report;
mod tap;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use self::{
    gateway::{Gateway, free_port, open_files_limit},
    mosquitto::Mosquitto,
    report::Report,
    tap::{Tap, marked},
};
use super::Format;
use crate::{
    app,
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::{self, Config},
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{
            ApplianceHost, ApplianceSettings, Heard, Initiator, SimulatedAppliance, Sound, Speech,
        },
        cic::{SimSettings, SimulatedCic},
    },
    store::provision::{self, NewAppliance},
    telemetry::metrics::Metrics,
};

/// Options of `load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Appliances that are connected
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    appliances: u32,
    /// How many of them speak, holding a button
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    speaking: u32,
    /// How long each speaks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=55))]
    seconds: u64,
    /// Spread their beginnings over so many seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    ramp: u64,
    /// Start Mosquitto and use it instead of the gateway's own broker, which is made for a home
    #[arg(long)]
    mosquitto: bool,
}

const PATIENCE: Duration = Duration::from_secs(60);
/// Appliances that share a thread.
const PER_THREAD: usize = 1000;
/// Appliances that connect at the same time.
const TOGETHER: usize = 100;
/// Between giving the orders and the first word.
const PREPARATION: Duration = Duration::from_secs(1);
/// Files that an appliance keeps open here: its MQTT, both sides of the tap, the simulated CIC.
const FILES_PER_APPLIANCE: u64 = 4;
const OTHER_FILES: u64 = 100;
const MESSAGES_A_SECOND: u32 = 10;
/// Bytes a second of audio.
const BYTES_A_SECOND: u64 = 32_000;
/// Bytes of an audio message.
const MESSAGE: u64 = BYTES_A_SECOND / MESSAGES_A_SECOND as u64;
/// Spreads numbers evenly over 0 to 1, in any count and without pattern.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

/// Carries out the command.
pub(super) async fn run(args: LoadArgs, format: Format) -> Result<()> {
    ensure!(args.speaking <= args.appliances, "--speaking exceeds --appliances");
    check_limits(args.appliances)?;
    let report = Stage::set(&args).await?.measure(&args).await?;
    match format {
        Format::Json => println!("{}", serde_json::to_string(&report)?),
        Format::Text => println!("{report}"),
    }
    Ok(())
}

fn check_limits(appliances: u32) -> Result<()> {
    let needed = u64::from(appliances) * FILES_PER_APPLIANCE + OTHER_FILES;
    match open_files_limit() {
        Some(limit) if limit < needed => bail!(
            "{appliances} appliances need {needed} open files, the limit is {limit}; raise it: ulimit -n {needed}"
        ),
        _ => Ok(()),
    }
}

/// Everything that takes part. Fields end in this order.
struct Stage {
    speakers: Vec<SimulatedAppliance>,
    _hosts: Vec<ApplianceHost>,
    gateway: Gateway,
    _mosquitto: Option<Mosquitto>,
    baseline_kib: f64,
    tap: Tap,
    cic: SimulatedCic,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn set(args: &LoadArgs) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let cic = SimulatedCic::start(SimSettings { tls: false, ..SimSettings::default() })?;
        let addr = cic.cic_uri();
        let addr = addr.trim_start_matches("http://").trim_end_matches('/');
        let tap = Tap::start(addr.parse().context("the simulated CIC has no address")?)?;
        let (broker, http) = (free_port()?, free_port()?);
        let broker_keys = broker_keys(args.mosquitto, broker, dir.path());
        let (text, file) = configuration(dir.path(), &cic, &tap, &broker_keys, http)?;
        let config = config::read(Some(("load", &text)), [])?;
        let logins = provision(&config, &cic, args.appliances).await?;
        let mosquitto = args.mosquitto.then(|| Mosquitto::start(dir.path(), &file, broker));
        let mosquitto = mosquitto.transpose()?;
        let gateway = Gateway::start(&file, http, PATIENCE).await?;
        let baseline_kib = gateway.resident_kib()?;
        let (speakers, hosts) = connect(logins, broker).await?;
        let (_hosts, _mosquitto, _dir) = (hosts, mosquitto, dir);
        Ok(Self { speakers, _hosts, gateway, _mosquitto, baseline_kib, tap, cic, _dir })
    }

    async fn measure(&self, args: &LoadArgs) -> Result<Report> {
        let connected_kib = self.gateway.resident_kib()? - self.baseline_kib;
        let starts = starts(args);
        let first = Instant::now() + PREPARATION;
        self.tap.expect(starts.iter().map(|after| first + *after).collect());
        let cpu = self.gateway.cpu_seconds()?;
        self.order(args, first, &starts);
        let failed_utterances = self.failed(args).await;
        let mut report = Report {
            appliances: self.speakers.len(),
            speaking: starts.len(),
            seconds: args.seconds,
            ramp_seconds: args.ramp,
            own_broker: !args.mosquitto,
            wall_seconds: first.elapsed().as_secs_f64(),
            cpu_seconds: self.gateway.cpu_seconds()? - cpu,
            failed_utterances,
            lost_audio_messages: self.lost(args),
            baseline_resident_kib: self.baseline_kib,
            resident_kib_per_appliance: connected_kib / f64::from(args.appliances),
            peak_resident_kib: self.gateway.peak_kib()?,
            ..Report::default()
        };
        report.add_metrics(&self.gateway.metrics().await?);
        let due = u64::from(args.speaking) * args.seconds * u64::from(MESSAGES_A_SECOND);
        report.add_latencies(&self.tap.latencies(), due as usize);
        Ok(report)
    }

    /// Tells each speaker when to begin. What they say is so quiet that the simulated CIC never
    /// takes it for the end of speech.
    fn order(&self, args: &LoadArgs, first: Instant, starts: &[Duration]) {
        let chunks = args.seconds as u32 * MESSAGES_A_SECOND;
        for ((number, after), speaker) in (0..).zip(starts).zip(&self.speakers) {
            let make = Arc::new(move |message| marked(number, message));
            let speech = Speech::from(Sound::Made { chunks, make }).begun_by(Initiator::Hold);
            speaker.speak(Speech { at: Some(first + *after), ..speech });
        }
    }

    /// How many utterances were not carried to their end.
    async fn failed(&self, args: &LoadArgs) -> usize {
        let end = Instant::now() + Duration::from_secs(args.seconds + args.ramp) + PATIENCE;
        let mut failed = 0;
        for speaker in &self.speakers[..args.speaking as usize] {
            let limit = end.saturating_duration_since(Instant::now());
            let ended = speaker.wait_for(|heard| outcome(heard).is_some(), limit).await;
            let well = ended.and_then(|(_, heard)| outcome(&heard)).unwrap_or(false);
            failed += usize::from(!well);
        }
        failed
    }

    /// Messages that the simulated CIC ought to have heard, and did not.
    fn lost(&self, args: &LoadArgs) -> u64 {
        let seen = self.cic.seen();
        let heard = seen.iter().filter(|seen| seen.name == "SpeechRecognizer.Recognize");
        let heard: u64 = heard.map(|seen| seen.audio.len() as u64).sum();
        let said = u64::from(args.speaking) * args.seconds * BYTES_A_SECOND;
        said.saturating_sub(heard).div_ceil(MESSAGE)
    }
}

/// Whether an utterance has ended, and well.
fn outcome(heard: &Heard) -> Option<bool> {
    match heard {
        Heard::Dialogue(value) if value["state"] == "idle" => Some(true),
        Heard::Capture(value) if value["action"] == "stop" => {
            // A timeout too: the end of the utterance, or what lay before it, did not get through.
            (value["reason"] != "recognized").then_some(false)
        }
        Heard::NoBroker(_) => Some(false),
        _ => None,
    }
}

/// When each speaker begins: spread over the ramp, and over the 100 ms between two messages.
fn starts(args: &LoadArgs) -> Vec<Duration> {
    let ramp = Duration::from_secs(args.ramp);
    (0..args.speaking)
        .map(|number| ramp.mul_f64((f64::from(number) * GOLDEN_RATIO).fract()))
        .collect()
}

/// The part of the configuration that names the broker.
fn broker_keys(mosquitto: bool, port: u16, dir: &Path) -> String {
    if mosquitto {
        let (user, password) = (mosquitto::USER, mosquitto::PASSWORD);
        return format!(
            "[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nusername = {user:?}\npassword = {password:?}"
        );
    }
    let data = dir.join("broker").display().to_string();
    format!("[broker]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\ndata_dir = {data:?}")
}

fn configuration(
    dir: &Path,
    cic: &SimulatedCic,
    tap: &Tap,
    broker: &str,
    http: u16,
) -> Result<(String, PathBuf)> {
    let path = |name: &str| dir.join(name).display().to_string();
    std::fs::write(path("ca.pem"), tap.ca_pem())?;
    let text = format!(
        "[cic]\nbase_uri = {:?}\nca_file = {:?}\n[auth]\nbase_uri = {:?}\n\
         client_id = \"load\"\nclient_secret = \"load\"\n{broker}\n[store]\nurl = \"sqlite://{}\"\n\
         [http]\nlisten = \"127.0.0.1:{http}\"\n[telemetry]\nlog = \"warn\"\n",
        tap.uri(),
        path("ca.pem"),
        cic.auth_uri(),
        path("gateway.db"),
    );
    let file = dir.join("gateway.toml");
    std::fs::write(&file, &text)?;
    Ok((text, file))
}

async fn provision(
    config: &Config,
    cic: &SimulatedCic,
    count: u32,
) -> Result<Vec<(String, Secret)>> {
    let store = app::open_store(config, &Metrics::new()).await?;
    let auth = app::auth_client(config)?;
    let mut logins = Vec::new();
    for number in 0..count {
        let id = ApplianceId::parse(&format!("load-{number}"))?;
        let (model_id, lang) = ("load".to_owned(), "en".to_owned());
        let new = NewAppliance { id: id.clone(), model_id, lang, device_id: None };
        let now = SystemClock.now();
        let (appliance, password) = provision::add(store.as_ref(), new, now.wall).await?;
        let (device_id, model_id) = (appliance.device_id, appliance.model_id);
        let device = Device { device_id, model_id };
        store.set_tokens(&id, &auth.pair(&device, &cic.issue_code(), now).await?).await?;
        logins.push((id.to_string(), password));
    }
    store.close().await;
    Ok(logins)
}

/// Connects all of them, some at a time: what is measured is not the crowd at the door.
async fn connect(
    logins: Vec<(String, Secret)>,
    port: u16,
) -> Result<(Vec<SimulatedAppliance>, Vec<ApplianceHost>)> {
    let threads = logins.len().div_ceil(PER_THREAD);
    let hosts =
        (0..threads).map(|_| ApplianceHost::start()).collect::<std::io::Result<Vec<_>>>()?;
    let connected = |heard: &Heard| matches!(heard, Heard::Session(s) if s["state"] == "connected");
    let mut appliances: Vec<SimulatedAppliance> = Vec::new();
    for group in logins.chunks(TOGETHER) {
        let already = appliances.len();
        for ((id, password), host) in group.iter().zip(hosts.iter().cycle()) {
            let (id, password) = (id.clone(), password.clone());
            let settings = ApplianceSettings { id, password, port, ..ApplianceSettings::default() };
            appliances.push(host.add(settings));
        }
        for appliance in &appliances[already..] {
            if appliance.wait_for(connected, PATIENCE).await.is_none() {
                bail!("not every appliance was connected within {PATIENCE:?}");
            }
        }
    }
    Ok((appliances, hosts))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn speakers_begin_spread_over_the_ramp_and_over_the_time_between_messages() {
        let args =
            LoadArgs { appliances: 200, speaking: 200, seconds: 1, ramp: 2, mosquitto: false };
        let starts = starts(&args);
        let mut phases = [0; 10];
        for start in &starts {
            phases[start.as_millis() as usize % 100 / 10] += 1;
        }
        assert!(starts.iter().all(|start| *start < Duration::from_secs(2)));
        assert!(phases.iter().all(|count| (15..=25).contains(count)), "{phases:?}");
    }

    #[test]
    fn an_utterance_ends_well_with_its_dialogue_only() {
        let capture = |reason| Heard::Capture(json!({"action": "stop", "reason": reason}));
        let rows = [
            (Heard::Dialogue(json!({"state": "idle"})), Some(true)),
            (Heard::Dialogue(json!({"state": "thinking"})), None),
            (capture("recognized"), None),
            (capture("failed"), Some(false)),
            (capture("timeout"), Some(false)),
        ];
        for (heard, want) in rows {
            assert_eq!(outcome(&heard), want, "{heard:?}");
        }
    }
}
