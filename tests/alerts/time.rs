//! Somebody sets the clock.

use std::sync::Arc;
use std::time::Duration;

use cic_gateway::{
    appliance::alerts::AlertKind,
    clock::{Clock, SteppedClock},
    sim::{
        appliance::Heard,
        cic::{CloudAlert, NewAlert, SimSettings},
    },
};
use jiff::SignedDuration;

use crate::{house::House, support::site::Plan};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: Duration = Duration::from_secs(60);

#[actix_web::test]
async fn alerts_follow_the_clock_an_hour_forwards_and_backwards() {
    let clock = SteppedClock::default();
    let sim = SimSettings { clock: Arc::new(clock.clone()), ..SimSettings::default() };
    let plan = Plan { sim, ..Plan::default() };
    let house = House::build_with_clock(plan, Arc::new(clock.clone())).await;
    let set = |after: Duration| {
        let new = NewAlert::new(AlertKind::Alarm, clock.now().wall + after);
        house.site.cic.set_alert(house.device(), &new)
    };
    let (soon, later) = (set(50 * MINUTE), set(70 * MINUTE));
    house.confirmed(&soon).await;
    house.confirmed(&later).await;
    clock.step(HOUR);
    house.rings(&soon).await; // ten minutes late, within the window
    house.reported("Alerts.AlertStarted").await;
    // Back: what rings goes on, and does not ring again at its time.
    clock.step(-HOUR);
    house.speaker().stop_alert(Some(&soon));
    house.is_silent(&soon).await;
    house.cloud(|alerts| alerts.len() == 1).await;
    clock.step(HOUR + SignedDuration::from_mins(10));
    let nudge = set(600 * MINUTE); // it looks at the clock at once, not within 30 s
    house.rings(&later).await;
    // Two hours forwards: it was missed, and nobody is told that it rang.
    let missed = set(60 * MINUTE);
    house.confirmed(&missed).await;
    clock.step(HOUR + HOUR);
    let another = set(600 * MINUTE);
    let gone = |v: &serde_json::Value| v["action"] == "delete" && v["token"] == missed.as_str();
    house.heard(|heard| matches!(heard, Heard::Alert(v) if gone(v))).await;
    house.speaker().stop_alert(None);
    house.is_silent(&later).await;
    for token in [nudge, another] {
        assert!(house.site.cic.delete_alert(house.device(), &token));
    }
    house.cloud(<[CloudAlert]>::is_empty).await;
    let started = house.reports().iter().filter(|name| *name == "AlertStarted").count();
    assert_eq!(started, 2);
    house.ends().await;
}
