//! Random sequences: CIC hears of every order exactly once, whatever the appliance does.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

use super::{
    super::{Handling, MAX_WAITING},
    world::{TIMEOUT, World, bluetooth},
};

const SEEDS: u64 = 100;
const STEPS: usize = 200;
const ORDERS: [(&str, &str); 6] = [
    ("DeviceControl.TurnOn", "wifi"),
    ("DeviceControl.SetValue", "volume"),
    ("DeviceControl.Open", "door"),
    ("DeviceControl.BtConnect", "bluetooth"),
    ("DeviceControl.BtConnectByPINCode", "bluetooth"),
    ("Settings.Update", ""),
];

#[derive(Default)]
struct Counts {
    orders: usize,
    updates: usize,
    awaited: usize,
    actions: usize,
    reports: usize,
}

#[test]
fn every_order_is_answered_once_whatever_the_appliance_does() {
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut w, mut counts) = (World::new(), Counts::default());
        for _ in 0..STEPS {
            step(&mut w, &mut rng, &mut counts);
            let due = w.control.poll_timeout();
            assert!(due.is_none_or(|due| due > w.now.mono), "seed {seed}: it would spin");
            count(&mut w, &mut counts);
        }
        w.pass(TIMEOUT);
        count(&mut w, &mut counts);
        assert_eq!(counts.actions, counts.orders, "seed {seed}");
        assert!(counts.reports >= counts.updates, "seed {seed}");
        assert!(counts.awaited > 0, "seed {seed}: nothing was tried");
        w.pass(Duration::from_secs(60));
        assert_eq!(w.control.poll_timeout(), None, "seed {seed}");
    }
}

fn step(w: &mut World, rng: &mut StdRng, counts: &mut Counts) {
    let id = rng.random_range(0..30).to_string();
    match rng.random_range(0..10) {
        0..5 => {
            let (name, target) = *ORDERS.choose(rng).unwrap();
            let configuration = json!({"a": rng.random_range(0..3).to_string()});
            let payload = json!({"target": target, "configuration": configuration});
            let handling = w.order(name, &id, &payload);
            counts.awaited += usize::from(handling == Handling::Deliver);
            match name {
                "Settings.Update" => counts.updates += 1,
                _ => counts.orders += 1,
            }
        }
        5..7 => {
            let state = [bluetooth("on", &[]), bluetooth("off", &["aa"]), bluetooth("off", &[])];
            let state = state.choose(rng).cloned().into_iter().collect();
            let _ = w.answer_with(&id, rng.random(), None, state);
        }
        7 => w.report_settings(&json!({"a": rng.random_range(0..3).to_string()})),
        8 => w.control.set_connected(rng.random()),
        _ => w.pass(Duration::from_millis(rng.random_range(0..3000))),
    }
    assert!(w.control.waiting.len() <= MAX_WAITING);
}

fn count(w: &mut World, counts: &mut Counts) {
    for seen in w.seen() {
        counts.actions += usize::from(seen.starts_with("Action"));
        counts.reports += usize::from(seen.starts_with("Settings.Report"));
    }
}
