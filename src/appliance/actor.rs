//! The appliance's actor: a shell around [`Core`]. It receives, calls the core, performs what
//! comes out, decides nothing.
//!
//! Spawned by [`super::registry`]; owns the appliance's CIC session and its tokens.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle,
    StreamHandler, WrapFuture,
};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    core::{Core, CoreSettings, Input, Measure, Output},
    env::Env,
    message::{Down, SessionState},
};
use crate::{
    cic::{
        auth::{AuthError, Device},
        message::{Command, Notice},
        session,
    },
    ids::{ApplianceId, UtteranceId},
    mqtt::{Publication, native},
    store::{self, Tokens},
};

/// Messages that may wait in an actor's mailbox.
pub const MAILBOX: usize = 256;
/// How long a request that is under way may take once the gateway is ending.
const DRAIN: Duration = Duration::from_secs(5);

/// A message of the appliance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FromAppliance {
    /// What follows `{root}/{a}/`.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// When it was read from the broker's socket.
    pub received: Instant,
}

/// The appliance's record in the store has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Provisioned(pub store::Appliance);

/// The broker connection was lost and is back.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct BrokerReturned;

/// End: finish what is under way, close the session, say so, stop.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop {
    /// Told (by being dropped or sent) when it is done.
    pub done: oneshot::Sender<()>,
}

/// The utterance of which the registry had to drop audio, if any.
pub type LostAudio = Rc<RefCell<Option<UtteranceId>>>;

/// One appliance's actor.
pub struct ApplianceActor {
    id: ApplianceId,
    env: Rc<Env>,
    core: Core,
    device: Device,
    tokens: Option<Tokens>,
    session: Option<(u64, mpsc::UnboundedSender<Command>)>,
    lost_audio: LostAudio,
    timer: Option<(Instant, SpawnHandle)>,
    publications: Vec<Publication>,
    state: Option<SessionState>,
    stopping: Option<oneshot::Sender<()>>,
    over: bool,
}

impl ApplianceActor {
    /// An actor for a provisioned appliance.
    pub fn new(appliance: store::Appliance, env: Rc<Env>, lost_audio: LostAudio) -> Self {
        let core = Core::new(CoreSettings {
            device_id: appliance.device_id.clone(),
            lang: appliance.lang,
            max_utterance: env.max_utterance,
            linger: env.linger,
            link: env.link.clone(),
            seed: rand::random(),
        });
        Self {
            id: appliance.id,
            env,
            core,
            device: Device { device_id: appliance.device_id, model_id: appliance.model_id },
            tokens: appliance.tokens,
            session: None,
            lost_audio,
            timer: None,
            publications: Vec::new(),
            state: None,
            stopping: None,
            over: false,
        }
    }

    fn feed(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.core.handle(input, self.env.clock.now());
        self.perform(ctx);
    }

    fn perform(&mut self, ctx: &mut Context<Self>) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Down(down) => self.publish(&down),
                Output::Session(command) => {
                    if let Some((_, commands)) = &self.session {
                        // A closed channel means that `Closed` is on its way.
                        let _ = commands.send(command);
                    }
                }
                Output::Connect { generation } => self.connect(generation, ctx),
                Output::Disconnect { generation } => self.disconnect(generation, ctx),
                Output::Refresh => self.refresh(ctx),
                Output::Measure(measure) => self.env.measure(measure),
            }
        }
        self.schedule(ctx);
        self.stop_if_idle(ctx);
    }

    fn publish(&mut self, down: &Down) {
        if self.over {
            return; // the last word is `stopped`
        }
        if let Down::Session { state, .. } = down {
            self.env.count_state(self.state.replace(*state), Some(*state));
        }
        native::encode(&self.env.topic_root, &self.id, down, &mut self.publications);
        for publication in self.publications.drain(..) {
            if self.env.publisher.publish(publication).is_err() {
                self.env.measure(Measure::Dropped("mqtt_backlog"));
            }
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
        let closed = Notice::Closed(crate::cic::message::CloseReason::Requested);
        ctx.notify(Called { generation, notice: closed });
    }

    fn refresh(&mut self, ctx: &mut Context<Self>) {
        let (env, device, id) = (self.env.clone(), self.device.clone(), self.id.clone());
        let Some(tokens) = self.tokens.clone() else { return };
        let refreshed = async move { env.refresh(&id, &device, &tokens).await };
        ctx.spawn(
            refreshed.into_actor(self).map(|result, actor, ctx| actor.refreshed(result, ctx)),
        );
    }

    fn refreshed(&mut self, result: Result<Option<Tokens>, AuthError>, ctx: &mut Context<Self>) {
        match result {
            Ok(Some(tokens)) => self.take_tokens(tokens, ctx),
            // Paired or unpaired meanwhile: `Provisioned` brings or brought what counts.
            Ok(None) => self.feed(Input::RefreshFailed { rejected: false }, ctx),
            Err(error) => {
                let rejected = matches!(error, AuthError::Rejected(_));
                tracing::warn!(appliance = %self.id, %error, rejected, "token refresh failed");
                self.feed(Input::RefreshFailed { rejected }, ctx);
            }
        }
    }

    fn take_tokens(&mut self, tokens: Tokens, ctx: &mut Context<Self>) {
        if let Some((_, commands)) = &self.session {
            let _ = commands.send(Command::SetToken(tokens.access_token.clone()));
        }
        let (issued_at, expires_at) = (tokens.issued_at, tokens.expires_at);
        self.tokens = Some(tokens);
        self.feed(Input::Tokens { issued_at, expires_at }, ctx);
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
            actor.core.handle_timeout(actor.env.clock.now());
            actor.perform(ctx);
        });
        self.timer = Some((due, handle));
    }

    fn stop_if_idle(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() && !self.core.is_busy() {
            self.finish(ctx);
        }
    }

    /// Says that nobody is at work here any more, closes the session, stops.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        let Some(done) = self.stopping.take() else { return };
        let (since, reason) = (self.env.clock.now().wall, None);
        self.publish(&Down::Session { state: SessionState::Stopped, since, reason });
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
        ctx.set_mailbox_capacity(MAILBOX);
        match self.tokens.clone() {
            Some(tokens) => self.take_tokens(tokens, ctx),
            None => self.feed(Input::Unpaired, ctx),
        }
        self.feed(Input::BrokerReturned, ctx); // says where it stands, whatever that is
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.env.count_state(self.state.take(), None);
    }
}

impl Handler<FromAppliance> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, message: FromAppliance, ctx: &mut Self::Context) {
        if let Some(utterance) = self.lost_audio.take() {
            self.feed(Input::AudioLost(utterance), ctx);
        }
        let input = match native::decode(&message.topic, message.payload, message.received) {
            Ok(up) => Input::Up(up),
            Err(error) => Input::Rejected(error),
        };
        self.feed(input, ctx);
    }
}

impl Handler<Provisioned> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, Provisioned(appliance): Provisioned, ctx: &mut Self::Context) {
        match appliance.tokens {
            Some(tokens) if self.tokens.as_ref() != Some(&tokens) => self.take_tokens(tokens, ctx),
            None if self.tokens.take().is_some() => self.feed(Input::Unpaired, ctx),
            _ => {}
        }
    }
}

impl Handler<BrokerReturned> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, _: BrokerReturned, ctx: &mut Self::Context) {
        self.feed(Input::BrokerReturned, ctx);
    }
}

impl Handler<Stop> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Self::Context) {
        self.stopping = Some(stop.done);
        ctx.run_later(DRAIN, |actor, ctx| actor.finish(ctx));
        self.feed(Input::Stopping, ctx);
    }
}

/// A notice that the actor makes to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct Called {
    generation: u64,
    notice: Notice,
}

impl Handler<Called> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, Called { generation, notice }: Called, ctx: &mut Self::Context) {
        self.feed(Input::Session(generation, notice), ctx);
    }
}

/// The notices of one session, as a stream.
struct Notices {
    generation: u64,
    notices: mpsc::Receiver<Notice>,
}

impl futures_util::Stream for Notices {
    type Item = (u64, Notice);

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let generation = self.generation;
        self.notices.poll_recv(cx).map(|notice| notice.map(|notice| (generation, notice)))
    }
}

impl StreamHandler<(u64, Notice)> for ApplianceActor {
    fn handle(&mut self, (generation, notice): (u64, Notice), ctx: &mut Self::Context) {
        if matches!(notice, Notice::Closed(_)) {
            self.session.take_if(|(open, _)| *open == generation);
        }
        self.feed(Input::Session(generation, notice), ctx);
    }

    /// A session's end is not the actor's.
    fn finished(&mut self, _: &mut Self::Context) {}
}
