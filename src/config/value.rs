//! Durations and sizes as people write them.

use std::time::Duration;

/// `"60s"`, `"30m"`, `"1h"`, `"500ms"`.
///
/// # Errors
/// With a text for people when it is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write \"60s\", \"30m\", \"1h\" or \"500ms\"");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

/// `"64KiB"`, `"8MiB"`, `"512B"`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is no size; write \"512B\", \"64KiB\" or \"8MiB\"");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let bytes = match unit {
        "B" => Some(number),
        "KiB" => number.checked_mul(1 << 10),
        "MiB" => number.checked_mul(1 << 20),
        "GiB" => number.checked_mul(1 << 30),
        _ => None,
    };
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(wrong)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}
