//! The first three parts: a question, an interruption, a second turn.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Stage;

/// How long a story is listened to before the user interrupts it.
const LISTENS: Duration = Duration::from_millis(1500);

impl Stage {
    pub(super) async fn question(&self) -> Result<()> {
        self.speaker.say("time", "What time is it?", None)?;
        let outcome = self.speaker.follow(None).await?;
        ensure!(outcome.shown == ["It is half past nine."], "shown: {:?}", outcome.shown);
        outcome.expect("what time is it", "time")
    }

    /// What is left of the story, and a text that CLOVA sends for a dialogue that is over, must not
    /// reach the speaker.
    pub(super) async fn interruption(&self) -> Result<()> {
        self.speaker.say("story", "Tell me a story.", None)?;
        self.speaker.follow(Some(LISTENS)).await?;
        self.tell("user", "interrupts");
        self.speaker.say("everest", "How high is Mount Everest?", None)?;
        let outcome = self.speaker.follow(None).await?;
        ensure!(outcome.has_cancelled, "the story was not cancelled");
        ensure!(outcome.shown == ["8,849 m"], "shown: {:?}", outcome.shown);
        outcome.expect("how high is mount everest", "everest")?;
        let stopped = "SpeechSynthesizer.SpeechStopped";
        let what = "is told that the story was interrupted (SpeechStopped)";
        self.told(&self.speaker, stopped, |_| true, what).await.map(drop)
    }

    pub(super) async fn second_turn(&self) -> Result<()> {
        self.speaker.say("pizza", "Order a pizza.", None)?;
        let outcome = self.speaker.follow(None).await?;
        outcome.expect("order a pizza", "which-size")?;
        let question = outcome.question.context("CLOVA did not ask back")?;
        self.speaker.say("large", "A large one, please.", Some(question))?;
        self.speaker.follow(None).await?.expect("a large one please", "ordered")
    }
}
