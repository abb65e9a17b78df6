//! Alarms, timers and reminders over real sockets: speaker, broker, gateway, store, simulated CIC
//! over TLS.

#![allow(clippy::unwrap_used)]

mod absence;
mod house;
mod restarts;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod time;
mod voice;
