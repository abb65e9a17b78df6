//! Everything that can fail, failing.

#![allow(clippy::unwrap_used)]

mod cic;
mod house;
mod network;
#[path = "../support/mod.rs"]
mod support;
