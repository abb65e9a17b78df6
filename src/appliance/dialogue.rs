//! Dialogue ids: which answers are still wanted (dialogue 1, 2). Pure; called by the core.
//!
//! The latest id changes only when a Recognize has been **sent completely** (D5). Until then the
//! id is *in flight*: StopCapture and its like are accepted for it, other answers are held back.

use std::collections::VecDeque;

use crate::{
    cic::{
        directive::Directive,
        message::{RequestKey, Source},
    },
    ids::DialogRequestId,
};

/// Own ids that are remembered to tell a superseded dialogue from a foreign one.
const REMEMBERED: usize = 64;

/// What is to be done with a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Carry it out at once, past the queue.
    Immediate,
    /// Append it to the message queue.
    Queue,
    /// It steers the utterance in flight (StopCapture, ShowRecognizedText, KeepRecording).
    Capture,
    /// It answers the request in flight: keep it until that has been sent.
    Hold,
    /// It belongs to something that nobody waits for any more.
    Discard,
}

/// What the event was, in whose response a directive came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The downchannel.
    Downchannel,
    /// The response of a Recognize (speech or text).
    Recognize,
    /// The response of an event without dialogue id.
    Event,
}

/// The latest id, the one in flight, and those before.
#[derive(Debug, Default)]
pub struct Dialogues {
    latest: Option<DialogRequestId>,
    in_flight: Option<(RequestKey, DialogRequestId)>,
    own: VecDeque<DialogRequestId>,
}

impl Dialogues {
    /// A Recognize with this id starts being sent. The caller has ended an earlier one.
    pub fn begin(&mut self, key: RequestKey, id: DialogRequestId) {
        if !self.own.contains(&id) {
            self.own.push_back(id.clone());
            if self.own.len() > REMEMBERED {
                self.own.pop_front();
            }
        }
        self.in_flight = Some((key, id));
    }

    /// The Recognize has been sent completely (D5). Returns the id that it superseded.
    pub fn sent(&mut self, key: RequestKey) -> Option<DialogRequestId> {
        let (_, id) = self.in_flight.take_if(|(flying, _)| *flying == key)?;
        if self.latest.as_ref() == Some(&id) {
            return None;
        }
        self.latest.replace(id)
    }

    /// Sending was cancelled or failed: the latest id stays as it was (D6).
    pub fn cancel(&mut self, key: RequestKey) {
        self.in_flight.take_if(|(flying, _)| *flying == key);
    }

    /// The latest dialogue id (D4).
    pub fn latest(&self) -> Option<&DialogRequestId> {
        self.latest.as_ref()
    }

    /// The id of the Recognize that is being sent.
    pub fn in_flight(&self) -> Option<&DialogRequestId> {
        self.in_flight.as_ref().map(|(_, id)| id)
    }

    /// The request that is being sent.
    pub fn in_flight_key(&self) -> Option<RequestKey> {
        self.in_flight.as_ref().map(|(key, _)| *key)
    }

    /// Decides about a directive (dialogue 2, 2.1 and 2.2).
    pub fn judge(&self, directive: &Directive, origin: Origin) -> Verdict {
        let Some(id) = &directive.dialog_request_id else {
            return self.judge_nameless(directive);
        };
        let flying = self.in_flight() == Some(id);
        if steers_capture(directive) {
            return if flying { Verdict::Capture } else { Verdict::Discard };
        }
        // An ExpectSpeech that arrives while another request is being sent is stale (dialogue 5).
        if directive.is("SpeechRecognizer", "ExpectSpeech") && self.in_flight.is_some() && !flying {
            return Verdict::Discard;
        }
        if self.latest.as_ref() == Some(id) {
            return Verdict::Queue;
        }
        if flying {
            return Verdict::Hold;
        }
        self.judge_foreign(directive, id, origin)
    }

    /// Without an id it is carried out at once; the utterance that it steers can only be the one
    /// that is being spoken.
    fn judge_nameless(&self, directive: &Directive) -> Verdict {
        match (steers_capture(directive), self.in_flight.is_some()) {
            (false, _) => Verdict::Immediate,
            (true, true) => Verdict::Capture,
            (true, false) => Verdict::Discard,
        }
    }

    /// The table of dialogue 2.2: an id that is neither the latest nor in flight.
    fn judge_foreign(
        &self,
        directive: &Directive,
        id: &DialogRequestId,
        origin: Origin,
    ) -> Verdict {
        match (origin, self.own.contains(id), is_spoken(directive)) {
            (Origin::Event, true, true) => Verdict::Discard,
            (Origin::Event, true, false) => Verdict::Immediate,
            (Origin::Event, false, _) => Verdict::Queue,
            (Origin::Recognize, ..) => Verdict::Discard,
            (Origin::Downchannel, true, _) => Verdict::Discard,
            (Origin::Downchannel, false, true) => Verdict::Discard,
            (Origin::Downchannel, false, false) => Verdict::Immediate,
        }
    }

    /// Where a directive came from, given what its request was.
    pub fn origin(source: Source, is_recognize: bool) -> Origin {
        match source {
            Source::Downchannel => Origin::Downchannel,
            Source::Response(_) if is_recognize => Origin::Recognize,
            Source::Response(_) => Origin::Event,
        }
    }
}

/// StopCapture and its like, which come before their id is the latest (dialogue 2.1).
fn steers_capture(directive: &Directive) -> bool {
    directive.namespace == "SpeechRecognizer"
        && matches!(
            directive.name.as_str(),
            "StopCapture" | "ShowRecognizedText" | "KeepRecording" | "ConfirmWakeUp"
        )
}

/// "Spoken output" of the table in dialogue 2.2.
fn is_spoken(directive: &Directive) -> bool {
    match directive.namespace.as_str() {
        "SpeechRecognizer" => true,
        "SpeechSynthesizer" => directive.name == "Speak",
        "Clova" => {
            matches!(directive.name.as_str(), "RenderText" | "RenderTemplate" | "RenderSuggestion")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    const A: RequestKey = RequestKey(1);
    const B: RequestKey = RequestKey(2);

    fn directive(full_name: &str, id: Option<&str>) -> Directive {
        let (namespace, name) = full_name.split_once('.').expect("Namespace.Name");
        Directive {
            namespace: namespace.into(),
            name: name.into(),
            message_id: "m".into(),
            dialog_request_id: id.map(Into::into),
            payload: RawValue::from_string("{}".into()).unwrap(),
        }
    }

    /// A dialogue `old` was superseded by `latest`; `flying` is being sent.
    fn dialogues() -> Dialogues {
        let mut d = Dialogues::default();
        d.begin(RequestKey(8), "old".into());
        d.sent(RequestKey(8));
        d.begin(RequestKey(9), "latest".into());
        d.sent(RequestKey(9));
        d.begin(A, "flying".into());
        d
    }

    #[test]
    fn the_latest_id_changes_only_when_the_recognize_has_been_sent() {
        let mut d = Dialogues::default();
        d.begin(A, "a".into());
        assert_eq!(d.latest(), None);
        assert_eq!(d.sent(B), None, "another request's end is not this one's");
        assert_eq!(d.latest(), None);
        assert_eq!(d.sent(A), None, "nothing was superseded");
        assert_eq!(d.latest(), Some(&"a".into()));
        d.begin(B, "b".into());
        assert_eq!(d.latest(), Some(&"a".into()));
        assert_eq!(d.sent(B), Some("a".into()));
        assert_eq!(d.latest(), Some(&"b".into()));
    }

    #[test]
    fn a_cancelled_recognize_leaves_the_old_dialogue_alive() {
        let mut d = dialogues();
        d.cancel(A);
        assert_eq!((d.latest(), d.in_flight()), (Some(&"latest".into()), None));
        let late = directive("SpeechSynthesizer.Speak", Some("flying"));
        assert_eq!(d.judge(&late, Origin::Recognize), Verdict::Discard);
        assert_eq!(d.judge(&late, Origin::Downchannel), Verdict::Discard);
        let old = directive("SpeechSynthesizer.Speak", Some("latest"));
        assert_eq!(d.judge(&old, Origin::Recognize), Verdict::Queue);
    }

    #[test]
    fn a_further_turn_with_the_same_id_supersedes_nothing() {
        let mut d = Dialogues::default();
        d.begin(A, "a".into());
        d.sent(A);
        d.begin(B, "a".into());
        assert_eq!(d.sent(B), None);
        assert_eq!(d.latest(), Some(&"a".into()));
    }

    #[test]
    fn every_row_of_the_tables_in_dialogue_2_holds() {
        use Origin::{Downchannel, Event, Recognize};
        use Verdict::{Capture, Discard, Hold, Immediate, Queue};
        let speak = "SpeechSynthesizer.Speak";
        let render = "Clova.RenderTemplate";
        let control = "DeviceControl.ExpectReportState";
        let deliver = "AudioPlayer.StreamDeliver";
        let stop = "SpeechRecognizer.StopCapture";
        let rows: &[(&str, Option<&str>, Origin, Verdict)] = &[
            (speak, None, Downchannel, Immediate),
            (control, None, Downchannel, Immediate),
            (speak, Some("latest"), Recognize, Queue),
            (render, Some("latest"), Downchannel, Queue),
            (speak, Some("flying"), Recognize, Hold),
            (render, Some("flying"), Downchannel, Hold),
            (stop, Some("flying"), Downchannel, Capture),
            ("SpeechRecognizer.ShowRecognizedText", Some("flying"), Downchannel, Capture),
            ("SpeechRecognizer.KeepRecording", Some("flying"), Recognize, Capture),
            (stop, Some("latest"), Downchannel, Discard),
            (stop, Some("old"), Downchannel, Discard),
            (stop, Some("foreign"), Downchannel, Discard),
            ("SpeechRecognizer.ExpectSpeech", Some("latest"), Recognize, Discard),
            (speak, Some("old"), Event, Discard),
            (deliver, Some("old"), Event, Immediate),
            (speak, Some("foreign"), Event, Queue),
            (deliver, Some("foreign"), Event, Queue),
            (speak, Some("old"), Recognize, Discard),
            (deliver, Some("foreign"), Recognize, Discard),
            (control, Some("old"), Downchannel, Discard),
            (speak, Some("foreign"), Downchannel, Discard),
            (control, Some("foreign"), Downchannel, Immediate),
            (stop, None, Downchannel, Capture),
        ];
        for (name, id, origin, verdict) in rows {
            let judged = dialogues().judge(&directive(name, *id), *origin);
            assert_eq!(judged, *verdict, "{name} {id:?} {origin:?}");
        }
    }

    #[test]
    fn nobody_is_stopped_who_does_not_speak() {
        let mut d = dialogues();
        d.cancel(A);
        let judged = d.judge(&directive("SpeechRecognizer.StopCapture", None), Origin::Downchannel);
        assert_eq!(judged, Verdict::Discard);
    }

    #[test]
    fn only_so_many_own_ids_are_remembered() {
        let mut d = Dialogues::default();
        for n in 0..1000 {
            d.begin(RequestKey(n), format!("id{n}").into());
            d.sent(RequestKey(n));
        }
        assert_eq!(d.own.len(), REMEMBERED);
    }
}
