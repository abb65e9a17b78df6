//! What the actors of one shard share: the ways out, and the bounds.
//!
//! Made by [`crate::app`]; lives on one thread.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_sdk::trace::SdkTracer;

use super::{
    alerts::{AlertSettings, Phase},
    core::Measure,
    feed::{Change, Feed, What},
    message::SessionState,
};
use crate::{
    cic::{
        auth::{AuthClient, AuthError, Device},
        link,
        session::SessionSettings,
    },
    clock::SharedClock,
    ids::ApplianceId,
    mqtt::link::Publisher,
    profile::Profiles,
    store::{SharedStore, Tokens, doings::Saver},
    telemetry::metrics::Metrics,
};

/// Wait between attempts to store refreshed tokens.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// What the actors of one shard share.
pub struct Env {
    /// The way to the appliances.
    pub publisher: Publisher,
    /// Tokens are kept here.
    pub store: SharedStore,
    /// Keeps alerts and the outbox.
    pub saver: Saver,
    /// `[alerts]`.
    pub alerts: AlertSettings,
    /// Refreshes tokens.
    pub auth: AuthClient,
    /// What every session needs.
    pub session: Arc<SessionSettings>,
    /// Back-off and refresh.
    pub link: link::Policy,
    /// Fleet-wide bound on handshakes.
    pub handshakes: RefCell<Handshakes>,
    /// The only source of now.
    pub clock: SharedClock,
    /// All metrics.
    pub metrics: Metrics,
    /// What operators watch.
    pub feed: Feed,
    /// What makes the spans of traces, if somebody collects them.
    pub tracer: Option<SdkTracer>,
    /// `mqtt.topic_root`.
    pub topic_root: String,
    /// `limits.max_utterance`.
    pub max_utterance: Duration,
    /// `cic.linger`.
    pub linger: Duration,
    /// `cic.result_timeout`.
    pub result_timeout: Duration,
    /// What the models are and speak.
    pub profiles: Profiles,
}

impl Env {
    /// Refreshes tokens. The old refresh token is spent now: see [`Env::store_tokens`].
    ///
    /// # Errors
    /// What the auth server said.
    pub async fn refresh(&self, device: &Device, old: &Tokens) -> Result<Tokens, AuthError> {
        let refreshed = self.auth.refresh(device, &old.refresh_token, self.clock.now()).await;
        let result = match &refreshed {
            Ok(_) => "ok",
            Err(AuthError::Rejected(_)) => "rejected",
            Err(_) => "failed",
        };
        self.metrics.token_refresh.with_label_values(&[result]).inc();
        refreshed
    }

    /// Stores refreshed tokens, however long it takes: losing them would end the pairing.
    /// `false` when somebody paired or unpaired meanwhile.
    pub async fn store_tokens(&self, id: &ApplianceId, pairing: i64, tokens: &Tokens) -> bool {
        loop {
            match self.store.renew_tokens(id, pairing, tokens).await {
                Ok(stored) => return stored,
                Err(error) => {
                    tracing::error!(appliance = %id, %error, "refreshed tokens are not stored yet");
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
    }

    /// Shows operators a change, if any of them watches.
    pub fn show(&self, appliance: &ApplianceId, what: What) {
        if self.feed.is_watched() {
            let (appliance, at) = (appliance.clone(), self.clock.now().wall);
            self.feed.publish(Change { appliance, at, what });
        }
    }

    /// Moves an appliance from one state's gauge to another's.
    pub fn count_state(&self, from: Option<SessionState>, to: Option<SessionState>) {
        let gauge =
            |state: SessionState| self.metrics.appliances.with_label_values(&[state.as_str()]);
        if let Some(from) = from {
            gauge(from).dec();
        }
        if let Some(to) = to {
            gauge(to).inc();
        }
    }

    /// Moves the gauge of alerts from one appliance's old numbers to its new ones.
    pub fn count_alerts(&self, from: [usize; Phase::ALL.len()], to: [usize; Phase::ALL.len()]) {
        for (phase, (from, to)) in Phase::ALL.iter().zip(from.into_iter().zip(to)) {
            if from != to {
                let gauge = self.metrics.alerts.with_label_values(&[phase.as_str()]);
                gauge.add(to as i64 - from as i64);
            }
        }
    }

    /// Counts what a core reported.
    pub fn measure(&self, measure: Measure) {
        let m = &self.metrics;
        match measure {
            Measure::Directive { namespace, name, outcome } => {
                m.cic_directives.with_label_values(&[namespace, name, outcome]).inc();
            }
            Measure::Event { namespace, name, result } => {
                let known = crate::cic::names::known_event(&namespace, &name);
                let (namespace, name) = known.unwrap_or(("other", "other"));
                m.cic_events.with_label_values(&[namespace, name, result]).inc();
            }
            Measure::Connect(result) => m.cic_connects.with_label_values(&[result]).inc(),
            Measure::FirstAudio(took) => m.dialogue_first_audio_seconds.observe(took.as_secs_f64()),
            Measure::InputError(code) => m.input_errors.with_label_values(&[code.as_str()]).inc(),
            Measure::AudioDropped(reason) => m.audio_dropped.with_label_values(&[reason]).inc(),
            Measure::Dropped(what) => m.dropped.with_label_values(&[what]).inc(),
            Measure::AlertBecame(kind, to) => {
                m.alert_transitions.with_label_values(&[kind.as_str(), to]).inc();
            }
            Measure::AlertLate(by) => m.alert_lateness_seconds.observe(by.as_secs_f64()),
            Measure::OrderFailed(namespace, name) => {
                m.orders_failed.with_label_values(&[namespace, name]).inc();
            }
            Measure::AudioDown(bytes) => {
                m.audio_bytes.with_label_values(&["down"]).inc_by(bytes as u64);
            }
        }
    }
}

/// A token bucket over all handshakes of a process.
#[derive(Debug)]
pub struct Handshakes {
    interval: Duration,
    burst: Duration,
    next: Option<Instant>,
}

impl Handshakes {
    /// So many a second, and as many at once after a rest of a second.
    pub fn per_second(rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self { interval, burst: Duration::from_secs(1), next: None }
    }

    /// Takes one handshake; returns how long to wait for it.
    pub fn reserve(&mut self, now: Instant) -> Duration {
        let earliest = now.checked_sub(self.burst).unwrap_or(now);
        let slot = self.next.map_or(earliest, |next| next.max(earliest));
        self.next = Some(slot + self.interval);
        slot.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_spread() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut handshakes = Handshakes::per_second(200);
        let waits: Vec<_> = (0..601).map(|_| handshakes.reserve(now)).collect();
        assert!(waits[..200].iter().all(Duration::is_zero));
        assert!(waits[600] > Duration::from_millis(1990) && waits[600] <= Duration::from_secs(2));
        assert!(handshakes.reserve(now + Duration::from_secs(10)).is_zero());
    }
}
