//! The fourth part: a television with a microphone is told to be louder. CLOVA orders it from the
//! appliance that was asked, which answers with its new volume.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Heard, Stage};
use crate::sim::cic::SeenEvent;

impl Stage {
    pub(super) async fn turn_up(&self) -> Result<()> {
        let television = &self.television;
        television.say("tv-up", "Turn the TV up.", None)?;
        let done = |heard: &Heard| matches!(heard, Heard::Ordered { outcome: Ok(_), .. });
        television.follow_all(&[(&done, "the order")]).await?;
        let device = &television.provisioned.device;
        let seen = self.cic.seen();
        let asked = seen
            .iter()
            .find(|seen| seen.name == "SpeechRecognizer.Recognize" && seen.device == *device);
        let before = asked.and_then(volume).context("the request told CLOVA no volume")?;
        let is_done = |seen: &SeenEvent| seen.payload["target"] == "volume";
        let event = "DeviceControl.ActionExecuted";
        let done = self.told(television, event, is_done, "is told: ActionExecuted").await?;
        let after = volume(&done).context("the answer told CLOVA no volume")?;
        ensure!(after > before, "the volume was {before} and is {after}");
        self.tell(
            "clova",
            &format!("knows that the volume is {after}; with the request it was told {before}"),
        );
        Ok(())
    }
}

/// The volume in the context of an event.
fn volume(seen: &SeenEvent) -> Option<i64> {
    let is_state = |object: &&Value| {
        object["header"]["namespace"] == "Device" && object["header"]["name"] == "DeviceState"
    };
    let state = seen.context.as_array()?.iter().find(is_state)?;
    state["payload"]["volume"]["value"].as_i64()
}
