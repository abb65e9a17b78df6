//! CIC is away, the appliance is away, the pairing is gone.

use std::{cell::Cell, time::Duration};

use cic_gateway::{
    appliance::alerts::AlertKind,
    sim::{appliance::Heard, cic::Reach},
};

use crate::{house::House, support::site::Plan};

const SECOND: Duration = Duration::from_secs(1);

/// Everything works without CIC, and CIC hears of it in order when it is back.
async fn without_cic(reach: Reach) {
    let cic = "ping_interval = \"1s\"\nping_timeout = \"1s\"\n".to_owned();
    let house = House::build(Plan { cic, ..Plan::default() }).await;
    let token = house.set(AlertKind::Alarm, SECOND).await;
    house.site.cic.set_reach(reach);
    house.rings(&token).await;
    house.speaker().stop_alert(None);
    house.is_silent(&token).await;
    assert_eq!(house.reports(), ["SetAlertSucceeded"]);
    house.site.cic.set_reach(Reach::Whole);
    house.reported("Alerts.DeleteAlertSucceeded").await;
    let want = ["SetAlertSucceeded", "AlertStarted", "AlertStopped", "DeleteAlertSucceeded"];
    let mut reports = house.reports();
    // The button was on its way into the black hole, and is told again.
    reports.retain(|name| name != "RequestAlertStop");
    assert_eq!(reports, want);
    house.ends().await;
}

#[actix_web::test]
async fn an_alert_rings_and_is_stopped_while_cic_refuses_connections() {
    without_cic(Reach::Refused).await;
}

#[actix_web::test]
async fn an_alert_rings_and_is_stopped_while_cic_is_a_black_hole() {
    without_cic(Reach::Silent).await;
}

#[actix_web::test]
async fn an_appliance_that_was_away_rings_on_its_return() {
    let mut house = House::build(Plan::default()).await;
    let token = house.set(AlertKind::Timer, SECOND / 2).await;
    house.speaker.take().unwrap().cut_power();
    let overdue = tokio::time::sleep(SECOND);
    overdue.await; // the time of the alert, which nobody hears
    assert!(!house.reports().contains(&"AlertStarted".to_owned()), "nobody would hear it");
    house.arrive();
    house.rings(&token).await;
    house.speaker().stop_alert(Some(&token));
    house.is_silent(&token).await;
    house.ends().await;
}

#[actix_web::test]
async fn an_appliance_hears_on_its_return_what_is_over() {
    let mut house = House::build(Plan::default()).await;
    let (gone, set) = (
        house.set(AlertKind::Alarm, 3600 * SECOND).await,
        house.order(AlertKind::Timer, 3600 * SECOND),
    );
    house.confirmed(&set).await;
    house.speaker.take().unwrap().cut_power();
    house.site.cic.delete_alert(house.device(), &gone);
    house.reported("Alerts.DeleteAlertSucceeded").await;
    // Its memory is the store's, also through a restart.
    house.restart().await;
    house.arrive();
    house.told("delete", &gone).await;
    house.told("set", &set).await;
    house.connected().await;
    house.site.cic.clear_alerts(house.device(), AlertKind::Timer);
    house.told("delete", &set).await;
    house.ends().await;
}

#[actix_web::test]
async fn with_forget_alerts_end_with_the_connection_and_come_back_with_it() {
    let more = "[alerts]\noffline = \"forget\"\n".to_owned();
    let house = House::build(Plan { more, ..Plan::default() }).await;
    let token = house.set(AlertKind::Alarm, 3600 * SECOND).await;
    house.site.cic.set_reach(Reach::Refused);
    house.told("delete", &token).await;
    house.site.cic.set_reach(Reach::Whole);
    house.told("set", &token).await;
    house.site.cic.delete_alert(house.device(), &token);
    house.told("delete", &token).await;
    house.ends().await;
}

#[actix_web::test]
async fn unpairing_deletes_alerts_in_the_store_and_at_the_appliance() {
    let mut house = House::build(Plan::default()).await;
    let token = house.set(AlertKind::Alarm, 3600 * SECOND).await;
    let ringing = house.set(AlertKind::Timer, SECOND / 5).await;
    house.rings(&ringing).await;
    let store = house.gateway.as_ref().unwrap().store().clone();
    store.clear_tokens(&house.site.appliances[0].id).await.unwrap();
    // In whatever order: different topics are not ordered against each other.
    let (is_silent, is_gone) = (Cell::new(false), Cell::new(false));
    let note_both = |heard: &Heard| {
        match heard {
            Heard::Silent { token } if *token == ringing => is_silent.set(true),
            Heard::Session(v) if v["state"] == "unpaired" => is_gone.set(true),
            _ => {}
        }
        is_silent.get() && is_gone.get()
    };
    house.heard(note_both).await;
    let kept = house.kept().await;
    assert!(kept.alerts.is_empty() && kept.outbox.is_empty(), "{kept:?}");
    // Both words may have come before the state.
    while !house.speaker().alerts().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!house.reports().contains(&"DeleteAlertSucceeded".to_owned()), "{token}");
    house.stop().await;
}
