//! The command line: one file a command. Called by `main`.

mod appliance;
mod broker;
mod check;
mod demo;
mod load;
mod simulate;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    app::{self, Gateway},
    config::{self, Config},
    notify::Notifier,
    telemetry::{
        logs::{self, LogFormat},
        metrics::Metrics,
    },
};

/// Connects home appliances that speak MQTT to NAVER's voice assistant CLOVA.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example, needs nothing else:\n  cic-gateway demo",
    arg_required_else_help = true
)]
pub struct Cli {
    /// Configuration file [default: cic-gateway.toml, then /etc/cic-gateway/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    /// How commands print data
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

/// How commands print data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until it is told to stop (SIGTERM or Ctrl-C)
    #[command(after_help = "Example:\n  cic-gateway --config cic-gateway.toml run")]
    Run,
    /// See everything work on this machine, in a minute: broker, simulated CLOVA, gateway, a speaker
    /// and a television
    #[command(after_help = "Examples:\n  cic-gateway demo\n  cic-gateway demo --keep-running")]
    Demo(demo::DemoArgs),
    /// Find every mistake in the configuration, then try the broker, the store and CLOVA
    #[command(after_help = "Example:\n  cic-gateway check --offline")]
    Check(check::CheckArgs),
    /// Bring the store's schema up to date
    #[command(after_help = "Example:\n  cic-gateway migrate")]
    Migrate,
    /// Add, list, pair and remove appliances
    #[command(
        subcommand,
        after_help = "Example:\n  cic-gateway appliance add kitchen --model HB-100 --lang ko"
    )]
    Appliance(appliance::ApplianceCommand),
    /// Prepare a broker
    #[command(
        subcommand,
        after_help = "Example:\n  cic-gateway broker export --mosquitto /etc/mosquitto/cic-gateway"
    )]
    Broker(broker::BrokerCommand),
    /// Let many simulated speakers speak at once, and measure
    #[command(
        after_help = "Example:\n  cic-gateway load --appliances 200 --speaking 200 --seconds 20"
    )]
    Load(load::LoadArgs),
    /// The part of `load` that hears the audio, which `load` starts by itself
    #[command(hide = true)]
    LoadSink,
    /// Run a simulated CLOVA, or a simulated appliance
    #[command(subcommand, after_help = "Example:\n  cic-gateway simulate cic --ca-out ca.pem")]
    Simulate(simulate::SimulateCommand),
}

/// Carries out a command.
///
/// # Errors
/// With what failed, for a person.
pub fn run(cli: Cli) -> Result<()> {
    // Where a library asks for the process's TLS provider there must be one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Command::Demo(args) => actix_rt::System::new().block_on(demo::run(args, cli.log_format)),
        Command::Load(args) => {
            log("warn", cli.log_format)?;
            actix_rt::System::new().block_on(load::run(args, cli.format))
        }
        Command::LoadSink => actix_rt::System::new().block_on(load::run_sink()),
        Command::Simulate(command) => {
            log("warn", cli.log_format)?;
            actix_rt::System::new().block_on(simulate::run(command, cli.format))
        }
        Command::Check(args) => {
            log("error", cli.log_format)?;
            let loaded = config::load(cli.config.as_deref());
            actix_rt::System::new().block_on(check::run(loaded, args, cli.format))
        }
        command => {
            let config = config::load(cli.config.as_deref())?.config;
            log(&config.telemetry.log, cli.log_format)?;
            actix_rt::System::new().block_on(with_config(command, config, cli.format))
        }
    }
}

async fn with_config(command: Command, config: Config, format: Format) -> Result<()> {
    match command {
        Command::Run => serve(&config).await,
        Command::Migrate => {
            let migrating =
                Config { store: config::Store { migrate: true, ..config.store }, ..config };
            app::open_store(&migrating, &Metrics::new()).await?.close().await;
            match format {
                Format::Text => println!("the store is up to date"),
                Format::Json => println!("{}", json!({"store": "up to date"})),
            }
            Ok(())
        }
        Command::Appliance(command) => appliance::run(command, &config, format).await,
        Command::Broker(command) => broker::run(command, &config, format).await,
        Command::Demo(_)
        | Command::Check(_)
        | Command::Load(_)
        | Command::LoadSink
        | Command::Simulate(_) => Ok(()),
    }
}

fn log(filter: &str, format: LogFormat) -> Result<()> {
    logs::init(filter, format, None).map_err(anyhow::Error::msg)
}

async fn serve(config: &Config) -> Result<()> {
    // Listened to from the beginning: none that comes while another is seen to is lost.
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let gateway = tokio::select! {
        gateway = Gateway::start(config) => gateway?,
        () = signals.next() => return Ok(()),
    };
    let notifier = Notifier::ready(&gateway);
    signals.next().await;
    notifier.stopping();
    tokio::select! {
        () = gateway.stop() => Ok(()),
        () = signals.next() => anyhow::bail!("ended at once, as asked by a second signal"),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Resolves at SIGTERM or SIGINT.
async fn told_to_stop() -> std::io::Result<()> {
    Signals::listen()?.next().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The names of the commands, down to the last, whose help shows no example.
    fn without_example(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = (!help.contains("cic-gateway ")).then(|| command.get_name().to_owned());
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        own.into_iter().chain(shown.flat_map(without_example)).collect()
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        assert_eq!(without_example(&Cli::command()), [] as [&str; 0]);
    }
}
