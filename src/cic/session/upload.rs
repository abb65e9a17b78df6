//! The body of one event on its way to CIC, as flow control lets it through (transport 8.1).

use std::{cell::Cell, future::poll_fn, time::Instant};

use bytes::Bytes;
use h2::{Reason, SendStream};
use tokio::sync::{Notify, mpsc};

use super::Shared;
use crate::cic::{message::Outcome, multipart::Boundary};

/// What is written into an upload.
pub(super) enum Piece {
    /// A slice, and when its newest byte came from MQTT.
    Audio(Bytes, Instant),
    /// The closing delimiter.
    End,
}

/// Audio that was handed to an upload and that h2 has not taken yet.
pub(super) struct Backlog {
    bytes: Cell<usize>,
    bound: usize,
    exceeded: Notify,
}

impl Backlog {
    pub(super) fn new(bound: usize) -> Self {
        Self { bytes: Cell::new(0), bound, exceeded: Notify::new() }
    }

    /// Audio was handed over, bytes.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
        if self.bytes.get() > self.bound {
            self.exceeded.notify_one();
        }
    }

    fn take(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    /// Resolves when more waits than the bound allows.
    async fn overflow(&self) {
        while self.bytes.get() <= self.bound {
            self.exceeded.notified().await;
        }
    }
}

/// How an upload came to its end without an error of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// END_STREAM is with h2.
    Completely,
    /// CIC has reset the stream, or the connection is gone: the answer says more.
    CutOff,
}

/// Why no more can be written.
enum Stop {
    CutOff,
    Failed(Outcome),
}

/// One upload.
pub(super) struct Upload<'a> {
    pub(super) shared: &'a Shared,
    pub(super) stream: SendStream<Bytes>,
    pub(super) backlog: &'a Backlog,
}

impl Upload<'_> {
    /// Writes the body: the JSON part, then with `pieces` audio as it comes.
    pub(super) async fn run(
        mut self,
        boundary: &Boundary,
        metadata: &Bytes,
        pieces: Option<&mut mpsc::UnboundedReceiver<Piece>>,
    ) -> Result<Sent, Outcome> {
        match self.body(boundary, metadata, pieces).await {
            Ok(()) => Ok(Sent::Completely),
            Err(Stop::CutOff) => Ok(Sent::CutOff),
            Err(Stop::Failed(outcome)) => {
                self.stream.send_reset(Reason::CANCEL);
                Err(outcome)
            }
        }
    }

    async fn body(
        &mut self,
        boundary: &Boundary,
        metadata: &Bytes,
        pieces: Option<&mut mpsc::UnboundedReceiver<Piece>>,
    ) -> Result<(), Stop> {
        self.write(boundary.metadata(metadata)).await?;
        if let Some(pieces) = pieces {
            self.write(boundary.audio_head()).await?;
            self.relay(pieces).await?;
        }
        let closing = boundary.closing();
        self.reserve(closing.len()).await?;
        self.stream.send_data(closing, true).map_err(|_| Stop::CutOff)
    }

    async fn relay(&mut self, pieces: &mut mpsc::UnboundedReceiver<Piece>) -> Result<(), Stop> {
        loop {
            let (data, received) = match pieces.recv().await {
                Some(Piece::Audio(data, received)) => (data, received),
                Some(Piece::End) => return Ok(()),
                // Half a sentence must not look like a whole one (dialogue 4.2).
                None => return Err(Stop::Failed(Outcome::Broken("nobody ends it".into()))),
            };
            let length = data.len();
            self.write(data).await?;
            self.backlog.take(length);
            let metrics = &self.shared.metrics;
            metrics.audio_relay_seconds.observe(received.elapsed().as_secs_f64());
            metrics.audio_bytes.with_label_values(&["up"]).inc_by(length as u64);
        }
    }

    async fn write(&mut self, mut data: Bytes) -> Result<(), Stop> {
        while !data.is_empty() {
            let granted = self.reserve(data.len()).await?;
            let piece = data.split_to(granted.min(data.len()));
            self.stream.send_data(piece, false).map_err(|_| Stop::CutOff)?;
        }
        Ok(())
    }

    /// Waits until some of these bytes may be sent; gives up when too much audio waits, or when
    /// CIC takes nothing for too long (also when it grants no stream at all).
    async fn reserve(&mut self, wanted: usize) -> Result<usize, Stop> {
        self.stream.reserve_capacity(wanted);
        let limit = self.shared.settings.response_timeout;
        let _due = self.shared.patience.await_cic();
        tokio::select! {
            biased;
            granted = granted(&mut self.stream) => granted,
            () = self.backlog.overflow() => Err(Stop::Failed(Outcome::Overflow)),
            () = tokio::time::sleep(limit) => {
                let why = format!("CIC took nothing of the request for {limit:?}");
                Err(Stop::Failed(Outcome::Broken(why)))
            }
        }
    }
}

async fn granted(stream: &mut SendStream<Bytes>) -> Result<usize, Stop> {
    while stream.capacity() == 0 {
        match poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(Stop::CutOff),
        }
    }
    Ok(stream.capacity())
}
