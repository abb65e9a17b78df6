//! AudioStreamInfoObject: what is to be played, from where to where, and which progress CIC wants
//! to hear of (interfaces, AudioPlayer). Pure; called by the playback machine.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;

use super::{
    NotPlayback,
    fields::{Fields, merge, to_raw, with},
};
use crate::ids::Token;

/// Bytes of one stream object. Every event carries it, and many events may wait.
pub(super) const MAX_STREAM: usize = 16 * 1024;
/// Shortest interval of progress reports: CIC must not be able to make us report without end.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A stream object and what it says.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    /// Exactly as received, or as merged.
    pub raw: Arc<RawValue>,
    /// What CIC is told that plays: the same, with the fields that every context must have.
    pub told: Arc<RawValue>,
    pub token: Option<Token>,
    /// Can be played now; otherwise CIC must be asked.
    pub is_playable: bool,
    pub begin: Duration,
    /// Where the playable section ends.
    pub end: Option<Duration>,
    pub wanted: Wanted,
}

/// Which progress CIC wants to hear of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Once, after so much playing time.
    pub delay: Option<Duration>,
    /// Each time that so much playing time has passed.
    pub interval: Option<Duration>,
    /// When this position is passed.
    pub position: Option<Duration>,
}

impl Stream {
    /// Reads the stream of a Play; `path` is what errors call it.
    pub fn read(path: &str, raw: &RawValue) -> Result<Self, NotPlayback> {
        if raw.get().len() > MAX_STREAM {
            return Err(NotPlayback::Payload(format!("{path} is larger than {MAX_STREAM} bytes")));
        }
        let fields = Fields::read(path, raw)?;
        let url = fields.needed_text("url")?;
        let begin = fields.millis("beginAtInMilliseconds")?.unwrap_or_default();
        // A section without length cannot be meant.
        let length = fields.millis("durationInMilliseconds")?.filter(|length| !length.is_zero());
        let token = fields.text("token")?.filter(|token| !token.is_empty());
        let said_playable = fields.boolean("urlPlayable")?;
        let is_playable = said_playable.unwrap_or(false) && !url.is_empty();
        let raw: Arc<RawValue> = raw.to_owned().into();
        Ok(Self {
            token: token.map(Into::into),
            is_playable,
            begin,
            end: length.map(|length| begin + length),
            wanted: Wanted::read(&fields)?,
            told: match said_playable {
                Some(_) => raw.clone(),
                None => with(&raw, "urlPlayable", &to_raw(&is_playable)).into(),
            },
            raw,
        })
    }

    /// This stream with what StreamDeliver brings. A new URL without `urlPlayable` is taken for a
    /// playable one: it is all that StreamDeliver is for.
    ///
    /// # Errors
    /// When the result is no stream.
    pub fn merged(&self, brings: &RawValue) -> Result<Self, NotPlayback> {
        let fields = Fields::read("audioStream", brings)?;
        let mut merged = merge(&self.raw, brings);
        if fields.text("url")?.is_some() && fields.boolean("urlPlayable")?.is_none() {
            merged = with(&merged, "urlPlayable", &to_raw(&true));
        }
        Self::read("audioStream", &merged)
    }

    /// What the appliance is given, to begin at `start`: the section ends where it did. The token
    /// is there even if CIC left it out, because the appliance reports by it.
    pub fn to_be_played(&self, start: Duration, token: &Token) -> Arc<RawValue> {
        let mut raw = self.raw.clone();
        let mut set = |name: &str, value: &RawValue| raw = with(&raw, name, value).into();
        if self.token.is_none() {
            set("token", &to_raw(token));
        }
        if start != self.begin {
            set("beginAtInMilliseconds", &to_raw(&millis(start)));
            if let Some(end) = self.end {
                let left = millis(end.saturating_sub(start));
                set("durationInMilliseconds", &to_raw(&left));
            }
        }
        raw
    }
}

impl Wanted {
    fn read(fields: &Fields<'_>) -> Result<Self, NotPlayback> {
        let Some(raw) = fields.raw("progressReport") else { return Ok(Self::default()) };
        let fields = Fields::read("progressReport", raw)?;
        let interval = fields.millis("progressReportIntervalInMilliseconds")?;
        Ok(Self {
            delay: fields.millis("progressReportDelayInMilliseconds")?,
            interval: interval
                .filter(|interval| !interval.is_zero())
                .map(|interval| interval.max(SHORTEST_INTERVAL)),
            position: fields.millis("progressReportPositionInMilliseconds")?,
        })
    }
}

/// Whole milliseconds, as CIC counts.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(stream: Value) -> Result<Stream, NotPlayback> {
        Stream::read("audioItem.stream", &to_raw(&stream))
    }

    fn value(raw: &RawValue) -> Value {
        serde_json::from_str(raw.get()).unwrap()
    }

    #[test]
    fn a_stream_says_where_it_begins_and_ends_and_what_to_report() {
        let stream = read(json!({
            "token": "t", "url": "https://e.net/a.mp3", "urlPlayable": true,
            "beginAtInMilliseconds": 10000, "durationInMilliseconds": 60000,
            "progressReport": {
                "progressReportDelayInMilliseconds": 3000,
                "progressReportIntervalInMilliseconds": 1,
                "progressReportPositionInMilliseconds": null,
            },
        }))
        .unwrap();
        assert!(stream.is_playable);
        assert_eq!(stream.begin, Duration::from_secs(10));
        assert_eq!(stream.end, Some(Duration::from_secs(70)));
        let want = Wanted {
            delay: Some(Duration::from_secs(3)),
            interval: Some(SHORTEST_INTERVAL),
            position: None,
        };
        assert_eq!(stream.wanted, want);
    }

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_wrong_a_name() {
        let stream = read(json!({"url": "clova:x", "durationInMilliseconds": 0})).unwrap();
        assert!(!stream.is_playable, "asked for when in doubt");
        assert_eq!((stream.begin, stream.end, stream.token), (Duration::ZERO, None, None));
        assert_eq!(stream.wanted, Wanted::default());
        let url = |more: Value| {
            let mut stream = json!({"url": "u"});
            stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(stream).unwrap_err().to_string()
        };
        let rows = [
            (json!({"url": null}), "audioItem.stream.url is missing"),
            (json!({"urlPlayable": "yes"}), "audioItem.stream.urlPlayable is no boolean"),
            (
                json!({"beginAtInMilliseconds": -1}),
                "audioItem.stream.beginAtInMilliseconds is no number of milliseconds",
            ),
            (json!({"progressReport": 7}), "progressReport is no object"),
            (json!({"customData": "x".repeat(MAX_STREAM)}), "larger than 16384 bytes"),
        ];
        for (more, want) in rows {
            let told = url(more);
            assert!(told.contains(want), "{told}");
        }
    }

    #[test]
    fn a_delivered_stream_without_url_playable_is_taken_for_playable_and_one_that_denies_it_not() {
        let play = read(json!({"token": "t", "url": "clova:t", "urlPlayable": false})).unwrap();
        let rows = [
            (json!({"url": "https://e.net/a.mp3", "urlPlayable": true}), true),
            (json!({"url": "https://e.net/a.mp3"}), true),
            (json!({"url": "https://e.net/a.mp3", "urlPlayable": false}), false),
            (json!({"urlPlayable": true}), true),
            (json!({}), false),
        ];
        for (brings, want) in rows {
            let merged = play.merged(&to_raw(&brings)).unwrap();
            assert_eq!(merged.is_playable, want, "{brings}");
            let told = value(&merged.raw)["urlPlayable"].as_bool();
            assert_eq!(told, Some(want), "{brings}");
        }
    }

    #[test]
    fn resumed_in_the_middle_a_section_still_ends_where_it_did() {
        let stream = read(json!({"url": "u", "urlPlayable": true,
            "beginAtInMilliseconds": 10000, "durationInMilliseconds": 60000}))
        .unwrap();
        let given = stream.to_be_played(Duration::from_secs(30), &"t".into());
        let want = json!({"token": "t", "url": "u", "urlPlayable": true,
            "beginAtInMilliseconds": 30000, "durationInMilliseconds": 40000});
        assert_eq!(value(&given), want);
    }

    #[test]
    fn cic_is_told_whether_it_can_be_played_even_if_it_did_not_say_so() {
        let rows = [
            (json!({"url": "u"}), json!({"url": "u", "urlPlayable": false})),
            (json!({"url": "u", "urlPlayable": null}), json!({"url": "u", "urlPlayable": false})),
            (json!({"url": "u", "urlPlayable": true}), json!({"url": "u", "urlPlayable": true})),
        ];
        for (received, told) in rows {
            let stream = read(received.clone()).unwrap();
            assert_eq!(value(&stream.told), told);
            assert_eq!(value(&stream.raw), received, "to ask for it, it stays as it was");
        }
    }
}
