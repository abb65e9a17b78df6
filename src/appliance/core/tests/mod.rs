//! The core's tests: a bench that plays broker, CIC and store, and the stories told on it.

mod alarms;
mod barging;
mod bench;
mod dialogues;
mod events;
mod media;
