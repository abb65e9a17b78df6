//! The machine against `cic/interfaces.md`, `cic/flows.md` and the contract, seen from outside:
//! directives, reports and time go in, effects come out.
//!
//! | file | what it holds |
//! |---|---|
//! | `world.rs` | the machine with a clock; what it did, as short texts |
//! | `queueing.rs` `streams.rs` `clearing.rs` | Play, StreamDeliver, ClearQueue |
//! | `controlling.rs` `skipping.rs` | PlaybackController |
//! | `buttons.rs` | buttons, and the directives that press them |
//! | `progress.rs` | progress reports, seeks, the end of a section |
//! | `reporting.rs` | what the appliance says, and what CIC hears of the state |
//! | `examples.rs` | every example of the guide |
//! | `random.rs` `checker.rs` | random sequences, and what must hold in all of them |

mod buttons;
mod checker;
mod clearing;
mod controlling;
mod examples;
mod progress;
mod queueing;
mod random;
mod reporting;
mod skipping;
mod streams;
mod world;
