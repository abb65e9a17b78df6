//! Media that CIC has ordered to play: where a stream is, and what is reported of it. Nothing is
//! downloaded; time alone moves it. Pure; called by `body.rs`.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longest stream that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a media player does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// A stream begins to "play".
    Began { token: String, url: String, title: String },
    /// On `up/playback`.
    Report { token: String, state: &'static str, offset: Duration, total: Duration },
    /// It is quieter from now on, or as loud as before.
    Ducked { token: String, ducked: bool },
}

/// How streams play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How many seconds of a stream pass in one second.
    pub(super) speed: f64,
    /// How long a stream is when CIC does not say.
    pub(super) length: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Motion {
    /// From [`Track::offset`] on, since then.
    Playing(Instant),
    Paused,
}

#[derive(Debug)]
struct Track {
    token: String,
    offset: Duration,
    end: Duration,
    motion: Motion,
}

/// Plays one stream at a time: the queue is the gateway's.
#[derive(Debug)]
pub(super) struct Media {
    pace: Pace,
    track: Option<Track>,
    ducked: bool,
    outputs: VecDeque<Output>,
}

impl Media {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, track: None, ducked: false, outputs: VecDeque::new() }
    }

    /// `AudioPlayer.Play`: now, in place of whatever plays.
    pub(super) fn play(&mut self, payload: &Value, now: Instant) {
        let item = &payload["audioItem"];
        let stream = &item["stream"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let token = stream["token"].as_str().map_or_else(|| text(&item["audioItemId"]), text_of);
        let same = self.track.as_ref().is_some_and(|track| track.token == token);
        if !same {
            self.stop(now);
        }
        let time = |name: &str| stream[name].as_u64().map(Duration::from_millis);
        let offset = time("beginAtInMilliseconds").unwrap_or_default().min(LONGEST);
        let length = time("durationInMilliseconds").unwrap_or(self.pace.length).min(LONGEST);
        let motion = Motion::Playing(now);
        self.track = Some(Track { token: token.clone(), offset, end: offset + length, motion });
        let title = item["titleText"].as_str().or(item["title"].as_str());
        let title = title.unwrap_or("something without a title").to_owned();
        let url = text(&stream["url"]);
        self.outputs.push_back(Output::Began { token, url, title });
        self.report("started", now);
        self.tell_ducked();
    }

    /// `PlaybackController.Pause`.
    pub(super) fn pause(&mut self, now: Instant) {
        let offset = self.position(now);
        if let Some(track) = self.playing() {
            (track.offset, track.motion) = (offset, Motion::Paused);
            self.report("paused", now);
        }
    }

    /// `PlaybackController.Resume`.
    pub(super) fn resume(&mut self, now: Instant) {
        let paused = |track: &&mut Track| matches!(track.motion, Motion::Paused);
        if let Some(track) = self.track.as_mut().filter(paused) {
            track.motion = Motion::Playing(now);
            self.report("resumed", now);
            self.tell_ducked();
        }
    }

    /// `PlaybackController.Stop`; nothing is left to be resumed.
    pub(super) fn stop(&mut self, now: Instant) {
        self.report("stopped", now);
        self.track = None;
    }

    /// A token of `down/cancel`. A dialogue that is cancelled does not mean what plays already.
    pub(super) fn cancel(&mut self, token: &str, now: Instant) {
        if self.track.as_ref().is_some_and(|track| track.token == token) {
            self.stop(now);
        }
    }

    /// The gateway knows nothing of this stream, as after a restart: it ends without a word.
    pub(super) fn forget(&mut self, token: &str) {
        self.track.take_if(|track| track.token == token);
    }

    /// `content` of `down/focus`.
    pub(super) fn duck(&mut self, ducked: bool) {
        let was = std::mem::replace(&mut self.ducked, ducked);
        if let Some(track) = self.playing().filter(|_| was != ducked) {
            let token = track.token.clone();
            self.outputs.push_back(Output::Ducked { token, ducked });
        }
    }

    /// When [`Media::handle_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let track = self.track.as_ref()?;
        let Motion::Playing(since) = track.motion else { return None };
        let left = track.end.saturating_sub(track.offset);
        Some(since + left.div_f64(self.pace.speed))
    }

    /// Ends what has been played to its end.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|end| end <= now) {
            self.report("finished", now);
            self.track = None;
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn playing(&mut self) -> Option<&mut Track> {
        self.track.as_mut().filter(|track| matches!(track.motion, Motion::Playing(_)))
    }

    fn position(&self, now: Instant) -> Duration {
        let Some(track) = &self.track else { return Duration::ZERO };
        let played = match track.motion {
            Motion::Paused => Duration::ZERO,
            Motion::Playing(since) => now.saturating_duration_since(since).mul_f64(self.pace.speed),
        };
        (track.offset + played).min(track.end)
    }

    fn report(&mut self, state: &'static str, now: Instant) {
        let offset = self.position(now);
        if let Some(track) = &self.track {
            let (token, total) = (track.token.clone(), track.end);
            self.outputs.push_back(Output::Report { token, state, offset, total });
        }
    }

    /// A stream that begins in the background is quiet from the start.
    fn tell_ducked(&mut self) {
        if let Some(track) = self.track.as_ref().filter(|_| self.ducked) {
            let token = track.token.clone();
            self.outputs.push_back(Output::Ducked { token, ducked: true });
        }
    }
}

fn text_of(text: &str) -> String {
    text.to_owned()
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
