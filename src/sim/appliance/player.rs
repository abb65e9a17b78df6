//! Plays the Speaks, one at a time, in the order in which they came. Pure: takes the time, returns
//! what to report; the shell around it is `life.rs`.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::Value;

pub use super::shelf::CutOff;
use super::{mp3, shelf::Shelf};

/// Speaks that may wait.
pub(super) const MAX_WAITING: usize = 64;
/// Longest pause before a Speak that is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a player reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// On `up/speech`.
    Report { token: String, state: &'static str },
    /// The first sound of a Speak.
    Began { token: String },
    /// A Speak that names a URL; it is not downloaded.
    BeganUrl { token: String, url: String },
    /// It has been played to its end.
    Played { token: String, audio: Vec<u8>, length: Duration },
    /// It has been played as far as it came.
    CutOff { token: String, bytes: usize, why: CutOff },
    /// Something had to go, to stay within bounds.
    Dropped(String),
}

/// Where the sound of a Speak is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Attachment(String),
    Url(String),
}

/// A Speak, until it has been played.
#[derive(Debug)]
struct Speak {
    token: String,
    dialogue: Option<String>,
    source: Source,
    pause: Duration,
}

impl Speak {
    /// Reads a `down/directive`.
    fn read(directive: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let payload = &directive["payload"];
        let url = payload["url"].as_str().unwrap_or_default();
        let attached = text(&directive["attachments"][0]["contentId"]);
        let source = match url.strip_prefix("cid:").map(str::to_owned).or(attached) {
            Some(id) => Source::Attachment(id),
            None => Source::Url(url.to_owned()),
        };
        let pause = payload["x-clova-pause-before"].as_u64().unwrap_or(0);
        Self {
            token: text(&payload["token"]).unwrap_or_default(),
            dialogue: text(&directive["dialogRequestId"]),
            source,
            pause: Duration::from_millis(pause).min(LONGEST_PAUSE),
        }
    }

    fn attachment(&self) -> Option<&str> {
        match &self.source {
            Source::Attachment(id) => Some(id),
            Source::Url(_) => None,
        }
    }
}

#[derive(Debug)]
enum Stage {
    /// Silent until then.
    Pausing(Instant),
    /// Since then; all of it is not there yet.
    Sounding(Instant),
    /// Until then.
    Ending { at: Instant, length: Duration },
}

#[derive(Debug)]
struct Playing {
    speak: Speak,
    stage: Stage,
}

/// Plays what comes.
#[derive(Debug)]
pub(super) struct Player {
    waiting: VecDeque<Speak>,
    playing: Option<Playing>,
    shelf: Shelf,
    outputs: VecDeque<Output>,
    /// How long a URL "plays".
    url_time: Duration,
}

impl Player {
    pub(super) fn new(url_time: Duration) -> Self {
        let (waiting, outputs) = (VecDeque::new(), VecDeque::new());
        Self { waiting, playing: None, shelf: Shelf::default(), outputs, url_time }
    }

    /// A `down/directive`; only Speaks are played, and what others bring along is not wanted.
    pub(super) fn directive(&mut self, directive: &Value, now: Instant) {
        if directive["namespace"] != "SpeechSynthesizer" || directive["name"] != "Speak" {
            for attachment in directive["attachments"].as_array().into_iter().flatten() {
                if let Some(id) = attachment["contentId"].as_str() {
                    self.shelf.forget(id);
                }
            }
            return;
        }
        let speak = Speak::read(directive);
        if self.waiting.len() >= MAX_WAITING {
            self.outputs.push_back(Output::Dropped(format!("{MAX_WAITING} Speaks wait already")));
            // The gateway need not wait for it.
            self.report(&speak.token, "stopped");
            return self.discard(&speak);
        }
        if let Some(id) = speak.attachment() {
            self.shelf.claim(id);
        }
        self.waiting.push_back(speak);
        self.advance(now);
    }

    /// A `down/audio/{id}`; empty at the end.
    pub(super) fn audio(&mut self, id: &str, bytes: &[u8], now: Instant) {
        let given_way = self.shelf.take(id, bytes);
        if given_way > 0 {
            let text = format!("{given_way} attachment(s) that no directive named");
            self.outputs.push_back(Output::Dropped(text));
        }
        self.advance(now);
    }

    /// A `down/error` says that an attachment is cut off.
    pub(super) fn cut_off(&mut self, id: &str) {
        self.shelf.cut_off(id);
    }

    /// A `down/cancel`: what belongs to this dialogue, or has one of these tokens.
    pub(super) fn cancel(&mut self, dialogue: Option<&str>, tokens: &[&str], now: Instant) {
        let stale = |speak: &Speak| {
            tokens.contains(&speak.token.as_str())
                || (dialogue.is_some() && speak.dialogue.as_deref() == dialogue)
        };
        if let Some(playing) = self.playing.take_if(|playing| stale(&playing.speak)) {
            if !matches!(playing.stage, Stage::Pausing(_)) {
                self.report(&playing.speak.token, "stopped");
            }
            self.discard(&playing.speak);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(stale);
        self.waiting = kept;
        gone.iter().for_each(|speak| self.discard(speak));
        self.advance(now);
    }

    /// When [`Player::handle_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.playing.as_ref()?.stage {
            Stage::Pausing(until) => Some(until),
            Stage::Sounding(_) => None,
            Stage::Ending { at, .. } => Some(at),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.shelf.held()
    }

    /// It will not be played, or no longer.
    fn discard(&mut self, speak: &Speak) {
        if let Some(id) = speak.attachment() {
            self.shelf.forget(id);
        }
    }

    fn report(&mut self, token: &str, state: &'static str) {
        self.outputs.push_back(Output::Report { token: token.to_owned(), state });
    }

    fn advance(&mut self, now: Instant) {
        while self.step(now) {}
    }

    /// One change, if one is due.
    fn step(&mut self, now: Instant) -> bool {
        let Some(mut playing) = self.playing.take() else { return self.next(now) };
        let changed = match playing.stage {
            Stage::Pausing(until) if until <= now => {
                self.begin(&mut playing, now);
                true
            }
            Stage::Sounding(since) => match self.ending(&playing.speak, since, now) {
                Some(ending) => {
                    playing.stage = ending;
                    true
                }
                None => false,
            },
            Stage::Ending { at, length } if at <= now => {
                self.end(playing.speak, length);
                return true;
            }
            _ => false,
        };
        self.playing = Some(playing);
        changed
    }

    /// Takes the next Speak, once there is something to hear of it.
    fn next(&mut self, now: Instant) -> bool {
        let ready = self.waiting.front().is_some_and(|speak| match speak.attachment() {
            None => true,
            Some(id) => self.shelf.get(id).is_some_and(|a| !a.bytes.is_empty() || a.ended),
        });
        let Some(speak) = ready.then(|| self.waiting.pop_front()).flatten() else { return false };
        let stage = Stage::Pausing(now + speak.pause);
        self.playing = Some(Playing { speak, stage });
        true
    }

    fn begin(&mut self, playing: &mut Playing, now: Instant) {
        let token = playing.speak.token.clone();
        playing.stage = Stage::Sounding(now);
        let began = match &playing.speak.source {
            Source::Url(url) => Output::BeganUrl { token: token.clone(), url: url.clone() },
            // Cut off before its first byte: there is nothing to hear.
            Source::Attachment(id) if self.shelf.get(id).is_none_or(|a| a.bytes.is_empty()) => {
                return;
            }
            Source::Attachment(_) => Output::Began { token: token.clone() },
        };
        self.report(&token, "started");
        self.outputs.push_back(began);
    }

    /// Once all bytes are there, it is known how long playing takes.
    fn ending(&self, speak: &Speak, since: Instant, now: Instant) -> Option<Stage> {
        let length = match &speak.source {
            Source::Url(_) => self.url_time,
            Source::Attachment(id) => {
                let attachment = self.shelf.get(id).filter(|attachment| attachment.ended)?;
                mp3::duration(&attachment.bytes).unwrap_or_default()
            }
        };
        // What came too slowly is heard no earlier than it came.
        Some(Stage::Ending { at: (since + length).max(now), length })
    }

    fn end(&mut self, speak: Speak, length: Duration) {
        let token = speak.token.clone();
        let attachment = speak.attachment().map(|id| self.shelf.forget(id).unwrap_or_default());
        let (audio, cut_off) = match attachment {
            None => (Vec::new(), None),
            Some(a) if length.is_zero() => (a.bytes, a.cut_off.or(Some(CutOff::NotMp3))),
            Some(a) => (a.bytes, a.cut_off),
        };
        self.report(&token, if cut_off.is_some() { "stopped" } else { "finished" });
        self.outputs.push_back(match cut_off {
            Some(why) => Output::CutOff { token, bytes: audio.len(), why },
            None => Output::Played { token, audio, length },
        });
    }
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
