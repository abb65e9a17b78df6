//! The gateway around the core: what the appliance's actor does, and how it dies.

use std::time::Duration;

use cic_gateway::{
    appliance::{
        core::{Core, Input, Output},
        ledger::Kept,
    },
    cic::message::{CloseReason, Command, Notice},
};
use serde_json::Value;

use crate::{
    cloud::Act as CloudAct,
    store::{Health, Tokens},
    world::{Event, World},
};

/// A living actor.
#[derive(Debug)]
pub struct Process {
    pub life: u64,
    pub core: Core,
    pub pairing: i64,
    pub tokens: Option<Tokens>,
    pub session: Option<Session>,
}

/// The connection that it has, or is making.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    pub generation: u64,
    /// Which of CIC's connections it is.
    pub connection: usize,
}

/// What the auth server answers.
#[derive(Debug, Clone, Copy)]
pub enum Refresh {
    Done(Tokens),
    Failed,
    Rejected,
}

impl World {
    /// A process starts from what the store has.
    pub fn start_process(&mut self) {
        let kept = self.store.kept();
        self.checker.restarted(&self.store);
        self.owe();
        self.spawn(kept, false);
        if let Some(process) = &mut self.process {
            process.tokens = self.store.tokens;
        }
        self.introduce();
    }

    /// The actor has panicked, and is respawned from what it left in the process.
    pub fn respawn(&mut self) {
        let Some(old) = self.process.take() else { return };
        self.tell(|| "the actor panics".into());
        self.session_dropped(old.session);
        self.checker.respawned();
        self.spawn(old.core.kept(), true);
        if let Some(process) = &mut self.process {
            (process.tokens, process.pairing) = (old.tokens, old.pairing);
        }
        self.introduce();
        self.broker_repeats();
    }

    fn spawn(&mut self, kept: Kept, is_respawned: bool) {
        self.lives += 1;
        let mut settings = self.settings.clone();
        settings.seed = settings.seed.wrapping_add(self.lives);
        let mut core = Core::new(settings, kept, self.now());
        if is_respawned {
            core.distrust_store();
        }
        let (life, pairing) = (self.lives, self.store.pairing);
        self.process = Some(Process { life, core, pairing, tokens: None, session: None });
        self.tell(|| format!("life {life} begins"));
    }

    fn introduce(&mut self) {
        let tokens = self.process.as_ref().and_then(|process| process.tokens);
        match tokens {
            Some(tokens) => self.take_tokens(tokens),
            None => self.feed(Input::Unpaired),
        }
        self.feed(Input::BrokerReturned);
        if !self.house.broker_is_up {
            self.feed(Input::BrokerLost);
        }
    }

    /// Power fails.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        self.tell(|| "the process dies".into());
        self.writings_end();
        self.checker.note_orphans(&process.core.snapshot(true, self.now()), &self.store);
        self.session_dropped(process.session);
        // What was published may not have left the machine.
        let cut = self.at + self.ms(0..30);
        let life = process.life;
        let mut lost =
            self.take_events(|event| matches!(event, Event::Heard { life: of, .. } if *of == life));
        lost.retain(|(at, _)| *at < cut);
        for (at, event) in lost {
            self.at_time(at, event);
        }
        self.checker.died();
    }

    /// Tells the core, and performs what comes of it.
    pub fn feed(&mut self, input: Input) {
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        if self.is_told {
            eprintln!("{:>12.3}   <- {}", self.at.as_secs_f64(), clip(&format!("{input:?}")));
        }
        self.checker.heard_of_presence(&input, self.at);
        process.core.handle(input, now);
        self.inputs += 1;
        self.perform();
    }

    pub fn perform(&mut self) {
        let mut count = 0;
        while let Some(output) = self.process.as_mut().and_then(|p| p.core.poll_output()) {
            count += 1;
            assert!(count < 20_000, "P5: one input leads to endless output");
            if self.is_told && !matches!(output, Output::Measure(_)) {
                eprintln!("{:>12.3}   -> {}", self.at.as_secs_f64(), clip(&format!("{output:?}")));
            }
            self.perform_one(output);
        }
    }

    fn perform_one(&mut self, output: Output) {
        let Some(process) = &self.process else { return };
        let (life, pairing, session) = (process.life, process.pairing, process.session);
        match output {
            Output::Down(down) => {
                self.check_down(&down);
                self.publish(life, down);
            }
            Output::Session(command) => {
                let metadata = metadata_of(&command);
                self.check_command(&command, metadata.as_ref());
                if let Some(Session { generation, connection }) = session {
                    self.command((life, generation, connection), command, metadata);
                }
            }
            Output::Connect { generation } => {
                assert!(session.is_none(), "P1: a second connection beside {session:?}");
                let connection = self.open_connection(life, generation);
                if let Some(process) = &mut self.process {
                    process.session = Some(Session { generation, connection });
                }
            }
            Output::Disconnect { generation } => {
                let open = session.filter(|session| session.generation == generation);
                let Session { connection, .. } = open.expect("P1: it closes what is not open");
                self.close_connection(connection, CloseReason::Requested);
            }
            Output::Refresh => self.refresh(life, pairing),
            Output::Save(save) => self.begin_save(life, pairing, save),
            Output::Measure(measure) => self.checker.measured(&measure),
        }
    }

    /// The session has something to say.
    pub fn notice(&mut self, life: u64, generation: u64, notice: Notice) {
        let process = self.process.as_ref().filter(|process| process.life == life);
        let ours = process
            .and_then(|process| process.session)
            .filter(|session| session.generation == generation);
        let Some(Session { connection, .. }) = ours else { return };
        if self.is_aborted(connection, &notice) {
            return;
        }
        let Some(process) = &mut self.process else { return };
        if matches!(notice, Notice::Closed(_)) {
            process.session = None;
        }
        let counts = process.core.wants_session(generation);
        self.checker.noticed(&notice, counts);
        self.feed(Input::Session(generation, notice));
    }

    fn take_tokens(&mut self, tokens: Tokens) {
        let Some(process) = &mut self.process else { return };
        process.tokens = Some(tokens);
        let session = process.session;
        if let Some(Session { connection, .. }) = session {
            self.set_token(connection, tokens.access);
        }
        let Tokens { issued_at, expires_at, .. } = tokens;
        self.feed(Input::Tokens { issued_at, expires_at });
    }

    fn refresh(&mut self, life: u64, pairing: i64) {
        let Some(tokens) = self.process.as_ref().and_then(|process| process.tokens) else { return };
        let there = self.ms(5..400);
        let refresh = match () {
            () if self.weather.auth_is_down || self.chance(50) => Refresh::Failed,
            () => self.accounts.refresh(tokens.refresh, self.true_time()),
        };
        // The answer may get lost, and with it the only valid refresh token.
        let refresh = if self.chance(300) { Refresh::Failed } else { refresh };
        self.after(there, Event::Refreshed { life, pairing, refresh });
    }

    pub fn refreshed(&mut self, life: u64, pairing: i64, refresh: Refresh) {
        let ours = |process: &&Process| process.life == life && process.pairing == pairing;
        if self.process.as_ref().filter(ours).is_none() {
            return;
        }
        match refresh {
            Refresh::Done(mut tokens) => {
                // The gateway's own clock says when it came.
                let life_time = tokens.expires_at.duration_since(tokens.issued_at);
                tokens.issued_at = self.now().wall;
                tokens.expires_at = tokens.issued_at.checked_add(life_time).unwrap();
                if let Some(process) = &mut self.process {
                    process.tokens = Some(tokens);
                }
                let wait = self.ms(1..20);
                let refresh = tokens.refresh;
                self.after(wait, Event::StoreTokens { life, pairing, refresh });
                self.take_tokens(tokens);
            }
            Refresh::Failed => self.feed(Input::RefreshFailed { rejected: false }),
            Refresh::Rejected => self.feed(Input::RefreshFailed { rejected: true }),
        }
    }

    pub fn store_tokens(&mut self, life: u64, pairing: i64, refresh: u64) {
        let tokens = self.process.as_ref().filter(|p| p.life == life).and_then(|p| p.tokens);
        let Some(tokens) = tokens.filter(|tokens| tokens.refresh == refresh) else { return };
        if self.store.health != Health::Good {
            let again = Event::StoreTokens { life, pairing, refresh };
            return self.after(Duration::from_secs(5), again);
        }
        if self.store.pairing == pairing {
            self.store.tokens = Some(tokens);
        }
    }

    /// What the command line has done to the pairing.
    pub fn follow_store(&mut self, life: u64) {
        let (pairing, tokens) = (self.store.pairing, self.store.tokens);
        let Some(process) = self.process.as_mut().filter(|p| p.life == life) else { return };
        if process.pairing == pairing {
            return;
        }
        (process.pairing, process.tokens) = (pairing, None);
        self.tell(|| format!("pairing {pairing} is noticed"));
        self.checker.account_left();
        self.feed(Input::Unpaired);
        if let Some(tokens) = tokens {
            self.take_tokens(tokens);
        }
    }

    /// Somebody pairs the appliance with another account.
    pub fn pair(&mut self) {
        let tokens = self.accounts.pair(self.store.pairing + 1, self.true_time());
        self.tell(|| "paired".into());
        self.change_pairing(Some(tokens));
    }

    pub fn unpair(&mut self) {
        self.accounts.unpair();
        self.tell(|| "unpaired".into());
        self.change_pairing(None);
    }

    fn change_pairing(&mut self, tokens: Option<Tokens>) {
        self.store.forget(tokens, self.true_time());
        drop(self.take_events(|event| matches!(event, Event::Cloud(CloudAct::Order(..)))));
        self.checker.owed.clear();
        self.checker.occurrences.clear();
        self.weather.calm_since = self.at;
        if let Some(life) = self.process.as_ref().map(|process| process.life) {
            let wait = self.ms(0..1500);
            self.after(wait, Event::Follow { life });
        }
    }

    /// Reaches its session too, which is how the actor takes orders.
    pub fn close_session(&mut self, reason: CloseReason) {
        let session = self.process.as_ref().and_then(|process| process.session);
        if let Some(Session { connection, .. }) = session {
            self.close_connection(connection, reason);
        }
    }
}

fn metadata_of(command: &Command) -> Option<Value> {
    match command {
        Command::Event { metadata, .. } | Command::OpenUpload { metadata, .. } => {
            Some(serde_json::from_slice(metadata).unwrap())
        }
        _ => None,
    }
}

fn clip(text: &str) -> String {
    match std::env::var("SIMULATION_WIDE") {
        Ok(_) => text.to_owned(),
        Err(_) => text.chars().take(300).collect(),
    }
}
