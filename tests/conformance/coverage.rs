//! `docs/cic-coverage.md`: every message of both editions of the guide and what becomes of it,
//! written from the gateway's own duties and from the table of this suite.

use std::{collections::BTreeSet, fmt::Write, path::PathBuf};

use cic_gateway::{
    appliance::{
        control::current_event_name,
        duties::{self, By, Duty, Silence, Within},
    },
    cic::names,
};

use super::{
    examples::Examples,
    table::{Case, Step, Table, full_name},
    when::{AT_CONNECT, EDITIONS, WHEN},
};

const HEAD: &str = "# What becomes of each message of CIC

Every directive and every event of the CIC client developer guide, of the Korean edition of December 2022 and of the English one of August 2019, and the few that are only known from the field. None is left out.

This page is made from the code: from what the gateway does, and from the rows of `tests/conformance/cases`, each of which is performed against a live gateway. After a change, write it anew:

```sh
UPDATE_DOCS=1 cargo test --test conformance coverage
```

";

const DIRECTIVES: &str = "## Directives: from CIC

* **gateway**: carried out by the gateway. The appliance hears of it by a message of its own, if at all.
* **appliance**: relayed as it is, in `down/directive`; the appliance carries it out.
* **both**: the gateway does its part, the appliance the rest.

`down/...` are the topics on which rows of the suite hear of it. \"Answered with\" names the events that CIC gets: alternatives, or one after the other.

| directive | edition | carried out by | the appliance gets | answered with | by when | if the appliance says nothing | rows |
|---|---|---|---|---|---|---|--:|
";

const EVENTS: &str = "
## Events: to CIC

* **gateway**: the gateway sends it by itself, when the time has come.
* **relayed**: the appliance asks for it with `up/event`; the gateway adds ids and context.

Whatever the gateway sends by itself, an appliance can also have it send with `up/event`. Every event carries every context object that is known.

| event | edition | sent by | sent when | rows |
|---|---|---|---|--:|
";

fn edition(name: &str) -> &'static str {
    let known = EDITIONS.iter().find(|(message, _)| *message == name);
    known.map_or("both", |(_, edition)| edition)
}

/// Topics on which the appliance hears of a directive before anything else happens.
fn topics(table: &Table, examples: &Examples, directive: &str) -> BTreeSet<String> {
    let is_it = |step: &Step| {
        step.cic.as_ref().is_some_and(|example| full_name(examples, example) == directive)
    };
    let mut topics = BTreeSet::new();
    for case in &table.cases {
        let steps = table.steps(&case.steps);
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| is_it(step)) {
            // What answers an event comes later than it is written.
            let comes = |next: &&Step| !step.answers_event() || next.goes_on();
            let follows = steps[at + 1..].iter().skip_while(|next| !comes(next));
            let follows = follows.take_while(|next| next.goes_on());
            topics.extend(follows.filter_map(|next| next.down.clone()));
        }
    }
    topics
}

fn rows(table: &Table, examples: &Examples, name: &str) -> usize {
    let has = |case: &&Case| case.examples().any(|example| full_name(examples, example) == name);
    table.cases.iter().filter(has).count()
}

fn within(duty: &Duty) -> &'static str {
    match duty.within {
        Within::Never => "",
        Within::AtOnce => "at once",
        Within::Kept => "once the store has it",
        Within::ResultTime => "`up/result`, at most `cic.result_timeout`",
        Within::Playing => "while it is played",
        Within::Listening => "the time that it names",
    }
}

fn silence(duty: &Duty) -> &'static str {
    match duty.silence {
        Silence::Unnoticed => "",
        Silence::Failure => "reported as failed",
        Silence::KnownSettings => "the settings that are known",
        Silence::GivenUp => "nobody waits any longer",
    }
}

fn directive_row(table: &Table, examples: &Examples, duty: &Duty) -> String {
    let name = format!("{}.{}", duty.namespace, duty.name);
    let by = match duty.by {
        By::Gateway => "gateway",
        By::Appliance => "appliance",
        By::Both => "both",
    };
    let mut topics = topics(table, examples, &name);
    if duty.by == By::Gateway {
        // Another one, with which CIC answers.
        topics.remove("directive");
    }
    let topics: Vec<_> = topics.iter().map(|topic| format!("`down/{topic}`")).collect();
    let own =
        |answer: &&str| answer.strip_prefix(&format!("{}.", duty.namespace)).map(str::to_owned);
    let answers = duty.answers.iter().map(|answer| own(answer).unwrap_or((*answer).to_owned()));
    let answers: Vec<_> = answers.collect();
    format!(
        "| `{name}` | {} | {by} | {} | {} | {} | {} | {} |",
        edition(&name),
        topics.join(", "),
        answers.join(", "),
        within(duty),
        silence(duty),
        rows(table, examples, &name),
    )
}

/// Whether some row has the gateway send it without being told to by `up/event`.
fn is_own(table: &Table, examples: &Examples, event: &str) -> bool {
    let relayed = |step: &Step| {
        let says = step.says.as_ref().filter(|_| step.up.as_deref() == Some("event"));
        says.is_some_and(|says| {
            let text = |field: &str| says[field].as_str().unwrap_or_default();
            let (namespace, name) = (text("namespace"), text("name"));
            format!("{namespace}.{}", current_event_name(namespace, name)) == event
        })
    };
    table.cases.iter().any(|case| {
        let steps = table.steps(&case.steps);
        let sees = |step: &Step| {
            step.event.as_ref().is_some_and(|example| full_name(examples, example) == event)
        };
        steps.iter().any(sees) && !steps.iter().any(relayed)
    })
}

fn event_row(table: &Table, examples: &Examples, name: &str, when: &str) -> String {
    // What comes with each connect is over before a row begins: see tests/flows.
    let is_own = when == AT_CONNECT || is_own(table, examples, name);
    let by = if is_own { "gateway" } else { "relayed" };
    format!("| `{name}` | {} | {by} | {when} | {} |", edition(name), rows(table, examples, name))
}

fn page() -> String {
    let (table, examples) = (Table::read(), Examples::read());
    let mut page = format!("{HEAD}{DIRECTIVES}");
    for duty in duties::all() {
        writeln!(page, "{}", directive_row(&table, &examples, duty)).unwrap();
    }
    page.push_str(EVENTS);
    for (name, when) in WHEN {
        writeln!(page, "{}", event_row(&table, &examples, name, when)).unwrap();
    }
    page
}

#[test]
fn the_coverage_page_says_what_is_true() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/cic-coverage.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, page,
        "docs/cic-coverage.md is stale: UPDATE_DOCS=1 cargo test --test conformance coverage"
    );
}

#[test]
fn the_coverage_page_leaves_nothing_out_and_lets_nothing_be_unsupported() {
    let page = page();
    for (namespace, name) in names::directives().chain(names::events()) {
        let row = page.lines().find(|row| row.starts_with(&format!("| `{namespace}.{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{namespace}.{name}"));
        assert!(!row.ends_with("| 0 |"), "{row}");
    }
    let listed: Vec<_> = WHEN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let known: Vec<_> = names::events().map(|(ns, name)| format!("{ns}.{name}")).collect();
    assert_eq!(listed, known);
    assert!(!page.contains("unsupported"));
}
