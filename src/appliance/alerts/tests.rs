//! The machine against `cic/alerts.md` and the contract, seen from outside: orders, reports and
//! clock readings go in, effects come out, a store keeps or loses what it is given.
//!
//! | file | what it holds |
//! |---|---|
//! | `store.rs` | a store that saves, fails, and forgets what was under way |
//! | `world.rs` | the machine with that store and a clock; what it did, as short texts |
//! | `setting.rs` `stopping.rs` `synchronizing.rs` | what CIC orders |
//! | `ringing.rs` `absence.rs` `time.rs` | what happens by itself |
//! | `keeping.rs` `restart.rs` | what the store has, before and after the end of the process |
//! | `random.rs` `checker.rs` | random sequences, and what must hold in all of them |

mod absence;
mod checker;
mod keeping;
mod random;
mod restart;
mod ringing;
mod setting;
mod stopping;
mod store;
mod synchronizing;
mod time;
mod world;
