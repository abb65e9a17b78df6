//! A process that is measured, and what the operating system says of it.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`; Linux fixes it for user space.
const TICKS: f64 = 100.0;

/// Ends when dropped.
pub(super) struct Measured(Child);

impl Measured {
    /// Starts it, if there is such a program.
    pub(super) fn start(command: &mut Command) -> std::io::Result<Self> {
        command.stdin(Stdio::null()).spawn().map(Self)
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }

    /// Ends it as an operator would, and waits for it; a deaf one is killed.
    pub(super) async fn stop(mut self, patience: Duration) -> Result<()> {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("kill")?;
        let ended = async {
            while !self.has_ended() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(patience, ended).await.context("it does not end when told to")
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
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

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_its_name() {
        let status = "Name:\tx\nVmHWM:\t  1500 kB\nVmRSS:\t  1200 kB\n";
        assert_eq!(kib(status, "VmRSS:").unwrap(), 1200.0);
        assert_eq!(kib(status, "VmHWM:").unwrap(), 1500.0);
        assert!(kib("", "VmRSS:").is_err());
    }
}
