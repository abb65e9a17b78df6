//! What operators see: logs, metrics and traces.

pub mod logs;
pub mod metrics;
pub mod traces;
