//! The fifth part: music is played, an alarm rings in front of it, and gives it back when it is
//! stopped by voice. A button then pauses the music; what a button does is for CLOVA to say.

use anyhow::{Context, Result};

use super::{Heard, PATIENCE, Stage, actor::Wanted, is_played};
use crate::sim::cic::SeenEvent;

impl Stage {
    pub(super) async fn music(&self) -> Result<()> {
        let speaker = &self.speaker;
        speaker.say("music", "Play some music.", None)?;
        let starts = |heard: &Heard| is_media(heard, "started");
        speaker.follow_all(&[(&is_played, "CLOVA's answer"), (&starts, "music")]).await?;
        self.told(speaker, "AudioPlayer.PlayStarted", |_| true, "is told: PlayStarted").await?;
        speaker.say("alarm", "Wake me up in three seconds.", None)?;
        let token = self.alarm_rings().await?;
        self.stop_alarm(&token).await?;
        self.pause().await
    }

    /// Returns the alarm's token.
    async fn alarm_rings(&self) -> Result<String> {
        let rings = |heard: &Heard| matches!(heard, Heard::Rings { .. });
        let in_front = |heard: &Heard| focus_is(heard, "foreground", "background");
        let wanted: &[Wanted<'_>] = &[
            (&is_played, "CLOVA's answer"),
            (&rings, "the alarm"),
            (&in_front, "the alarm in front of the music"),
        ];
        self.speaker.follow_all(wanted).await?;
        let alerts = self.speaker.appliance.alerts().await;
        let ringing = alerts.into_iter().find(|(_, alert)| alert.ringing);
        let (token, _) = ringing.context("no alarm rings")?;
        self.tell("speaker", "RINGS, with the music behind it");
        Ok(token)
    }

    async fn stop_alarm(&self, token: &str) -> Result<()> {
        let speaker = &self.speaker;
        speaker.say("stop-alarm", "Stop the alarm.", None)?;
        let silent = |heard: &Heard| matches!(heard, Heard::Silent { .. });
        let in_front = |heard: &Heard| focus_is(heard, "none", "foreground");
        let loud = |heard: &Heard| matches!(heard, Heard::Ducked { ducked: false, .. });
        let wanted: &[Wanted<'_>] = &[
            (&silent, "silence"),
            (&is_played, "CLOVA's answer"),
            (&in_front, "the music in front again"),
            (&loud, "the music as loud as before"),
        ];
        speaker.follow_all(wanted).await?;
        let is_alarm = |seen: &SeenEvent| seen.payload["token"] == *token;
        let what = "is told: AlertStopped, and deletes the alarm";
        self.told(speaker, "Alerts.AlertStopped", is_alarm, what).await?;
        let gone = self.cic.wait_for_alerts(&speaker.provisioned.device, <[_]>::is_empty, PATIENCE);
        gone.await.context("CLOVA still has the alarm").map(drop)
    }

    async fn pause(&self) -> Result<()> {
        let speaker = &self.speaker;
        self.tell("user", "presses the pause button; only CLOVA says what a button does");
        speaker.appliance.press("pause");
        let event = "PlaybackController.PauseCommandIssued";
        self.told(speaker, event, |_| true, "is told: PauseCommandIssued; answers: Pause").await?;
        let paused = |heard: &Heard| is_media(heard, "paused");
        speaker.follow_all(&[(&paused, "the pause")]).await?;
        let what = "is told: PlayPaused";
        self.told(speaker, "AudioPlayer.PlayPaused", |_| true, what).await.map(drop)
    }
}

fn is_media(heard: &Heard, wanted: &str) -> bool {
    matches!(heard, Heard::Media { state, .. } if *state == wanted)
}

fn focus_is(heard: &Heard, alert: &str, content: &str) -> bool {
    matches!(heard, Heard::Focus(places) if places["alert"] == alert && places["content"] == content)
}
