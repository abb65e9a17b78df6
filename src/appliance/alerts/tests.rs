//! The machine against alerts.md and the contract.
