//! The flows of the guide ("Flows", sections 1 to 13), one test each, with its step numbers: a
//! simulated CIC, a live gateway, and appliances that do only what the test says.

#![allow(clippy::unwrap_used)]

mod accounts;
mod alarms;
mod control;
mod dialogue;
mod display;
mod music;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use bytes::Bytes;
use cic_gateway::sim::cic::{Scenario, SimSettings};
use serde_json::{Value, json};

use support::{
    puppet::Message,
    stage::{Actor, Stage, in_dialogue},
};

/// What stands for speech.
const SPEECH: &[u8] = b"an MP3, as far as anybody but the appliance cares";

/// A CIC that answers no request but as a test says.
fn taciturn() -> SimSettings {
    let scenario = Scenario::parse("", Path::new(".")).unwrap();
    SimSettings { scenario, ..SimSettings::default() }
}

/// One appliance, connected; what connecting brings is over.
async fn stage() -> Stage {
    let stage = Stage::build(1, taciturn(), "").await;
    stage.actors[0].cic_sees("Settings.RequestVersionSpec").await;
    stage.actors[0].hears_directive("Settings.UpdateVersionSpec").await;
    stage
}

/// A Speak with this token, and what is attached to it.
fn speak(token: &str) -> (Value, (String, Bytes)) {
    let url = format!("cid:{token}");
    let payload = json!({"url": url, "token": token, "format": "AUDIO_MPEG"});
    let sound = (token.to_owned(), Bytes::from_static(SPEECH));
    (in_dialogue("SpeechSynthesizer.Speak", payload), sound)
}

/// The appliance plays a Speak that it has got to its end, and CIC hears of that.
async fn speaks(actor: &Actor, token: &str) {
    actor.says("speech", json!({"token": token, "state": "started"})).await;
    let started = actor.cic_sees("SpeechSynthesizer.SpeechStarted").await;
    assert_eq!(started.payload, json!({"token": token}));
    actor.says("speech", json!({"token": token, "state": "finished"})).await;
    actor.cic_sees("SpeechSynthesizer.SpeechFinished").await;
}

/// After this message, something comes to sound like this.
async fn moves(actor: &Actor, after: usize, what: &str, place: &str) {
    let is_it = |m: &Message| m.topic == "focus" && m.json()[what] == place;
    actor.puppet.hears(after, "focus", is_it).await;
}

/// The appliance has carried an order out, or not.
async fn reports(actor: &Actor, order: &Value, ok: bool, state: Value) {
    let result = json!({"messageId": order["messageId"], "ok": ok, "state": state});
    actor.says("result", result).await;
}
