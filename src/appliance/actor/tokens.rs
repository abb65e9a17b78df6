//! The appliance's tokens: refreshed one at a time, stored however long it takes.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::ApplianceActor;
use crate::{
    appliance::core::Input,
    cic::{auth::AuthError, message::Command},
    store::Tokens,
};

impl ApplianceActor {
    pub(super) fn refresh(&mut self, ctx: &mut Context<Self>) {
        let (env, device, pairing) = (self.env.clone(), self.device.clone(), self.pairing);
        let Some(tokens) = self.tokens.clone() else { return };
        self.refreshing = true;
        let refreshed = async move { env.refresh(&device, &tokens).await };
        ctx.spawn(refreshed.into_actor(self).map(move |result, actor, ctx| {
            actor.refreshing = false;
            actor.refreshed(pairing, result, ctx);
        }));
    }

    fn refreshed(
        &mut self,
        pairing: i64,
        result: Result<Tokens, AuthError>,
        ctx: &mut Context<Self>,
    ) {
        // Paired or unpaired meanwhile: this says nothing about the tokens of today.
        if pairing != self.pairing {
            return self.stop_if_idle(ctx);
        }
        match result {
            Ok(tokens) => {
                self.store_tokens(tokens.clone(), ctx);
                self.take_tokens(tokens, ctx);
            }
            Err(error) => {
                let rejected = matches!(error, AuthError::Rejected(_));
                tracing::warn!(appliance = %self.id, %error, rejected, "token refresh failed");
                self.feed(Input::RefreshFailed { rejected }, ctx);
            }
        }
    }

    fn store_tokens(&mut self, tokens: Tokens, ctx: &mut Context<Self>) {
        let (env, id, pairing) = (self.env.clone(), self.id.clone(), self.pairing);
        self.refreshing = true;
        let stored = async move { env.store_tokens(&id, pairing, &tokens).await };
        // `false`: paired or unpaired meanwhile; `Provisioned` is on its way.
        ctx.spawn(stored.into_actor(self).map(|_, actor, ctx| {
            actor.refreshing = false;
            actor.stop_if_idle(ctx);
        }));
    }

    pub(super) fn take_tokens(&mut self, tokens: Tokens, ctx: &mut Context<Self>) {
        if let Some((_, commands)) = &self.session {
            let _ = commands.send(Command::SetToken(tokens.access_token.clone()));
        }
        let (issued_at, expires_at) = (tokens.issued_at, tokens.expires_at);
        self.shared.tokens.replace(Some(tokens.clone()));
        self.tokens = Some(tokens);
        self.feed(Input::Tokens { issued_at, expires_at }, ctx);
    }
}
