//! What CIC asks the appliance for, and what the appliance answers: DeviceControl, settings,
//! delegation.

use serde::Deserialize;

use super::{Core, Measure, uplink::error};
use crate::{
    appliance::{
        control::{ActionResult, Configuration, Effect, Handling},
        ledger::Step,
        message::ErrorCode,
        outbox::{Care, Outgoing},
    },
    cic::directive::Directive,
    clock::Now,
};

impl Core {
    /// What is to be done with a directive that is about to be handed on.
    pub(super) fn order_control(&mut self, directive: &Directive, now: Now) -> Handling {
        if directive.is("System", "Exception") {
            log_exception(directive);
        }
        let handling = self.control.order(directive, now);
        if handling == Handling::Invalid {
            tracing::warn!(directive = directive.full_name(), "an order cannot be carried out");
        }
        self.perform_control(now);
        handling
    }

    /// `up/result`.
    pub(super) fn handle_result(&mut self, result: ActionResult, invalid: Vec<String>, now: Now) {
        for why in invalid {
            self.complain(error("up/result", ErrorCode::InvalidContext, why), now);
        }
        let message_id = result.message_id.clone();
        if self.control.result(result, now).is_err() {
            let why = "no directive with this id awaits a result";
            let mut error = error("up/result", ErrorCode::UnknownMessage, why);
            error.about.message_id = Some(message_id);
            self.complain(error, now);
        }
        self.perform_control(now);
    }

    /// `up/settings`.
    pub(super) fn handle_settings(&mut self, configuration: Configuration, now: Now) {
        self.control.settings_reported(configuration);
        self.perform_control(now);
    }

    /// Performs what the control machine decided.
    pub(super) fn perform_control(&mut self, now: Now) {
        while let Some(effect) = self.control.poll_effect() {
            match effect {
                Effect::Apply(reports) => {
                    for report in reports {
                        self.take_context("up/result", report, now);
                    }
                }
                Effect::Report(report) => {
                    let own = self.own_contexts();
                    let (namespace, name) = (report.namespace, report.name);
                    let event = self.outgoing(namespace, name, report.payload, own);
                    self.send(event, report.care);
                }
                Effect::Failed(failure) => {
                    tracing::info!(
                        directive = format!("{}.{}", failure.namespace, failure.name),
                        target = %failure.target,
                        cause = %failure.cause,
                        "an order was not carried out"
                    );
                    self.measure(Measure::OrderFailed(failure.namespace, failure.name));
                }
            }
        }
    }

    /// Queues an event with as much care as it is worth.
    pub(super) fn send(&mut self, event: Outgoing, care: Care) {
        if care == Care::Keep {
            let (ticket, step): (_, Step) = self.queue_kept(event);
            return self.keep(vec![step], Some(ticket), false);
        }
        let (.., dropped) = self.outbox.push(event, care);
        self.note_left(dropped);
    }
}

/// An error that CIC reports by itself (transport 10). The session goes on.
fn log_exception(directive: &Directive) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Exception {
        code: i64,
        description: String,
    }
    let Exception { code, description } = directive.payload_as().unwrap_or_default();
    let description: String = description.chars().take(200).collect();
    tracing::warn!(code, description, "CIC reports an error");
}
