//! Events other than Recognize, and what the store must keep of them.

use std::sync::Arc;

use serde_json::{json, value::RawValue};

use super::{
    Core, Output, SaveResult,
    requests::{Request, raw},
};
use crate::{
    appliance::{
        context::OwnContexts,
        ledger::{Due, Save, Step},
        message::SessionState,
        outbox::{Care, Left, Outgoing, Ticket},
    },
    cic::{
        event::{self, Event},
        message::{Command, Outcome, RequestKey},
    },
    clock::Now,
    ids::Token,
};

/// Bytes of an event of the appliance's own that is kept: there may be a thousand of them.
const MAX_KEPT_PAYLOAD: usize = 4096;

impl Core {
    /// What the gateway itself knows at this moment.
    pub(super) fn own_contexts(&self) -> OwnContexts {
        OwnContexts {
            alerts: self.alerts.state().clone(),
            speech: self.speech.state().cloned(),
            playback: Some(self.playback.state(self.moment)),
        }
    }

    /// Every context object, as it would be sent now.
    pub(super) fn whole_context(&mut self, now: Now) -> Vec<(String, Box<RawValue>)> {
        self.moment = now;
        let own = self.own_contexts();
        let objects = self.contexts.assemble(&own, now).into_iter();
        let named = objects.map(|object| {
            (format!("{}.{}", object.namespace, object.name), object.payload.to_owned())
        });
        named.collect()
    }

    pub(super) fn report_speech(&mut self, name: &str, token: &Token) {
        let payload = raw(&json!({ "token": token })).into();
        self.queue_event("SpeechSynthesizer", name, payload);
    }

    /// Queues an event of the appliance's own; what it says of orders, playback and alerts must
    /// not be lost.
    pub(super) fn queue_event(&mut self, namespace: &str, name: &str, payload: Arc<RawValue>) {
        let care = care_for(namespace, name, &payload);
        let event = self.outgoing(namespace, name, payload, self.own_contexts());
        self.send(event, care);
    }

    pub(super) fn outgoing(
        &mut self,
        namespace: &str,
        name: &str,
        payload: Arc<RawValue>,
        contexts: OwnContexts,
    ) -> Outgoing {
        let message_id = self.new_uuid().into();
        let (namespace, name) = (namespace.into(), name.into());
        Outgoing { namespace, name, message_id, payload, contexts }
    }

    /// Queues an event that must not be lost; returns its ticket and the step that keeps it.
    pub(super) fn queue_kept(&mut self, event: Outgoing) -> (Ticket, Step) {
        let (ticket, number, dropped) = self.outbox.push(event.clone(), Care::Keep);
        self.note_left(dropped);
        (ticket, Step::Enqueue(number.unwrap_or_default(), Arc::new(event)))
    }

    /// Hands something to the store; an event that hangs on it may go once it is kept.
    pub(super) fn keep(&mut self, steps: Vec<Step>, event: Option<Ticket>, staged: bool) {
        self.kept_changes += 1;
        if !self.ledger.push(steps, event, staged)
            && let Some(ticket) = event
        {
            self.outbox.ready(ticket);
        }
    }

    /// Counts an event that has left the outbox, and has the store forget it.
    pub(super) fn note_left(&mut self, left: Option<Left>) {
        let Some(Left { event, number, result }) = left else { return };
        self.measure(super::Measure::Event {
            namespace: event.namespace.to_string(),
            name: event.name.to_string(),
            result,
        });
        if let Some(number) = number {
            self.keep(vec![Step::Dequeue(number)], None, false);
        }
    }

    /// The account is gone: nobody is told any more. The store has forgotten them by itself.
    pub(super) fn drop_events(&mut self) {
        for left in self.outbox.clear() {
            self.note_left(Some(Left { number: None, ..left }));
        }
    }

    /// Starts the next save, if one is due.
    pub(super) fn pump_ledger(&mut self, now: Now) {
        let save = match self.ledger.next(now.mono) {
            None => return,
            Some(Due::Steps(steps)) => Save { whole: false, steps },
            Some(Due::Whole) => Save { whole: true, steps: self.everything(now) },
        };
        self.outputs.push_back(Output::Save(save));
    }

    fn everything(&self, now: Now) -> Vec<Step> {
        let alerts = self.alerts.projected();
        let gone = self.all_farewells(&alerts, now);
        let alerts = alerts.into_iter().chain(gone);
        let alerts = alerts.map(|alert| Step::Alert(crate::appliance::alerts::Step::Put(alert)));
        alerts
            .chain(self.outbox.kept().map(|(number, event)| Step::Enqueue(number, event)))
            .collect()
    }

    /// The store has answered: what hung on the save goes on.
    pub(super) fn saved(&mut self, result: SaveResult, now: Now) {
        if result == SaveResult::Gone {
            // It has ended all the same: the next pairing's saves must not wait for it.
            drop(self.ledger.saved(true, now.mono));
            return self.unpaired(now);
        }
        let kept = result == SaveResult::Kept;
        self.kept_changes += 1;
        let entries = self.ledger.saved(kept, now.mono);
        // Before what follows it is told.
        self.release_stops(now);
        for entry in entries {
            match (entry.event, entry.staged && !kept) {
                (Some(ticket), true) => self.outbox.cancel(ticket),
                (Some(ticket), false) => self.outbox.ready(ticket),
                (None, _) => {}
            }
            match (entry.staged, kept) {
                (true, true) => self.alerts.commit(now),
                (true, false) => self.alerts.reject(now),
                (false, _) => {}
            }
            // Each by itself: the next one may end what this one has begun to ring, and a report
            // carries the alerts as they were.
            self.perform_alerts(now);
        }
        if !self.ledger.is_busy() {
            self.farewells.all_is_kept();
        }
    }

    /// Sends what waits, while CIC is connected.
    pub(super) fn pump_events(&mut self, now: Now) {
        self.resend_text();
        // What waits at the end waits for the next life.
        let idle = self.stopping || self.awaits_token;
        if self.link.state() != SessionState::Connected || idle {
            return;
        }
        let key = RequestKey(self.next_key + 1);
        let Some(outgoing) = self.outbox.next(key, now.mono) else { return };
        self.next_key += 1;
        let context = self.contexts.assemble(&outgoing.contexts, now);
        let metadata = event::encode(
            &context,
            &Event {
                namespace: &outgoing.namespace,
                name: &outgoing.name,
                message_id: &outgoing.message_id,
                dialog_request_id: None,
                payload: &outgoing.payload,
            },
        );
        self.requests.insert(key, Request::event());
        self.tell(Command::Event { key, metadata });
    }

    pub(super) fn event_finished(
        &mut self,
        key: RequestKey,
        status: Option<u16>,
        outcome: Outcome,
        now: Now,
    ) {
        self.awaits_token |= matches!(outcome, Outcome::Refused { status: 401, .. });
        self.note_refusal(&outcome, now);
        let left = self.outbox.finished(key, status, &outcome, now.mono);
        if let Some(left) = &left {
            self.note_unanswered(left, now);
        }
        self.note_left(left);
    }
}

/// How much is done for an event that the appliance made by itself. A question is worth nothing
/// later, and what is large would fill the store.
fn care_for(namespace: &str, name: &str, payload: &RawValue) -> Care {
    let is_report = matches!(namespace, "DeviceControl" | "AudioPlayer" | "Alerts");
    let is_question = name == "StreamRequested" || name.starts_with("Request");
    match is_report && !is_question && payload.get().len() <= MAX_KEPT_PAYLOAD {
        true => Care::Keep,
        false => Care::Some,
    }
}
