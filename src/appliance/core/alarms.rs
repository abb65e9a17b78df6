//! Alerts: what CIC orders of them, what the appliance says of them, and what comes of both.

use jiff::SignedDuration;
use serde_json::json;

use super::{Core, Measure, requests::raw, uplink::error};
use crate::{
    appliance::{
        alerts::{Effect, Refused, Report},
        context::OwnContexts,
        ledger::Step,
        message::{AlertProgress, Button, ErrorCode, SessionState},
        outbox::{Care, Outgoing},
    },
    cic::directive::Directive,
    clock::Now,
    ids::Token,
};

/// A wall clock that is set back by more was wrong enough to miss alerts.
const STEP_BACK: SignedDuration = SignedDuration::from_mins(1);

/// Whether the gateway itself carries out this directive, rather than the appliance.
pub(super) fn is_alert_order(directive: &Directive) -> bool {
    directive.namespace == "Alerts"
}

impl Core {
    /// Carries out a directive of `Alerts`.
    pub(super) fn order_alert(&mut self, directive: &Directive, now: Now) {
        let outcome = match self.alerts.order(directive, now) {
            Ok(()) => "delivered",
            Err(wrong) => {
                tracing::warn!(directive = directive.full_name(), %wrong, "an order is refused");
                "invalid"
            }
        };
        self.measure_named(directive, outcome);
        self.perform_alerts(now);
    }

    pub(super) fn press(&mut self, button: Button, now: Now) {
        let (token, result) = match button {
            Button::StopAlert(token) => {
                let result = self.alerts.stop_pressed(token.as_ref(), now);
                (token, result)
            }
            Button::Player(_) => return,
            Button::DeleteAlert(token) => {
                let result = self.alerts.delete_pressed(&token);
                (Some(token), result)
            }
        };
        self.perform_alerts(now);
        self.refuse_alert("up/button", token, result, now);
    }

    pub(super) fn note_alert(&mut self, token: Token, progress: AlertProgress, now: Now) {
        let result = match progress {
            AlertProgress::Failed => self.alerts.failed_to_ring(&token),
            _ if self.alerts.knows(&token) => Ok(()),
            _ => Err(Refused::Unknown),
        };
        self.perform_alerts(now);
        self.refuse_alert("up/alert", Some(token), result, now);
    }

    fn refuse_alert(
        &mut self,
        topic: &str,
        token: Option<Token>,
        result: Result<(), Refused>,
        now: Now,
    ) {
        let (code, why) = match result {
            Ok(()) => return,
            Err(Refused::Unknown) => (ErrorCode::UnknownAlert, "there is no alert with this token"),
            Err(Refused::NotConnected) => {
                (ErrorCode::NotConnected, "only CLOVA can delete an alert, and it is away")
            }
        };
        let mut error = error(topic, code, why);
        error.about.token = token;
        self.complain(error, now);
    }

    /// The session's state has changed.
    pub(super) fn tell_alerts_of_session(&mut self, state: SessionState, now: Now) {
        let connected = state == SessionState::Connected;
        self.alerts.set_connected(connected, now);
        if connected {
            self.outbox.connected();
            self.ask_for_all_alerts();
        }
        self.control.set_connected(connected);
        self.perform_control(now);
        self.playback.set_connected(connected, now);
        self.perform_playback();
        self.perform_alerts(now);
    }

    /// Notices a clock that was fast and is set back: what seemed to be missed was deleted here,
    /// and CIC still has it.
    pub(super) fn note_time(&mut self, now: Now) {
        let passed = now.mono.saturating_duration_since(self.moment.mono);
        let set_back = self.moment.plus(passed).wall.duration_since(now.wall);
        self.moment = now;
        if set_back > STEP_BACK && self.link.state() == SessionState::Connected {
            self.ask_for_all_alerts();
        }
    }

    /// After each connect, and before anything that waited (alerts 5.6).
    fn ask_for_all_alerts(&mut self) {
        let payload = raw(&json!({})).into();
        let own = self.own_contexts();
        let event = self.outgoing("Alerts", "RequestSynchronizeAlert", payload, own);
        self.outbox.push_first(event);
    }

    /// Performs what the alert machine decided.
    pub(super) fn perform_alerts(&mut self, now: Now) {
        while let Some(effect) = self.alerts.poll_effect() {
            match effect {
                Effect::Tell(action, alert) => self.tell_alert(action, alert, now),
                Effect::Keep(step) => {
                    let step = Step::Alert(self.remembering(step, now));
                    self.keep(vec![step], None, false);
                }
                Effect::Stage { steps, report, state } => {
                    let steps =
                        steps.into_iter().map(|step| Step::Alert(self.remembering(step, now)));
                    let steps = steps.collect();
                    self.stage(steps, report, state);
                }
                Effect::Report(report) => {
                    let event = self.report(&report, self.own_contexts());
                    let (ticket, step) = self.queue_kept(event);
                    self.keep(vec![step], Some(ticket), false);
                }
                Effect::Ask(report) => {
                    let event = self.report(&report, self.own_contexts());
                    self.send(event, Care::Some);
                }
                Effect::Synchronize if self.link.state() == SessionState::Connected => {
                    self.ask_for_all_alerts();
                }
                Effect::Synchronize => {} // connecting brings it
                Effect::Became(kind, to) => self.measure(Measure::AlertBecame(kind, to)),
                Effect::Late(by) => self.measure(Measure::AlertLate(by)),
            }
        }
    }

    fn stage(
        &mut self,
        mut steps: Vec<Step>,
        report: Option<Report>,
        state: std::sync::Arc<serde_json::value::RawValue>,
    ) {
        let ticket = report.map(|report| {
            let own = OwnContexts { alerts: state, ..self.own_contexts() };
            let event = self.report(&report, own);
            let (ticket, step) = self.queue_kept(event);
            steps.push(step);
            ticket
        });
        self.keep(steps, ticket, true);
    }

    fn report(&mut self, report: &Report, own: OwnContexts) -> Outgoing {
        let payload = match &report.token {
            Some(token) => json!({"token": token, "type": report.kind}),
            None => json!({"type": report.kind}),
        };
        self.outgoing("Alerts", report.name, raw(&payload).into(), own)
    }
}
