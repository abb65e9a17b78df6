//! Real peers for the tests, each on a free port: PostgreSQL, Mosquitto, and a whole gateway.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod cli;
pub mod house;
pub mod logs;
pub mod onlooker;
pub mod pki;
pub mod proxy;
pub mod puppet;
pub mod scripted;
pub mod site;
pub mod stage;

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for_port(port: u16, what: &str) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} does not accept connections");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Mosquitto with a password and an access file.
pub struct Mosquitto {
    child: Child,
    pub port: u16,
    dir: tempfile::TempDir,
}

impl Mosquitto {
    /// Starts it; `files` holds `passwd` and `acl` as `broker export` writes them.
    pub fn start(files: &Path) -> Self {
        Self::start_with(files, "")
    }

    /// As [`Mosquitto::start`], with more lines of configuration.
    pub fn start_with(files: &Path, more: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        // Mosquitto gives up root's rights: it must be able to read its files all the same.
        for name in ["passwd", "acl"] {
            std::fs::copy(files.join(name), dir.path().join(name)).unwrap();
        }
        let mosquitto = |name: &str| dir.path().join(name).display().to_string();
        let user = if is_root() { "user root\n" } else { "" };
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\n{user}password_file {}\nacl_file {}\n{more}\n",
            mosquitto("passwd"),
            mosquitto("acl"),
        );
        Self::start_in(dir, port, &config)
    }

    /// With the configuration that is shipped, on a port of its own.
    pub fn start_shipped(files: &Path) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        for name in ["passwd", "acl"] {
            std::fs::copy(files.join(name), dir.path().join(name)).unwrap();
        }
        let shipped = std::fs::read_to_string("deploy/mosquitto/mosquitto.conf").unwrap();
        let here = dir.path().display().to_string();
        let mut config = shipped
            .replace("\nlistener 1883\n", &format!("\nlistener {port} 127.0.0.1\n"))
            .replace("/mosquitto/auth", &here)
            .replace("/mosquitto/data", &here);
        assert!(config.contains(&format!("acl_file {here}/acl")) && config.contains("127.0.0.1"));
        if is_root() {
            config += "\nuser root\n";
        }
        Self::start_in(dir, port, &config)
    }

    fn start_in(dir: tempfile::TempDir, port: u16, config: &str) -> Self {
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let child = Self::spawn(dir.path());
        wait_for_port(port, "mosquitto");
        Self { child, port, dir }
    }

    /// More lines of configuration, from the next [`Mosquitto::restart`] on.
    pub fn configure(&self, more: &str) {
        let path = self.dir.path().join("mosquitto.conf");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{config}{more}\n")).unwrap();
    }

    fn spawn(dir: &Path) -> Child {
        let program = ["/usr/sbin/mosquitto", "mosquitto"]
            .into_iter()
            .find(|program| Command::new(program).arg("-h").stdout(Stdio::null()).status().is_ok());
        let program = program.expect("install it: apt-get install mosquitto");
        let log = std::fs::File::create(dir.join("mosquitto.log")).unwrap();
        Command::new(program)
            .arg("-c")
            .arg(dir.join("mosquitto.conf"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Whether it has ended, by itself or by somebody's hand.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it and starts it again; it remembers nothing.
    pub fn restart(&mut self) {
        self.kill();
        self.child = Self::spawn(self.dir.path());
        wait_for_port(self.port, "mosquitto");
    }

    /// Replaces its access file and has it read again, for those who are connected too.
    pub fn change_rights(&self, acl: &str) {
        std::fs::write(self.dir.path().join("acl"), acl).unwrap();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGSTOP: its socket stays open, and nothing moves.
    pub fn freeze(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-CONT", &id]).status().unwrap().success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// A PostgreSQL server of its own.
pub struct Postgres {
    child: Child,
    pub url: String,
    port: u16,
    dir: tempfile::TempDir,
}

impl Postgres {
    pub fn start() -> Self {
        let bin = postgres_bin();
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let data = dir.path().join("data");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(dir.path()).status().unwrap();
            assert!(owned.success());
        }
        let made = as_postgres(&bin.join("initdb"))
            .args(["--auth=trust", "--no-sync", "--username=test", "-D"])
            .arg(&data)
            .current_dir("/")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        let child = Self::spawn(dir.path(), port);
        Self { child, url: format!("postgres://test@127.0.0.1:{port}/postgres"), port, dir }
    }

    fn spawn(dir: &Path, port: u16) -> Child {
        let child = as_postgres(&postgres_bin().join("postgres"))
            .arg("-D")
            .arg(dir.join("data"))
            .args(["-p", &port.to_string(), "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"])
            .arg("-k")
            .arg(dir)
            .current_dir("/")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_port(port, "postgres");
        child
    }

    /// SIGINT: connections are cut, and it ends in order.
    pub fn stop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }

    /// Starts it again with the same data on the same port.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(self.dir.path(), self.port);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT: at once, and its children with it.
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn postgres_bin() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bins = versions.map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("initdb").exists())
        .max()
        .expect("install it: apt-get install postgresql")
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    // `setpriv` replaces itself, so that signals reach the server.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}
