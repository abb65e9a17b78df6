//! The trace of each dialogue: where the time goes between a user's words and the answer's first
//! sound. Watches what goes through [`super::actor`], and changes nothing of it.
//!
//! One trace a dialogue, whose root lasts from the request's arrival until the appliance is idle
//! again. Nothing that was said is in it.

use std::time::{Instant, SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_sdk::trace::SdkTracer;

use super::message::{DialogueState, Down, StopReason, Up};
use crate::{
    cic::message::{Command, Notice, Outcome, RequestKey},
    clock::mono,
    ids::{ApplianceId, ContentId, DialogRequestId},
    telemetry::traces,
};

/// Dialogues of one appliance at a time: the one that ends and the one that begins, and a few that
/// never came to an end.
const MAX_OPEN: usize = 4;
/// Messages to the appliance that are shown one by one.
const MAX_PUBLISHES: usize = 32;

/// How a message of the appliance came here.
#[derive(Debug)]
pub struct Way {
    /// When it was read from the broker's socket.
    pub received: Instant,
    /// When it was put into the appliance's mailbox.
    pub queued: Instant,
    /// The span that it belongs to, as its sender says.
    pub traceparent: Option<Box<str>>,
}

/// Watches one appliance.
#[derive(Debug)]
pub struct DialogueTraces {
    tracer: SdkTracer,
    appliance: ApplianceId,
    beginning: Option<Beginning>,
    open: Vec<Trace>,
}

/// A request that is being handled just now.
#[derive(Debug)]
struct Beginning {
    way: Option<Way>,
    handled: SystemTime,
}

/// One dialogue.
#[derive(Debug)]
struct Trace {
    id: DialogRequestId,
    root: Context,
    key: RequestKey,
    /// Until it has been sent.
    upload: Option<SystemTime>,
    began: SystemTime,
    /// Since when the user waits.
    waits: SystemTime,
    is_aborted: bool,
    has_directive: bool,
    has_audio: bool,
    publishes: usize,
    /// Attachments of its directives.
    contents: Vec<ContentId>,
}

impl DialogueTraces {
    /// Nothing has happened yet.
    pub fn new(tracer: SdkTracer, appliance: ApplianceId) -> Self {
        Self { tracer, appliance, beginning: None, open: Vec::new() }
    }

    /// The appliance asks for something; call [`DialogueTraces::handled`] once that is handled.
    pub fn heard(&mut self, up: &Up, way: Way) {
        if matches!(up, Up::Recognize(_) | Up::Text { .. }) {
            self.begins(Some(way));
        }
    }

    /// Somebody else asks in the appliance's place.
    pub fn asked(&mut self) {
        self.begins(None);
    }

    fn begins(&mut self, way: Option<Way>) {
        self.beginning = Some(Beginning { way, handled: SystemTime::now() });
    }

    /// What was asked has been handled.
    pub fn handled(&mut self) {
        self.beginning = None;
    }

    /// The session is told something that belongs to this dialogue.
    pub fn told(&mut self, command: &Command, dialogue: Option<&DialogRequestId>) {
        match command {
            Command::OpenUpload { key, .. } => self.begin(*key, dialogue, "speech"),
            Command::Event { key, .. } => self.begin(*key, dialogue, "text"),
            Command::FinishUpload { key } => {
                self.of(*key, |trace, _| trace.waits = SystemTime::now());
            }
            Command::Abort { key } => self.of(*key, |trace, tracer| trace.aborted(tracer)),
            _ => {}
        }
    }

    /// The session has news.
    pub fn noticed(&mut self, notice: &Notice) {
        match notice {
            Notice::Sent { key } => self.of(*key, |trace, tracer| trace.upload_ended(tracer, None)),
            Notice::Finished { key, outcome } if *outcome != Outcome::Done => {
                self.of(*key, |trace, tracer| trace.failed(tracer));
            }
            Notice::Directive { directive, .. } => {
                let id = directive.dialog_request_id.as_ref();
                let name = format!("{}.{}", directive.namespace, directive.name);
                self.with(id, |trace, tracer| trace.directive(tracer, name));
            }
            _ => {}
        }
    }

    /// The appliance has been told something; publishing it began at `began`.
    pub fn said(&mut self, down: &Down, began: SystemTime) {
        match down {
            Down::Dialogue { state: DialogueState::Idle, .. } => self.open.clear(),
            Down::CaptureStop { reason, .. } => self.capture_stopped(*reason),
            Down::Cancel { dialog_request_id: Some(id), .. } => self.superseded(id),
            Down::Directive { directive, attachments } => {
                let id = directive.dialog_request_id.as_ref();
                let name = format!("{}.{}", directive.namespace, directive.name);
                self.with(id, |trace, tracer| {
                    trace.contents.extend(attachments.iter().map(|a| a.content_id.clone()));
                    let name = KeyValue::new("cic.directive", name);
                    trace.published(tracer, began, vec![name]);
                });
            }
            Down::Audio { content_id, data } if !data.is_empty() => self.audio(content_id, began),
            _ => {}
        }
    }

    /// A request goes out, as the first one of its dialogue or as another turn (dialogue 5).
    fn begin(&mut self, key: RequestKey, dialogue: Option<&DialogRequestId>, input: &'static str) {
        let Some(id) = dialogue else { return }; // of no request
        let Some(Beginning { way, handled }) = self.beginning.take() else { return };
        self.forget_aborted();
        let at = |moment: Instant| SystemTime::now() - mono().saturating_duration_since(moment);
        let times = way.as_ref().map(|way| (at(way.received), at(way.queued)));
        let trace = match self.open.iter().position(|trace| trace.id == *id) {
            Some(place) => self.open.remove(place).again(key, handled),
            None => {
                let parent = traces::parent(way.and_then(|way| way.traceparent).as_deref());
                let start = times.map_or(handled, |(received, _)| received);
                Trace::new(id, key, self.root(id, &parent, start, input), handled)
            }
        };
        if let Some((received, queued)) = times {
            trace.child(&self.tracer, "mqtt receive", received, queued, Vec::new());
            trace.child(&self.tracer, "queueing", queued, handled, Vec::new());
        }
        if self.open.len() == MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push(trace);
    }

    fn root(
        &self,
        id: &DialogRequestId,
        parent: &Context,
        start: SystemTime,
        input: &'static str,
    ) -> Context {
        let builder = self.tracer.span_builder("dialogue").with_kind(SpanKind::Server);
        let builder = builder.with_start_time(start).with_attributes([
            KeyValue::new("cic.dialog_request_id", id.to_string()),
            KeyValue::new("cic.input", input),
            KeyValue::new("cic.appliance", self.appliance.to_string()),
        ]);
        parent.with_span(builder.start_with_context(&self.tracer, parent))
    }

    /// Those whose request a newer one has replaced before it was sent.
    fn forget_aborted(&mut self) {
        for trace in self.open.extract_if(.., |trace| trace.is_aborted) {
            trace.superseded();
        }
    }

    fn capture_stopped(&mut self, reason: StopReason) {
        let Some(trace) = self.open.last_mut() else { return };
        match reason {
            StopReason::Recognized => {
                let (began, now) = (trace.began, SystemTime::now());
                trace.child(&self.tracer, "stop capture", began, now, Vec::new());
            }
            StopReason::Failed | StopReason::Timeout => {
                trace.root.span().set_status(Status::error(reason.as_str()));
            }
            StopReason::Superseded | StopReason::Cancelled => {}
        }
    }

    /// A newer dialogue has taken its place.
    fn superseded(&mut self, id: &DialogRequestId) {
        if let Some(place) = self.open.iter().position(|trace| trace.id == *id) {
            self.open.remove(place).superseded();
        }
    }

    fn audio(&mut self, content_id: &ContentId, began: SystemTime) {
        let fits = |trace: &&mut Trace| !trace.has_audio && trace.contents.contains(content_id);
        let Some(trace) = self.open.iter_mut().find(fits) else { return };
        trace.has_audio = true;
        trace.child(&self.tracer, "first audio", trace.waits, began, Vec::new());
        trace.published(&self.tracer, began, Vec::new());
    }

    fn of(&mut self, key: RequestKey, act: impl FnOnce(&mut Trace, &SdkTracer)) {
        if let Some(trace) = self.open.iter_mut().find(|trace| trace.key == key) {
            act(trace, &self.tracer);
        }
    }

    fn with(&mut self, id: Option<&DialogRequestId>, act: impl FnOnce(&mut Trace, &SdkTracer)) {
        if let Some(trace) = self.open.iter_mut().find(|trace| Some(&trace.id) == id) {
            act(trace, &self.tracer);
        }
    }
}

impl Trace {
    fn new(id: &DialogRequestId, key: RequestKey, root: Context, began: SystemTime) -> Self {
        Self {
            id: id.clone(),
            root,
            key,
            upload: Some(began),
            began,
            waits: began,
            is_aborted: false,
            has_directive: false,
            has_audio: false,
            publishes: 0,
            contents: Vec::new(),
        }
    }

    /// Another turn of it.
    fn again(self, key: RequestKey, began: SystemTime) -> Self {
        let Self { id, root, publishes, contents, .. } = self;
        Self { publishes, contents, ..Self::new(&id, key, root, began) }
    }

    fn superseded(self) {
        self.root.span().set_attribute(KeyValue::new("cic.superseded", true));
    }

    fn aborted(&mut self, tracer: &SdkTracer) {
        self.is_aborted = true;
        self.upload_ended(tracer, Some("aborted"));
    }

    fn upload_ended(&mut self, tracer: &SdkTracer, failure: Option<&'static str>) {
        let Some(began) = self.upload.take() else { return };
        let builder = tracer.span_builder("upload").with_kind(SpanKind::Client);
        let builder = builder.with_start_time(began);
        let mut span = builder.start_with_context(tracer, &self.root);
        if let Some(failure) = failure {
            span.set_status(Status::error(failure));
        }
        span.end();
    }

    fn failed(&mut self, tracer: &SdkTracer) {
        self.upload_ended(tracer, Some("failed"));
        self.root.span().set_status(Status::error("failed"));
    }

    fn directive(&mut self, tracer: &SdkTracer, name: String) {
        // StopCapture and its like answer while the user still speaks.
        if self.upload.is_some() || std::mem::replace(&mut self.has_directive, true) {
            return;
        }
        let name = vec![KeyValue::new("cic.directive", name)];
        self.child(tracer, "first directive", self.waits, SystemTime::now(), name);
    }

    fn published(&mut self, tracer: &SdkTracer, began: SystemTime, about: Vec<KeyValue>) {
        if self.publishes < MAX_PUBLISHES {
            self.publishes += 1;
            self.child(tracer, "publish", began, SystemTime::now(), about);
        }
    }

    /// A stretch of time that is over.
    fn child(
        &self,
        tracer: &SdkTracer,
        name: &'static str,
        start: SystemTime,
        end: SystemTime,
        about: Vec<KeyValue>,
    ) {
        let builder = tracer.span_builder(name).with_start_time(start).with_attributes(about);
        builder.start_with_context(tracer, &self.root).end_with_timestamp(end);
    }
}
