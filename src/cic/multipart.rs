//! Multipart, both ways (transport 8): an incremental, zero-copy parser for what CIC sends, and
//! the encoder of events. Sans-IO: bytes in, events out.

use bytes::Bytes;

use crate::ids::ContentId;

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

/// Why a body cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The headers of one part exceed 16 KiB.
    #[error("part headers exceed {0} bytes")]
    HeadTooLarge(usize),
    /// More than this many bytes came before the first delimiter.
    #[error("no delimiter within the first {0} bytes")]
    NoDelimiter(usize),
}

/// The `boundary` of a `multipart/*` content type; `None` for anything else.
pub fn boundary_of(_content_type: &str) -> Option<String> {
    unimplemented!()
}

/// Incremental parser of one body.
#[derive(Debug)]
pub struct Parser;

impl Parser {
    /// For bodies whose content type declares this boundary (used as declared: a value that
    /// itself begins with dashes keeps them).
    pub fn new(_boundary: &str) -> Self {
        unimplemented!()
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, _chunk: Bytes) {
        unimplemented!()
    }

    /// The next thing that is certain, or `None` until more is fed.
    ///
    /// # Errors
    /// When a bound is exceeded; the parser is of no further use then.
    pub fn next_event(&mut self) -> Result<Option<PartEvent>, MultipartError> {
        unimplemented!()
    }

    /// The body has ended; `next_event` yields what is left, then `None`.
    pub fn finish(&mut self) {
        unimplemented!()
    }

    /// Whether the closing delimiter has been seen.
    pub fn is_closed(&self) -> bool {
        unimplemented!()
    }
}

/// The boundary of one event's body, and the pieces that are written with it.
#[derive(Debug, Clone)]
pub struct Boundary;

impl Boundary {
    /// A random one that will not occur in a body.
    pub fn random() -> Self {
        unimplemented!()
    }

    /// `multipart/form-data; boundary=...`.
    pub fn content_type(&self) -> String {
        unimplemented!()
    }

    /// Delimiter, headers and body of the `metadata` part (JSON), up to and including the CRLF
    /// that the next delimiter needs.
    pub fn metadata(&self, _json: &[u8]) -> Bytes {
        unimplemented!()
    }

    /// Delimiter and headers of the `audio` part.
    pub fn audio_head(&self) -> Bytes {
        unimplemented!()
    }

    /// The closing delimiter, after a part whose trailing CRLF is already written
    /// (`after_audio = false`) or not (`true`).
    pub fn closing(&self, _after_audio: bool) -> Bytes {
        unimplemented!()
    }
}
