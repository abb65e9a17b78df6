//! What a simulated appliance tells its owner.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{CutOff, Trouble};

/// What a simulated appliance heard or did.
#[derive(Debug, Clone)]
pub enum Heard {
    /// The broker has accepted it, and its subscription stands.
    Connected,
    /// It has no broker; it tries again by itself.
    NoBroker(Trouble),
    /// `down/session`.
    Session(Value),
    /// `down/dialogue`.
    Dialogue(Value),
    /// `down/capture`.
    Capture(Value),
    /// `down/text`.
    Text(Value),
    /// `down/directive`.
    Directive(Value),
    /// `down/cancel`.
    Cancel(Value),
    /// `down/focus`.
    Focus(Value),
    /// `down/alert`, with what it says.
    Alert(Value),
    /// An alert begins to ring, and the gateway has been told.
    Rings {
        /// Its token.
        token: String,
    },
    /// An alert has fallen silent, and the gateway has been told.
    Silent {
        /// Its token.
        token: String,
    },
    /// `down/error`.
    Error(Value),
    /// A Speak's attachment begins to play.
    FirstAudio {
        /// Its token.
        token: String,
    },
    /// A Speak that names a URL begins to "play". The simulator does not download it: it waits
    /// for [`ApplianceSettings::url_time`] and takes it for played.
    Url {
        /// Its token.
        token: String,
        /// What a real appliance would download.
        url: String,
    },
    /// A Speak has been played to its end, and the gateway been told `finished`.
    Played {
        /// Its token.
        token: String,
        /// Bytes of it; none of a URL.
        bytes: usize,
        /// How long it plays.
        length: Duration,
        /// Where it was written: an MP3 file, complete.
        file: Option<PathBuf>,
    },
    /// A Speak has been played as far as it came, and the gateway been told `stopped`.
    CutOff {
        /// Its token.
        token: String,
        /// Bytes that came.
        bytes: usize,
        /// Why no more did.
        why: CutOff,
    },
    /// Something was lost to stay within bounds, or could not be written.
    Dropped(String),
    /// A DeviceControl directive was carried out or refused, and the gateway has been told.
    Ordered {
        /// Name of the directive.
        command: String,
        /// Its `target`.
        target: String,
        /// How it is now, or why nothing was done.
        outcome: Result<String, String>,
    },
    /// A message on a topic of its firmware's own.
    Firmware {
        /// Its topic, from `down/x/` on.
        topic: String,
        /// What it said.
        payload: String,
        /// What was done, or why nothing was.
        outcome: Result<String, String>,
    },
    /// A stream of media begins to "play". It is not downloaded: time alone moves it.
    Stream {
        /// Its token.
        token: String,
        /// What a real appliance would download.
        url: String,
        /// What it is called.
        title: String,
    },
    /// What became of a stream; the gateway has been told on `up/playback`.
    Media {
        /// Its token.
        token: String,
        /// As on `up/playback`.
        state: &'static str,
        /// Where it is.
        offset: Duration,
    },
    /// A stream that plays is quieter from now on, or as loud as before.
    Ducked {
        /// Its token.
        token: String,
        /// Whether something else is in front.
        ducked: bool,
    },
    /// CIC has changed its settings; the gateway has been told what they are now.
    Configured(BTreeMap<String, String>),
    /// Its notification light, and the sounds of a new notification.
    Notified {
        /// Whether the light is on.
        light: bool,
        /// URLs, in the order in which they are to be played. They are not downloaded.
        sounds: Vec<String>,
    },
}
