//! The fourth part: a timer is set by voice, the gateway is stopped and started again, the timer
//! rings on time and is stopped by voice.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use super::{APPLIANCE, Heard, PATIENCE, Stage, is_connected};
use crate::{
    app::Gateway,
    appliance::alerts::{Alert, Phase},
    ids::ApplianceId,
    sim::cic::CloudAlert,
    store::SharedStore,
};

impl Stage {
    pub(super) async fn timer(&mut self) -> Result<()> {
        self.say("timer", "Set a timer for five seconds.", None)?;
        self.follow_until(is_played, "\"Timer set.\"").await?;
        let timer = self.alerts().await?.pop().context("CLOVA has no timer")?;
        self.tell("clova", "said so only after the gateway had the timer in its database");
        self.restart_gateway().await?;
        let rang = |heard: &Heard| matches!(heard, Heard::Rings { .. });
        self.expect(rang, "the timer").await?;
        let late = Timestamp::now().duration_since(timer.due).as_secs_f64() * 1000.0;
        self.tell("speaker", &format!("RINGS, {late:.0} ms after the time that was set"));
        self.told("Alerts.AlertStarted", "is told that it rings").await?;
        self.say("stop-timer", "Stop the timer.", None)?;
        self.follow_until(|heard| matches!(heard, Heard::Silent { .. }), "silence").await?;
        self.tell("speaker", "is silent");
        self.follow_until(is_played, "\"Timer stopped.\"").await?;
        self.told("Alerts.AlertStopped", "is told that it was stopped, and deletes the timer")
            .await?;
        self.agree().await
    }

    /// A real stop and a real start: what the gateway knows afterwards comes from its database
    /// and from its broker's retained messages.
    async fn restart_gateway(&mut self) -> Result<()> {
        let Some(gateway) = self.gateway.take() else { return Ok(()) };
        self.tell("gateway", "is stopped, and its broker with it; the timer goes on counting");
        gateway.stop().await;
        self.gateway = Some(Gateway::start(&self.config).await?);
        self.tell("gateway", "is started again with the same database");
        self.expect(is_connected, "the speaker's new session with CLOVA").await?;
        self.tell("speaker", "has come back by itself and is connected to CLOVA again");
        Ok(())
    }

    /// Describes what happens up to something.
    async fn follow_until(&self, wanted: impl Fn(&Heard) -> bool, what: &str) -> Result<()> {
        loop {
            let next = self.speaker.next(PATIENCE).await;
            let (_, heard) = next.with_context(|| format!("{what} did not come"))?;
            self.describe(&heard);
            if wanted(&heard) {
                return Ok(());
            }
        }
    }

    /// Waits until CLOVA has been told of something, and says so.
    async fn told(&self, event: &str, what: &str) -> Result<()> {
        let seen = self.cic.wait_for(|seen| seen.name == event, PATIENCE).await;
        seen.with_context(|| format!("CLOVA was not told of {event}"))?;
        self.tell("clova", what);
        Ok(())
    }

    async fn alerts(&self) -> Result<Vec<CloudAlert>> {
        Ok(self.cic.alerts(&self.device().await?))
    }

    /// The device id under which CLOVA knows the speaker.
    async fn device(&self) -> Result<String> {
        let gateway = self.gateway.as_ref().context("the gateway runs")?;
        let speaker = gateway.store().get(&ApplianceId::parse(APPLIANCE)?).await?;
        Ok(speaker.context("the speaker is provisioned")?.device_id)
    }

    /// Nobody has an alert any more, and nobody owes anybody a report.
    async fn agree(&self) -> Result<()> {
        let gone = |alerts: &[CloudAlert]| alerts.is_empty();
        let device = self.device().await?;
        let end = self.cic.wait_for_alerts(&device, gone, PATIENCE).await;
        end.context("CLOVA still has the timer")?;
        let store = self.gateway.as_ref().context("the gateway runs")?.store();
        let started = std::time::Instant::now();
        // The last answer of CLOVA is just being noted.
        while !nothing_left(store).await? || !self.speaker.alerts().await.is_empty() {
            ensure!(started.elapsed() < PATIENCE, "the gateway still has the timer");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        ensure!(self.cic.refusals().is_empty(), "CLOVA refused {:?}", self.cic.refusals());
        println!(
            "\nAt the end CLOVA's list, the gateway's database and the speaker agree: no alert, and \
             nothing left to report."
        );
        Ok(())
    }
}

/// No alert but some that are remembered as deleted, and no event for CLOVA.
async fn nothing_left(store: &SharedStore) -> Result<bool> {
    let kept = store.kept().await?;
    let is_over = |alert: &Arc<Alert>| alert.phase == Phase::Deleted;
    Ok(kept.values().all(|kept| kept.outbox.is_empty() && kept.alerts.iter().all(is_over)))
}

fn is_played(heard: &Heard) -> bool {
    matches!(heard, Heard::Played { .. })
}
