//! The machine against `cic/dialogue.md` 7, seen from outside.
//!
//! | file | what it holds |
//! |---|---|
//! | `world.rs` | the machine with a clock; what it did, as short texts |
//! | `tables.rs` | every cell of table 7.1, every row of table 7.2 |
//! | `stories.rs` | what happens one after the other |
//! | `notifications.rs` | notifications and indicators |
//! | `random.rs` | random sequences, and what must hold in all of them |

mod notifications;
mod random;
mod stories;
mod tables;
mod world;
