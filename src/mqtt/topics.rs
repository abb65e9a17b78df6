//! The topic table (contract section 1): which topics exist, and their names. Pure.

/// stub
pub fn split<'a>(_root: &str, _topic: &'a str) -> Option<(&'a str, &'a str)> {
    None
}
