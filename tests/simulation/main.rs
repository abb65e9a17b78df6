//! Deterministic simulation: one appliance's composed core (link, dialogue, capture, queue, focus,
//! playback, control, alerts, outbox, ledger) through simulated days, with everything around it
//! played by models that fail in every way they can: the appliance, its broker, CIC, the auth
//! server, the store, the wall clock, and the process itself.
//!
//! A seed decides everything. What must hold at every step ([`checker`], [`cloud`], [`store`]):
//!
//! * **P1, one downchannel.** A connection is asked for only when the one before it has ended; no
//!   event goes out before Hello, and never two at once besides the user's request. No connection
//!   carries anything of another pairing.
//! * **P2, nothing stale.** Once a newer request has been sent completely, nothing of an older
//!   dialogue is handed to the appliance: no directive (but what answers an event that had no
//!   dialogue, as dialogue 2.2 wants, and the play queue, which is none), no byte of an attachment,
//!   no open microphone. The latest id is worked out here anew, from the commands alone.
//! * **P3, alerts.** What was acknowledged rings in its window, if it is heard at all for half a
//!   minute of that; never before its time or after its window; once: AlertStarted comes once for
//!   an occurrence, and one that was stopped never rings again, whatever died meanwhile, unless it
//!   is set anew or the store could not be told. While it rings every event says so.
//! * **P4, it comes back.** Twelve minutes after the last fault the session is connected, also
//!   in the midst of the run; `down/session` says `connected` only while it is. In the end CIC, the
//!   store, the core and the appliance have the same alerts, and every event that the store took
//!   has reached CIC.
//! * **P5, bounds.** No input leads to endless output, no deadline is "now" for ever, and what a
//!   core holds stays small.
//! * **P6, one owner.** Nothing of an account is written, sent or shown after its pairing is gone.
//!
//! Eight tests play 400 seeds of 25 hours. A seed that fails names itself:
//!
//! * `SIMULATION_SEED=n cargo test --test simulation` plays it again and tells its story
//!   (`SIMULATION_WIDE=1` without cutting lines);
//! * `SIMULATION_FIRST=1000 SIMULATION_SEEDS=800` plays others.
//!
//! | file | what it holds |
//! |---|---|
//! | `world.rs` | time, what happens next |
//! | `process.rs` | the gateway around the core: the actor's part, its death and return |
//! | `weather.rs` | faults, and what the user does |
//! | `cloud.rs` `accounts.rs` `answers.rs` | CIC: connections, the account's alerts, what it says |
//! | `house.rs` | the appliance and its broker |
//! | `store.rs` | the store |
//! | `checker.rs` `occurrences.rs` | what must hold |

#![allow(clippy::unwrap_used)] // a test

mod accounts;
mod answers;
mod checker;
mod cloud;
mod house;
mod occurrences;
mod process;
mod store;
mod weather;
mod world;

use std::time::Duration;

use world::World;

/// Simulated time of one seed before everything is mended.
const HOURS: u64 = 25;
/// Seeds of one test; eight of them are 10,000 hours.
const SEEDS: u64 = 50;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Plays this share of the seeds, or what the environment asks for.
fn play(share: u64) {
    if let Some(seed) = number("SIMULATION_SEED") {
        if share == 0 {
            World::new(seed, true).live(Duration::from_secs(3600 * HOURS));
        }
        return;
    }
    let seeds = number("SIMULATION_SEEDS").map_or(SEEDS, |all| all.div_ceil(SHARES));
    let first = number("SIMULATION_FIRST").unwrap_or_default() + share * seeds;
    let mut inputs = 0;
    for seed in first..first + seeds {
        let mut world = World::new(seed, false);
        world.live(Duration::from_secs(3600 * HOURS));
        inputs += world.inputs;
    }
    println!("{} hours, {inputs} inputs", seeds * HOURS);
}

/// Tests that run beside each other.
const SHARES: u64 = 8;

macro_rules! shares {
    ($($name:ident: $share:expr;)*) => {$(
        #[test]
        fn $name() {
            play($share);
        }
    )*};
}

shares! {
    every_promise_is_kept_through_hours_of_faults_1_of_8: 0;
    every_promise_is_kept_through_hours_of_faults_2_of_8: 1;
    every_promise_is_kept_through_hours_of_faults_3_of_8: 2;
    every_promise_is_kept_through_hours_of_faults_4_of_8: 3;
    every_promise_is_kept_through_hours_of_faults_5_of_8: 4;
    every_promise_is_kept_through_hours_of_faults_6_of_8: 5;
    every_promise_is_kept_through_hours_of_faults_7_of_8: 6;
    every_promise_is_kept_through_hours_of_faults_8_of_8: 7;
}
