//! The topic table (contract section 1): which topics exist, and their names. Pure.

/// `(appliance, rest)` of a topic below the root, for example `("kitchen", "up/audio/u1")`.
pub fn split<'a>(root: &str, topic: &'a str) -> Option<(&'a str, &'a str)> {
    topic.strip_prefix(root)?.strip_prefix('/')?.split_once('/')
}

/// What the gateway subscribes to: everything that appliances publish.
pub fn subscription(root: &str) -> String {
    format!("{root}/+/up/#")
}

/// The gateway's own availability, retained, `online` or `offline`.
pub fn gateway_status(root: &str, client_id: &str) -> String {
    format!("{root}/gateway/{client_id}/status")
}

/// What the gateway sends to itself to see that the broker still forwards.
pub fn heartbeat(root: &str, client_id: &str) -> String {
    format!("{root}/gateway/{client_id}/heartbeat")
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
    fn labels_are_a_closed_set() {
        assert_eq!(label("up/audio/u1"), "audio");
        assert_eq!(label("up/state/Speaker.VolumeState"), "state");
        assert_eq!(label("down/session"), "session");
        assert_eq!(label("up/anything-else"), "other");
        assert_eq!(label("sideways/text"), "other");
    }
}
