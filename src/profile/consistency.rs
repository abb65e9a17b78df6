//! What concerns several parts of a profile. Called by `read`.

use super::{
    Profile,
    command::{CommandRule, Expected},
    path::Path,
    read::Reader,
    same_target,
};
use crate::appliance::context::{
    DEVICE_STATE, Defaults,
    schema::{Kind, Needed},
    tables,
};

/// The control directives, and which targets they may have; none for those of Bluetooth.
pub(super) const DIRECTIVES: &[(&str, &[&str])] = &[
    ("TurnOn", SWITCHED),
    ("TurnOff", SWITCHED),
    ("Increase", ADJUSTED),
    ("Decrease", ADJUSTED),
    ("SetValue", ADJUSTED),
    ("Open", &["home", "settings"]),
    ("OpenScreen", &["settings"]),
    ("BtConnect", &[]),
    ("BtConnectByPINCode", &[]),
    ("BtDelete", &[]),
    ("BtDisconnect", &[]),
    ("BtPlay", &[]),
    ("BtRescan", &[]),
    ("BtStartPairing", &[]),
    ("BtStopPairing", &[]),
];
const SWITCHED: &[&str] = &[
    "airplane",
    "bluetooth",
    "cellular",
    "energysave",
    "flashlight",
    "gps",
    "power",
    "powersave",
    "ring",
    "screenautobrightness",
    "silent",
    "soundmode",
    "vibrate",
    "wifi",
];
const ADJUSTED: &[&str] = &["channel", "screenbrightness", "volume"];

/// Whether every command can come, and has what it needs; `commands` with where they stand.
pub(super) fn check_commands(
    reader: &mut Reader<'_>,
    defaults: &Defaults,
    commands: &[(usize, CommandRule)],
) {
    let mut seen = Vec::new();
    for (at, rule) in commands {
        let target = rule.target.as_deref();
        for directive in &rule.directives {
            let shown = format!("{directive} {}", target.unwrap_or_default());
            let shown = shown.trim_end();
            let checked = check_target(directive, target)
                .and_then(|()| check_action(defaults, directive, target))
                .and_then(|()| check_placeholders(rule, directive, target));
            if let Err(problem) = checked {
                reader.mistake(*at, format!("{shown}: {problem}"));
            }
            let key = (directive.clone(), target.map(same_target));
            if seen.contains(&key) {
                reader.mistake(*at, format!("{shown}: there is a command for it already"));
            }
            seen.push(key);
        }
    }
}

fn check_target(directive: &str, target: Option<&str>) -> Result<(), String> {
    let Some((_, targets)) = DIRECTIVES.iter().find(|(known, _)| *known == directive) else {
        let known: Vec<_> = DIRECTIVES.iter().map(|(known, _)| *known).collect();
        return Err(format!("there is no such directive; there are {}", known.join(", ")));
    };
    match target {
        None if targets.is_empty() => Ok(()),
        Some(target) if targets.contains(&target) => Ok(()),
        _ if targets.is_empty() => Err("it has no target".into()),
        _ => Err(format!("its target must be one of {}", targets.join(", "))),
    }
}

/// CLOVA asks only for what an item's `actions` promise.
fn check_action(defaults: &Defaults, directive: &str, target: Option<&str>) -> Result<(), String> {
    let item = target.map_or(Some("bluetooth"), tables::item_of);
    let Some(item) = item.filter(|item| can_promise(item, directive)) else { return Ok(()) };
    let promised = defaults.given(DEVICE_STATE).and_then(|state| state.get(item));
    let promised = promised.and_then(|item| item.get("actions")?.as_array());
    if promised.is_some_and(|actions| actions.iter().any(|action| action == directive)) {
        return Ok(());
    }
    Err(format!("CLOVA will not ask for it unless [items.{item}] has it among its actions"))
}

fn can_promise(item: &str, directive: &str) -> bool {
    let items = tables::of(DEVICE_STATE).and_then(Kind::fields).unwrap_or_default();
    let item = items.iter().find(|known| known.name == item).and_then(|item| item.kind.fields());
    let actions = item.unwrap_or_default().iter().find(|field| field.name == "actions");
    actions.is_some_and(
        |field| matches!(field.kind, Kind::Choices(known) if known.contains(&directive)),
    )
}

fn check_placeholders(
    rule: &CommandRule,
    directive: &str,
    target: Option<&str>,
) -> Result<(), String> {
    let awaited = match &rule.expect {
        Expected::State { value, .. } => Some(value),
        _ => None,
    };
    let has =
        |name: &str| rule.payload.has(name) || awaited.is_some_and(|template| template.has(name));
    let is_relative = ["Increase", "Decrease"].contains(&directive);
    if has("value") && is_relative && target == Some("channel") {
        return Err("nobody knows the present channel; use {step}".into());
    }
    if has("value") && !is_relative && directive != "SetValue" {
        return Err("it has no {value}".into());
    }
    if has("step") && !is_relative {
        return Err("it has no {step}".into());
    }
    Ok(())
}

/// Whether what is mapped adds up to something that can be sent; `mapped` with where it stands.
pub(super) fn check_states(reader: &mut Reader<'_>, profile: &Profile, mapped: &[(usize, Path)]) {
    let mut told = Vec::new();
    for (at, to) in mapped {
        for missing in beside(to).filter(|field| !is_there(profile, field)) {
            let missing = missing.to_string();
            if !told.contains(&missing) {
                let problem = format!("{to} is of no use without {missing}: give it or map it");
                reader.mistake(*at, problem);
                told.push(missing);
            }
        }
    }
}

/// The fields that must be beside this one.
fn beside(to: &Path) -> impl Iterator<Item = Path> {
    let (context, around) = (to.context.clone(), to.fields[..to.fields.len() - 1].to_vec());
    let mut kind = tables::of(&context);
    for name in &around {
        let fields = kind.and_then(Kind::fields).unwrap_or_default();
        kind = fields.iter().find(|field| field.name == *name).map(|field| &field.kind);
    }
    let fields = kind.and_then(Kind::fields).unwrap_or_default();
    let needed = fields.iter().filter(|field| matches!(field.needed, Needed::Always));
    needed.map(move |field| {
        let fields = around.iter().cloned().chain([field.name.to_owned()]).collect();
        Path { context: context.clone(), fields, kind: &field.kind }
    })
}

/// Whether the profile gives a field, or maps it.
fn is_there(profile: &Profile, field: &Path) -> bool {
    let given = profile.defaults.given(&field.context);
    given.is_some_and(|given| field.find(given).is_some())
        || profile
            .states
            .iter()
            .any(|rule| (&rule.to.context, &rule.to.fields) == (&field.context, &field.fields))
}
