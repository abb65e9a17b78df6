//! What a restart of the broker does to the whole gateway.
#![allow(clippy::unwrap_used)]

mod support;

use support::{house::Home, onlooker::Onlooker};

#[actix_web::test]
async fn a_broker_that_has_forgotten_everything_is_told_again_and_dialogues_go_on() {
    let mut home = Home::build().await;
    let onlooker = Onlooker { port: home.mosquitto.port, password: home.password.clone() };
    home.is_answered("what time is it").await;
    for _ in 0..2 {
        home.mosquitto.kill();
        home.until_connected(false).await;
        home.mosquitto.restart();
        home.until_connected(true).await;
        assert_eq!(onlooker.session().await, "connected");
        home.is_answered("what time is it").await;
    }
    let metrics = home.gateway.metrics().render();
    assert!(metrics.contains("\ncic_gateway_mqtt_connected 1\n"), "{metrics}");
    home.gateway.stop().await;
    assert_eq!(onlooker.session().await, "stopped");
}
