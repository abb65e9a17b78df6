//! Flow 3: alarms.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    speak, speaks, stage,
    support::stage::{Actor, context, in_dialogue},
};

fn alarm(seconds: i64) -> Value {
    let due = Timestamp::now() + SignedDuration::from_secs(seconds);
    json!({"token": "a1", "type": "ALARM", "scheduledTime": due.to_string()})
}

async fn hears_alert(actor: &Actor, action: &str) {
    let heard = actor.hears("alert", |alert| alert["action"] == action).await;
    assert_eq!(heard["token"], "a1");
}

#[actix_web::test]
async fn flow_3_an_alarm_from_the_first_word_to_the_last() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    // Register: Recognize -> SetAlert -> stored -> SetAlertSucceeded -> Speak, RenderTemplate.
    let (said, sound) = speak("set");
    let template = in_dialogue("Clova.RenderTemplate", json!({"type": "Alarm"}));
    let set = "Alerts.SetAlertSucceeded";
    actor.site.cic.answer_once(&actor.device, set, vec![template, said], vec![sound]);
    actor.asks(vec![in_dialogue("Alerts.SetAlert", alarm(3600))], vec![]).await;
    hears_alert(actor, "set").await;
    let succeeded = actor.cic_sees(set).await;
    assert_eq!(context(&succeeded, "Alerts.AlertsState")["allAlerts"][0]["token"], "a1");
    actor.hears_directive("Clova.RenderTemplate").await;
    actor.hears_directive("SpeechSynthesizer.Speak").await;
    speaks(actor, "set").await;
    // Edit: App -> SetAlert [DC] -> SetAlertSucceeded. Its time is now.
    actor.cic_orders("Alerts.SetAlert", alarm(0));
    actor.cic_sees(set).await;
    // Ring: the appliance rings -> AlertStarted, with the alarm in activeAlerts.
    hears_alert(actor, "ring").await;
    actor.says("alert", json!({"token": "a1", "state": "started"})).await;
    let started = actor.cic_sees("Alerts.AlertStarted").await;
    assert_eq!(context(&started, "Alerts.AlertsState")["activeAlerts"][0]["token"], "a1");
    // Stop: button -> RequestAlertStop -> StopAlert -> stops -> AlertStopped -> DeleteAlert.
    actor.says("button", json!({"button": "stopAlert"})).await;
    let asked = actor.cic_sees("Alerts.RequestAlertStop").await;
    assert_eq!(context(&asked, "Alerts.AlertsState")["activeAlerts"][0]["token"], "a1");
    hears_alert(actor, "stop").await;
    let stopped = actor.cic_sees("Alerts.AlertStopped").await;
    assert_eq!(context(&stopped, "Alerts.AlertsState")["activeAlerts"], json!([]));
    hears_alert(actor, "delete").await;
    let deleted = actor.cic_sees("Alerts.DeleteAlertSucceeded").await;
    assert_eq!(context(&deleted, "Alerts.AlertsState")["allAlerts"], json!([]));
    stage.ends().await;
}

#[actix_web::test]
async fn flow_3_stopped_and_deleted_by_voice_and_by_button() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    // Stop by voice: Recognize (the alarm in activeAlerts) -> StopAlert.
    actor.cic_orders("Alerts.SetAlert", alarm(0));
    hears_alert(actor, "ring").await;
    actor.cic_sees("Alerts.AlertStarted").await;
    let which = json!({"token": "a1", "type": "ALARM"});
    actor.asks(vec![in_dialogue("Alerts.StopAlert", which.clone())], vec![]).await;
    hears_alert(actor, "stop").await;
    actor.cic_sees("Alerts.AlertStopped").await;
    actor.cic_sees("Alerts.DeleteAlertSucceeded").await;
    // Delete: by voice.
    actor.cic_orders("Alerts.SetAlert", alarm(3600));
    actor.cic_sees("Alerts.SetAlertSucceeded").await;
    actor.asks(vec![in_dialogue("Alerts.DeleteAlert", which)], vec![]).await;
    hears_alert(actor, "delete").await;
    actor.cic_sees("Alerts.DeleteAlertSucceeded").await;
    // Delete: by button, RequestDeleteAlert -> DeleteAlert.
    actor.cic_orders("Alerts.SetAlert", alarm(3600));
    actor.cic_sees("Alerts.SetAlertSucceeded").await;
    actor.says("button", json!({"button": "deleteAlert", "token": "a1"})).await;
    actor.cic_sees("Alerts.RequestDeleteAlert").await;
    hears_alert(actor, "delete").await;
    actor.cic_sees("Alerts.DeleteAlertSucceeded").await;
    stage.ends().await;
}
