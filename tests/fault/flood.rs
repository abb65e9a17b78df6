//! One appliance floods, or sends garbage: only it notices.

use cic_gateway::sim::appliance::Heard;

use crate::{
    house::{House, wary},
    support::site::Plan,
};

const MESSAGES: usize = 3000;

#[actix_web::test]
async fn a_flood_of_garbage_concerns_only_whoever_sends_it() {
    let house = House::build(Plan { appliances: 2, ..wary() }).await;
    let (wild, good) = (house.arrive(0).await, house.arrive(1).await);
    let kinds: [(&str, Vec<u8>); 6] = [
        ("text", b"{".to_vec()),
        ("state", vec![b'['; 60_000]),
        ("recognize", b"{\"utterance\": 7}".to_vec()),
        ("audio/nobody", vec![0; 6400]),
        ("audio/nobody", vec![1; 3]),
        ("no/such/topic", b"{}".to_vec()),
    ];
    for (topic, payload) in kinds.iter().cycle().take(MESSAGES) {
        wild.0.publish(topic, payload.clone());
    }
    // In the middle of it.
    good.recovers().await;
    let error = wild.heard(|heard| matches!(heard, Heard::Error(_))).await;
    assert!(matches!(error, Heard::Error(v) if v["code"].is_string()));
    wild.error("rate_limited").await;
    assert!(house.metric("input_errors_total{code=\"invalid_json\"}").is_some_and(|n| n > 1.0));
    wild.recovers().await;
    assert_eq!(house.metric("actor_restarts_total"), Some(0.0));
    assert_eq!(house.metric("appliances{state=\"connected\"}"), Some(2.0));
    house.gateway.stop().await;
}
