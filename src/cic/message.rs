//! What crosses between an appliance's actor and its CIC session.

use std::time::Duration;

use bytes::Bytes;

use super::directive::Directive;
use crate::{ids::ContentId, secret::Secret};

/// Names one `POST /v1/events` of one appliance; unique for the life of its actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(pub u64);

/// Where a directive or an attachment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The downchannel.
    Downchannel,
    /// The response of an event.
    Response(RequestKey),
}

/// What an actor asks of its session. Commands for unknown or ended requests are ignored.
#[derive(Debug)]
pub enum Command {
    /// Use this access token from the next request on.
    SetToken(Secret),
    /// Send a complete event: `metadata` is its JSON part.
    Event {
        /// Names the request in the notices that follow.
        key: RequestKey,
        /// The JSON part (`context` and `event`).
        metadata: Bytes,
    },
    /// Open a Recognize upload: headers, the JSON part, and the head of the audio part.
    OpenUpload {
        /// Names the request in the notices that follow.
        key: RequestKey,
        /// The JSON part (`context` and `event`).
        metadata: Bytes,
    },
    /// One slice of audio for an open upload.
    Audio {
        /// The upload.
        key: RequestKey,
        /// Raw PCM.
        data: Bytes,
        /// When the newest byte of it came from MQTT, for `audio_relay_seconds`.
        received: std::time::Instant,
    },
    /// The upload is complete: closing delimiter, END_STREAM.
    FinishUpload {
        /// The upload.
        key: RequestKey,
    },
    /// Reset the stream (RST_STREAM, CANCEL); no more notices about it will come.
    Abort {
        /// The request.
        key: RequestKey,
    },
    /// End the connection in an orderly way: streams are reset, GOAWAY, close.
    Close,
}

/// What a session tells its actor, in order. `Closed` is the last one.
#[derive(Debug)]
pub enum Notice {
    /// The downchannel answered `200` (Hello follows as a directive).
    ChannelOpen,
    /// A directive arrived whole and could be read.
    Directive {
        /// Where it came from.
        source: Source,
        /// The directive.
        directive: Directive,
    },
    /// An attachment begins, goes on or ends.
    Attachment {
        /// Where it came from.
        source: Source,
        /// Its `Content-ID` without angle brackets.
        content_id: ContentId,
        /// What happened to it.
        event: AttachmentEvent,
    },
    /// A part or directive was skipped by itself.
    Skipped {
        /// Where it came from.
        source: Source,
        /// Why.
        reason: SkipReason,
    },
    /// The request's body has been sent completely: END_STREAM is with h2 (dialogue D5).
    /// Always comes before that request's `Response`, unless CIC answered early.
    Sent {
        /// The request.
        key: RequestKey,
    },
    /// Response headers arrived.
    Response {
        /// The request.
        key: RequestKey,
        /// HTTP status.
        status: u16,
        /// From the request's first byte to this.
        took: Duration,
    },
    /// The request is over; nothing more comes for it.
    Finished {
        /// The request.
        key: RequestKey,
        /// How it ended.
        outcome: Outcome,
    },
    /// A PING was answered after this long.
    Pong(Duration),
    /// The connection or its downchannel is gone. The session has ended.
    Closed(CloseReason),
}

/// A stretch of one attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentEvent {
    /// Its headers have arrived.
    Begin {
        /// `Content-Type` of the part, `application/octet-stream` when absent.
        content_type: String,
    },
    /// Bytes of it, in order.
    Data(Bytes),
    /// It is complete.
    End,
    /// It was cut off or grew beyond its bound; nothing more of it comes.
    Incomplete,
}

/// Why a part was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Not JSON, not UTF-8, or not shaped like a directive.
    Malformed,
    /// Larger than `limits.max_directive`.
    TooLarge,
    /// A part without `Content-ID` that is no directive.
    Unidentified,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A response of class 2xx was read to its end.
    Done,
    /// Another status; the text is `System.Exception.description` or what stood in the body.
    Refused {
        /// HTTP status.
        status: u16,
        /// For logs, at most 200 characters.
        description: String,
    },
    /// The stream was reset, or its body ended inside a part, or could not be read.
    Broken(String),
    /// Audio waited longer than its bound for flow control (64 KiB an upload).
    Overflow,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// We asked for it.
    Requested,
    /// DNS, TCP or TLS failed, or took longer than `cic.connect_timeout`.
    Connect(String),
    /// The downchannel request was answered with this status instead of `200`.
    Status {
        /// HTTP status.
        status: u16,
        /// For logs, at most 200 characters.
        description: String,
    },
    /// No Hello within `cic.connect_timeout` of `200`, or no answer to the request.
    NoHello,
    /// A PING was not acknowledged in `cic.ping_timeout`.
    PingTimeout,
    /// PINGs are acknowledged, but no request is taken or answered.
    Stalled,
    /// GOAWAY, reset, end of the downchannel, protocol error.
    Lost(String),
}
