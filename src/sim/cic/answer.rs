//! Answers, with all that can be wrong with them (transport 8.2, 9, 10).

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use h2::{SendStream, server::SendResponse};
use http::{HeaderValue, Response};
use serde_json::json;

use super::{
    fault::{ErrorBody, Fault},
    server::Connection,
    wire::{self, Part, Writer},
};
use crate::ids::random_uuid;

/// Bytes of a trickle between two round trips. Each lies in a frame of its own, and a client may
/// well refuse hundreds of those at once.
const TRICKLE: usize = 32;
/// Between two bytes of an error body that never ends.
const DRIP: Duration = Duration::from_millis(20);

/// A response without a body.
pub(super) fn empty(respond: &mut SendResponse<Bytes>, status: u16) -> Result<(), h2::Error> {
    head(respond, status, None, true).map(drop)
}

/// An error with `System.Exception`.
pub(super) async fn refuse(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    why: &str,
) -> Result<(), h2::Error> {
    tracing::debug!(status, why, "refused");
    let writer = Writer::new();
    let mut stream = head(respond, status, Some(&writer.content_type()), false)?;
    let part = writer.part(&Part::Directive(wire::exception(status, why)));
    let body = [writer.opening(), part, writer.closing()].concat();
    wire::write(&mut stream, body.into(), true).await
}

/// An injected refusal.
pub(super) async fn refuse_with(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    body: ErrorBody,
) -> Result<(), h2::Error> {
    let code = json!({"payload": {"code": "INJECTED_FAULT"}}).to_string();
    match body {
        ErrorBody::Multipart => refuse(respond, status, "injected fault").await,
        ErrorBody::Empty => empty(respond, status),
        ErrorBody::Json => {
            let mut stream = head(respond, status, Some("application/json"), false)?;
            wire::write(&mut stream, code.into(), true).await
        }
        ErrorBody::Endless => {
            let mut stream = head(respond, status, Some("application/json"), false)?;
            wire::write(&mut stream, code.into(), false).await?;
            loop {
                wire::write(&mut stream, Bytes::from_static(b" "), false).await?;
                tokio::time::sleep(DRIP).await;
            }
        }
    }
}

/// Response headers of about this many bytes, in fields of one KiB.
pub(super) fn header_bomb(
    respond: &mut SendResponse<Bytes>,
    bytes: usize,
) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    let value = HeaderValue::try_from("x".repeat(1000)).map_err(|_| internal())?;
    for number in 0..bytes / 1024 + 1 {
        let name = http::HeaderName::try_from(format!("x-bomb-{number}"));
        response.headers_mut().insert(name.map_err(|_| internal())?, value.clone());
    }
    respond.send_response(response, true).map(drop)
}

fn internal() -> h2::Error {
    h2::Reason::INTERNAL_ERROR.into()
}

fn head(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    content_type: Option<&str>,
    end: bool,
) -> Result<SendStream<Bytes>, h2::Error> {
    let mut response = Response::builder().status(status);
    if let Some(content_type) = content_type {
        response = response.header("content-type", content_type);
    }
    respond.send_response(response.body(()).map_err(|_| internal())?, end)
}

/// A multipart answer that is being written.
pub(super) struct Output<'a> {
    connection: &'a Connection,
    pub(super) stream: SendStream<Bytes>,
    writer: Writer,
    fault: Option<Fault>,
}

impl<'a> Output<'a> {
    /// Sends the headers.
    pub(super) fn begin(
        connection: &'a Connection,
        respond: &mut SendResponse<Bytes>,
        fault: Option<Fault>,
    ) -> Result<Self, h2::Error> {
        let writer = Writer::new();
        let stream = head(respond, 200, Some(&writer.content_type()), false)?;
        Ok(Self { connection, stream, writer, fault })
    }

    /// The first delimiter, and what faults put behind it.
    pub(super) async fn open(&mut self) -> Result<(), h2::Error> {
        self.write(self.writer.opening(), false).await?;
        match self.fault {
            Some(Fault::EmptyFrames(count)) => {
                (0..count).try_for_each(|_| self.stream.send_data(Bytes::new(), false))
            }
            Some(Fault::TinyFrames(count)) => self.flood(count).await,
            Some(Fault::EndlessPart) => self.endless().await,
            Some(Fault::Rubbish) => self.rubbish().await,
            _ => Ok(()),
        }
    }

    pub(super) async fn part(&mut self, part: &Part) -> Result<(), h2::Error> {
        self.write(self.writer.part(part), false).await
    }

    /// The closing delimiter and END_STREAM.
    pub(super) async fn end(&mut self) -> Result<(), h2::Error> {
        self.write(self.writer.closing(), true).await
    }

    async fn write(&mut self, mut data: Bytes, end: bool) -> Result<(), h2::Error> {
        if self.fault != Some(Fault::Trickled) {
            return wire::write(&mut self.stream, data, end).await;
        }
        let mut sent = 0;
        while !data.is_empty() {
            let byte = data.split_to(1);
            wire::write(&mut self.stream, byte, end && data.is_empty()).await?;
            sent += 1;
            if sent % TRICKLE == 0 {
                self.connection.round_trip().await?;
            }
        }
        Ok(())
    }

    /// An attachment that nobody wants, one byte a frame.
    async fn flood(&mut self, count: usize) -> Result<(), h2::Error> {
        let attachment = Part::Attachment(random_uuid(), Bytes::from(vec![0; count]));
        let mut part = self.writer.part(&attachment);
        while !part.is_empty() {
            wire::write(&mut self.stream, part.split_to(1), false).await?;
        }
        Ok(())
    }

    /// An attachment that nobody wants, until the reader has had enough.
    async fn endless(&mut self) -> Result<(), h2::Error> {
        let attachment = Part::Attachment(random_uuid(), Bytes::from(vec![0; 16 * 1024]));
        let mut part = self.writer.part(&attachment);
        part.truncate(part.len() - self.writer.delimiter().len());
        loop {
            wire::write(&mut self.stream, part, false).await?;
            part = Bytes::from_static(&[0; 16 * 1024]);
        }
    }

    async fn rubbish(&mut self) -> Result<(), h2::Error> {
        let json = "\r\nContent-Type: application/json\r\n\r\n";
        let large = "x".repeat(10 * 1024 * 1024);
        for body in [&b"{"[..], b"{\"directive\":\"\xff\"}", large.as_bytes()] {
            let part = [json.as_bytes(), body, &self.writer.delimiter()].concat();
            self.write(part.into(), false).await?;
        }
        let unwanted = Bytes::from_static(b"nobody refers to this");
        self.part(&Part::Attachment(random_uuid(), unwanted)).await
    }

    /// Writes all parts and the end, or less.
    async fn parts(mut self, parts: &[Part]) -> Result<(), h2::Error> {
        self.open().await?;
        for (index, part) in parts.iter().enumerate() {
            let (mut bytes, is_last) = (self.writer.part(part), index + 1 == parts.len());
            match (self.fault, part) {
                (Some(Fault::TruncatedAnswer), _) if is_last => {
                    return self.write(bytes.split_to(bytes.len() / 2), true).await;
                }
                (Some(Fault::NoClosingDelimiter), _) if is_last => {
                    let length = bytes.len() - self.writer.delimiter().len();
                    return self.write(bytes.split_to(length), true).await;
                }
                (Some(Fault::EndlessAttachment), Part::Attachment(..)) => {
                    self.write(bytes.split_to(bytes.len() / 2), false).await?;
                    return poll_fn(|cx| self.stream.poll_reset(cx)).await.map(drop);
                }
                _ => self.write(bytes, false).await?,
            }
        }
        self.end().await
    }
}

/// Answers an event with these parts.
pub(super) async fn send(
    connection: &Connection,
    respond: &mut SendResponse<Bytes>,
    parts: &[Part],
    fault: Option<Fault>,
) -> Result<(), h2::Error> {
    match fault {
        Some(Fault::HeaderBomb(bytes)) => return header_bomb(respond, bytes),
        Some(Fault::LateAnswer(after)) => {
            tokio::select! {
                () = tokio::time::sleep(after) => {}
                reset = poll_fn(|cx| respond.poll_reset(cx)) => return reset.map(drop),
            }
        }
        _ => {}
    }
    let writes_anyway = matches!(
        fault,
        Some(
            Fault::Rubbish
                | Fault::EmptyFrames(_)
                | Fault::TinyFrames(_)
                | Fault::EndlessPart
                | Fault::Trickled
        )
    );
    if parts.is_empty() && !writes_anyway {
        return empty(respond, 204);
    }
    Output::begin(connection, respond, fault)?.parts(parts).await
}
