//! PostgreSQL is away.

use std::time::Duration;

use cic_gateway::{appliance::alerts::AlertKind, sim::cic::CloudAlert};

use crate::{
    house::House,
    support::site::{Plan, StoreKind},
};

const SECOND: Duration = Duration::from_secs(1);

async fn ready(house: &House) -> u16 {
    let addr = house.gateway.as_ref().unwrap().http_addr();
    reqwest::get(format!("http://{addr}/readyz")).await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn without_the_store_known_alerts_ring_new_ones_are_refused_and_later_all_agree() {
    let mut house = House::build(Plan { store: StoreKind::Postgres, ..Plan::default() }).await;
    assert_eq!(ready(&house).await, 200);
    let known = house.set(AlertKind::Alarm, 2 * SECOND).await;
    house.site.postgres.as_mut().unwrap().stop();
    assert_eq!(ready(&house).await, 503);
    let new = house.order(AlertKind::Timer, 3600 * SECOND);
    house.reported("Alerts.SetAlertFailed").await;
    house.cloud(|alerts| !alerts.iter().any(|alert| alert.token == new)).await;
    house.rings(&known).await;
    house.reported("Alerts.AlertStarted").await;
    house.speaker().stop_alert(Some(&known));
    house.is_silent(&known).await;
    house.reported("Alerts.AlertStopped").await;
    house.site.postgres.as_mut().unwrap().start_again();
    while ready(&house).await != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let again = house.set(AlertKind::Timer, SECOND / 2).await;
    house.rings(&again).await;
    house.speaker().stop_alert(None);
    house.is_silent(&again).await;
    // What could not be deleted is not in CLOVA's list, which decides.
    house.site.cic.synchronize_alerts(house.device());
    house.cloud(<[CloudAlert]>::is_empty).await;
    house.ends().await;
}
