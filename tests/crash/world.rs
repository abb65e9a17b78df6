//! Everything that takes part: one process that dies, and what lives on.

use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use cic_gateway::{
    sim::{
        appliance::{ApplianceHost, Heard, SimulatedAppliance},
        cic::{SimSettings, Synchronizing},
    },
    store::SharedStore,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    LIMIT,
    support::site::{BrokerKind, Plan, Provisioned, Site, StoreKind},
};

/// Lines of an alert's story that are told.
const STORY: usize = 60;
/// In one process.
const APPLIANCES: usize = 6;

/// Token and time: what identifies an occurrence.
pub type Key = (String, String);

/// What one appliance was told, and did.
#[derive(Default)]
pub struct Log {
    /// Everything that happened to it, for whoever has to find out why.
    pub history: Vec<String>,
    /// Named by `set` or `ring` since the process started.
    pub announced: HashSet<Key>,
    /// Every occurrence that began to ring, in order.
    pub rung: Vec<Key>,
    /// Every occurrence that was ordered to be silent.
    stopped: HashSet<Key>,
    /// `ring` of an occurrence that had been stopped: the store was too slow for `stop` to wait
    /// for it, and the process died in between.
    pub rung_again: usize,
    /// Tokens of those that the appliance did not ring again, but the gateway believes to ring.
    pub absorbed: BTreeSet<String>,
    /// What rang, was changed by the user, and was never reported.
    pub excused: HashSet<Key>,
    /// Tokens that somebody has stopped, deleted or changed in this round.
    pub touched: BTreeSet<String>,
    /// Those of the round before: on a busy machine the press of a button may wait in the broker
    /// until the next process reads it, before it announces anything.
    pub late: BTreeSet<String>,
    /// Somebody has pressed the button that stops all, in this round and in the one before.
    pub all_pressed: bool,
    pub all_late: bool,
}

impl Log {
    fn note(&mut self, heard: &Heard, last: &mut Option<Key>) {
        match heard {
            Heard::Alert(value) => {
                let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
                let key = (text("token"), text("scheduledTime"));
                *last = Some(key.clone());
                self.told(value, key);
            }
            Heard::Rings { .. } => self.rung.extend(last.clone()),
            Heard::Session(session) => {
                self.write(session["state"].as_str().unwrap_or_default(), "*");
            }
            _ => {}
        }
    }

    pub fn write(&mut self, what: &str, token: &str) {
        let now = jiff::Timestamp::now();
        self.history.push(format!("{now:.6} {what} {token}"));
    }

    /// What happened to one alert, and to all.
    pub fn story(&self, token: &str) -> String {
        let about = |line: &&String| line.ends_with(token) || line.ends_with('*');
        let lines: Vec<_> = self.history.iter().filter(about).cloned().collect();
        lines[lines.len().saturating_sub(STORY)..].join("\n")
    }

    /// Whether a button that was pressed before the kill may end it before it is announced.
    pub fn may_end(&self, token: &String) -> bool {
        self.all_late || self.touched.contains(token) || self.late.contains(token)
    }

    fn told(&mut self, value: &Value, key: Key) {
        let action = value["action"].as_str().unwrap_or_default();
        self.write(&format!("is told to {action} {}", key.1), &key.0);
        match value["action"].as_str() {
            Some("ring") if self.stopped.contains(&key) => {
                self.rung_again += 1;
                self.absorbed.insert(key.0.clone());
            }
            Some("stop") => {
                self.absorbed.remove(&key.0);
                self.stopped.insert(key);
                return;
            }
            _ => drop(self.absorbed.remove(&key.0)),
        }
        if matches!(value["action"].as_str(), Some("set" | "ring")) {
            self.announced.insert(key);
        }
    }
}

/// One appliance and what is known of it.
pub struct Home {
    pub known: Provisioned,
    pub appliance: Arc<SimulatedAppliance>,
    /// Half of them are talked to; of the others the app asks for the whole list. Both in one home
    /// would be the cloud's mistake: an alert that is set in a response (one that was asked for
    /// aloud, the heir of one that was stopped, with a token of its own) may overtake an older
    /// list on the downchannel, which does not name it. No client can make sense of that.
    pub talks: bool,
    log: Arc<Mutex<Log>>,
    changed: watch::Receiver<()>,
}

impl Home {
    fn start(host: &ApplianceHost, known: Provisioned, talks: bool) -> Self {
        let appliance = Arc::new(host.add(known.settings.clone()));
        let log = Arc::new(Mutex::new(Log::default()));
        let (tell, changed) = watch::channel(());
        let (listener, notes) = (appliance.clone(), log.clone());
        tokio::spawn(async move {
            let mut last = None;
            while !tell.is_closed() {
                if let Some((_, heard)) = listener.next(LIMIT).await {
                    notes.lock().unwrap().note(&heard, &mut last);
                    tell.send_replace(());
                }
            }
        });
        Self { known, appliance, talks, log, changed }
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    pub fn device(&self) -> &str {
        &self.known.device
    }

    /// Waits until something was heard, but not long.
    pub async fn hear(&self) {
        let mut changed = self.changed.clone();
        changed.mark_unchanged();
        let _ = tokio::time::timeout(Duration::from_millis(20), changed.changed()).await;
    }

    pub async fn ringing(&self) -> BTreeSet<String> {
        let alerts = self.appliance.alerts().await.into_iter();
        alerts.filter(|(_, alert)| alert.ringing).map(|(token, _)| token).collect()
    }
}

/// Everything that takes part.
pub struct World {
    pub homes: Vec<Home>,
    pub store: SharedStore,
    process: Option<Child>,
    log: PathBuf,
    pub kills: usize,
    pub alone: usize,
    pub checked: usize,
    pub repeated: usize,
    pub site: Site,
    _host: ApplianceHost,
}

impl World {
    pub async fn build(store: StoreKind) -> Self {
        let sim = SimSettings {
            tls: false,
            channel_interval: Duration::ZERO,
            // In order with what the app does: lists and changes that cross each other on two
            // streams are the cloud's mistake, not the gateway's.
            synchronizing: Synchronizing::OnChannel,
            ..SimSettings::default()
        };
        let broker = BrokerKind::Mosquitto;
        let appliances = APPLIANCES;
        let site = Site::build(Plan { broker, store, sim, appliances, ..Plan::default() }).await;
        let host = ApplianceHost::start().unwrap();
        let home = |(number, known): (usize, &Provisioned)| {
            Home::start(&host, known.clone(), number.is_multiple_of(2))
        };
        let homes = site.appliances.iter().enumerate().map(home).collect();
        let name = format!("crash-{store:?}.log").to_lowercase();
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        File::create(&log).unwrap();
        Self {
            homes,
            store: site.store().await,
            process: None,
            log,
            kills: 0,
            alone: 0,
            checked: 0,
            repeated: 0,
            site,
            _host: host,
        }
    }

    /// Starts the process.
    pub fn start(&mut self) {
        let log = File::options().append(true).open(&self.log).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
            .arg("--config")
            .arg(&self.site.file)
            .arg("run")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap());
        self.homes.iter().for_each(|home| home.log().write("started", "*"));
    }

    /// SIGKILL; returns once CIC has seen the end of its connections, too.
    pub async fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself, see {}", self.place());
        process.kill().unwrap();
        process.wait().unwrap();
        self.kills += 1;
        self.homes.iter().for_each(|home| home.log().write("killed", "*"));
        assert!(self.site.cic.wait_for_channels(0, LIMIT).await, "CIC sees that it is gone");
        let mosquitto = self.site.mosquitto.as_mut();
        assert!(!mosquitto.is_some_and(|m| m.has_ended()), "somebody has ended Mosquitto");
    }

    pub fn place(&self) -> String {
        self.log.display().to_string()
    }

    pub fn forget_announcements(&self) {
        self.homes.iter().for_each(|home| home.log().announced.clear());
    }

    pub fn begin_anew(&self) {
        for home in &self.homes {
            let mut log = home.log();
            log.late = std::mem::take(&mut log.touched);
            log.all_late = std::mem::take(&mut log.all_pressed);
        }
    }

    /// What was seen, for people.
    pub fn sums(&self) -> String {
        let rung: usize = self.homes.iter().map(|home| home.log().rung.len()).sum();
        let excused: usize = self.homes.iter().map(|home| home.log().excused.len()).sum();
        let again: usize = self.homes.iter().map(|home| home.log().rung_again).sum();
        format!(
            "{} kills, {} rounds without CIC after the restart; {} confirmed alerts looked for in \
             the store; {rung} rings, {again} of a stopped occurrence absorbed by its token and \
             time, {excused} unreported because they were changed while the process was dead; \
             {} events sent again under their message id",
            self.kills, self.alone, self.checked, self.repeated,
        )
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
