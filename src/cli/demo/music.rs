//! The fifth part: music is played, an alarm rings in front of it, and gives it back when it is
//! stopped by voice. A button then pauses the music; what a button does is for CLOVA to say.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Heard, PATIENCE, Stage};
use crate::ids::random_uuid;

impl Stage {
    pub(super) async fn music(&self) -> Result<()> {
        let speaker = &self.speaker;
        speaker.say("music", "Play some music.", None)?;
        speaker.follow_until(|heard| is_media(heard, "started"), "music").await?;
        self.told(speaker, "AudioPlayer.PlayStarted", |_| true, "is told: PlayStarted").await?;
        speaker.say("alarm", "Wake me up in three seconds.", None)?;
        let token = self.alarm_rings().await?;
        speaker.say("stop-alarm", "Stop the alarm.", None)?;
        speaker
            .follow_all(&[
                (&|heard| matches!(heard, Heard::Silent { .. }), "silence"),
                (&|heard| matches!(heard, Heard::Played { .. }), "\"Stopped.\""),
                (&|heard| focus_is(heard, "none", "foreground"), "the music in front"),
                (&|heard| matches!(heard, Heard::Ducked { ducked: false, .. }), "loud music"),
            ])
            .await?;
        let is_alarm = |seen: &crate::sim::cic::SeenEvent| seen.payload["token"] == *token;
        let what = "is told: AlertStopped, and deletes the alarm";
        self.told(speaker, "Alerts.AlertStopped", is_alarm, what).await?;
        let gone = self.cic.wait_for_alerts(&speaker.provisioned.device, <[_]>::is_empty, PATIENCE);
        gone.await.context("CLOVA still has the alarm")?;
        self.pause().await
    }

    /// Returns the alarm's token.
    async fn alarm_rings(&self) -> Result<String> {
        let rings = |heard: &Heard| matches!(heard, Heard::Rings { .. });
        let in_front = |heard: &Heard| focus_is(heard, "foreground", "background");
        self.speaker
            .follow_all(&[(&rings, "the alarm"), (&in_front, "the alarm in front")])
            .await?;
        let alerts = self.speaker.appliance.alerts().await;
        let ringing = alerts.into_iter().find(|(_, alert)| alert.ringing);
        let (token, _) = ringing.context("no alarm rings")?;
        self.tell("speaker", "RINGS, with the music behind it");
        Ok(token)
    }

    async fn pause(&self) -> Result<()> {
        let speaker = &self.speaker;
        self.tell("user", "presses the pause button; the music goes on for now");
        speaker.appliance.press("pause");
        let event = "PlaybackController.PauseCommandIssued";
        self.told(speaker, event, |_| true, "is told: PauseCommandIssued; answers: Pause").await?;
        // The simulated CLOVA has no opinion about buttons.
        self.cic.push(&json!({
            "header": {"namespace": "PlaybackController", "name": "Pause", "messageId": random_uuid()},
            "payload": {},
        }));
        let paused = speaker.follow_until(|heard| is_media(heard, "paused"), "the pause").await?;
        self.told(speaker, "AudioPlayer.PlayPaused", |_| true, "is told: PlayPaused").await?;
        ensure!(self.cic.refusals().is_empty(), "CLOVA refused {:?}", self.cic.refusals());
        drop(paused);
        Ok(())
    }
}

fn is_media(heard: &Heard, wanted: &str) -> bool {
    matches!(heard, Heard::Media { state, .. } if *state == wanted)
}

fn focus_is(heard: &Heard, alert: &str, content: &str) -> bool {
    matches!(heard, Heard::Focus(places) if places["alert"] == alert && places["content"] == content)
}
