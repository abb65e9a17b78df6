//! The Speak that an appliance is playing: who waits for it, what CIC is told of it, and when it
//! is given up (dialogue 8). Pure; called by the core.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::message::SpeechProgress;
use crate::{
    cic::directive::Directive,
    ids::{ContentId, DialogRequestId, Token},
};

/// An appliance that does not start playing within this, on top of the pause that CIC asked for,
/// does not report.
const START_WITHIN: Duration = Duration::from_secs(10);
/// Longest playback that is waited for.
const LONGEST: Duration = Duration::from_secs(600);
/// Speech is never encoded with fewer bytes a second; bounds the wait for `finished`.
const SLOWEST_BYTES_PER_SECOND: f64 = 1_000.0;
/// Tokens whose late reports are still understood.
const REMEMBERED: usize = 16;

/// What to do with a report of the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Send this event to CIC.
    Send(&'static str),
    /// Known already, or the gateway has reported the end by itself.
    Ignore,
    /// No Speak with this token was ever delivered.
    Unknown,
}

/// A Speak that is or was playing.
#[derive(Debug)]
pub struct Playing {
    /// Its token.
    pub token: Token,
    /// Its dialogue.
    pub dialogue: Option<DialogRequestId>,
    /// Its attachments.
    pub attachments: Vec<ContentId>,
    bytes: usize,
    started: Option<Instant>,
    deadline: Instant,
}

impl Playing {
    /// Whether the appliance has reported that it plays.
    pub fn has_started(&self) -> bool {
        self.started.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Delivered,
    Started,
    Over,
}

/// What an appliance speaks.
#[derive(Debug, Default)]
pub struct Speech {
    playing: Option<Playing>,
    delivered: VecDeque<(Token, Stage)>,
    state: Option<Arc<RawValue>>,
}

#[derive(Deserialize)]
struct SpeakPayload {
    #[serde(default)]
    token: Option<String>,
    #[serde(default, rename = "x-clova-pause-before")]
    pause_before: Option<u64>,
}

impl Speech {
    /// The Speak that is playing.
    pub fn playing(&self) -> Option<&Playing> {
        self.playing.as_ref()
    }

    /// Whether this Speak has to wait for the one that is playing: both belong to one dialogue.
    pub fn must_wait(&self, speak: &Directive) -> bool {
        self.playing.as_ref().is_some_and(|playing| {
            playing.dialogue.is_some() && playing.dialogue == speak.dialog_request_id
        })
    }

    /// A Speak is being delivered. One without token cannot be reported on and does not block.
    pub fn deliver(&mut self, speak: &Directive, attachments: &[ContentId], now: Instant) {
        let Ok(payload) = speak.payload_as::<SpeakPayload>() else { return };
        let Some(token) = payload.token.map(Token::from) else { return };
        let pause = Duration::from_millis(payload.pause_before.unwrap_or(0)).min(LONGEST);
        self.delivered.push_back((token.clone(), Stage::Delivered));
        if self.delivered.len() > REMEMBERED {
            self.delivered.pop_front();
        }
        self.playing = Some(Playing {
            token,
            dialogue: speak.dialog_request_id.clone(),
            attachments: attachments.to_vec(),
            bytes: 0,
            started: None,
            deadline: now + START_WITHIN + pause,
        });
    }

    /// So many bytes of an attachment were passed on: playing them takes its time.
    pub fn passed(&mut self, attachment: &ContentId, bytes: usize, now: Instant) {
        let Some(playing) = &mut self.playing else { return };
        if playing.attachments.contains(attachment) {
            playing.bytes += bytes;
            playing.deadline = playing.deadline.max(now + START_WITHIN);
            if let Some(started) = playing.started {
                let length = Duration::from_secs_f64(bytes as f64 / SLOWEST_BYTES_PER_SECOND);
                let latest = started + LONGEST + START_WITHIN;
                playing.deadline = (playing.deadline + length.min(LONGEST)).min(latest);
            }
        }
    }

    /// The appliance reported; the context follows.
    pub fn report(&mut self, token: &Token, progress: SpeechProgress, now: Instant) -> Report {
        let Some((_, stage)) = self.delivered.iter_mut().rev().find(|(known, _)| known == token)
        else {
            return Report::Unknown;
        };
        let (next, event, activity) = match progress {
            SpeechProgress::Started => (Stage::Started, "SpeechStarted", "PLAYING"),
            SpeechProgress::Finished => (Stage::Over, "SpeechFinished", "FINISHED"),
            SpeechProgress::Stopped => (Stage::Over, "SpeechStopped", "STOPPED"),
        };
        if *stage == Stage::Over || *stage == next {
            return Report::Ignore;
        }
        *stage = next;
        self.set_state(token, activity);
        match progress {
            SpeechProgress::Started => self.note_start(token, now),
            _ => self.forget(token),
        }
        Report::Send(event)
    }

    /// Stops what is playing, on the gateway's own account; the caller reports SpeechStopped.
    pub fn cancel(&mut self) -> Option<Playing> {
        let playing = self.playing.take()?;
        for (token, stage) in &mut self.delivered {
            if *token == playing.token {
                *stage = Stage::Over;
            }
        }
        self.set_state(&playing.token, "STOPPED");
        Some(playing)
    }

    /// `SpeechSynthesizer.SpeechState`; none before the first Speak.
    pub fn state(&self) -> Option<&Arc<RawValue>> {
        self.state.as_ref()
    }

    /// Another account's Speaks are nobody's business.
    pub fn forget_state(&mut self) {
        *self = Self::default();
    }

    /// When [`Speech::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.playing.as_ref().map(|playing| playing.deadline)
    }

    /// Gives up an appliance that does not report; what waits may go on. A late report is still
    /// passed on to CIC.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        self.playing.take_if(|playing| playing.deadline <= now).is_some()
    }

    fn note_start(&mut self, token: &Token, now: Instant) {
        if let Some(playing) = self.playing.as_mut().filter(|playing| playing.token == *token) {
            playing.started = Some(now);
            let seconds = playing.bytes as f64 / SLOWEST_BYTES_PER_SECOND;
            let length = match playing.attachments.is_empty() {
                true => LONGEST,
                false => Duration::from_secs_f64(seconds).min(LONGEST),
            };
            playing.deadline = now + length + START_WITHIN;
        }
    }

    fn forget(&mut self, token: &Token) {
        self.playing.take_if(|playing| playing.token == *token);
    }

    fn set_state(&mut self, token: &Token, activity: &str) {
        let state = json!({"token": token, "playerActivity": activity});
        self.state = RawValue::from_string(state.to_string()).ok().map(Into::into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speak(token: &str, dialogue: Option<&str>) -> Directive {
        Directive {
            namespace: "SpeechSynthesizer".into(),
            name: "Speak".into(),
            message_id: "m".into(),
            dialog_request_id: dialogue.map(Into::into),
            payload: RawValue::from_string(json!({"token": token}).to_string()).unwrap(),
        }
    }

    fn t(token: &str) -> Token {
        token.into()
    }

    #[test]
    fn a_playback_is_reported_once_at_each_stage() {
        let (mut speech, now) = (Speech::default(), Instant::now());
        speech.deliver(&speak("a", None), &[], now);
        let rows = [
            (SpeechProgress::Started, Report::Send("SpeechStarted"), "PLAYING"),
            (SpeechProgress::Started, Report::Ignore, "PLAYING"),
            (SpeechProgress::Finished, Report::Send("SpeechFinished"), "FINISHED"),
            (SpeechProgress::Finished, Report::Ignore, "FINISHED"),
            (SpeechProgress::Stopped, Report::Ignore, "FINISHED"),
        ];
        for (progress, report, state) in rows {
            assert_eq!(speech.report(&t("a"), progress, now), report, "{progress:?}");
            assert!(speech.state().unwrap().get().contains(state));
        }
        assert!(speech.playing().is_none());
        assert_eq!(speech.report(&t("b"), SpeechProgress::Started, now), Report::Unknown);
    }

    #[test]
    fn after_a_cancel_the_appliances_own_stopped_is_ignored() {
        let (mut speech, now) = (Speech::default(), Instant::now());
        speech.deliver(&speak("a", Some("d")), &[], now);
        assert_eq!(speech.cancel().map(|playing| playing.token), Some(t("a")));
        assert_eq!(speech.report(&t("a"), SpeechProgress::Stopped, now), Report::Ignore);
        assert!(speech.cancel().is_none());
    }

    #[test]
    fn only_speaks_of_one_dialogue_wait_for_each_other() {
        let (mut speech, now) = (Speech::default(), Instant::now());
        assert!(!speech.must_wait(&speak("b", Some("d"))));
        speech.deliver(&speak("a", Some("d")), &[], now);
        assert!(speech.must_wait(&speak("b", Some("d"))));
        assert!(!speech.must_wait(&speak("b", Some("e"))));
        assert!(!speech.must_wait(&speak("b", None)));
        speech.deliver(&speak("a", None), &[], now);
        assert!(!speech.must_wait(&speak("b", None)));
    }

    #[test]
    fn an_appliance_that_never_reports_is_given_up_and_may_report_late() {
        let (mut speech, now) = (Speech::default(), Instant::now());
        speech.deliver(&speak("a", None), &["c".into()], now);
        let due = speech.poll_timeout().unwrap();
        assert_eq!(due, now + START_WITHIN);
        assert!(!speech.handle_timeout(due - Duration::from_millis(1)));
        assert!(speech.handle_timeout(due));
        let late = speech.report(&t("a"), SpeechProgress::Finished, due);
        assert_eq!(late, Report::Send("SpeechFinished"));
    }

    #[test]
    fn a_long_answer_is_given_the_time_that_it_takes() {
        let (mut speech, now) = (Speech::default(), Instant::now());
        speech.deliver(&speak("a", None), &["c".into()], now);
        speech.passed(&"c".into(), 60_000, now);
        speech.report(&t("a"), SpeechProgress::Started, now);
        assert_eq!(speech.poll_timeout(), Some(now + Duration::from_secs(60) + START_WITHIN));
        speech.passed(&"c".into(), 30_000, now);
        assert_eq!(speech.poll_timeout(), Some(now + Duration::from_secs(90) + START_WITHIN));
    }
}
