use jiff::ToSpan;
use serde_json::json;

use super::*;

const AFTER: Duration = Duration::from_secs(1800);

fn now() -> Timestamp {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

/// A device that does as it is told, and the book about it.
#[derive(Default)]
struct Bench {
    book: Book,
    all: Vec<Value>,
    active: Vec<Value>,
}

impl Bench {
    fn set(&mut self, seconds: i64) -> String {
        let due = now() + seconds.seconds();
        self.book.set(&NewAlert::new(AlertKind::Timer, due), None).1
    }

    fn info(&self, token: &str) -> Value {
        let entry = &self.book.entries[token];
        json!({"token": token, "type": "TIMER", "scheduledTime": entry.content.time})
    }

    /// The device reports something; returns the names of what it is answered, or why not.
    fn tell(&mut self, name: &str, token: &str) -> Result<Vec<String>, String> {
        let payload = json!({"token": token, "type": "TIMER"});
        let state = json!({"allAlerts": self.all, "activeAlerts": self.active});
        let report = Report { name, payload: &payload, state: &state };
        let answer = self.book.take(&report, now() + 1.hour(), true, AFTER)?;
        let response = answer.response.iter().map(|part| match part {
            wire::Part::Directive(value) => value["directive"]["header"]["name"].clone(),
            wire::Part::Attachment(..) => json!("(sound)"),
        });
        let pushed = answer.channel.iter().map(|value| {
            let name = value["directive"]["header"]["name"].as_str();
            json!(format!("pushed {}", name.unwrap_or_default()))
        });
        let names = response.chain(pushed).map(|name| name.as_str().unwrap().to_owned());
        Ok(names.collect())
    }

    /// Sets one and has it ring.
    fn ringing(&mut self) -> String {
        let token = self.set(1);
        self.all = vec![self.info(&token)];
        self.tell("SetAlertSucceeded", &token).unwrap();
        self.active = self.all.clone();
        self.tell("AlertStarted", &token).unwrap();
        token
    }

    fn stage(&self, token: &str) -> Option<AlertStage> {
        self.book.view().iter().find(|alert| alert.token == token).map(|alert| alert.stage)
    }
}

#[test]
fn a_timer_is_set_rings_is_stopped_and_deleted() {
    let mut bench = Bench::default();
    let token = bench.ringing();
    assert_eq!(bench.stage(&token), Some(AlertStage::Ringing));
    assert_eq!(bench.tell("RequestAlertStop", &token).unwrap(), ["pushed StopAlert"]);
    bench.active.clear();
    assert_eq!(bench.tell("AlertStopped", &token).unwrap(), ["DeleteAlert"]);
    assert_eq!(bench.stage(&token), Some(AlertStage::Deleting));
    bench.all.clear();
    assert_eq!(bench.tell("DeleteAlertSucceeded", &token).unwrap(), [""; 0]);
    assert!(bench.book.view().is_empty());
}

#[test]
fn what_was_asked_for_by_voice_is_confirmed_by_voice_and_only_then() {
    let mut bench = Bench::default();
    let new = NewAlert::new(AlertKind::Timer, now() + 5.seconds());
    let (directive, token) = bench.book.set(&new, Some("d"));
    assert_eq!(directive["directive"]["header"]["dialogRequestId"], "d");
    assert_eq!(directive["directive"]["payload"]["scheduledTime"], "2026-03-02T18:00:05+09:00");
    bench.all = vec![bench.info(&token)];
    let answer = bench.tell("SetAlertSucceeded", &token).unwrap();
    assert_eq!(answer, ["Speak", "(sound)", "RenderTemplate"]);
    let (_, token) = bench.book.set(&new, Some("d"));
    assert_eq!(bench.tell("SetAlertFailed", &token).unwrap(), ["Speak", "(sound)"]);
    assert_eq!(bench.stage(&token), None);
}

#[test]
fn reports_that_do_not_fit_are_refused() {
    let mut bench = Bench::default();
    let token = bench.set(1);
    let refused = |bench: &mut Bench, name: &str, token: &str, why: &str| {
        let error = bench.tell(name, token).unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
    };
    refused(&mut bench, "SetAlertSucceeded", "unheard-of", "allAlerts does not list it");
    refused(&mut bench, "SetAlertSucceeded", &token, "allAlerts does not list it");
    bench.all = vec![bench.info(&token)];
    bench.tell("SetAlertSucceeded", &token).unwrap();
    refused(&mut bench, "SetAlertSucceeded", &token, "answers no directive");
    refused(&mut bench, "DeleteAlertSucceeded", &token, "answers no directive");
    refused(&mut bench, "DeleteAlertSucceeded", "unheard-of", "no alert ever");
    refused(&mut bench, "AlertStarted", &token, "activeAlerts does not list it");
    refused(&mut bench, "AlertStopped", &token, "no occurrence rings");
    refused(&mut bench, "RequestAlertStop", &token, "does not ring");
    refused(&mut bench, "RequestDeleteAlert", "unheard-of", "no alert ever");
    bench.active = bench.all.clone();
    bench.tell("AlertStarted", &token).unwrap();
    refused(&mut bench, "AlertStarted", &token, "no occurrence of this time is left");
    refused(&mut bench, "AlertStopped", &token, "activeAlerts still lists it");
    bench.active.clear();
    bench.tell("AlertStopped", &token).unwrap();
    refused(&mut bench, "AlertStopped", &token, "no occurrence rings");
    refused(&mut bench, "DeleteAlertSucceeded", &token, "allAlerts still lists it");
}

#[test]
fn a_repeated_alarm_goes_on_with_the_same_token_or_another() {
    for new_token in [false, true] {
        let mut bench = Bench::default();
        let token = bench.ringing();
        let every = Duration::from_secs(86_400);
        bench.book.entries.get_mut(&token).unwrap().repeat = Some(Repeat { every, new_token });
        bench.active.clear();
        assert_eq!(bench.tell("AlertStopped", &token).unwrap(), ["SetAlert"]);
        let alerts = bench.book.view();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].token == token, !new_token);
        assert_eq!((alerts[0].due, alerts[0].stage), (now() + 86_401.seconds(), AlertStage::Sent));
    }
}

#[test]
fn an_action_timer_acts_once_it_has_been_stopped() {
    let mut bench = Bench::default();
    let token = bench.ringing();
    let play = wire::directive("AudioPlayer", "Play", None, json!({}));
    bench.book.entries.get_mut(&token).unwrap().action = vec![play];
    bench.active.clear();
    assert_eq!(bench.tell("AlertStopped", &token).unwrap(), ["DeleteAlert", "Play"]);
}

#[test]
fn an_alert_that_was_changed_meanwhile_is_not_deleted_after_its_old_time() {
    let mut bench = Bench::default();
    let token = bench.ringing();
    bench.book.edit(&token, now() + 1.hour()).unwrap();
    bench.active.clear();
    assert_eq!(bench.tell("AlertStopped", &token).unwrap(), [""; 0]);
    assert_eq!(bench.stage(&token), Some(AlertStage::Sent));
    assert_eq!(bench.tell("SetAlertFailed", &token).unwrap(), [""; 0]);
    assert_eq!(bench.book.view()[0].due, now() + 1.second(), "as it was before");
}

#[test]
fn the_list_holds_what_is_wanted_and_ends_deletions() {
    let mut bench = Bench::default();
    let (gone, late, wanted) = (bench.set(9000), bench.set(0), bench.set(9000));
    bench.book.delete(&gone, None).unwrap();
    let list = bench.book.synchronize(now() + 2.hours(), AFTER);
    let all = list["directive"]["payload"]["allAlerts"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{late} was missed by more than half an hour");
    assert_eq!(all[0]["token"], wanted.as_str());
    assert!(bench.tell("DeleteAlertSucceeded", &gone).is_ok(), "its directive may have arrived");
    assert_eq!(bench.tell("SetAlertFailed", &wanted).unwrap(), [""; 0]);
    assert_eq!(bench.stage(&wanted), Some(AlertStage::Sent), "the list has delivered it");
}

#[test]
fn clearing_takes_all_of_a_kind() {
    let mut bench = Bench::default();
    bench.set(1);
    let alarm = NewAlert::new(AlertKind::Alarm, now()).token("alarm").label("x");
    bench.book.set(&alarm, None);
    bench.book.clear(AlertKind::Timer);
    assert_eq!(bench.tell("ClearAlertSucceeded", "").unwrap(), [""; 0]);
    assert_eq!(bench.book.tokens(None), ["alarm"]);
    assert!(bench.tell("ClearAlertSucceeded", "").is_err());
}
