//! Every example of the guide for what this machine carries out and reports.

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::Value;

use super::{
    super::{Effect, Playback, Reported},
    world::{World, value},
};
use crate::cic::directive;

fn examples(kind: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(format!("tests/cic-examples/{kind}")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn every_directive_of_the_guide_is_accepted_whatever_is_playing() {
    let mut seen = 0;
    for path in examples("directives") {
        let directive = directive::decode(&std::fs::read(&path).unwrap()).unwrap();
        if !Playback::takes(&directive) {
            continue;
        }
        seen += 1;
        for mut w in [World::new(), World::playing()] {
            let result = w.try_directive(&directive);
            assert_eq!(result, Ok(()), "{}", path.display());
            w.pass(100);
        }
    }
    assert_eq!(seen, 35);
}

#[test]
fn the_guides_play_and_stream_deliver_are_merged_and_requested_as_the_guide_shows() {
    let read = |path: &str| std::fs::read(format!("tests/cic-examples/{path}.json")).unwrap();
    let order = |w: &mut World, path: &str| {
        w.try_directive(&directive::decode(&read(path)).unwrap()).unwrap();
    };
    let json = |path: &str| serde_json::from_slice::<Value>(&read(path)).unwrap();
    let mut w = World::new();
    order(&mut w, "directives/AudioPlayer.Play.2");
    let want = &json("events/AudioPlayer.StreamRequested")["event"]["payload"];
    assert_eq!(value(&w.events("StreamRequested")[0].payload), *want);
    order(&mut w, "directives/AudioPlayer.StreamDeliver");
    w.heard("TR-NM-17716562", Reported::Started, 0);
    let mut stream =
        json("directives/AudioPlayer.Play.2")["directive"]["payload"]["audioItem"]["stream"]
            .clone();
    stream["format"] = "audio/mpeg".into();
    stream["url"] = "https://musicservice.example.net/b767313e.mp3".into();
    stream["urlPlayable"] = true.into();
    assert_eq!(w.state()["stream"], stream);
    // The snippet without an item id is asked for in the shape of the guide's other snippet.
    let mut w = World::new();
    order(&mut w, "directives/AudioPlayer.Play.3");
    let want = &json("events/AudioPlayer.StreamRequested.2")["event"]["payload"];
    assert_eq!(value(&w.events("StreamRequested")[0].payload), *want);
    order(&mut w, "directives/AudioPlayer.StreamDeliver");
    assert_eq!(w.take_seen().last().map(String::as_str), Some("sounds"));
}

/// Names of fields, those of objects inside included.
fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        into.insert(format!("{path}{name}"));
        shape(value, &format!("{path}{name}."), into);
    }
}

#[test]
fn events_and_contexts_have_the_fields_of_the_guides_examples() {
    let mut w = World::playing();
    w.order("AudioPlayer.ExpectReportPlaybackState", &serde_json::json!({}));
    w.heard("a", Reported::Paused, 1);
    w.heard("a", Reported::Resumed, 1);
    w.heard("a", Reported::Stopped, 1);
    w.order("AudioPlayer.ClearQueue", &serde_json::json!({"clearBehavior": "CLEAR_ALL"}));
    let known = |kind: &str, name: &str| {
        let mut fields = BTreeSet::new();
        for path in examples(kind) {
            if path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}.")) {
                let example: Value =
                    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let payload = example["event"].get("payload").or(example.get("payload"));
                shape(payload.unwrap(), "", &mut fields);
            }
        }
        assert!(!fields.is_empty(), "{name}");
        fields
    };
    let reports = w.effects.iter().filter_map(|effect| match effect {
        Effect::Report(report) => Some(report),
        _ => None,
    });
    for report in reports {
        for (kind, name, payload) in [
            ("events", format!("{}.{}", report.namespace, report.name), &report.payload),
            ("context", "AudioPlayer.PlaybackState".into(), &report.state),
        ] {
            let mut fields = BTreeSet::new();
            shape(&value(payload), "", &mut fields);
            let known = known(kind, &name);
            assert!(fields.is_subset(&known), "{name}: {fields:?} {known:?}");
        }
    }
}
