//! The steps of a reply become parts.

use serde_json::{Value, json};

use super::{
    accounts::Asked,
    scenario::{DialogueId, Placed, Reply, Step},
    state::{Down, State},
    wire::{self, Part},
};
use crate::ids::random_uuid;

impl Reply {
    /// In the order in which they are sent.
    pub(super) fn parts(&self, asked: &Asked<'_>, state: &State) -> Vec<Part> {
        let own = asked.dialogue;
        let earlier = match own {
            "" => None,
            own => state.note_dialogue(asked.device, own),
        };
        let (mut parts, mut last) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match step {
                Step::Speak { mp3, placed } => {
                    let id = random_uuid();
                    let speak = Part::Directive(speak(Some(own), &id));
                    let mp3 = Part::Attachment(id, mp3.clone());
                    match placed {
                        Placed::Before => parts.extend([mp3, speak]),
                        Placed::After => parts.extend([speak, mp3]),
                        Placed::Last => {
                            parts.push(speak);
                            last.push(mp3);
                        }
                    }
                }
                Step::Expect { question, timeout, explicit } => {
                    let payload = json!({
                        "expectSpeechId": state.ask(question),
                        "explicit": explicit,
                        "timeoutInMilliseconds": timeout,
                    });
                    let expect =
                        wire::directive("SpeechRecognizer", "ExpectSpeech", Some(own), payload);
                    parts.push(Part::Directive(expect));
                }
                Step::Alert(step) => parts.extend(state.carry_out(step, asked)),
                Step::Directive { namespace, name, payload, dialogue, on_channel } => {
                    let id = match dialogue {
                        DialogueId::Own if *on_channel || own.is_empty() => None,
                        DialogueId::Own => Some(own.to_owned()),
                        DialogueId::Stale => earlier.clone().or_else(|| Some(random_uuid())),
                        DialogueId::Foreign => Some(random_uuid()),
                        DialogueId::None => None,
                    };
                    let made = wire::directive(namespace, name, id.as_deref(), payload.clone());
                    state.adopt(asked.device, &made);
                    let part = Part::Directive(made);
                    if *on_channel {
                        state.tell(asked.device, Down::Part(part));
                    } else {
                        parts.push(part);
                    }
                }
            }
        }
        parts.extend(last);
        parts
    }
}

/// A Speak of this attachment.
pub(super) fn speak(dialogue: Option<&str>, content_id: &str) -> Value {
    let payload = json!({
        "format": "AUDIO_MPEG",
        "token": random_uuid(),
        "ttsLang": "en",
        "url": format!("cid:{content_id}"),
        "x-clova-pause-before": 0,
    });
    wire::directive("SpeechSynthesizer", "Speak", dialogue, payload)
}
