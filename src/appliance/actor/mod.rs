//! The appliance's actor: a shell around [`Core`]. It receives, calls the core, performs what
//! comes out, decides nothing.
//!
//! Spawned by [`super::registry`]; owns the appliance's CIC session and its tokens.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the shell: performs what the core wants |
//! | `messages.rs` | what it can be told |
//! | `handlers.rs` | what it does with each message |
//! | `tokens.rs` | refreshing and storing its tokens |

mod handlers;
mod messages;
mod tokens;

use std::{
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use tokio::sync::{mpsc, oneshot};

use super::{
    core::{Core, CoreSettings, Input, Measure, Output, SaveResult},
    env::Env,
    feed::What,
    ledger::Save,
    message::{Down, SessionState},
    trace::DialogueTraces,
};
use crate::{
    cic::{
        auth::Device,
        message::{CloseReason, Command, Notice},
        session,
    },
    ids::ApplianceId,
    mqtt::{Publication, native},
    store::{
        self, Tokens,
        doings::{ApplianceSave, Saved},
    },
};
use handlers::{Called, Notices};
pub use messages::*;

/// Messages that may wait in an actor's mailbox.
pub const MAILBOX: usize = 256;
/// How long a request that is under way may take once the gateway is ending.
const DRAIN: Duration = Duration::from_secs(5);

/// One appliance's actor.
pub struct ApplianceActor {
    id: ApplianceId,
    env: Rc<Env>,
    core: Core,
    device: Device,
    pairing: i64,
    tokens: Option<Tokens>,
    /// A refresh is under way, or its result on its way to the store.
    refreshing: bool,
    session: Option<(u64, mpsc::UnboundedSender<Command>)>,
    shared: Rc<Shared>,
    kept_changes: u64,
    timer: Option<(Instant, SpawnHandle)>,
    publications: Vec<Publication>,
    online: bool,
    /// Only if somebody collects them.
    traces: Option<DialogueTraces>,
    stopping: Option<(oneshot::Sender<()>, LastWord)>,
    over: bool,
}

impl ApplianceActor {
    /// An actor for a provisioned appliance, with the alerts and the outbox in `shared`. With
    /// `respawned`, nobody knows whether the store has them.
    pub fn new(
        appliance: store::Appliance,
        env: Rc<Env>,
        shared: Rc<Shared>,
        respawned: bool,
    ) -> Self {
        let settings = CoreSettings {
            device_id: appliance.device_id.clone(),
            lang: appliance.lang,
            max_utterance: env.max_utterance,
            linger: env.linger,
            result_timeout: env.result_timeout,
            profile: env.profiles.for_model(&appliance.model_id).clone(),
            alerts: env.alerts.clone(),
            link: env.link.clone(),
            seed: rand::random(),
        };
        let mut core = Core::new(settings, shared.kept.borrow().clone(), env.clock.now());
        if respawned {
            core.distrust_store();
        }
        let tracer = env.tracer.clone();
        let traces = tracer.map(|tracer| DialogueTraces::new(tracer, appliance.id.clone()));
        Self {
            id: appliance.id,
            env,
            core,
            device: Device { device_id: appliance.device_id, model_id: appliance.model_id },
            pairing: appliance.pairing,
            tokens: appliance.tokens,
            refreshing: false,
            session: None,
            shared,
            kept_changes: 0,
            timer: None,
            publications: Vec::new(),
            online: false,
            traces,
            stopping: None,
            over: false,
        }
    }

    fn feed(&mut self, input: Input, ctx: &mut Context<Self>) {
        if self.shared.retired.get() {
            return ctx.stop(); // somebody else is at work
        }
        let now = self.env.clock.now();
        self.shared.took.set(Some((input.kind(), now.mono)));
        self.core.handle(input, now);
        self.perform(ctx);
    }

    fn perform(&mut self, ctx: &mut Context<Self>) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Down(down) => self.publish(&down),
                Output::Session(command) => {
                    if let Some(traces) = &mut self.traces {
                        traces.told(&command, self.core.dialogue_of(&command));
                    }
                    if let Some((_, commands)) = &self.session {
                        // A closed channel means that `Closed` is on its way.
                        let _ = commands.send(command);
                    }
                }
                Output::Connect { generation } => self.connect(generation, ctx),
                Output::Disconnect { generation } => self.disconnect(generation, ctx),
                Output::Refresh => self.refresh(ctx),
                Output::Save(save) => self.save(save, ctx),
                Output::Measure(measure) => self.env.measure(measure),
            }
        }
        if let Some(traces) = &mut self.traces {
            traces.handled();
        }
        self.note_kept();
        self.note_presence();
        self.schedule(ctx);
        self.stop_if_idle(ctx);
    }

    /// Leaves a copy of what must not be lost where a panic cannot reach it.
    fn note_kept(&mut self) {
        let changes = self.core.kept_changes();
        if self.kept_changes != changes {
            self.kept_changes = changes;
            self.shared.kept.replace(self.core.kept());
            let counts = self.core.alert_counts();
            let before = self.shared.alerts.replace(counts);
            if before != counts {
                self.show(|| What::Alerts { count: counts.iter().sum() });
            }
            self.env.count_alerts(before, counts);
        }
    }

    fn note_presence(&mut self) {
        let online = self.core.is_online();
        if std::mem::replace(&mut self.online, online) != online {
            self.show(|| What::Presence { online });
        }
    }

    /// Shows operators a change, if any of them watches.
    fn show<W: Into<Option<What>>>(&self, what: impl FnOnce() -> W) {
        if self.env.feed.is_watched()
            && let Some(what) = what().into()
        {
            self.env.show(&self.id, what);
        }
    }

    fn save(&mut self, save: Save, ctx: &mut Context<Self>) {
        let (saver, pairing) = (self.env.saver.clone(), self.pairing);
        let save = ApplianceSave { appliance: self.id.clone(), pairing, save };
        let saved = async move { saver.save(save).await };
        ctx.spawn(saved.into_actor(self).map(move |result, actor, ctx| {
            let result = match result {
                Ok(Saved::Kept) => SaveResult::Kept,
                // It belonged to the pairing before this one, and so did what hung on it.
                Ok(Saved::Gone) if actor.pairing != pairing => SaveResult::Kept,
                Ok(Saved::Gone) => SaveResult::Gone,
                Err(error) => {
                    tracing::error!(appliance = %actor.id, %error, "alerts could not be kept");
                    SaveResult::Failed
                }
            };
            actor.feed(Input::Saved(result), ctx);
        }));
    }

    fn publish(&mut self, down: &Down) {
        if self.over {
            return; // the last word is `stopped`
        }
        if let Down::Session { state, .. } = down {
            self.env.count_state(self.shared.state.replace(Some(*state)), Some(*state));
        }
        self.show(|| What::of(down));
        let began = self.traces.is_some().then(SystemTime::now);
        native::encode(&self.env.topic_root, &self.id, down, &mut self.publications);
        for publication in self.publications.drain(..) {
            if self.env.publisher.publish(publication).is_err() {
                self.env.measure(Measure::Dropped("mqtt_backlog"));
            }
        }
        if let (Some(traces), Some(began)) = (&mut self.traces, began) {
            traces.said(down, began);
        }
    }

    /// Opens a session once the fleet's token bucket has a handshake to spare.
    fn connect(&mut self, generation: u64, ctx: &mut Context<Self>) {
        let wait = self.env.handshakes.borrow_mut().reserve(self.env.clock.now().mono);
        if wait.is_zero() {
            return self.open(generation, ctx);
        }
        self.session = None;
        ctx.run_later(wait, move |actor, ctx| actor.open(generation, ctx));
    }

    fn open(&mut self, generation: u64, ctx: &mut Context<Self>) {
        let wanted = self.core.wants_session(generation);
        let Some(tokens) = self.tokens.as_ref().filter(|_| wanted) else {
            return self.never_opened(generation, ctx);
        };
        let (settings, metrics) = (self.env.session.clone(), self.env.metrics.clone());
        let handle = session::start(settings, tokens.access_token.clone(), metrics);
        self.shared.session.replace(Some(handle.commands.clone()));
        self.session = Some((generation, handle.commands));
        ctx.add_stream(Notices { generation, notices: handle.notices });
    }

    fn disconnect(&mut self, generation: u64, ctx: &mut Context<Self>) {
        match &self.session {
            Some((open, commands)) if *open == generation => {
                let _ = commands.send(Command::Close);
            }
            _ => self.never_opened(generation, ctx),
        }
    }

    /// The link waits for the end of each connection that it asked for, also of one that was
    /// called off while it waited for its handshake.
    fn never_opened(&mut self, generation: u64, ctx: &mut Context<Self>) {
        let closed = Notice::Closed(CloseReason::Requested);
        ctx.notify(Called { generation, notice: closed });
    }

    /// Sees to it that the core is woken in time. An earlier timer is left to go off: waking for
    /// nothing is cheaper than rescheduling with each message.
    fn schedule(&mut self, ctx: &mut Context<Self>) {
        let Some(due) = self.core.poll_timeout() else { return };
        if self.timer.is_some_and(|(scheduled, _)| scheduled <= due) {
            return;
        }
        if let Some((_, handle)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
        let wait = due.saturating_duration_since(self.env.clock.now().mono);
        let handle = ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            if actor.shared.retired.get() {
                return ctx.stop();
            }
            actor.core.handle_timeout(actor.env.clock.now());
            actor.perform(ctx);
        });
        self.timer = Some((due, handle));
    }

    /// Nobody will say anything of this appliance's session any more.
    fn clear_session(&self) {
        let cleared = native::cleared_session(&self.env.topic_root, &self.id);
        if self.env.publisher.publish(cleared).is_err() {
            self.env.measure(Measure::Dropped("mqtt_backlog"));
        }
    }

    fn stop_if_idle(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() && !self.core.is_busy() && !self.refreshing {
            self.finish(ctx);
        }
    }

    /// Says that nobody is at work here any more, closes the session, stops.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        let Some((done, last_word)) = self.stopping.take() else { return };
        match last_word {
            LastWord::Stopped => {
                let state = SessionState::Stopped;
                let reason = Some("the gateway is stopping".to_owned());
                let since = self.env.clock.now().wall;
                self.publish(&Down::Session { state, since, reason });
            }
            LastWord::Cleared => self.clear_session(),
            LastWord::None => {}
        }
        self.over = true;
        let Some((_, commands)) = self.session.take() else { return ctx.stop() };
        let _ = commands.send(Command::Close);
        let closed = async move { commands.closed().await };
        ctx.spawn(closed.into_actor(self).map(|(), _, ctx| {
            drop(done);
            ctx.stop();
        }));
    }
}

impl Actor for ApplianceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.tokens.clone() {
            Some(tokens) => self.take_tokens(tokens, ctx),
            None => self.feed(Input::Unpaired, ctx),
        }
        self.feed(Input::BrokerReturned, ctx); // says where it stands, whatever that is
    }
}

impl Drop for ApplianceActor {
    /// Also after a panic, which `stopped` would not see.
    fn drop(&mut self) {
        self.shared.retire(&self.env);
    }
}
