//! What goes wrong on purpose, where, and when.

use std::time::Duration;

use serde::Deserialize;

/// Something that goes wrong on purpose.
///
/// Each has a place where it is met unless [`Fault::on`] says otherwise; [`Fault::fits`] tells the
/// places that are possible. Injected as it is, it concerns the next request there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SETTINGS with a window of so many bytes, and after each piece of audio a pause before more is
    /// let in. (connection)
    SlowReader {
        /// `SETTINGS_INITIAL_WINDOW_SIZE`, bytes.
        window: u32,
        /// Pause after each piece of audio.
        pause: Duration,
    },
    /// SETTINGS that allow one stream at a time, which the downchannel takes. (connection)
    OneStream,
    /// The downchannel request is answered with this status and `System.Exception`. (channel)
    ChannelStatus(u16),
    /// The downchannel request is answered with this status and body. (channel)
    ChannelRefused(u16, ErrorBody),
    /// The downchannel opens and never says hello. (channel)
    NoHello,
    /// The downchannel opens and says hello only after this long. (channel)
    LateHello(Duration),
    /// The event is answered with this status and `System.Exception`. (event)
    EventStatus(u16),
    /// The event is answered with this status and body, at once. (event)
    EventRefused(u16, ErrorBody),
    /// The answer ends in the middle of a part. (event)
    TruncatedAnswer,
    /// The event's stream is reset at once. (event)
    ResetEvent,
    /// The event's stream is reset when so many bytes of its body have come. (event)
    ResetUpload(usize),
    /// The answer begins with parts that cannot be used: no JSON, no UTF-8, a directive of
    /// 10 MiB, an attachment that no directive wants. (event)
    Rubbish,
    /// A spoken request is answered with its first audio, byte by byte, as one that was not
    /// understood, and its upload is read on. (event)
    EarlyAnswer,
    /// The answer comes after this long. (event)
    LateAnswer(Duration),
    /// The answer (or hello) comes byte by byte, each in a frame of its own. (event, channel)
    Trickled,
    /// The answer ends right behind its last part, without a closing delimiter. (event)
    NoClosingDelimiter,
    /// The answer stands still in the middle of its first attachment. (event)
    EndlessAttachment,
    /// The answer begins with an attachment that nobody wants and that never ends. (event)
    EndlessPart,
    /// So many DATA frames of one byte, as fast as they go. (event, channel)
    TinyFrames(usize),
    /// So many DATA frames of no byte. (event, channel)
    EmptyFrames(usize),
    /// Response headers of so many bytes. (event, channel)
    HeaderBomb(usize),
    /// The device's downchannel is reset; the event itself is answered. On a channel: after hello.
    /// (event, channel)
    ResetChannel,
    /// The device's downchannel ends as it should; the event itself is answered. On a channel:
    /// after hello. (event, channel)
    EndChannel,
    /// SETTINGS in the middle of the connection: every stream's window, those under way too,
    /// becomes so many bytes. The request itself is answered. (event, channel)
    ChangeSettings(u32),
    /// The connection ends with GOAWAY at once. (event, channel)
    Goaway,
    /// GOAWAY, and what is under way goes on: nothing new is accepted. (event, channel)
    GracefulGoaway,
    /// The connection is reset (TCP RST). (event, channel, connection)
    TcpReset,
    /// The socket stays open; nothing is read or answered any more. On a connection: from the
    /// beginning. (event, channel, connection)
    BlackHole,
}

/// What an error response carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorBody {
    /// `System.Exception` in multipart (transport 10).
    #[default]
    Multipart,
    /// `{"payload": {"code": "..."}}` (field notes).
    Json,
    /// Nothing.
    Empty,
    /// JSON that never ends.
    Endless,
}

/// Where a fault is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A connection that was just accepted.
    Connection,
    /// A downchannel request.
    Channel,
    /// An event.
    Event,
}

/// Which of the requests meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    /// The next one that meets no other fault.
    Next,
    /// The nth from now.
    At(usize),
    /// Each nth from now.
    Every(usize),
    /// Each whose text, spoken or typed, contains this; acts once the text is known.
    Text(String),
}

/// A fault with its place and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    fault: Fault,
    place: Place,
    when: When,
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Self {
        let places = [Place::Event, Place::Channel, Place::Connection];
        let place = places.into_iter().find(|place| fault.fits(*place)).unwrap_or(Place::Event);
        Self { fault, place, when: When::Next }
    }
}

impl Fault {
    /// Whether it can be met there.
    pub fn fits(self, place: Place) -> bool {
        use Fault::*;
        match self {
            SlowReader { .. } | OneStream => place == Place::Connection,
            ChannelStatus(_) | ChannelRefused(..) | NoHello | LateHello(_) => {
                place == Place::Channel
            }
            EventStatus(_) | EventRefused(..) | TruncatedAnswer | ResetEvent | ResetUpload(_)
            | Rubbish | EarlyAnswer | LateAnswer(_) | NoClosingDelimiter | EndlessAttachment
            | EndlessPart => place == Place::Event,
            ChangeSettings(_) | Trickled | TinyFrames(_) | EmptyFrames(_) | HeaderBomb(_)
            | ResetChannel | EndChannel | Goaway | GracefulGoaway => place != Place::Connection,
            TcpReset | BlackHole => true,
        }
    }

    /// Meets it there; for the next request.
    pub fn on(self, place: Place) -> Injection {
        Injection { place, ..self.into() }
    }

    /// The status and body of a refusal.
    pub(super) fn refusal(self) -> Option<(u16, ErrorBody)> {
        match self {
            Self::ChannelStatus(status) | Self::EventStatus(status) => {
                Some((status, ErrorBody::Multipart))
            }
            Self::ChannelRefused(status, body) | Self::EventRefused(status, body) => {
                Some((status, body))
            }
            _ => None,
        }
    }
}

impl Injection {
    /// The nth request there meets it, counted from now; 1 is the next.
    pub fn at(self, nth: usize) -> Self {
        Self { when: When::At(nth.max(1)), ..self }
    }

    /// Each nth request there meets it.
    pub fn every(self, nth: usize) -> Self {
        Self { when: When::Every(nth.max(1)), ..self }
    }

    /// Every request whose text contains this meets it, once the text is known.
    pub fn when(self, text: &str) -> Self {
        Self { when: When::Text(text.to_lowercase()), ..self }
    }
}

/// The faults that wait for their request.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Injection, usize)>);

impl Faults {
    pub(super) fn add(&mut self, injection: Injection) {
        self.0.push((injection, 0));
    }

    /// A request arrives here: which fault does it meet?
    pub(super) fn meet(&mut self, place: Place) -> Option<Fault> {
        let mut met = None;
        self.0.retain_mut(|(injection, seen)| {
            if injection.place != place {
                return true;
            }
            *seen += 1;
            let (due, once) = match injection.when {
                When::Next => (true, true),
                When::At(nth) => (*seen >= nth, true),
                When::Every(nth) => (*seen % nth == 0, false),
                When::Text(_) => (false, false),
            };
            let is_met = due && met.is_none();
            if is_met {
                met = Some(injection.fault);
            }
            !(is_met && once)
        });
        met
    }

    /// The fault for requests with this text.
    pub(super) fn meet_text(&self, text: &str) -> Option<Fault> {
        let text = text.to_lowercase();
        let fits = |when: &When| matches!(when, When::Text(part) if text.contains(part));
        let found = self.0.iter().find(|(injection, _)| fits(&injection.when));
        found.map(|(injection, _)| injection.fault)
    }
}

/// A fault as a scenario or `--fault` writes it; `assets/scenario.toml` explains the fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultToml {
    kind: String,
    on: Place,
    at: Option<usize>,
    every: Option<usize>,
    when: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    body: ErrorBody,
    bytes: Option<usize>,
    count: Option<usize>,
    milliseconds: Option<u64>,
}

impl FaultToml {
    pub(super) fn build(self) -> Result<Injection, String> {
        let fault = self.fault()?;
        let place = self.on;
        if !fault.fits(place) {
            return Err(format!("fault {}: not on {place:?}", self.kind).to_lowercase());
        }
        let injection = fault.on(place);
        match (self.at, self.every, self.when) {
            (None, None, None) => Ok(injection),
            (Some(nth), None, None) => Ok(injection.at(nth)),
            (None, Some(nth), None) => Ok(injection.every(nth)),
            (None, None, Some(text)) if place == Place::Event => Ok(injection.when(&text)),
            (None, None, Some(_)) => Err(format!("fault {}: only events have a text", self.kind)),
            _ => Err(format!("fault {}: at, every and when exclude each other", self.kind)),
        }
    }

    fn fault(&self) -> Result<Fault, String> {
        let missing = |field: &str| format!("fault {}: {field} is missing", self.kind);
        let bytes = || self.bytes.ok_or(missing("bytes"));
        let count = || self.count.ok_or(missing("count"));
        let time = || self.milliseconds.map(Duration::from_millis).ok_or(missing("milliseconds"));
        Ok(match self.kind.as_str() {
            "slow-reader" => Fault::SlowReader {
                window: u32::try_from(bytes()?).map_err(|error| error.to_string())?,
                pause: time()?,
            },
            "one-stream" => Fault::OneStream,
            "status" => {
                let status = self.status.filter(|s| (400..600).contains(s));
                let status = status.ok_or(missing("a status of 400 to 599"))?;
                match self.on {
                    Place::Channel => Fault::ChannelRefused(status, self.body),
                    _ => Fault::EventRefused(status, self.body),
                }
            }
            "no-hello" => Fault::NoHello,
            "late-hello" => Fault::LateHello(time()?),
            "late-answer" => Fault::LateAnswer(time()?),
            "early-answer" => Fault::EarlyAnswer,
            "truncated-answer" => Fault::TruncatedAnswer,
            "no-closing-delimiter" => Fault::NoClosingDelimiter,
            "endless-attachment" => Fault::EndlessAttachment,
            "endless-part" => Fault::EndlessPart,
            "rubbish" => Fault::Rubbish,
            "trickled" => Fault::Trickled,
            "tiny-frames" => Fault::TinyFrames(count()?),
            "empty-frames" => Fault::EmptyFrames(count()?),
            "header-bomb" => Fault::HeaderBomb(bytes()?),
            "change-settings" => {
                let window = u32::try_from(bytes()?).map_err(|error| error.to_string())?;
                Fault::ChangeSettings(window)
            }
            "reset-event" => Fault::ResetEvent,
            "reset-upload" => Fault::ResetUpload(bytes()?),
            "reset-channel" => Fault::ResetChannel,
            "end-channel" => Fault::EndChannel,
            "goaway" => Fault::Goaway,
            "graceful-goaway" => Fault::GracefulGoaway,
            "tcp-reset" => Fault::TcpReset,
            "black-hole" => Fault::BlackHole,
            other => return Err(format!("there is no fault {other:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_met_in_order_at_their_place_and_count() {
        let mut faults = Faults::default();
        faults.add(Fault::ResetEvent.into());
        faults.add(Fault::NoHello.into());
        faults.add(Fault::Goaway.on(Place::Event).at(3));
        faults.add(Fault::EventStatus(503).on(Place::Event).every(4));
        faults.add(Fault::TcpReset.on(Place::Event).when("Pizza"));
        let met: Vec<_> = (0..8).map(|_| faults.meet(Place::Event)).collect();
        let status = Some(Fault::EventStatus(503));
        let want =
            [Some(Fault::ResetEvent), None, Some(Fault::Goaway), status, None, None, None, status];
        assert_eq!(met, want);
        assert_eq!(faults.meet(Place::Channel), Some(Fault::NoHello));
        assert_eq!(faults.meet(Place::Channel), None);
        assert_eq!(faults.meet_text("Order a PIZZA"), Some(Fault::TcpReset));
        assert_eq!(faults.meet_text("sing"), None);
    }

    #[test]
    fn faults_are_read_from_toml_and_mistakes_are_named() {
        let read = |text: &str| {
            let read = toml::from_str::<FaultToml>(text).map_err(|error| error.to_string());
            read.and_then(FaultToml::build)
        };
        assert_eq!(
            read("on = \"event\"\nat = 2\nkind = \"reset-upload\"\nbytes = 9"),
            Ok(Fault::ResetUpload(9).on(Place::Event).at(2))
        );
        assert_eq!(
            read("on = \"channel\"\nkind = \"status\"\nstatus = 429\nbody = \"json\""),
            Ok(Fault::ChannelRefused(429, ErrorBody::Json).into())
        );
        let rows = [
            ("on = \"event\"\nkind = \"reset-upload\"", "bytes is missing"),
            ("on = \"event\"\nkind = \"no-hello\"", "not on event"),
            ("on = \"event\"\nkind = \"status\"\nstatus = 200", "400 to 599"),
            ("on = \"event\"\nkind = \"hiccup\"", "no fault"),
            ("on = \"channel\"\nkind = \"goaway\"\nwhen = \"x\"", "only events"),
            ("on = \"event\"\nkind = \"goaway\"\nwhen = \"x\"\nat = 1", "exclude"),
            ("on = \"moon\"\nkind = \"goaway\"", "moon"),
            ("on = \"event\"\nkind = \"goaway\"\nhow = 1", "how"),
        ];
        for (text, want) in rows {
            let error = read(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
