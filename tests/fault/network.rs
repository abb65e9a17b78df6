//! What the network does to the gateway's three lines: to CIC, to the broker, to PostgreSQL. On
//! each the gateway notices by itself, says so where operators look, and is whole again by itself.

use std::time::Duration;

use cic_gateway::{
    appliance::alerts::AlertKind,
    sim::{
        appliance::Heard,
        cic::{CloudAlert, NewAlert},
    },
};
use jiff::Timestamp;

use crate::{
    house::{House, LIMIT, Speaker, until, wary},
    support::{
        proxy::Weather,
        site::{Plan, StoreKind},
    },
};

const SECOND: Duration = Duration::from_secs(1);
const CONNECTED: &str = "appliances{state=\"connected\"}";
const READY: &str = "ready\n";

impl House {
    fn device(&self) -> &str {
        &self.site.appliances[0].device
    }

    /// The app of CLOVA sets an alert; returns its token.
    fn order(&self, after: Duration) -> String {
        let new = NewAlert::new(AlertKind::Timer, Timestamp::now() + after);
        self.site.cic.set_alert(self.device(), &new)
    }

    async fn is_confirmed(&self, token: &str) {
        let confirmed = |alerts: &[CloudAlert]| {
            alerts.iter().any(|alert| alert.token == token && alert.confirmed)
        };
        let found = self.site.cic.wait_for_alerts(self.device(), confirmed, LIMIT).await;
        assert!(found.is_some(), "confirmed in time");
    }

    /// Whether the gateway promises to ring it.
    async fn is_kept(&self, token: String) -> bool {
        let decided = |alerts: &[CloudAlert]| {
            let found = alerts.iter().find(|alert| alert.token == token);
            found.is_none_or(|alert| alert.confirmed)
        };
        let alerts = self.site.cic.wait_for_alerts(self.device(), decided, LIMIT).await;
        alerts.unwrap().iter().any(|alert| alert.token == token)
    }

    /// An alert is set, durable, rings, and is stopped.
    async fn keeps_alerts(&self, speaker: &Speaker) {
        let token = self.order(SECOND / 2);
        self.is_confirmed(&token).await;
        speaker.rings(&token).await;
        speaker.0.stop_alert(Some(&token));
        speaker.heard(|heard| matches!(heard, Heard::Silent { token: t } if *t == token)).await;
    }

    async fn ends(self) {
        assert_eq!(self.readiness().await, (200, READY.to_owned()));
        self.gateway.stop().await;
    }
}

impl Speaker {
    async fn rings(&self, token: &str) {
        self.heard(|heard| matches!(heard, Heard::Rings { token: t } if t == token)).await;
    }
}

/// Nothing comes from CIC any more: the session is said to be gone, and a request to be refused.
/// Readiness is not about CIC: alerts go on.
async fn cic_is_gone(house: &House, speaker: &Speaker) {
    let session = speaker.session("disconnected").await;
    assert!(session["reason"].as_str().is_some_and(|why| !why.is_empty()), "{session}");
    house.until_metric(CONNECTED, |count| count == 0.0).await;
    speaker.0.type_text("is anybody there", None);
    speaker.error("not_connected").await;
    assert_eq!(house.readiness().await.0, 200);
}

/// The weather turns to this and back.
async fn cic_is_away(weather: Weather) {
    let (house, speaker) = House::with_speaker(wary()).await;
    let token = house.order(2 * SECOND);
    house.is_confirmed(&token).await;
    house.to_cic.set(weather);
    if weather == Weather::Closed {
        house.to_cic.cut();
    }
    cic_is_gone(&house, &speaker).await;
    speaker.rings(&token).await;
    house.to_cic.set(Weather::Fair);
    speaker.session("connected").await;
    house.until_metric(CONNECTED, |count| count == 1.0).await;
    house.reported(house.device(), "Alerts.AlertStarted").await;
    speaker.recovers().await;
    house.ends().await;
}

#[actix_web::test]
async fn while_cic_cannot_be_reached_alerts_ring_and_it_is_told_later() {
    cic_is_away(Weather::Closed).await;
}

#[actix_web::test]
async fn a_line_to_cic_that_stands_still_is_noticed_and_replaced() {
    cic_is_away(Weather::Stall).await;
}

#[actix_web::test]
async fn a_line_that_carries_nothing_from_cic_is_noticed_and_replaced() {
    cic_is_away(Weather::Deaf).await;
}

#[actix_web::test]
async fn a_line_to_cic_that_is_cut_or_forgotten_is_replaced_at_once() {
    let (house, speaker) = House::with_speaker(wary()).await;
    for strand in [false, true] {
        if strand {
            house.to_cic.strand();
        } else {
            house.to_cic.cut();
        }
        speaker.session("disconnected").await;
        speaker.session("connected").await;
        speaker.recovers().await;
    }
    house.ends().await;
}

/// A line that is slow, and not broken, breaks nothing.
#[actix_web::test]
async fn slow_lines_are_not_taken_for_dead_ones() {
    let (house, speaker) = House::with_speaker(Plan { store: StoreKind::Postgres, ..wary() }).await;
    let late = Weather::Delay(Duration::from_millis(100));
    for line in [Some(&house.to_cic), Some(&house.to_broker), house.to_store.as_ref()] {
        line.unwrap().set(late);
    }
    speaker.recovers().await;
    house.keeps_alerts(&speaker).await;
    assert_eq!(house.metric(CONNECTED), Some(1.0));
    assert_eq!(house.metric("cic_session_errors_total{reason=\"ping_timeout\"}"), None);
    house.ends().await;
}

/// The broker's line fails; `mends` tells whether somebody has to mend it.
async fn broker_is_away(fail: impl FnOnce(&House), mends: bool) {
    let (house, speaker) = House::with_speaker(wary()).await;
    assert_eq!(house.readiness().await, (200, READY.to_owned()));
    fail(&house);
    house.until_metric("mqtt_connected", |value| value == 0.0).await;
    if mends {
        let why = house.until_ready(false).await;
        assert!(why.contains("broker"), "{why}");
        // The session with CIC is none of the broker's business.
        assert_eq!(house.metric(CONNECTED), Some(1.0));
        house.to_broker.set(Weather::Fair);
    }
    house.until_ready(true).await;
    assert_eq!(house.metric("mqtt_connected"), Some(1.0));
    speaker.recovers().await;
    house.keeps_alerts(&speaker).await;
    house.ends().await;
}

#[actix_web::test]
async fn a_broker_that_cannot_be_reached_is_said_to_be_away_until_it_is_back() {
    broker_is_away(
        |house| {
            house.to_broker.set(Weather::Closed);
            house.to_broker.cut();
        },
        true,
    )
    .await;
}

#[actix_web::test]
async fn a_line_to_the_broker_that_stands_still_is_noticed_and_replaced() {
    broker_is_away(|house| house.to_broker.set(Weather::Stall), true).await;
}

#[actix_web::test]
async fn a_line_that_carries_nothing_from_the_broker_is_noticed_and_replaced() {
    broker_is_away(|house| house.to_broker.set(Weather::Deaf), true).await;
}

#[actix_web::test]
async fn a_line_that_the_network_has_forgotten_is_replaced_by_the_gateway_alone() {
    broker_is_away(|house| house.to_broker.strand(), false).await;
}

/// The store's line fails: readiness says so, dialogues go on, what is known rings, nothing is
/// acknowledged that is not durable.
async fn store_is_away(weather: Weather) {
    let plan = Plan { store: StoreKind::Postgres, ..wary() };
    let (house, speaker) = House::with_speaker(plan).await;
    let to_store = house.to_store.as_ref().unwrap();
    let known = house.order(4 * SECOND);
    house.is_confirmed(&known).await;
    to_store.set(weather);
    if weather == Weather::Closed {
        to_store.cut();
    }
    house.until_ready(false).await;
    house.order(3600 * SECOND);
    speaker.recovers().await;
    speaker.rings(&known).await;
    house.reported(house.device(), "Alerts.SetAlertFailed").await;
    assert!(house.metric("store_errors_total{op=\"save_alerts\"}").is_some_and(|n| n >= 1.0));
    to_store.set(Weather::Fair);
    house.until_ready(true).await;
    speaker.0.stop_alert(None);
    house.reported(house.device(), "Alerts.AlertStopped").await;
    house.keeps_alerts(&speaker).await;
    house.ends().await;
}

#[actix_web::test]
async fn while_postgres_cannot_be_reached_nothing_new_is_promised() {
    store_is_away(Weather::Closed).await;
}

#[actix_web::test]
async fn while_postgres_stands_still_nothing_new_is_promised() {
    store_is_away(Weather::Stall).await;
}

/// A pool full of connections that are dead without knowing it heals by itself.
#[actix_web::test]
async fn lines_to_postgres_that_are_cut_or_forgotten_are_replaced() {
    let plan = Plan { store: StoreKind::Postgres, ..wary() };
    let (house, speaker) = House::with_speaker(plan).await;
    let to_store = house.to_store.as_ref().unwrap();
    to_store.cut();
    house.until_ready(true).await;
    house.keeps_alerts(&speaker).await;
    to_store.strand();
    // Each that is dead costs somebody a few seconds, and is thrown away.
    house.until_metric("store_errors_total{op=\"revision\"}", |count| count >= 1.0).await;
    until(async || house.is_kept(house.order(3600 * SECOND)).await.then_some(())).await;
    house.until_ready(true).await;
    house.keeps_alerts(&speaker).await;
    house.ends().await;
}
