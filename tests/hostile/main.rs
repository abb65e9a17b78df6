//! Two appliances of one gateway, of which one attacks, or is attacked by CIC: the gateway stays
//! within its bounds of memory (docs/architecture.md, "Bounds"), and the other appliance is served
//! as before.
//!
//! The gateway is a process of its own, so that its memory can be told from that of the peers. Far
//! more is thrown at it than it may keep. How fast the other is served is compared with itself
//! before the attack, by medians, with a wide bound: the attackers share this machine's cores.

#![allow(clippy::unwrap_used)] // a test

#[path = "../support/mod.rs"]
mod support;

mod appliance;
mod cic;
mod house;
