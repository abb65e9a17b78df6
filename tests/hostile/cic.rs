//! CIC attacks through one appliance's session.

use std::time::Duration;

use cic_gateway::sim::{
    appliance::{Heard, SimulatedAppliance},
    cic::{ErrorBody, Fault, Place},
};

use crate::house::{House, LIMIT, is_connected};

const TEXT: &str = "attack me";

/// The other asks again and again; each answer is an attack. The victim is served meanwhile.
async fn attack(fault: Fault, requests: usize) -> (House, SimulatedAppliance) {
    let mut house = House::build().await;
    let other = SimulatedAppliance::start(house.other().settings.clone()).unwrap();
    is_connected(&other).await;
    house.mark();
    house.site.cic.inject([fault.on(Place::Event).when(TEXT)]);
    for _ in 0..requests {
        other.type_text(TEXT, None);
        // The dialogue begins, ends in one way or another, or the connection does.
        let moved = |heard: &Heard| matches!(heard, Heard::Dialogue(_) | Heard::Session(_));
        let _ = other.wait_for(moved, Duration::from_millis(50)).await;
    }
    house.victim_is_served().await;
    let attacks = house.site.cic.seen().iter().filter(|seen| seen.text == TEXT).count();
    assert!(attacks > 0, "CIC was asked");
    house.memory_is_bounded();
    (house, other)
}

#[tokio::test]
async fn endless_headers() {
    attack(Fault::HeaderBomb(4 * 1024 * 1024), 30).await;
}

#[tokio::test]
async fn an_endless_part() {
    attack(Fault::EndlessPart, 3).await;
}

#[tokio::test]
async fn an_endless_error() {
    attack(Fault::EventRefused(400, ErrorBody::Endless), 10).await;
}

#[tokio::test]
async fn a_million_tiny_frames() {
    let (mut house, other) = attack(Fault::TinyFrames(1_000_000), 1).await;
    // Read to the end, or ended.
    let ends = |heard: &Heard| match heard {
        Heard::Dialogue(value) => value["state"] == "idle",
        Heard::Session(value) => value["state"] != "connected",
        _ => false,
    };
    other.wait_for(ends, 2 * LIMIT).await.expect("it comes to an end");
    house.victim_is_served().await;
    house.memory_is_bounded();
}

#[tokio::test]
async fn a_storm_of_resets() {
    attack(Fault::ResetEvent, 300).await;
}

/// Every downchannel of the other ends as soon as it has begun.
async fn storm(fault: Fault) {
    let mut house = House::build().await;
    house.site.cic.inject([fault.on(Place::Channel).every(1)]);
    house.mark();
    let other = SimulatedAppliance::start(house.other().settings.clone()).unwrap();
    for _ in 0..3 {
        let lost = |heard: &Heard| matches!(heard, Heard::Session(v) if v["state"] == "disconnected" && v["reason"] != "appliance offline");
        other.wait_for(lost, LIMIT).await.expect("it ends");
        house.victim_is_served().await;
    }
    house.memory_is_bounded();
}

#[tokio::test]
async fn a_storm_of_goaway() {
    storm(Fault::Goaway).await;
}

#[tokio::test]
async fn a_storm_of_channels_that_are_reset() {
    storm(Fault::ResetChannel).await;
}
