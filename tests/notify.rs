//! What systemd is told by `cic-gateway run`, over the socket that systemd would give it.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

use support::cli::Cli;

const HUB: &str = "[broker]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndata_dir = \"broker\"\n\
                   [http]\nlisten = \"127.0.0.1:0\"\n[telemetry]\nlog = \"warn\"\n";
const NO_BROKER: &str = "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n\
                         [http]\nlisten = \"127.0.0.1:0\"\n[telemetry]\nlog = \"error\"\n";

/// A gateway, and the socket of its service manager.
struct Service {
    socket: UnixDatagram,
    child: Child,
    _cli: Cli,
}

impl Service {
    fn start(config: &str, watchdog: Option<Duration>) -> Self {
        let cli = Cli::with(config);
        let path = cli.path("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut command = cli.command(&["run"]);
        command.env("NOTIFY_SOCKET", &path).stderr(Stdio::inherit());
        if let Some(limit) = watchdog {
            command.env("WATCHDOG_USEC", limit.as_micros().to_string());
        }
        let child = command.spawn().unwrap();
        Self { socket, child, _cli: cli }
    }

    fn hears(&self) -> String {
        let mut datagram = [0; 512];
        let length = self.socket.recv(&mut datagram).expect("it says something in time");
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    }

    fn until(&self, wanted: &str) -> String {
        loop {
            let heard = self.hears();
            if heard.contains(wanted) {
                return heard;
            }
        }
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_hub_says_that_it_is_up_that_it_lives_and_that_it_ends() {
    let mut hub = Service::start(HUB, Some(Duration::from_millis(600)));
    assert!(hub.hears().starts_with("READY=1\n"));
    let heard = hub.until("STATUS=connected to the MQTT broker");
    assert!(heard.contains("WATCHDOG=1") || hub.until("WATCHDOG=1").contains("STATUS=connected"));
    hub.until("WATCHDOG=1");
    hub.terminate();
    hub.until("STOPPING=1");
    assert!(hub.child.wait().unwrap().success());
}

#[test]
fn a_gateway_without_its_broker_is_up_and_alive_and_says_what_is_missing() {
    let gateway = Service::start(NO_BROKER, Some(Duration::from_millis(600)));
    let heard = gateway.hears();
    assert!(heard.starts_with("READY=1\n"), "{heard}");
    assert!(heard.contains("STATUS=not connected to the MQTT broker"), "{heard}");
    gateway.until("WATCHDOG=1");
    gateway.until("WATCHDOG=1");
}

#[test]
fn without_a_watchdog_only_the_state_is_told() {
    let hub = Service::start(HUB, None);
    assert!(hub.hears().starts_with("READY=1\n"));
    let heard = hub.until("STATUS=connected to the MQTT broker");
    assert!(!heard.contains("WATCHDOG"), "{heard}");
}
