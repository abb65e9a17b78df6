//! The machine against `cic/interfaces.md`, `cic/flows.md` and the contract, seen from outside.
//!
//! | file | what it holds |
//! |---|---|
//! | `world.rs` | the machine with a clock; what it did, as short texts |
//! | `actions.rs` | orders of DeviceControl, and what becomes of them |
//! | `naming.rs` | what reports call commands, targets and events |
//! | `connecting.rs` | Bluetooth connections and their real result |
//! | `reporting.rs` | reports of the state, delegation, and what is only passed on |
//! | `settings.rs` | Settings |
//! | `random.rs` | random sequences, and what must hold in all of them |

mod actions;
mod connecting;
mod naming;
mod random;
mod reporting;
mod settings;
mod world;
