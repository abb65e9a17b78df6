//! What the appliance reports, and what time brings while it plays.

use std::time::Duration;

use super::{
    Playback,
    current::{Announce, Current, Phase, Want},
    fields::LONGEST,
};
use crate::{clock::Now, ids::Token};

/// `up/playback` `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It plays.
    Started,
    /// It is paused.
    Paused,
    /// It plays again. Repeated with another position while it plays, it is a seek.
    Resumed,
    /// It was stopped.
    Stopped,
    /// It was played to its end.
    Finished,
    /// The appliance has forgotten what it had of the queue. The queue is here: nothing follows.
    QueueCleared,
    /// It cannot be played, or not any further.
    Failed,
}

/// `up/playback`.
#[derive(Debug, Clone)]
pub struct Heard {
    /// `token` of the Play.
    pub token: Token,
    /// What happened.
    pub state: Reported,
    /// `offsetInMilliseconds`, from the start of the stream.
    pub offset: Option<u64>,
    /// `totalInMilliseconds`; 0 when the appliance does not know.
    pub total: Option<u64>,
}

/// No Play with this token was given to the appliance lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing with this token was played")]
pub struct UnknownStream;

fn time(millis: u64) -> Duration {
    Duration::from_millis(millis).min(LONGEST)
}

impl Playback {
    /// Takes a report of the appliance. Repeated and late ones change nothing.
    ///
    /// # Errors
    /// When the token is unknown.
    pub fn report_heard(&mut self, heard: &Heard, now: Now) -> Result<(), UnknownStream> {
        self.catch_up(now);
        let is_known = self.told.contains(&heard.token);
        let is_current = |current: &Current| current.item.token == heard.token;
        if self.current.as_ref().is_some_and(is_current) {
            self.hear(heard, now);
            self.report_progress(now);
        }
        self.settle();
        match is_known || heard.state == Reported::QueueCleared {
            true => Ok(()),
            false => Err(UnknownStream),
        }
    }

    fn hear(&mut self, heard: &Heard, now: Now) {
        let Some(current) = &mut self.current else { return };
        let reported = heard.offset.map(time);
        let offset = reported.map_or_else(|| current.position(now.mono), |at| current.within(at));
        if !current.is_at_appliance() {
            return self.hear_late(heard.state, offset, now);
        }
        current.note_total(heard.total.map(time), reported);
        let offset = reported.map_or(offset, |at| current.within(at));
        let is_stale = current.stale_end && matches!(current.phase, Phase::Starting(_));
        match heard.state {
            Reported::Started | Reported::Resumed => self.plays(heard.state, offset, now),
            Reported::Paused if is_stale => {}
            Reported::Paused => self.paused(offset, now),
            Reported::Stopped | Reported::Finished if is_stale => current.stale_end = false,
            Reported::Stopped => {
                self.move_to(offset, now);
                self.stop_at(offset, now);
            }
            Reported::Finished => {
                let offset = current.finished_at(reported, now.mono);
                self.finish(offset, None, now);
            }
            Reported::Failed => {
                self.count("playback_failed");
                self.move_to(offset, now);
                self.end_at(Phase::Over, offset, now);
                self.go_on(None, now);
            }
            Reported::QueueCleared => {}
        }
    }

    /// Of what the appliance has no orders to play. It may play on by itself what was stopped.
    fn hear_late(&mut self, state: Reported, offset: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        match state {
            Reported::Resumed if current.phase == Phase::Stopped && current.has_begun => {
                current.announce = Announce::Resume;
                self.began(offset, now);
            }
            // The end of what was cancelled before this one's stream was asked for.
            Reported::Stopped | Reported::Finished => current.stale_end = false,
            _ => {}
        }
    }

    /// `started` of what is paused is a late one, unless it was to be resumed.
    fn plays(&mut self, state: Reported, offset: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        let is_resumed = state == Reported::Resumed
            || current.pending.is_some_and(|pending| pending.want == Want::Resume);
        match current.phase {
            Phase::Starting(_) => self.began(offset, now),
            Phase::Playing => {
                current.pending.take_if(|pending| pending.want == Want::Resume);
                self.move_to(offset, now);
            }
            Phase::Paused { .. } if is_resumed => self.resumed(offset, now),
            _ => {}
        }
    }

    /// It plays: for the first time, from the beginning again, or after a stop.
    fn began(&mut self, offset: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        current.stale_end = false;
        current.phase = Phase::Playing;
        current.pending.take_if(|pending| pending.want == Want::Resume);
        current.progress.moved(current.position(now.mono), offset);
        current.head.jump(offset, now.mono);
        current.head.start(now.mono);
        self.announce(offset);
    }

    fn resumed(&mut self, offset: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        let from = current.position(now.mono);
        current.phase = Phase::Playing;
        current.pending.take_if(|pending| pending.want == Want::Resume);
        current.head.start(now.mono);
        self.report_played("PlayResumed", offset);
        self.moved(from, offset, now);
    }

    /// A second `paused` only tells of a seek.
    fn paused(&mut self, offset: Duration, now: Now) {
        let has_begun = |current: &Current| !matches!(current.phase, Phase::Starting(_));
        if !self.current.as_ref().is_some_and(has_begun) {
            self.announce(offset);
        }
        self.move_to(offset, now);
        let Some(current) = &mut self.current else { return };
        current.pending.take_if(|pending| pending.want == Want::Pause);
        if !matches!(current.phase, Phase::Paused { .. }) {
            self.pause_at(offset, now);
        }
    }

    /// Pauses here and tells CIC.
    pub(super) fn pause_at(&mut self, offset: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        current.head.stop(now.mono);
        current.head.jump(offset, now.mono);
        current.phase = Phase::Paused { held: false };
        self.report_played("PlayPaused", offset);
    }

    /// Stops here and tells CIC, unless CIC knows it as stopped.
    pub(super) fn stop_at(&mut self, offset: Duration, now: Now) {
        self.end_at(Phase::Stopped, offset, now);
    }

    fn end_at(&mut self, phase: Phase, offset: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        let is_known = current.is_resuming();
        current.close(phase, offset, now.mono);
        if !is_known {
            self.report_played("PlayStopped", offset);
        }
    }

    /// Played to its end. `had` is what the appliance still plays.
    fn finish(&mut self, offset: Duration, had: Option<Token>, now: Now) {
        self.announce(self.position(now).min(offset));
        self.move_to(offset, now);
        let Some(current) = &mut self.current else { return };
        current.close(Phase::Over, offset, now.mono);
        self.report_played("PlayFinished", offset);
        self.go_on_or_repeat(had, now);
    }

    /// The appliance is at this position, expectedly or after a seek.
    fn move_to(&mut self, offset: Duration, now: Now) {
        let from = self.position(now);
        self.moved(from, offset, now);
    }

    /// After a seek past the report position CIC hears of that position, not of the new one.
    fn moved(&mut self, from: Duration, to: Duration, now: Now) {
        let Some(current) = &mut self.current else { return };
        current.head.jump(to, now.mono);
        current.progress.moved(from, to);
        let passed = current.progress.passes(to).filter(|_| current.is_open);
        if let Some(position) = passed {
            self.report_played("ProgressReportPositionPassed", position);
        }
    }

    /// Progress that is due, and the end of a section that the appliance plays past.
    pub(super) fn report_progress(&mut self, now: Now) {
        let is_playing =
            |current: &&mut Current| current.phase == Phase::Playing && current.pending.is_none();
        while let Some(current) = self.current.as_mut().filter(is_playing)
            && let Some(name) = current.next_progress(now.mono)
        {
            self.report_played(name, self.position(now));
        }
        let Some(current) = self.current.as_mut().filter(is_playing) else { return };
        if current.overruns(now.mono) {
            let (end, token) = (current.position(now.mono), current.item.token.clone());
            self.finish(end, Some(token), now);
        }
    }
}
