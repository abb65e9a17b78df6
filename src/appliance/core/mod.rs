//! The appliance's core: composes the machines. Sans-IO; run by [`super::actor`].
//!
//! Call [`Core::handle`] with each input and [`Core::handle_timeout`] when [`Core::poll_timeout`]
//! is due, and perform everything that [`Core::poll_output`] yields before the next input.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the state, its inputs and outputs, time |
//! | `uplink.rs` | what the appliance reports |
//! | `requests.rs` | utterances, texts and events on their way to CIC |
//! | `answers.rs` | directives and attachments on their way to the appliance |
//! | `presence.rs` | when a session is wanted, and what `down/session` says |

mod answers;
mod presence;
mod requests;
#[cfg(test)]
mod tests;
mod uplink;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    attachments::Attachments,
    capture::Capture,
    complaints::Complaints,
    context::Contexts,
    dialogue::Dialogues,
    message::{Down, ErrorCode, InputError, Up},
    queue::{Entry, Queue},
    speech::Speech,
};
use crate::{
    cic::{
        link::{self, Link},
        message::{Command, Notice, RequestKey},
    },
    clock::Now,
    ids::UtteranceId,
};
use presence::Presence;
use requests::{EventQueue, Question, Request, Turn};

/// What a core needs to know of its appliance and its gateway.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// Becomes `deviceUUID` of each utterance.
    pub device_id: String,
    /// Language of utterances that name none.
    pub lang: String,
    /// `limits.max_utterance`.
    pub max_utterance: Duration,
    /// `cic.linger`.
    pub linger: Duration,
    /// Back-off and refresh.
    pub link: link::Policy,
    /// Makes ids and jitter repeatable.
    pub seed: u64,
}

/// What goes into a core.
#[derive(Debug)]
pub enum Input {
    /// The appliance reported something.
    Up(Up),
    /// The appliance sent something that cannot be used.
    Rejected(InputError),
    /// The session of this generation has news.
    Session(u64, Notice),
    /// There is an access token, issued and expiring at these times.
    Tokens {
        /// When it was issued.
        issued_at: Timestamp,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// The pairing was removed.
    Unpaired,
    /// Refreshing failed.
    RefreshFailed {
        /// For good: a new pairing is needed.
        rejected: bool,
    },
    /// Audio of this utterance was dropped before it came here: its recording has a hole.
    AudioLost(UtteranceId),
    /// The broker connection was lost and is back.
    BrokerReturned,
    /// The gateway is ending: no new requests.
    Stopping,
}

/// What comes out of a core.
#[derive(Debug)]
pub enum Output {
    /// Publish this.
    Down(Down),
    /// Tell the session this.
    Session(Command),
    /// Open a session and name it so.
    Connect {
        /// Its generation.
        generation: u64,
    },
    /// Close the session of this generation.
    Disconnect {
        /// Its generation.
        generation: u64,
    },
    /// Refresh the access token.
    Refresh,
    /// Count or measure this.
    Measure(Measure),
}

/// What operators count.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// `cic_directives_total`. Names are those of the guide, or `other`.
    Directive {
        /// Namespace.
        namespace: &'static str,
        /// Name.
        name: &'static str,
        /// delivered, superseded, unknown, invalid.
        outcome: &'static str,
    },
    /// `cic_events_total`.
    Event {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// ok, refused, failed, dropped.
        result: &'static str,
    },
    /// `cic_connects_total`.
    Connect(&'static str),
    /// `dialogue_first_audio_seconds`.
    FirstAudio(Duration),
    /// `input_errors_total`.
    InputError(ErrorCode),
    /// `audio_dropped_total`.
    AudioDropped(&'static str),
    /// `dropped_total`.
    Dropped(&'static str),
    /// `audio_bytes_total{direction="down"}`.
    AudioDown(usize),
}

/// One appliance.
#[derive(Debug)]
pub struct Core {
    settings: CoreSettings,
    rng: StdRng,
    outputs: VecDeque<Output>,
    link: Link,
    presence: Presence,
    complaints: Complaints,
    contexts: Contexts,
    dialogues: Dialogues,
    capture: Capture,
    requests: BTreeMap<RequestKey, Request>,
    next_key: u64,
    events: EventQueue,
    turn: Turn,
    question: Option<Question>,
    held: Vec<Entry>,
    queue: Queue,
    impatient: Vec<Entry>,
    attachments: Attachments,
    speech: Speech,
    stopping: bool,
}

impl Core {
    /// A core that knows nothing yet of its appliance's state or tokens.
    pub fn new(settings: CoreSettings) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let link = Link::new(settings.link.clone(), rng.random());
        let capture = Capture::new(settings.max_utterance);
        Self {
            settings,
            rng,
            outputs: VecDeque::new(),
            link,
            presence: Presence::default(),
            complaints: Complaints::default(),
            contexts: Contexts::default(),
            dialogues: Dialogues::default(),
            capture,
            requests: BTreeMap::new(),
            next_key: 0,
            events: EventQueue::default(),
            turn: Turn::default(),
            question: None,
            held: Vec::new(),
            queue: Queue::default(),
            impatient: Vec::new(),
            attachments: Attachments::default(),
            speech: Speech::default(),
            stopping: false,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Up(up) => self.handle_up(up, now),
            Input::Rejected(error) => self.complain(error, now),
            Input::Session(generation, notice) => self.handle_notice(generation, notice, now),
            Input::Tokens { issued_at, expires_at } => {
                self.link.handle(link::Input::Token { issued_at, expires_at }, now);
                self.events.token_renewed();
            }
            Input::Unpaired => self.link.handle(link::Input::Unpaired, now),
            Input::RefreshFailed { rejected } => {
                self.link.handle(link::Input::RefreshFailed { rejected }, now);
            }
            Input::AudioLost(utterance) => self.audio_lost(utterance, now),
            Input::BrokerReturned => self.announce_session(now),
            Input::Stopping => self.stopping = true,
        }
        self.settle(now);
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.link.handle_timeout(now);
        self.presence_timeout(now);
        for effect in self.capture.handle_timeout(now.mono) {
            self.perform_capture(effect, now);
        }
        if let Some(error) = self.complaints.sum_up(now.mono) {
            self.publish_error(error);
        }
        self.attachments.handle_timeout(now.mono);
        if self.speech.handle_timeout(now.mono) {
            self.measure(Measure::Dropped("speech_never_reported"));
        }
        self.listening_timeout(now);
        self.settle(now);
    }

    /// When [`Core::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.link.poll_timeout(),
            self.presence.poll_timeout(),
            self.capture.poll_timeout(),
            self.complaints.poll_timeout(),
            self.attachments.poll_timeout(),
            self.speech.poll_timeout(),
            self.turn.listening_until(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the connection of this generation is (still) asked for.
    pub fn wants_session(&self, generation: u64) -> bool {
        self.link.generation() == Some(generation)
    }

    /// Whether a request is on its way to CIC or being answered.
    pub fn is_busy(&self) -> bool {
        self.requests.values().any(Request::is_recognize)
    }

    /// What follows from every input: the queue moves, events go out, the link is heard.
    fn settle(&mut self, now: Now) {
        self.pump_answers(now);
        self.hear_link(now);
        self.pump_events(now);
        self.settle_turn();
    }

    fn say(&mut self, down: Down) {
        self.outputs.push_back(Output::Down(down));
    }

    fn tell(&mut self, command: Command) {
        self.outputs.push_back(Output::Session(command));
    }

    fn measure(&mut self, measure: Measure) {
        self.outputs.push_back(Output::Measure(measure));
    }

    /// Reports bad input, at most so often.
    fn complain(&mut self, error: InputError, now: Now) {
        self.measure(Measure::InputError(error.code));
        if self.complaints.admit(now.mono) {
            self.publish_error(error);
        }
    }

    fn publish_error(&mut self, error: InputError) {
        self.say(Down::Error(error));
    }

    fn new_key(&mut self) -> RequestKey {
        self.next_key += 1;
        RequestKey(self.next_key)
    }

    /// A random UUID from the core's own seed.
    fn new_uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid().to_string()
    }
}
