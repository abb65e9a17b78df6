//! The HTTP API against a whole gateway: who may use it, what it answers, what it refuses.
#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used)]

mod changes;
mod console;
mod description;
mod house;

use cic_gateway::{
    appliance::alerts::AlertKind,
    clock::{Clock, SystemClock},
    ids::ApplianceId,
    sim::{appliance::Heard, cic::NewAlert},
    store::provision::{self, NewAppliance},
};
use house::{House, LIMIT};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

#[actix_web::test]
async fn an_appliance_is_added_paired_spoken_for_unpaired_and_removed() {
    let house = House::build("s3cret").await;
    let new = json!({"id": "kitchen", "modelId": "GW-200", "lang": "en", "deviceId": "d-1"});
    let (status, added) = house.post("/api/v1/appliances", new.clone()).await;
    assert_eq!(status, 201, "{added}");
    assert_eq!((&added["mqttUser"], &added["deviceId"]), (&json!("kitchen"), &json!("d-1")));
    assert_eq!(house.post("/api/v1/appliances", new).await.0, 409);
    let speaker = house.speaker(added["mqttPassword"].as_str().unwrap());
    let session = async |state: &str| {
        let wanted = |h: &Heard| matches!(h, Heard::Session(v) if v["state"] == state);
        speaker.wait_for(wanted, LIMIT).await.expect("in time");
    };
    session("unpaired").await;
    let text = json!({"text": "what time is it"});
    assert_eq!(house.post("/api/v1/appliances/kitchen/text", text.clone()).await.0, 409);
    let code = json!({"code": house.cic.issue_code().expose()});
    let (status, paired) = house.post("/api/v1/appliances/kitchen/pair", code.clone()).await;
    assert_eq!((status, &paired["paired"]), (200, &json!(true)));
    assert_eq!(house.post("/api/v1/appliances/kitchen/pair", code).await.0, 422, "used");
    session("connected").await;
    let (_, shown) = house.get("/api/v1/appliances/kitchen").await;
    assert_eq!((&shown["online"], &shown["session"]["state"]), (&json!(true), &json!("connected")));
    assert!(!shown.to_string().contains("mqttPassword") && !shown.to_string().contains("Token"));
    assert_eq!(shown["focus"]["content"], "none");
    assert_eq!(shown["context"]["AudioPlayer.PlaybackState"]["playerActivity"], "IDLE");
    let (_, list) = house.get("/api/v1/appliances").await;
    assert!(list[0]["online"] == true && list[0].get("context").is_none(), "{list}");
    let (_, fleet) = house.get("/api/v1/fleet").await;
    assert_eq!(fleet["sessions"]["connected"], 1);
    assert_eq!(house.post("/api/v1/appliances/kitchen/text", text).await.0, 202);
    let played = |heard: &Heard| matches!(heard, Heard::Played { .. });
    assert!(speaker.wait_for(played, LIMIT).await.is_some());
    assert_eq!(house.ask(Method::DELETE, "/api/v1/appliances/kitchen/pair", "").await.0, 204);
    session("unpaired").await;
    assert_eq!(house.ask(Method::DELETE, "/api/v1/appliances/kitchen", "").await.0, 204);
    assert_eq!(house.get("/api/v1/appliances/kitchen").await.0, 404);
    house.gateway.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_used_is_refused_by_its_kind() {
    let house = House::build("s3cret").await;
    house.post("/api/v1/appliances", json!({"id": "a"})).await;
    let rows = [
        (Method::POST, "/api/v1/appliances", "{", 400),
        (Method::POST, "/api/v1/appliances", "", 400),
        (Method::POST, "/api/v1/appliances", "[]", 422),
        (Method::POST, "/api/v1/appliances", "{}", 422),
        (Method::POST, "/api/v1/appliances", r#"{"id": "a b"}"#, 422),
        (Method::POST, "/api/v1/appliances", r#"{"id": "gateway"}"#, 422),
        (Method::POST, "/api/v1/appliances", r#"{"id": "cic-gateway"}"#, 422),
        (Method::POST, "/api/v1/appliances", r#"{"id": "b", "lang": "fr"}"#, 422),
        (Method::POST, "/api/v1/appliances", r#"{"id": "b", "color": "red"}"#, 422),
        (Method::POST, "/api/v1/appliances", r#"{"id": "b", "modelId": ""}"#, 422),
        (Method::PUT, "/api/v1/appliances", "{}", 405),
        (Method::GET, "/api/v1/appliances?limit=0", "", 422),
        (Method::GET, "/api/v1/appliances?limit=x", "", 422),
        (Method::GET, "/api/v1/appliances?colour=red", "", 422),
        (Method::GET, "/api/v1/events?appliance=a%20b", "", 404),
        (Method::GET, "/api/v1/events?since=yesterday", "", 422),
        (Method::GET, "/api/v1/appliances/nobody", "", 404),
        (Method::GET, "/api/v1/appliances/not%20an%20id", "", 404),
        (Method::DELETE, "/api/v1/appliances/nobody", "", 404),
        (Method::POST, "/api/v1/appliances/nobody/pair", r#"{"code": "x"}"#, 404),
        (Method::POST, "/api/v1/appliances/a/pair", r#"{"code": "x"}"#, 422),
        (Method::POST, "/api/v1/appliances/a/pair", r#"{"code": ""}"#, 422),
        (Method::DELETE, "/api/v1/appliances/nobody/pair", "", 404),
        (Method::GET, "/api/v1/appliances/nobody/alerts", "", 404),
        (Method::POST, "/api/v1/appliances/nobody/text", r#"{"text": "x"}"#, 404),
        (Method::POST, "/api/v1/appliances/a/text", r#"{"text": " "}"#, 422),
        (Method::POST, "/api/v1/appliances/a/text", r#"{}"#, 422),
        (Method::GET, "/api/v1/nothing", "", 404),
        (Method::GET, "/nothing", "", 404),
    ];
    for (method, path, body, want) in rows {
        let (status, problem) = house.ask(method.clone(), path, body).await;
        assert_eq!(status, want, "{method} {path} {body}: {problem}");
        assert_eq!(problem["status"], want, "{method} {path}");
        assert!(problem["detail"].is_string() && problem["title"].is_string(), "{problem}");
    }
    let large = format!(r#"{{"text": "{}"}}"#, "x".repeat(100_000));
    assert_eq!(house.ask(Method::POST, "/api/v1/appliances/a/text", &large).await.0, 413);
    for id in ["b", "c", "d"] {
        assert_eq!(house.post("/api/v1/appliances", json!({"id": id})).await.0, 201);
    }
    assert_eq!(house.post("/api/v1/appliances", json!({"id": "e"})).await.0, 409, "the bound");
    house.gateway.stop().await;
}

#[actix_web::test]
async fn pages_follow_each_other() {
    let house = House::build("s3cret").await;
    for id in ["d", "b", "a", "c"] {
        house.post("/api/v1/appliances", json!({"id": id})).await;
    }
    let ids_of = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut path = "/api/v1/appliances?limit=3".to_owned();
    let mut ids = Vec::new();
    loop {
        let url = format!("http://{}{path}", house.gateway.http_addr());
        let response = house.http.get(url).bearer_auth(house.token).send().await.unwrap();
        let link = response.headers().get(header::LINK).map(|l| l.to_str().unwrap().to_owned());
        let page: Value = response.json().await.unwrap();
        ids.extend(ids_of(&page));
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(ids, ["a", "b", "c", "d"]);
    let (_, found) = house.get("/api/v1/appliances?q=B").await;
    assert_eq!((found[0]["id"].as_str(), found.as_array().map(Vec::len)), (Some("b"), Some(1)));
    house.gateway.stop().await;
}

#[actix_web::test]
async fn whoever_asks_for_no_page_gets_all() {
    let house = House::build("s3cret").await;
    for number in 0..101 {
        let new = NewAppliance {
            id: ApplianceId::parse(&format!("a{number:03}")).unwrap(),
            model_id: "generic".into(),
            lang: "ko".into(),
            device_id: None,
        };
        let now = SystemClock.now().wall;
        provision::add(house.gateway.store().as_ref(), new, now).await.unwrap();
    }
    for (query, first, count) in [
        ("", "a000", 101),
        ("?q=A1", "a100", 1),
        ("?q=a", "a000", 101),
        ("?after=a000", "a001", 100),
        ("?after=", "a000", 100),
        ("?limit=2", "a000", 2),
    ] {
        let (_, list) = house.get(&format!("/api/v1/appliances{query}")).await;
        let list = list.as_array().unwrap();
        assert_eq!((list[0]["id"].as_str(), list.len()), (Some(first), count), "{query}");
    }
    house.gateway.stop().await;
}

#[actix_web::test]
async fn only_the_admin_may_use_the_api_and_everybody_the_rest() {
    let house = House::build("s3cret").await;
    let url = |path: &str| format!("http://{}{path}", house.gateway.http_addr());
    let api = || house.http.get(url("/api/v1/appliances"));
    let rows = [
        (api(), 401),
        (api().bearer_auth("wrong"), 401),
        (api().bearer_auth(""), 401),
        (api().basic_auth("s3cret", Some("s3cret")), 401),
        (api().header("authorization", "bearer s3cret"), 200),
        (house.http.get(url("/healthz")), 200),
        (house.http.get(url("/metrics")), 200),
    ];
    for (request, want) in rows {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), want, "{response:?}");
        let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenged, want == 401);
    }
    house.gateway.stop().await;
}

#[actix_web::test]
async fn without_a_token_the_api_answers_this_machine_only_by_its_own_name() {
    let house = House::build("").await;
    let url = format!("http://{}/api/v1/appliances", house.gateway.http_addr());
    let port = house.gateway.http_addr().port();
    let ask = async |host: String| {
        house.http.get(&url).header("host", host).send().await.unwrap().status()
    };
    assert_eq!(ask(format!("127.0.0.1:{port}")).await, StatusCode::OK);
    assert_eq!(ask("localhost".into()).await, StatusCode::OK);
    assert_eq!(ask(format!("[::1]:{port}")).await, StatusCode::OK);
    assert_eq!(ask(format!("evil.example:{port}")).await, StatusCode::UNAUTHORIZED);
    let told = async |name: &str, value: String| {
        house.http.get(&url).header(name, value).send().await.unwrap().status()
    };
    assert_eq!(told("origin", format!("http://127.0.0.1:{port}")).await, StatusCode::OK);
    assert_eq!(told("origin", "http://evil.example".into()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(told("origin", "null".into()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(told("sec-fetch-site", "same-origin".into()).await, StatusCode::OK);
    assert_eq!(told("sec-fetch-site", "cross-site".into()).await, StatusCode::UNAUTHORIZED);
    house.gateway.stop().await;
}

#[actix_web::test]
async fn alerts_are_listed_and_stopped() {
    let house = House::build("s3cret").await;
    let (_speaker, added) = house.connected_speaker().await;
    let soon = jiff::Timestamp::now();
    let device = added["deviceId"].as_str().unwrap();
    house.cic.set_alert(device, &NewAlert::new(AlertKind::Timer, soon).token("t/1"));
    let started = |name: &str| name == "Alerts.AlertStarted";
    house.cic.wait_for(|seen| started(&seen.name), LIMIT).await.expect("it rings");
    let (status, alerts) = house.get("/api/v1/appliances/kitchen/alerts").await;
    assert_eq!((status, alerts.as_array().map(Vec::len)), (200, Some(1)), "{alerts}");
    assert_eq!(alerts[0]["state"], "ringing");
    assert_eq!((&alerts[0]["token"], &alerts[0]["type"]), (&json!("t/1"), &json!("TIMER")));
    let stop = "/api/v1/appliances/kitchen/alerts/t%2F1/stop";
    assert_eq!(house.ask(Method::POST, stop, "").await.0, 202);
    for name in ["Alerts.RequestAlertStop", "Alerts.AlertStopped", "Alerts.DeleteAlertSucceeded"] {
        assert!(house.cic.wait_for(|seen| seen.name == name, LIMIT).await.is_some(), "{name}");
    }
    assert_eq!(house.get("/api/v1/appliances/kitchen/alerts").await.1, json!([]));
    let unknown = "/api/v1/appliances/kitchen/alerts/nobody/stop";
    assert_eq!(house.ask(Method::POST, unknown, "").await.0, 404);
    house.gateway.stop().await;
}
