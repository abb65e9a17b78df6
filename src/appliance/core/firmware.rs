//! The topics of an appliance's own firmware, which its profile translates: what it reports there
//! becomes state, what CIC orders becomes a message that it understands.

use bytes::Bytes;

use super::{Core, uplink::error};
use crate::{
    appliance::{
        control::ActionResult,
        message::{ContextReport, Down, ErrorCode},
        queue::Entry,
    },
    clock::Now,
    ids::MessageId,
    profile::Expect,
};

/// Commands whose success is awaited; the control machine's time-out ends each of them.
const MAX_AWAITED: usize = 64;

/// A command that the appliance has been sent on a topic of its own.
#[derive(Debug)]
pub(super) struct Awaited {
    message_id: MessageId,
    expect: Expect,
}

impl Core {
    /// A message on a topic of the firmware's own.
    pub(super) fn handle_firmware(&mut self, topic: &str, payload: &Bytes, now: Now) {
        let profile = self.settings.profile.clone();
        let mapped = match profile.state(topic, payload) {
            Some(Ok(mapped)) => mapped,
            Some(Err((code, why))) => return self.complain(error(topic, code, why), now),
            None => {
                let why =
                    format!("neither a topic of the gateway nor of profile {}", profile.name());
                return self.complain(error(topic, ErrorCode::UnknownTopic, why), now);
            }
        };
        for why in mapped.invalid {
            if self.contexts.is_news(&why) {
                self.complain(error(topic, ErrorCode::InvalidContext, why), now);
            }
        }
        let says_something = !mapped.parts.is_empty();
        for part in mapped.parts {
            self.merge_context(topic, part, now);
        }
        self.settle_commands(Some((topic, payload)), now);
        if says_something {
            self.note_state(now);
        }
    }

    /// Sends an order as the appliance's firmware wants it; gives it back when the profile has no
    /// rule for it.
    pub(super) fn translate(&mut self, entry: Entry, now: Now) -> Option<Entry> {
        let profile = self.settings.profile.clone();
        let message_id = entry.directive.message_id.clone();
        match profile.command(&entry.directive, &self.contexts) {
            None => return Some(entry),
            Some(Err(why)) => self.answer_order(message_id, Some(why), now),
            Some(Ok(command)) => {
                self.say(Down::Firmware { topic: command.topic, payload: command.payload.into() });
                if self.awaited.len() == MAX_AWAITED {
                    self.awaited.remove(0);
                }
                self.awaited.push(Awaited { message_id, expect: command.expect });
                self.settle_commands(None, now);
            }
        }
        self.discard(entry, "delivered", now);
        None
    }

    /// Answers the commands that the appliance's state, or this message of it, shows to be done.
    pub(super) fn settle_commands(&mut self, message: Option<(&str, &Bytes)>, now: Now) {
        for awaited in std::mem::take(&mut self.awaited) {
            let said = message.and_then(|(topic, payload)| awaited.expect.answer(topic, payload));
            let done = said.or_else(|| awaited.expect.is_met(&self.contexts).then_some(true));
            match done {
                None => self.awaited.push(awaited),
                Some(true) => self.answer_order(awaited.message_id, None, now),
                Some(false) => {
                    let why = "the appliance says that it failed".to_owned();
                    self.answer_order(awaited.message_id, Some(why), now);
                }
            }
        }
    }

    fn answer_order(&mut self, message_id: MessageId, reason: Option<String>, now: Now) {
        let ok = reason.is_none();
        let result = ActionResult { message_id, ok, reason, state: Vec::new() };
        // One that has timed out meanwhile has been answered.
        let _ = self.control.result(result, now);
        self.perform_control(now);
    }

    fn merge_context(&mut self, topic: &str, part: ContextReport, now: Now) {
        let full_name = format!("{}.{}", part.namespace, part.name);
        let (namespace, name) = (part.namespace.clone(), part.name.clone());
        for complaint in self.contexts.merge(part) {
            self.complain(error(topic, complaint.code, complaint.message), now);
        }
        if let Some(payload) = self.contexts.get(&full_name).map(ToOwned::to_owned) {
            self.control.note_state(&ContextReport { namespace, name, payload });
            self.perform_control(now);
        }
    }
}
