//! The gateway is killed with SIGKILL at random instants while alerts are being set, edited,
//! deleted, ringing and stopped; afterwards cloud, store and appliances agree, and the promises
//! that it made before its death hold.
//!
//! One real process (`cic-gateway run`) serves several appliances, so that each kill hits many
//! states. Mosquitto, the simulated CIC and the appliances live on. In half of the rounds CIC
//! cannot be reached after the restart, or its list would hide a lost alert.
//!
//! What holds after each kill:
//!
//! 1. What the device has confirmed with SetAlertSucceeded is in the store, unless somebody has
//!    deleted, stopped or changed it since.
//! 2. Without CIC, everything that the store holds is announced to the appliance again, and can be
//!    stopped there.
//! 3. With CIC back, its list, the store and the appliance hold the same alerts, the same of them
//!    ring, and no report is owed.
//! 4. What nobody has touched is still there.
//! 5. No occurrence rings twice, except that the gateway repeats `ring` or `stop` with the same
//!    token and time; the appliance tells by these, and the number is printed.
//! 6. CIC gets AlertStarted and AlertStopped once for each occurrence. It refuses nothing but an
//!    event whose answer the dead process never noted (the same message id again).
//!
//! `CRASH_SEED` repeats a run as far as time allows; `CRASH_POINTS=450` makes it a thorough one,
//! for the nightly hours: a kill takes about a second.

#![allow(clippy::unwrap_used)]

mod deeds;
#[path = "../support/mod.rs"]
mod support;
mod verdict;
mod world;

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use cic_gateway::sim::cic::Reach;
use support::site::StoreKind;
use world::World;

/// How often a process is killed, on each store.
const POINTS: usize = 80;
/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

async fn crash(store: StoreKind) {
    let seed = number("CRASH_SEED").unwrap_or_else(rand::random);
    let points = number("CRASH_POINTS").map_or(POINTS, |points| points as usize);
    println!("{store:?}: CRASH_SEED={seed} CRASH_POINTS={points}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::build(store).await;
    world.start();
    world.settled().await;
    let started = std::time::Instant::now();
    while world.kills < points {
        round(&mut world, &mut rng).await;
    }
    println!("{store:?}: {} in {:.1} s", world.sums(), started.elapsed().as_secs_f64());
}

/// Life goes on until the process dies; then it is looked at from all sides.
async fn round(world: &mut World, rng: &mut StdRng) {
    let life = Duration::from_millis(rng.random_range(5..700));
    world.live(rng, life).await;
    world.kill().await;
    let mut confirmed = world.confirmed();
    world.check_store(&confirmed).await;
    let alone = rng.random_bool(0.5);
    if alone {
        world.alone += 1;
        world.site.cic.set_reach(Reach::Refused);
    }
    world.forget_announcements();
    world.start();
    if rng.random_bool(0.3) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
        world.kill().await;
        confirmed = world.still(confirmed);
        world.check_store(&confirmed).await;
        world.forget_announcements();
        world.start();
    }
    if alone {
        world.check_announcements().await;
        world.stop_something(rng).await;
        world.site.cic.set_reach(Reach::Whole);
    }
    world.settled().await;
    world.check_untouched(&confirmed);
    world.check_reports();
    world.begin_anew();
    world.stop_absorbed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_survive_sigkill_at_any_instant_with_sqlite() {
    crash(StoreKind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_survive_sigkill_at_any_instant_with_postgres() {
    crash(StoreKind::Postgres).await;
}
