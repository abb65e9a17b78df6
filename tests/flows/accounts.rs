//! Flows 1 and 13: connecting, guest mode, logout.

use std::time::Duration;

use cic_gateway::sim::cic::{Reach, SeenEvent, SimSettings};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    stage,
    support::{
        puppet::{LIMIT, Message},
        stage::{Actor, Stage},
    },
    taciturn,
};

/// CIC has all of these from this appliance, in whatever order.
async fn sees_all(actor: &Actor, from: u64, names: &[&str]) {
    for name in names {
        let fits = |seen: &SeenEvent| seen.device == actor.device && seen.name == *name;
        let seen = actor.site.cic.next_event(from, fits, LIMIT).await;
        assert!(seen.is_some(), "{name}");
    }
}

#[actix_web::test]
async fn flow_1_start_up_and_reconnect() {
    let sim = SimSettings { asks_for_state: true, ..taciturn() };
    // 1, 2, 3: the token is good, the downchannel opens, Hello.
    let stage = Stage::build(1, sim, "ping_interval = \"100ms\"\n").await;
    let (actor, cic) = (&stage.actors[0], &stage.site.cic);
    assert_eq!(cic.channels(), 1);
    // 5, 6, 7: RequestSynchronizeAlert, RequestVersionSpec, and ReportState when CIC asks.
    let all = [
        "Alerts.RequestSynchronizeAlert",
        "Settings.RequestVersionSpec",
        "DeviceControl.ReportState",
    ];
    sees_all(actor, 0, &all).await;
    actor.hears_directive("Settings.UpdateVersionSpec").await;
    assert_eq!(cic.synchronized(&actor.device), 1);
    // 4: PINGs from now on.
    let pings = &stage.gateway.as_ref().unwrap().metrics().cic_ping_seconds;
    while pings.get_sample_count() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // 8: all is lost, and the token no longer good: to 1 at once.
    let before = cic.event_count();
    cic.expire_tokens();
    cic.set_reach(Reach::Refused);
    actor.hears("session", |session| session["state"] != "connected").await;
    cic.set_reach(Reach::Whole);
    actor.hears("session", |session| session["state"] == "connected").await;
    sees_all(actor, before, &all).await;
    assert_eq!(cic.synchronized(&actor.device), 2);
    stage.ends().await;
}

#[actix_web::test]
async fn flow_13_guest_mode_and_logout() {
    let stage = stage().await;
    let (actor, cic) = (&stage.actors[0], &stage.site.cic);
    // Guest: a service needs an account: ExpectLogin.
    actor.cic_orders("Clova.ExpectLogin", json!({}));
    actor.hears_directive("Clova.ExpectLogin").await;
    // Logout: audio stops, the token is deleted, the connection closed, the alarms removed.
    let due = Timestamp::now() + SignedDuration::from_secs(3600);
    let alarm = json!({"token": "a", "type": "ALARM", "scheduledTime": due.to_string()});
    actor.cic_orders("Alerts.SetAlert", alarm);
    actor.cic_sees("Alerts.SetAlertSucceeded").await;
    let addr = stage.gateway.as_ref().unwrap().http_addr();
    let url = format!("http://{addr}/api/v1/appliances/{}/pair", actor.id);
    let answer = reqwest::Client::new().delete(url).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    // In any order: the alarm goes once the store has forgotten it.
    let (from, puppet) = (actor.count(), &actor.puppet);
    let gone = |m: &Message| m.topic == "alert" && m.json()["action"] == "delete";
    puppet.hears(from, "the alarm's end", gone).await;
    let unpaired = |m: &Message| m.topic == "session" && m.json()["state"] == "unpaired";
    puppet.hears(from, "unpaired", unpaired).await;
    assert!(cic.wait_for_channels(0, LIMIT).await);
    stage.ends().await;
}
