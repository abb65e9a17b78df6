//! One connection to the broker and back, for `check`.

use std::time::Duration;

use rumqttc::v5::{
    AsyncClient, Event,
    mqttbytes::v5::{ConnAck, Packet},
};

use super::{LinkSettings, options, trouble::explain};

/// Connects and logs in as the gateway would, and leaves again.
///
/// Under a client id of its own, so that a gateway that runs keeps its session.
///
/// # Errors
/// What has to be mended, with the configuration's keys.
pub async fn probe(settings: &LinkSettings, patience: Duration) -> Result<(), String> {
    match tokio::time::timeout(patience, connect(settings)).await {
        Ok(result) => result,
        Err(_) => Err(format!("{} does not answer within {patience:?}: mqtt.url", settings.host)),
    }
}

async fn connect(settings: &LinkSettings) -> Result<(), String> {
    let mut options = options(settings, &format!("{}-check", settings.client_id));
    options.set_clean_start(true);
    let (client, mut events) = AsyncClient::new(options, 1);
    let accepted =
        |event: &Event| matches!(event, Event::Incoming(Packet::ConnAck(ConnAck { .. })));
    while !accepted(&events.poll().await.map_err(|error| explain(&error, settings))?) {}
    // It has done its part; how it ends is of no interest.
    if client.disconnect().await.is_ok() {
        let _ = events.poll().await;
    }
    Ok(())
}
