//! The machine with a clock; what it did, as short texts.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};

use super::super::{Attention, Channel, Effect, Focus, Place, Places};
use crate::{
    appliance::queue::Entry,
    cic::{directive::Directive, message::Source},
    clock::Now,
};

pub struct World {
    pub focus: Focus,
    pub now: Now,
}

/// `content` in the background behind `alert`: `alert content-`; all in the background: `content-`.
pub fn shown(places: &Places) -> String {
    let shown = places.iter().filter_map(|(channel, place)| match place {
        Place::Foreground => Some(channel.as_str().to_owned()),
        Place::Background => Some(format!("{}-", channel.as_str())),
        Place::None => None,
    });
    shown.collect::<Vec<_>>().join(" ")
}

pub fn notifier(name: &str, id: &str, payload: &Value) -> Entry {
    let directive = Directive {
        namespace: "Notifier".into(),
        name: name.into(),
        message_id: id.into(),
        dialog_request_id: None,
        payload: RawValue::from_string(payload.to_string()).unwrap(),
    };
    Entry::new(directive, Source::Downchannel)
}

impl World {
    pub fn new() -> Self {
        let now = Now { mono: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        Self { focus: Focus::default(), now }
    }

    pub fn start(&mut self, channel: Channel, token: &str) {
        match channel {
            Channel::Notification => self.notify(token),
            _ => self.focus.started(channel, &token.into(), self.now),
        }
    }

    pub fn end(&mut self, channel: Channel, token: &str) {
        self.focus.ended(channel, &token.into());
    }

    pub fn attend(&mut self, attention: Attention) {
        self.focus.attend(attention);
    }

    /// A notification with a sound.
    pub fn notify(&mut self, id: &str) {
        self.give("Notify", id, &json!({"light": "DEFAULT", "assetPlayOrder": ["a", "b"]}));
    }

    pub fn give(&mut self, name: &str, id: &str, payload: &Value) {
        self.focus.notify(notifier(name, id, payload), self.now);
    }

    /// Lets time pass from one deadline to the next.
    pub fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some(due) = self.focus.poll_timeout().filter(|due| *due <= end.mono) {
            self.now = self.now.plus(due.saturating_duration_since(self.now.mono));
            self.focus.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub fn seen(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(effect) = self.focus.poll_effect() {
            seen.push(match effect {
                Effect::CancelCapture => "cancel capture".into(),
                Effect::Cancel(channel, token) => format!("cancel {} {token}", channel.as_str()),
                Effect::Hush(token) => format!("hush {token}"),
                Effect::Discard(entry, why) => format!("{why} {}", entry.directive.message_id),
                Effect::Tell(places) => format!("[{}]", shown(&places)),
                Effect::Deliver(entry) => format!("deliver {}", entry.directive.message_id),
            });
        }
        seen
    }

    #[track_caller]
    pub fn saw(&mut self, wanted: &[&str]) {
        assert_eq!(self.seen(), wanted);
    }
}
