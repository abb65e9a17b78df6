//! The streams of one device: what was handed out, what it was merged with, and which of them the
//! device has asked for (flows 4, interfaces AudioPlayer).

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{super::scenario::Delivery, Owed, foreign, text, wire};
use crate::{ids::random_uuid, sim::cic::metadata::Wrong};

/// Streams that are remembered.
const MAX_STREAMS: usize = 256;

/// How far a stream has come, as far as the cloud knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStage {
    /// It has been sent, and nothing was reported.
    Sent,
    /// It plays.
    Playing,
    /// It is paused.
    Paused,
    /// It was stopped.
    Stopped,
    /// It was played to its end.
    Finished,
}

/// A stream as the cloud knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenStream {
    /// `audioItem.audioItemId`.
    pub item: String,
    /// Its token.
    pub token: String,
    /// AudioStreamInfoObject of the Play.
    pub stream: Value,
    /// The same, merged with StreamDeliver.
    pub merged: Value,
    /// How far it has come.
    pub stage: StreamStage,
    /// How often StreamRequested has come for it.
    pub requested: usize,
    /// The names of the events that told of it, in order.
    pub reports: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) seen: SeenStream,
    audio_item: Value,
    dialogue: Option<String>,
    /// PlayResumed may come.
    pub(super) may_resume: bool,
}

/// All streams, and questions about them.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) all: VecDeque<Stream>,
    pub(super) owed: Owed,
}

impl Streams {
    pub(super) fn note(&mut self, name: &str, payload: &Value, dialogue: Option<&str>) {
        match name {
            "Play" => self.note_play(&payload["audioItem"], dialogue),
            "StreamDeliver" => self.note_delivery(payload),
            "ClearQueue" => self.owed.add("ClearQueue", payload["clearBehavior"].clone()),
            "ExpectReportPlaybackState" => self.owed.add(name, Value::Null),
            _ => {}
        }
    }

    pub(super) fn view(&self) -> Vec<SeenStream> {
        self.all.iter().map(|stream| stream.seen.clone()).collect()
    }

    /// The newest of a token: the same may be played again and again.
    pub(super) fn of(&mut self, token: &str) -> Option<&mut Stream> {
        self.all.iter_mut().rev().find(|stream| stream.seen.token == token)
    }

    fn note_play(&mut self, item: &Value, dialogue: Option<&str>) {
        let stream = &item["stream"];
        let id = text(item, "audioItemId");
        let token = stream["token"].as_str().filter(|token| !token.is_empty()).unwrap_or(id);
        if token.is_empty() || !stream.is_object() {
            return;
        }
        // What plays under the same token is still reported on.
        self.all.retain(|known| known.seen.token != token || known.is_live());
        let seen = SeenStream {
            item: id.to_owned(),
            token: token.to_owned(),
            stream: stream.clone(),
            merged: stream.clone(),
            stage: StreamStage::Sent,
            requested: 0,
            reports: Vec::new(),
        };
        let dialogue = dialogue.map(str::to_owned);
        let stream = Stream { seen, audio_item: item.clone(), dialogue, may_resume: false };
        self.all.push_back(stream);
        if self.all.len() > MAX_STREAMS {
            self.all.pop_front();
        }
    }

    fn note_delivery(&mut self, payload: &Value) {
        let (item, brings) = (text(payload, "audioItemId"), &payload["audioStream"]);
        let token = text(brings, "token");
        let meant = |stream: &&mut Stream| match stream.seen.item.as_str() {
            "" => stream.seen.token == token,
            own => own == item,
        };
        let awaited = |stream: &&mut Stream| stream.seen.requested > 0;
        if let Some(stream) = self.all.iter_mut().rev().filter(awaited).find(meant) {
            stream.seen.merged = merged(&stream.seen.stream, brings);
        }
    }

    /// StreamRequested: only for what was handed out, with the stream exactly as it was, and not
    /// while another stream plays.
    pub(super) fn request(
        &mut self,
        payload: &Value,
        deliveries: &[Delivery],
    ) -> Result<Vec<Value>, Wrong> {
        let (item, asked) = (text(payload, "audioItemId"), &payload["audioStream"]);
        let playing = self
            .all
            .iter()
            .find(|stream| stream.seen.stage == StreamStage::Playing && stream.seen.item != item);
        if let Some(playing) = playing {
            let token = &playing.seen.token;
            return Err(format!("StreamRequested of {item} while {token} plays"));
        }
        let mut of_this = self.all.iter_mut().rev().filter(|stream| stream.seen.item == item);
        let Some(stream) = of_this.next() else {
            return Err(format!("StreamRequested of {item}, which was never sent"));
        };
        if stream.seen.stream["urlPlayable"] == true {
            return Err(format!("StreamRequested of {item}, which can be played"));
        }
        if stream.seen.stream != *asked {
            return Err(format!("StreamRequested of {item} with another stream than it was sent"));
        }
        stream.seen.requested += 1;
        Ok(stream.deliver(deliveries).into_iter().collect())
    }

    /// Play of a track by its token, as after the user chose it.
    pub(super) fn play_again(&mut self, token: &str) -> Value {
        let known = self.of(token).map(|stream| stream.audio_item.clone());
        match known {
            Some(mut item) => {
                item["audioItemId"] = random_uuid().into();
                play_item(item)
            }
            None => play(token),
        }
    }
}

impl Stream {
    /// Whether something more is to be reported of it.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.seen.stage, StreamStage::Playing | StreamStage::Paused)
    }

    /// StreamDeliver, with the dialogue id of the Play that it completes; nothing when the scenario
    /// refuses the item.
    fn deliver(&self, deliveries: &[Delivery]) -> Option<Value> {
        let token = &self.seen.token;
        let known = deliveries.iter().find(|delivery| delivery.fits(token));
        let stream = match known {
            Some(delivery) => delivery.stream.clone()?,
            None => json!({
                "token": token, "urlPlayable": true, "format": "audio/mpeg",
                "url": format!("https://music.example/{token}.mp3"),
            }),
        };
        let payload = json!({"audioItemId": self.seen.item, "audioStream": stream});
        let dialogue = self.dialogue.as_deref();
        Some(wire::directive("AudioPlayer", "StreamDeliver", dialogue, payload))
    }
}

/// Play of a track that can be played at once.
pub(super) fn play(token: &str) -> Value {
    play_item(json!({
        "audioItemId": random_uuid(),
        "titleText": "A song", "titleSubText1": "The simulated band", "type": "simulated",
        "stream": {
            "token": token, "url": format!("https://music.example/{token}.mp3"),
            "urlPlayable": true, "beginAtInMilliseconds": 0,
        },
    }))
}

fn play_item(item: Value) -> Value {
    let source = json!({"name": "Simulated music"});
    let payload = json!({"audioItem": item, "playBehavior": "REPLACE_ALL", "source": source});
    foreign("AudioPlayer", "Play", payload)
}

/// Leaf by leaf: `null` is absent and erases nothing.
fn merged(stored: &Value, brings: &Value) -> Value {
    match (stored, brings) {
        (Value::Object(stored), Value::Object(brings)) => {
            let mut all: Map<String, Value> = stored.clone();
            for (name, value) in brings {
                let before = stored.get(name).unwrap_or(&Value::Null);
                all.insert(name.clone(), merged(before, value));
            }
            Value::Object(all)
        }
        (stored, Value::Null) => stored.clone(),
        (_, brings) => brings.clone(),
    }
}
