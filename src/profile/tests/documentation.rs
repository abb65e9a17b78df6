//! `docs/profiles.md` says what is true.

use super::*;
use crate::appliance::context::schema::{Field, Kind};

/// What Bluetooth plays is beyond what a profile can say.
const FOLDED: [&str; 6] =
    ["albumTitle", "artistName", "trackTitle", "paused", "playing", "stopped"];

/// The TOML of `docs/profiles.md`: that of the air conditioner together, then each by itself.
fn documented() -> (String, Vec<String>) {
    let page = std::fs::read_to_string("docs/profiles.md").unwrap();
    let blocks = |text: &str| {
        let blocks = text.split("```toml\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (worked_through, rest) = page.split_once("## Which profile").unwrap();
    (blocks(worked_through).concat(), blocks(rest))
}

#[test]
fn the_documentation_explains_the_air_conditioner_that_is_shipped() {
    let (worked_through, others) = documented();
    let rules = |text: &str| {
        let mut table: toml::Table = text.parse().unwrap();
        table.remove("models");
        table
    };
    assert_eq!(rules(&worked_through), rules(library::shipped("air-conditioner").unwrap()));
    assert!(Profile::parse("doc.toml", &worked_through).is_ok());
    assert_eq!(others.len(), 2);
    for text in others {
        Profile::parse("doc.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn the_documentation_names_every_profile_directive_and_placeholder() {
    let page = std::fs::read_to_string("docs/profiles.md").unwrap();
    let shipped = library::SHIPPED.iter().map(|(name, _)| format!("| `{name}` |"));
    let directives = consistency::DIRECTIVES.iter().map(|(name, _)| format!("`{name}`"));
    let placeholders = template::PLACEHOLDERS.iter().map(|name| format!("`{{{name}}}`"));
    for word in shipped.chain(directives).chain(placeholders) {
        assert!(page.contains(&word), "{word}");
    }
}

/// A field's name and its words, and those of the fields inside it.
fn words(field: &Field) -> Vec<&'static str> {
    let own = match field.kind {
        Kind::Choices(words) | Kind::OneOf(words) | Kind::CommaList(words) => words,
        _ => &[],
    };
    let inside = match field.kind {
        Kind::Object(fields) | Kind::Range(fields) | Kind::SomeObjects(fields) => fields,
        _ => &[],
    };
    // That is what a column is called.
    let inside = inside.iter().flat_map(words).filter(|word| *word != "actions");
    own.iter().copied().chain([field.name]).chain(inside).collect()
}

#[test]
fn the_documentation_has_every_field_and_word_of_the_tables() {
    let page = std::fs::read_to_string("docs/profiles.md").unwrap();
    let (_, reference) = page.split_once("### Items").unwrap();
    let rows: Vec<_> = reference.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |name: &str| {
        let name = format!("`{name}`");
        let rows = rows.iter().filter(|row| row.split(" | ").next().unwrap().contains(&name));
        rows.copied().next().unwrap_or_else(|| panic!("{name}"))
    };
    let check = |row: &str, field: &Field| {
        for word in words(field).iter().filter(|word| !FOLDED.contains(word)) {
            assert!(row.contains(&format!("`{word}`")), "{word}: {row}");
        }
    };
    for field in tables::of(context::DEVICE_STATE).unwrap().fields().unwrap() {
        if field.name != "localTime" {
            check(row(field.name), field);
        }
    }
    for name in ["Clova.Location", "Device.Audio", "Device.Display", "Speaker.VolumeState"] {
        tables::of(name)
            .unwrap()
            .fields()
            .unwrap()
            .iter()
            .for_each(|field| check(row(name), field));
    }
}
