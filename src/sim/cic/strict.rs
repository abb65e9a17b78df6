//! Which fields the payloads of events and context objects must have, and of which type
//! (interfaces, alerts 3 and 4, context, dialogue 4.3).
//!
//! To teach it a message, add a row to [`EVENTS`] or [`CONTEXTS`]. Fields without a row are
//! tolerated, as the guide's own samples have some; so are context objects that are not listed.

use serde_json::{Map, Value};

use super::metadata::Wrong;

/// One field of an object.
struct Field {
    name: &'static str,
    needed: Needed,
    kind: Kind,
}

/// Whether a field must be there.
enum Needed {
    Always,
    /// May be left out, but not be `null`.
    Optional,
    /// May be left out or `null`: a value that is returned as CIC sent it.
    AsReceived,
    /// Unless the field beside it has this value.
    Unless(&'static str, &'static str),
    /// If the field beside it has this value, and optional otherwise.
    If(&'static str, &'static str),
}

enum Kind {
    Text,
    /// A text of at most 2048 bytes.
    ShortText,
    OneOf(&'static [&'static str]),
    Bool,
    /// A whole number of at least this.
    Whole(u64),
    Number,
    Texts,
    Object(&'static [Field]),
    Objects(&'static [Field]),
    /// An object whose values are all texts.
    TextMap,
}

use Kind::{Bool, Number, Object, Objects, OneOf, ShortText, Text, TextMap, Texts};

const INTEGER: Kind = Kind::Whole(0);

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::Always, kind }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::Optional, kind }
}

const fn received(name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::AsReceived, kind }
}

const fn unless(
    beside: &'static str,
    value: &'static str,
    name: &'static str,
    kind: Kind,
) -> Field {
    Field { name, needed: Needed::Unless(beside, value), kind }
}

const fn when(beside: &'static str, value: &'static str, name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::If(beside, value), kind }
}

const ALERT_TYPE: Kind = OneOf(&["ACTIONTIMER", "ALARM", "REMINDER", "TIMER"]);
const ALERT: &[Field] = &[must("token", Text), must("type", ALERT_TYPE)];
const ALERT_INFO: &[Field] =
    &[must("token", Text), must("type", ALERT_TYPE), must("scheduledTime", Text)];
const TOKEN: &[Field] = &[must("token", Text)];
const PLAYED: &[Field] = &[must("token", Text), must("offsetInMilliseconds", INTEGER)];
const ACTIVITY: Kind = OneOf(&["IDLE", "PLAYING", "PAUSED", "STOPPED"]);
const REPEAT_MODE: Kind = OneOf(&["NONE", "REPEAT_ONE"]);
const ON_OFF: Kind = OneOf(&["off", "on"]);

/// AudioStreamInfoObject, as received.
const STREAM: &[Field] = &[
    received("token", ShortText),
    must("url", ShortText),
    must("urlPlayable", Bool),
    received("beginAtInMilliseconds", INTEGER),
    received("durationInMilliseconds", INTEGER),
    received("format", Text),
    received("customData", Text),
    received("progressReport", Object(PROGRESS)),
];
const PROGRESS: &[Field] = &[
    received("progressReportDelayInMilliseconds", INTEGER),
    received("progressReportIntervalInMilliseconds", INTEGER),
    received("progressReportPositionInMilliseconds", INTEGER),
];
const REQUESTED: &[Field] = &[must("audioItemId", Text), must("audioStream", Object(STREAM))];
const REPORTED: &[Field] = &[
    must("playerActivity", ACTIVITY),
    must("repeatMode", REPEAT_MODE),
    may("offsetInMilliseconds", INTEGER),
    may("totalInMilliseconds", INTEGER),
    unless("playerActivity", "IDLE", "stream", Object(STREAM)),
    unless("playerActivity", "IDLE", "token", Text),
];
const CLEARED: &[Field] = &[must("clearBehavior", OneOf(&["CLEAR_ALL", "CLEAR_ENQUEUED"]))];

const COMMAND: &[Field] =
    &[may("deviceId", Text), may("source", Object(&[must("namespace", Text)]))];
const PLAY_COMMAND: &[Field] = &[
    may("token", Text),
    may("deviceId", Text),
    may("handover", Object(&[must("customData", Text), must("deviceId", Text)])),
];
const PLAYER_INFO: &[Field] = &[
    must("token", Text),
    may("range", Object(&[may("after", Kind::Whole(1)), may("before", Kind::Whole(1))])),
];

const LANG: Kind = OneOf(&["ko", "en", "ja"]);
const RECOGNIZE: &[Field] = &[
    must("lang", LANG),
    may("format", OneOf(&["AUDIO_L16_RATE_16000_CHANNELS_1"])),
    may("profile", OneOf(&["CLOSE_TALK"])),
    may("initiator", Object(INITIATOR)),
    may("speechId", Text),
    may("explicit", Bool),
];
const INITIATOR: &[Field] = &[
    must("type", OneOf(&["WAKEWORD", "TAP", "PRESS_AND_HOLD"])),
    must("inputSource", Text),
    may("payload", Object(&[must("deviceUUID", Text), may("wakeWord", Object(WAKE_WORD))])),
];
const WAKE_WORD: &[Field] = &[
    may("name", Text),
    may("confidence", Number),
    must(
        "indices",
        Object(&[must("startIndexInSamples", INTEGER), must("endIndexInSamples", INTEGER)]),
    ),
];
const TYPED: &[Field] = &[must("text", Text), may("speechId", Text), may("explicit", Bool)];
/// Those of the reports' list, and those that it misses although a report is due.
const COMMANDS: Kind = OneOf(&[
    "BtConnect",
    "BtConnectByPINCode",
    "BtDelete",
    "BtDisconnect",
    "BtPlay",
    "BtRescan",
    "BtStartPairing",
    "BtStopPairing",
    "Decrease",
    "Increase",
    "LaunchApp",
    "Open",
    "OpenScreen",
    "SetValue",
    "TurnOff",
    "TurnOn",
]);
/// The same of targets: `power` and the screens have no counterpart in the list.
const TARGETS: Kind = OneOf(&[
    "airplane",
    "app",
    "bluetooth",
    "cellular",
    "channel",
    "flashlight",
    "gps",
    "home",
    "power",
    "powersave",
    "screenautobrightness",
    "screenbrightness",
    "settings",
    "soundmode",
    "volume",
    "wifi",
]);

/// Payloads of events. Those without a row have no required field.
const EVENTS: &[(&str, &[Field])] = &[
    ("Alerts.AlertStarted", ALERT),
    ("Alerts.AlertStopped", ALERT),
    ("Alerts.ClearAlertFailed", &[must("type", ALERT_TYPE)]),
    ("Alerts.ClearAlertSucceeded", &[must("type", ALERT_TYPE)]),
    ("Alerts.DeleteAlertFailed", ALERT),
    ("Alerts.DeleteAlertSucceeded", ALERT),
    ("Alerts.RequestAlertStop", ALERT),
    ("Alerts.RequestDeleteAlert", ALERT),
    ("Alerts.SetAlertFailed", ALERT),
    ("Alerts.SetAlertSucceeded", ALERT),
    ("AudioPlayer.PlayFinished", PLAYED),
    ("AudioPlayer.PlayPaused", PLAYED),
    ("AudioPlayer.PlayResumed", PLAYED),
    ("AudioPlayer.PlayStarted", PLAYED),
    ("AudioPlayer.PlayStopped", PLAYED),
    ("AudioPlayer.PlaybackQueueCleared", CLEARED),
    ("AudioPlayer.ProgressReportDelayPassed", PLAYED),
    ("AudioPlayer.ProgressReportIntervalPassed", PLAYED),
    ("AudioPlayer.ProgressReportPositionPassed", PLAYED),
    ("AudioPlayer.ReportPlaybackState", REPORTED),
    ("AudioPlayer.RequestPlaybackState", &[may("deviceId", Text)]),
    ("AudioPlayer.StreamRequested", REQUESTED),
    ("Clova.ProcessDelegatedEvent", &[must("delegationId", Text)]),
    ("DeviceControl.ActionExecuted", &[must("command", COMMANDS), must("target", TARGETS)]),
    // What is not in the list is echoed.
    ("DeviceControl.ActionFailed", &[must("command", COMMANDS), must("target", Text)]),
    ("DeviceControl.BtRequestForPINCode", &[must("deviceName", Text)]),
    ("DeviceControl.RequestStateSynchronization", &[may("deviceId", Text)]),
    ("PlaybackController.CustomCommandIssued", &[must("button", Text)]),
    ("PlaybackController.NextCommandIssued", COMMAND),
    ("PlaybackController.PauseCommandIssued", COMMAND),
    ("PlaybackController.PlayCommandIssued", PLAY_COMMAND),
    ("PlaybackController.PreviousCommandIssued", COMMAND),
    ("PlaybackController.ResumeCommandIssued", COMMAND),
    (
        "PlaybackController.SetRepeatModeCommandIssued",
        &[must("repeatMode", REPEAT_MODE), may("deviceId", Text)],
    ),
    ("PlaybackController.StopCommandIssued", COMMAND),
    ("Settings.Report", &[must("configuration", TextMap)]),
    ("SpeechRecognizer.Recognize", RECOGNIZE),
    (
        "SpeechSynthesizer.Request",
        &[must("text", Text), must("lang", OneOf(&["ko", "en", "ja", "zh"]))],
    ),
    ("SpeechSynthesizer.SpeechFinished", TOKEN),
    ("SpeechSynthesizer.SpeechStarted", TOKEN),
    ("SpeechSynthesizer.SpeechStopped", TOKEN),
    ("TemplateRuntime.LikeCommandIssued", TOKEN),
    ("TemplateRuntime.MoreCommandIssued", TOKEN),
    ("TemplateRuntime.RequestPlayerInfo", PLAYER_INFO),
    ("TemplateRuntime.SelectCommandIssued", TOKEN),
    ("TemplateRuntime.SubscribeCommandIssued", TOKEN),
    ("TemplateRuntime.UnlikeCommandIssued", TOKEN),
    ("TemplateRuntime.UnsubscribeCommandIssued", TOKEN),
    ("TextRecognizer.Recognize", TYPED),
];

const SWITCH: &[Field] = &[must("actions", Texts), must("state", ON_OFF)];
const RANGE: &[Field] = &[
    must("actions", Texts),
    must("min", INTEGER),
    must("max", INTEGER),
    must("value", INTEGER),
    may("warning", INTEGER),
];
const MODE: Kind = OneOf(&["ring", "silent", "vibrate"]);
/// The guide's own samples leave out some of the lists that its table requires.
const BLUETOOTH: &[Field] = &[
    must("actions", Texts),
    must("state", ON_OFF),
    may("pairing", ON_OFF),
    may("scanning", ON_OFF),
    may("connecting", ON_OFF),
    may("btlist", Objects(&[must("name", Text), must("address", Text), must("connected", Bool)])),
    may("scanlist", Objects(&[must("name", Text), must("address", Text)])),
    may("playerInfo", Object(&[])),
];
const WIFI: &[Field] = &[
    must("actions", Texts),
    must("state", ON_OFF),
    must("networks", Objects(&[must("name", Text), must("connected", Bool)])),
];
const DEVICE_STATE: &[Field] = &[
    may("airplane", Object(SWITCH)),
    may(
        "battery",
        Object(&[must("actions", Texts), must("charging", Bool), must("value", INTEGER)]),
    ),
    may("bluetooth", Object(BLUETOOTH)),
    may("cellular", Object(SWITCH)),
    may("channel", Object(&[must("actions", Texts)])),
    may("energySavingMode", Object(SWITCH)),
    may("flashLight", Object(SWITCH)),
    may("gps", Object(SWITCH)),
    may("localTime", Text),
    may("power", Object(&[must("actions", Texts), must("state", OneOf(&["active", "idle"]))])),
    may("screenAutoBrightness", Object(SWITCH)),
    may("screenBrightness", Object(RANGE)),
    may("soundMode", Object(&[must("actions", Texts), must("state", MODE)])),
    may("soundOutput", Object(&[must("type", OneOf(&["builtin", "aux", "bluetooth", "airplay"]))])),
    may("volume", Object(RANGE)),
    may("wifi", Object(WIFI)),
];
const PLAYBACK_STATE: &[Field] = &[
    must("playerActivity", ACTIVITY),
    must("repeatMode", REPEAT_MODE),
    unless("playerActivity", "IDLE", "offsetInMilliseconds", INTEGER),
    may("totalInMilliseconds", INTEGER),
    unless("playerActivity", "IDLE", "stream", Object(STREAM)),
];
const AUDIO_TYPE: &[Field] = &[
    must(
        "mimeType",
        OneOf(&["application/vnd.apple.mpegurl", "audio/aac", "audio/mpeg", "audio/mpegurl"]),
    ),
    must("audioCodec", OneOf(&["AAC", "MP3"])),
    must("fileExtension", Text),
];
const DISPLAY: &[Field] = &[
    must("size", OneOf(&["none", "s100", "m100", "l100", "xl100", "custom"])),
    unless("size", "none", "orientation", OneOf(&["landscape", "portrait"])),
    unless("size", "none", "dpi", INTEGER),
    when(
        "size",
        "custom",
        "contentLayer",
        Object(&[must("width", INTEGER), must("height", INTEGER)]),
    ),
];
const PLACE: &[Field] = &[
    must("latitude", Text),
    must("longitude", Text),
    must("name", Text),
    must("refreshedAt", Text),
];
const SPEECH_ACTIVITY: Kind = OneOf(&["PLAYING", "STOPPED", "FINISHED"]);

/// Payloads of context objects.
const CONTEXTS: &[(&str, &[Field])] = &[
    (
        "Alerts.AlertsState",
        &[must("allAlerts", Objects(ALERT_INFO)), must("activeAlerts", Objects(ALERT_INFO))],
    ),
    ("AudioPlayer.PlaybackState", PLAYBACK_STATE),
    (
        "Clova.Location",
        &[must("latitude", Text), must("longitude", Text), must("refreshedAt", Text)],
    ),
    ("Clova.SavedPlace", &[must("places", Objects(PLACE))]),
    ("Device.Audio", &[must("acceptContentType", Objects(AUDIO_TYPE))]),
    ("Device.DeviceState", DEVICE_STATE),
    ("Device.Display", DISPLAY),
    ("Speaker.VolumeState", &[must("volume", INTEGER), must("muted", Bool)]),
    (
        "SpeechSynthesizer.SpeechState",
        &[must("token", Text), must("playerActivity", SPEECH_ACTIVITY)],
    ),
];

/// Checks an event's payload, by `Namespace.Name`.
pub(super) fn check_event(name: &str, payload: &Value) -> Result<(), Wrong> {
    match EVENTS.iter().find(|(known, _)| *known == name) {
        Some((_, fields)) => Object(fields).check("payload", payload),
        None => Ok(()),
    }
}

/// Checks the context objects of an event: each namespace and name at most once (context, rules).
pub(super) fn check_context(objects: &[Value]) -> Result<(), Wrong> {
    let mut seen = Vec::new();
    for object in objects {
        let header = &object["header"];
        let (Some(namespace), Some(name), true) =
            (header["namespace"].as_str(), header["name"].as_str(), object["payload"].is_object())
        else {
            return Err("a context object lacks namespace, name or payload".into());
        };
        let name = format!("{namespace}.{name}");
        if let Some((_, fields)) = CONTEXTS.iter().find(|(known, _)| *known == name) {
            Object(fields).check(&name, &object["payload"])?;
        }
        if seen.contains(&name) {
            return Err(format!("context {name} is there twice"));
        }
        seen.push(name);
    }
    Ok(())
}

fn check_fields(path: &str, fields: &[Field], object: &Map<String, Value>) -> Result<(), Wrong> {
    let is = |beside: &str, value: &str| object.get(beside).and_then(Value::as_str) == Some(value);
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let is_needed = match field.needed {
            Needed::Always => true,
            Needed::Optional | Needed::AsReceived => false,
            Needed::Unless(beside, value) => !is(beside, value),
            Needed::If(beside, value) => is(beside, value),
        };
        match object.get(field.name) {
            None if is_needed => return Err(format!("{path} is missing")),
            None => {}
            Some(Value::Null) if matches!(field.needed, Needed::AsReceived) => {}
            Some(value) => field.kind.check(&path, value)?,
        }
    }
    Ok(())
}

impl Kind {
    fn check(&self, path: &str, value: &Value) -> Result<(), Wrong> {
        let wrong = |what: &str| Err(format!("{path} must be {what}"));
        match (self, value) {
            (Self::Text, Value::String(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Number, Value::Number(_)) => Ok(()),
            (Self::ShortText, Value::String(text)) if text.len() <= 2048 => Ok(()),
            (Self::OneOf(known), Value::String(text)) if known.contains(&text.as_str()) => Ok(()),
            (Self::Whole(least), value) if value.as_u64().is_some_and(|n| n >= *least) => Ok(()),
            (Self::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => Ok(()),
            (Self::TextMap, Value::Object(map)) if map.values().all(Value::is_string) => Ok(()),
            (Self::Object(fields), Value::Object(object)) => check_fields(path, fields, object),
            (Self::Objects(fields), Value::Array(items)) => items
                .iter()
                .try_for_each(|item| Self::Object(fields).check(&format!("{path}[]"), item)),
            (Self::Text, _) => wrong("a text"),
            (Self::ShortText, _) => wrong("a text of at most 2048 bytes"),
            (Self::OneOf(known), _) => wrong(&format!("one of {}", known.join(", "))),
            (Self::Bool, _) => wrong("true or false"),
            (Self::Whole(least), _) => wrong(&format!("a whole number of at least {least}")),
            (Self::Number, _) => wrong("a number"),
            (Self::Texts, _) => wrong("an array of texts"),
            (Self::TextMap, _) => wrong("an object of texts"),
            (Self::Object(_), _) => wrong("an object"),
            (Self::Objects(_), _) => wrong("an array of objects"),
        }
    }
}

#[cfg(test)]
mod tests;
