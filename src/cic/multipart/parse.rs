//! Reads a multipart body as it arrives (transport 8.2).
//!
//! A part ends as soon as its delimiter's text is complete: on the downchannel nothing may follow
//! for hours. Only bytes that may be the start of a delimiter are held back.

use bytes::{Bytes, BytesMut};

use super::parameter;
use crate::ids::ContentId;

/// Largest head of one part, bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes that may come before the first delimiter.
const MAX_PREAMBLE: usize = 64 * 1024;

/// Headers of one part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartHead {
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// `Content-ID` without angle brackets.
    pub content_id: Option<ContentId>,
    /// `name` of `Content-Disposition`; only the simulated CIC looks at it.
    pub name: Option<String>,
}

impl PartHead {
    /// Whether the part holds JSON.
    pub fn is_json(&self) -> bool {
        self.content_type.as_deref().is_some_and(|text| {
            let kind = text.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        })
    }

    fn read(text: &[u8]) -> Self {
        let mut head = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "content-type" => head.content_type = Some(value.to_owned()),
                "content-id" => {
                    let id = value.trim_start_matches('<').trim_end_matches('>');
                    head.content_id = Some(id).filter(|id| !id.is_empty()).map(ContentId::from);
                }
                "content-disposition" => {
                    let parameters = value.split_once(';').map_or("", |(_, rest)| rest);
                    head.name = parameter(parameters, "name");
                }
                _ => {}
            }
        }
        head
    }
}

/// What the parser found, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartEvent {
    /// A part's headers are complete.
    Begin(PartHead),
    /// Bytes of its body.
    Data(Bytes),
    /// The part is over.
    End {
        /// `false` when the stream ended inside it.
        complete: bool,
    },
}

/// A whole part, for bodies that are small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPart {
    /// Its headers.
    pub head: PartHead,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether its end was seen.
    pub complete: bool,
}

/// Why a body cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The headers of one part exceed their bound.
    #[error("part headers exceed {0} bytes")]
    HeadTooLarge(usize),
    /// More than this many bytes came before the first delimiter.
    #[error("no delimiter within the first {0} bytes")]
    NoDelimiter(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    /// Behind a delimiter's text: closing dashes, or the rest of the line.
    AfterDelimiter,
    Head,
    Body,
    Closed,
    Failed,
}

/// Incremental parser of one body.
#[derive(Debug)]
pub struct Parser {
    delimiter: Vec<u8>,
    buffer: Bytes,
    state: State,
    /// A body or preamble starts here, so a delimiter may follow without a line end before it.
    at_line_start: bool,
    skipped: usize,
    ended: bool,
}

impl Parser {
    /// For bodies whose content type declares this boundary (used as declared: a value that
    /// itself begins with dashes keeps them).
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: format!("--{boundary}").into_bytes(),
            buffer: Bytes::new(),
            state: State::Preamble,
            at_line_start: true,
            skipped: 0,
            ended: false,
        }
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, chunk: Bytes) {
        if self.buffer.is_empty() {
            self.buffer = chunk;
        } else if !chunk.is_empty() {
            // What is held back is at most a delimiter's or a head's length.
            let mut joined = BytesMut::with_capacity(self.buffer.len() + chunk.len());
            joined.extend_from_slice(&self.buffer);
            joined.extend_from_slice(&chunk);
            self.buffer = joined.freeze();
        }
    }

    /// The next thing that is certain, or `None` until more is fed.
    ///
    /// # Errors
    /// When a bound is exceeded; the parser is of no further use then.
    pub fn next_event(&mut self) -> Result<Option<PartEvent>, MultipartError> {
        loop {
            let before = (self.state, self.buffer.len());
            let event = match self.state {
                State::Preamble => self.preamble(),
                State::AfterDelimiter => self.after_delimiter(),
                State::Head => self.head(),
                State::Body => Ok(self.body()),
                State::Closed | State::Failed => {
                    self.buffer.clear();
                    return Ok(None);
                }
            };
            match event {
                Ok(None) if (self.state, self.buffer.len()) != before => {}
                Ok(event) => return Ok(event),
                Err(error) => {
                    self.state = State::Failed;
                    return Err(error);
                }
            }
        }
    }

    /// The body has ended; `next_event` yields what is left, then `None`.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether the closing delimiter has been seen.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Reads all that is left as whole parts; for small bodies that have been fed completely.
    ///
    /// # Errors
    /// As [`Parser::next_event`].
    pub fn collect_parts(&mut self) -> Result<Vec<ParsedPart>, MultipartError> {
        let mut parts: Vec<ParsedPart> = Vec::new();
        while let Some(event) = self.next_event()? {
            match (event, parts.last_mut()) {
                (PartEvent::Begin(head), _) => {
                    parts.push(ParsedPart { head, body: Vec::new(), complete: false });
                }
                (PartEvent::Data(data), Some(part)) => part.body.extend_from_slice(&data),
                (PartEvent::End { complete }, Some(part)) => part.complete = complete,
                (PartEvent::Data(_) | PartEvent::End { .. }, None) => {}
            }
        }
        Ok(parts)
    }

    fn preamble(&mut self) -> Result<Option<PartEvent>, MultipartError> {
        match self.find_delimiter() {
            Found::At { start, end } => {
                self.skipped += start;
                let _ = self.buffer.split_to(end);
                self.enter(State::AfterDelimiter);
            }
            Found::NotBefore(safe) => {
                self.skipped += safe;
                let _ = self.buffer.split_to(safe);
                self.at_line_start &= safe == 0;
            }
        }
        match self.skipped > MAX_PREAMBLE {
            true => Err(MultipartError::NoDelimiter(MAX_PREAMBLE)),
            false => Ok(None),
        }
    }

    fn after_delimiter(&mut self) -> Result<Option<PartEvent>, MultipartError> {
        let blanks = self.buffer.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        match &self.buffer[blanks..] {
            [b'-', b'-', ..] => self.enter(State::Closed),
            [b'\r', b'\n', ..] => self.enter_after(blanks + 2, State::Head),
            [b'\n', ..] => self.enter_after(blanks + 1, State::Head),
            [] | [b'-'] | [b'\r'] if blanks <= MAX_HEAD => {}
            [] | [b'-'] | [b'\r'] => return Err(MultipartError::HeadTooLarge(MAX_HEAD)),
            // Not a delimiter line after all. It has ended the part before it; what follows can
            // only be skipped until a true one comes.
            _ => self.enter(State::Preamble),
        }
        Ok(None)
    }

    fn head(&mut self) -> Result<Option<PartEvent>, MultipartError> {
        let Some((length, end)) = head_end(&self.buffer) else {
            if self.buffer.len() > MAX_HEAD {
                return Err(MultipartError::HeadTooLarge(MAX_HEAD));
            }
            if self.ended {
                self.buffer.clear();
                self.state = State::Failed;
            }
            return Ok(None);
        };
        if length > MAX_HEAD {
            return Err(MultipartError::HeadTooLarge(MAX_HEAD));
        }
        let head = PartHead::read(&self.buffer[..length]);
        self.enter_after(end, State::Body);
        Ok(Some(PartEvent::Begin(head)))
    }

    fn body(&mut self) -> Option<PartEvent> {
        match self.find_delimiter() {
            Found::At { start: 0, end } => {
                self.enter_after(end, State::AfterDelimiter);
                Some(PartEvent::End { complete: true })
            }
            Found::At { start, .. } => Some(self.data(start)),
            Found::NotBefore(safe) if safe > 0 => Some(self.data(safe)),
            Found::NotBefore(_) if !self.ended => None,
            Found::NotBefore(_) if !self.buffer.is_empty() => Some(self.data(self.buffer.len())),
            Found::NotBefore(_) => {
                self.state = State::Failed;
                Some(PartEvent::End { complete: false })
            }
        }
    }

    fn data(&mut self, length: usize) -> PartEvent {
        self.at_line_start = false;
        PartEvent::Data(self.buffer.split_to(length))
    }

    fn enter(&mut self, state: State) {
        self.enter_after(0, state);
    }

    fn enter_after(&mut self, length: usize, state: State) {
        let _ = self.buffer.split_to(length);
        self.at_line_start = state == State::Body;
        self.state = state;
    }

    /// Looks for `CRLF --boundary` (or with LF alone), and for `--boundary` at a line's start.
    fn find_delimiter(&self) -> Found {
        let buffer = &self.buffer[..];
        if self.at_line_start {
            match compare(buffer, &self.delimiter) {
                Match::Whole => return Found::At { start: 0, end: self.delimiter.len() },
                Match::Prefix => return Found::NotBefore(0),
                Match::No => {}
            }
        }
        let mut from = 0;
        while let Some(position) = buffer[from..].iter().position(|b| *b == b'\n') {
            let newline = from + position;
            let start = newline - usize::from(newline > 0 && buffer[newline - 1] == b'\r');
            match compare(&buffer[newline + 1..], &self.delimiter) {
                Match::Whole => {
                    return Found::At { start, end: newline + 1 + self.delimiter.len() };
                }
                Match::Prefix => return Found::NotBefore(start),
                Match::No => from = newline + 1,
            }
        }
        let held = usize::from(buffer.last() == Some(&b'\r'));
        Found::NotBefore(buffer.len() - held)
    }
}

enum Found {
    /// The delimiter with the line end before it is here.
    At { start: usize, end: usize },
    /// No delimiter starts before this.
    NotBefore(usize),
}

enum Match {
    Whole,
    Prefix,
    No,
}

fn compare(buffer: &[u8], delimiter: &[u8]) -> Match {
    let length = buffer.len().min(delimiter.len());
    match (buffer[..length] == delimiter[..length], length == delimiter.len()) {
        (true, true) => Match::Whole,
        (true, false) => Match::Prefix,
        (false, _) => Match::No,
    }
}

/// Length of a head and where the body begins; an empty line ends it.
fn head_end(buffer: &[u8]) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(position) = buffer[from..].iter().position(|b| *b == b'\n') {
        let newline = from + position;
        let line = &buffer[from..newline];
        if line.is_empty() || line == b"\r" {
            return Some((from, newline + 1));
        }
        from = newline + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "ignored\r\n--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\
        content-type: Application/JSON; charset=utf-8\r\n\r\n{\"a\":1}\r\n--b\r\n\
        Content-ID: <c-1>\r\nContent-Type: application/octet-stream\r\n\r\n\
        \r\n--\r\n--x\r\n\r\n--b \r\n\r\nplain\r\n--b--\r\nepilogue";

    /// All parts of a body that comes in these chunks.
    fn parts(boundary: &str, chunks: impl IntoIterator<Item = Bytes>) -> (Vec<ParsedPart>, bool) {
        let mut parser = Parser::new(boundary);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.feed(chunk);
            while let Some(event) = parser.next_event().unwrap() {
                events.push(event);
            }
        }
        parser.finish();
        while let Some(event) = parser.next_event().unwrap() {
            events.push(event);
        }
        let mut parts: Vec<ParsedPart> = Vec::new();
        for event in events {
            match event {
                PartEvent::Begin(head) => {
                    parts.push(ParsedPart { head, body: vec![], complete: false });
                }
                PartEvent::Data(data) => parts.last_mut().unwrap().body.extend_from_slice(&data),
                PartEvent::End { complete } => parts.last_mut().unwrap().complete = complete,
            }
        }
        (parts, parser.is_closed())
    }

    fn whole(boundary: &str, body: &str) -> (Vec<ParsedPart>, bool) {
        parts(boundary, [Bytes::copy_from_slice(body.as_bytes())])
    }

    #[test]
    fn parts_are_found_with_their_heads() {
        let (parts, closed) = whole("b", SAMPLE);
        assert!(closed);
        let bodies: Vec<_> =
            parts.iter().map(|p| String::from_utf8(p.body.clone()).unwrap()).collect();
        assert_eq!(bodies, ["{\"a\":1}", "\r\n--\r\n--x\r\n", "plain"]);
        assert!(parts.iter().all(|part| part.complete));
        assert!(parts[0].head.is_json());
        assert_eq!(parts[0].head.name.as_deref(), Some("x"));
        assert_eq!(parts[1].head.content_id, Some("c-1".into()));
        assert!(!parts[1].head.is_json());
    }

    #[test]
    fn a_body_split_anywhere_yields_the_same_parts() {
        let want = whole("b", SAMPLE);
        let all = Bytes::from_static(SAMPLE.as_bytes());
        for at in 0..=all.len() {
            let chunks = [all.slice(..at), all.slice(at..)];
            assert_eq!(parts("b", chunks), want, "split at {at}");
        }
        let single = (0..all.len()).map(|n| all.slice(n..=n));
        assert_eq!(parts("b", single), want);
    }

    #[test]
    fn a_part_ends_with_its_delimiters_text_although_nothing_follows() {
        let mut parser = Parser::new("dc-71f0");
        parser.feed("--dc-71f0\r\nContent-Type: application/json\r\n\r\n{}\r\n--dc-71f0".into());
        assert!(matches!(parser.next_event(), Ok(Some(PartEvent::Begin(_)))));
        assert_eq!(parser.next_event(), Ok(Some(PartEvent::Data("{}".into()))));
        assert_eq!(parser.next_event(), Ok(Some(PartEvent::End { complete: true })));
        assert_eq!(parser.next_event(), Ok(None));
    }

    #[test]
    fn bytes_pass_as_they_come() {
        let mut parser = Parser::new("b");
        parser.feed("--b\r\n\r\n".into());
        assert!(matches!(parser.next_event(), Ok(Some(PartEvent::Begin(_)))));
        parser.feed("abc".into());
        assert_eq!(parser.next_event(), Ok(Some(PartEvent::Data("abc".into()))));
        parser.feed("d\r".into());
        assert_eq!(parser.next_event(), Ok(Some(PartEvent::Data("d".into()))));
        assert_eq!(parser.next_event(), Ok(None), "the CR may belong to a delimiter");
    }

    #[test]
    fn line_feeds_alone_and_boundaries_of_dashes_are_understood() {
        let (parts, closed) = whole("b", "--b\nContent-ID: c\n\nbody\n--b--");
        assert_eq!((parts[0].body.as_slice(), closed), (&b"body"[..], true));
        let (parts, closed) = whole("--abc", "----abc\r\n\r\nbody\r\n----abc--\r\n");
        assert_eq!((parts[0].body.as_slice(), closed), (&b"body"[..], true));
    }

    #[test]
    fn an_empty_part_is_a_part() {
        let (parts, _) = whole("b", "--b\r\nContent-ID: c\r\n\r\n\r\n--b\r\n\r\n--b--");
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| part.complete && part.body.is_empty()));
    }

    #[test]
    fn the_end_of_the_stream_ends_the_last_part_as_incomplete() {
        let (parts, closed) = whole("b", "--b\r\n\r\nhalf\r\n--");
        assert_eq!((parts[0].body.as_slice(), parts[0].complete), (&b"half\r\n--"[..], false));
        assert!(!closed);
    }

    #[test]
    fn heads_and_preambles_are_bounded() {
        let mut parser = Parser::new("b");
        parser.feed(Bytes::from(format!("--b\r\nX: {}", "y".repeat(MAX_HEAD))));
        assert_eq!(parser.next_event(), Err(MultipartError::HeadTooLarge(MAX_HEAD)));
        assert_eq!(parser.next_event(), Ok(None));
        let mut parser = Parser::new("b");
        let mut result = Ok(None);
        for _ in 0..100 {
            parser.feed(Bytes::from(vec![b'x'; 1024]));
            result = parser.next_event();
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result, Err(MultipartError::NoDelimiter(MAX_PREAMBLE)));
    }
}
