//! Multipart, both ways (transport 8): an incremental, zero-copy parser for what CIC sends, and
//! the encoder of events. Sans-IO: bytes in, events out.
//!
//! Called by [`super::session`] and by the simulated CIC.

mod encode;
mod parse;

pub use encode::Boundary;
pub use parse::{MultipartError, ParsedPart, Parser, PartEvent, PartHead};

/// The `boundary` of a `multipart/*` content type; `None` for anything else.
pub fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    let kind = kind.trim();
    if !kind.get(..10).is_some_and(|prefix| prefix.eq_ignore_ascii_case("multipart/")) {
        return None;
    }
    let value = parameter(parameters, "boundary")?;
    (!value.is_empty() && value.len() <= 200).then_some(value)
}

/// The value of one parameter of a header, with or without quotes.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(';').unwrap_or((after, "")),
        };
        let name = name.trim().trim_start_matches(';').trim();
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_read_however_they_are_written() {
        let rows = [
            ("multipart/related; boundary=dc-71f0;", Some("dc-71f0")),
            ("multipart/form-data;boundary=\"a b;c\"; x=y", Some("a b;c")),
            ("Multipart/Mixed; charset=utf-8; Boundary=--abc", Some("--abc")),
            ("multipart/related; type=\"application/json\"; boundary=x", Some("x")),
            ("application/json; boundary=x", None),
            ("multipart/related", None),
            ("multipart/related; boundary=", None),
        ];
        for (text, want) in rows {
            assert_eq!(boundary_of(text).as_deref(), want, "{text}");
        }
    }
}
