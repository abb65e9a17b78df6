//! What must hold of sessions, dialogues and accounts. Told from commands, notices and
//! publications alone: nothing of the core's own opinion is used.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use cic_gateway::{
    appliance::{
        alerts::{AlertAction, Phase},
        core::Measure,
        message::{Down, SessionState},
    },
    cic::{
        directive::Directive,
        message::{Command, Notice, RequestKey, Source},
    },
};
use jiff::Timestamp;
use rand::{rngs::SmallRng, seq::IteratorRandom};
use serde_json::Value;

use crate::{
    accounts::account_of,
    occurrences::{Occurrence, Rung},
    store::Store,
    world::World,
};

/// Own dialogues that a core remembers.
const REMEMBERED: usize = 64;

/// Something that CIC has sent.
#[derive(Debug, Clone)]
struct Sent {
    dialogue: Option<String>,
    /// It answered an event that had no dialogue.
    from_event: bool,
}

#[derive(Debug, Default)]
pub struct Checker {
    own: VecDeque<String>,
    latest: Option<String>,
    in_flight: Option<(RequestKey, String)>,
    /// The event that is being sent.
    event: Option<RequestKey>,
    has_hello: bool,
    pub session: Option<SessionState>,
    directives: HashMap<String, Sent>,
    attachments: HashMap<String, Sent>,
    questions: HashMap<String, Sent>,
    /// Events that the store has taken over: names by message id.
    pub owed: BTreeMap<String, String>,
    /// What is to ring.
    pub occurrences: BTreeMap<String, Occurrence>,
    /// What has rung.
    pub rung: BTreeMap<(String, Timestamp), Rung>,
    /// AlertStarted has come for these.
    pub started: HashSet<(String, Timestamp)>,
    pub audible_since: Option<Duration>,
    pub stepped_at: Duration,
    pub has_store_failed: bool,
    /// Alerts of which only the appliance can know.
    pub orphans: HashSet<String>,
}

impl Checker {
    /// CIC sends this.
    pub fn sent(&mut self, directive: &Directive, _: Source, from_event: bool) {
        let dialogue = directive.dialog_request_id.as_ref().map(|id| id.as_str().to_owned());
        let sent = Sent { dialogue, from_event };
        let payload: Value = serde_json::from_str(directive.payload.get()).unwrap();
        if let Some(cid) = payload["url"].as_str().and_then(|url| url.strip_prefix("cid:")) {
            self.attachments.insert(cid.to_owned(), sent.clone());
        }
        if let Some(id) = payload["expectSpeechId"].as_str() {
            self.questions.insert(id.to_owned(), sent.clone());
        }
        self.directives.insert(directive.message_id.as_str().to_owned(), sent);
    }

    pub fn some_dialogue(&self, rng: &mut SmallRng) -> Option<String> {
        self.own.iter().choose(rng).cloned()
    }

    fn begin(&mut self, key: RequestKey, dialogue: String) {
        if !self.own.contains(&dialogue) {
            self.own.push_back(dialogue.clone());
            if self.own.len() > REMEMBERED {
                self.own.pop_front();
            }
        }
        self.in_flight = Some((key, dialogue));
    }

    fn is_stale(&self, sent: &Sent) -> bool {
        let own = |id: &&String| self.own.contains(*id);
        sent.dialogue.as_ref().filter(own).is_some() && sent.dialogue != self.latest
    }

    /// The core is about to hear this; it counts if the core still wants that session.
    pub fn noticed(&mut self, notice: &Notice, counts: bool) {
        match notice {
            Notice::Closed(_) => {
                (self.in_flight, self.event, self.has_hello) = (None, None, false);
            }
            _ if !counts => {}
            Notice::Sent { key } => {
                if let Some((_, id)) = self.in_flight.take_if(|(flying, _)| flying == key) {
                    self.latest = Some(id);
                }
            }
            Notice::Finished { key, .. } => {
                self.in_flight.take_if(|(flying, _)| flying == key);
                self.event.take_if(|event| event == key);
            }
            Notice::Directive { directive, .. } if directive.is("Clova", "Hello") => {
                self.has_hello = true;
            }
            _ => {}
        }
    }

    /// A core that knows only what the process before left in memory.
    pub fn respawned(&mut self) {
        self.own.clear();
        (self.latest, self.in_flight, self.event, self.has_hello) = (None, None, None, false);
        (self.session, self.audible_since) = (None, None);
    }

    pub fn died(&mut self) {
        self.respawned();
    }

    /// A process begins with what the store has.
    pub fn restarted(&mut self, store: &Store) {
        self.check_durable(store);
        self.has_store_failed = false;
    }

    pub fn account_left(&mut self) {
        self.rung.clear();
        self.started.clear();
    }

    pub fn store_failed(&mut self) {
        self.has_store_failed = true;
    }

    pub fn measured(&mut self, measure: &Measure) {
        if let Measure::Event { namespace, name, result: "dropped" } = measure {
            assert!(namespace != "Alerts", "P5: {name} was dropped");
        }
    }
}

impl World {
    /// The core publishes this.
    pub fn check_down(&mut self, down: &Down) {
        match down {
            Down::Directive { directive, .. } => self.check_directive(directive),
            Down::Audio { content_id, data } if !data.is_empty() => {
                self.check_ours("P6: audio", content_id.as_str());
                let sent = self.checker.attachments.get(content_id.as_str());
                let stale = sent.is_some_and(|sent| self.checker.is_stale(sent));
                assert!(!stale, "P2: audio {content_id} of {sent:?}");
            }
            Down::CaptureListen { expect_speech_id, .. } => {
                self.check_ours("P6: a question", expect_speech_id.as_str());
                let sent = self.checker.questions.get(expect_speech_id.as_str());
                let stale = sent.is_some_and(|sent| self.checker.is_stale(sent));
                assert!(!stale, "P2: the microphone opens for {sent:?}");
            }
            Down::Alert(action, alert) => {
                if matches!(action, AlertAction::Set | AlertAction::Ring) {
                    self.check_ours("P6: an alert", alert.token.as_str());
                }
                self.check_alert(*action, alert);
            }
            Down::Session { state, .. } => {
                self.checker.session = Some(*state);
                let connected = *state == SessionState::Connected;
                let has_session = self.process.as_ref().is_some_and(|p| p.session.is_some());
                assert!(!connected || (has_session && self.checker.has_hello), "P4: it lies");
            }
            _ => {}
        }
    }

    fn check_directive(&self, directive: &Directive) {
        let id = directive.message_id.as_str();
        self.check_ours("P6: a directive", id);
        let Some(sent) = self.checker.directives.get(id) else { return };
        let of_player = ["AudioPlayer", "PlaybackController"];
        let is_spoken = ["SpeechSynthesizer", "SpeechRecognizer", "Clova"];
        let is_spoken = is_spoken.contains(&directive.namespace.as_str())
            && directive.name != "HandleDelegatedEvent";
        let may_be_stale =
            (sent.from_event && !is_spoken) || of_player.contains(&directive.namespace.as_str());
        let stale = self.checker.is_stale(sent) && !may_be_stale;
        let latest = &self.checker.latest;
        assert!(!stale, "P2: {} of {sent:?}, latest {latest:?}", directive.full_name());
    }

    /// Names that CIC made begin with their account.
    fn check_ours(&self, what: &str, name: &str) {
        let pairing = self.process.as_ref().map(|process| process.pairing);
        let stranger = account_of(name).filter(|account| Some(*account) != pairing);
        assert!(stranger.is_none(), "{what} of a former account: {name}, now {pairing:?}");
    }

    /// The core tells its session this.
    pub fn check_command(&mut self, command: &Command, metadata: Option<&Value>) {
        let (key, is_upload) = match command {
            Command::Event { key, .. } => (*key, false),
            Command::OpenUpload { key, .. } => (*key, true),
            Command::Abort { key } => {
                self.checker.in_flight.take_if(|(flying, _)| flying == key);
                return;
            }
            _ => return,
        };
        assert!(self.checker.has_hello, "P1: an event before Hello");
        let metadata = metadata.unwrap();
        let event = &metadata["event"];
        if is_upload || event["header"]["name"] == "Recognize" {
            assert!(self.checker.in_flight.is_none(), "P1: two requests at once");
            self.checker.begin(key, crate::cloud::dialogue_of(metadata));
        } else {
            assert!(self.checker.event.is_none(), "P1: two events at once");
            self.checker.event = Some(key);
        }
        if let Some(token) = event["payload"]["token"].as_str() {
            self.check_ours("P6: an event", token);
        }
        check_active(metadata);
    }

    /// An event that has reached CIC.
    pub fn check_event(&self, connection: usize, metadata: &Value) {
        let account = self.cloud.connections[connection].account;
        let token = metadata["event"]["payload"]["token"].as_str().and_then(account_of);
        let is_strange = token.is_some() && token != account;
        assert!(!is_strange, "P6: an event of {token:?} on a connection of {account:?}");
    }

    /// Each minute: long after a fault all is well.
    pub fn check_calm(&self) {
        let house_is_there = self.house.is_on && self.house.broker_is_up;
        let is_paired = self.accounts.pairing.is_some() && self.process.is_some();
        let calm = self.at.saturating_sub(self.weather.calm_since);
        if house_is_there && is_paired && self.weather.is_calm() && calm > Duration::from_secs(720)
        {
            assert!(self.is_connected(), "P4: not connected after {calm:?} without a fault");
        }
    }

    /// Now and then: what the core holds.
    pub fn check_size(&mut self) {
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        let size = format!("{:?}", process.core).len();
        assert!(size < 3_000_000, "P5: the core prints as {size} bytes");
        assert!(process.core.snapshot(false, now).unsent_events <= 1000, "P5: the outbox");
    }

    /// What CIC, the store, the core and the appliance do not agree about.
    pub fn disagreement(&mut self) -> Option<String> {
        let (now, window) = (self.true_time(), self.settings.alerts.past_due_window);
        self.accounts.expire(now, window);
        let shown_at = self.now();
        let shown = self.process.as_mut()?.core.snapshot(true, shown_at);
        let live = |phase: Phase| matches!(phase, Phase::Set | Phase::Ringing);
        let core: BTreeMap<_, _> = shown
            .alerts
            .iter()
            .filter(|alert| live(alert.phase))
            .map(|a| (a.token.as_str().to_owned(), (a.due, a.phase == Phase::Ringing)))
            .collect();
        let cloud = self.accounts.alerts.iter().filter(|(_, alert)| !alert.is_going);
        let cloud: BTreeMap<_, _> =
            cloud.map(|(token, alert)| (token.clone(), (alert.due, alert.rings))).collect();
        let store = self.store.alerts.values().filter(|alert| live(alert.phase));
        let store: BTreeMap<_, _> = store
            .map(|a| (a.token.as_str().to_owned(), (a.due, a.phase == Phase::Ringing)))
            .collect();
        let unsent: Vec<_> =
            self.checker.owed.iter().filter(|(id, _)| !self.accounts.taken.contains(*id)).collect();
        let mut house = self.house.alerts.clone();
        house.retain(|token, _| core.contains_key(token) || !self.checker.orphans.contains(token));
        let sides = [("CIC", &cloud), ("the store", &store), ("the appliance", &house)];
        for (who, theirs) in sides {
            if theirs != &core {
                return Some(format!("the core has {core:#?}, {who} has {theirs:#?}"));
            }
        }
        let outbox = (shown.unsent_events, self.store.outbox.len());
        match unsent.is_empty() && outbox == (0, 0) {
            true => None,
            false => Some(format!("CIC never got {unsent:?}; {outbox:?} wait")),
        }
    }
}

/// What rings, rings in the context too (alerts 4).
fn check_active(metadata: &Value) {
    let event = &metadata["event"];
    let name = event["header"]["name"].as_str().unwrap_or_default();
    let state = metadata["context"].as_array().unwrap().iter().find(|context| {
        context["header"]["namespace"] == "Alerts" && context["header"]["name"] == "AlertsState"
    });
    let state = &state.expect("P3: no Alerts.AlertsState")["payload"];
    let names = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|info| info["token"].clone()).collect()
    };
    let (all, active) = (names(&state["allAlerts"]), names(&state["activeAlerts"]));
    let token = &event["payload"]["token"];
    assert!(active.iter().all(|token| all.contains(token)), "P3: {state}");
    if event["header"]["namespace"] == "Alerts" {
        match name {
            "AlertStarted" => assert!(active.contains(token), "P3: it rings unseen: {state}"),
            "AlertStopped" => assert!(!active.contains(token), "P3: it rings still: {state}"),
            "SetAlertSucceeded" => assert!(all.contains(token), "P3: it is not there: {state}"),
            _ => {}
        }
    }
}
