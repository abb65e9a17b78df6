//! The appliances' edge: everything that knows MQTT topics and payloads.
//!
//! [`link`] is the only user of rumqttc and is called by [`crate::shard`]; [`native`] and
//! [`topics`] are pure and are called by the appliance's actor; [`broker`] is the embedded broker
//! of a home hub, started by [`crate::app`].

#[cfg(feature = "broker")]
pub mod broker;
pub mod link;
pub mod native;
pub mod topics;

use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;

/// MQTT delivery guarantee that the gateway asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// At most once.
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
}

/// A message that the gateway publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The whole topic.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// At most once or at least once.
    pub qos: Qos,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// A message that the broker delivered.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The whole topic, as it lies in what was read.
    pub topic: ByteString,
    /// The payload.
    pub payload: Bytes,
    /// Whether it was kept by the broker from before our subscription.
    pub retained: bool,
    /// Whether the broker says that it may have delivered it before.
    pub repeated: bool,
    /// When it was read from the socket.
    pub received: Instant,
    /// The span that it belongs to, as its sender says (MQTT 5).
    pub traceparent: Option<Box<str>>,
}
