//! What is no directive as the guide has it changes nothing but a counter and a log line, and the
//! next one that is right works.

use std::collections::{BTreeMap, BTreeSet};

use cic_gateway::{
    appliance::duties::{self, By, Within},
    ids::random_uuid,
    sim::cic::SeenEvent,
    telemetry::metrics::Metrics,
};
use futures_util::{StreamExt, future::join_all, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    AT_ONCE,
    examples::{Example, Examples},
    run::Run,
    support::{
        logs::Logs,
        puppet::{LIMIT, Message},
        stage::{Actor, Stage, context, directive},
    },
    table::{Case, Table, full_name},
    taciturn,
    variants::{Variant, variants},
};

/// Events that tell CIC that something could not be done.
const FAILURES: [&str; 3] =
    ["Alerts.SetAlertFailed", "DeviceControl.ActionFailed", "Settings.Report"];

/// Topics that follow from everything.
const AMBIENT: [&str; 3] = ["session", "dialogue", "focus"];

/// A directive of which there is no example.
const SENTINEL: &str = "Clova.RenderSuggestion";

/// What makes an appliance as it was in the beginning.
const CLEAN: [(&str, &str); 4] = [
    ("AudioPlayer.ClearQueue", r#"{"clearBehavior": "CLEAR_ALL"}"#),
    ("Notifier.ClearIndicator", "{}"),
    ("PlaybackController.TurnOffRepeatMode", "{}"),
    ("Alerts.SynchronizeAlert", r#"{"allAlerts": []}"#),
];

/// What CIC sends by itself, in answer to events.
const ANSWERS: [&str; 8] = [
    "AudioPlayer.Play",
    "DeviceControl.SynchronizeState",
    "PlaybackController.Next",
    "PlaybackController.Pause",
    "PlaybackController.Previous",
    "PlaybackController.Resume",
    "PlaybackController.SetRepeatMode",
    "PlaybackController.Stop",
];

/// Directives of one name, an appliance, and what is counted.
struct Trial<'a> {
    name: &'a str,
    actor: &'a Actor,
    metrics: &'a Metrics,
    heard: usize,
    seen: u64,
    state: Value,
}

/// By name: a few examples hold all fields.
fn by_name(examples: &Examples) -> BTreeMap<String, Vec<&Example>> {
    let mut named = BTreeMap::<_, Vec<_>>::new();
    for (_, example) in examples.iter().filter(|(_, example)| example.is_directive) {
        named.entry(example.full_name()).or_default().push(example);
    }
    named
}

/// An example that is carried out at once: without dialogue, its time in an hour, its sound on the
/// Internet.
fn prepared(example: &Example) -> Value {
    let mut message = example.message.clone();
    let header = message["directive"]["header"].as_object_mut().unwrap();
    header.remove("dialogRequestId");
    let payload = &mut message["directive"]["payload"];
    let hour = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    if payload.get("scheduledTime").is_some_and(Value::is_string) {
        payload["scheduledTime"] = hour.to_string().into();
    }
    if let Some(list) = payload.get_mut("allAlerts").and_then(Value::as_array_mut) {
        list.iter_mut().for_each(|alert| alert["scheduledTime"] = hour.to_string().into());
    }
    if payload["url"].as_str().is_some_and(|url| url.starts_with("cid:")) {
        payload["url"] = "https://example.net/1.mp3".into();
    }
    message
}

impl<'a> Trial<'a> {
    async fn begin(name: &'a str, actor: &'a Actor, metrics: &'a Metrics) -> Self {
        let (heard, seen) = (0, 0);
        let mut trial = Self { name, actor, metrics, heard, seen, state: Value::Null };
        trial.settle().await;
        trial
    }

    /// How often this directive had each outcome.
    fn outcomes(&self) -> [u64; 3] {
        let (namespace, name) = self.name.split_once('.').unwrap();
        ["delivered", "invalid", "superseded"].map(|outcome| {
            self.metrics.cic_directives.with_label_values(&[namespace, name, outcome]).get()
        })
    }

    /// What was sent has been dealt with; what the appliance has got of it, and what CIC.
    async fn settle(&mut self) -> (Vec<Message>, Vec<String>) {
        self.actor.mark();
        let help = directive(SENTINEL, json!({}));
        self.actor.cic_sends(&help);
        let id = &help["directive"]["header"]["messageId"];
        let heard = self.heard;
        let is_it = |message: &Message| message.json()["messageId"] == *id;
        let (next, _) = self.actor.puppet.hears(heard, "the sentinel", is_it).await;
        let mut got = self.actor.puppet.since(heard);
        got.retain(|message| !is_it(message) && !AMBIENT.contains(&message.topic.as_str()));
        for order in got.iter().filter(|message| message.topic == "directive").map(Message::json) {
            if awaits_result(&order) {
                let result = json!({"messageId": order["messageId"], "ok": false});
                self.actor.says("result", result).await;
            }
        }
        self.heard = next;
        self.actor.says("button", json!({"button": "custom", "name": id})).await;
        let (cic, device) = (&self.actor.site.cic, &self.actor.device);
        let is_end = |seen: &SeenEvent| seen.device == *device && seen.payload["button"] == *id;
        let end = cic.next_event(self.seen, is_end, LIMIT).await;
        let (after, end) = end.unwrap_or_else(|| {
            let refused: Vec<_> =
                cic.refusals().into_iter().filter(|r| r.device == *device).collect();
            panic!("{}: no events go out; {refused:?}", self.name)
        });
        let events = cic.events_after(self.seen, |seen| seen.device == *device);
        let events = events.into_iter().take_while(|seen| !is_end(seen)).map(|seen| seen.name);
        let events = events.collect();
        self.seen = after;
        self.state = json!([
            context(&end, "Alerts.AlertsState"),
            context(&end, "AudioPlayer.PlaybackState"),
        ]);
        (got, events)
    }

    /// Sends a variant; returns whether it was counted under another name.
    async fn send(&mut self, variant: &Variant) -> Result<bool, String> {
        let (before, state) = (self.outcomes(), self.state.clone());
        self.actor.cic_sends(&variant.message);
        let (got, events) = self.settle().await;
        let after = self.outcomes();
        let counted: Vec<_> =
            after.iter().zip(before).map(|(after, before)| after - before).collect();
        let wrong = |why: &str| {
            let got: Vec<_> = got.iter().map(|m| format!("{} {}", m.topic, m.json())).collect();
            let message = &variant.message;
            Err(format!("{}: {why}; {counted:?} {got:?} {events:?} {message}", variant.what))
        };
        match counted[..] {
            [1, 0, 0] => {
                let payload = &variant.message["directive"]["payload"];
                let relayed = got.iter().filter(|message| message.topic == "directive");
                let mut relayed = relayed.filter(|m| full(&m.json()) == self.name);
                let is_own = ["AudioPlayer.Play", "AudioPlayer.StreamDeliver"].contains(&self.name);
                let nothing = payload.is_null();
                match relayed.all(|m| is_own || nothing || m.json()["payload"] == *payload) {
                    true => Ok(false),
                    false => wrong("it should be relayed as it is"),
                }
            }
            [0, 0, 1] if got.is_empty() && events.is_empty() && state == self.state => Ok(false),
            [0, invalid, 0] => {
                let only_failures = events.iter().all(|event| FAILURES.contains(&event.as_str()));
                match got.is_empty() && only_failures && state == self.state {
                    _ if variant.is_harmless => wrong("a field more does no harm"),
                    true => Ok(invalid == 0),
                    false => wrong("it should change nothing"),
                }
            }
            _ => wrong("it should be counted once"),
        }
    }

    /// No Speak is played any more. Of a variant that was good enough this appliance reports
    /// nothing, so that the gateway would take it for playing for some seconds, and report its end
    /// whenever the next one comes.
    async fn fall_silent(&mut self) {
        let token = random_uuid();
        let last =
            json!({"format": "AUDIO_MPEG", "token": token, "url": "https://example.net/1.mp3"});
        self.actor.cic_orders("SpeechSynthesizer.Speak", last);
        self.settle().await;
        self.actor.says("speech", json!({"token": token, "state": "finished"})).await;
        self.settle().await;
    }

    /// What a variant that was good enough has brought is gone. Alerts go once the store says so.
    async fn clean(&mut self) {
        for (name, payload) in CLEAN {
            self.actor.cic_orders(name, serde_json::from_str(payload).unwrap());
        }
        if self.name.starts_with("Alerts") || self.name.starts_with("System") {
            self.wait_for_store().await;
        }
        self.settle().await;
    }

    /// All orders about alerts have been kept, and carried out: the last one has.
    async fn wait_for_store(&self) {
        self.actor.cic_orders("Alerts.ClearAlert", json!({"type": "TIMER"}));
        let (cic, device) = (&self.actor.site.cic, &self.actor.device);
        let is_it =
            |seen: &SeenEvent| seen.device == *device && seen.name == "Alerts.ClearAlertSucceeded";
        let kept = cic.next_event(self.seen, is_it, LIMIT).await;
        assert!(kept.is_some(), "{}: the store does not answer", self.name);
    }
}

fn awaits_result(directive: &Value) -> bool {
    let text = |field: &str| directive[field].as_str().unwrap_or_default();
    let duty = duties::duty(text("namespace"), text("name"));
    duty.is_some_and(|duty| duty.within == Within::ResultTime)
}

fn full(directive: &Value) -> String {
    let text = |field: &str| directive[field].as_str().unwrap_or_default();
    format!("{}.{}", text("namespace"), text("name"))
}

/// How deep the gateway may look into a directive; what it only relays, it does not look into.
fn depth(name: &str) -> usize {
    let (namespace, name) = name.split_once('.').unwrap();
    let duty = duties::duty(namespace, name).unwrap();
    if duty.by == By::Appliance && duty.within == Within::Never { 3 } else { 6 }
}

/// All variants of all examples of a name; returns how many were counted under another name.
async fn try_all(trial: &mut Trial<'_>, examples: &[&Example]) -> Result<u64, String> {
    let stays = ["Alerts", "AudioPlayer", "Notifier", "PlaybackController", "System"];
    let stays = stays.iter().any(|namespace| trial.name.starts_with(namespace));
    let (mut others, mut tried) = (0, BTreeSet::new());
    for example in examples {
        let mut variants = variants(&prepared(example), depth(trial.name));
        // What an example shares with the one before has been tried.
        variants.retain(|variant| tried.insert(variant.what.clone()));
        for variant in variants {
            let before = trial.outcomes()[0];
            others += u64::from(trial.send(&variant).await?);
            if stays && trial.outcomes()[0] != before {
                trial.clean().await;
            }
        }
    }
    if trial.name == "SpeechSynthesizer.Speak" {
        trial.fall_silent().await;
    }
    Ok(others)
}

/// The first row of the table that is about this directive.
fn row<'a>(table: &'a Table, examples: &Examples, name: &str) -> &'a Case {
    let of = |case: &&Case| {
        let mut sent = case.steps.iter().filter_map(|step| step.cic.as_ref());
        !case.is_disturbing() && sent.any(|example| full_name(examples, example) == name)
    };
    table.cases.iter().find(of).unwrap_or_else(|| panic!("no row has {name}"))
}

async fn works_still(
    actor: &Actor,
    examples: &Examples,
    case: &Case,
    table: &Table,
) -> Result<(), String> {
    actor.says("settings", json!({"configuration": {}})).await;
    let mut run = Run::begin(actor, examples).await?;
    for step in table.steps(&case.steps) {
        run.perform(&step).await.map_err(|wrong| format!("afterwards, at {step:?}: {wrong}"))?;
    }
    Ok(())
}

/// Directives that could not be used.
fn invalid(metrics: &Metrics) -> u64 {
    let text = metrics.render();
    let lines = text.lines().filter(|line| line.starts_with("cic_gateway_cic_directives_total"));
    let invalid = lines.filter(|line| line.contains("outcome=\"invalid\""));
    invalid.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// When a directive is tried.
fn round(name: &str) -> usize {
    match CLEAN.iter().any(|(clean, _)| *clean == name) {
        true => 2,
        false => usize::from(ANSWERS.contains(&name)),
    }
}

#[actix_web::test]
async fn a_malformed_directive_changes_nothing_and_the_next_one_works() {
    let (examples, table) = (Examples::read(), Table::read());
    let named = by_name(&examples);
    let logs = Logs::collect_everywhere();
    let stage = Stage::build(named.len(), taciturn(), "").await;
    let metrics = stage.gateway.as_ref().unwrap().metrics();
    let trial = async |((name, of_name), actor): ((&String, &Vec<&Example>), &Actor)| {
        let mut trial = Trial::begin(name, actor, metrics).await;
        try_all(&mut trial, of_name).await.map_err(|wrong| format!("{name}: {wrong}"))
    };
    // What CIC or this test also sends for other reasons is tried later, so that counters tell
    // which is which.
    let mut rounds: [Vec<_>; 3] = Default::default();
    for one in named.iter().zip(&stage.actors) {
        rounds[round(one.0.0)].push(one);
    }
    let [together, answers, clean] = rounds;
    let mut tried: Vec<_> =
        stream::iter(together.into_iter().map(trial)).buffer_unordered(AT_ONCE).collect().await;
    tried.extend(join_all(answers.into_iter().map(trial)).await);
    for one in clean {
        tried.push(trial(one).await);
    }
    let others: u64 = tried.iter().flatten().sum();
    let again = named.keys().zip(&stage.actors).map(async |(name, actor)| {
        let works = works_still(actor, &examples, row(&table, &examples, name), &table).await;
        works.map_err(|wrong| format!("{name}: {wrong}"))
    });
    let again: Vec<_> = stream::iter(again).buffer_unordered(AT_ONCE).collect().await;
    let again = again.into_iter().filter_map(Result::err);
    let wrong: Vec<_> = tried.into_iter().filter_map(Result::err).chain(again).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let count =
        |outcome| metrics.cic_directives.with_label_values(&["other", "other", outcome]).get();
    assert_eq!(count("invalid") + count("unknown"), others, "each is counted once");
    assert!(logs.with(" WARN ").len() as u64 >= invalid(metrics), "each has its line in the log");
    assert_eq!(metrics.actor_restarts.get(), 0);
    let connects = metrics.cic_connects.with_label_values(&["connected"]).get();
    assert_eq!(connects, named.len() as u64, "no session was lost");
}
