//! Logs on standard error: human-readable on a terminal, JSON with `--log-format json`.
