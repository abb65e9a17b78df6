//! What a simulated appliance does when nobody speaks to it: it rings, and its user stops it.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{super::told_to_stop, args::ApplianceArgs, describe::describe};
use crate::sim::appliance::{Heard, SimulatedAppliance};

/// Without anything to wait for, how long one look lasts.
const LONG: Duration = Duration::from_secs(3600);

/// Tells what happens until an alert has rung (and been stopped), or until Ctrl-C.
pub(super) async fn attend(appliance: &SimulatedAppliance, args: &ApplianceArgs) -> Result<()> {
    println!("{}", if args.keep_running { "stays until Ctrl-C" } else { "waits for an alert" });
    tokio::select! {
        () = wait(appliance, args) => Ok(()),
        stopped = told_to_stop() => Ok(stopped?),
    }
}

async fn wait(appliance: &SimulatedAppliance, args: &ApplianceArgs) {
    let mut press_at: Option<Instant> = None;
    loop {
        let left = press_at.map(|at| at.saturating_duration_since(Instant::now()));
        let Some((at, heard)) = appliance.next(left.unwrap_or(LONG)).await else {
            if press_at.take_if(|at| *at <= Instant::now()).is_some() {
                println!("stop button");
                appliance.stop_alert(None);
            }
            continue;
        };
        describe(&heard);
        match heard {
            Heard::NoBroker(trouble) => println!("{trouble}"),
            Heard::Error(value) => println!("the gateway reports {value}"),
            Heard::Session(session) => {
                println!("session: {}", session["state"].as_str().unwrap_or_default());
            }
            Heard::Rings { .. } => match args.stop_after {
                Some(after) => press_at = Some(press_at.unwrap_or(at + after)),
                None if args.keep_running => {}
                None => return,
            },
            Heard::Silent { .. } if !args.keep_running && nothing_rings(appliance).await => return,
            _ => {}
        }
    }
}

async fn nothing_rings(appliance: &SimulatedAppliance) -> bool {
    !appliance.alerts().await.values().any(|alert| alert.ringing)
}
