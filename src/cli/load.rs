//! `load`: many simulated speakers speak at once through a gateway that is a process of its own,
//! into a light CIC that is another; or the same audio through something else, to compare.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan.rs` | who says what, and when |
//! | `mark.rs` | audio that carries the time at which it was due |
//! | `sink.rs` | the light CIC's process, which hears how late each message is |
//! | `fleet.rs` | simulated appliances at the gateway's broker |
//! | `uploads.rs` | the same uploads by HTTP/2 clients, without a gateway |
//! | `gateway.rs`, `peers.rs` | what is measured: the gateway, other proxies |
//! | `process.rs` | the operating system's account of a process |
//! | `mosquitto.rs` | another broker than the gateway's own |
//! | `report.rs` | the figures |

mod fleet;
mod gateway;
mod mark;
mod mosquitto;
mod peers;
mod plan;
mod process;
mod report;
mod sink;
mod stage;
mod uploads;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

use self::{process::open_files_limit, stage::Stage};
use super::Format;

/// Options of `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Appliances that are connected
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    appliances: u32,
    /// How many of them speak, holding a button; with 0, the cost of idling is measured
    #[arg(long, default_value_t = 50)]
    speaking: u32,
    /// How long each speaks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=55))]
    seconds: u64,
    /// Spread their beginnings over so many seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    ramp: u64,
    /// Before that, each speaks so long without being measured; 0 measures fresh connections
    #[arg(long, default_value_t = 1, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=55))]
    warm_up: u64,
    /// What an audio message lasts; CLOVA gets slices of 200 ms
    #[arg(long, default_value_t = 200, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(10..=1000))]
    message: u64,
    /// Look at the memory only so many seconds after the last word
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    settle: u64,
    /// Start Mosquitto and use it instead of the gateway's own broker, which is made for a home
    #[arg(long)]
    mosquitto: bool,
    /// Restart the gateway while all appliances wait, and measure how long they are away
    #[arg(long)]
    restart: bool,
    /// What the audio goes through
    #[arg(long, value_enum, default_value_t)]
    through: Through,
}

/// What the audio goes through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Through {
    /// MQTT, the gateway, HTTP/2
    #[default]
    Gateway,
    /// HTTP/2 from each speaker, nothing between
    Direct,
    /// HTTP/2 through nghttpx (Debian package nghttp2-proxy)
    Nghttpx,
    /// HTTP/2 through HAProxy (Debian package haproxy)
    Haproxy,
}

/// How long whatever is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);
const OTHER_FILES: u64 = 100;

impl LoadArgs {
    fn ramp(&self) -> Duration {
        Duration::from_secs(self.ramp)
    }

    fn message(&self) -> Duration {
        Duration::from_millis(self.message)
    }

    fn check(&self) -> Result<()> {
        ensure!(self.speaking <= self.appliances, "--speaking exceeds --appliances");
        let gateway = self.through == Through::Gateway;
        ensure!(
            gateway || !(self.mosquitto || self.restart),
            "only the gateway has a broker, and is restarted"
        );
        // Its own broker's connection and CIC's, or both sides of a proxy.
        let each = if self.mosquitto || self.through == Through::Direct { 1 } else { 2 };
        let needed = u64::from(self.appliances) * each + OTHER_FILES;
        match open_files_limit() {
            Some(limit) if limit < needed => bail!(
                "{} appliances need {needed} open files, the limit is {limit}; raise it: ulimit -n {needed}",
                self.appliances
            ),
            _ => Ok(()),
        }
    }
}

/// Carries out the command.
pub(super) async fn run(args: LoadArgs, format: Format) -> Result<()> {
    args.check()?;
    let report = Stage::set(&args).await?.measure(&args).await?;
    match format {
        Format::Json => println!("{}", serde_json::to_string(&report)?),
        Format::Text => println!("{report}"),
    }
    Ok(())
}

/// The process that hears the audio.
pub(super) async fn run_sink() -> Result<()> {
    sink::run().await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    #[test]
    fn what_cannot_be_measured_is_said_before_anything_starts() {
        let rows = [
            ("--appliances 2 --speaking 2", ""),
            ("--appliances 1 --speaking 2", "--speaking exceeds --appliances"),
            ("--through nghttpx --mosquitto", "only the gateway has a broker"),
            ("--through direct --restart", "only the gateway has a broker"),
            ("--appliances 100000000", "open files"),
        ];
        for (line, why) in rows {
            let words = ["load"].into_iter().chain(line.split(' '));
            let said = match Line::parse_from(words).args.check() {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{line}: {said}");
        }
    }
}
