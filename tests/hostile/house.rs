//! A gateway process with a victim, and what is measured of both.

use std::{
    fs::File,
    process::{Child, Command},
    time::{Duration, Instant},
};

use cic_gateway::sim::appliance::{Heard, SimulatedAppliance};

use crate::support::site::{Plan, Provisioned, Site};

pub const LIMIT: Duration = Duration::from_secs(60);

/// What the gateway may take more for one appliance, whatever that sends or is sent: 16 MiB of
/// attachments, a mailbox of 256 messages of 64 KiB, and as much again for what lies about in
/// sockets, the allocator and the broker's link.
const MORE_MEMORY: u64 = 64 * 1024;
/// How much slower the victim may be served.
const SLOWER: u32 = 30;
/// What is shorter is noise.
const SHORTEST: Duration = Duration::from_millis(40);

pub struct House {
    pub site: Site,
    pub victim: SimulatedAppliance,
    gateway: Child,
    before: Duration,
    memory: u64,
}

impl House {
    /// With a victim, which has been served for a while.
    pub async fn build() -> Self {
        let mut site = Site::build(Plan { appliances: 2, ..Plan::default() }).await;
        let mosquitto = site.mosquitto.as_mut().unwrap();
        mosquitto.configure(&shipped_limits());
        mosquitto.restart();
        let log = File::create(site.dir.path().join("log")).unwrap();
        let gateway = Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
            .arg("--config")
            .arg(&site.file)
            .arg("run")
            .stderr(log)
            .spawn()
            .unwrap();
        let victim = SimulatedAppliance::start(site.appliances[1].settings.clone()).unwrap();
        is_connected(&victim).await;
        let mut house = Self { site, victim, gateway, before: Duration::ZERO, memory: 0 };
        house.latency().await;
        house.before = house.latency().await;
        house
    }

    /// The one that attacks, or is attacked.
    pub fn other(&self) -> &Provisioned {
        &self.site.appliances[0]
    }

    /// What is compared with begins now: everybody is there.
    pub fn mark(&mut self) {
        self.memory = self.peak();
    }

    /// During the attack.
    pub async fn victim_is_served(&self) {
        let bound = self.before.max(SHORTEST) * SLOWER;
        let mut seen = Vec::new();
        for _ in 0..4 {
            let latency = self.latency().await;
            if latency <= bound {
                return;
            }
            seen.push(latency);
        }
        panic!("served within {:?} before, now {seen:?}", self.before);
    }

    /// Once what was queued before it has been worked off. Its requests may be lost meanwhile.
    pub async fn victim_is_served_again(&self) {
        let end = Instant::now() + 3 * LIMIT;
        loop {
            self.victim.type_text("what time is it", None);
            let first = |heard: &Heard| matches!(heard, Heard::FirstAudio { .. });
            if self.victim.wait_for(first, Duration::from_secs(5)).await.is_some() {
                break;
            }
            assert!(Instant::now() < end, "it is never served again");
        }
        self.victim_is_served().await;
    }

    /// After it.
    pub fn memory_is_bounded(&mut self) {
        assert!(self.gateway.try_wait().unwrap().is_none(), "the gateway has ended");
        let more = self.peak() - self.memory;
        println!("{more} KiB more than {}", self.memory);
        assert!(more <= MORE_MEMORY, "{more} KiB more than {}", self.memory);
    }

    /// From a typed question to the first byte of the answer: the median of some.
    async fn latency(&self) -> Duration {
        let mut all = Vec::new();
        for _ in 0..7 {
            let start = Instant::now();
            self.victim.type_text("what time is it", None);
            let first = |heard: &Heard| matches!(heard, Heard::FirstAudio { .. });
            let (heard_at, _) = self.victim.wait_for(first, LIMIT).await.expect("an answer");
            all.push(heard_at.saturating_duration_since(start));
        }
        all.sort_unstable();
        all[all.len() / 2]
    }

    /// The most memory that the gateway ever had, KiB.
    fn peak(&self) -> u64 {
        let path = format!("/proc/{}/status", self.gateway.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.site.dir.path().join("log")).unwrap();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

pub async fn is_connected(appliance: &SimulatedAppliance) {
    let connected = |heard: &Heard| matches!(heard, Heard::Session(v) if v["state"] == "connected");
    appliance.wait_for(connected, LIMIT).await.expect("connected in time");
}

/// What the shipped configuration of Mosquitto limits.
fn shipped_limits() -> String {
    let shipped = std::fs::read_to_string("deploy/mosquitto/mosquitto.conf").unwrap();
    let limits: Vec<_> = shipped.lines().filter(|line| line.starts_with("max_")).collect();
    assert_eq!(limits.len(), 3, "{limits:?}");
    limits.join("\n")
}
