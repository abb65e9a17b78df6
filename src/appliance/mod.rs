//! One actor an appliance, and the pure core it runs.
//!
//! [`registry`] (called by [`crate::shard`]) owns the actors; [`actor`] is a shell: it receives,
//! calls [`core`], performs what comes out, decides nothing. The machines below the core are
//! sans-IO: they take `now` and return outputs.
//!
//! | module | what it is for |
//! |---|---|
//! | [`message`] | what goes into the core and what comes out |
//! | [`core`] | composes the machines |
//! | [`dialogue`] | dialogue ids: what is awaited, what is stale |
//! | [`capture`] | one utterance: slices, limits, its end |
//! | [`queue`] | the order of directives, one blocking one at a time |
//! | [`attachments`] | attachments waiting for their directive, and directives for theirs |
//! | [`speech`] | the Speak that is playing |
//! | [`alerts`] | alarms, timers and reminders |
//! | [`control`] | what CIC asks the appliance for, and what it is told of that |
//! | [`duties`] | who carries out each directive, and which events answer it |
//! | [`focus`] | which sound is in front |
//! | [`playback`] | media: the play queue and what is playing of it |
//! | [`outbox`] | events on their way to CIC |
//! | [`ledger`] | what waits to be kept by the store |
//! | [`context`] | the context of every event |
//! | [`snapshot`], [`feed`] | what operators see, and what changes of it |
//! | [`trace`] | where the time of a dialogue goes |
//! | [`recent`] | messages that a broker repeats |
//! | [`complaints`] | `down/error`, at most ten in ten seconds |

pub mod actor;
pub mod alerts;
pub mod attachments;
pub mod capture;
pub mod complaints;
pub mod context;
pub mod control;
pub mod core;
pub mod dialogue;
pub mod duties;
pub mod env;
pub mod feed;
pub mod focus;
pub mod ledger;
pub mod message;
pub mod outbox;
pub mod playback;
pub mod queue;
pub mod recent;
pub mod registry;
pub mod snapshot;
pub mod speech;
pub mod trace;
