//! Which sound is in front (dialogue 7): what sounds on an appliance, who gives way to whom, and
//! what becomes of it while the user is heard. Pure; called by the core, which says what begins
//! and ends, passes every directive of Notifier through [`Focus::notify`], and performs the
//! [`Effect`]s.
//!
//! The newest sound is in front and the others are in the background, which is to be understood
//! as ducked, not paused: last in, first out. Feedback and the sounds of buttons are the
//! appliance's own and not known here.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the sounds, what goes in and comes out |
//! | `notifications.rs` | notifications, one at a time |

mod notifications;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Instant};

use super::{message::DialogueState, queue::Entry};
use crate::{clock::Now, ids::Token};
use notifications::Notifications;

/// Sounds that are known at a time. Only alerts can be so many; the oldest is forgotten.
const MAX_SOUNDS: usize = 1024;

/// A kind of sound that `down/focus` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Alarms, timers, reminders.
    Alert,
    /// Speech that answers the user.
    Dialogue,
    /// Music, stories, news.
    Content,
    /// Notifications.
    Notification,
}

impl Channel {
    /// All of them, in the order of `down/focus`.
    pub const ALL: [Self; 4] = [Self::Alert, Self::Dialogue, Self::Content, Self::Notification];

    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Dialogue => "dialogue",
            Self::Content => "content",
            Self::Notification => "notification",
        }
    }
}

/// How a channel sounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// In front.
    Foreground,
    /// Ducked behind something, or behind the user.
    Background,
    /// It does not sound.
    #[default]
    None,
}

impl Place {
    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Foreground => "foreground",
            Self::Background => "background",
            Self::None => "none",
        }
    }
}

/// What `down/focus` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places([Place; 4]);

impl Places {
    /// How this channel sounds.
    pub fn of(&self, channel: Channel) -> Place {
        self.0[channel as usize]
    }

    /// All channels, in the order of `down/focus`.
    pub fn iter(&self) -> impl Iterator<Item = (Channel, Place)> + '_ {
        Channel::ALL.into_iter().map(|channel| (channel, self.of(channel)))
    }
}

/// Where the user's request stands (dialogue 6), as `down/dialogue` has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Attention {
    /// There is no request.
    #[default]
    Idle,
    /// Attending or Listening: the user is, or may be, speaking.
    Listening,
    /// CLOVA is working on the request.
    Processing,
    /// The answer is being spoken.
    Speaking,
}

impl From<DialogueState> for Attention {
    fn from(state: DialogueState) -> Self {
        match state {
            DialogueState::Listening => Self::Listening,
            DialogueState::Thinking => Self::Processing,
            DialogueState::Speaking => Self::Speaking,
            DialogueState::Idle => Self::Idle,
        }
    }
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Stop receiving the user's speech: something else must play (dialogue 7.2).
    CancelCapture,
    /// A newer sound of the same channel has begun: this Speak or stream is to be stopped, if its
    /// owner has not done so yet. It is no longer known here.
    Cancel(Channel, Token),
    /// A newer alert has begun: this one gives way to it, and sounds again when that ends. It has
    /// not been stopped and stays active (dialogue 7.1).
    Hush(Token),
    /// A notification that nobody will hear: count it with this outcome.
    Discard(Box<Entry>, &'static str),
    /// Publish `down/focus`.
    Tell(Places),
    /// Deliver this directive of Notifier.
    Deliver(Box<Entry>),
}

/// A sound, and since when it has been there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Its channel.
    pub channel: Channel,
    /// Which one.
    pub token: Token,
    /// When it began.
    pub since: Instant,
    /// It was there before the user's request, or came silently during it.
    ducked: bool,
}

/// What sounds on one appliance.
#[derive(Debug)]
pub struct Focus {
    /// The newest is the last.
    sounds: Vec<Sound>,
    attention: Attention,
    /// The user is no longer to be heard; the owner of the recording has not ended it yet.
    cancelling: bool,
    notifications: Notifications,
    /// What the appliance knows; none, if it must be told in any case.
    told: Option<Places>,
    effects: VecDeque<Effect>,
    /// Directives, behind the places that they find.
    deliveries: VecDeque<Box<Entry>>,
}

impl Default for Focus {
    /// Nothing sounds, as everybody knows.
    fn default() -> Self {
        Self {
            sounds: Vec::new(),
            attention: Attention::default(),
            cancelling: false,
            notifications: Notifications::default(),
            told: Some(Places::default()),
            effects: VecDeque::new(),
            deliveries: VecDeque::new(),
        }
    }
}

impl Focus {
    /// The next thing to do. Places come once what was said together has been taken together, so a
    /// Speak that follows another does not let the music flare up between them.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        let places = self.places();
        if self.told != Some(places) {
            self.told = Some(places);
            return Some(Effect::Tell(places));
        }
        self.deliveries.pop_front().map(Effect::Deliver)
    }

    /// A sound begins: a ring is published, a Speak or Play delivered, a stream resumed. Saying it
    /// again changes nothing.
    pub fn started(&mut self, channel: Channel, token: &Token, now: Now) {
        if self.position(channel, token).is_some() {
            return;
        }
        self.give_way(channel);
        let is_heard = self.attention == Attention::Listening;
        let ducked = is_heard && channel == Channel::Notification;
        if is_heard && !ducked {
            self.cancel_capture();
        }
        if self.sounds.len() >= MAX_SOUNDS {
            self.sounds.remove(0);
        }
        self.sounds.push(Sound { channel, token: token.clone(), since: now.mono, ducked });
    }

    /// A sound is over: finished, stopped, paused, or given up. One that is not known is ignored.
    pub fn ended(&mut self, channel: Channel, token: &Token) {
        if let Some(at) = self.position(channel, token) {
            self.sounds.remove(at);
        }
    }

    /// Where the user's request stands: to be told whenever that changes, and as often as the core
    /// likes. Whatever sounds when a request begins is in the background until it is over, timed
    /// out or failed; what begins afterwards is in front by table 7.1.
    pub fn attend(&mut self, attention: Attention) {
        if self.cancelling && attention == Attention::Listening {
            return;
        }
        let cancelled = std::mem::take(&mut self.cancelling);
        match (self.attention, attention) {
            (before, after) if before == after => {}
            (_, Attention::Idle) => self.unduck(),
            // An older speech that goes on after a failed request comes back (dialogue 9, 5b).
            (_, Attention::Speaking) if self.is_ducked(Channel::Dialogue) => self.unduck(),
            (_, Attention::Listening) => self.duck(|_| true),
            // A Speak that nobody has asked for may make it look like a request.
            (Attention::Idle, Attention::Processing) if !cancelled => {
                self.duck(|channel| channel != Channel::Dialogue);
            }
            _ => {}
        }
        self.attention = attention;
    }

    /// The appliance is gone, or the account: nothing sounds, and no notification waits. Ringing
    /// alerts and the like are to be told anew.
    pub fn silence(&mut self) {
        self.sounds.clear();
        self.drop_notifications();
    }

    /// The appliance is back: it is told the places anew, also that nothing sounds.
    pub fn announce(&mut self) {
        self.told = None;
    }

    /// What sounds, the oldest first.
    pub fn sounds(&self) -> &[Sound] {
        &self.sounds
    }

    /// How each channel sounds now.
    pub fn places(&self) -> Places {
        let mut places = Places::default();
        for sound in &self.sounds {
            places.0[sound.channel as usize] = Place::Background;
        }
        let front = self.sounds.iter().rev().find(|sound| !sound.ducked);
        if let Some(front) = front {
            places.0[front.channel as usize] = Place::Foreground;
        }
        places
    }

    /// The column of table 7.1 for the row of the same kind. Two notifications never meet: they
    /// are queued.
    fn give_way(&mut self, newer: Channel) {
        match newer {
            Channel::Alert => {
                let older = self.sounds.iter().rfind(|sound| sound.channel == newer);
                self.effects.extend(older.map(|older| Effect::Hush(older.token.clone())));
            }
            Channel::Dialogue | Channel::Content => {
                let same = self.sounds.extract_if(.., |sound| sound.channel == newer);
                self.effects.extend(same.map(|sound| Effect::Cancel(newer, sound.token)));
            }
            Channel::Notification => {}
        }
    }

    fn cancel_capture(&mut self) {
        self.effects.push_back(Effect::CancelCapture);
        self.attend(Attention::Idle);
        self.cancelling = true;
    }

    fn duck(&mut self, which: impl Fn(Channel) -> bool) {
        let which = self.sounds.iter_mut().filter(|sound| which(sound.channel));
        which.for_each(|sound| sound.ducked = true);
    }

    fn unduck(&mut self) {
        self.sounds.iter_mut().for_each(|sound| sound.ducked = false);
    }

    fn is_ducked(&self, channel: Channel) -> bool {
        self.sounds.iter().any(|sound| sound.channel == channel && sound.ducked)
    }

    fn position(&self, channel: Channel, token: &Token) -> Option<usize> {
        self.sounds.iter().position(|sound| (sound.channel, &sound.token) == (channel, token))
    }
}
