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
//! `SIMULATION_SEED=n` plays one seed again and tells the story; `SIMULATION_SEEDS=n` plays that
//! many, `SIMULATION_FIRST=n` from there.
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

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use world::World;

/// Simulated time of one seed before everything is mended.
const HOURS: u64 = 25;
/// Seeds of an ordinary run: 10,000 hours and some.
const SEEDS: u64 = 402;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn through_ten_thousand_hours_of_faults_every_promise_is_kept() {
    if let Some(seed) = number("SIMULATION_SEED") {
        return World::new(seed, true).live(Duration::from_secs(3600 * HOURS));
    }
    let first = number("SIMULATION_FIRST").unwrap_or_default();
    let end = first + number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (next, inputs) = (AtomicU64::new(first), AtomicU64::new(0));
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let mut world = World::new(seed, false);
            world.live(Duration::from_secs(3600 * HOURS));
            inputs.fetch_add(world.inputs, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(play)));
    });
    let hours = (end - first) * HOURS;
    println!("{hours} hours, {} inputs", inputs.load(Ordering::Relaxed));
}
