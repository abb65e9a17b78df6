//! One `POST /v1/events`: its body as it comes, and its response (transport 6).

use std::{cell::Cell, rc::Rc, time::Instant};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::SendRequest};
use http::Response;
use tokio::sync::mpsc;

use super::{Shared, body, downchannel::request_head};
use crate::{
    cic::{
        message::{Notice, Outcome, RequestKey, Source},
        multipart::Boundary,
    },
    secret::Secret,
};

/// What is written into an upload.
pub(super) enum Piece {
    /// A slice, and when its newest byte came from MQTT.
    Audio(Bytes, Instant),
    /// The closing delimiter.
    End,
}

/// A request before it is sent.
pub(super) struct Request {
    pub(super) key: RequestKey,
    pub(super) shared: Rc<Shared>,
    pub(super) send: SendRequest<Bytes>,
    pub(super) token: Secret,
    pub(super) metadata: Bytes,
    pub(super) audio: bool,
    pub(super) pieces: mpsc::UnboundedReceiver<Piece>,
    /// Audio that waits in `pieces`, bytes.
    pub(super) waiting: Rc<Cell<usize>>,
}

type ResponseFuture = h2::client::ResponseFuture;

impl Request {
    /// Sends the request, reads the answer, and tells how it ended.
    pub(super) async fn run(mut self) {
        let outcome = self.perform().await.unwrap_or_else(|outcome| outcome);
        let (key, shared) = (self.key, self.shared);
        shared.tell(Notice::Finished { key, outcome }).await;
    }

    async fn perform(&mut self) -> Result<Outcome, Outcome> {
        let started = Instant::now();
        let boundary = Boundary::random();
        let (mut response, mut stream) = self.open(&boundary).await.map_err(Outcome::Broken)?;
        // CIC may answer or refuse before the upload is complete.
        let early = tokio::select! {
            biased;
            sent = self.upload(&mut stream, &boundary) => {
                sent?;
                None
            }
            answer = &mut response => Some(answer),
        };
        if early.is_none() {
            let key = self.key;
            self.shared.tell(Notice::Sent { key }).await;
        }
        let answer = match early {
            Some(answer) => answer,
            None => response.await,
        };
        let answer = answer.map_err(|error| Outcome::Broken(error.to_string()))?;
        self.read(answer, started).await
    }

    async fn open(
        &self,
        boundary: &Boundary,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), String> {
        let request = request_head(&self.shared, "POST", "v1/events", &self.token)?
            .header("content-type", boundary.content_type())
            .body(())
            .map_err(|error| error.to_string())?;
        let mut send = self.send.clone().ready().await.map_err(|error| error.to_string())?;
        send.send_request(request, false).map_err(|error| error.to_string())
    }

    /// Writes the body; returns once END_STREAM is with h2.
    async fn upload(
        &mut self,
        stream: &mut SendStream<Bytes>,
        boundary: &Boundary,
    ) -> Result<(), Outcome> {
        let metadata = boundary.metadata(&self.metadata);
        self.write(stream, metadata).await?;
        if self.audio {
            self.write(stream, boundary.audio_head()).await?;
            self.relay(stream).await?;
        }
        let closing = boundary.closing();
        self.reserve(stream, closing.len()).await?;
        stream.send_data(closing, true).map_err(broken)
    }

    async fn relay(&mut self, stream: &mut SendStream<Bytes>) -> Result<(), Outcome> {
        while let Some(Piece::Audio(data, received)) = self.pieces.recv().await {
            let length = data.len();
            self.write(stream, data).await?;
            self.waiting.set(self.waiting.get().saturating_sub(length));
            let metrics = &self.shared.metrics;
            metrics.audio_relay_seconds.observe(received.elapsed().as_secs_f64());
            metrics.audio_bytes.with_label_values(&["up"]).inc_by(length as u64);
        }
        Ok(())
    }

    /// Writes bytes as flow control lets them through.
    async fn write(&self, stream: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), Outcome> {
        while !data.is_empty() {
            let granted = self.reserve(stream, data.len()).await?;
            let piece = data.split_to(granted.min(data.len()));
            stream.send_data(piece, false).map_err(broken)?;
        }
        Ok(())
    }

    /// Waits until some of these bytes may be sent; gives up when too much audio waits.
    async fn reserve(
        &self,
        stream: &mut SendStream<Bytes>,
        wanted: usize,
    ) -> Result<usize, Outcome> {
        stream.reserve_capacity(wanted);
        loop {
            if stream.capacity() > 0 {
                return Ok(stream.capacity());
            }
            let granted = std::future::poll_fn(|cx| stream.poll_capacity(cx));
            tokio::select! {
                granted = granted => match granted {
                    Some(Ok(0)) => {}
                    Some(Ok(granted)) => return Ok(granted),
                    Some(Err(error)) => return Err(broken(error)),
                    None => return Err(Outcome::Broken("the stream was closed".into())),
                },
                () = self.overflow() => {
                    stream.send_reset(Reason::CANCEL);
                    return Err(Outcome::Overflow);
                }
            }
        }
    }

    /// Resolves when more audio waits than its bound allows.
    async fn overflow(&self) {
        let bound = self.shared.settings.max_upload_backlog;
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if self.waiting.get() > bound {
                return;
            }
        }
    }

    async fn read(
        &self,
        answer: Response<RecvStream>,
        started: Instant,
    ) -> Result<Outcome, Outcome> {
        let (key, status, took) = (self.key, answer.status().as_u16(), started.elapsed());
        self.shared.metrics.cic_event_seconds.observe(took.as_secs_f64());
        self.shared.tell(Notice::Response { key, status, took }).await;
        if !answer.status().is_success() {
            let description = body::description(answer).await;
            return Ok(Outcome::Refused { status, description });
        }
        let (parts, stream) = answer.into_parts();
        let source = Source::Response(key);
        let mut body = body::Body::new(&self.shared, source, &parts.headers);
        let mut stream = body::Stream(stream);
        loop {
            match stream.next().await {
                Ok(Some(chunk)) => {
                    let length = chunk.len();
                    if let Some(body) = &mut body {
                        body.take(chunk).await.map_err(Outcome::Broken)?;
                    }
                    stream.release(length);
                }
                Ok(None) => break,
                Err(why) => {
                    if let Some(body) = &mut body {
                        let _ = body.finish().await;
                    }
                    return Err(Outcome::Broken(why));
                }
            }
        }
        match &mut body {
            Some(body) => body.finish().await.map_err(Outcome::Broken)?,
            None if status == 200 => tracing::debug!("an answer is not multipart"),
            None => {}
        }
        Ok(Outcome::Done)
    }
}

fn broken(error: h2::Error) -> Outcome {
    Outcome::Broken(error.to_string())
}
