//! What CIC answers, orders and repeats.

use std::time::Duration;

use bytes::Bytes;
use cic_gateway::cic::{
    directive::Directive,
    message::{AttachmentEvent, Notice, Outcome, RequestKey, Source},
};
use jiff::SignedDuration;
use rand::{Rng, seq::IndexedRandom};
use serde_json::{Value, json, value::RawValue};

use crate::{
    accounts::CloudAlert,
    cloud::{Act, Request, dialogue_of},
    occurrences::active_alerts,
    world::{Event, World},
};

const KINDS: [&str; 4] = ["ALARM", "TIMER", "REMINDER", "ACTIONTIMER"];
const ORDERS: [(&str, &str); 12] = [
    ("DeviceControl.TurnOn", r#"{"target":"wifi"}"#),
    ("DeviceControl.Increase", r#"{"target":"volume","value":"2"}"#),
    ("DeviceControl.SetValue", r#"{"target":"volume","value":"5"}"#),
    ("DeviceControl.TurnOff", r#"{"target":"toaster"}"#),
    ("DeviceControl.ExpectReportState", r#"{"durationInSeconds":60,"intervalInSeconds":20}"#),
    ("Settings.ExpectReport", "{}"),
    ("Settings.Update", r#"{"configuration":{"VoiceTypeChange":"a"}}"#),
    ("Notifier.SetIndicator", r#"{"new":true,"light":"ON","sound":""}"#),
    ("Clova.HandleDelegatedEvent", r#"{"delegationId":"d"}"#),
    ("AudioPlayer.ExpectReportPlaybackState", r#"{"token":"x"}"#),
    ("Clova.NobodyKnowsThis", "{}"),
    ("PlaybackController.ExpectPauseCommand", "{}"),
];

impl World {
    /// A directive with a message id of its own; the checker knows whose it is.
    pub fn directive(
        &mut self,
        full_name: &str,
        dialogue: Option<String>,
        payload: Value,
    ) -> Directive {
        let (namespace, name) = full_name.split_once('.').unwrap();
        Directive {
            namespace: namespace.into(),
            name: name.into(),
            message_id: self.accounts.name("m").into(),
            dialog_request_id: dialogue.map(Into::into),
            payload: RawValue::from_string(payload.to_string()).unwrap(),
        }
    }

    /// CIC has the request, and answers.
    pub fn answer(&mut self, request: Request) {
        let Request { connection, key, metadata } = request;
        let header = &metadata["event"]["header"];
        let (namespace, name) = (header["namespace"].as_str(), header["name"].as_str());
        let is_recognize = name == Some("Recognize");
        self.tell(|| format!("  CIC has {namespace:?} {name:?}"));
        self.check_event(connection, &metadata);
        let id = header["messageId"].as_str().unwrap().to_owned();
        let is_first = self.accounts.taken.insert(id);
        if is_first && namespace == Some("Alerts") {
            self.alert_event(&metadata);
        }
        // Taken, but the gateway does not learn it.
        if self.cloud.mood == crate::cloud::Mood::Flaky && self.chance(8) {
            return self.break_off(connection, key);
        }
        if is_recognize {
            self.answer_recognize(connection, key, dialogue_of(&metadata));
        } else {
            self.answer_event(connection, key, &metadata);
        }
    }

    fn answer_event(&mut self, number: usize, key: RequestKey, metadata: &Value) {
        let event = &metadata["event"];
        let (name, payload) = (event["header"]["name"].as_str().unwrap(), &event["payload"]);
        let wait = self.ms(10..400);
        let mut orders = Vec::new();
        if name == "StreamRequested" && !self.chance(6) {
            let mut stream = payload["audioStream"].clone();
            stream["url"] = json!("https://media.example.com/a.mp3");
            stream["urlPlayable"] = json!(true);
            let item = payload["audioItemId"].clone();
            orders.push((
                "AudioPlayer.StreamDeliver",
                json!({"audioItemId": item,
                "audioStream": stream}),
            ));
        } else if name.ends_with("CommandIssued") {
            let order = ["Pause", "Resume", "Stop", "Next"].choose(&mut self.rng).unwrap();
            let order = ["PlaybackController.Pause", "PlaybackController.Resume"]
                .into_iter()
                .find(|known| known.ends_with(order))
                .unwrap_or("PlaybackController.Stop");
            orders.push((order, json!({})));
        } else if self.chance(6) {
            orders.push(("Clova.RenderText", json!({"text": {"type": "string", "value": "x"}})));
        }
        let status = if orders.is_empty() { 204 } else { 200 };
        self.notify(number, wait, Notice::Response { key, status, took: wait });
        for (name, payload) in orders {
            // Whose dialogue that is, nobody says (dialogue 2.2).
            let dialogue = self.some_dialogue();
            let directive = self.directive(name, dialogue, payload);
            let source = Source::Response(key);
            self.checker.sent(&directive, source, true);
            self.notify(number, Duration::ZERO, Notice::Directive { source, directive });
        }
        let outcome = Outcome::Done;
        self.notify(number, Duration::ZERO, Notice::Finished { key, outcome });
    }

    /// None, one of the gateway's, or one that nobody knows.
    fn some_dialogue(&mut self) -> Option<String> {
        match self.rng.random_range(0..4) {
            0 => None,
            1 => Some(self.accounts.name("foreign")),
            _ => self.checker.some_dialogue(&mut self.rng),
        }
    }

    fn answer_recognize(&mut self, number: usize, key: RequestKey, dialogue: String) {
        let source = Source::Response(key);
        let slow = self.chance(10);
        let wait = self.ms(if slow { 3000..25_000 } else { 50..1500 });
        if self.chance(12) {
            self.notify(number, wait, Notice::Response { key, status: 204, took: wait });
            let outcome = Outcome::Done;
            return self.notify(number, Duration::ZERO, Notice::Finished { key, outcome });
        }
        self.notify(number, wait, Notice::Response { key, status: 200, took: wait });
        let mut late = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            self.say_something(number, source, &dialogue, &mut late);
        }
        if self.chance(5) {
            let id = self.accounts.name("question");
            let payload = json!({"expectSpeechId": id, "explicit": self.rng.random::<bool>(),
                "timeoutInMilliseconds": 7000});
            self.say(number, source, "SpeechRecognizer.ExpectSpeech", &dialogue, payload);
        }
        late.into_iter().for_each(|cid: String| self.attach(number, source, &cid));
        let outcome = match self.chance(20) {
            true => Outcome::Broken("cut off".into()),
            false => Outcome::Done,
        };
        let wait = self.ms(0..200);
        self.notify(number, wait, Notice::Finished { key, outcome });
    }

    fn say(
        &mut self,
        number: usize,
        source: Source,
        name: &'static str,
        dialogue: &str,
        payload: Value,
    ) {
        let stale = self.chance(25);
        let dialogue = if stale { self.some_dialogue() } else { Some(dialogue.to_owned()) };
        self.note_order(name, &payload);
        let directive = self.directive(name, dialogue, payload);
        self.checker.sent(&directive, source, false);
        let wait = self.ms(0..80);
        self.notify(number, wait, Notice::Directive { source, directive });
    }

    fn say_something(
        &mut self,
        number: usize,
        source: Source,
        dialogue: &str,
        late: &mut Vec<String>,
    ) {
        match self.rng.random_range(0..12) {
            0..5 => self.speak(number, source, dialogue, late),
            5..7 => {
                let (name, payload) = self.alert_order();
                self.say(number, source, name, dialogue, payload);
            }
            7..9 => {
                let (name, payload) = self.music();
                self.say(number, source, name, dialogue, payload);
            }
            9..11 => {
                let (name, payload) = *ORDERS.choose(&mut self.rng).unwrap();
                let payload = serde_json::from_str(payload).unwrap();
                self.say(number, source, name, dialogue, payload);
            }
            _ => {
                let payload = json!({"type": "CardList"});
                self.say(number, source, "Clova.RenderTemplate", dialogue, payload);
            }
        }
    }

    fn speak(&mut self, number: usize, source: Source, dialogue: &str, late: &mut Vec<String>) {
        let (token, cid) = (self.accounts.name("speak"), self.accounts.name("cid"));
        let payload = json!({"token": token, "format": "AUDIO_MPEG", "url": format!("cid:{cid}")});
        let is_early = self.chance(4);
        if is_early {
            self.attach(number, source, &cid);
        }
        self.say(number, source, "SpeechSynthesizer.Speak", dialogue, payload);
        match self.rng.random_range(0..10) {
            _ if is_early => {}
            0 => {} // it never comes
            1..4 => late.push(cid),
            _ => self.attach(number, source, &cid),
        }
    }

    fn attach(&mut self, number: usize, source: Source, cid: &str) {
        let content_type = "application/octet-stream".to_owned();
        let mut events = vec![AttachmentEvent::Begin { content_type }];
        for _ in 0..self.rng.random_range(1..5) {
            events.push(AttachmentEvent::Data(Bytes::from_static(&[7; 1000])));
        }
        events.push(match self.chance(15) {
            true => AttachmentEvent::Incomplete,
            false => AttachmentEvent::End,
        });
        for event in events {
            let wait = self.ms(0..150);
            let content_id = cid.into();
            self.notify(number, wait, Notice::Attachment { source, content_id, event });
        }
    }

    fn music(&mut self) -> (&'static str, Value) {
        let token = self.accounts.name("song");
        let is_playable = self.rng.random::<bool>();
        let behavior = ["REPLACE_ALL", "ENQUEUE"].choose(&mut self.rng).unwrap();
        match self.rng.random_range(0..6) {
            0 => ("AudioPlayer.ClearQueue", json!({"clearBehavior": "CLEAR_ALL"})),
            1 => ("PlaybackController.Pause", json!({})),
            2 => ("PlaybackController.Stop", json!({})),
            _ => (
                "AudioPlayer.Play",
                json!({"playBehavior": behavior, "source": {"name": "s"},
                    "audioItem": {"audioItemId": token, "stream": {"beginAtInMilliseconds": 0,
                        "token": token, "url": "https://media.example.com/b.mp3",
                        "urlPlayable": is_playable, "durationInMilliseconds": 120_000,
                        "progressReport": {"progressReportIntervalInMilliseconds": 30_000}}}}),
            ),
        }
    }

    /// Something new, another time for something known, or an end.
    pub fn alert_order(&mut self) -> (&'static str, Value) {
        let tokens: Vec<_> = self.accounts.alerts.keys().cloned().collect();
        let known = tokens.choose(&mut self.rng).cloned().filter(|_| self.chance(2));
        let (token, what) = match known {
            Some(token) => (token, self.rng.random_range(0..5)),
            None if tokens.len() > 12 => (tokens[0].clone(), 0),
            None => (self.accounts.name("alert"), 4),
        };
        let kind = *KINDS.choose(&mut self.rng).unwrap();
        let due_in = [30, 600, 7200].choose(&mut self.rng).unwrap();
        let due_in = SignedDuration::from_millis(self.rng.random_range(1000..due_in * 1000));
        let every = self.chance(6).then(|| SignedDuration::from_secs(1200));
        let (due, sent_at) = (self.true_time().checked_add(due_in).unwrap(), self.at);
        let known = self.accounts.alerts.get_mut(&token);
        match (known, what) {
            (Some(alert), 0 | 1) => {
                alert.is_going = true;
                ("Alerts.DeleteAlert", json!({"token": token, "type": alert.kind}))
            }
            (Some(alert), 2) => ("Alerts.StopAlert", json!({"token": token, "type": alert.kind})),
            (Some(alert), _) if !alert.is_going => {
                (alert.due, alert.sent_at) = (due, sent_at);
                ("Alerts.SetAlert", alert.payload(&token))
            }
            (Some(alert), _) => ("Alerts.DeleteAlert", json!({"token": token, "type": alert.kind})),
            (None, _) => {
                let (confirmed, is_going, rings) = (None, false, false);
                let alert = CloudAlert { kind, due, every, confirmed, is_going, rings, sent_at };
                let payload = alert.payload(&token);
                self.accounts.alerts.insert(token, alert);
                ("Alerts.SetAlert", payload)
            }
        }
    }

    /// The account's part of an event about an alert.
    fn alert_event(&mut self, metadata: &Value) {
        let event = &metadata["event"];
        let token = event["payload"]["token"].as_str().unwrap_or_default();
        let now = self.true_time();
        let wait = self.ms(50..3000);
        match event["header"]["name"].as_str().unwrap() {
            "RequestSynchronizeAlert" => {
                self.accounts.silence_but(&active_alerts(metadata));
                self.after(wait, Event::Cloud(Act::List));
            }
            "SetAlertSucceeded" => self.confirmed(token, metadata),
            "SetAlertFailed" => self.accounts.set_failed(token, now),
            "DeleteAlertSucceeded" => {
                self.accounts.alerts.retain(|known, alert| known != token || !alert.is_going);
            }
            "AlertStarted" => {
                if let Some(alert) = self.accounts.alerts.get_mut(token) {
                    alert.rings = true;
                }
                self.alert_started(token, metadata);
            }
            "AlertStopped" => {
                self.accounts.stopped(token, now);
                self.after(wait, Event::Cloud(Act::Arrange(token.to_owned())));
            }
            "RequestAlertStop" if !self.chance(10) => {
                let payload = json!({"token": token, "type": event["payload"]["type"]});
                let act = Act::Order("Alerts.StopAlert", None, payload);
                self.after(wait, Event::Cloud(act));
            }
            "RequestDeleteAlert" => {
                if let Some(alert) = self.accounts.alerts.get_mut(token) {
                    alert.is_going = true;
                }
            }
            _ => {}
        }
    }

    /// What CIC has no answer to it says again.
    pub fn resend_orders(&mut self) {
        let before = self.at.saturating_sub(Duration::from_secs(60));
        let (now, window) = (self.true_time(), self.settings.alerts.past_due_window);
        self.accounts.expire(now, window);
        let mut orders = Vec::new();
        for (token, alert) in &mut self.accounts.alerts {
            if alert.sent_at > before {
                continue;
            }
            if alert.is_going {
                orders.push(("Alerts.DeleteAlert", json!({"token": token, "type": alert.kind})));
            } else if !alert.is_confirmed() && !alert.rings {
                orders.push(("Alerts.SetAlert", alert.payload(token)));
            }
            alert.sent_at = self.at;
        }
        for (name, payload) in orders {
            self.order(name, None, payload);
        }
    }

    pub fn stop_capture(&mut self, number: usize, dialogue: String) {
        let payload = json!({"recognizedText": "what time is it"});
        for name in ["SpeechRecognizer.ShowRecognizedText", "SpeechRecognizer.StopCapture"] {
            let payload =
                if name.ends_with("Text") { json!({"text": "what"}) } else { payload.clone() };
            let directive = self.directive(name, Some(dialogue.clone()), payload);
            let (wait, source) = (self.ms(5..100), Source::Downchannel);
            self.notify(number, wait, Notice::Directive { source, directive });
        }
    }
}
