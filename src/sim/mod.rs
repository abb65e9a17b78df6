//! The simulators that we ship, because CIC's cloud cannot be reached from everywhere: the demo,
//! the command line and the tests run them.

pub mod appliance;
pub mod cic;
pub(crate) mod sink;
pub mod tls;
