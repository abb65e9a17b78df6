//! Notifications: one at a time, in order (dialogue 7.1). The appliance does not report their end,
//! so each one that makes a sound has its time, and the next directive of Notifier is delivered
//! when that is over. Those that only change a light keep their place in the order and take no
//! time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Channel, Effect, Focus};
use crate::{appliance::queue::Entry, cic::directive::Directive, clock::Now, ids::Token};

/// How long a notification sounds: a chime and a few sentences.
pub const NOTIFICATION_TIME: Duration = Duration::from_secs(10);
/// Notifications that wait; the oldest makes room, as a later one tells how the light is to be.
pub const MAX_NOTIFICATIONS: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    asset_play_order: Vec<IgnoredAny>,
    /// Of SetIndicator: a new notification, not only the state.
    new: Option<bool>,
}

/// What waits, and what sounds.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    waiting: VecDeque<Box<Entry>>,
    playing: Option<Playing>,
    count: u64,
}

#[derive(Debug)]
struct Playing {
    token: Token,
    until: Instant,
}

impl Focus {
    /// Takes a directive of Notifier whose turn it is; [`Effect::Deliver`] gives it back.
    pub fn notify(&mut self, entry: Entry, now: Now) {
        if entry.directive.name == "ClearIndicator" {
            self.drop_notifications();
            return self.deliveries.push_back(entry.into());
        }
        let waiting = &mut self.notifications.waiting;
        if waiting.len() >= MAX_NOTIFICATIONS
            && let Some(oldest) = waiting.pop_front()
        {
            self.effects.push_back(Effect::Discard(oldest, "invalid"));
        }
        self.notifications.waiting.push_back(entry.into());
        self.deliver_notifications(now);
    }

    /// When [`Focus::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.notifications.playing.as_ref().map(|playing| playing.until)
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.poll_timeout().is_some_and(|until| until <= now.mono) {
            self.end_notification();
            self.deliver_notifications(now);
        }
    }

    /// Switches off what sounds and forgets what waits.
    pub(super) fn drop_notifications(&mut self) {
        self.end_notification();
        let waiting = self.notifications.waiting.drain(..);
        self.effects.extend(waiting.map(|entry| Effect::Discard(entry, "superseded")));
    }

    fn end_notification(&mut self) {
        if let Some(Playing { token, .. }) = self.notifications.playing.take() {
            self.ended(Channel::Notification, &token);
        }
    }

    fn deliver_notifications(&mut self, now: Now) {
        while self.notifications.playing.is_none()
            && let Some(entry) = self.notifications.waiting.pop_front()
        {
            if sounds(&entry.directive) {
                self.notifications.count += 1;
                let token = Token::from(self.notifications.count.to_string());
                self.started(Channel::Notification, &token, now);
                let until = now.mono + NOTIFICATION_TIME;
                self.notifications.playing = Some(Playing { token, until });
            }
            self.deliveries.push_back(entry);
        }
    }
}

/// Whether it makes a sound; of a payload that cannot be read, nothing is known and it does.
fn sounds(directive: &Directive) -> bool {
    let payload = directive.payload_as::<Payload>();
    payload.map_or(true, |p| !p.asset_play_order.is_empty() && p.new != Some(false))
}
