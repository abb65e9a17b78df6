//! Everything that can fail, failing.

#![allow(clippy::unwrap_used)]

mod cic;
mod ending;
mod flood;
mod house;
mod liveness;
mod network;
#[path = "../support/mod.rs"]
mod support;
