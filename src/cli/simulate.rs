//! `simulate cic` and `simulate appliance`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::told_to_stop;
use crate::sim::{
    appliance::{ApplianceSettings, Heard, SimulatedAppliance, read_wav},
    cic::{Scenario, SimSettings, SimulatedCic},
};

/// What to simulate.
#[derive(Debug, Subcommand)]
pub enum SimulateCommand {
    /// A simulated CLOVA with its auth server, as strict as the real one
    #[command(after_help = "Example:\n  cic-gateway simulate cic --ca-out ca.pem")]
    Cic(CicArgs),
    /// A simulated speaker at a real broker
    #[command(
        after_help = "Example:\n  cic-gateway simulate appliance kitchen --password SECRET --wav question.wav --out answers"
    )]
    Appliance(ApplianceArgs),
}

/// Options of `simulate cic`.
#[derive(Debug, Args)]
pub struct CicArgs {
    /// Where CIC listens
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Where the auth server listens
    #[arg(long, default_value = "127.0.0.1:8444")]
    auth_listen: SocketAddr,
    /// What it understands and answers (TOML) [default: a built-in one]
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// What goes wrong on purpose, as '{ on = "event", at = 3, kind = "goaway" }'; may be repeated
    /// (the kinds stand at the top of assets/scenario.toml)
    #[arg(long, value_name = "TOML")]
    fault: Vec<String>,
    /// Write the trust anchor of its certificate here (PEM)
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// Without TLS
    #[arg(long)]
    plain: bool,
}

/// Options of `simulate appliance`.
#[derive(Debug, Args)]
pub struct ApplianceArgs {
    /// Its id, also its MQTT user name
    id: String,
    /// Its MQTT password
    #[arg(long, env = "CIC_APPLIANCE_PASSWORD", default_value = "", hide_env_values = true)]
    password: String,
    /// Say this recording (16 kHz, 16 bit, mono WAV); may be repeated
    #[arg(long, value_name = "FILE")]
    wav: Vec<PathBuf>,
    /// Type this request; may be repeated
    #[arg(long, value_name = "T")]
    text: Vec<String>,
    /// The broker; the password may stand in the URL, as in mqtt://ID:PASSWORD@host
    #[arg(long, default_value = "mqtt://127.0.0.1:1883", value_name = "URL")]
    mqtt: String,
    /// Write the answers into this folder (MP3)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Carries out a command.
pub(super) async fn run(command: SimulateCommand) -> Result<()> {
    match command {
        SimulateCommand::Cic(args) => cic(args).await,
        SimulateCommand::Appliance(args) => appliance(args).await,
    }
}

async fn cic(args: CicArgs) -> Result<()> {
    let mut scenario = match &args.scenario {
        None => Scenario::builtin(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let base = path.parent().unwrap_or(std::path::Path::new("."));
            Scenario::parse(&text, base).with_context(|| path.display().to_string())?
        }
    };
    for fault in &args.fault {
        scenario.add_fault(fault).with_context(|| format!("--fault {fault}"))?;
    }
    let simulated = SimulatedCic::start(SimSettings {
        listen: args.listen,
        auth_listen: args.auth_listen,
        tls: !args.plain,
        scenario,
        ..SimSettings::default()
    })?;
    if let (Some(path), Some(pem)) = (&args.ca_out, simulated.ca_pem()) {
        std::fs::write(path, pem).with_context(|| path.display().to_string())?;
    }
    let ca = args.ca_out.as_ref().map_or(String::new(), |path| format!("ca_file = {path:?}\n"));
    println!("The simulated CLOVA is up. Put this into the gateway's configuration:\n");
    println!(
        "[cic]\nbase_uri = \"{}\"\n{ca}\n[auth]\nbase_uri = \"{}\"\n{ca}client_id = \"any\"\nclient_secret = \"any\"\n",
        simulated.cic_uri(),
        simulated.auth_uri()
    );
    println!(
        "Pair an appliance, once:\n\n  cic-gateway appliance pair ID --code {}",
        simulated.issue_code().expose()
    );
    told_to_stop().await.context("signals cannot be received")
}

async fn appliance(args: ApplianceArgs) -> Result<()> {
    let url = reqwest::Url::parse(&args.mqtt).context("--mqtt")?;
    anyhow::ensure!(url.scheme() == "mqtt", "--mqtt must begin with mqtt://");
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    }
    let mut recordings = Vec::new();
    for path in &args.wav {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        recordings.push(read_wav(&bytes).with_context(|| path.display().to_string())?);
    }
    let appliance = SimulatedAppliance::start(ApplianceSettings {
        id: args.id,
        password: url.password().map_or(args.password, str::to_owned).into(),
        host: url.host_str().unwrap_or("127.0.0.1").to_owned(),
        port: url.port().unwrap_or(1883),
        root: "cic/v1".into(),
        out: args.out,
    })?;
    let connected =
        |heard: &Heard| matches!(heard, Heard::Session(session) if session["state"] == "connected");
    if appliance.wait_for(connected, Duration::from_secs(30)).await.is_none() {
        bail!("the gateway did not connect this appliance to CLOVA within 30 s");
    }
    println!("connected");
    let asks = recordings.into_iter().map(Ok).chain(args.text.into_iter().map(Err));
    let mut question = None;
    for ask in asks {
        match ask {
            Ok(pcm) => drop(appliance.say(pcm, question.take())),
            Err(text) => appliance.type_text(&text, question.take()),
        }
        question = follow(&appliance).await?;
    }
    Ok(())
}

/// Tells what happens until the dialogue has ended or a question is asked.
async fn follow(appliance: &SimulatedAppliance) -> Result<Option<String>> {
    loop {
        let Some((_, heard)) = appliance.next(Duration::from_secs(30)).await else {
            bail!("nothing happened for 30 s");
        };
        match heard {
            Heard::Dialogue(value) if value["state"] == "idle" => return Ok(None),
            Heard::Capture(value) if value["action"] == "listen" => {
                println!("CLOVA asks back");
                return Ok(value["expectSpeechId"].as_str().map(str::to_owned));
            }
            Heard::Capture(value) if value["reason"] == "failed" => bail!("the request failed"),
            Heard::Error(value) => bail!("the gateway reports {value}"),
            Heard::Capture(value) => println!("stop listening: {}", value["reason"]),
            Heard::Text(value) => println!("understood so far: {}", value["text"]),
            Heard::Directive(value) => println!("told to {}.{}", value["namespace"], value["name"]),
            Heard::Played { bytes, file, .. } => match file {
                Some(file) => println!("played {bytes} bytes, kept in {}", file.display()),
                None => println!("played {bytes} bytes"),
            },
            _ => {}
        }
    }
}
