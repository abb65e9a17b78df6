//! A home with a speaker, a gateway in this process, and the rest as a site has it.

use std::time::Duration;

use cic_gateway::{
    app::Gateway,
    appliance::{
        alerts::{AlertKind, Phase},
        ledger::Kept,
    },
    clock::{SharedClock, SystemClock},
    sim::{
        appliance::{Heard, SimulatedAppliance},
        cic::{CloudAlert, NewAlert, SeenEvent},
    },
};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::site::{Plan, Site};

/// Far more than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(60);

pub struct House {
    pub speaker: Option<SimulatedAppliance>,
    pub gateway: Option<Gateway>,
    clock: SharedClock,
    pub site: Site,
}

impl House {
    pub async fn build(plan: Plan) -> Self {
        Self::build_with_clock(plan, std::sync::Arc::new(SystemClock)).await
    }

    pub async fn build_with_clock(plan: Plan, clock: SharedClock) -> Self {
        let site = Site::build(plan).await;
        let mut house = Self { speaker: None, gateway: None, clock, site };
        house.start().await;
        house.arrive();
        house.connected().await;
        house
    }

    /// Starts the gateway.
    pub async fn start(&mut self) {
        let started = Gateway::start_with_clock(&self.site.config, self.clock.clone()).await;
        self.gateway = Some(started.unwrap());
    }

    /// Stops the gateway.
    pub async fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// The speaker is switched on.
    pub fn arrive(&mut self) {
        let settings = self.site.appliances[0].settings.clone();
        self.speaker = Some(SimulatedAppliance::start(settings).unwrap());
    }

    pub fn speaker(&self) -> &SimulatedAppliance {
        self.speaker.as_ref().unwrap()
    }

    pub fn device(&self) -> &str {
        &self.site.appliances[0].device
    }

    pub async fn heard(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        self.speaker().wait_for(wanted, LIMIT).await.expect("it was heard in time").1
    }

    pub async fn connected(&self) {
        self.heard(|heard| matches!(heard, Heard::Session(v) if v["state"] == "connected")).await;
    }

    /// Waits for this `down/alert`.
    pub async fn told(&self, action: &str, token: &str) -> Value {
        let fits = |value: &Value| value["action"] == action && value["token"] == token;
        match self.heard(|heard| matches!(heard, Heard::Alert(value) if fits(value))).await {
            Heard::Alert(value) => value,
            _ => Value::Null,
        }
    }

    pub async fn rings(&self, token: &str) {
        self.heard(|heard| matches!(heard, Heard::Rings { token: t } if t == token)).await;
    }

    pub async fn is_silent(&self, token: &str) {
        self.heard(|heard| matches!(heard, Heard::Silent { token: t } if t == token)).await;
    }

    /// Waits until nothing rings any more.
    pub async fn all_is_silent(&self) {
        while self.speaker().alerts().await.values().any(|alert| alert.ringing) {
            let silent = |heard: &Heard| matches!(heard, Heard::Silent { .. });
            let _ = self.speaker().wait_for(silent, Duration::from_secs(1)).await;
        }
    }

    /// The app of CLOVA sets an alert; returns once the gateway has confirmed it.
    pub async fn set(&self, kind: AlertKind, after: Duration) -> String {
        let token = self.order(kind, after);
        self.confirmed(&token).await;
        token
    }

    /// The app of CLOVA sets an alert.
    pub fn order(&self, kind: AlertKind, after: Duration) -> String {
        let new = NewAlert::new(kind, Timestamp::now() + after);
        self.site.cic.set_alert(self.device(), &new)
    }

    pub async fn confirmed(&self, token: &str) {
        let confirmed = |alert: &CloudAlert| alert.token == token && alert.confirmed;
        self.cloud(|alerts| alerts.iter().any(confirmed)).await;
    }

    /// Waits until CLOVA's list is like this.
    pub async fn cloud(&self, wanted: impl Fn(&[CloudAlert]) -> bool) -> Vec<CloudAlert> {
        let alerts = self.site.cic.wait_for_alerts(self.device(), wanted, LIMIT).await;
        let now = || self.site.cic.alerts(self.device());
        alerts.unwrap_or_else(|| panic!("CLOVA's list is {:#?}", now()))
    }

    /// Waits until CLOVA has been told this.
    pub async fn reported(&self, name: &str) -> SeenEvent {
        let seen = self.site.cic.wait_for(|seen| seen.name == name, LIMIT).await;
        seen.unwrap_or_else(|| panic!("{name} was not reported"))
    }

    /// The events of `Alerts` that CLOVA has taken, without namespace, in order.
    pub fn reports(&self) -> Vec<String> {
        let seen = self.site.cic.seen().into_iter();
        let names = seen.filter_map(|seen| seen.name.strip_prefix("Alerts.").map(str::to_owned));
        names.filter(|name| name != "RequestSynchronizeAlert").collect()
    }

    /// What the store has of the speaker, without what is only remembered as deleted.
    pub async fn kept(&self) -> Kept {
        let store = self.gateway.as_ref().unwrap().store();
        let mut kept =
            store.kept().await.unwrap().remove(&self.site.appliances[0].id).unwrap_or_default();
        kept.alerts.retain(|alert| alert.phase != Phase::Deleted);
        kept
    }

    /// Nobody has an alert any more, nobody owes anybody a report, and CLOVA had nothing to
    /// complain of.
    pub async fn ends(mut self) {
        self.cloud(<[CloudAlert]>::is_empty).await;
        let end = tokio::time::Instant::now() + LIMIT;
        loop {
            let (kept, held) = (self.kept().await, self.speaker().alerts().await);
            if kept.alerts.is_empty() && kept.outbox.is_empty() && held.is_empty() {
                break;
            }
            assert!(tokio::time::Instant::now() < end, "{kept:#?}\n{held:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut refusals = self.site.cic.refusals();
        // Nobody can know whether an event whose answer was cut off was taken.
        refusals.retain(|refusal| !refusal.why.contains("used before"));
        assert_eq!(refusals, []);
        self.stop().await;
    }
}
