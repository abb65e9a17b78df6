//! One `POST /v1/events`: its body as it comes, and its answer (transport 6).
//!
//! Both at once: CIC may answer before the body is complete. A good answer is then read beside the
//! upload (dialogue 2.1 says what its directives wait for), any other ends the upload.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture, client::SendRequest};
use http::Response;
use tokio::sync::{Notify, mpsc};

use super::{
    Shared, body, describe,
    downchannel::request_head,
    patience::Patience,
    upload::{Backlog, Piece, Sent, Upload},
};
use crate::{
    cic::{
        message::{Notice, Outcome, RequestKey, Source},
        multipart::Boundary,
    },
    secret::Secret,
};

/// A request before it is sent.
pub(super) struct Request {
    pub(super) key: RequestKey,
    pub(super) shared: Rc<Shared>,
    pub(super) send: SendRequest<Bytes>,
    pub(super) token: Secret,
    pub(super) metadata: Bytes,
    /// Where the audio comes from, for a Recognize.
    pub(super) audio: Option<mpsc::UnboundedReceiver<Piece>>,
    pub(super) backlog: Rc<Backlog>,
}

impl Request {
    /// Sends the request, reads the answer, and tells how it ended.
    pub(super) async fn run(mut self) {
        let outcome = self.perform().await.unwrap_or_else(|outcome| outcome);
        let (key, shared) = (self.key, self.shared);
        shared.tell(Notice::Finished { key, outcome }).await;
        shared.request_ended.notify_one();
    }

    async fn perform(&mut self) -> Result<Outcome, Outcome> {
        let started = Instant::now();
        let boundary = Boundary::random();
        let (response, stream) = self.open(&boundary).await.map_err(Outcome::Broken)?;
        let gate = Gate::default();
        let mut audio = self.audio.take();
        let this = &*self;
        let upload = this.upload(stream, &boundary, audio.as_mut(), &gate);
        let answer = this.answer(response, &gate, started);
        tokio::pin!(upload, answer);
        tokio::select! {
            // The upload first: `Sent` comes before `Response` unless CIC answers early.
            biased;
            sent = &mut upload => {
                sent?;
                answer.await
            }
            answered = &mut answer => match answered? {
                Outcome::Done => upload.await.map(|()| Outcome::Done),
                refused => Ok(refused),
            },
        }
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

    async fn upload(
        &self,
        stream: SendStream<Bytes>,
        boundary: &Boundary,
        audio: Option<&mut mpsc::UnboundedReceiver<Piece>>,
        gate: &Gate,
    ) -> Result<(), Outcome> {
        let upload = Upload { shared: &self.shared, stream, backlog: &self.backlog };
        let sent = upload.run(boundary, &self.metadata, audio).await?;
        gate.open();
        if sent == Sent::Completely {
            let key = self.key;
            self.shared.tell(Notice::Sent { key }).await;
        }
        Ok(())
    }

    async fn answer(
        &self,
        response: ResponseFuture,
        gate: &Gate,
        started: Instant,
    ) -> Result<Outcome, Outcome> {
        let limit = self.shared.settings.response_timeout;
        let answer = tokio::select! {
            biased;
            answer = response => answer.map_err(|error| Outcome::Broken(error.to_string()))?,
            () = gate.silence(&self.shared.patience, limit) => {
                return Err(Outcome::Broken(format!("no answer within {limit:?}")));
            }
        };
        self.shared.patience.heard();
        let (key, status, took) = (self.key, answer.status().as_u16(), started.elapsed());
        self.shared.metrics.cic_event_seconds.observe(took.as_secs_f64());
        self.shared.tell(Notice::Response { key, status, took }).await;
        if !answer.status().is_success() {
            let description = describe::error_body(answer).await;
            return Ok(Outcome::Refused { status, description });
        }
        self.read(answer, gate).await
    }

    async fn read(&self, answer: Response<RecvStream>, gate: &Gate) -> Result<Outcome, Outcome> {
        let (parts, stream) = answer.into_parts();
        let source = Source::Response(self.key);
        let mut body = body::Body::new(&self.shared, source, &parts.headers);
        let mut stream = body::Stream(stream);
        if body.is_none() && parts.status == 200 {
            tracing::debug!("an answer is not multipart");
        }
        loop {
            let length = match self.next(&mut stream, gate).await {
                Ok(Some(chunk)) => {
                    self.shared.patience.heard();
                    let length = chunk.len();
                    if let Some(body) = &mut body {
                        body.take(chunk).await.map_err(Outcome::Broken)?;
                    }
                    length
                }
                Ok(None) => break,
                Err(why) => {
                    if let Some(body) = &mut body {
                        let _ = body.finish().await;
                    }
                    return Err(Outcome::Broken(why));
                }
            };
            stream.release(length);
        }
        match &mut body {
            Some(body) => body.finish().await.map(|()| Outcome::Done).map_err(Outcome::Broken),
            None => Ok(Outcome::Done),
        }
    }

    /// The next bytes of the answer, unless CIC falls silent.
    async fn next(&self, stream: &mut body::Stream, gate: &Gate) -> Result<Option<Bytes>, String> {
        let limit = self.shared.settings.idle_timeout;
        tokio::select! {
            biased;
            chunk = stream.next() => chunk,
            () = gate.silence(&self.shared.patience, limit) => Err(format!("the answer stood still for {limit:?}")),
        }
    }
}

/// Opens when the upload is over. Only from then on is it CIC's turn, and its silence counts.
#[derive(Default)]
struct Gate {
    is_open: Cell<bool>,
    opened: Notify,
}

impl Gate {
    fn open(&self) {
        self.is_open.set(true);
        self.opened.notify_one();
    }

    /// Resolves after this long, counted from now but not before the gate is open.
    async fn silence(&self, patience: &Rc<Patience>, limit: Duration) {
        while !self.is_open.get() {
            self.opened.notified().await;
        }
        let _due = patience.await_cic();
        tokio::time::sleep(limit).await;
    }
}
