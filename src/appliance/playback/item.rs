//! One Play of CIC's: what it orders, and how it is passed on (interfaces, AudioPlayer). Pure;
//! called by the playback machine.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    MAX_BYTES, NotPlayback,
    fields::{Fields, to_raw, with},
    stream::Stream,
};
use crate::{
    cic::directive::Directive,
    ids::{DialogRequestId, MessageId, Token},
};

/// `playBehavior`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    /// Empty the queue and play this at once.
    ReplaceAll,
    /// Append to the queue. Also for what no guide tells of: it disturbs nothing.
    Enqueue,
}

/// A Play that is playing, waits, or has been played.
#[derive(Debug)]
pub(super) struct Item {
    /// `audioItem.audioItemId`; one sample of the guide has none.
    pub id: Option<Box<str>>,
    /// `header.messageId`.
    pub message_id: MessageId,
    /// `audioItem.stream`, as received.
    pub stream: Stream,
    /// The token by which it is reported: the stream's, or else the item's id.
    pub token: Token,
    payload: Box<RawValue>,
    times_told: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamRequested<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_item_id: Option<&'a str>,
    audio_stream: &'a RawValue,
}

impl Item {
    /// Reads a Play.
    pub fn read(directive: &Directive) -> Result<(Behavior, Self), NotPlayback> {
        if directive.payload.get().len() > MAX_BYTES / 2 {
            return Err(NotPlayback::Payload("it is too large for the play queue".into()));
        }
        let payload = Fields::read("payload", &directive.payload)?;
        let behavior = match payload.text("playBehavior")?.as_deref() {
            Some("REPLACE_ALL") => Behavior::ReplaceAll,
            _ => Behavior::Enqueue,
        };
        let item = Fields::read("audioItem", payload.needed_raw("audioItem")?)?;
        let id = item.text("audioItemId")?.filter(|id| !id.is_empty());
        let stream = Stream::read("audioItem.stream", item.needed_raw("stream")?)?;
        let token = stream.token.clone().or_else(|| id.as_deref().map(Token::from));
        let token = token.ok_or_else(|| {
            NotPlayback::Payload("neither a token nor an audioItemId names it".into())
        })?;
        let item = Self {
            id: id.map(Into::into),
            message_id: directive.message_id.clone(),
            stream,
            token,
            payload: directive.payload.clone(),
            times_told: 0,
        };
        Ok((behavior, item))
    }

    /// Bytes that it holds in memory, roughly.
    pub fn size(&self) -> usize {
        self.payload.get().len() + self.stream.raw.get().len() + 512
    }

    /// Payload of StreamRequested: the stream exactly as received.
    pub fn request(&self) -> Arc<RawValue> {
        let (audio_item_id, audio_stream) = (self.id.as_deref(), &*self.stream.raw);
        to_raw(&StreamRequested { audio_item_id, audio_stream }).into()
    }

    /// Whether StreamDeliver is for this item.
    pub fn is_meant(&self, id: Option<&str>, token: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => **own == *id,
            _ => token.is_some_and(|token| token == self.token.as_str()),
        }
    }

    /// CIC's Play with a stream that can be played now, beginning at `start`. Each time that the
    /// same Play is told again it has another `messageId`, because the appliance may take the same
    /// one for a repetition by the broker.
    pub fn order(
        &mut self,
        stream: &Stream,
        start: Duration,
        dialogue: Option<DialogRequestId>,
    ) -> Directive {
        self.times_told += 1;
        let message_id = match self.times_told {
            1 => self.message_id.clone(),
            n => format!("{}-{n}", self.message_id).into(),
        };
        let given = stream.to_be_played(start, &self.token);
        let payload = match given.get() == self.stream.raw.get() {
            true => self.payload.clone(),
            false => self.payload_with(&given),
        };
        Directive {
            namespace: "AudioPlayer".into(),
            name: "Play".into(),
            message_id,
            dialog_request_id: dialogue,
            payload,
        }
    }

    fn payload_with(&self, stream: &RawValue) -> Box<RawValue> {
        let payload = Fields::read("payload", &self.payload).ok();
        let item = payload.and_then(|payload| payload.raw("audioItem"));
        let item = item.map(|item| with(item, "stream", stream));
        item.map_or_else(|| self.payload.clone(), |item| with(&self.payload, "audioItem", &item))
    }
}
