//! The appliance's core: composes the machines. Sans-IO; run by [`super::actor`].
//!
//! Call [`Core::handle`] with each input and [`Core::handle_timeout`] when [`Core::poll_timeout`]
//! is due, and perform everything that [`Core::poll_output`] yields before the next input.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the state, its inputs and outputs, time |
//! | `uplink.rs` | what the appliance reports |
//! | `requests.rs` | utterances and texts on their way to CIC |
//! | `outcomes.rs` | how they end |
//! | `turn.rs` | what the appliance's lights show |
//! | `events.rs` | every other event, and what the store must keep |
//! | `alarms.rs`, `farewells.rs` | alerts; those that are over |
//! | `answers.rs` | directives and attachments on their way to the appliance |
//! | `presence.rs` | when a session is wanted, and what `down/session` says |

mod alarms;
mod answers;
mod events;
mod farewells;
mod firmware;
mod media;
mod orders;
mod outcomes;
mod presence;
mod requests;
mod sounds;
#[cfg(test)]
mod tests;
mod turn;
mod uplink;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    alerts::{AlertKind, AlertSettings, Alerts, Phase, Refused},
    attachments::Attachments,
    capture::{self, Capture},
    complaints::Complaints,
    context::Contexts,
    control::{Control, ControlSettings},
    dialogue::Dialogues,
    focus::Focus,
    ledger::{Kept, Ledger, Save},
    message::{Down, ErrorCode, InputError, Up},
    outbox::Outbox,
    playback::Playback,
    queue::{Entry, Queue},
    snapshot::{LastErrors, Snapshot},
    speech::Speech,
};
use crate::{
    cic::{
        link::{self, Link},
        message::{Command, Notice, RequestKey},
    },
    clock::Now,
    ids::{DialogRequestId, Token, UtteranceId},
    profile::Profile,
};
use farewells::Farewells;
use firmware::Awaited;
use outcomes::RefusedText;
use presence::Presence;
use requests::{Question, Request};
use turn::Turn;

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
    /// `cic.result_timeout`.
    pub result_timeout: Duration,
    /// What models like this one are and speak.
    pub profile: Arc<Profile>,
    /// `[alerts]`.
    pub alerts: AlertSettings,
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
    /// The broker connection is lost: nobody hears anything.
    BrokerLost,
    /// The broker connection is back.
    BrokerReturned,
    /// A save has ended.
    Saved(SaveResult),
    /// The gateway is ending: no new requests.
    Stopping,
}

impl Input {
    /// Its name, for the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Up(_) => "a report of the appliance",
            Self::Rejected(_) => "an unusable message of the appliance",
            Self::Session(..) => "news of the session",
            Self::Tokens { .. } => "tokens",
            Self::Unpaired => "the end of the pairing",
            Self::RefreshFailed { .. } => "a failed refresh",
            Self::AudioLost(_) => "lost audio",
            Self::BrokerLost => "the loss of the broker",
            Self::BrokerReturned => "the return of the broker",
            Self::Saved(_) => "an answer of the store",
            Self::Stopping => "the end",
        }
    }
}

/// How a save ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveResult {
    /// It is durable.
    Kept,
    /// The store failed; nobody knows what it has.
    Failed,
    /// The appliance, or the pairing that this was part of, is gone.
    Gone,
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
    /// Have the store keep this; answered by [`Input::Saved`]. One at a time.
    Save(Save),
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
        /// ok, refused, failed, dropped, unpaired.
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
    /// `alert_transitions_total`.
    AlertBecame(AlertKind, &'static str),
    /// `alert_lateness_seconds`.
    AlertLate(Duration),
    /// `orders_failed_total`: namespace and name of the directive.
    OrderFailed(&'static str, &'static str),
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
    last_errors: LastErrors,
    contexts: Contexts,
    dialogues: Dialogues,
    capture: Capture,
    /// Empty between messages.
    captured: Vec<capture::Effect>,
    requests: BTreeMap<RequestKey, Request>,
    next_key: u64,
    outbox: Outbox,
    ledger: Ledger,
    kept_changes: u64,
    alerts: Alerts,
    farewells: Farewells,
    /// CIC has answered `401`: nothing goes out before there is another token.
    awaits_token: bool,
    refused_text: Option<RefusedText>,
    turn: Turn,
    question: Option<Question>,
    held: Vec<Entry>,
    queue: Queue,
    impatient: Vec<Entry>,
    attachments: Attachments,
    speech: Speech,
    control: Control,
    playback: Playback,
    media_sounds: bool,
    awaited: Vec<Awaited>,
    focus: Focus,
    /// The moment of what is being handled.
    moment: Now,
    stopping: bool,
}

impl Core {
    /// A core that knows what the store kept, and nothing yet of its appliance's state or tokens.
    pub fn new(settings: CoreSettings, mut kept: Kept, now: Now) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let link = Link::new(settings.link.clone(), rng.random());
        let capture = Capture::new(settings.max_utterance);
        let control = Control::new(ControlSettings {
            result_timeout: settings.result_timeout,
            device_id: settings.device_id.as_str().into(),
        });
        let contexts = Contexts::new(settings.profile.default_contexts().clone());
        let farewells = Farewells::new(&mut kept.alerts);
        let alerts = Alerts::new(settings.alerts.clone(), kept.alerts, now);
        Self {
            settings,
            rng,
            outputs: VecDeque::new(),
            link,
            presence: Presence::default(),
            complaints: Complaints::default(),
            last_errors: LastErrors::default(),
            contexts,
            dialogues: Dialogues::default(),
            capture,
            captured: Vec::new(),
            requests: BTreeMap::new(),
            next_key: 0,
            outbox: Outbox::new(kept.outbox),
            ledger: Ledger::default(),
            kept_changes: 1,
            alerts,
            farewells,
            awaits_token: false,
            refused_text: None,
            turn: Turn::default(),
            question: None,
            held: Vec::new(),
            queue: Queue::default(),
            impatient: Vec::new(),
            attachments: Attachments::default(),
            speech: Speech::default(),
            control,
            playback: Playback::default(),
            media_sounds: false,
            awaited: Vec::new(),
            moment: now,
            focus: Focus::default(),
            stopping: false,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.note_time(now);
        match input {
            Input::Up(up) => self.handle_up(up, now),
            Input::Rejected(error) => self.complain(error, now),
            Input::Session(generation, notice) => self.handle_notice(generation, notice, now),
            Input::Tokens { issued_at, expires_at } => {
                self.link.handle(link::Input::Token { issued_at, expires_at }, now);
                self.awaits_token = false;
            }
            Input::Unpaired => self.unpaired(now),
            Input::RefreshFailed { rejected } => {
                self.link.handle(link::Input::RefreshFailed { rejected }, now);
            }
            Input::AudioLost(utterance) => self.audio_lost(utterance, now),
            Input::BrokerLost => self.broker_lost(now),
            Input::BrokerReturned => {
                self.announce_session(now);
                self.link.handle(link::Input::NetworkReturned, now);
            }
            Input::Saved(result) => self.saved(result, now),
            Input::Stopping => self.stopping = true,
        }
        self.settle(now);
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.note_time(now);
        self.link.handle_timeout(now);
        self.presence_timeout(now);
        for effect in self.capture.handle_timeout(now.mono) {
            self.perform_capture(effect, now);
        }
        if let Some(error) = self.complaints.sum_up(now.mono) {
            self.measure(Measure::InputError(error.code));
            self.publish_error(error, now);
        }
        self.attachments.handle_timeout(now.mono);
        if self.speech.handle_timeout(now.mono) {
            self.measure(Measure::Dropped("speech_never_reported"));
        }
        self.listening_timeout(now);
        if self.refused_text.as_ref().is_some_and(|text| text.until() <= now.mono) {
            self.give_up_refused_text("CIC no longer accepts the access token", now);
        }
        self.outbox.handle_timeout(now.mono);
        self.alerts.handle_timeout(now);
        self.control.handle_timeout(now);
        self.perform_control(now);
        self.playback.handle_timeout(now);
        self.perform_playback();
        self.focus.handle_timeout(now);
        self.release_stops(now);
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
            self.outbox.poll_timeout(),
            self.ledger.poll_timeout(),
            self.alerts.poll_timeout(),
            self.farewells.poll_timeout(),
            self.control.poll_timeout(),
            self.playback.poll_timeout(),
            self.focus.poll_timeout(),
            self.refused_text.as_ref().map(RefusedText::until),
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

    /// Whether a request or an event is on its way to CIC or being answered, or something on its
    /// way to the store.
    pub fn is_busy(&self) -> bool {
        let asks = self.requests.values().any(Request::is_recognize);
        asks || self.outbox.is_sending() || self.ledger.is_busy()
    }

    /// The dialogue that a command's request began or went on with.
    pub fn dialogue_of(&self, command: &Command) -> Option<&DialogRequestId> {
        match command {
            Command::OpenUpload { key, .. } | Command::Event { key, .. } => {
                self.requests.get(key)?.dialogue.as_ref()
            }
            _ => None,
        }
    }

    /// What outlives this core: the alerts, and what CIC has not heard of them. What is still on
    /// its way to the store has not happened, and CIC must not be told that it has.
    pub fn kept(&self) -> Kept {
        let alerts = self.alerts.iter().chain(self.farewells.iter()).cloned().collect();
        let outbox = self.outbox.kept_with_tickets();
        let outbox = outbox.filter(|(ticket, ..)| !self.ledger.is_staged(*ticket));
        Kept { alerts, outbox: outbox.map(|(_, number, event)| (number, event)).collect() }
    }

    /// Changes whenever [`Core::kept`] may have changed.
    pub fn kept_changes(&self) -> u64 {
        self.kept_changes
    }

    /// Nobody knows whether the store has what this core started with: everything is saved anew.
    pub fn distrust_store(&mut self) {
        self.ledger.distrust();
    }

    /// How many alerts are in each phase.
    pub fn alert_counts(&self) -> [usize; Phase::ALL.len()] {
        let mut counts = [0; Phase::ALL.len()];
        for alert in self.alerts.iter() {
            counts[alert.phase as usize] += 1;
        }
        counts
    }

    /// Whether the appliance says that it is there.
    pub fn is_online(&self) -> bool {
        self.presence.is_online()
    }

    /// How the appliance is, for operators; `whole`: with its context.
    pub fn snapshot(&mut self, whole: bool, now: Now) -> Snapshot {
        Snapshot {
            online: self.presence.is_online(),
            session: self.presence.session(&self.link, now),
            dialogue: self.current_turn(),
            alerts: self.alerts.iter().cloned().collect(),
            unsent_events: self.outbox.kept().count(),
            errors: self.last_errors.to_vec(),
            focus: self.focus.places(),
            context: if whole { self.whole_context(now) } else { Vec::new() },
        }
    }

    /// Somebody other than the appliance presses an alert's stop button.
    ///
    /// # Errors
    /// [`Refused::Unknown`] for a token that nobody knows.
    pub fn stop_alert(&mut self, token: &Token, now: Now) -> Result<(), Refused> {
        self.note_time(now);
        let stopped = self.alerts.stop_pressed(Some(token), now);
        self.settle(now);
        stopped
    }

    /// Somebody other than the appliance makes a typed request on its behalf.
    ///
    /// # Errors
    /// Why no request is made.
    pub fn request_text(&mut self, text: String, now: Now) -> Result<(), InputError> {
        self.note_time(now);
        if let Some(refusal) = self.refusal("up/text") {
            return Err(refusal);
        }
        self.send_text(text, None, now);
        self.settle(now);
        Ok(())
    }

    /// The account is gone, and with it whatever belongs to it.
    fn unpaired(&mut self, now: Now) {
        self.link.handle(link::Input::Unpaired, now);
        self.alerts.unpaired(now);
        self.perform_alerts(now);
        self.control.unpaired();
        self.perform_control(now);
        self.playback.unpaired();
        self.perform_playback();
        self.focus.silence();
        // The store has forgotten these by itself, and remembers which alerts are gone.
        self.ledger.clear();
        self.release_all_stops();
        self.drop_events();
        self.farewells.all_is_kept();
        self.kept_changes += 1;
        self.question = None;
        self.drop_answers(now);
        self.speech.forget_state();
    }

    /// What follows from every input: the queue moves, events go out, the link is heard.
    fn settle(&mut self, now: Now) {
        self.pump_answers(now);
        self.hear_link(now);
        self.perform_alerts(now);
        self.settle_focus(now);
        self.pump_ledger(now);
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
            self.publish_error(error, now);
        }
    }

    fn publish_error(&mut self, error: InputError, now: Now) {
        self.last_errors.push(now.wall, error.clone());
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
