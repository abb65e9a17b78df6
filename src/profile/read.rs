//! A file becoming a profile. Every mistake is found and named with its line, except that a file
//! which is not TOML, or has an unknown key, ends with that.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::{
    Mistake, Profile, ProfileError,
    command::{CommandRule, Expected},
    consistency, library,
    path::{Path, Pointer},
    state::StateRule,
    template::Template,
};
use crate::{
    appliance::context::{DEVICE_STATE, Defaults, defaults},
    mqtt::topics,
};

/// Items of DeviceState that Increase and Decrease change.
const STEPPED: [&str; 3] = ["channel", "screenBrightness", "volume"];

type Table = Map<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    models: Vec<Spanned<String>>,
    base: Option<Spanned<String>>,
    time_zone: Option<Spanned<String>>,
    #[serde(default)]
    contexts: BTreeMap<Spanned<String>, Table>,
    #[serde(default)]
    items: BTreeMap<Spanned<String>, Table>,
    #[serde(default)]
    state: Vec<Spanned<State>>,
    #[serde(default)]
    command: Vec<Spanned<Command>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    topic: Spanned<String>,
    #[serde(default)]
    from: String,
    to: Spanned<String>,
    map: Option<Spanned<BTreeMap<String, Value>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    directive: Spanned<Names>,
    target: Option<Spanned<String>>,
    topic: Spanned<String>,
    payload: Spanned<Value>,
    expect: Spanned<Value>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a name or a list of names")]
enum Names {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Awaited {
    state: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    from: String,
    value: Option<Value>,
    failed: Option<Value>,
}

/// Reads a profile, on top of the shipped one that it names as its base.
pub(super) fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
    let mut reader = Reader { file, text, mistakes: Vec::new() };
    let profile = match toml::from_str::<File>(text) {
        Ok(parsed) => Some(reader.profile(parsed)),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.mistake(at, error.message().to_owned());
            None
        }
    };
    match profile {
        Some(profile) if reader.mistakes.is_empty() => Ok(profile),
        _ => Err(ProfileError(reader.mistakes)),
    }
}

pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    pub(super) fn mistake(&mut self, at: usize, problem: String) {
        let line = self.text[..at.min(self.text.len())].matches('\n').count() + 1;
        self.mistakes.push(Mistake { place: format!("{}:{line}", self.file), problem });
    }

    fn take<T>(&mut self, at: usize, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.mistake(at, problem)).ok()
    }

    fn profile(&mut self, file: File) -> Profile {
        let mut profile = self.base(file.base);
        let name = self.file.rsplit('/').next().unwrap_or_default();
        profile.name = name.strip_suffix(".toml").unwrap_or(name).to_owned();
        profile.models = file.models.into_iter().map(Spanned::into_inner).collect();
        if let Some(zone) = file.time_zone {
            let at = zone.span().start;
            let zone = self.take(at, defaults::parse_zone(zone.get_ref()));
            profile.has_zone |= zone.is_some();
            Arc::make_mut(&mut profile.defaults).set_zone(zone.unwrap_or(jiff::tz::TimeZone::UTC));
        }
        self.contexts(Arc::make_mut(&mut profile.defaults), file.contexts);
        self.items(&mut profile, file.items);
        let states = file.state.into_iter();
        let states: Vec<_> =
            states.filter_map(|rule| Some((rule.span().start, self.state(rule)?))).collect();
        let commands = file.command.into_iter();
        let commands: Vec<_> =
            commands.filter_map(|rule| Some((rule.span().start, self.command(rule)?))).collect();
        // Rules that could not be read would only be missed in what follows.
        if self.mistakes.is_empty() {
            self.rules(&mut profile, states, commands);
        }
        profile
    }

    /// Puts rules before those of the base, and checks that they go together.
    fn rules(
        &mut self,
        profile: &mut Profile,
        states: Vec<(usize, StateRule)>,
        commands: Vec<(usize, CommandRule)>,
    ) {
        consistency::check_commands(self, &profile.defaults, &commands);
        let mapped: Vec<_> = states.iter().map(|(at, rule)| (*at, rule.to.clone())).collect();
        let is_own = |to: &Path| mapped.iter().any(|(_, own)| own.to_string() == to.to_string());
        profile.states.retain(|base| !is_own(&base.to));
        profile.states.extend(states.into_iter().map(|(_, rule)| rule));
        profile.commands.splice(0..0, commands.into_iter().map(|(_, rule)| rule));
        consistency::check_states(self, profile, &mapped);
    }

    /// The shipped profile that this one begins with, or an empty one.
    fn base(&mut self, base: Option<Spanned<String>>) -> Profile {
        let found = base.and_then(|base| {
            let text = library::shipped(base.get_ref()).ok_or_else(|| {
                let known: Vec<_> = library::SHIPPED.iter().map(|(name, _)| *name).collect();
                format!("base {:?} is not shipped; there are {}", base.get_ref(), known.join(", "))
            });
            self.take(base.span().start, text)
        });
        let empty = Profile {
            name: String::new(),
            models: Vec::new(),
            has_zone: false,
            defaults: Arc::default(),
            steps: BTreeMap::new(),
            states: Vec::new(),
            commands: Vec::new(),
        };
        found.and_then(|text| parse("base", text).ok()).unwrap_or(empty)
    }

    fn contexts(&mut self, defaults: &mut Defaults, contexts: BTreeMap<Spanned<String>, Table>) {
        for (name, payload) in contexts {
            let at = name.span().start;
            if name.get_ref() == DEVICE_STATE {
                self.mistake(at, format!("write {DEVICE_STATE} as [items.power] and so on"));
            } else if let Err(wrong) = defaults.add(name.get_ref(), payload) {
                wrong.into_iter().for_each(|problem| self.mistake(at, problem));
            }
        }
    }

    fn items(&mut self, profile: &mut Profile, items: BTreeMap<Spanned<String>, Table>) {
        for (name, mut item) in items {
            let (at, name) = (name.span().start, name.into_inner());
            profile.steps.remove(&name);
            if STEPPED.contains(&name.as_str())
                && let Some(step) = item.remove("step")
            {
                let step = step.as_i64().filter(|step| *step > 0);
                let step = step.ok_or(format!("items.{name}.step must be an integer above 0"));
                profile.steps.extend(self.take(at, step).map(|step| (name.clone(), step)));
            }
            let state = Map::from_iter([(name, Value::Object(item))]);
            let defaults = Arc::make_mut(&mut profile.defaults);
            if let Err(wrong) = defaults.add(DEVICE_STATE, state) {
                wrong.into_iter().for_each(|problem| self.mistake(at, problem));
            }
        }
    }

    fn state(&mut self, rule: Spanned<State>) -> Option<StateRule> {
        let State { topic, from, to, map } = rule.into_inner();
        let at = to.span().start;
        let to = self.take(at, Path::parse(to.get_ref()));
        let topic = self.topic(topic, "up/x/");
        let (to, topic) = (to?, topic?);
        let map = map.map(|map| {
            let at = map.span().start;
            for value in map.get_ref().values() {
                self.take(at, to.check(value));
            }
            map.into_inner()
        });
        Some(StateRule { topic, from: Pointer::parse(&from), to, map })
    }

    fn command(&mut self, rule: Spanned<Command>) -> Option<CommandRule> {
        let Command { directive, target, topic, payload, expect } = rule.into_inner();
        let at = [payload.span().start, expect.span().start];
        let directives = match directive.into_inner() {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        };
        let payload = self.payload(at[0], payload.into_inner());
        let expect = self.expect(at[1], expect.into_inner());
        let topic = self.topic(topic, "down/x/");
        let target = target.map(Spanned::into_inner);
        let (topic, payload, expect) = (topic?, payload?, expect?);
        Some(CommandRule { directives, target, topic, payload, expect })
    }

    /// JSON in a text would break at the first value with a quote in it.
    fn payload(&mut self, at: usize, payload: Value) -> Option<Template> {
        let template = self.take(at, Template::parse(payload))?;
        if template.is_json_in_text() {
            let problem = "write JSON as TOML, as payload = { level = \"{value}\" }";
            self.mistake(at, problem.to_owned());
        }
        Some(template)
    }

    fn expect(&mut self, at: usize, expect: Value) -> Option<Expected> {
        const FORMS: &str = "expect must be \"sent\", { state = ..., value = ... } or \
                             { topic = ..., from = ..., value = ..., failed = ... }";
        if expect == "sent" {
            return Some(Expected::Sent);
        }
        let awaited = serde_json::from_value::<Awaited>(expect);
        let awaited = self.take(at, awaited.map_err(|error| format!("{FORMS}: {error}")))?;
        let mut template = |value: Option<Value>| {
            value
                .map(|value| self.take(at, Template::parse(value)))
                .map_or(Some(None), |t| t.map(Some))
        };
        match awaited {
            Awaited { state: Some(state), topic: None, value: Some(value), failed: None, from }
                if from.is_empty() =>
            {
                let value = template(Some(value))??;
                let path = self.take(at, Path::parse(&state))?;
                self.awaited_value(at, &path, &value);
                Some(Expected::State { path, value })
            }
            Awaited { topic: Some(topic), state: None, from, value, failed } => {
                let (value, failed) = (template(value)?, template(failed)?);
                let topic = self.check_topic(at, topic, "up/x/")?;
                Some(Expected::Message { topic, from: Pointer::parse(&from), value, failed })
            }
            _ => {
                self.mistake(at, FORMS.to_owned());
                None
            }
        }
    }

    /// A fixed value that the field can never have would never be reached.
    fn awaited_value(&mut self, at: usize, path: &Path, value: &Template) {
        if value.is_fixed() {
            self.take(at, path.check(&path.coerce(value.fill(&|_| Value::Null))));
        }
    }

    fn topic(&mut self, topic: Spanned<String>, prefix: &str) -> Option<String> {
        let at = topic.span().start;
        self.check_topic(at, topic.into_inner(), prefix)
    }

    /// Appliances may only publish below `up/` and listen below `down/`; `x/` keeps their topics
    /// apart from ours.
    fn check_topic(&mut self, at: usize, topic: String, prefix: &str) -> Option<String> {
        let rest = topic.strip_prefix(prefix).unwrap_or_default();
        if topics::is_topic(&topic) && rest.split('/').all(|level| !level.is_empty()) {
            return Some(topic);
        }
        self.mistake(at, format!("topic {topic:?} must be {prefix}NAME, without + and #"));
        None
    }
}
