//! Orders, music and what sounds in front, as the appliance and CIC see them.

use std::time::Duration;

use serde_json::{Value, json, value::RawValue};

use super::bench::Bench;
use crate::{
    appliance::{
        control::{ActionResult, Configuration},
        focus::{Channel, Place},
        message::{Button, ContextReport, SpeechProgress, Up},
        playback::{self, Heard, Reported},
    },
    cic::message::{Outcome, Source},
};

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    fn play(&mut self, id: &str, stream: &str) {
        let payload = json!({
            "audioItem": {"audioItemId": id, "titleText": "x", "stream": {
                "token": stream, "url": format!("https://example.net/{stream}.mp3"),
                "urlPlayable": true, "beginAtInMilliseconds": 0}},
            "playBehavior": "REPLACE_ALL", "source": {"name": "x"},
        });
        self.directive(Source::Downchannel, "AudioPlayer.Play", None, payload);
    }

    fn media(&mut self, token: &str, state: Reported, offset: u64) {
        let heard = Heard { token: token.into(), state, offset: Some(offset), total: None };
        self.up(Up::Playback(heard));
    }

    fn answer(&mut self, message_id: &str, ok: bool, volume: u64) {
        let payload = json!({"volume": volume, "muted": false}).to_string();
        let state = vec![ContextReport {
            namespace: "Speaker".into(),
            name: "VolumeState".into(),
            payload: RawValue::from_string(payload).unwrap(),
        }];
        let message_id = message_id.into();
        let result = ActionResult { message_id, ok, reason: None, state };
        self.up(Up::Result { result, invalid: vec![] });
    }

    /// Answers saves and events until nothing is under way; returns the events in order.
    fn sent(&mut self) -> Vec<(String, Value)> {
        let mut sent = Vec::new();
        loop {
            let saves = self.saves();
            let events = self.events();
            self.clear();
            if saves + events.len() == 0 {
                return sent;
            }
            for _ in 0..saves {
                self.keep_all();
            }
            for (key, name, value) in events {
                sent.push((name, value));
                self.finish(key, Outcome::Done);
            }
        }
    }
}

fn names(sent: &[(String, Value)]) -> Vec<&str> {
    sent.iter().map(|(name, _)| name.as_str()).collect()
}

fn context<'a>(event: &'a Value, name: &str) -> &'a Value {
    let context = event["context"].as_array().unwrap();
    &context.iter().find(|object| object["header"]["name"] == name).unwrap()["payload"]
}

#[test]
fn an_order_is_carried_out_by_the_appliance_and_reported_with_its_new_state() {
    let mut b = Bench::connected();
    let payload = json!({"target": "volume", "value": "2"});
    b.directive(Source::Downchannel, "DeviceControl.Increase", None, payload);
    assert!(b.published("DeviceControl.Increase -"));
    assert!(b.events().is_empty(), "first the appliance");
    b.answer("m", true, 5);
    let sent = b.sent();
    assert_eq!(names(&sent), ["DeviceControl.ActionExecuted"]);
    assert_eq!(sent[0].1["event"]["payload"], json!({"target": "volume", "command": "Increase"}));
    assert_eq!(context(&sent[0].1, "VolumeState")["volume"], 5);
    b.answer("m", true, 6);
    assert!(b.published("error unknown_message"));
}

#[test]
fn an_order_that_the_appliance_does_not_answer_has_failed() {
    let mut b = Bench::connected();
    b.directive(Source::Downchannel, "DeviceControl.TurnOn", None, json!({"target": "wifi"}));
    b.pass(5 * SECOND);
    assert_eq!(names(&b.sent()), ["DeviceControl.ActionFailed"]);
}

#[test]
fn what_became_of_an_order_is_told_once_cic_is_back() {
    let mut b = Bench::connected();
    b.directive(Source::Downchannel, "DeviceControl.TurnOn", None, json!({"target": "wifi"}));
    let lost = crate::cic::message::CloseReason::Lost("gone".into());
    b.notice(crate::cic::message::Notice::Closed(lost));
    b.answer("m", true, 5);
    b.sent();
    assert_eq!(b.core.kept().outbox.len(), 1);
    b.pass(SECOND);
    b.generation = b.connect_generation().expect("reconnects");
    b.hello();
    assert!(names(&b.sent()).contains(&"DeviceControl.ActionExecuted"));
}

#[test]
fn the_state_is_reported_at_once_and_the_settings_as_they_were_told() {
    let mut b = Bench::connected();
    b.directive(Source::Downchannel, "DeviceControl.ExpectReportState", None, json!({}));
    assert_eq!(names(&b.sent()), ["DeviceControl.ReportState"]);
    let configuration = Configuration::parse(r#"{"configuration": {"a": "1"}}"#).unwrap();
    b.up(Up::Settings(configuration));
    b.sent();
    b.directive(Source::Downchannel, "Settings.ExpectReport", None, json!({}));
    let sent = b.sent();
    assert_eq!(sent[0].1["event"]["payload"]["configuration"], json!({"a": "1"}));
}

#[test]
fn music_is_played_paused_by_a_button_through_cic_and_reported() {
    let mut b = Bench::connected();
    b.play("i1", "s1");
    assert!(b.downs().iter().any(|down| down.starts_with("AudioPlayer.Play")), "{:?}", b.downs());
    b.media("s1", Reported::Started, 0);
    let sent = b.sent();
    assert_eq!(names(&sent), ["AudioPlayer.PlayStarted"]);
    assert_eq!(context(&sent[0].1, "PlaybackState")["playerActivity"], "PLAYING");
    b.pass(10 * SECOND);
    b.up(Up::Button(Button::Player(playback::Button::Pause)));
    assert_eq!(names(&b.sent()), ["PlaybackController.PauseCommandIssued"]);
    b.directive(Source::Downchannel, "PlaybackController.Pause", None, json!({}));
    b.media("s1", Reported::Paused, 10_000);
    let sent = b.sent();
    assert_eq!(names(&sent), ["AudioPlayer.PlayPaused"]);
    assert_eq!(sent[0].1["event"]["payload"]["offsetInMilliseconds"], 10_000);
}

#[test]
fn music_gives_way_to_the_user_to_speech_and_to_an_alarm_and_comes_back() {
    let mut b = Bench::connected();
    b.play("i1", "s1");
    b.media("s1", Reported::Started, 0);
    b.sent();
    let (source, key, id) = b.ask("u1");
    assert_eq!(b.focus(), ["focus (content)"], "the user is heard");
    b.clear();
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    b.report("t1", SpeechProgress::Started);
    assert_eq!(b.focus(), ["focus dialogue (content)"]);
    b.finish(key, Outcome::Done);
    b.clear();
    b.report("t1", SpeechProgress::Finished);
    assert_eq!(b.focus(), ["focus content"]);
    let due = b.clock_wall().checked_add(jiff::Span::new().seconds(5)).unwrap();
    let alarm = json!({"token": "a", "type": "ALARM", "scheduledTime": due.to_string()});
    b.directive(Source::Downchannel, "Alerts.SetAlert", None, alarm);
    b.sent();
    b.pass(6 * SECOND);
    assert_eq!(b.focus(), ["focus alert (content)"]);
    b.sent();
    let alarm = json!({"token": "a", "type": "ALARM"});
    b.directive(Source::Downchannel, "Alerts.StopAlert", None, alarm);
    assert_eq!(b.focus(), ["focus content"]);
}

#[test]
fn the_next_item_of_a_playlist_neither_interrupts_the_user_nor_comes_to_the_front() {
    for thinking in [false, true] {
        let mut b = Bench::connected();
        b.play("i1", "s1");
        b.media("s1", Reported::Started, 0);
        let stream = json!({"token": "s2", "url": "clova:s2", "urlPlayable": false,
            "beginAtInMilliseconds": 0});
        let next = json!({"audioItem": {"audioItemId": "i2", "stream": stream},
            "playBehavior": "ENQUEUE"});
        b.directive(Source::Downchannel, "AudioPlayer.Play", None, next);
        b.sent();
        match thinking {
            false => drop(b.say("u1", None)),
            true => drop(b.ask("u1")),
        }
        b.media("s1", Reported::Finished, 1000);
        b.sent();
        let stream = json!({"token": "s2", "url": "https://example.net/s2.mp3",
            "urlPlayable": true});
        let delivered = json!({"audioItemId": "i2", "audioStream": stream});
        b.directive(Source::Downchannel, "AudioPlayer.StreamDeliver", None, delivered);
        assert!(b.downs().iter().any(|down| down.starts_with("AudioPlayer.Play")));
        assert!(!b.published("stop u1 cancelled"), "{:?}", b.downs());
        assert_eq!(b.focus(), [""; 0], "thinking: {thinking}");
        let places = b.core.focus.places();
        assert_eq!(places.of(Channel::Content), Place::Background);
    }
}

#[test]
fn an_appliance_that_returns_is_told_what_sounds_even_if_that_is_nothing() {
    let mut b = Bench::connected();
    let online = |retained| Up::Status { online: true, retained };
    b.up(online(true));
    assert_eq!(b.focus(), [""; 0], "the broker repeats what is known");
    b.up(online(false));
    assert_eq!(b.focus(), ["focus "]);
    b.play("i1", "s1");
    b.media("s1", Reported::Started, 0);
    b.clear();
    b.up(online(false));
    assert_eq!(b.focus(), ["focus content"]);
}

#[test]
fn an_alarm_interrupts_the_user() {
    let mut b = Bench::connected();
    let due = b.clock_wall().checked_add(jiff::Span::new().seconds(2)).unwrap();
    let alarm = json!({"token": "a", "type": "ALARM", "scheduledTime": due.to_string()});
    b.directive(Source::Downchannel, "Alerts.SetAlert", None, alarm);
    b.sent();
    b.pass(SECOND);
    b.say("u1", None);
    b.pass(SECOND + Duration::from_millis(100));
    assert!(b.published("alert ring a") && b.published("stop u1 cancelled"), "{:?}", b.downs());
}

#[test]
fn notifications_wait_for_each_other() {
    let mut b = Bench::connected();
    let notify = json!({"light": "DEFAULT", "assets": [{"assetId": "n",
        "url": "clova://notifier/sound/default"}], "assetPlayOrder": ["n"]});
    b.directive(Source::Downchannel, "Notifier.Notify", None, notify.clone());
    b.directive(Source::Downchannel, "Notifier.Notify", None, notify);
    let delivered = |b: &Bench| b.downs().iter().filter(|d| d.starts_with("Notifier")).count();
    assert_eq!(delivered(&b), 1);
    b.pass(15 * SECOND);
    assert_eq!(delivered(&b), 2);
}

#[test]
fn music_that_is_announced_begins_after_its_announcement() {
    let mut b = Bench::connected();
    let (source, _, id) = b.ask("u1");
    b.speak(source, Some(&id), "t1", "c1");
    b.attach(source, "c1");
    let payload = json!({
        "audioItem": {"audioItemId": "i", "stream": {"token": "s",
            "url": "https://example.net/s.mp3", "urlPlayable": true, "beginAtInMilliseconds": 0}},
        "playBehavior": "REPLACE_ALL"});
    b.directive(source, "AudioPlayer.Play", Some(&id), payload);
    b.report("t1", SpeechProgress::Started);
    let plays = |b: &Bench| b.downs().iter().any(|d| d.starts_with("AudioPlayer.Play"));
    assert!(!plays(&b));
    b.report("t1", SpeechProgress::Finished);
    assert!(plays(&b));
}

/// An air conditioner whose firmware knows nothing of CIC.
fn air_conditioner() -> Bench {
    let text = include_str!("../../../../profiles/air-conditioner.toml");
    let profile = crate::profile::Profile::parse("air-conditioner.toml", text).unwrap();
    Bench::offline_as(profile).connect()
}

impl Bench {
    fn firmware(&mut self, payload: &str) {
        let (topic, payload) = ("up/x/status".to_owned(), payload.to_owned().into());
        self.up(Up::Firmware { topic, payload });
    }
}

#[test]
fn firmware_that_knows_nothing_of_cic_is_told_in_its_own_words_and_its_state_is_the_answer() {
    let mut b = air_conditioner();
    b.firmware(r#"{"power": "off", "temp": 23, "eco": false, "beep": 2}"#);
    b.directive(Source::Downchannel, "DeviceControl.TurnOn", None, json!({"target": "power"}));
    assert!(b.published(r#"down/x/set {"power":"on"}"#), "{:?}", b.downs());
    assert!(!b.downs().iter().any(|down| down.starts_with("DeviceControl")));
    assert!(b.sent().is_empty(), "until its state shows that it is on");
    b.firmware(r#"{"power": "on", "temp": 23, "eco": false, "beep": 2}"#);
    let sent = b.sent();
    assert_eq!(names(&sent), ["DeviceControl.ActionExecuted"]);
    let state = context(&sent[0].1, "DeviceState");
    assert_eq!(state["power"]["state"], "active");
    assert_eq!(state["power"]["actions"], json!(["TurnOff", "TurnOn"]), "from its profile");
    assert!(state["localTime"].as_str().is_some_and(|time| time.ends_with("+09:00")), "{state}");
}

#[test]
fn firmware_that_does_not_do_it_has_failed_and_an_unknown_topic_is_named() {
    let mut b = air_conditioner();
    b.firmware(r#"{"power": "off"}"#);
    b.directive(Source::Downchannel, "DeviceControl.TurnOn", None, json!({"target": "power"}));
    b.pass(5 * SECOND);
    assert_eq!(names(&b.sent()), ["DeviceControl.ActionFailed"]);
    b.up(Up::Firmware { topic: "up/x/nonsense".into(), payload: "{}".into() });
    assert!(b.published("error unknown_topic"));
    b.clear();
    b.firmware("rubbish");
    assert!(b.published("error invalid_json"), "{:?}", b.downs());
}

#[test]
fn a_wrong_field_is_told_once_and_the_rest_is_sent() {
    let mut b = Bench::connected();
    let report = || ContextReport {
        namespace: "Device".into(),
        name: "DeviceState".into(),
        payload: RawValue::from_string(
            json!({"volume": {"actions": [], "min": 0, "max": 10, "value": "loud"},
                   "power": {"actions": ["TurnOff"], "state": "active"}})
            .to_string(),
        )
        .unwrap(),
    };
    b.up(Up::State { reports: vec![report()], invalid: vec![] });
    assert_eq!(b.downs(), ["error invalid_context"]);
    b.up(Up::State { reports: vec![report()], invalid: vec![] });
    assert_eq!(b.downs().len(), 1, "once");
    b.say("u1", None);
    let upload = b.last_upload().1;
    let state = context(&upload, "DeviceState");
    assert_eq!(state["power"]["state"], "active");
    assert_eq!(state.get("volume"), None);
}
