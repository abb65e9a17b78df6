//! What users do while the process lives.

use std::{collections::HashSet, time::Duration};

use cic_gateway::{
    appliance::alerts::AlertKind,
    sim::cic::{AlertStage, CloudAlert, NewAlert, SimulatedCic},
};
use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::{
    LIMIT,
    world::{Home, World},
};

/// With so many alerts, users begin to delete.
const MANY: usize = 8;
/// Longest pause between two deeds of one user, milliseconds.
const PAUSE: u64 = 90;
/// What comes due within this may ring when a button that stops all arrives.
const SOON: Duration = Duration::from_secs(120);

impl World {
    /// Every home lives for so long.
    pub async fn live(&self, rng: &mut StdRng, life: Duration) {
        let lives = self.homes.iter().map(|home| {
            let rng = StdRng::seed_from_u64(rng.random());
            live(home, &self.site.cic, rng)
        });
        let _ = tokio::time::timeout(life, futures_util::future::join_all(lives)).await;
    }

    /// What the gateway believes to ring, and does not, is stopped for good.
    pub fn stop_absorbed(&self) {
        for home in &self.homes {
            let absorbed = home.log().absorbed.clone();
            for token in absorbed {
                home.log().touched.insert(token.clone());
                home.appliance.stop_alert(Some(&token));
            }
        }
    }

    /// With CIC away, some of what rings is stopped with the button, and falls silent.
    pub async fn stop_something(&self, rng: &mut StdRng) {
        for home in &self.homes {
            // What still rings from before the kill, and of which nothing was heard since, is not
            // yet known to ring: a press may come to the gateway before it rings it again.
            let heard: HashSet<String> = home.log().announced.iter().map(|k| k.0.clone()).collect();
            let ringing = home.ringing().await.into_iter();
            let ringing: Vec<String> = ringing.filter(|token| heard.contains(token)).collect();
            let Some(token) = ringing.choose(rng).filter(|_| rng.clone().random_bool(0.5)) else {
                continue;
            };
            home.log().touched.insert(token.clone());
            home.appliance.stop_alert(Some(token));
            let silent = async {
                while home.ringing().await.contains(token) {
                    home.hear().await;
                }
            };
            let silent = tokio::time::timeout(LIMIT, silent).await;
            let story = home.log().story(token);
            assert!(silent.is_ok(), "{token} must fall silent:\n{story}\nsee {}", self.place());
        }
    }
}

async fn live(home: &Home, cic: &SimulatedCic, mut rng: StdRng) {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PAUSE))).await;
        act(home, cic, &mut rng);
    }
}

fn act(home: &Home, cic: &SimulatedCic, rng: &mut StdRng) {
    let device = home.device();
    let alerts = cic.alerts(device);
    let one = alerts.choose(rng).cloned();
    let deed =
        if alerts.len() > MANY { rng.random_range(40..100) } else { rng.random_range(0..100) };
    let touch = |alert: &CloudAlert| {
        home.log().write(&format!("touched ({deed})"), &alert.token);
        home.log().touched.insert(alert.token.clone());
    };
    let touch_ringing = || {
        let now = Timestamp::now();
        let soon = alerts.iter().filter(|alert| alert.due < now + SOON);
        soon.for_each(&touch);
    };
    match (deed, one) {
        (0..40, _) | (_, None) => {
            let token = set(home, cic, rng);
            home.log().write("set by app", &token);
        }
        (40..50, Some(alert)) => {
            touch(&alert);
            cic.edit_alert(device, &alert.token, due(rng));
        }
        (50..62, Some(alert)) => {
            touch(&alert);
            cic.delete_alert(device, &alert.token);
        }
        (62..80, Some(alert)) => {
            let ringing = alerts.iter().find(|alert| alert.stage == AlertStage::Ringing);
            let alert = ringing.unwrap_or(&alert);
            touch(alert);
            match rng.random_bool(0.5) {
                true => drop(cic.stop_alert(device, &alert.token)),
                false => home.appliance.stop_alert(Some(&alert.token)),
            }
        }
        (80..84, _) => {
            touch_ringing();
            home.log().all_pressed = true;
            home.appliance.stop_alert(None);
        }
        (84..88, _) => {
            touch_ringing();
            home.log().all_pressed = true;
            home.appliance.type_text("stop", None);
        }
        (88..92, Some(alert)) => {
            touch(&alert);
            home.appliance.delete_alert(&alert.token);
        }
        (92..94, _) => {
            let kind = kind(rng);
            alerts.iter().filter(|alert| alert.kind == kind).for_each(touch);
            cic.clear_alerts(device, kind);
        }
        (94.., _) if home.talks => home.appliance.type_text("set a timer for one second", None),
        _ => {
            home.log().write("synchronised by app", "*");
            cic.synchronize_alerts(device);
        }
    }
}

fn set(home: &Home, cic: &SimulatedCic, rng: &mut StdRng) -> String {
    let new = NewAlert::new(kind(rng), due(rng));
    let new = match rng.random_range(0..10) {
        which @ 0..2 => {
            let every = Duration::from_millis(rng.random_range(400..3000));
            new.every(every, which == 1 && home.talks)
        }
        _ => new.label("water the plants"),
    };
    cic.set_alert(home.device(), &new)
}

fn kind(rng: &mut StdRng) -> AlertKind {
    *AlertKind::ALL.choose(rng).unwrap()
}

/// Most come due while the process lives or is dead, some much later.
fn due(rng: &mut StdRng) -> Timestamp {
    let millis = match rng.random_range(0..10) {
        0..7 => rng.random_range(10..900),
        7..9 => rng.random_range(900..6000),
        _ => 3_600_000 + rng.random_range(0..1_000_000),
    };
    Timestamp::now() + Duration::from_millis(millis)
}
