//! `AudioPlayer.PlaybackState`, and every event that tells CIC of it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Effect, Playback, Report,
    current::{Announce, Phase},
    fields::to_raw,
    stream::millis,
};
use crate::ids::Token;

/// The context, and with `token` the payload of ReportPlaybackState.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    player_activity: &'static str,
    repeat_mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_in_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_in_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a Token>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Played<'a> {
    token: &'a Token,
    offset_in_milliseconds: u64,
}

impl Playback {
    /// The context with this position.
    pub(super) fn state_at(&self, offset: Duration) -> Arc<RawValue> {
        to_raw(&self.read_state(offset, false)).into()
    }

    /// ReportPlaybackState: the state, and which stream it is of.
    pub(super) fn report_state(&mut self, offset: Duration) {
        let payload = to_raw(&self.read_state(offset, true));
        self.report("ReportPlaybackState", payload, offset);
    }

    /// Tells CIC something of the current item at this position.
    pub(super) fn report_played(&mut self, name: &'static str, offset: Duration) {
        let Some(current) = &self.current else { return };
        let token = &current.item.token;
        let payload = to_raw(&Played { token, offset_in_milliseconds: millis(offset) });
        self.report(name, payload, offset);
    }

    /// Tells CIC that it plays, unless CIC knows.
    pub(super) fn announce(&mut self, offset: Duration) {
        let Some(current) = &mut self.current else { return };
        let announce = std::mem::replace(&mut current.announce, Announce::Known);
        let is_first = !std::mem::replace(&mut current.has_begun, true);
        current.is_open = true;
        current.phase = Phase::Playing;
        if announce == Announce::Start || (announce == Announce::Resume && is_first) {
            self.report_played("PlayStarted", offset);
        }
        if announce == Announce::Resume {
            self.report_played("PlayResumed", offset);
        }
    }

    /// Tells CIC that the queue was cleared.
    pub(super) fn report_cleared(&mut self, payload: Box<RawValue>, offset: Duration) {
        self.report("PlaybackQueueCleared", payload, offset);
    }

    /// Asks CIC something, if it is there.
    pub(super) fn ask(
        &mut self,
        namespace: &'static str,
        name: &'static str,
        payload: Arc<RawValue>,
        offset: Duration,
    ) {
        let state = self.state_at(offset);
        self.effects.push_back(Effect::Ask(Report { namespace, name, payload, state }));
    }

    fn report(&mut self, name: &'static str, payload: Box<RawValue>, offset: Duration) {
        let state = self.state_at(offset);
        let report = Report { namespace: "AudioPlayer", name, payload: payload.into(), state };
        self.effects.push_back(Effect::Report(report));
    }

    fn read_state(&self, offset: Duration, with_token: bool) -> State<'_> {
        let current = self.current.as_ref();
        State {
            player_activity: match current.map(|current| current.phase) {
                None => "IDLE",
                Some(Phase::Playing) => "PLAYING",
                Some(Phase::Paused { .. }) => "PAUSED",
                // A stream is kept.
                Some(_) => "STOPPED",
            },
            repeat_mode: if self.repeat_one { "REPEAT_ONE" } else { "NONE" },
            offset_in_milliseconds: current.map(|_| millis(offset)),
            total_in_milliseconds: current.and_then(|current| current.end()).map(millis),
            stream: current.map(|current| &*current.stream.told),
            token: current.filter(|_| with_token).map(|current| &current.item.token),
        }
    }
}
