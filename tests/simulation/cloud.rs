//! CIC: its connections, and how requests fare on them.

use std::{collections::BTreeMap, time::Duration};

use cic_gateway::cic::message::{CloseReason, Command, Notice, Outcome, RequestKey, Source};
use rand::Rng;
use serde_json::{Value, json};

use crate::world::{Event, World};

/// What CIC does by itself, later.
#[derive(Debug)]
pub enum Act {
    /// Orders something on the downchannel: full name, dialogue, payload.
    Order(&'static str, Option<String>, Value),
    /// Orders this alert to be as it shall be.
    Arrange(String),
    /// Sends all alerts.
    List,
    /// Has heard enough of this utterance.
    StopCapture { connection: usize, key: RequestKey, dialogue: String },
    /// Ends a connection.
    Close(usize, CloseReason),
}

/// A request that has reached CIC.
#[derive(Debug)]
pub struct Request {
    pub connection: usize,
    pub key: RequestKey,
    pub metadata: Value,
}

/// How CIC and the way to it are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Good,
    /// Nothing listens.
    Refusing,
    /// Everything vanishes.
    BlackHole,
    /// Every dice request fails in one way or another.
    Flaky,
}

/// An HTTP/2 connection with its downchannel.
#[derive(Debug)]
pub struct Connection {
    pub life: u64,
    pub generation: u64,
    /// Whose access token it came with.
    pub account: Option<i64>,
    access: u64,
    /// The session lives.
    pub is_open: bool,
    /// Hello has been sent.
    pub is_up: bool,
    /// Nothing passes any more, and nobody knows.
    is_dead: bool,
    /// When the last notice comes: they keep their order.
    last: Duration,
    uploads: BTreeMap<RequestKey, Upload>,
    aborted: BTreeMap<RequestKey, Duration>,
}

#[derive(Debug)]
struct Upload {
    metadata: Value,
    slices: usize,
    enough: usize,
}

#[derive(Debug, Default)]
pub struct Cloud {
    pub mood: Mood,
    pub connections: Vec<Connection>,
}

impl Cloud {
    /// The account's connection, as CIC sees it.
    pub fn current(&self, account: Option<i64>) -> Option<usize> {
        let ours = |c: &Connection| c.is_open && c.is_up && !c.is_dead && c.account == account;
        self.connections.iter().rposition(ours)
    }
}

impl World {
    /// Whether the gateway's session stands, and CIC knows.
    pub fn is_connected(&self) -> bool {
        let session = self.process.as_ref().and_then(|process| process.session);
        let account = self.accounts.pairing;
        session.is_some_and(|s| self.cloud.current(account) == Some(s.connection))
    }

    pub fn open_connection(&mut self, life: u64, generation: u64) -> usize {
        let tokens = self.process.as_ref().and_then(|process| process.tokens);
        let access = tokens.map_or(0, |tokens| tokens.access);
        let valid = self.accounts.accepts(access, self.true_time());
        let account = self.accounts.pairing.filter(|_| valid);
        let number = self.cloud.connections.len();
        self.cloud.connections.push(Connection {
            life,
            generation,
            account,
            access,
            is_open: true,
            is_up: false,
            is_dead: false,
            last: self.at,
            uploads: BTreeMap::new(),
            aborted: BTreeMap::new(),
        });
        self.greet(number, valid);
        number
    }

    fn greet(&mut self, number: usize, is_valid: bool) {
        let refused = |status| CloseReason::Status { status, description: String::new() };
        let (mood, dice) = (self.cloud.mood, self.rng.random_range(0..6));
        let (wait, end) = match mood {
            Mood::Refusing => (self.ms(1..50), CloseReason::Connect("refused".into())),
            Mood::BlackHole => (Duration::from_secs(10), CloseReason::Connect("time-out".into())),
            _ if !is_valid => (self.ms(20..400), refused(401)),
            Mood::Flaky if dice < 3 => {
                let status = [400, 429, 500, 503][self.rng.random_range(0..4)];
                (self.ms(20..400), refused(status))
            }
            Mood::Flaky if dice == 3 => (Duration::from_secs(10), CloseReason::NoHello),
            _ => {
                let wait = self.ms(20..400);
                self.notify(number, wait, Notice::ChannelOpen);
                let wait = self.ms(0..if self.cloud.mood == Mood::Flaky { 9000 } else { 300 });
                let hello = self.directive("Clova.Hello", None, json!({}));
                let source = Source::Downchannel;
                self.notify(number, wait, Notice::Directive { source, directive: hello });
                self.cloud.connections[number].is_up = true;
                return self.close_older(number);
            }
        };
        self.after(wait, Event::Cloud(Act::Close(number, end)));
    }

    /// A second downchannel ends the first (transport C6).
    fn close_older(&mut self, newest: usize) {
        let account = self.cloud.connections[newest].account;
        let older = |(n, c): (usize, &Connection)| {
            (n != newest && c.is_open && c.is_up && c.account == account).then_some(n)
        };
        let older: Vec<_> = self.cloud.connections.iter().enumerate().filter_map(older).collect();
        for number in older {
            self.close_connection(number, CloseReason::Lost("another channel".into()));
        }
    }

    /// What the session tells its actor, in order.
    pub fn notify(&mut self, number: usize, wait: Duration, notice: Notice) {
        let connection = &mut self.cloud.connections[number];
        if !connection.is_open || connection.is_dead {
            return;
        }
        let at = (self.at + wait).max(connection.last);
        connection.last = at;
        let (life, generation) = (connection.life, connection.generation);
        self.at_time(at, Event::Notice { life, generation, notice });
    }

    /// Ends a connection: `Closed` is the last that is heard of it.
    pub fn close_connection(&mut self, number: usize, reason: CloseReason) {
        let connection = &mut self.cloud.connections[number];
        if !connection.is_open {
            return;
        }
        // What has arrived is still read, what is under way is lost.
        let (life, generation) = (connection.life, connection.generation);
        connection.is_dead = false;
        connection.last = self.at;
        self.take_events(|event| {
            matches!(event, Event::Notice { life: l, generation: g, .. }
                if (*l, *g) == (life, generation))
        });
        let wait = self.ms(0..20);
        self.notify(number, wait, Notice::Closed(reason));
        self.cloud.connections[number].is_open = false;
    }

    /// Nothing passes any more; the next PING finds out.
    pub fn half_open(&mut self, number: usize) {
        let connection = &mut self.cloud.connections[number];
        if connection.is_open && !connection.is_dead {
            connection.is_dead = true;
            let wait = self.ms(10_000..70_000);
            self.after(wait, Event::Cloud(Act::Close(number, CloseReason::PingTimeout)));
        }
    }

    /// Its process is gone. CIC finds out some time.
    pub fn session_dropped(&mut self, session: Option<crate::process::Session>) {
        if let Some(session) = session {
            self.cloud.connections[session.connection].is_dead = true;
            self.cloud.connections[session.connection].is_open = false;
        }
    }

    pub fn set_token(&mut self, number: usize, access: u64) {
        self.cloud.connections[number].access = access;
    }

    /// What the session does with a command.
    pub fn command(
        &mut self,
        (life, generation, number): (u64, u64, usize),
        command: Command,
        metadata: Option<Value>,
    ) {
        let connection = &mut self.cloud.connections[number];
        debug_assert_eq!((connection.life, connection.generation), (life, generation));
        match command {
            Command::Event { key, .. } => self.send(number, key, metadata.unwrap()),
            Command::OpenUpload { key, .. } => {
                let enough = self.rng.random_range(2..12);
                let upload = Upload { metadata: metadata.unwrap(), slices: 0, enough };
                self.cloud.connections[number].uploads.insert(key, upload);
            }
            Command::Audio { key, .. } => self.hear_slice(number, key),
            Command::FinishUpload { key } => {
                if let Some(upload) = connection.uploads.remove(&key) {
                    self.send(number, key, upload.metadata);
                }
            }
            Command::Abort { key } => {
                connection.uploads.remove(&key);
                connection.aborted.insert(key, self.at);
            }
            Command::SetToken(_) | Command::Close => {}
        }
    }

    fn hear_slice(&mut self, number: usize, key: RequestKey) {
        let Some(upload) = self.cloud.connections[number].uploads.get_mut(&key) else { return };
        upload.slices += 1;
        if upload.slices != upload.enough {
            return;
        }
        let dialogue = dialogue_of(&upload.metadata);
        match self.rng.random_range(0..20) {
            0 => {
                // Flow control: the audio is not taken.
                self.cloud.connections[number].uploads.remove(&key);
                let overflow = Notice::Finished { key, outcome: Outcome::Overflow };
                self.notify(number, Duration::ZERO, overflow);
            }
            1 => {
                self.cloud.connections[number].uploads.remove(&key);
                self.refuse(number, key, 500);
            }
            // The user's own end of it is waited for.
            2..5 => {}
            _ => {
                let act = Act::StopCapture { connection: number, key, dialogue };
                let wait = self.ms(20..300);
                self.after(wait, Event::Cloud(act));
            }
        }
    }

    /// The request is complete and on its way.
    fn send(&mut self, number: usize, key: RequestKey, metadata: Value) {
        let (sent, arrives) = (self.ms(1..20), self.ms(20..250));
        self.notify(number, sent, Notice::Sent { key });
        self.after(arrives, Event::Arrived(Request { connection: number, key, metadata }));
    }

    /// A request has reached CIC, unless something is wrong.
    pub fn arrived(&mut self, request: Request) {
        let Request { connection: number, key, .. } = request;
        let connection = &self.cloud.connections[number];
        let is_cut = !connection.is_open || connection.is_dead;
        if is_cut || self.cloud.mood == Mood::BlackHole || connection.aborted.contains_key(&key) {
            return;
        }
        if !self.accepts(number) {
            return self.refuse(number, key, 401);
        }
        if self.cloud.mood == Mood::Flaky && self.chance(3) {
            let status = [0, 0, 400, 401, 412, 429, 500, 503][self.rng.random_range(0..8)];
            match status {
                0 => self.break_off(number, key),
                // For good: the account's alerts would differ for ever.
                400 if is_about_alerts(&request.metadata) => self.refuse(number, key, 503),
                400 => {
                    let id = &request.metadata["event"]["header"]["messageId"];
                    self.accounts.taken.insert(id.as_str().unwrap().to_owned());
                    self.refuse(number, key, 400);
                }
                _ => self.refuse(number, key, status),
            }
            return;
        }
        self.answer(request);
    }

    fn accepts(&self, number: usize) -> bool {
        let connection = &self.cloud.connections[number];
        self.accounts.accepts(connection.access, self.true_time())
    }

    fn refuse(&mut self, number: usize, key: RequestKey, status: u16) {
        let wait = self.ms(5..200);
        self.notify(number, wait, Notice::Response { key, status, took: wait });
        let outcome = Outcome::Refused { status, description: String::new() };
        self.notify(number, Duration::ZERO, Notice::Finished { key, outcome });
    }

    pub fn break_off(&mut self, number: usize, key: RequestKey) {
        let wait = self.ms(5..200);
        let outcome = Outcome::Broken("reset".into());
        self.notify(number, wait, Notice::Finished { key, outcome });
    }

    /// Whether the session has given this request up, and long enough for nothing to be under way.
    pub fn is_aborted(&self, number: usize, notice: &Notice) -> bool {
        let key = match notice {
            Notice::Sent { key } | Notice::Response { key, .. } | Notice::Finished { key, .. } => {
                *key
            }
            Notice::Directive { source: Source::Response(key), .. }
            | Notice::Attachment { source: Source::Response(key), .. }
            | Notice::Skipped { source: Source::Response(key), .. } => *key,
            _ => return false,
        };
        let aborted = self.cloud.connections[number].aborted.get(&key);
        aborted.is_some_and(|at| *at + Duration::from_millis(2) < self.at)
    }

    pub fn cloud_acts(&mut self, act: Act) {
        match act {
            Act::Order(name, dialogue, payload) => self.order(name, dialogue, payload),
            Act::Arrange(token) => {
                if let Some((name, payload)) = self.accounts.order(&token) {
                    self.order(name, None, payload);
                }
            }
            Act::List => {
                let (now, window) = (self.true_time(), self.settings.alerts.past_due_window);
                let list = self.accounts.list(now, window);
                self.order("Alerts.SynchronizeAlert", None, list);
            }
            Act::StopCapture { connection, key, dialogue } => {
                if self.cloud.connections[connection].uploads.contains_key(&key) {
                    self.stop_capture(connection, dialogue);
                }
            }
            Act::Close(number, reason) => self.close_connection(number, reason),
        }
    }

    /// A directive on the account's downchannel; lost while there is none.
    pub fn order(&mut self, name: &'static str, dialogue: Option<String>, payload: Value) {
        let Some(number) = self.cloud.current(self.accounts.pairing) else { return };
        self.note_order(name, &payload);
        let directive = self.directive(name, dialogue, payload);
        let (wait, source) = (self.ms(5..100), Source::Downchannel);
        self.checker.sent(&directive, source, false);
        self.notify(number, wait, Notice::Directive { source, directive });
    }
}

fn is_about_alerts(metadata: &Value) -> bool {
    metadata["event"]["header"]["namespace"] == "Alerts"
}

pub fn dialogue_of(metadata: &Value) -> String {
    let id = &metadata["event"]["header"]["dialogRequestId"];
    id.as_str().unwrap_or_default().to_owned()
}
