//! Everything that can fail, failing: the table of `docs/operations/failures.md`, row by row,
//! against a real PostgreSQL and Mosquitto, and a simulated CIC over TLS. What another file proves
//! already is not proved here again.
//!
//! | what fails | where it is proved |
//! |---|---|
//! | CIC refuses: 400, 401, 412, 429, 500, 503, ... | per request: `cic.rs`; per body: `tests/session_answers.rs` |
//! | CIC resets, ends, says GOAWAY (graceful, abrupt), falls silent | `cic.rs`; within a session: `tests/session_faults.rs` |
//! | CIC is slow, has a tiny window, changes SETTINGS, allows one stream | `cic.rs`, `tests/session_faults.rs` |
//! | Hello never comes, or late | `cic.rs` |
//! | an answer is truncated, unending, byte by byte, a flood | `cic.rs`, `tests/session_answers.rs` |
//! | CIC cannot be reached, the line is cut, stands still, is half-open, slow | `network.rs` |
//! | alerts while CIC is away; what it must hear, in order | `network.rs`, `tests/alerts/absence.rs` |
//! | the pairing is gone, the auth server refuses | `tests/dialogue.rs`, `src/cic/link_tests.rs` |
//! | the broker restarts and has forgotten everything | `tests/broker_loss.rs` |
//! | the broker stands still; its line is cut, half-open, slow | `liveness.rs`, `network.rs` |
//! | the broker refuses rights, messages, sizes | `tests/link.rs` |
//! | PostgreSQL is stopped | `tests/alerts/stores.rs` |
//! | its line is cut, stands still, is half-open, slow | `network.rs` |
//! | SIGKILL at any instant | `tests/crash` |
//! | restarts in every phase of an alert | `tests/alerts/restarts.rs` |
//! | SIGTERM, a second signal, SIGTERM while nothing answers | `ending.rs` |
//! | an appliance floods or sends garbage | `flood.rs`; each kind of garbage: `tests/dialogue.rs` |
//! | an appliance is away, or vanishes | `tests/alerts/absence.rs`, `src/appliance/core/tests` |
//! | the clock is set | `tests/alerts/time.rs`, `src/appliance/alerts/tests/time.rs` |
//! | an actor panics, or is stuck | `src/appliance/registry_tests.rs` |
//! | the appliances' thread stands still | `liveness.rs` |

#![allow(clippy::unwrap_used)]

mod cic;
mod ending;
mod flood;
mod house;
mod liveness;
mod network;
#[path = "../support/mod.rs"]
mod support;
