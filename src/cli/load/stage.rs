//! Sets everything up that takes part, lets it speak, and takes the figures.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    LoadArgs, PATIENCE, Through,
    fleet::{Fleet, provision},
    gateway::{Gateway, free_port},
    mosquitto::{self, Mosquitto},
    peers::Peer,
    plan::Plan,
    process::Measured,
    report::Report,
    sink::Sink,
    uploads::Uploads,
};
use crate::{
    config,
    sim::cic::{SimSettings, SimulatedCic},
};

/// Everything that takes part. Fields end in this order.
pub(super) struct Stage {
    speakers: Speakers,
    relay: Relay,
    baseline_kib: Option<f64>,
    restart: Option<(Duration, f64)>,
    sink: Sink,
    _behind: Option<Behind>,
    _dir: tempfile::TempDir,
}

/// What only the gateway needs: a broker, and somebody who gives out tokens.
struct Behind {
    _mosquitto: Option<Mosquitto>,
    _cic: SimulatedCic,
}

enum Speakers {
    Fleet(Fleet),
    Uploads(Uploads),
}

enum Relay {
    Gateway(Gateway),
    Proxy(Measured),
    None,
}

impl Relay {
    fn process(&self) -> Result<Option<&Measured>> {
        match self {
            Self::Gateway(gateway) => gateway.process().map(Some),
            Self::Proxy(process) => Ok(Some(process)),
            Self::None => Ok(None),
        }
    }

    /// A figure of its process, if there is one.
    fn figure(&self, read: impl Fn(&Measured) -> Result<f64>) -> Result<Option<f64>> {
        self.process()?.map(read).transpose()
    }
}

impl Stage {
    /// Starts and connects everything.
    pub(super) async fn set(args: &LoadArgs) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let sink = Sink::start()?;
        let peer = match args.through {
            Through::Gateway => return Self::set_gateway(args, sink, dir).await,
            Through::Direct => None,
            Through::Nghttpx => Some(Peer::nghttpx(&sink, dir.path()).await?),
            Through::Haproxy => Some(Peer::haproxy(&sink, dir.path()).await?),
        };
        let (addr, ca_pem, relay) = match peer {
            Some(peer) => (peer.addr, peer.ca_pem, Relay::Proxy(peer.process)),
            None => (sink.place.addr, sink.place.ca_pem.clone(), Relay::None),
        };
        let baseline_kib = relay.figure(Measured::resident_kib)?;
        let uploads = Uploads::connect(args.appliances, addr, &ca_pem).await?;
        let speakers = Speakers::Uploads(uploads);
        Ok(Self { speakers, relay, baseline_kib, restart: None, sink, _behind: None, _dir: dir })
    }

    async fn set_gateway(args: &LoadArgs, sink: Sink, dir: tempfile::TempDir) -> Result<Self> {
        let cic = SimulatedCic::start(SimSettings { tls: false, ..SimSettings::default() })?;
        let (broker, http) = (free_port()?, free_port()?);
        let broker_keys = broker_keys(args.mosquitto, broker, dir.path());
        let (text, file) = configuration(dir.path(), &sink, &cic, &broker_keys, http)?;
        let config = config::read(Some(("load", &text)), [])?;
        let logins = provision(&config, &cic, args.appliances).await?;
        let mosquitto = args.mosquitto.then(|| Mosquitto::start(dir.path(), &file, broker));
        let mosquitto = mosquitto.transpose()?;
        let mut gateway = Gateway::start(&file, http, PATIENCE).await?;
        let baseline_kib = Some(gateway.process()?.resident_kib()?);
        let fleet = Fleet::connect(logins, broker, PATIENCE).await?;
        let restart = match args.restart {
            false => None,
            true => {
                let patience = 2 * PATIENCE;
                let away = gateway.restart(args.appliances as usize, patience).await?;
                Some((away, gateway.process()?.peak_kib()?))
            }
        };
        let relay = Relay::Gateway(gateway);
        let _behind = Some(Behind { _mosquitto: mosquitto, _cic: cic });
        let speakers = Speakers::Fleet(fleet);
        Ok(Self { speakers, relay, baseline_kib, restart, sink, _behind, _dir: dir })
    }

    /// Lets them speak, and takes the figures.
    pub(super) async fn measure(mut self, args: &LoadArgs) -> Result<Report> {
        let fresh = self.kib_per_appliance(args)?;
        let length = Duration::from_secs(args.seconds);
        if args.warm_up > 0 && args.speaking > 0 {
            let warm_up = Duration::from_secs(args.warm_up);
            let plan = Plan::new(warm_up, args.ramp(), args.message()).uncounted();
            self.speak(&plan, args).await;
            self.sink.account()?;
        }
        let plan = Plan::new(length, args.ramp(), args.message());
        let cpu = self.relay.figure(Measured::cpu_seconds)?;
        let failed_utterances = self.speak(&plan, args).await;
        let wall_seconds = plan.first.elapsed().as_secs_f64();
        let due = args.speaking as usize * plan.messages as usize;
        let mut report = self.report(args);
        (report.wall_seconds, report.failed_utterances) = (wall_seconds, failed_utterances);
        report.audio_bytes = due as u64 * plan.message_bytes();
        if let (Some(after), Some(before)) = (self.relay.figure(Measured::cpu_seconds)?, cpu) {
            report.add_cpu(after - before);
        }
        report.add_latencies(&self.sink.account()?.latencies(), due);
        if let Relay::Gateway(gateway) = &self.relay {
            report.add_metrics(&gateway.metrics().await?);
        }
        tokio::time::sleep(Duration::from_secs(args.settle)).await;
        report.fresh_kib_per_appliance = fresh;
        report.used_kib_per_appliance = self.kib_per_appliance(args)?;
        report.peak_resident_kib = self.relay.figure(Measured::peak_kib)?;
        Ok(report)
    }

    fn report(&self, args: &LoadArgs) -> Report {
        let broker = if args.mosquitto { "mosquitto" } else { "own" };
        let (through, broker) = match args.through {
            Through::Gateway => ("gateway", Some(broker)),
            Through::Direct => ("direct", None),
            Through::Nghttpx => ("nghttpx", None),
            Through::Haproxy => ("haproxy", None),
        };
        Report {
            through,
            broker,
            appliances: args.appliances,
            speaking: args.speaking,
            seconds: args.seconds,
            ramp_seconds: args.ramp,
            message_milliseconds: args.message,
            restart_seconds: self.restart.map(|(away, _)| away.as_secs_f64()),
            restart_peak_kib: self.restart.map(|(_, peak)| peak),
            baseline_resident_kib: self.baseline_kib,
            ..Report::default()
        }
    }

    async fn speak(&self, plan: &Plan, args: &LoadArgs) -> usize {
        if args.speaking == 0 {
            let end = plan.end();
            tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
            return 0;
        }
        match &self.speakers {
            Speakers::Fleet(fleet) => fleet.speak(plan, args.speaking, PATIENCE).await,
            Speakers::Uploads(uploads) => uploads.speak(plan, args.speaking, PATIENCE).await,
        }
    }

    fn kib_per_appliance(&self, args: &LoadArgs) -> Result<Option<f64>> {
        let now = self.relay.figure(Measured::resident_kib)?;
        let more = now.zip(self.baseline_kib).map(|(now, baseline)| now - baseline);
        Ok(more.map(|kib| kib / f64::from(args.appliances)))
    }
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
    sink: &Sink,
    cic: &SimulatedCic,
    broker: &str,
    http: u16,
) -> Result<(String, PathBuf)> {
    let path = |name: &str| dir.join(name).display().to_string();
    std::fs::write(path("ca.pem"), &sink.place.ca_pem)?;
    let text = format!(
        "[cic]\nbase_uri = {:?}\nca_file = {:?}\n[auth]\nbase_uri = {:?}\n\
         client_id = \"load\"\nclient_secret = \"load\"\n{broker}\n[store]\nurl = \"sqlite://{}\"\n\
         [http]\nlisten = \"127.0.0.1:{http}\"\n[telemetry]\nlog = \"warn\"\n",
        sink.uri(),
        path("ca.pem"),
        cic.auth_uri(),
        path("gateway.db"),
    );
    let file = dir.join("gateway.toml");
    std::fs::write(&file, &text)?;
    Ok((text, file))
}
