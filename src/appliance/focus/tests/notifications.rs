//! Notifications and indicators.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::{
        Channel,
        notifications::{MAX_NOTIFICATIONS, NOTIFICATION_TIME},
    },
    world::World,
};

#[test]
fn one_sounds_at_a_time_and_the_next_waits() {
    let mut w = World::new();
    w.notify("a");
    w.notify("b");
    w.saw(&["[notification]", "deliver a"]);
    w.pass(NOTIFICATION_TIME - Duration::from_millis(1));
    w.saw(&[]);
    w.pass(Duration::from_millis(1));
    w.saw(&["deliver b"]);
    w.pass(NOTIFICATION_TIME);
    w.saw(&["[]"]);
    assert_eq!(w.focus.poll_timeout(), None);
}

#[test]
fn the_music_comes_back_behind_the_last_one() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.notify("a");
    w.notify("b");
    w.saw(&["[content- notification]", "deliver a"]);
    w.pass(2 * NOTIFICATION_TIME);
    w.saw(&["[content]", "deliver b"]);
}

#[test]
fn clearing_ends_what_sounds_and_forgets_what_waits() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.notify("a");
    w.notify("b");
    w.seen();
    w.give("ClearIndicator", "c", &json!({}));
    w.saw(&["superseded b", "[content]", "deliver c"]);
    w.pass(NOTIFICATION_TIME);
    w.saw(&[]);
    w.notify("d");
    w.saw(&["[content- notification]", "deliver d"]);
}

#[test]
fn a_light_takes_no_time_and_keeps_its_place() {
    let silent = |light| json!({"light": light, "assets": [], "assetPlayOrder": []});
    let mut w = World::new();
    w.give("SetIndicator", "a", &silent("DEFAULT"));
    w.give("SetIndicator", "b", &silent("NONE"));
    w.saw(&["deliver a", "deliver b"]);
    w.notify("c");
    w.give("SetIndicator", "d", &silent("DEFAULT"));
    w.give("SetIndicator", "e", &silent("NONE"));
    w.notify("f");
    w.saw(&["[notification]", "deliver c"]);
    w.pass(NOTIFICATION_TIME);
    w.saw(&["deliver d", "deliver e", "deliver f"]);
}

#[test]
fn what_makes_a_sound_is_told_from_what_does_not() {
    let order = json!(["a"]);
    let rows: [(&str, Value, bool); 8] = [
        ("Notify", json!({"light": "DEFAULT", "assetPlayOrder": order}), true),
        ("Notify", json!({"light": "DEFAULT", "assetPlayOrder": []}), false),
        ("Notify", json!({}), false),
        ("SetIndicator", json!({"new": true, "assetPlayOrder": order}), true),
        ("SetIndicator", json!({"new": false, "assetPlayOrder": order}), false),
        ("SetIndicator", json!({"assetPlayOrder": order}), true),
        ("SetIndicator", json!({"new": "yes"}), true),
        ("Notify", json!({"assetPlayOrder": "a"}), true),
    ];
    for (name, payload, wanted) in rows {
        let mut w = World::new();
        w.give(name, "a", &payload);
        assert_eq!(w.focus.poll_timeout().is_some(), wanted, "{name} {payload}");
        assert!(w.seen().contains(&"deliver a".to_owned()));
    }
}

#[test]
fn of_too_many_the_oldest_goes() {
    let mut w = World::new();
    for n in 0..MAX_NOTIFICATIONS + 3 {
        w.notify(&n.to_string());
    }
    w.saw(&["invalid 1", "invalid 2", "[notification]", "deliver 0"]);
    w.pass(NOTIFICATION_TIME);
    w.saw(&["deliver 3"]);
}

#[test]
fn a_notification_behind_an_alert_has_its_time_all_the_same() {
    let mut w = World::new();
    w.notify("a");
    w.start(Channel::Alert, "b");
    w.seen();
    w.pass(NOTIFICATION_TIME);
    w.saw(&["[alert]"]);
}
