//! What the actor does with each message.

use actix::{AsyncContext, Handler, Message, StreamHandler};
use tokio::sync::mpsc;

use super::{
    ApplianceActor, DRAIN,
    messages::{
        BrokerLost, BrokerReturned, FromAppliance, Inspect, Provisioned, Pulse, Request, Stop,
        StopAlert,
    },
};
use crate::{
    appliance::core::Input,
    cic::message::{CloseReason, Notice},
    mqtt::native,
};

impl Handler<FromAppliance> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, message: FromAppliance, ctx: &mut Self::Context) {
        let lost = self.shared.lost_audio.take();
        if let Some(utterance) = lost {
            self.feed(Input::AudioLost(utterance), ctx);
        }
        let input = match native::decode(
            &message.topic,
            message.payload,
            message.retained,
            message.way.received,
        ) {
            Ok(up) => {
                if let Some(traces) = &mut self.traces {
                    traces.heard(&up, message.way);
                }
                Input::Up(up)
            }
            Err(error) => Input::Rejected(error),
        };
        self.feed(input, ctx);
    }
}

impl Handler<Provisioned> for ApplianceActor {
    type Result = ();

    /// Refreshed tokens are this actor's own affair: only another pairing counts.
    fn handle(&mut self, Provisioned(appliance): Provisioned, ctx: &mut Self::Context) {
        if appliance.pairing == self.pairing {
            return;
        }
        self.pairing = appliance.pairing;
        self.tokens = None;
        self.shared.tokens.replace(None);
        self.feed(Input::Unpaired, ctx);
        if let Some(tokens) = appliance.tokens {
            self.take_tokens(tokens, ctx);
        }
    }
}

impl Handler<BrokerLost> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, _: BrokerLost, ctx: &mut Self::Context) {
        self.feed(Input::BrokerLost, ctx);
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
        self.stopping = Some((stop.done, stop.last_word));
        ctx.run_later(DRAIN, |actor, ctx| actor.finish(ctx));
        self.feed(Input::Stopping, ctx);
    }
}

impl Handler<Inspect> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, Inspect { whole, reply }: Inspect, _: &mut Self::Context) {
        let _ = reply.send(self.core.snapshot(whole, self.env.clock.now()));
    }
}

impl Handler<StopAlert> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, StopAlert { token, reply }: StopAlert, ctx: &mut Self::Context) {
        let _ = reply.send(self.core.stop_alert(&token, self.env.clock.now()));
        self.perform(ctx);
    }
}

impl Handler<Request> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, Request { text, reply }: Request, ctx: &mut Self::Context) {
        if let Some(traces) = &mut self.traces {
            traces.asked();
        }
        let _ = reply.send(self.core.request_text(text, self.env.clock.now()));
        self.perform(ctx);
    }
}

impl Handler<Pulse> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, _: Pulse, _: &mut Self::Context) {
        self.shared.alive.set(true);
    }
}

#[cfg(test)]
impl Handler<super::messages::Hang> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, _: super::messages::Hang, ctx: &mut Self::Context) {
        use actix::{ActorFutureExt, WrapFuture};
        let never = std::future::pending::<()>().into_actor(self);
        ctx.wait(never.map(|(), _, _| ()));
    }
}

#[cfg(test)]
impl Handler<super::messages::Crash> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, _: super::messages::Crash, _: &mut Self::Context) {
        panic!("as the test wants");
    }
}

/// A notice that the actor makes to itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Called {
    pub(super) generation: u64,
    pub(super) notice: Notice,
}

impl Handler<Called> for ApplianceActor {
    type Result = ();

    fn handle(&mut self, Called { generation, notice }: Called, ctx: &mut Self::Context) {
        self.feed(Input::Session(generation, notice), ctx);
    }
}

/// The notices of one session, as a stream.
pub(super) struct Notices {
    pub(super) generation: u64,
    pub(super) notices: mpsc::Receiver<Box<Notice>>,
}

impl futures_util::Stream for Notices {
    type Item = (u64, Notice);

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let generation = self.generation;
        self.notices.poll_recv(cx).map(|notice| notice.map(|notice| (generation, *notice)))
    }
}

impl StreamHandler<(u64, Notice)> for ApplianceActor {
    fn handle(&mut self, (generation, notice): (u64, Notice), ctx: &mut Self::Context) {
        if matches!(notice, Notice::Closed(_)) {
            self.session.take_if(|(open, _)| *open == generation);
        }
        if let Some(traces) = &mut self.traces {
            traces.noticed(&notice);
        }
        self.feed(Input::Session(generation, notice), ctx);
    }

    /// A session's end is not the actor's. One that ended without a word (its task panicked) is
    /// told here, or the link would take it for connected for ever.
    fn finished(&mut self, ctx: &mut Self::Context) {
        let silent = self.session.take_if(|(_, commands)| commands.is_closed());
        if let Some((generation, _)) = silent {
            let reason = CloseReason::Lost("the session ended without a word".into());
            self.feed(Input::Session(generation, Notice::Closed(reason)), ctx);
        }
    }
}
