//! The table: what each message must lead to. Its rows are in `cases/*.toml`, so that one who
//! writes firmware can read them; `cases/README.md` says how.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::examples::{Example, Examples};

/// What happens, or must happen, next. Exactly one of the first fields says what it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The steps of a scene.
    pub scene: Option<String>,
    /// CIC sends this example of a directive.
    pub cic: Option<String>,
    /// The appliance publishes on this topic, `says`.
    pub up: Option<String>,
    /// The appliance gets a message on this topic, which `is` like this.
    pub down: Option<String>,
    /// The appliance gets what was attached to the directive.
    pub attachment: Option<bool>,
    /// CIC sees this example of an event, or one of this name.
    pub event: Option<String>,
    /// The gateway's store `fails`.
    pub store: Option<String>,

    /// Places of the example that are changed.
    #[serde(default)]
    pub edit: BTreeMap<String, Value>,
    /// Where a directive goes: `answer` to a request, `channel`, or in answer to an event.
    pub way: Option<String>,
    /// Under this name, the directive can be quoted by later steps.
    pub r#as: Option<String>,
    pub says: Option<Value>,
    /// In place of `says`: so many bytes of silence.
    pub bytes: Option<usize>,
    pub is: Option<Value>,
    /// The event's whole payload, when the guide has no example.
    pub payload: Option<Value>,
    /// What the event's context objects hold.
    #[serde(default)]
    pub context: BTreeMap<String, Value>,
}

impl Step {
    /// Whether it only waits for what the last directive leads to.
    pub fn goes_on(&self) -> bool {
        self.cic.is_none() && self.up.is_none()
    }

    /// Whether its directive waits for an event that it answers.
    pub fn answers_event(&self) -> bool {
        self.way.as_deref().is_some_and(|way| way != "answer" && way != "channel")
    }
}

/// One row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Which case it is, where the messages alone do not say it.
    #[serde(default)]
    pub why: String,
    /// Examples that it covers without quoting them.
    #[serde(default)]
    of: Vec<String>,
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    name: String,
    steps: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Directives that reach the appliance as they are, in the answer to a request and on the
    /// downchannel; nothing answers them.
    #[serde(default)]
    relayed: Vec<String>,
    #[serde(default)]
    case: Vec<Case>,
    #[serde(default)]
    scene: Vec<Scene>,
}

pub struct Table {
    pub cases: Vec<Case>,
    scenes: BTreeMap<String, Vec<Step>>,
}

impl Table {
    pub fn read() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        files.sort();
        let (mut cases, mut scenes) = (Vec::new(), BTreeMap::new());
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: File =
                toml::from_str(&text).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
            cases.extend(file.relayed.iter().map(|example| relayed(example)));
            cases.extend(file.case);
            scenes.extend(file.scene.into_iter().map(|scene| (scene.name, scene.steps)));
        }
        Self { cases, scenes }
    }

    /// Whether a case has this directive or event, by `Namespace.Name`.
    pub fn has_message(&self, examples: &Examples, name: &str) -> bool {
        let mut quoted = self.cases.iter().flat_map(Case::examples);
        quoted.any(|example| full_name(examples, example) == name)
    }

    /// Whether there is a case in which this directive leads to this event.
    pub fn answers(&self, examples: &Examples, directive: &str, event: &str) -> bool {
        let is = |example: &Option<String>, name: &str| {
            example.as_ref().is_some_and(|example| full_name(examples, example) == name)
        };
        self.cases.iter().any(|case| {
            let steps = self.steps(&case.steps);
            let mut rest = steps.iter().skip_while(|step| !is(&step.cic, directive));
            rest.any(|step| is(&step.event, event))
        })
    }

    /// The steps of a case, with those of its scenes.
    pub fn steps(&self, steps: &[Step]) -> Vec<Step> {
        let of = |step: &Step| match &step.scene {
            Some(scene) => {
                let steps = self.scenes.get(scene);
                self.steps(steps.unwrap_or_else(|| panic!("there is no scene {scene}")))
            }
            None => vec![step.clone()],
        };
        steps.iter().flat_map(of).collect()
    }
}

/// Of an example, or of a message that has none.
pub fn full_name(examples: &Examples, example: &str) -> String {
    examples.get(example).map_or_else(|| example.to_owned(), Example::full_name)
}

fn relayed(example: &str) -> Case {
    let cic = Step { cic: Some(example.to_owned()), ..Step::default() };
    let down = Step { down: Some("directive".into()), is: Some("@cic".into()), ..Step::default() };
    Case { why: String::new(), of: Vec::new(), steps: vec![cic, down] }
}

impl Case {
    /// The examples of the guide that it is about, its scenes left aside.
    pub fn examples(&self) -> impl Iterator<Item = &String> {
        let quoted = self.steps.iter().flat_map(|step| step.cic.iter().chain(&step.event));
        quoted.chain(&self.of)
    }

    /// Whether it disturbs all appliances of its gateway.
    pub fn is_disturbing(&self) -> bool {
        self.steps.iter().any(|step| step.store.is_some())
    }

    /// Names it in failures.
    pub fn title(&self) -> String {
        let names: Vec<_> = self.examples().map(String::as_str).collect();
        match self.why.as_str() {
            "" => names.join(" -> "),
            why => format!("{} ({why})", names.join(" -> ")),
        }
    }
}

/// Examples that no row is about.
pub fn missing<'a>(table: &Table, examples: &'a Examples) -> Vec<&'a String> {
    let has = |name: &String| table.cases.iter().any(|case| case.examples().any(|e| e == name));
    let all = examples.iter().filter(|(name, _): &(&String, &Example)| !has(name));
    all.map(|(name, _)| name).collect()
}
