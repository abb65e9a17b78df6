//! Flows 7 and 8: functions of the appliance, and Bluetooth.

use cic_gateway::sim::cic::SimSettings;
use serde_json::{Value, json};

use super::{
    reports, stage,
    support::stage::{Actor, Stage, context, in_dialogue},
    taciturn,
};

fn state_of(event: &cic_gateway::sim::cic::SeenEvent) -> &Value {
    context(event, "Device.DeviceState")
}

fn gps(state: &str) -> Value {
    json!({"Device.DeviceState": {"gps": {"actions": ["TurnOn", "TurnOff"], "state": state}}})
}

#[actix_web::test]
async fn flow_7_1_a_function_is_switched_by_voice() {
    let sim = SimSettings { one_account: true, ..taciturn() };
    let stage = Stage::build(2, sim, "").await;
    let [actor, other] = &stage.actors[..] else { panic!("two appliances") };
    // 1: Recognize, with what the appliance can do. 2: CIC looks at it.
    // 3: TurnOn [R].
    let turn_on = in_dialogue("DeviceControl.TurnOn", json!({"target": "gps"}));
    actor.site.cic.answer_once(&actor.device, "TextRecognizer.Recognize", vec![turn_on], vec![]);
    actor.says("text", json!({"text": "switch the GPS on"})).await;
    let asked = actor.cic_sees("TextRecognizer.Recognize").await;
    assert_eq!(state_of(&asked)["gps"]["actions"], json!(["TurnOn", "TurnOff"]));
    let order = actor.hears_directive("DeviceControl.TurnOn").await;
    // 4: the appliance acts. 5: ActionExecuted, with the new state.
    reports(actor, &order, true, gps("on")).await;
    let done = actor.cic_sees("DeviceControl.ActionExecuted").await;
    assert_eq!(done.payload, json!({"command": "TurnOn", "target": "gps"}));
    assert_eq!(state_of(&done)["gps"]["state"], "on");
    // 6: SynchronizeState [DC] to all clients of the account; the own one is no news.
    let told = other.hears_directive("DeviceControl.SynchronizeState").await;
    assert_eq!(told["payload"]["deviceId"], actor.device);
    assert_eq!(told["payload"]["deviceState"]["gps"]["state"], "on");
    let own = actor.settles().await;
    assert!(own.iter().all(|message| message.topic != "directive"), "{own:?}");
    stage.ends().await;
}

#[actix_web::test]
async fn flow_7_2_the_state_is_shared() {
    let sim = SimSettings { one_account: true, ..taciturn() };
    let stage = Stage::build(2, sim, "").await;
    let [actor, app] = &stage.actors[..] else { panic!("two appliances") };
    // 1: RequestDeviceList, RenderDeviceList.
    let event = |name: &str| json!({"namespace": "DeviceControl", "name": name});
    app.says("event", event("RequestDeviceList")).await;
    let list = app.hears_directive("DeviceControl.RenderDeviceList").await;
    assert_eq!(list["payload"]["deviceList"].as_array().unwrap().len(), 2);
    // 2: RequestStateSynchronization. 3: ExpectReportState to all but the one who asks.
    app.says("event", event("RequestStateSynchronization")).await;
    app.cic_sees("DeviceControl.RequestStateSynchronization").await;
    // 4: ReportState at once.
    let report = actor.cic_sees("DeviceControl.ReportState").await;
    assert_eq!(state_of(&report)["gps"]["state"], "off");
    assert_eq!(report.payload, json!({}));
    // 5: SynchronizeState to the one who asked.
    let told = app.hears_directive("DeviceControl.SynchronizeState").await;
    assert_eq!(told["payload"]["deviceId"], actor.device);
    stage.ends().await;
}

fn bluetooth(fields: Value) -> Value {
    let mut state = json!({
        "actions": ["BtConnect", "BtStartPairing"], "state": "on", "pairing": "off",
        "scanning": "off", "connecting": "off", "btlist": [], "scanlist": [],
    });
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"Device.DeviceState": {"bluetooth": state}})
}

/// CIC orders something, and the appliance does it.
async fn obeys(actor: &Actor, name: &str, payload: Value, state: Value) -> Value {
    actor.cic_orders(&format!("DeviceControl.{name}"), payload);
    let order = actor.hears_directive(&format!("DeviceControl.{name}")).await;
    reports(actor, &order, true, state).await;
    let done = actor.cic_sees("DeviceControl.ActionExecuted").await;
    assert_eq!(done.payload, json!({"command": name, "target": "bluetooth"}));
    state_of(&done)["bluetooth"].clone()
}

#[actix_web::test]
async fn flow_8_1_a_bluetooth_device_is_paired_and_connected() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let peer = json!({"name": "Speaker", "address": "29:01:11:1f:12:89", "role": "source"});
    // 1: BtStartPairing. 2: the appliance scans; ActionExecuted with what it has found.
    let scanning = bluetooth(json!({"pairing": "on", "scanning": "on", "scanlist": [peer]}));
    let state = obeys(actor, "BtStartPairing", json!({}), scanning).await;
    assert_eq!(state["scanlist"][0]["name"], "Speaker");
    // 3: BtConnect. 4: the connection is requested; ActionExecuted.
    let mut wanted = peer.clone();
    wanted["connected"] = false.into();
    let connecting = bluetooth(json!({"connecting": "on"}));
    obeys(actor, "BtConnect", wanted, connecting.clone()).await;
    // 5: a PIN is asked for; the user enters it; ActionExecuted.
    let asks = json!({
        "namespace": "DeviceControl", "name": "BtRequestForPINCode",
        "payload": {"deviceName": "Speaker"},
    });
    actor.says("event", asks).await;
    actor.cic_sees("DeviceControl.BtRequestForPINCode").await;
    obeys(actor, "BtConnectByPINCode", json!({"pinCode": "1234"}), connecting).await;
    // 6: connected: ReportState with the real result.
    let mut connected = peer;
    connected["connected"] = true.into();
    actor.says("state", bluetooth(json!({"btlist": [connected]}))).await;
    let report = actor.cic_sees("DeviceControl.ReportState").await;
    assert_eq!(state_of(&report)["bluetooth"]["btlist"][0]["connected"], true);
    stage.ends().await;
}

#[actix_web::test]
async fn flow_8_2_a_bluetooth_device_is_played_disconnected_and_deleted() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let peer = json!({
        "name": "Phone", "address": "44:00:10:f1:1f:f5", "connected": true, "role": "sink",
    });
    actor.says("state", bluetooth(json!({"btlist": [peer]}))).await;
    // Play, rescan, disconnect, delete: each is done and reported.
    obeys(actor, "BtPlay", json!({}), json!({})).await;
    obeys(actor, "BtRescan", json!({}), bluetooth(json!({"scanning": "on"}))).await;
    let state = obeys(actor, "BtDisconnect", json!({}), bluetooth(json!({}))).await;
    assert_eq!(state["btlist"], json!([]));
    obeys(actor, "BtDelete", peer, json!({})).await;
    stage.ends().await;
}
