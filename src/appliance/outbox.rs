//! Events other than Recognize on their way to CIC: one at a time, in order. Pure; called by the
//! core.
//!
//! Some must not be lost: they are numbered, kept by the store (see [`super::ledger`]), and sent
//! again, with the same message id, until CIC has answered. The rest is tried a few times while a
//! session stands.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::context::OwnContexts;
use crate::{
    cic::message::{Outcome, RequestKey},
    ids::MessageId,
};

/// Events that may wait and may be lost; and those that may not, which are small.
const MAX_WAITING: usize = 256;
/// Events that may wait and must not be lost.
const MAX_KEPT: usize = 1000;
/// Attempts at an event that may be lost.
const MAX_ATTEMPTS: u8 = 3;
/// Waits before an event that CIC could not take is sent again, seconds; the last one repeats.
const RETRIES: [u64; 5] = [1, 3, 10, 30, 60];

/// An event as it happened.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// `header.namespace`.
    pub namespace: Box<str>,
    /// `header.name`.
    pub name: Box<str>,
    /// `header.messageId`; the same for every attempt, so that CIC can tell a repetition.
    pub message_id: MessageId,
    /// `payload`, a JSON object.
    pub payload: Arc<RawValue>,
    /// What the gateway knew by itself when it happened.
    pub contexts: OwnContexts,
}

/// How much is done for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// A few attempts; lost with the process.
    Some,
    /// Until CIC has answered, in this process.
    Retry,
    /// Until CIC has answered; the store keeps it. It waits for [`Outbox::ready`].
    Keep,
}

/// Names a waiting event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    event: Arc<Outgoing>,
    /// Its place in the store's outbox.
    number: Option<i64>,
    retry: bool,
    ready: bool,
    attempts: u8,
}

/// An event that has left the outbox.
#[derive(Debug)]
pub struct Left {
    /// Which.
    pub event: Arc<Outgoing>,
    /// Its place in the store's outbox, to be removed.
    pub number: Option<i64>,
    /// ok, refused, failed, dropped or unpaired: the label of `cic_events_total`.
    pub result: &'static str,
}

/// The events of one appliance.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Entry>,
    sending: Option<(RequestKey, Ticket)>,
    retry_at: Option<Instant>,
    setbacks: usize,
    next_ticket: u64,
    last_number: i64,
}

impl Outbox {
    /// Starts with what the store kept, in order.
    pub fn new(kept: impl IntoIterator<Item = (i64, Arc<Outgoing>)>) -> Self {
        let mut outbox = Self::default();
        for (number, event) in kept {
            outbox.last_number = outbox.last_number.max(number);
            outbox.insert(event, Some(number), true, true, false);
        }
        outbox
    }

    /// Appends an event; returns its ticket, its number if it is to be kept, and what had to make
    /// room for it.
    pub fn push(&mut self, event: Outgoing, care: Care) -> (Ticket, Option<i64>, Option<Left>) {
        let dropped = self.make_room(care == Care::Keep);
        let number = (care == Care::Keep).then(|| {
            self.last_number += 1;
            self.last_number
        });
        let (retry, ready) = (care != Care::Some, care != Care::Keep);
        (self.insert(Arc::new(event), number, retry, ready, false), number, dropped)
    }

    /// Puts an event before all others, unless one of its name waits already.
    pub fn push_first(&mut self, event: Outgoing) {
        if !self.waiting.iter().any(|entry| entry.event.name == event.name) {
            self.insert(Arc::new(event), None, true, true, true);
        }
    }

    /// The store has it, or cannot: it may be sent.
    pub fn ready(&mut self, ticket: Ticket) {
        self.waiting.iter_mut().filter(|e| e.ticket == ticket).for_each(|e| e.ready = true);
    }

    /// It never happened.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.waiting.retain(|entry| entry.ticket != ticket);
    }

    /// Forgets everything, and gives back what: the account is gone.
    pub fn clear(&mut self) -> impl Iterator<Item = Left> + use<> {
        (self.retry_at, self.setbacks) = (None, 0);
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting.map(|Entry { event, number, .. }| Left { event, number, result: "unpaired" })
    }

    /// What must not be lost, in order: what a whole save contains.
    pub fn kept(&self) -> impl Iterator<Item = (i64, Arc<Outgoing>)> + '_ {
        self.waiting.iter().filter_map(|entry| Some((entry.number?, entry.event.clone())))
    }

    /// The same, with each one's ticket.
    pub fn kept_with_tickets(&self) -> impl Iterator<Item = (Ticket, i64, Arc<Outgoing>)> + '_ {
        self.waiting
            .iter()
            .filter_map(|entry| Some((entry.ticket, entry.number?, entry.event.clone())))
    }

    /// The next event to send, under this key. One that CIC could not take lets those pass that
    /// may be lost, but none of its like.
    pub fn next(&mut self, key: RequestKey, now: Instant) -> Option<Arc<Outgoing>> {
        if self.sending.is_some() {
            return None;
        }
        let held_back = self.retry_at.is_some_and(|at| at > now);
        let mut before_it = self.waiting.iter_mut().take_while(|entry| entry.ready);
        let entry = before_it.find(|entry| !(held_back && entry.retry))?;
        entry.attempts = entry.attempts.saturating_add(1);
        self.sending = Some((key, entry.ticket));
        Some(entry.event.clone())
    }

    /// An attempt has ended; `status` is that of the response, if one began. Returns the event if
    /// it needs no other attempt.
    pub fn finished(
        &mut self,
        key: RequestKey,
        status: Option<u16>,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Left> {
        let (_, ticket) = self.sending.take_if(|(sending, _)| *sending == key)?;
        let at = self.waiting.iter().position(|entry| entry.ticket == ticket)?;
        let (retry, attempts) = (self.waiting[at].retry, self.waiting[at].attempts);
        let result = match outcome {
            Outcome::Done => "ok",
            // The headers said that it was taken; only the answer broke.
            Outcome::Broken(_) if status.is_some_and(|s| (200..300).contains(&s)) => "ok",
            Outcome::Refused { status: 401 | 412, .. } if retry || attempts < MAX_ATTEMPTS => {
                return None;
            }
            Outcome::Refused { status: 429 | 500.., .. } if retry => {
                self.hold_back(now);
                return None;
            }
            Outcome::Refused { .. } => "refused",
            Outcome::Broken(_) | Outcome::Overflow if retry => {
                self.hold_back(now);
                return None;
            }
            Outcome::Broken(_) if attempts < MAX_ATTEMPTS => return None,
            Outcome::Broken(_) | Outcome::Overflow => "failed",
        };
        if retry {
            (self.retry_at, self.setbacks) = (None, 0);
        }
        let Entry { event, number, .. } = self.waiting.remove(at)?;
        Some(Left { event, number, result })
    }

    /// A new session: what was held back is tried at once.
    pub fn connected(&mut self) {
        (self.retry_at, self.setbacks) = (None, 0);
    }

    /// Whether an event is on its way.
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// When something that was held back may be sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Lets go what was held back.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.retry_at.take_if(|at| *at <= now);
    }

    fn insert(
        &mut self,
        event: Arc<Outgoing>,
        number: Option<i64>,
        retry: bool,
        ready: bool,
        first: bool,
    ) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let entry = Entry { ticket, event, number, retry, ready, attempts: 0 };
        match first {
            true => self.waiting.push_front(entry),
            false => self.waiting.push_back(entry),
        }
        ticket
    }

    fn hold_back(&mut self, now: Instant) {
        let wait = RETRIES[self.setbacks.min(RETRIES.len() - 1)];
        self.setbacks += 1;
        self.retry_at = Some(now + Duration::from_secs(wait));
    }

    /// The oldest of its like gives way.
    fn make_room(&mut self, kept: bool) -> Option<Left> {
        let of_its_like = |entry: &&Entry| entry.number.is_some() == kept;
        let bound = if kept { MAX_KEPT } else { MAX_WAITING };
        if self.waiting.iter().filter(of_its_like).count() < bound {
            return None;
        }
        let sending = self.sending.map(|(_, ticket)| ticket);
        let at = self
            .waiting
            .iter()
            .position(|entry| of_its_like(&entry) && Some(entry.ticket) != sending)?;
        let Entry { event, number, .. } = self.waiting.remove(at)?;
        Some(Left { event, number, result: "dropped" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> Outgoing {
        let raw = |text: &str| Arc::from(RawValue::from_string(text.into()).unwrap());
        Outgoing {
            namespace: "N".into(),
            name: name.into(),
            message_id: format!("m-{name}").into(),
            payload: raw("{}"),
            contexts: OwnContexts { alerts: raw("{}"), speech: None, playback: None },
        }
    }

    fn next(outbox: &mut Outbox, key: u64, now: Instant) -> Option<String> {
        outbox.next(RequestKey(key), now).map(|event| event.name.to_string())
    }

    fn refused(status: u16) -> Outcome {
        Outcome::Refused { status, description: String::new() }
    }

    fn broken() -> Outcome {
        Outcome::Broken("x".into())
    }

    #[test]
    fn events_go_one_at_a_time_and_in_order() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.push(event("a"), Care::Some);
        outbox.push(event("b"), Care::Some);
        assert_eq!(next(&mut outbox, 1, now).as_deref(), Some("a"));
        assert_eq!(next(&mut outbox, 2, now), None);
        assert!(outbox.finished(RequestKey(9), None, &Outcome::Done, now).is_none(), "not ours");
        let left = outbox.finished(RequestKey(1), Some(204), &Outcome::Done, now).unwrap();
        assert_eq!((&*left.event.name, left.result), ("a", "ok"));
        assert_eq!(next(&mut outbox, 3, now).as_deref(), Some("b"));
    }

    #[test]
    fn what_the_store_shall_keep_is_not_sent_before_and_nothing_overtakes_it() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        let (first, number, _) = outbox.push(event("a"), Care::Keep);
        outbox.push(event("b"), Care::Some);
        assert_eq!(number, Some(1));
        assert_eq!(next(&mut outbox, 1, now), None);
        outbox.ready(first);
        assert_eq!(next(&mut outbox, 1, now).as_deref(), Some("a"));
        let (second, ..) = outbox.push(event("c"), Care::Keep);
        outbox.cancel(second);
        assert_eq!(outbox.kept().map(|(number, _)| number).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn every_outcome_leads_to_an_end_or_another_attempt() {
        // Care, status seen, outcome, how often it is sent before it leaves, and as what.
        let rows = [
            (Care::Some, Some(204), Outcome::Done, 1, "ok"),
            (Care::Some, None, refused(400), 1, "refused"),
            (Care::Some, None, refused(500), 1, "refused"),
            (Care::Some, None, refused(412), 3, "refused"),
            (Care::Some, None, broken(), 3, "failed"),
            (Care::Some, Some(200), broken(), 1, "ok"),
            (Care::Retry, None, refused(400), 1, "refused"),
            (Care::Retry, None, broken(), 20, ""),
            (Care::Keep, None, refused(400), 1, "refused"),
            (Care::Keep, None, refused(401), 20, ""),
            (Care::Keep, None, refused(429), 20, ""),
            (Care::Keep, None, refused(503), 20, ""),
            (Care::Keep, None, broken(), 20, ""),
            (Care::Keep, Some(200), broken(), 1, "ok"),
        ];
        for (care, status, outcome, attempts, result) in rows {
            let (mut outbox, mut now) = (Outbox::default(), Instant::now());
            let (ticket, ..) = outbox.push(event("a"), care);
            outbox.ready(ticket);
            let mut sent = 0;
            let mut left = "";
            while left.is_empty() && sent < 20 {
                assert!(outbox.next(RequestKey(sent), now).is_some(), "{care:?} {outcome:?}");
                let ended = outbox.finished(RequestKey(sent), status, &outcome, now);
                left = ended.map_or("", |left| left.result);
                sent += 1;
                now += Duration::from_secs(60);
                outbox.handle_timeout(now);
            }
            assert_eq!((sent, left), (attempts, result), "{care:?} {status:?} {outcome:?}");
        }
    }

    #[test]
    fn one_that_cic_cannot_take_now_waits_and_lets_only_lesser_ones_pass() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        for (name, care) in [("a", Care::Keep), ("b", Care::Keep), ("c", Care::Some)] {
            let (ticket, ..) = outbox.push(event(name), care);
            outbox.ready(ticket);
        }
        assert_eq!(next(&mut outbox, 1, now).as_deref(), Some("a"));
        assert!(outbox.finished(RequestKey(1), None, &refused(503), now).is_none());
        assert_eq!(next(&mut outbox, 2, now).as_deref(), Some("c"));
        outbox.finished(RequestKey(2), None, &Outcome::Done, now);
        assert_eq!(next(&mut outbox, 3, now), None);
        let due = outbox.poll_timeout().unwrap();
        assert_eq!(due, now + Duration::from_secs(1));
        assert_eq!(next(&mut outbox, 3, due).as_deref(), Some("a"), "order is kept");
        outbox.finished(RequestKey(3), None, &refused(503), due);
        outbox.connected();
        assert_eq!(next(&mut outbox, 4, due).as_deref(), Some("a"), "a new session, a new chance");
    }

    #[test]
    fn what_was_kept_comes_first_and_numbers_go_on() {
        let kept = [(4, Arc::new(event("a"))), (7, Arc::new(event("b")))];
        let (mut outbox, now) = (Outbox::new(kept), Instant::now());
        assert_eq!(outbox.push(event("c"), Care::Keep).1, Some(8));
        outbox.push_first(event("sync"));
        outbox.push_first(event("sync"));
        let mut order = Vec::new();
        for key in 0..5 {
            order.extend(next(&mut outbox, key, now));
            outbox.finished(RequestKey(key), None, &Outcome::Done, now);
        }
        assert_eq!(order, ["sync", "a", "b"], "c is not kept yet");
    }

    #[test]
    fn the_oldest_that_may_be_lost_makes_room_and_is_named() {
        let mut outbox = Outbox::default();
        let dropped: Vec<_> = (0..300)
            .filter_map(|n| outbox.push(event(&format!("e{n}")), Care::Some).2)
            .map(|left| (left.event.name.to_string(), left.result))
            .collect();
        assert_eq!(dropped.len(), 44);
        assert_eq!(dropped[0], ("e0".to_owned(), "dropped"));
        assert!(outbox.push(event("kept"), Care::Keep).2.is_none(), "a bound of its own");
    }
}
