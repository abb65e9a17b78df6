//! What CIC orders of what is playing (interfaces, PlaybackController).
//!
//! | directive | the appliance is told | CIC is told |
//! |---|---|---|
//! | Pause, Resume, Stop | the directive | PlayPaused, PlayResumed, PlayStopped, once the appliance has reported, or after 3 s |
//! | Resume of what was stopped | Play from where it was | PlayResumed, at `started` |
//! | Next, Previous | Cancel and Play, if there is one | PlayStopped, then PlayStarted |
//! | Replay | Play from the beginning | PlayStarted |
//! | Mute, Unmute, VolumeUp, VolumeDown | the directive | nothing |
//! | SetRepeatMode, TurnOn..., TurnOff... | the directive | nothing; the context shows it |
//!
//! What changes nothing is passed on and not reported. A directive for something else than
//! AudioPlayer is only passed on.

use std::time::Duration;

use super::{
    Effect, NotPlayback, Playback,
    current::{Announce, Current, Pending, Phase, Want},
    fields::Fields,
};
use crate::{cic::directive::Directive, clock::Now};

/// How long the appliance may take to report what it was ordered to do.
const REPORT_WITHIN: Duration = Duration::from_secs(3);

/// What can be done with an order.
enum Way {
    /// The appliance does it and reports.
    Appliance,
    /// The appliance has nothing of it yet: it is done here.
    Here,
    /// There is nothing to do.
    Nothing,
}

fn way(current: Option<&Current>, want: Want) -> Way {
    let Some(current) = current else { return Way::Nothing };
    match (current.phase, want) {
        (Phase::Starting(_) | Phase::Playing, _) => Way::Appliance,
        (Phase::Paused { held: false }, Want::Resume | Want::Stop) => Way::Appliance,
        (Phase::Paused { held: true }, Want::Resume | Want::Stop) => Way::Here,
        (Phase::Asking(_) | Phase::Waiting(_), Want::Pause | Want::Stop) => Way::Here,
        (Phase::Stopped | Phase::Over, Want::Resume) => Way::Here,
        _ => Way::Nothing,
    }
}

impl Playback {
    pub(super) fn control(&mut self, directive: &Directive, now: Now) -> Result<(), NotPlayback> {
        match directive.name.as_str() {
            "Pause" => return self.order_control(Want::Pause, directive, now),
            "Resume" => return self.order_control(Want::Resume, directive, now),
            "Stop" => return self.order_control(Want::Stop, directive, now),
            "Next" => self.skip(now),
            "Previous" => self.go_back(now),
            "Replay" => self.replay(now),
            "SetRepeatMode" => self.set_repeat(repeats(directive)?, directive),
            "TurnOnRepeatMode" => self.set_repeat(true, directive),
            "TurnOffRepeatMode" => self.set_repeat(false, directive),
            "Mute" | "Unmute" | "VolumeUp" | "VolumeDown" => self.pass_on(directive),
            name => return self.press_for_cic(name, &directive.payload, now),
        }
        Ok(())
    }

    fn set_repeat(&mut self, repeat_one: bool, directive: &Directive) {
        self.repeat_one = repeat_one;
        self.pass_on(directive);
    }

    fn order_control(
        &mut self,
        want: Want,
        directive: &Directive,
        now: Now,
    ) -> Result<(), NotPlayback> {
        if target(directive)?.is_some_and(|target| target != "AudioPlayer") {
            self.pass_on(directive);
            return Ok(());
        }
        match way(self.current.as_ref(), want) {
            Way::Here => self.control_here(want, now),
            Way::Nothing => self.pass_on(directive),
            Way::Appliance => {
                self.pass_on(directive);
                self.expect_report(want, now);
            }
        }
        Ok(())
    }

    /// The report of the appliance is due. Resuming what was never told to pause needs none.
    fn expect_report(&mut self, want: Want, now: Now) {
        let Some(current) = &mut self.current else { return };
        let is_settled =
            !matches!(current.phase, Phase::Paused { .. }) && current.pending.is_none();
        if want != Want::Resume || !is_settled {
            let until = now.mono + REPORT_WITHIN;
            current.pending = Some(Pending { want, since: now.mono, until });
        }
    }

    /// Carries out what the appliance has no part in.
    fn control_here(&mut self, want: Want, now: Now) {
        match want {
            Want::Pause => self.hold(now),
            Want::Stop => self.stop_at(self.position(now), now),
            Want::Resume => self.resume_here(now),
        }
    }

    /// Pauses an item that the appliance has not got yet.
    fn hold(&mut self, now: Now) {
        let offset = self.position(now);
        let Some(current) = &mut self.current else { return };
        if current.is_resuming() {
            current.phase = Phase::Stopped;
        } else {
            current.phase = Phase::Paused { held: true };
            self.report_played("PlayPaused", offset);
        }
    }

    fn resume_here(&mut self, now: Now) {
        let offset = self.position(now);
        let Some(current) = &mut self.current else { return };
        let is_over = current.phase == Phase::Over;
        let is_at_end = current.end().is_some_and(|end| offset >= end);
        if is_over && !self.queue.is_empty() {
            return self.go_on(None, now);
        }
        if is_over || is_at_end {
            return self.play_again(now);
        }
        current.announce = Announce::Resume;
        current.stream = current.item.stream.clone();
        self.take_turn(None, now);
    }

    /// Next: without one there is nothing to do, and what plays goes on.
    fn skip(&mut self, now: Now) {
        let Some(next) = self.queue.next() else { return };
        let had = self.end_current(now);
        self.note_played();
        self.play(next, had, None, now);
    }

    /// Previous: from its beginning; the current one is the next then.
    fn go_back(&mut self, now: Now) {
        let Some(previous) = self.queue.previous() else { return };
        let had = self.end_current(now);
        if let Some(current) = self.current.take() {
            self.queue.put_back(current.item);
        }
        self.play(previous, had, None, now);
    }

    /// Replay: what the appliance has is played from the beginning with the same URL, anything
    /// else as if its turn had come again.
    fn replay(&mut self, now: Now) {
        let Some(current) = &mut self.current else { return };
        match current.phase {
            Phase::Stopped | Phase::Over => self.play_again(now),
            Phase::Asking(_) | Phase::Waiting(_) => {
                current.announce = Announce::Start;
                current.rewind(current.stream.begin);
            }
            Phase::Paused { held: true } => {
                current.rewind(current.stream.begin);
                self.take_turn(None, now);
            }
            Phase::Starting(_) | Phase::Playing | Phase::Paused { held: false } => {
                current.announce = Announce::Start;
                current.stale_end = true;
                current.rewind(current.stream.begin);
                self.tell_play(None, now);
            }
        }
    }

    fn play_again(&mut self, now: Now) {
        if let Some(current) = self.current.take() {
            self.play(current.item, None, None, now);
        }
    }

    /// The appliance has not reported in time: what it was ordered to do counts as done, from the
    /// moment of the order.
    pub(super) fn answer_for_appliance(&mut self, pending: Pending, now: Now) {
        let Some(current) = &mut self.current else { return };
        current.pending = None;
        let offset = current.position(pending.since);
        match (pending.want, current.phase) {
            (Want::Pause, Phase::Starting(_) | Phase::Playing) => {
                self.announce(offset);
                self.pause_at(offset, now);
            }
            (Want::Resume, Phase::Paused { held: false }) => {
                current.head.start(pending.since);
                current.phase = Phase::Playing;
                self.report_played("PlayResumed", self.position(now));
            }
            (Want::Stop, Phase::Starting(_) | Phase::Playing | Phase::Paused { .. }) => {
                let token = current.item.token.clone();
                self.stop_at(offset, now);
                self.effects.push_back(Effect::Cancel(token));
            }
            _ => return,
        }
        self.count("playback_not_reported");
    }
}

fn repeats(directive: &Directive) -> Result<bool, NotPlayback> {
    let mode = Fields::read("payload", &directive.payload)?.needed_text("repeatMode")?;
    match mode.as_str() {
        "REPEAT_ONE" => Ok(true),
        "NONE" => Ok(false),
        _ => Err(NotPlayback::Payload("payload.repeatMode is neither NONE nor REPEAT_ONE".into())),
    }
}

/// What is to be controlled.
fn target(directive: &Directive) -> Result<Option<String>, NotPlayback> {
    super::buttons::target(&Fields::read("payload", &directive.payload)?)
}
