//! All profiles, and which one a model has.

use std::{path::Path, sync::Arc};

use jiff::tz::TimeZone;

use super::{Mistake, Profile, ProfileError};
use crate::config;

macro_rules! shipped {
    ($($name:literal)*) => {
        /// Names and texts of the profiles in this program.
        pub(super) const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../profiles/", $name, ".toml"))),)*];
    };
}

shipped!["air-conditioner" "display-speaker" "generic" "refrigerator" "speaker" "television"];

/// The profile of a model that no other is for.
const GENERIC: &str = "generic";

/// The text of a shipped profile.
pub(super) fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// All profiles: the shipped ones, and those of a directory, which come first.
#[derive(Debug, Clone)]
pub struct Profiles {
    all: Vec<Arc<Profile>>,
    generic: Arc<Profile>,
}

impl Profiles {
    /// The profiles of `[profiles]`.
    ///
    /// # Errors
    /// As [`Profiles::load`], and when there is no such time zone.
    pub fn configured(config: &config::Profiles) -> Result<Self, ProfileError> {
        let zone = config.zone().map_err(|problem| {
            ProfileError(vec![Mistake { place: "profiles.time_zone".into(), problem }])
        })?;
        let dir = Some(Path::new(&config.dir)).filter(|_| !config.dir.is_empty());
        Self::load(dir, &zone)
    }

    /// Reads the shipped profiles and every `*.toml` of a directory. One with the name of a
    /// shipped one replaces it. `zone` is that of profiles that name none.
    ///
    /// # Errors
    /// Every mistake in them, and what cannot be read.
    pub fn load(dir: Option<&Path>, zone: &TimeZone) -> Result<Self, ProfileError> {
        let mut mistakes = Vec::new();
        let own = dir.map(|dir| read_dir(dir, &mut mistakes)).unwrap_or_default();
        let is_own = |name: &str| own.iter().any(|profile: &Profile| profile.name == name);
        let shipped = SHIPPED.iter().filter(|(name, _)| !is_own(name));
        let shipped =
            shipped.filter_map(|(name, text)| keep(Profile::parse(name, text), &mut mistakes));
        let mut all: Vec<_> = shipped.collect();
        check_models(&own, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(ProfileError(mistakes));
        }
        all.splice(0..0, own);
        for profile in all.iter_mut().filter(|profile| !profile.has_zone) {
            std::sync::Arc::make_mut(&mut profile.defaults).set_zone(zone.clone());
        }
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        let generic = all.iter().find(|profile| profile.name == GENERIC).cloned();
        Ok(Self { generic: generic.expect("a profile of this name is shipped"), all })
    }

    /// The profile of a model: the one that names it, or the most exact of those whose pattern
    /// fits, or `generic`.
    pub fn for_model(&self, model_id: &str) -> &Arc<Profile> {
        let fits = |profile: &Profile| {
            let patterns = profile.models.iter().filter(|pattern| is_match(pattern, model_id));
            patterns.map(|pattern| exactness(pattern)).max()
        };
        let fitting = self.all.iter().filter_map(|profile| Some((fits(profile)?, profile)));
        // Of equals the first: one of the directory.
        let best = fitting.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map_or(&self.generic, |(_, profile)| profile)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.all.iter()
    }
}

fn keep(parsed: Result<Profile, ProfileError>, mistakes: &mut Vec<Mistake>) -> Option<Profile> {
    parsed.map_err(|error| mistakes.extend(error.0)).ok()
}

fn read_dir(dir: &Path, mistakes: &mut Vec<Mistake>) -> Vec<Profile> {
    let mut unreadable = |path: &Path, error: std::io::Error| {
        mistakes.push(Mistake { place: path.display().to_string(), problem: error.to_string() });
    };
    let entries = match std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => {
            unreadable(dir, error);
            return Vec::new();
        }
    };
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => unreadable(&path, error),
        }
    }
    let read = texts.iter().filter_map(|(file, text)| keep(Profile::parse(file, text), mistakes));
    read.collect()
}

/// Two profiles for the same model would leave to chance which one is taken.
fn check_models(own: &[Profile], mistakes: &mut Vec<Mistake>) {
    for (index, profile) in own.iter().enumerate() {
        for model in &profile.models {
            if let Some(other) = own[..index].iter().find(|other| other.models.contains(model)) {
                let place = format!("{}.toml", profile.name);
                let problem = format!("models: {model:?} is in {}.toml too", other.name);
                mistakes.push(Mistake { place, problem });
            }
        }
    }
}

/// How exactly a pattern describes what it fits: a name before any pattern, then the longer one.
fn exactness(pattern: &str) -> (bool, usize) {
    let wild = pattern.chars().filter(|c| matches!(c, '*' | '?')).count();
    (wild == 0, pattern.chars().count() - wild)
}

/// Whether a text fits a pattern with `*` for any characters and `?` for any one.
fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // For each prefix of the text: whether the pattern so far fits it.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for c in pattern {
        if c == '*' {
            let first = fits.iter().position(|fit| *fit).unwrap_or(fits.len());
            fits[first..].fill(true);
            continue;
        }
        for at in (1..=text.len()).rev() {
            fits[at] = fits[at - 1] && (c == '?' || c == text[at - 1]);
        }
        fits[0] = false;
    }
    fits[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let rows = [
            ("AC-1", "AC-1", true),
            ("AC-1", "AC-12", false),
            ("AC-*", "AC-", true),
            ("AC-*", "XAC-1", false),
            ("*-TV", "KITCHEN-TV", true),
            ("A?-*x*", "AC-axb", true),
            ("A?-*x*", "AC-ab", false),
            ("?", "", false),
            ("*", "", true),
            ("", "a", false),
        ];
        for (pattern, text, want) in rows {
            assert_eq!(is_match(pattern, text), want, "{pattern} {text}");
        }
    }

    fn with(files: &[(&str, &str)]) -> Result<Profiles, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let loaded = Profiles::load(Some(dir.path()), &TimeZone::UTC);
        loaded.map_err(|error| error.to_string().replace(dir.path().to_str().unwrap(), ""))
    }

    #[test]
    fn the_most_exact_profile_is_taken_and_the_directory_comes_first() {
        let profiles = with(&[
            ("a.toml", "models = [\"GW-*\"]"),
            ("b.toml", "models = [\"GW-2*\", \"speaker\"]"),
            ("c.toml", "models = [\"GW-200\"]"),
            ("notes.txt", "no profile"),
            ("television.toml", "models = [\"television\"]\nbase = \"television\""),
        ])
        .unwrap();
        let rows = [
            ("GW-100", "a"),
            ("GW-201", "b"),
            ("GW-200", "c"),
            ("speaker", "b"),
            ("television", "television"),
            ("refrigerator", "refrigerator"),
            ("nobody's", "generic"),
        ];
        for (model, want) in rows {
            assert_eq!(profiles.for_model(model).name, want, "{model}");
        }
        assert_eq!(profiles.iter().count(), SHIPPED.len() + 3, "one replaces a shipped one");
    }

    #[test]
    fn every_mistake_in_a_directory_is_named_with_its_file() {
        let files =
            [("a.toml", "models = [\"X\"]\nmodles = 1"), ("b.toml", "time_zone = \"Mars\"")];
        let errors = with(&files).unwrap_err();
        assert!(errors.contains("/a.toml:2: unknown field `modles`"), "{errors}");
        assert!(errors.contains("/b.toml:1: \"Mars\" is no time zone"), "{errors}");
        let twice = with(&[("a.toml", "models = [\"X\"]"), ("b.toml", "models = [\"X\"]")]);
        assert_eq!(twice.unwrap_err(), "b.toml: models: \"X\" is in a.toml too");
        let nowhere = Profiles::load(Some(Path::new("/nonexistent")), &TimeZone::UTC);
        assert!(nowhere.unwrap_err().to_string().starts_with("/nonexistent: "));
    }
}
