//! `demo`: the whole thing on this machine, over real sockets on free ports.

mod timer;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::told_to_stop;
use crate::{
    app::{self, Gateway},
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::{self, Config},
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{ApplianceSettings, Heard, SimulatedAppliance, read_wav},
        cic::{SimSettings, SimulatedCic, scenario::embedded},
    },
    store::provision::{self, NewAppliance},
    telemetry::logs::{self, LogFormat},
};

const APPLIANCE: &str = "speaker";
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
        stage.show_the_rest(&log_file);
        if args.keep_running {
            stage.explain();
            told_to_stop().await?;
        }
    }
    stage.end().await;
    told
}

fn folder(given: Option<PathBuf>) -> Result<PathBuf> {
    let dir = match given {
        Some(dir) => dir,
        None => tempfile::Builder::new().prefix("cic-gateway-demo-").tempdir()?.keep(),
    };
    std::fs::create_dir_all(dir.join("answers")).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// Everything that takes part.
struct Stage {
    dir: PathBuf,
    cic: SimulatedCic,
    config: Config,
    /// None only while it is being started again.
    gateway: Option<Gateway>,
    broker: SocketAddr,
    speaker: SimulatedAppliance,
    password: Secret,
    started: Instant,
}

impl Stage {
    async fn build(dir: &Path) -> Result<Self> {
        let started = Instant::now();
        let cic = SimulatedCic::start(SimSettings::default())?;
        let ca_file = dir.join("ca.pem");
        std::fs::write(&ca_file, cic.ca_pem().unwrap_or_default())?;
        let mut config = configuration(dir, &cic, &ca_file)?;
        let gateway = Gateway::start(&config).await?;
        let broker = gateway.broker_addr().context("the demo needs the embedded broker")?;
        // Free ports the first time, the same ones from then on.
        (config.broker.listen, config.http.listen) = (broker, gateway.http_addr());
        let password = provision(&config, &gateway, &cic).await?;
        println!("A simulated CLOVA listens on {} (TLS), the broker on {broker}.", cic.cic_uri());
        let speaker = SimulatedAppliance::start(ApplianceSettings {
            id: APPLIANCE.into(),
            password: password.clone(),
            host: broker.ip().to_string(),
            port: broker.port(),
            root: config.mqtt.topic_root.clone(),
            out: Some(dir.join("answers")),
            ..ApplianceSettings::default()
        })?;
        let dir = dir.to_owned();
        let gateway = Some(gateway);
        Ok(Self { dir, cic, config, gateway, broker, speaker, password, started })
    }

    /// Three dialogues and a timer.
    async fn perform(&mut self) -> Result<()> {
        self.expect(is_connected, "the speaker's session with CLOVA").await?;
        self.tell("gateway", "the speaker is connected to CLOVA");
        self.title("1. A plain question");
        self.say("time", "What time is it?", None)?;
        self.follow(None).await?;
        self.title("2. A story, interrupted by another question");
        self.say("story", "Tell me a story.", None)?;
        self.follow(Some(Duration::from_millis(1500))).await?;
        self.tell("user", "interrupts");
        self.say("everest", "How high is Mount Everest?", None)?;
        self.follow(None).await?;
        self.title("3. A request that needs a second turn");
        self.say("pizza", "Order a pizza.", None)?;
        let question = self.follow(None).await?.context("CLOVA did not ask back")?;
        self.say("large", "A large one, please.", Some(question))?;
        self.follow(None).await?;
        self.title("4. A timer that outlives the gateway");
        self.timer().await
    }

    fn say(&self, recording: &str, text: &str, answers: Option<String>) -> Result<()> {
        let wav = embedded(&format!("speech/{recording}.wav")).context("no such recording")?;
        self.tell("user", &format!("\"{text}\""));
        self.speaker.say(read_wav(wav)?, answers);
        Ok(())
    }

    /// Tells what happens until the dialogue has ended; returns the question that CLOVA asks. With
    /// `interrupt`, returns so long after the answer has begun to play.
    async fn follow(&self, interrupt: Option<Duration>) -> Result<Option<String>> {
        let mut end_of_speech: Option<Instant> = None;
        let mut until: Option<Instant> = None;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let next = self.speaker.next(left.unwrap_or(PATIENCE)).await;
            let (at, heard) = match next {
                Some(next) => next,
                None if until.is_some() => return Ok(None),
                None => bail!(
                    "nothing happened for {PATIENCE:?}; see the log in {}",
                    self.dir.display()
                ),
            };
            match &heard {
                Heard::Capture(value) if value["action"] == "listen" => {
                    self.tell("clova", "asks back: the microphone opens");
                    return Ok(value["expectSpeechId"].as_str().map(str::to_owned));
                }
                Heard::Capture(value) if value["reason"] == "failed" => bail!("the request failed"),
                Heard::Capture(_) => end_of_speech = Some(at),
                Heard::FirstAudio { .. } => {
                    if let Some(ended) = end_of_speech.take() {
                        let took = at.saturating_duration_since(ended).as_secs_f64() * 1000.0;
                        self.tell(
                            "speaker",
                            &format!("first audio {took:.1} ms after the end of speech"),
                        );
                        until = interrupt.map(|after| at + after);
                    }
                }
                Heard::Dialogue(value) if value["state"] == "idle" => return Ok(None),
                _ => {}
            }
            self.describe(&heard);
        }
    }

    fn describe(&self, heard: &Heard) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match heard {
            Heard::Text(value) => {
                self.tell("clova", &format!("understands \"{}\"", text(&value["text"])))
            }
            Heard::Capture(_) => self.tell("clova", "has heard enough: the microphone closes"),
            Heard::Directive(value) => {
                let name = format!("{}.{}", text(&value["namespace"]), text(&value["name"]));
                let shown = value["payload"]["text"].as_str();
                let shown = shown.map(|shown| format!(" \"{shown}\"")).unwrap_or_default();
                self.tell("gateway", &format!("hands on {name}{shown}"));
            }
            Heard::Cancel(_) => {
                self.tell("gateway", "drops the rest of the old answer: a newer request counts");
            }
            Heard::Played { file: Some(file), bytes, .. } => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                self.tell("speaker", &format!("has played {name} ({bytes} bytes of MP3)"));
            }
            Heard::Alert(value) if value["action"] == "set" => {
                self.tell(
                    "gateway",
                    &format!("sets the speaker's {}", text(&value["type"]).to_lowercase()),
                );
            }
            Heard::Error(value) => self.tell("gateway", &format!("reports {value}")),
            _ => {}
        }
    }

    async fn expect(&self, wanted: impl Fn(&Heard) -> bool, what: &str) -> Result<Heard> {
        let found = self.speaker.wait_for(wanted, PATIENCE).await;
        found
            .map(|(_, heard)| heard)
            .with_context(|| format!("{what} did not come within {PATIENCE:?}"))
    }

    fn title(&self, text: &str) {
        println!("\n{text}");
    }

    fn tell(&self, who: &str, what: &str) {
        println!("{:7.2} s  {who:8} {what}", self.started.elapsed().as_secs_f64());
    }

    fn show_the_rest(&self, log: &Path) {
        let superseded =
            self.cic.seen().iter().filter(|seen| seen.name.ends_with("SpeechStopped")).count();
        println!("\nCLOVA was told of {superseded} interrupted answer(s).");
        println!("Answers (MP3): {}", self.dir.join("answers").display());
        println!("Log:           {}", log.display());
        println!("Metrics:       http://{}/metrics (while the demo runs)", self.config.http.listen);
    }

    fn explain(&self) {
        let (host, port) = (self.broker.ip(), self.broker.port());
        let login = format!("-h {host} -p {port} -u {APPLIANCE} -P {}", self.password.expose());
        println!("\nStill running; Ctrl-C ends it. Talk to it:\n");
        println!("  mosquitto_sub {login} -t 'cic/v1/{APPLIANCE}/down/#' -v &");
        println!(
            "  mosquitto_pub {login} -t cic/v1/{APPLIANCE}/up/text -m '{{\"text\": \"what time is it\"}}'"
        );
    }

    async fn end(self) {
        drop(self.speaker);
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
    }
}

fn is_connected(heard: &Heard) -> bool {
    matches!(heard, Heard::Session(session) if session["state"] == "connected")
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

/// Adds the speaker and pairs it with the simulated CLOVA, as an installer would.
async fn provision(config: &Config, gateway: &Gateway, cic: &SimulatedCic) -> Result<Secret> {
    let now = SystemClock.now();
    let id = ApplianceId::parse(APPLIANCE)?;
    let model_id = "demo-speaker".to_owned();
    let new = NewAppliance { id: id.clone(), model_id, lang: "en".into(), device_id: None };
    let (appliance, password) = provision::add(gateway.store().as_ref(), new, now.wall).await?;
    let (device_id, model_id) = (appliance.device_id, appliance.model_id);
    let device = Device { device_id, model_id };
    let tokens = app::auth_client(config)?.pair(&device, &cic.issue_code(), now).await?;
    gateway.store().set_tokens(&id, &tokens).await?;
    Ok(password)
}
