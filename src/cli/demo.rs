//! `demo`: the whole thing on this machine, over real sockets on free ports.
//!
//! | file | what it holds |
//! |---|---|
//! | `demo.rs` | everything that takes part, and the order of the parts |
//! | `actor.rs` | one appliance: it speaks, and what happens to it is told |
//! | `narrator.rs` | how it is told |
//! | `dialogues.rs` | the first three parts |
//! | `television.rs`, `music.rs`, `timer.rs` | the others |

mod actor;
mod dialogues;
mod music;
mod narrator;
mod television;
mod timer;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::told_to_stop;
use crate::{
    app::{self, Gateway},
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::{self, Config},
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{ApplianceSettings, Heard, Kind, SimulatedAppliance},
        cic::{SeenEvent, SimSettings, SimulatedCic},
    },
    store::provision::{self, NewAppliance},
    telemetry::logs::{self, LogFormat},
};
use actor::Actor;
use narrator::Narrator;

const SPEAKER: &str = "speaker";
const TELEVISION: &str = "television";
/// Left to whoever tries the demo.
const GUEST: &str = "mine";
const PATIENCE: Duration = Duration::from_secs(20);

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave everything running afterwards, to be talked to by hand
    #[arg(long)]
    keep_running: bool,
    /// Where files go [default: a new folder in the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Carries out the command.
pub(super) async fn run(args: DemoArgs, log_format: LogFormat) -> Result<()> {
    let dir = folder(args.dir)?;
    let log_file = dir.join("gateway.log");
    let log = std::fs::File::create(&log_file).context("the log cannot be written")?;
    logs::init("info", log_format, Some(log)).map_err(anyhow::Error::msg)?;
    let mut stage = Stage::build(&dir).await?;
    let told = stage.perform().await;
    if told.is_ok() {
        stage.show_the_rest(&dir, &log_file, args.keep_running);
        if args.keep_running {
            stage.explain().await?;
            told_to_stop().await?;
        }
    }
    stage.end().await;
    told.with_context(|| format!("the demo failed; see {}", log_file.display()))
}

fn introduce(cic: &SimulatedCic, broker: SocketAddr, http: SocketAddr, dir: &Path) {
    println!(
        "Appliances that speak MQTT talk to CLOVA, NAVER's voice assistant, through the gateway.\n\
         Here all of it runs on this machine, in about 50 s: a simulated CLOVA on {} (TLS),\n\
         a broker on {broker}, the gateway, a speaker and a television. Users are recordings.\n",
        cic.cic_uri()
    );
    for (what, place) in web(http) {
        show(what, &place);
    }
    show("files", &dir.display().to_string());
    println!();
}

/// What a browser can look at while the gateway runs.
fn web(http: SocketAddr) -> [(&'static str, String); 2] {
    [("console", format!("http://{http}/")), ("metrics", format!("http://{http}/metrics"))]
}

fn show(what: &str, place: &str) {
    println!("  {what:18} {place}");
}

fn folder(given: Option<PathBuf>) -> Result<PathBuf> {
    let dir = match given {
        Some(dir) => dir,
        None => tempfile::Builder::new().prefix("cic-gateway-demo-").tempdir()?.keep(),
    };
    for name in ["answers", "television"] {
        std::fs::create_dir_all(dir.join(name)).with_context(|| dir.display().to_string())?;
    }
    Ok(dir)
}

/// Everything that takes part.
struct Stage {
    narrator: Narrator,
    cic: SimulatedCic,
    config: Config,
    /// None only while it is being started again.
    gateway: Option<Gateway>,
    broker: SocketAddr,
    speaker: Actor,
    television: Actor,
}

/// An appliance that is provisioned and paired.
struct Provisioned {
    password: Secret,
    /// The id under which CLOVA knows it.
    device: String,
}

impl Stage {
    async fn build(dir: &Path) -> Result<Self> {
        let narrator = Narrator::new();
        let cic = SimulatedCic::start(SimSettings::default())?;
        let ca_file = dir.join("ca.pem");
        std::fs::write(&ca_file, cic.ca_pem().unwrap_or_default())?;
        let mut config = configuration(dir, &cic, &ca_file)?;
        let gateway = Gateway::start(&config).await?;
        let broker = gateway.broker_addr().context("the demo needs the embedded broker")?;
        // Free ports the first time, the same ones from then on.
        (config.broker.listen, config.http.listen) = (broker, gateway.http_addr());
        introduce(&cic, broker, config.http.listen, dir);
        let mut actors = Vec::new();
        for (id, kind, out) in
            [(SPEAKER, Kind::Speaker, "answers"), (TELEVISION, Kind::Television, "television")]
        {
            let provisioned = provision(&config, &gateway, &cic, id, kind.model()).await?;
            let appliance = SimulatedAppliance::start(ApplianceSettings {
                id: id.into(),
                kind,
                password: provisioned.password.clone(),
                host: broker.ip().to_string(),
                port: broker.port(),
                root: config.mqtt.topic_root.clone(),
                out: Some(dir.join(out)),
                ..ApplianceSettings::default()
            })?;
            actors.push(Actor { name: id, appliance, provisioned, narrator });
        }
        let gateway = Some(gateway);
        let (television, speaker) = actors.pop().zip(actors.pop()).context("both were added")?;
        Ok(Self { narrator, cic, config, gateway, broker, speaker, television })
    }

    async fn perform(&mut self) -> Result<()> {
        for actor in [&self.speaker, &self.television] {
            actor.expect(is_connected, "a session with CLOVA").await?;
            self.tell("gateway", &format!("the {} is connected to CLOVA", actor.name));
        }
        self.narrator.title("1. A plain question");
        self.question().await?;
        self.narrator.title("2. A story, interrupted by another question");
        self.interruption().await?;
        self.narrator.title("3. A request that needs a second turn");
        self.second_turn().await?;
        self.narrator.title("4. A television that is turned up by voice");
        self.turn_up().await?;
        self.narrator.title("5. An alarm that interrupts music and gives it back");
        self.music().await?;
        self.narrator.title("6. A timer that outlives the gateway");
        self.timer().await?;
        let refusals = self.cic.refusals();
        ensure!(refusals.is_empty(), "CLOVA refused {refusals:?}");
        Ok(())
    }

    fn tell(&self, who: &str, what: &str) {
        self.narrator.tell(who, what);
    }

    /// Waits until CLOVA has been told this by a device, and says so.
    async fn told(
        &self,
        by: &Actor,
        event: &str,
        wanted: impl Fn(&SeenEvent) -> bool,
        what: &str,
    ) -> Result<SeenEvent> {
        let device = &by.provisioned.device;
        let fits = |seen: &SeenEvent| seen.name == event && seen.device == *device && wanted(seen);
        let seen = self.cic.wait_for(fits, PATIENCE).await;
        let seen = seen.with_context(|| format!("CLOVA was not told of {event}"))?;
        self.tell("clova", what);
        Ok(seen)
    }

    fn show_the_rest(&self, dir: &Path, log: &Path, keeps_running: bool) {
        println!(
            "\nEverything that was to happen has happened; CLOVA refused nothing. To look at:\n"
        );
        show("answers (MP3)", &dir.join("answers").display().to_string());
        show("the gateway's log", &log.display().to_string());
        let only = if keeps_running { "" } else { ", only while it runs: demo --keep-running" };
        for (what, place) in web(self.config.http.listen) {
            show(what, &format!("{place}{only}"));
        }
    }

    /// How to join in, also with an appliance that nobody else plays.
    async fn explain(&self) -> Result<()> {
        let gateway = self.gateway.as_ref().context("the gateway runs")?;
        let guest = provision(&self.config, gateway, &self.cic, GUEST, "generic").await?;
        let (host, port) = (self.broker.ip(), self.broker.port());
        let password = self.speaker.provisioned.password.expose();
        let login = format!("-h {host} -p {port} -u {SPEAKER} -P {password}");
        let topic = format!("{}/{SPEAKER}", self.config.mqtt.topic_root);
        println!("\nStill running; Ctrl-C ends it. Watch the speaker, and ask it:\n");
        println!("  mosquitto_sub {login} -v -t '{topic}/down/#' -T '{topic}/down/audio/#' &");
        for text in ["what time is it", "set a timer for ten seconds", "stop the timer"] {
            println!("  mosquitto_pub {login} -t {topic}/up/text -m '{{\"text\": \"{text}\"}}'");
        }
        println!(
            "\nOr be an appliance: \"{GUEST}\" is paired, and docs/firmware.md has firmware.\n"
        );
        let password = guest.password.expose();
        println!("  host {host}, port {port}, user {GUEST}, password {password}");
        Ok(())
    }

    async fn end(self) {
        drop((self.speaker, self.television));
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
    }
}

fn is_connected(heard: &Heard) -> bool {
    matches!(heard, Heard::Session(session) if session["state"] == "connected")
}

fn is_played(heard: &Heard) -> bool {
    matches!(heard, Heard::Played { .. })
}

fn configuration(dir: &Path, cic: &SimulatedCic, ca_file: &Path) -> Result<Config> {
    let (database, data) = (dir.join("gateway.db"), dir.join("broker"));
    let store = format!("sqlite://{}", database.display());
    let text = format!(
        "[cic]\nbase_uri = {:?}\nca_file = {ca_file:?}\n\
         [auth]\nbase_uri = {:?}\nca_file = {ca_file:?}\nclient_id = \"demo\"\nclient_secret = \"demo\"\n\
         [broker]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n\
         [store]\nurl = {store:?}\n[http]\nlisten = \"127.0.0.1:0\"\n",
        cic.cic_uri(),
        cic.auth_uri(),
    );
    Ok(config::read(Some(("demo", &text)), [])?)
}

/// Adds an appliance and pairs it with the simulated CLOVA, as an installer would.
async fn provision(
    config: &Config,
    gateway: &Gateway,
    cic: &SimulatedCic,
    id: &str,
    model: &str,
) -> Result<Provisioned> {
    let now = SystemClock.now();
    let (id, model_id) = (ApplianceId::parse(id)?, model.to_owned());
    let new = NewAppliance { id: id.clone(), model_id, lang: "en".into(), device_id: None };
    let (appliance, password) = provision::add(gateway.store().as_ref(), new, now.wall).await?;
    let (device_id, model_id) = (appliance.device_id, appliance.model_id);
    let device = Device { device_id: device_id.clone(), model_id };
    let tokens = app::auth_client(config)?.pair(&device, &cic.issue_code(), now).await?;
    gateway.store().set_tokens(&id, &tokens).await?;
    Ok(Provisioned { password, device: device_id })
}
