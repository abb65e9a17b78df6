//! Mosquitto in place of the gateway's own broker, as a process of its own.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// The gateway's login.
pub(super) const USER: &str = "load-gateway";
pub(super) const PASSWORD: &str = "load-gateway-password";

/// A running Mosquitto; ends when dropped.
pub(super) struct Mosquitto(Child);

impl Mosquitto {
    /// Starts it with the users and rights of the gateway's store.
    pub(super) fn start(dir: &Path, config: &Path, port: u16) -> Result<Self> {
        let exported = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(config)
            .args(["broker", "export", "--mosquitto"])
            .arg(dir)
            .stdout(Stdio::null())
            .status()?;
        ensure!(exported.success(), "the users could not be exported for Mosquitto");
        // Mosquitto gives up root's rights and then cannot read its files.
        let user = Command::new("id").arg("-un").output()?.stdout;
        let text = format!(
            "listener {port} 127.0.0.1\nuser {}\nallow_anonymous false\npassword_file {}\n\
             acl_file {}\nset_tcp_nodelay true\nlog_type none\n",
            String::from_utf8_lossy(&user).trim(),
            dir.join("passwd").display(),
            dir.join("acl").display(),
        );
        let file = dir.join("mosquitto.conf");
        std::fs::write(&file, text)?;
        // Debian keeps it where an ordinary user's PATH does not look.
        let child = ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&file).stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        child.map(Self).context("--mosquitto needs Mosquitto: apt-get install mosquitto")
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
