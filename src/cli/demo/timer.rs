//! The last part: a timer is set by voice, the gateway is stopped and started again, the timer
//! rings on time and is stopped by voice.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use super::{Heard, PATIENCE, Stage, is_connected, is_played};
use crate::{
    app::Gateway,
    appliance::alerts::{Alert, Phase},
    sim::cic::{CloudAlert, SeenEvent},
    store::SharedStore,
};

impl Stage {
    pub(super) async fn timer(&mut self) -> Result<()> {
        self.speaker.say("timer", "Set a timer for five seconds.", None)?;
        self.speaker.follow_all(&[(&is_played, "CLOVA's answer")]).await?;
        let timer = self.alerts().pop().context("CLOVA has no timer")?;
        self.tell("clova", "said so only after the gateway had the timer in its database");
        self.restart_gateway().await?;
        let (speaker, token) = (&self.speaker, timer.token.clone());
        let is_timer = |seen: &SeenEvent| seen.payload["token"] == *token;
        let rang = |heard: &Heard| matches!(heard, Heard::Rings { .. });
        speaker.expect(rang, "the timer").await?;
        let late = Timestamp::now().duration_since(timer.due).as_secs_f64() * 1000.0;
        self.tell("speaker", &format!("RINGS, {late:.0} ms after the time that was set"));
        self.told(speaker, "Alerts.AlertStarted", is_timer, "is told: AlertStarted").await?;
        speaker.say("stop-timer", "Stop the timer.", None)?;
        let silent = |heard: &Heard| matches!(heard, Heard::Silent { .. });
        speaker.follow_all(&[(&silent, "silence"), (&is_played, "CLOVA's answer")]).await?;
        let what = "is told: AlertStopped, and deletes the timer";
        self.told(speaker, "Alerts.AlertStopped", is_timer, what).await?;
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
        self.speaker.expect(is_connected, "a new session with CLOVA").await?;
        self.tell("speaker", "has come back by itself and is connected to CLOVA again");
        Ok(())
    }

    fn alerts(&self) -> Vec<CloudAlert> {
        self.cic.alerts(&self.speaker.provisioned.device)
    }

    /// Nobody has an alert any more, and nobody owes anybody a report.
    async fn agree(&self) -> Result<()> {
        let gone = |alerts: &[CloudAlert]| alerts.is_empty();
        let device = &self.speaker.provisioned.device;
        let end = self.cic.wait_for_alerts(device, gone, PATIENCE).await;
        end.context("CLOVA still has the timer")?;
        let store = self.gateway.as_ref().context("the gateway runs")?.store();
        let started = std::time::Instant::now();
        // The last answer of CLOVA is just being noted.
        while !nothing_left(store).await? || !self.speaker.appliance.alerts().await.is_empty() {
            ensure!(started.elapsed() < PATIENCE, "the gateway still has the timer");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.tell("all", "agree: no alert is left, and nothing that CLOVA has not been told");
        Ok(())
    }
}

/// No alert but some that are remembered as deleted, and no event for CLOVA.
async fn nothing_left(store: &SharedStore) -> Result<bool> {
    let kept = store.kept().await?;
    let is_over = |alert: &Arc<Alert>| alert.phase == Phase::Deleted;
    Ok(kept.values().all(|kept| kept.outbox.is_empty() && kept.alerts.iter().all(is_over)))
}
