//! Inputs that once broke something.

/// Those of this target.
pub fn of(target: &str) -> &'static [&'static [u8]] {
    match target {
        _ => &[],
    }
}
