//! Multipart bodies become notices: directives whole, attachments as they come (transport 8.2).

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::HeaderMap;

use super::Shared;
use crate::{
    cic::{
        directive::{self, Directive},
        message::{AttachmentEvent, Notice, SkipReason, Source},
        multipart::{Parser, PartEvent, PartHead, boundary_of},
    },
    ids::ContentId,
};

/// Less of an attachment than this waits for more: what trickles in byte by byte must not become a
/// message a byte, which would overflow the appliance's queue at the broker.
const MIN_PIECE: usize = 1024;

/// A response's stream of bytes.
pub(super) struct Stream(pub(super) RecvStream);

impl Stream {
    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        self.0.data().await.transpose().map_err(|error| error.to_string())
    }

    /// Lets CIC send as much again. Called once the bytes have been taken.
    pub(super) fn release(&mut self, bytes: usize) {
        // Fails only on a stream that has ended.
        let _ = self.0.flow_control().release_capacity(bytes);
    }
}

/// What the current part is.
enum Part {
    None,
    Directive(BytesMut),
    Attachment { id: ContentId, bytes: usize, gathered: BytesMut },
    Skipped,
}

/// One multipart body on its way to the actor.
pub(super) struct Body<'a> {
    shared: &'a Shared,
    source: Source,
    parser: Parser,
    part: Part,
    hello: bool,
}

impl<'a> Body<'a> {
    /// `None` when the headers do not announce multipart.
    pub(super) fn new(shared: &'a Shared, source: Source, headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get("content-type")?.to_str().ok()?;
        let parser = Parser::new(&boundary_of(content_type)?);
        Some(Self { shared, source, parser, part: Part::None, hello: false })
    }

    /// Whether `Clova.Hello` has come.
    pub(super) fn saw_hello(&self) -> bool {
        self.hello
    }

    /// Takes the next bytes; the error ends the body.
    pub(super) async fn take(&mut self, chunk: Bytes) -> Result<(), String> {
        self.parser.feed(chunk);
        self.drain().await
    }

    /// The body has ended. The error says that something was cut off.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        self.parser.finish();
        self.drain().await
    }

    async fn drain(&mut self) -> Result<(), String> {
        loop {
            let event = match self.parser.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.cut_off().await?;
                    return Err(error.to_string());
                }
            };
            match event {
                PartEvent::Begin(head) => self.begin(head).await?,
                PartEvent::Data(data) => self.data(data).await?,
                PartEvent::End { complete } => self.end(complete).await?,
            }
        }
    }

    async fn begin(&mut self, head: PartHead) -> Result<(), String> {
        let untyped = head.content_type.is_none() && head.content_id.is_none();
        self.part = match head.content_id.clone() {
            _ if head.is_json() || untyped => Part::Directive(BytesMut::new()),
            Some(id) => Part::Attachment { id, bytes: 0, gathered: BytesMut::new() },
            None => {
                self.skip(SkipReason::Unidentified).await?;
                Part::Skipped
            }
        };
        let default = || "application/octet-stream".to_owned();
        let content_type = head.content_type.unwrap_or_else(default);
        self.attach(AttachmentEvent::Begin { content_type }).await
    }

    async fn data(&mut self, data: Bytes) -> Result<(), String> {
        match &mut self.part {
            Part::Directive(text) => {
                if text.len() + data.len() > self.shared.settings.max_directive {
                    self.part = Part::Skipped;
                    return self.skip(SkipReason::TooLarge).await;
                }
                text.extend_from_slice(&data);
                Ok(())
            }
            Part::Attachment { bytes, gathered, .. } => {
                *bytes += data.len();
                if *bytes > self.shared.settings.max_attachment {
                    self.attach(AttachmentEvent::Incomplete).await?;
                    self.part = Part::Skipped;
                    return Ok(());
                }
                if gathered.is_empty() && data.len() >= MIN_PIECE {
                    return self.attach(AttachmentEvent::Data(data)).await;
                }
                gathered.extend_from_slice(&data);
                if gathered.len() < MIN_PIECE {
                    return Ok(());
                }
                self.attach_gathered().await
            }
            Part::None | Part::Skipped => Ok(()),
        }
    }

    async fn end(&mut self, complete: bool) -> Result<(), String> {
        match std::mem::replace(&mut self.part, Part::None) {
            Part::Directive(text) => match directive::decode(&text) {
                Ok(directive) => self.deliver(directive).await,
                Err(_) if !complete => Err("the body ended within a directive".into()),
                Err(error) => {
                    tracing::warn!(%error, "a directive is skipped");
                    self.skip(SkipReason::Malformed).await
                }
            },
            attachment @ Part::Attachment { .. } => {
                self.part = attachment;
                self.attach_gathered().await?;
                let event = match complete {
                    true => AttachmentEvent::End,
                    false => AttachmentEvent::Incomplete,
                };
                self.attach(event).await?;
                self.part = Part::None;
                if complete { Ok(()) } else { Err("the body ended within an attachment".into()) }
            }
            Part::None | Part::Skipped => Ok(()),
        }
    }

    async fn cut_off(&mut self) -> Result<(), String> {
        self.attach_gathered().await?;
        self.attach(AttachmentEvent::Incomplete).await?;
        self.part = Part::Skipped;
        Ok(())
    }

    async fn deliver(&mut self, directive: Directive) -> Result<(), String> {
        self.hello |= directive.is("Clova", "Hello");
        let source = self.source;
        self.tell(Notice::Directive { source, directive }).await
    }

    /// Hands on what is too little by itself.
    async fn attach_gathered(&mut self) -> Result<(), String> {
        let Part::Attachment { gathered, .. } = &mut self.part else { return Ok(()) };
        match gathered.split().freeze() {
            nothing if nothing.is_empty() => Ok(()),
            data => self.attach(AttachmentEvent::Data(data)).await,
        }
    }

    /// Tells of the current attachment, if there is one.
    async fn attach(&mut self, event: AttachmentEvent) -> Result<(), String> {
        let Part::Attachment { id, .. } = &self.part else { return Ok(()) };
        let (source, content_id) = (self.source, id.clone());
        self.tell(Notice::Attachment { source, content_id, event }).await
    }

    async fn skip(&self, reason: SkipReason) -> Result<(), String> {
        self.tell(Notice::Skipped { source: self.source, reason }).await
    }

    async fn tell(&self, notice: Notice) -> Result<(), String> {
        match self.shared.tell(notice).await {
            true => Ok(()),
            false => Err("the session is over".into()),
        }
    }
}
