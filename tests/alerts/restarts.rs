//! The gateway is stopped and started again in every phase of an alert.

use std::time::Duration;

use cic_gateway::{appliance::alerts::AlertKind, sim::cic::Reach};

use crate::{
    house::House,
    support::site::{BrokerKind, Plan, StoreKind},
};

const SECOND: Duration = Duration::from_secs(1);

async fn restarts(broker: BrokerKind, store: StoreKind) {
    let mut house = House::build(Plan { broker, store, ..Plan::default() }).await;
    let token = house.set(AlertKind::Alarm, 3 * SECOND).await;
    house.restart().await; // while it is set
    house.told("set", &token).await;
    house.rings(&token).await;
    house.reported("Alerts.AlertStarted").await;
    house.restart().await; // while it rings
    house.told("ring", &token).await;
    house.connected().await;
    house.stop().await;
    house.site.cic.set_reach(Reach::Refused);
    house.start().await;
    house.told("ring", &token).await;
    house.speaker().stop_alert(None);
    house.is_silent(&token).await;
    house.restart().await; // stopped, and CIC has not heard of it
    house.told("stop", &token).await;
    house.site.cic.set_reach(Reach::Whole);
    house.reported("Alerts.DeleteAlertSucceeded").await;
    house.restart().await; // gone
    let want = ["SetAlertSucceeded", "AlertStarted", "AlertStopped", "DeleteAlertSucceeded"];
    assert_eq!(house.reports(), want, "each once");
    house.connected().await;
    house.ends().await;
}

#[actix_web::test]
async fn an_alert_survives_restarts_in_every_phase_with_mosquitto_and_sqlite() {
    restarts(BrokerKind::Mosquitto, StoreKind::Sqlite).await;
}

#[actix_web::test]
async fn an_alert_survives_restarts_in_every_phase_with_the_embedded_broker() {
    restarts(BrokerKind::Embedded, StoreKind::Sqlite).await;
}

#[actix_web::test]
async fn an_alert_survives_restarts_in_every_phase_with_postgres() {
    restarts(BrokerKind::Mosquitto, StoreKind::Postgres).await;
}

#[actix_web::test]
async fn one_that_came_due_while_the_gateway_was_down_rings_when_it_is_back() {
    let mut house = House::build(Plan::default()).await;
    // On a slow machine the gateway needs its time to stop, too.
    let token = house.set(AlertKind::Timer, 6 * SECOND).await;
    house.stop().await;
    tokio::time::sleep(7 * SECOND).await; // its time
    house.start().await;
    house.rings(&token).await;
    house.speaker().type_text("stop", None);
    house.is_silent(&token).await;
    house.ends().await;
}
