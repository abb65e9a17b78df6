//! What the device reports of its streams: in the right order, with a position inside the section,
//! and with the stream as it was handed out in the context (flows 4.1, 6).

use serde_json::Value;

use super::{
    playback::{Stream, StreamStage, Streams},
    text,
};
use crate::sim::cic::{
    metadata::{Metadata, Wrong},
    scenario::Delivery,
};

use StreamStage::{Finished, Paused, Playing, Sent, Stopped};

impl Streams {
    pub(super) fn take(
        &mut self,
        name: &str,
        event: &Metadata,
        deliveries: &[Delivery],
    ) -> Result<Vec<Value>, Wrong> {
        let payload = &event.payload;
        match name {
            "StreamRequested" => return self.request(payload, deliveries),
            "PlaybackQueueCleared" => {
                let cleared = &payload["clearBehavior"];
                if self.owed.settle("ClearQueue", |ordered| ordered == cleared).is_none() {
                    return Err(format!("{name}: no ClearQueue with {cleared} was sent"));
                }
            }
            "ReportPlaybackState" => {
                if self.owed.settle("ExpectReportPlaybackState", |_| true).is_none() {
                    return Err(format!("{name}: nobody asked"));
                }
                self.check_stream(&payload["stream"], text(payload, "token"))?;
            }
            "RequestPlaybackState" => {}
            _ => {
                self.check_state(event)?;
                return self.report(name, event).map(|()| Vec::new());
            }
        }
        self.check_state(event).map(|()| Vec::new())
    }

    /// A stream in a payload or context is one that was handed out, as it was or merged.
    fn check_stream(&mut self, stream: &Value, token: &str) -> Result<(), Wrong> {
        if stream.is_null() {
            return Ok(());
        }
        let token = stream["token"].as_str().unwrap_or(token);
        let mut known =
            self.all.iter().filter(|known| token.is_empty() || known.seen.token == token);
        let is_it = |known: &Stream| known.seen.merged == *stream || known.seen.stream == *stream;
        match known.any(is_it) {
            true => Ok(()),
            false => Err(format!("the stream {token} is not as it was sent and merged")),
        }
    }

    fn check_state(&mut self, event: &Metadata) -> Result<(), Wrong> {
        let state = event.object("AudioPlayer", "PlaybackState");
        if state.is_null() {
            return Err(format!("{} without AudioPlayer.PlaybackState", event.name));
        }
        self.check_stream(&state["stream"], "")
    }

    fn report(&mut self, name: &str, event: &Metadata) -> Result<(), Wrong> {
        let token = text(&event.payload, "token");
        let offset = event.payload["offsetInMilliseconds"].as_u64().unwrap_or(0);
        let Some(stream) = self.of_report(name, token) else {
            return Err(match self.of(token) {
                None => format!("{name} of {token}, which was never sent"),
                Some(stream) => format!("{name} of {token}, which is {:?}", stream.seen.stage),
            });
        };
        stream.check_section(name, offset)?;
        stream.check_wanted(name)?;
        let shown = event.object("AudioPlayer", "PlaybackState");
        let stage = stream.after(name);
        let activity = match stage {
            Playing => "PLAYING",
            Paused => "PAUSED",
            Sent | Stopped | Finished => "STOPPED",
        };
        if shown["playerActivity"] != activity {
            return Err(format!("{name} with playerActivity {}", shown["playerActivity"]));
        }
        if shown["offsetInMilliseconds"].as_u64() != Some(offset) {
            return Err(format!("{name}: the offsets of context and payload differ"));
        }
        stream.advance(name, stage);
        Ok(())
    }

    /// The stream of this token of which this can be told now: a token may have been handed out
    /// again while it played.
    fn of_report(&mut self, name: &str, token: &str) -> Option<&mut Stream> {
        self.all.iter_mut().find(|stream| stream.seen.token == token && stream.may(name))
    }
}

impl Stream {
    /// Whether this may be told of it now.
    fn may(&self, name: &str) -> bool {
        let stage = self.seen.stage;
        match name {
            // Also again, from its beginning: Replay, repeat, Previous.
            "PlayStarted" => true,
            "PlayPaused" => matches!(stage, Sent | Playing),
            "PlayResumed" => self.may_resume && matches!(stage, Paused | Stopped | Playing),
            "PlayStopped" => matches!(stage, Sent | Playing | Paused),
            // Paused, if the user sought to its end or past the report position.
            _ => matches!(stage, Playing | Paused),
        }
    }

    /// The position is inside the section that may be played.
    fn check_section(&self, name: &str, offset: u64) -> Result<(), Wrong> {
        let millis = |field: &str| self.seen.merged[field].as_u64();
        let begin = millis("beginAtInMilliseconds").unwrap_or(0);
        let length = millis("durationInMilliseconds").filter(|length| *length > 0);
        let is_after = length.is_some_and(|length| offset > begin + length);
        match offset < begin || is_after {
            true => Err(format!("{name} at {offset} ms, outside the section")),
            false => Ok(()),
        }
    }

    /// Progress is reported only if CIC wants to know.
    fn check_wanted(&self, name: &str) -> Result<(), Wrong> {
        let kind = name.strip_prefix("ProgressReport").and_then(|kind| kind.strip_suffix("Passed"));
        let Some(kind) = kind else { return Ok(()) };
        let field = format!("progressReport{kind}InMilliseconds");
        let wanted = &self.seen.merged["progressReport"][field];
        if !wanted.is_u64() {
            return Err(format!("{name}, which nobody asked for"));
        }
        let again = self.seen.reports.iter().rev().take_while(|told| *told != "PlayStarted");
        let is_again = kind == "Delay" && again.into_iter().any(|told| told == name);
        match is_again {
            true => Err(format!("{name} more than once")),
            false => Ok(()),
        }
    }

    fn after(&self, name: &str) -> StreamStage {
        match name {
            "PlayStarted" | "PlayResumed" => Playing,
            "PlayPaused" => Paused,
            "PlayStopped" => Stopped,
            "PlayFinished" => Finished,
            _ => self.seen.stage,
        }
    }

    fn advance(&mut self, name: &str, stage: StreamStage) {
        self.seen.stage = stage;
        self.seen.reports.push(name.to_owned());
        self.may_resume &= name != "PlayResumed";
        self.may_resume |= matches!(stage, Paused | Stopped);
    }
}
