//! The cloud's edge: everything that knows how CIC looks on the wire.
//!
//! [`session`] is the only user of h2 and is called by the appliance's actor alone; the other
//! modules are pure. Sources: the CIC client developer guide, cited as "transport 8.2" and the
//! like after `docs/cic.md`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`message`] | what crosses between an actor and its session |
//! | [`session`] | one h2 connection: downchannel, events, PING |
//! | [`link`] | sans-IO: when to connect, wait, refresh or give up |
//! | [`multipart`] | sans-IO: incremental parser, and the encoder of events |
//! | [`directive`] | a directive's header, with its payload left raw |
//! | [`event`] | the JSON part of an event |
//! | [`names`] | every message name of CIC |
//! | [`auth`] | the auth API: codes and refresh tokens become access tokens |
//! | [`probe`] | whether CIC can be reached, for `check` |
//! | [`tls`] | one shared client configuration |
//! | [`user_agent`] | CIC's User-Agent grammar |

pub mod auth;
pub mod directive;
pub mod event;
pub mod link;
pub mod message;
pub mod multipart;
pub mod names;
pub mod probe;
pub mod session;
pub mod tls;
pub mod user_agent;
