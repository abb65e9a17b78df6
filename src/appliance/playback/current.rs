//! The item whose turn it is: what the appliance does with it, and where it is. Pure; called by
//! the playback machine.

use std::time::{Duration, Instant};

use super::{
    item::Item,
    playhead::Playhead,
    progress::{Progress, is_near},
    stream::Stream,
};

/// How long past the end of its section the appliance may be silent before it is stopped.
const END_GRACE: Duration = Duration::from_secs(1);

/// What the appliance does with the current item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// CIC has been asked for the stream.
    Asking(Instant),
    /// CIC is to be asked, but is away.
    Waiting(Instant),
    /// The appliance has the Play and has not reported that it plays.
    Starting(Instant),
    /// It plays.
    Playing,
    /// It is paused; or held before the appliance had it.
    Paused {
        /// The appliance has not got it.
        held: bool,
    },
    /// Stopped by order or by the appliance: nothing follows by itself.
    Stopped,
    /// Played to its end, or not playable: the next one follows.
    Over,
}

/// What `started` is reported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announce {
    /// Nothing: CIC knows.
    Known,
    /// PlayStarted.
    Start,
    /// PlayResumed, it had been stopped; after PlayStarted, if that was never reported.
    Resume,
}

/// What an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Pause,
    Resume,
    Stop,
}

/// An order that the appliance has and has not reported on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub want: Want,
    pub since: Instant,
    pub until: Instant,
}

/// The current item.
#[derive(Debug)]
pub(super) struct Current {
    pub item: Item,
    /// Merged with StreamDeliver once that has come.
    pub stream: Stream,
    pub phase: Phase,
    pub announce: Announce,
    /// CIC was told that it plays, and not yet that it does no longer.
    pub is_open: bool,
    /// CIC was told at least once that it plays.
    pub has_begun: bool,
    pub pending: Option<Pending>,
    /// The appliance may still report the end of what this one replaces, under the same token.
    pub stale_end: bool,
    /// It follows by itself what was heard until now: its stream is asked for without the music
    /// having ended.
    pub follows: bool,
    pub head: Playhead,
    pub progress: Progress,
    /// As the appliance reported it.
    pub total: Option<Duration>,
}

impl Current {
    /// An item whose turn has come.
    pub fn new(item: Item) -> Self {
        let stream = item.stream.clone();
        Self {
            phase: Phase::Over,
            announce: Announce::Start,
            is_open: false,
            has_begun: false,
            pending: None,
            stale_end: false,
            follows: false,
            head: Playhead::at(stream.begin),
            progress: Progress::new(stream.wanted, stream.begin),
            total: None,
            stream,
            item,
        }
    }

    /// Whether the appliance has it and may play it.
    pub fn is_at_appliance(&self) -> bool {
        matches!(self.phase, Phase::Starting(_) | Phase::Playing | Phase::Paused { held: false })
    }

    /// Whether it goes on where it was stopped, of which CIC knows.
    pub fn is_resuming(&self) -> bool {
        self.announce == Announce::Resume && self.has_begun && !self.is_open
    }

    /// Whether it is played, or is about to be.
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Stopped | Phase::Over)
    }

    /// Whether it can be heard, or will be at any moment.
    pub fn sounds(&self) -> bool {
        let resumes = self.pending.is_some_and(|pending| pending.want == Want::Resume);
        match self.phase {
            Phase::Starting(_) | Phase::Playing => true,
            Phase::Asking(_) => self.follows,
            Phase::Paused { held: false } => resumes,
            _ => false,
        }
    }

    /// The position, never outside the section.
    pub fn position(&self, now: Instant) -> Duration {
        self.within(self.head.offset(now))
    }

    /// The nearest position inside the section.
    pub fn within(&self, offset: Duration) -> Duration {
        let offset = offset.max(self.stream.begin);
        self.end().map_or(offset, |end| offset.min(end))
    }

    /// Where it ends, if that is known: the section's end, or the length that the appliance
    /// reported.
    pub fn end(&self) -> Option<Duration> {
        self.stream.end.or(self.total).filter(|end| *end >= self.stream.begin)
    }

    /// Notes the length that the appliance reported; less than what is played already is wrong.
    pub fn note_total(&mut self, total: Option<Duration>, offset: Option<Duration>) {
        if let Some(total) = total.filter(|total| !total.is_zero()) {
            self.total = Some(total.max(offset.unwrap_or_default()));
        }
    }

    /// Where it ended. An appliance that stops a little early has played all of it.
    pub fn finished_at(&self, reported: Option<Duration>, now: Instant) -> Duration {
        let end = self.end();
        match (reported.map(|offset| self.within(offset)), end) {
            (Some(offset), Some(end)) if is_near(offset, end) => end,
            (Some(offset), _) => offset,
            (None, Some(end)) => end,
            (None, None) => self.position(now),
        }
    }

    /// Begins anew at `start`: what was played does not count any more.
    pub fn rewind(&mut self, start: Duration) {
        self.head = Playhead::at(start);
        self.progress = Progress::new(self.stream.wanted, start);
    }

    /// Takes what StreamDeliver has brought; where it is to begin stays, if that was meant.
    pub fn take_stream(&mut self, stream: Stream, now: Instant) {
        let start = self.head.offset(now);
        let was_begin = start == self.stream.begin;
        self.stream = stream;
        match was_begin && self.head.played(now).is_zero() {
            true => self.rewind(self.stream.begin),
            false => self.head.jump(self.within(start), now),
        }
    }

    /// It ends here.
    pub fn close(&mut self, phase: Phase, offset: Duration, now: Instant) {
        self.head.stop(now);
        self.head.jump(offset, now);
        self.phase = phase;
        self.pending = None;
        self.announce = Announce::Known;
        self.is_open = false;
    }

    /// The next progress report that is due.
    pub fn next_progress(&mut self, now: Instant) -> Option<&'static str> {
        let end = self.end();
        self.progress.next_due(&self.head, end, now)
    }

    /// Whether the appliance has played past the section's end without saying so.
    pub fn overruns(&self, now: Instant) -> bool {
        self.overrun_at().is_some_and(|at| at <= now)
    }

    /// When something is to be done about it.
    pub fn deadline(&self) -> Option<Instant> {
        let pending = self.pending.map(|pending| pending.until);
        match self.phase {
            Phase::Asking(until) | Phase::Waiting(until) => Some(until),
            Phase::Starting(until) => Some(pending.map_or(until, |pending| pending.min(until))),
            // The clock may be wrong by the time that the order takes: nothing is reported.
            _ if pending.is_some() => pending,
            Phase::Playing => {
                let progress = self.progress.next_at(&self.head, self.end());
                self.overrun_at().into_iter().chain(progress).min()
            }
            Phase::Paused { .. } | Phase::Stopped | Phase::Over => None,
        }
    }

    fn overrun_at(&self) -> Option<Instant> {
        Some(self.head.when_at(self.stream.end?)? + END_GRACE)
    }
}
