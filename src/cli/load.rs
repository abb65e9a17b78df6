//! `load`: many simulated speakers speak at once through a gateway that is a process of its own.
//!
//! Latency is the gateway's own `audio_relay_seconds`; CPU and memory are the operating system's
//! account of the gateway's process, which includes its embedded broker.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use super::Format;
use crate::{
    app,
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::{self, Config},
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{ApplianceSettings, Heard, SimulatedAppliance},
        cic::{SimSettings, SimulatedCic},
    },
    store::provision::{self, NewAppliance},
    telemetry::metrics::Metrics,
};

/// Options of `load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Appliances that are connected
    #[arg(long, default_value_t = 50)]
    appliances: usize,
    /// How many of them speak at the same time
    #[arg(long, default_value_t = 50)]
    speaking: usize,
    /// How long each speaks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=55))]
    seconds: u64,
}

const PATIENCE: Duration = Duration::from_secs(60);
/// Clock ticks a second in `/proc/PID/stat`; Linux fixes it for user space.
const TICKS: f64 = 100.0;

/// Carries out the command.
pub(super) async fn run(args: LoadArgs, format: Format) -> Result<()> {
    anyhow::ensure!(args.speaking <= args.appliances, "--speaking exceeds --appliances");
    let dir = tempfile::tempdir()?;
    let cic = SimulatedCic::start(SimSettings::default())?;
    let (broker, http) = (free_port()?, free_port()?);
    let text = configuration(dir.path(), &cic, broker, http)?;
    let config = config::read(Some(("load", &text)), [])?;
    let logins = provision(&config, &cic, args.appliances).await?;
    let gateway = Gateway::start(dir.path())?;
    until_ready(http).await?;
    let alone = gateway.resident_kib()?;
    let appliances = connect(logins, broker).await?;
    let before = gateway.cpu_seconds()?;
    let failed = speak(&appliances, &args).await;
    let cpu = gateway.cpu_seconds()? - before;
    let metrics = reqwest::get(format!("http://127.0.0.1:{http}/metrics")).await?.text().await?;
    let report = json!({
        "appliances": args.appliances,
        "speaking": args.speaking,
        "seconds": args.seconds,
        "failedUtterances": failed,
        "droppedAudioMessages": sum(&metrics, "cic_gateway_audio_dropped_total"),
        "audioBytes": sum(&metrics, "cic_gateway_audio_bytes_total{direction=\"up\"}"),
        "relayMillisecondsP50": quantile(&metrics, 0.50).map(|s| s * 1000.0),
        "relayMillisecondsP99": quantile(&metrics, 0.99).map(|s| s * 1000.0),
        "cpuSeconds": cpu,
        "residentKiBPerAppliance": (gateway.resident_kib()? - alone) / args.appliances.max(1) as f64,
    });
    match format {
        Format::Json => println!("{report}"),
        Format::Text => {
            for (name, value) in report.as_object().into_iter().flatten() {
                println!("{name}: {value}");
            }
        }
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn configuration(dir: &Path, cic: &SimulatedCic, broker: u16, http: u16) -> Result<String> {
    let path = |name: &str| dir.join(name).display().to_string();
    std::fs::write(path("ca.pem"), cic.ca_pem().unwrap_or_default())?;
    let text = format!(
        "[cic]\nbase_uri = {:?}\nca_file = {:?}\n[auth]\nbase_uri = {:?}\nca_file = {:?}\n\
         client_id = \"load\"\nclient_secret = \"load\"\n[broker]\nenabled = true\n\
         listen = \"127.0.0.1:{broker}\"\ndata_dir = {:?}\n[store]\nurl = \"sqlite://{}\"\n\
         [http]\nlisten = \"127.0.0.1:{http}\"\n[telemetry]\nlog = \"warn\"\n",
        cic.cic_uri(),
        path("ca.pem"),
        cic.auth_uri(),
        path("ca.pem"),
        path("broker"),
        path("gateway.db"),
    );
    std::fs::write(path("gateway.toml"), &text)?;
    Ok(text)
}

async fn provision(
    config: &Config,
    cic: &SimulatedCic,
    count: usize,
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

/// Waits until the gateway answers, so that its own memory is known before anybody connects.
async fn until_ready(http: u16) -> Result<()> {
    let ready = async {
        while !reqwest::get(format!("http://127.0.0.1:{http}/readyz"))
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.context("the gateway does not become ready")
}

async fn connect(logins: Vec<(String, Secret)>, port: u16) -> Result<Vec<SimulatedAppliance>> {
    let mut appliances = Vec::new();
    for (id, password) in logins {
        let (host, root) = ("127.0.0.1".to_owned(), "cic/v1".to_owned());
        let settings =
            ApplianceSettings { id, password, host, port, root, ..ApplianceSettings::default() };
        appliances.push(SimulatedAppliance::start(settings)?);
    }
    let connected = |heard: &Heard| matches!(heard, Heard::Session(s) if s["state"] == "connected");
    for appliance in &appliances {
        if appliance.wait_for(connected, PATIENCE).await.is_none() {
            bail!("not every appliance was connected within {PATIENCE:?}");
        }
    }
    Ok(appliances)
}

/// Lets them speak (silence, which the simulated CLOVA never takes for the end of speech);
/// returns how many utterances failed.
async fn speak(appliances: &[SimulatedAppliance], args: &LoadArgs) -> usize {
    let pcm = vec![0; 32_000 * args.seconds as usize];
    let speaking = &appliances[..args.speaking];
    for appliance in speaking {
        appliance.say(pcm.clone(), None);
    }
    let limit = Duration::from_secs(args.seconds) + PATIENCE;
    let ended = |heard: &Heard| match heard {
        Heard::Dialogue(value) => value["state"] == "idle",
        Heard::Capture(value) => value["reason"] == "failed",
        _ => false,
    };
    let mut failed = 0;
    for appliance in speaking {
        let end = appliance.wait_for(ended, limit).await;
        failed += usize::from(!matches!(end, Some((_, Heard::Dialogue(_)))));
    }
    failed
}

/// The gateway, as a process of its own; ends when dropped.
struct Gateway(Child);

impl Gateway {
    fn start(dir: &Path) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(dir.join("gateway.toml"))
            .arg("run")
            .stdin(Stdio::null())
            .spawn()
            .context("the gateway does not start")?;
        Ok(Self(child))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
        std::fs::read_to_string(&path).with_context(|| path)
    }

    fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        let fields: Vec<&str> =
            stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat has another form")?;
        Ok((user + system) / TICKS)
    }

    fn resident_kib(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.context("/proc/PID/status has another form")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The sum of all samples whose name begins so.
fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .fold(0.0, |sum, value| sum + value)
}

/// A quantile of `audio_relay_seconds`, interpolated within its bucket.
fn quantile(metrics: &str, quantile: f64) -> Option<f64> {
    let prefix = "cic_gateway_audio_relay_seconds_bucket{le=\"";
    let buckets = metrics.lines().filter_map(|line| {
        let (bound, count) = line.strip_prefix(prefix)?.split_once("\"} ")?;
        Some((bound.parse().unwrap_or(f64::INFINITY), count.parse::<f64>().ok()?))
    });
    let buckets: Vec<(f64, f64)> = buckets.collect();
    let wanted = buckets.last()?.1 * quantile;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if count >= wanted && count > below {
            let share = (wanted - below) / (count - below);
            return Some(if bound.is_finite() { low + (bound - low) * share } else { low });
        }
        (low, below) = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated_within_their_bucket() {
        let name = "cic_gateway_audio_relay_seconds_bucket";
        let text = format!(
            "{name}{{le=\"0.001\"}} 50\n{name}{{le=\"0.002\"}} 100\n{name}{{le=\"+Inf\"}} 100\n"
        );
        assert_eq!(quantile(&text, 0.5), Some(0.001));
        assert_eq!(quantile(&text, 0.75), Some(0.0015));
        assert_eq!(quantile("", 0.5), None);
        assert_eq!(sum("a_total{x=\"1\"} 2\na_total{x=\"2\"} 3\nb 9\n", "a_total"), 5.0);
    }
}
