//! The first three parts: a question, an interruption, a second turn.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Stage;

/// How long a story is listened to before the user interrupts it.
const LISTENS: Duration = Duration::from_millis(1500);

impl Stage {
    pub(super) async fn question(&self) -> Result<()> {
        self.speaker.say("time", "What time is it?", None)?;
        self.speaker.follow(None).await.map(drop)
    }

    pub(super) async fn interruption(&self) -> Result<()> {
        self.speaker.say("story", "Tell me a story.", None)?;
        self.speaker.follow(Some(LISTENS)).await?;
        self.tell("user", "interrupts");
        self.speaker.say("everest", "How high is Mount Everest?", None)?;
        self.speaker.follow(None).await.map(drop)
    }

    pub(super) async fn second_turn(&self) -> Result<()> {
        self.speaker.say("pizza", "Order a pizza.", None)?;
        let question = self.speaker.follow(None).await?.context("CLOVA did not ask back")?;
        self.speaker.say("large", "A large one, please.", Some(question))?;
        self.speaker.follow(None).await.map(drop)
    }
}
