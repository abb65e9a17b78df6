//! The topic table (contract section 1): which topics exist, and their names. Pure.

/// Longest topic, bytes.
const MAX_TOPIC: usize = 65_535;

/// `(appliance, rest)` of a topic below the root, for example `("kitchen", "up/audio/u1")`.
pub fn split<'a>(root: &str, topic: &'a str) -> Option<(&'a str, &'a str)> {
    topic.strip_prefix(root)?.strip_prefix('/')?.split_once('/')
}

/// What the gateway subscribes to: everything that appliances publish.
pub fn subscription(root: &str) -> String {
    format!("{root}/+/up/#")
}

/// What all of the gateway's own topics begin with.
pub fn gateway(root: &str, client_id: &str) -> String {
    format!("{root}/gateway/{client_id}")
}

/// The gateway's own availability, retained, `online` or `offline`.
pub fn gateway_status(root: &str, client_id: &str) -> String {
    format!("{}/status", gateway(root, client_id))
}

/// What the gateway sends to itself to see that the broker still forwards.
pub fn heartbeat(root: &str, client_id: &str) -> String {
    format!("{}/heartbeat", gateway(root, client_id))
}

/// Whether this can be published to: neither empty nor too long, no wildcard, and no character for
/// which a broker may end the connection.
pub fn is_topic(topic: &str) -> bool {
    let wrong = |c: char| is_refused(c) || matches!(c, '+' | '#');
    !topic.is_empty() && topic.len() <= MAX_TOPIC && !topic.contains(wrong)
}

/// Whether an id can be one level of a topic: 1 to `max` characters, none of `/ + #` and none that
/// a broker may refuse.
pub fn is_level(id: &str, max: usize) -> bool {
    let wrong = |c: char| is_refused(c) || matches!(c, '/' | '+' | '#');
    !id.is_empty() && id.chars().nth(max).is_none() && !id.contains(wrong)
}

/// Control characters and Unicode's non-characters: MQTT 5 (1.5.4) lets a broker take them for a
/// malformed packet, and Mosquitto does.
fn is_refused(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// The label of `mqtt_messages_total{topic}` for what follows `{root}/{a}/`; a closed set.
pub fn label(rest: &str) -> &'static str {
    const UP: &[&str] = &[
        "status",
        "state",
        "recognize",
        "audio",
        "text",
        "speech",
        "event",
        "playback",
        "button",
        "alert",
        "result",
        "settings",
        "x",
    ];
    const DOWN: &[&str] = &[
        "session",
        "dialogue",
        "capture",
        "text",
        "directive",
        "audio",
        "cancel",
        "focus",
        "alert",
        "error",
        "x",
    ];
    let mut levels = rest.split('/');
    let table = match levels.next() {
        Some("up") => UP,
        Some("down") => DOWN,
        _ => return "other",
    };
    let name = levels.next().unwrap_or_default();
    table.iter().find(|known| **known == name).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_split_below_the_root() {
        let rows = [
            ("cic/v1/a/up/text", Some(("a", "up/text"))),
            ("cic/v1/a/up/audio/u1", Some(("a", "up/audio/u1"))),
            ("cic/v1/a", None),
            ("cic/v10/a/up/text", None),
            ("other/a/up/text", None),
        ];
        for (topic, want) in rows {
            assert_eq!(split("cic/v1", topic), want, "{topic}");
        }
    }

    #[test]
    fn an_id_is_a_topic_level_unless_it_would_be_several_or_a_wildcard() {
        for id in ["a", "a-1.b", "a b", "4f@clova.ai", "가나다라"] {
            assert!(is_level(id, 12), "{id}");
        }
        for id in [
            "",
            "a/b",
            "+",
            "a#",
            "a\nb",
            "a\0",
            "a\u{85}b",
            "\u{ffff}",
            "\u{fdd0}",
            &"x".repeat(13),
        ] {
            assert!(!is_level(id, 12), "{id:?}");
        }
    }

    #[test]
    fn labels_are_a_closed_set() {
        assert_eq!(label("up/audio/u1"), "audio");
        assert_eq!(label("up/state/Speaker.VolumeState"), "state");
        assert_eq!(label("down/session"), "session");
        assert_eq!(label("up/anything-else"), "other");
        assert_eq!(label("sideways/text"), "other");
    }
}
