//! `simulate cic` and `simulate appliance`.

mod appliance;
mod args;
mod attend;
mod broker_url;
mod describe;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Format, told_to_stop};
use crate::sim::cic::{Scenario, SimSettings, SimulatedCic};

/// What to simulate.
#[derive(Debug, Subcommand)]
pub enum SimulateCommand {
    /// A simulated CLOVA with its auth server, as strict as the real one
    #[command(after_help = "Example:\n  cic-gateway simulate cic --ca-out ca.pem")]
    Cic(CicArgs),
    /// A simulated speaker, television, air conditioner or fridge at a real broker: speaks, plays
    /// what comes back, and does what CLOVA orders
    #[command(after_help = args::EXAMPLES)]
    Appliance(Box<args::ApplianceArgs>),
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

/// Carries out a command.
pub(super) async fn run(command: SimulateCommand, format: Format) -> Result<()> {
    match command {
        SimulateCommand::Cic(args) => cic(args, format).await,
        SimulateCommand::Appliance(args) => appliance::run(*args).await,
    }
}

async fn cic(args: CicArgs, format: Format) -> Result<()> {
    let mut scenario = match &args.scenario {
        None => Scenario::builtin(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let base = path.parent().unwrap_or(Path::new("."));
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
    match format {
        Format::Text => tell(&simulated, args.ca_out.as_deref()),
        Format::Json => println!(
            "{}",
            json!({
                "cicUri": simulated.cic_uri(),
                "authUri": simulated.auth_uri(),
                "caFile": args.ca_out,
                "code": simulated.issue_code().expose(),
            })
        ),
    }
    told_to_stop().await.context("signals cannot be received")
}

fn tell(simulated: &SimulatedCic, ca_file: Option<&Path>) {
    let ca = ca_file.map_or(String::new(), |path| format!("ca_file = {path:?}\n"));
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
}
