//! Every message example of the guide between a simulated CIC, a live gateway, and an appliance
//! that does only what the table says.

#![allow(clippy::unwrap_used)]

mod coverage;
mod examples;
mod malformed;
mod pattern;
mod payloads;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod variants;
mod when;

use std::path::Path;

use cic_gateway::sim::cic::{Scenario, SimSettings};
use cic_gateway::{appliance::duties, cic::names};
use futures_util::{StreamExt, future, stream};

use examples::Examples;
use run::{CASE_LIMIT, Run};
use support::stage::{Actor, Stage};
use table::{Case, Table};

async fn perform(
    actor: &Actor,
    examples: &Examples,
    table: &Table,
    case: &Case,
) -> Result<(), String> {
    let mut run = Run::begin(actor, examples).await?;
    for step in table.steps(&case.steps) {
        run.perform(&step).await.map_err(|wrong| format!("at {step:?}: {wrong}"))?;
    }
    run.end().await
}

/// A CIC that answers no request but as a case says.
fn taciturn() -> SimSettings {
    let scenario = Scenario::parse("", Path::new(".")).unwrap();
    SimSettings { scenario, ..SimSettings::default() }
}

/// Cases under way at a time: appliances have some seconds to answer, also on a busy machine.
pub const AT_ONCE: usize = 16;

/// Performs cases, each with an appliance of its own at one gateway.
async fn perform_all(table: &Table, cases: Vec<&Case>) {
    let examples = Examples::read();
    let stage = Stage::build(cases.len(), taciturn(), "").await;
    let performed = cases.iter().zip(&stage.actors).map(async |(case, actor)| {
        let done = tokio::time::timeout(CASE_LIMIT, perform(actor, &examples, table, case)).await;
        let done = done.unwrap_or_else(|_| Err("hangs".into()));
        done.err().map(|wrong| format!("{}\n{wrong}", case.title()))
    });
    let performed = stream::iter(performed).buffer_unordered(AT_ONCE);
    let wrong: Vec<_> = performed.filter_map(future::ready).collect().await;
    assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
    let metrics = stage.metrics();
    assert!(metrics.contains("cic_gateway_actor_restarts_total 0"), "{metrics}");
    stage.ends().await;
}

#[actix_web::test]
async fn every_message_of_the_guide_leads_to_what_the_table_says() {
    let table = Table::read();
    let mut cases: Vec<_> = table.cases.iter().filter(|case| !case.is_disturbing()).collect();
    if let Ok(only) = std::env::var("CASES") {
        cases.retain(|case| case.title().contains(&only));
    }
    perform_all(&table, cases).await;
}

#[actix_web::test]
async fn what_cannot_be_kept_is_not_acknowledged() {
    let table = Table::read();
    for case in table.cases.iter().filter(|case| case.is_disturbing()) {
        perform_all(&table, vec![case]).await;
    }
}

/// The guide's index, "Which directive must be answered with which event", is the duties' table;
/// here each row of it is something that really happens.
#[test]
fn the_table_has_every_answer_that_the_guides_index_wants() {
    let (examples, table) = (Examples::read(), Table::read());
    let owed = duties::all().flat_map(|duty| duty.answers.iter().map(move |answer| (duty, answer)));
    let missing: Vec<_> = owed
        .map(|(duty, answer)| (format!("{}.{}", duty.namespace, duty.name), *answer))
        .filter(|(directive, answer)| !table.answers(&examples, directive, answer))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_table_has_every_message_of_either_edition() {
    let (examples, table) = (Examples::read(), Table::read());
    let full = |(namespace, name): (&str, &str)| format!("{namespace}.{name}");
    let all = names::directives().chain(names::events()).map(full);
    let missing: Vec<_> = all.filter(|name| !table.has_message(&examples, name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_table_has_every_message_example_of_the_guide() {
    let (examples, table) = (Examples::read(), Table::read());
    assert_eq!(examples.iter().count(), 158);
    let missing = table::missing(&table, &examples);
    assert!(missing.is_empty(), "{missing:#?}");
}
