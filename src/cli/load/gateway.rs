//! The gateway that is measured: a process of its own, and what the operating system and its own
//! metrics say of it.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`; Linux fixes it for user space.
const TICKS: f64 = 100.0;

/// The gateway's process; ends when dropped.
pub(super) struct Gateway {
    child: Child,
    http: u16,
}

/// Ports that were free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Gateway {
    /// Starts it with a configuration file; returns once it is ready.
    pub(super) async fn start(config: &Path, http: u16, patience: Duration) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(config)
            .arg("run")
            .stdin(Stdio::null())
            .spawn()
            .context("the gateway does not start")?;
        let gateway = Self { child, http };
        let ready = async {
            while gateway.get("readyz").await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ready = tokio::time::timeout(patience, ready).await;
        ready.context("the gateway does not become ready")?;
        Ok(gateway)
    }

    async fn get(&self, path: &str) -> Result<String> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/{path}", self.http)).await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Its metrics, as text.
    pub(super) async fn metrics(&self) -> Result<String> {
        self.get("metrics").await
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| path)
    }

    /// Processor time that it has used so far.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        let fields: Vec<&str> =
            stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat has another form")?;
        Ok((user + system) / TICKS)
    }

    /// Memory that it uses now, KiB.
    pub(super) fn resident_kib(&self) -> Result<f64> {
        kib(&self.proc("status")?, "VmRSS:")
    }

    /// The most that it has used, KiB.
    pub(super) fn peak_kib(&self) -> Result<f64> {
        kib(&self.proc("status")?, "VmHWM:")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kib(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("/proc/PID/status has another form")
}

/// How many files this process may have open.
pub(super) fn open_files_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
