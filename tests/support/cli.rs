//! The program itself, run as a command with a configuration of the test's own.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// A folder with a configuration.
pub struct Cli {
    pub dir: tempfile::TempDir,
}

impl Cli {
    /// With these lines, and a store of its own.
    pub fn with(config: &str) -> Self {
        let cli = Self { dir: tempfile::tempdir().unwrap() };
        cli.configure(config);
        cli
    }

    /// Replaces the configuration; the store stays.
    pub fn configure(&self, config: &str) {
        let store = format!("[store]\nurl = \"sqlite://{}\"\n", self.path("store.db").display());
        std::fs::write(self.path("gateway.toml"), format!("{config}\n{store}")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command, for more environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cic-gateway"));
        command.arg("--config").arg(self.path("gateway.toml")).args(args);
        command.current_dir(self.dir.path());
        command
    }

    /// Runs it; exit code and everything that it printed.
    pub fn run(&self, args: &[&str]) -> (i32, String) {
        shown(&self.command(args).output().unwrap())
    }
}

/// Exit code and everything that was printed.
pub fn shown(output: &Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
}
