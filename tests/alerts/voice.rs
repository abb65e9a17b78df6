//! What the user says and presses.

use std::time::Duration;

use cic_gateway::{
    appliance::alerts::AlertKind,
    sim::{
        appliance::{Heard, read_wav},
        cic::{CloudAlert, NewAlert, scenario::embedded},
    },
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    house::House,
    support::site::{BrokerKind, Plan},
};

const SECOND: Duration = Duration::from_secs(1);

/// The tokens in one of the lists of `Alerts.AlertsState`.
fn listed(context: &Value, list: &str) -> Vec<String> {
    let objects = context.as_array().unwrap();
    let state = objects.iter().find(|object| object["header"]["name"] == "AlertsState").unwrap();
    let tokens = state["payload"][list].as_array().unwrap().iter();
    tokens.map(|alert| alert["token"].as_str().unwrap().to_owned()).collect()
}

/// Waits until this recording has been played.
async fn says(house: &House, recording: &str) {
    let length = embedded(&format!("answers/{recording}.mp3")).unwrap().len();
    house.heard(|heard| matches!(heard, Heard::Played { bytes, .. } if *bytes == length)).await;
}

async fn a_spoken_timer(broker: BrokerKind) {
    let house = House::build(Plan { broker, ..Plan::default() }).await;
    let say = |name: &str| {
        let wav = embedded(&format!("speech/{name}.wav")).unwrap();
        house.speaker().say(read_wav(wav).unwrap(), None);
    };
    say("timer");
    says(&house, "timer-set").await;
    let timer = house.cloud(|alerts| alerts.iter().all(|alert| alert.confirmed)).await.remove(0);
    house.rings(&timer.token).await;
    say("stop-timer");
    house.is_silent(&timer.token).await;
    says(&house, "timer-stopped").await;
    let started = house.reported("Alerts.AlertStarted").await;
    assert_eq!(listed(&started.context, "activeAlerts"), std::slice::from_ref(&timer.token));
    let seen = house.site.cic.seen();
    let mut asked = seen.iter().filter(|seen| seen.name == "SpeechRecognizer.Recognize").skip(1);
    let asked = asked.next().unwrap();
    assert_eq!(listed(&asked.context, "activeAlerts"), [timer.token], "what rings, in any event");
    house.reported("Alerts.DeleteAlertSucceeded").await;
    let want = ["SetAlertSucceeded", "AlertStarted", "AlertStopped", "DeleteAlertSucceeded"];
    assert_eq!(house.reports(), want);
    house.ends().await;
}

#[actix_web::test]
async fn a_timer_is_set_and_stopped_by_voice_through_the_embedded_broker() {
    a_spoken_timer(BrokerKind::Embedded).await;
}

#[actix_web::test]
async fn a_timer_is_set_and_stopped_by_voice_through_mosquitto() {
    a_spoken_timer(BrokerKind::Mosquitto).await;
}

#[actix_web::test]
async fn buttons_ask_cic_and_cic_stops_and_deletes() {
    let house = House::build(Plan::default()).await;
    let later = house.set(AlertKind::Alarm, 3600 * SECOND).await;
    house.speaker().delete_alert(&later);
    house.told("delete", &later).await;
    let [a, b] = [SECOND / 5, SECOND / 4].map(|after| house.order(AlertKind::Timer, after));
    house.rings(&a).await;
    house.rings(&b).await;
    house.reported("Alerts.AlertStarted").await;
    house.speaker().stop_alert(None);
    house.all_is_silent().await;
    house.cloud(<[CloudAlert]>::is_empty).await;
    let count = |name: &str| house.reports().iter().filter(|report| *report == name).count();
    assert_eq!((count("RequestAlertStop"), count("RequestDeleteAlert")), (2, 1));
    assert_eq!((count("AlertStarted"), count("AlertStopped")), (2, 2));
    house.speaker().stop_alert(Some("unheard-of"));
    house.heard(|heard| matches!(heard, Heard::Error(v) if v["code"] == "unknown_alert")).await;
    house.ends().await;
}

#[actix_web::test]
async fn a_reminder_shows_its_text_and_a_cancelled_one_never_rings() {
    let house = House::build(Plan::default()).await;
    house.speaker().type_text("remind me in one second to water the plants", None);
    let reminder = house.cloud(|alerts| alerts.len() == 1).await.remove(0);
    let told = house.told("set", &reminder.token).await;
    assert_eq!((&told["type"], &told["label"]), (&"REMINDER".into(), &"water the plants".into()));
    assert_eq!(told["assets"][0]["url"], "clova://alert/bell/reminder");
    assert_eq!(told["scheduledTime"], reminder.scheduled_time, "as CLOVA wrote it");
    house.rings(&reminder.token).await;
    house.speaker().type_text("stop", None);
    house.is_silent(&reminder.token).await;
    house.speaker().type_text("set a timer for two hours", None);
    let timer = house.cloud(|a| a.len() == 1 && a[0].kind == AlertKind::Timer).await.remove(0);
    house.told("set", &timer.token).await;
    house.speaker().type_text("cancel the timer", None);
    house.told("delete", &timer.token).await;
    house.ends().await;
}

#[actix_web::test]
async fn a_repeated_alarm_goes_on_until_it_is_deleted() {
    for new_token in [false, true] {
        let house = House::build(Plan::default()).await;
        let due = Timestamp::now() + SECOND / 5;
        let new = NewAlert::new(AlertKind::Alarm, due);
        let first = house.site.cic.set_alert(house.device(), &new.every(SECOND, new_token));
        house.rings(&first).await;
        house.speaker().stop_alert(Some(&first));
        house.is_silent(&first).await;
        let next = house.cloud(|a| a.len() == 1 && a[0].confirmed && a[0].due > due).await;
        let second = next[0].token.clone();
        assert_eq!(second == first, !new_token);
        house.rings(&second).await;
        house.site.cic.delete_alert(house.device(), &second);
        house.is_silent(&second).await;
        house.site.cic.synchronize_alerts(house.device());
        house.ends().await;
    }
}

#[actix_web::test]
async fn an_appliance_that_cannot_ring_is_counted() {
    let house = House::build(Plan::default()).await;
    house.speaker().break_bell(true);
    let token = house.set(AlertKind::Alarm, SECOND / 5).await;
    house.told("ring", &token).await;
    house.reported("Alerts.AlertStarted").await;
    let failed = "cic_gateway_alert_transitions_total{to=\"failed\",type=\"ALARM\"} 1";
    while !house.gateway.as_ref().unwrap().metrics().render().contains(failed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.speaker().stop_alert(Some(&token));
    house.told("delete", &token).await;
    house.ends().await;
}
