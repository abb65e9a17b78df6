//! Time, and what happens next.

use std::{collections::BTreeMap, time::Duration};

use cic_gateway::{
    appliance::{alerts::AlertSettings, core::CoreSettings, message::Down},
    cic::{link, message::Notice},
    clock::Now,
    profile::Profiles,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    accounts::Accounts,
    checker::Checker,
    cloud::{self, Cloud},
    house::{self, House, Said},
    process::{Process, Refresh},
    store::{Fate, Store, Writing},
    weather::{self, Weather},
};

/// Something that happens at its time.
pub enum Event {
    /// A session tells its actor.
    Notice { life: u64, generation: u64, notice: Notice },
    /// The store has done with a save.
    Written(Box<Writing>, Fate),
    /// The auth server has answered.
    Refreshed { life: u64, pairing: i64, refresh: Refresh },
    /// Refreshed tokens go into the store.
    StoreTokens { life: u64, pairing: i64, refresh: u64 },
    /// The process looks what has become of the pairing.
    Follow { life: u64 },
    /// The broker has something of the appliance for the gateway.
    Said(Said),
    /// The broker has something for the appliance.
    Heard { life: u64, down: Box<Down> },
    /// A request has reached CIC whole.
    Arrived(cloud::Request),
    /// CIC does something by itself.
    Cloud(cloud::Act),
    /// The appliance does something by itself.
    House(house::Act),
    /// Faults.
    Weather(weather::Act),
    /// Somebody does something with the appliance.
    User,
    /// A minute has passed.
    Tick,
}

/// Everything.
pub struct World {
    pub seed: u64,
    pub rng: SmallRng,
    pub is_told: bool,
    /// Since the beginning.
    pub at: Duration,
    start: Now,
    /// How wrong the gateway's wall clock is.
    pub clock_error: SignedDuration,
    queue: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    pub inputs: u64,
    wakes: u32,
    pub settings: CoreSettings,
    pub process: Option<Process>,
    /// Processes and actors so far.
    pub lives: u64,
    pub store: Store,
    pub accounts: Accounts,
    pub cloud: Cloud,
    pub house: House,
    pub weather: Weather,
    pub checker: Checker,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {:?}; to play it again: SIMULATION_SEED={}", self.at, self.seed);
        }
    }
}

impl World {
    pub fn new(seed: u64, is_told: bool) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let start =
            Now { mono: std::time::Instant::now(), wall: "2026-03-02T09:00:00Z".parse().unwrap() };
        let settings = settings(&mut rng);
        let house = House::new(&mut rng);
        let mut world = Self {
            seed,
            rng,
            is_told,
            at: Duration::ZERO,
            start,
            clock_error: SignedDuration::ZERO,
            queue: BTreeMap::new(),
            scheduled: 0,
            inputs: 0,
            wakes: 0,
            settings,
            process: None,
            lives: 0,
            store: Store::default(),
            accounts: Accounts::default(),
            cloud: Cloud::default(),
            house,
            weather: Weather::default(),
            checker: Checker::default(),
        };
        world.pair();
        world.start_process();
        world.appliance_comes();
        world.after(Duration::from_secs(60), Event::Tick);
        world
    }

    /// Lets everything go wrong for so long, then mends it and looks whether all is well.
    pub fn live(&mut self, long: Duration) {
        self.make_weather(long);
        self.run_until(long);
        self.mend();
        let connected_by = long + Duration::from_secs(12 * 60);
        self.run_until(connected_by);
        assert!(self.is_connected(), "P4: not connected long after the last fault");
        for _ in 0..6 * 90 {
            match self.disagreement() {
                None => return,
                Some(why) => self.tell(|| format!("not yet: {why}")),
            }
            self.run_until(self.at + Duration::from_secs(10));
        }
        panic!("P4: {}", self.disagreement().unwrap_or_default());
    }

    /// The clocks as the gateway sees them.
    pub fn now(&self) -> Now {
        let right = self.start.plus(self.at);
        Now { wall: right.wall.checked_add(self.clock_error).unwrap(), ..right }
    }

    /// The right time.
    pub fn true_time(&self) -> Timestamp {
        self.start.plus(self.at).wall
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{:>12.3} {}", self.at.as_secs_f64(), what());
        }
    }

    pub fn after(&mut self, wait: Duration, event: Event) {
        self.at_time(self.at + wait, event);
    }

    pub fn at_time(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at, self.scheduled), event);
    }

    /// Takes events out before their time.
    pub fn take_events(&mut self, is_wanted: impl Fn(&Event) -> bool) -> Vec<(Duration, Event)> {
        let keys: Vec<_> =
            self.queue.iter().filter(|(_, e)| is_wanted(e)).map(|(key, _)| *key).collect();
        keys.into_iter().map(|key| (key.0, self.queue.remove(&key).unwrap())).collect()
    }

    /// A random time, milliseconds.
    pub fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    pub fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    pub fn run_until(&mut self, end: Duration) {
        loop {
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wake = self.wake_at();
            let Some(next) = event.into_iter().chain(wake).min().filter(|next| *next <= end) else {
                break;
            };
            self.at = next;
            // One that is late is no better than one in time.
            if wake == Some(next) && event != Some(next) {
                self.wake();
            } else if let Some((_, event)) = self.queue.pop_first() {
                self.wakes = 0;
                self.happen(event);
            }
        }
        self.at = end;
    }

    fn wake_at(&self) -> Option<Duration> {
        let due = self.process.as_ref()?.core.poll_timeout()?;
        Some(due.saturating_duration_since(self.start.mono).max(self.at))
    }

    fn wake(&mut self) {
        self.wakes += 1;
        assert!(self.wakes < 2000, "P5: it wants to be woken for ever");
        let before = self.at;
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.core.handle_timeout(now);
        }
        self.inputs += 1;
        self.perform();
        let again = self.wake_at().is_some_and(|at| at <= before);
        assert!(!again, "P5: a deadline that has passed stays: {:#?}", self.process);
        self.check_occurrences();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Notice { life, generation, notice } => self.notice(life, generation, notice),
            Event::Written(writing, fate) => self.written(*writing, fate),
            Event::Refreshed { life, pairing, refresh } => self.refreshed(life, pairing, refresh),
            Event::StoreTokens { life, pairing, refresh } => {
                self.store_tokens(life, pairing, refresh);
            }
            Event::Follow { life } => self.follow_store(life),
            Event::Said(said) => self.said(said),
            Event::Heard { life, down } => self.heard(life, *down),
            Event::Arrived(request) => self.arrived(request),
            Event::Cloud(act) => self.cloud_acts(act),
            Event::House(act) => self.house_acts(act),
            Event::Weather(act) => self.weather_acts(act),
            Event::User => self.user_acts(),
            Event::Tick => self.tick(),
        }
        self.check_occurrences();
    }

    fn tick(&mut self) {
        self.after(Duration::from_secs(60), Event::Tick);
        self.resend_orders();
        self.look_after_pairing();
        self.check_calm();
        if self.chance(60) {
            self.check_size();
        }
    }
}

fn settings(rng: &mut SmallRng) -> CoreSettings {
    let models = ["speaker", "display-speaker", "refrigerator", "none"];
    let profiles = Profiles::load(None, &TimeZone::UTC).unwrap();
    let seconds = |s: u64| Duration::from_secs(s);
    CoreSettings {
        device_id: "device".into(),
        lang: "ko".into(),
        max_utterance: seconds([5, 60][rng.random_range(0..2)]),
        linger: seconds([1, 60, 600][rng.random_range(0..3)]),
        result_timeout: seconds(4),
        profile: profiles.for_model(models[rng.random_range(0..models.len())]).clone(),
        alerts: AlertSettings {
            forget_offline: rng.random_ratio(1, 8),
            past_due_window: seconds([120, 1800][rng.random_range(0..2)]),
            ring_timeout: seconds([90, 3600][rng.random_range(0..2)]),
        },
        link: link::Policy::default(),
        seed: rng.random(),
    }
}
