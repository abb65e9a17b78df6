//! Directives that ask the appliance for something and want an answer: DeviceControl, Settings,
//! and Clova.HandleDelegatedEvent (interfaces, flows 7 to 10). Pure; called by the core, which
//! asks [`Control::order`] about every directive that it is about to deliver, and performs the
//! [`Effect`]s.
//!
//! CIC hears of every order, whatever the appliance does: what it reports within
//! `cic.result_timeout`, or else that it failed.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the state, what goes in and comes out, what waits for a result |
//! | `commands.rs` | DeviceControl: the names of commands and targets in directives and reports |
//! | `bluetooth.rs` | the connection whose real result CIC wants to know |
//! | `schedule.rs` | reports of the state, at once and again |
//! | `settings.rs` | Settings: what is known, and what CIC was told |

mod bluetooth;
mod commands;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    duties::{self, By, Duty, Within},
    message::ContextReport,
    outbox::Care,
};
use crate::{cic::directive::Directive, clock::Now, ids::MessageId};
use bluetooth::Connection;
use commands::Action;
pub use commands::current_event_name;
use schedule::Schedule;
use settings::Settings;
pub use settings::{Configuration, InvalidConfiguration};

/// Directives that may wait for their result.
pub const MAX_WAITING: usize = 64;
/// Longest id that is kept or copied, bytes.
const MAX_ID: usize = 2048;
/// Longest reason of an appliance that operators see, characters.
const MAX_REASON: usize = 200;

/// What the machine needs to know of its appliance and its gateway.
#[derive(Debug, Clone)]
pub struct ControlSettings {
    /// `cic.result_timeout`.
    pub result_timeout: Duration,
    /// Names this appliance in `DeviceControl.SynchronizeState`.
    pub device_id: Box<str>,
}

/// What the core does with a directive that it is about to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// Deliver it.
    Deliver,
    /// It has been dealt with; the appliance is not concerned.
    Withhold,
    /// It cannot be carried out, and has been answered all the same; the appliance does not get it.
    Invalid,
}

/// `up/result`.
#[derive(Debug, Clone)]
pub struct ActionResult {
    /// The directive that it answers; empty for one that had none.
    pub message_id: MessageId,
    /// Whether it was carried out.
    pub ok: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What the appliance is like now.
    pub state: Vec<ContextReport>,
}

/// No directive with this id awaits a result: it never did, was answered, or is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownMessage;

/// An event for CIC.
#[derive(Debug, Clone)]
pub struct Report {
    /// `header.namespace`.
    pub namespace: &'static str,
    /// `header.name`.
    pub name: &'static str,
    /// `payload`.
    pub payload: Arc<RawValue>,
    /// What is done for it. What became of an order is kept by the store; the settings must
    /// arrive, as nothing repeats them; the rest is worth nothing later, because a new session
    /// brings new questions.
    pub care: Care,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The appliance says why.
    #[error("the appliance refused: {0}")]
    Refused(Box<str>),
    /// The appliance said nothing in time.
    #[error("the appliance did not answer in time")]
    NoAnswer,
    /// The guide has no such target for this directive.
    #[error("unknown target")]
    UnknownTarget,
    /// The payload is not what the guide says.
    #[error("unusable payload")]
    Payload,
    /// [`MAX_WAITING`] others wait for their result.
    #[error("too many directives wait for their result")]
    Full,
}

/// An order that was not carried out, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Namespace of the directive.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `target` of the report; empty for settings.
    pub target: Box<str>,
    /// Why.
    pub cause: Cause,
}

/// What is to be done, in this order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Take these contexts, as from `up/state`, before what follows is sent.
    Apply(Vec<ContextReport>),
    /// Tell CIC, through the outbox.
    Report(Report),
    /// Log it, and count it.
    Failed(Failure),
}

/// What a directive waits for, and how it will be answered.
#[derive(Debug)]
enum Asked {
    Action(Action),
    Update(Configuration),
    /// The appliance has reported its new settings, and with that all that CIC wants to know.
    Reported,
}

#[derive(Debug)]
struct Waiting {
    message_id: MessageId,
    duty: &'static Duty,
    asked: Asked,
    until: Instant,
}

/// What one appliance was asked for.
#[derive(Debug)]
pub struct Control {
    own: ControlSettings,
    connected: bool,
    /// In the order of their deadlines.
    waiting: VecDeque<Waiting>,
    connection: Option<Connection>,
    schedule: Option<Schedule>,
    settings: Settings,
    effects: VecDeque<Effect>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delegated {
    delegation_id: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whose<'a> {
    #[serde(borrow)]
    device_id: std::borrow::Cow<'a, str>,
}

impl Control {
    /// A machine that knows nothing of its appliance yet.
    pub fn new(own: ControlSettings) -> Self {
        Self {
            own,
            connected: false,
            waiting: VecDeque::new(),
            connection: None,
            schedule: None,
            settings: Settings::default(),
            effects: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Takes a directive whose turn it is. Those of other namespaces are delivered, unless the
    /// appliance has no part in them.
    pub fn order(&mut self, directive: &Directive, now: Now) -> Handling {
        let Some(duty) = duties::duty(&directive.namespace, &directive.name) else {
            return Handling::Deliver;
        };
        match (duty.namespace, duty.name) {
            ("DeviceControl", "ExpectReportState") => self.expect_report_state(directive, now),
            // CIC tells all clients of the account, and so the one that it is about (interfaces).
            ("DeviceControl", "SynchronizeState") if self.is_own(directive) => Handling::Withhold,
            ("DeviceControl", _) if duty.within == Within::ResultTime => {
                self.order_action(duty, directive, now)
            }
            ("Settings", "ExpectReport") => self.expect_settings(),
            ("Settings", "Update") => self.update_settings(duty, directive, now),
            ("Clova", "HandleDelegatedEvent") => self.process_delegated(directive),
            // Those that the appliance hears of in another way, if at all.
            _ if duty.by == By::Gateway => Handling::Withhold,
            _ => Handling::Deliver,
        }
    }

    /// The appliance has answered. What it says of its state is taken in any case: it is true
    /// whatever it answers.
    ///
    /// # Errors
    /// When nothing with this id awaits a result. The oldest one does that has it.
    pub fn result(&mut self, result: ActionResult, now: Now) -> Result<(), UnknownMessage> {
        let ActionResult { message_id, ok, reason, state } = result;
        if !state.is_empty() {
            state.iter().for_each(|report| self.observe(report));
            self.effects.push_back(Effect::Apply(state));
        }
        let at = self.waiting.iter().position(|waiting| waiting.message_id == message_id);
        let waiting = at.and_then(|at| self.waiting.remove(at)).ok_or(UnknownMessage);
        let cause = (!ok).then(|| Cause::Refused(shortened(reason)));
        let answered = waiting.map(|waiting| self.finish(waiting, cause, now));
        self.report_connection_if_over();
        answered
    }

    /// The appliance reports a context, in `up/state`: to be told before it is taken.
    pub fn note_state(&mut self, report: &ContextReport) {
        self.observe(report);
        self.report_connection_if_over();
    }

    /// The session is up (after Hello) or gone. What waits for a result goes on waiting; what CIC
    /// wanted to be told now and then ends, as it asks anew after each connect (flows 1).
    pub fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
        if !connected {
            (self.schedule, self.connection) = (None, None);
            return;
        }
        self.report("Settings", "RequestVersionSpec", &json!({}), Care::Some);
        self.tell_settings_if_new();
    }

    /// The account is gone: nobody is to be told anything.
    pub fn unpaired(&mut self) {
        self.waiting.clear();
        (self.schedule, self.connection) = (None, None);
        self.settings.forget_told();
        self.effects.retain(|effect| !matches!(effect, Effect::Report(_)));
    }

    /// When [`Control::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let result = self.waiting.front().map(|waiting| waiting.until);
        let connection = self.connection.as_ref().and_then(Connection::deadline);
        let schedule = self.schedule.as_ref().map(Schedule::next);
        [result, connection, schedule].into_iter().flatten().min()
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.until <= now.mono) {
            self.finish(waiting, Some(Cause::NoAnswer), now);
        }
        let deadline = self.connection.as_ref().and_then(Connection::deadline);
        if deadline.is_some_and(|deadline| deadline <= now.mono) {
            self.report_connection();
        }
        if let Some(schedule) = self.schedule.take_if(|schedule| schedule.next() <= now.mono) {
            self.schedule = schedule.after(now.mono);
            self.report_state();
        }
    }

    fn order_action(&mut self, duty: &'static Duty, directive: &Directive, now: Now) -> Handling {
        let (action, wrong) = commands::read(duty, directive);
        if let Some(cause) = wrong.or_else(|| self.room_for(directive).err()) {
            self.report_action(duty, &action, Some(cause));
            return Handling::Invalid;
        }
        if commands::is_connect(duty.name) {
            self.connection = Some(Connection::begin(directive, self.connection.take()));
        }
        self.wait(duty, directive, Asked::Action(action), now);
        Handling::Deliver
    }

    fn room_for(&self, directive: &Directive) -> Result<(), Cause> {
        if directive.message_id.as_str().len() > MAX_ID {
            return Err(Cause::Payload);
        }
        if self.waiting.len() < MAX_WAITING { Ok(()) } else { Err(Cause::Full) }
    }

    fn wait(&mut self, duty: &'static Duty, directive: &Directive, asked: Asked, now: Now) {
        let until = now.mono + self.own.result_timeout;
        let message_id = directive.message_id.clone();
        self.waiting.push_back(Waiting { message_id, duty, asked, until });
    }

    fn finish(&mut self, waiting: Waiting, cause: Option<Cause>, now: Now) {
        let Waiting { duty, asked, .. } = waiting;
        match asked {
            Asked::Action(action) => {
                let may_still_come = cause.is_none() || cause == Some(Cause::NoAnswer);
                self.report_action(duty, &action, cause);
                if commands::is_connect(duty.name) {
                    self.answer_connect(may_still_come, now);
                }
            }
            Asked::Update(wanted) => self.updated(duty, wanted, cause),
            Asked::Reported => {
                if let Some(cause @ Cause::Refused(_)) = cause {
                    self.fail(duty, "".into(), cause);
                }
            }
        }
    }

    fn report_action(&mut self, duty: &'static Duty, action: &Action, cause: Option<Cause>) {
        let name = match cause {
            None => "ActionExecuted",
            Some(_) => "ActionFailed",
        };
        // LaunchApp is only reported when it fails (interfaces).
        if duty.answers.iter().any(|answer| answer.ends_with(name)) {
            let payload = json!({"command": duty.name, "target": action.target});
            self.report("DeviceControl", name, &payload, Care::Keep);
        }
        if let Some(cause) = cause {
            self.fail(duty, action.target.clone(), cause);
        }
    }

    fn fail(&mut self, duty: &'static Duty, target: Box<str>, cause: Cause) {
        let Duty { namespace, name, .. } = *duty;
        self.effects.push_back(Effect::Failed(Failure { namespace, name, target, cause }));
    }

    fn is_own(&self, directive: &Directive) -> bool {
        let whose = directive.payload_as::<Whose<'_>>();
        whose.is_ok_and(|whose| whose.device_id.eq_ignore_ascii_case(&self.own.device_id))
    }

    fn process_delegated(&mut self, directive: &Directive) -> Handling {
        let delegated = directive.payload_as::<Delegated>();
        let Ok(Delegated { delegation_id }) = delegated else { return Handling::Invalid };
        if delegation_id.len() > MAX_ID {
            return Handling::Invalid;
        }
        let payload = json!({"delegationId": delegation_id});
        self.report("Clova", "ProcessDelegatedEvent", &payload, Care::Some);
        Handling::Withhold
    }

    fn report(&mut self, namespace: &'static str, name: &'static str, payload: &Value, care: Care) {
        let payload = RawValue::from_string(payload.to_string());
        let payload = payload.expect("a Value prints as JSON").into();
        self.effects.push_back(Effect::Report(Report { namespace, name, payload, care }));
    }
}

fn shortened(reason: Option<String>) -> Box<str> {
    let reason = reason.unwrap_or_else(|| "without a reason".into());
    reason.chars().take(MAX_REASON).collect()
}
