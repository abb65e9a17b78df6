//! The gateway that is measured: a process of its own, and what its own metrics say.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::process::Measured;

const POLL: Duration = Duration::from_millis(50);

/// The gateway's process; ends when dropped.
pub(super) struct Gateway {
    process: Option<Measured>,
    config: PathBuf,
    http: u16,
}

/// Ports that were free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Gateway {
    /// Starts it with a configuration file; returns once it is ready.
    pub(super) async fn start(config: &Path, http: u16, patience: Duration) -> Result<Self> {
        let process = Some(spawn(config)?);
        let mut gateway = Self { process, config: config.to_owned(), http };
        gateway.ready(patience).await?;
        Ok(gateway)
    }

    /// Ends it and starts it again, while its appliances wait; returns how long it takes until
    /// all of them are connected.
    pub(super) async fn restart(
        &mut self,
        appliances: usize,
        patience: Duration,
    ) -> Result<Duration> {
        if let Some(old) = self.process.take() {
            old.stop(patience).await?;
        }
        let start = Instant::now();
        self.process = Some(spawn(&self.config)?);
        self.ready(patience).await?;
        while self.connected().await? < appliances as f64 {
            ensure!(start.elapsed() < patience, "not all appliances came back within {patience:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(start.elapsed())
    }

    async fn ready(&mut self, patience: Duration) -> Result<()> {
        let start = Instant::now();
        while self.get("readyz").await.is_err() {
            let ended = self.process.as_mut().is_none_or(Measured::has_ended);
            ensure!(!ended, "the gateway ends at once");
            ensure!(start.elapsed() < patience, "the gateway does not become ready");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The process, between restarts.
    pub(super) fn process(&self) -> Result<&Measured> {
        self.process.as_ref().context("the gateway does not run")
    }

    async fn connected(&self) -> Result<f64> {
        let metrics = self.metrics().await?;
        let line = metrics.lines().find_map(|line| {
            line.strip_prefix("cic_gateway_appliances{state=\"connected\"} ")?.parse().ok()
        });
        Ok(line.unwrap_or(0.0))
    }

    async fn get(&self, path: &str) -> Result<String> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/{path}", self.http)).await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Its metrics, as text.
    pub(super) async fn metrics(&self) -> Result<String> {
        self.get("metrics").await
    }
}

fn spawn(config: &Path) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--config").arg(config).arg("run");
    Measured::start(&mut command).context("the gateway does not start")
}
