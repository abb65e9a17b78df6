//! Attachments and the directives that refer to them, in whatever order CIC sends them
//! (transport 8.2). Pure; called by the core.
//!
//! Bytes are kept only until their directive has been delivered; from then on they pass through.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::message::AttachmentRef;
use crate::{
    cic::message::{AttachmentEvent, Source},
    ids::{ContentId, DialogRequestId},
};

/// Bytes kept for one appliance in all.
const MAX_BUFFERED: usize = 16 * 1024 * 1024;
/// Attachments known at a time.
const MAX_KNOWN: usize = 128;
/// How long a directive waits for an attachment of which nothing has come.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// What may be published of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passing {
    /// Bytes, in order.
    Data(Bytes),
    /// All of it has been passed on.
    Complete,
    /// It was cut off here.
    Incomplete,
}

/// What became of the gateway's side of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// No directive has referred to it so far.
    Unclaimed,
    /// A directive that is not delivered yet refers to it.
    Claimed,
    /// Its directive has been delivered: bytes pass.
    Open,
    /// Nobody wants it: bytes are dropped.
    Unwanted,
}

#[derive(Debug)]
struct Attachment {
    source: Source,
    /// The dialogue of the directive that refers to it.
    dialogue: Option<DialogRequestId>,
    role: Role,
    content_type: Option<String>,
    chunks: Vec<Bytes>,
    ended: Option<bool>,
    since: Instant,
}

/// All attachments of one appliance.
#[derive(Debug, Default)]
pub struct Attachments {
    known: HashMap<ContentId, Attachment>,
    buffered: usize,
}

impl Attachments {
    /// A directive of this dialogue, from `source`, refers to this attachment.
    pub fn claim(
        &mut self,
        id: &ContentId,
        source: Source,
        dialogue: Option<&DialogRequestId>,
        now: Instant,
    ) {
        let known = self.known.entry(id.clone()).or_insert_with(|| Attachment {
            source,
            dialogue: None,
            role: Role::Claimed,
            content_type: None,
            chunks: Vec::new(),
            ended: None,
            since: now,
        });
        if known.role == Role::Unclaimed {
            known.role = Role::Claimed;
        }
        known.dialogue = dialogue.cloned();
    }

    /// Whether its directive can be delivered: its headers have come, or never will.
    pub fn is_ready(&self, id: &ContentId) -> bool {
        self.known.get(id).is_none_or(|a| a.content_type.is_some() || a.ended.is_some())
    }

    /// Takes what CIC sent; returns what may be published at once.
    pub fn take(
        &mut self,
        source: Source,
        id: &ContentId,
        event: AttachmentEvent,
        now: Instant,
    ) -> Option<Passing> {
        if let AttachmentEvent::Begin { content_type } = event {
            self.begin(source, id, content_type, now);
            return None;
        }
        let known = self.known.get_mut(id).filter(|a| a.source == source && a.ended.is_none())?;
        match event {
            AttachmentEvent::Data(data) => return self.take_data(id, data),
            AttachmentEvent::End => known.ended = Some(true),
            AttachmentEvent::Incomplete | AttachmentEvent::Begin { .. } => {
                known.ended = Some(false);
            }
        }
        self.pass_end(id)
    }

    /// Its directive is being delivered: describes it and hands out what has come so far.
    pub fn open(&mut self, id: &ContentId) -> (AttachmentRef, Vec<Passing>) {
        let default = || "application/octet-stream".to_owned();
        let Some(known) = self.known.get_mut(id) else {
            let reference = AttachmentRef { content_id: id.clone(), content_type: default() };
            return (reference, vec![Passing::Incomplete]);
        };
        known.role = Role::Open;
        let content_type = known.content_type.clone().unwrap_or_else(default);
        let chunks = std::mem::take(&mut known.chunks);
        self.buffered -= chunks.iter().map(Bytes::len).sum::<usize>();
        let mut passing: Vec<_> = chunks.into_iter().map(Passing::Data).collect();
        passing.extend(self.pass_end(id));
        (AttachmentRef { content_id: id.clone(), content_type }, passing)
    }

    /// Nobody wants it any more; what still comes is dropped.
    pub fn discard(&mut self, id: &ContentId, source: Source, now: Instant) {
        self.claim(id, source, None, now);
        let Some(known) = self.known.get_mut(id) else { return };
        known.role = Role::Unwanted;
        self.buffered -= std::mem::take(&mut known.chunks).iter().map(Bytes::len).sum::<usize>();
        if known.ended.is_some() {
            self.known.remove(id);
        }
    }

    /// Like [`Attachments::discard`], for one that was claimed before.
    pub fn forget(&mut self, id: &ContentId) {
        if let Some((source, since)) = self.known.get(id).map(|a| (a.source, a.since)) {
            self.discard(id, source, since);
        }
    }

    /// Another dialogue is the latest: what belongs to an older one is not passed on any more,
    /// even if its directive has been delivered. Returns whether something was being passed on.
    pub fn forget_stale(&mut self, latest: Option<&DialogRequestId>) -> bool {
        let stale = |a: &&Attachment| a.dialogue.is_some() && a.dialogue.as_ref() != latest;
        let ids: Vec<_> =
            self.known.iter().filter(|(_, a)| stale(a)).map(|(id, _)| id.clone()).collect();
        let open = self.known.values().filter(stale).any(|a| a.role == Role::Open);
        for id in &ids {
            self.forget(id);
        }
        open
    }

    /// Nothing more comes from this source. Returns how many attachments no directive wanted.
    pub fn source_ended(&mut self, source: Source) -> (usize, Vec<(ContentId, Passing)>) {
        let mine = self.known.iter_mut().filter(|(_, a)| a.source == source && a.ended.is_none());
        let cut: Vec<ContentId> = mine
            .map(|(id, a)| {
                a.ended = Some(false);
                id.clone()
            })
            .collect();
        let passing = cut.into_iter().filter_map(|id| self.pass_end(&id).map(|p| (id, p)));
        let passing = passing.collect();
        let before = self.known.len();
        let buffered = &mut self.buffered;
        self.known.retain(|_, a| {
            let keep = a.source != source || a.role == Role::Claimed;
            if !keep {
                *buffered -= a.chunks.iter().map(Bytes::len).sum::<usize>();
            }
            keep
        });
        (before - self.known.len(), passing)
    }

    /// When [`Attachments::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = |a: &&Attachment| a.content_type.is_none() && a.ended.is_none();
        self.known.values().filter(waiting).map(|a| a.since + PATIENCE).min()
    }

    /// Gives up attachments of which nothing has come in time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.known.retain(|_, a| {
            if a.content_type.is_none() && a.ended.is_none() && a.since + PATIENCE <= now {
                a.ended = Some(false);
            }
            a.ended.is_none() || a.role != Role::Unwanted
        });
    }

    fn begin(&mut self, source: Source, id: &ContentId, content_type: String, now: Instant) {
        if let Some(known) = self.known.get_mut(id) {
            if known.content_type.is_none() && known.ended.is_none() {
                (known.content_type, known.source) = (Some(content_type), source);
            }
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            return;
        }
        let role = Role::Unclaimed;
        let (chunks, content_type) = (Vec::new(), Some(content_type));
        let dialogue = None;
        let new =
            Attachment { source, dialogue, role, content_type, chunks, ended: None, since: now };
        self.known.insert(id.clone(), new);
    }

    fn take_data(&mut self, id: &ContentId, data: Bytes) -> Option<Passing> {
        let known = self.known.get_mut(id)?;
        match known.role {
            Role::Open => return Some(Passing::Data(data)),
            Role::Unwanted => {}
            Role::Claimed | Role::Unclaimed if self.buffered + data.len() > MAX_BUFFERED => {
                known.ended = Some(false);
            }
            Role::Claimed | Role::Unclaimed => {
                self.buffered += data.len();
                known.chunks.push(data);
            }
        }
        None
    }

    fn pass_end(&mut self, id: &ContentId) -> Option<Passing> {
        let known = self.known.get(id)?;
        let complete = known.ended?;
        let role = known.role;
        if matches!(role, Role::Open | Role::Unwanted) {
            self.known.remove(id);
        }
        let end = if complete { Passing::Complete } else { Passing::Incomplete };
        (role == Role::Open).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cic::message::RequestKey;

    const SOURCE: Source = Source::Response(RequestKey(1));

    fn id() -> ContentId {
        "c1".into()
    }

    fn begin() -> AttachmentEvent {
        AttachmentEvent::Begin { content_type: "audio/mpeg".into() }
    }

    fn data(text: &'static str) -> AttachmentEvent {
        AttachmentEvent::Data(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn an_attachment_before_its_directive_is_kept_until_it_is_claimed() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        for event in [begin(), data("ab"), data("c"), AttachmentEvent::End] {
            assert_eq!(all.take(SOURCE, &id(), event, now), None);
        }
        all.claim(&id(), SOURCE, None, now);
        assert!(all.is_ready(&id()));
        let (reference, passing) = all.open(&id());
        assert_eq!(reference.content_type, "audio/mpeg");
        let want = [Passing::Data("ab".into()), Passing::Data("c".into()), Passing::Complete];
        assert_eq!(passing, want);
        assert_eq!((all.known.len(), all.buffered), (0, 0));
    }

    #[test]
    fn an_attachment_after_its_directive_passes_through_as_it_comes() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        all.claim(&id(), SOURCE, None, now);
        assert!(!all.is_ready(&id()));
        all.take(SOURCE, &id(), begin(), now);
        assert!(all.is_ready(&id()));
        assert_eq!(all.open(&id()).1, []);
        assert_eq!(all.take(SOURCE, &id(), data("ab"), now), Some(Passing::Data("ab".into())));
        assert_eq!(all.take(SOURCE, &id(), AttachmentEvent::End, now), Some(Passing::Complete));
        assert!(all.known.is_empty());
    }

    #[test]
    fn one_that_is_cut_off_or_never_comes_is_incomplete() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        all.claim(&id(), SOURCE, None, now);
        all.take(SOURCE, &id(), begin(), now);
        all.open(&id());
        assert_eq!(all.source_ended(SOURCE).1, [(id(), Passing::Incomplete)]);
        all.claim(&id(), SOURCE, None, now);
        assert_eq!(all.source_ended(SOURCE), (0, vec![]));
        assert!(all.is_ready(&id()));
        assert_eq!(all.open(&id()).1, [Passing::Incomplete]);
    }

    #[test]
    fn one_that_nobody_wants_is_dropped_with_its_source_and_counted() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        all.take(SOURCE, &id(), begin(), now);
        all.take(SOURCE, &id(), data("abc"), now);
        assert_eq!(all.source_ended(SOURCE), (1, vec![]));
        assert_eq!((all.known.len(), all.buffered), (0, 0));
    }

    #[test]
    fn the_attachment_of_a_discarded_directive_is_dropped_whenever_it_comes() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        all.discard(&id(), SOURCE, now);
        for event in [begin(), data("abc"), AttachmentEvent::End] {
            assert_eq!(all.take(SOURCE, &id(), event, now), None);
        }
        assert_eq!((all.known.len(), all.buffered), (0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        all.take(SOURCE, &id(), begin(), now);
        let chunk = Bytes::from(vec![0; 1024 * 1024]);
        for _ in 0..64 {
            all.take(SOURCE, &id(), AttachmentEvent::Data(chunk.clone()), now);
        }
        assert_eq!(all.buffered, MAX_BUFFERED);
        all.claim(&id(), SOURCE, None, now);
        assert_eq!(all.open(&id()).1.last(), Some(&Passing::Incomplete));
        for n in 0..10_000 {
            all.take(SOURCE, &format!("x{n}").into(), begin(), now);
        }
        assert_eq!(all.known.len(), MAX_KNOWN);
    }

    #[test]
    fn a_directive_does_not_wait_for_ever() {
        let (mut all, now) = (Attachments::default(), Instant::now());
        all.claim(&id(), Source::Downchannel, None, now);
        assert_eq!(all.poll_timeout(), Some(now + PATIENCE));
        all.handle_timeout(now + PATIENCE);
        assert!(all.is_ready(&id()));
        assert_eq!(all.poll_timeout(), None);
    }
}
