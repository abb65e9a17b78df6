//! What each context object must look like (context chapter, Korean edition of 2022).
//!
//! A field that a table has not is passed on, and so is a context object without a table. Where
//! the guide's own samples contradict its table, [`Needed::OrEmpty`] and the notes here say what
//! is done.

use super::schema::{
    Field,
    Kind::{
        self, Bool, Choices, CommaList, Degrees, Integer, LocalTime, Object, Objects, OneOf, Range,
        ShortText, SomeObjects, Text, Texts, Time, UpTo, Whole,
    },
    Needed,
};

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::Always, kind }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::Optional, kind }
}

const fn or_empty(name: &'static str, kind: Kind) -> Field {
    Field { name, needed: Needed::OrEmpty, kind }
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

/// The fields of a context object, if the guide knows it.
pub fn of(full_name: &str) -> Option<&'static Kind> {
    CONTEXTS.iter().find(|(known, _)| *known == full_name).map(|(_, kind)| kind)
}

/// The names of all context objects that the guide knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    CONTEXTS.iter().map(|(name, _)| *name)
}

/// The item of DeviceState that a target of DeviceControl means (context, end of DeviceState).
pub fn item_of(target: &str) -> Option<&'static str> {
    Some(match target {
        "airplane" => "airplane",
        "bluetooth" => "bluetooth",
        "cellular" => "cellular",
        "channel" => "channel",
        "energysave" | "powersave" => "energySavingMode",
        "flashlight" => "flashLight",
        "gps" => "gps",
        "power" => "power",
        "ring" | "silent" | "soundmode" | "vibrate" => "soundMode",
        "screenautobrightness" => "screenAutoBrightness",
        "screenbrightness" => "screenBrightness",
        "volume" => "volume",
        "wifi" => "wifi",
        _ => return None,
    })
}

/// Payloads of context objects.
const CONTEXTS: &[(&str, Kind)] = &[
    ("Alerts.AlertsState", Object(ALERTS_STATE)),
    ("AudioPlayer.PlaybackState", Object(PLAYBACK_STATE)),
    ("Clova.Location", Object(LOCATION)),
    ("Clova.SavedPlace", Object(&[must("places", Objects(PLACE))])),
    ("Device.Audio", Object(&[must("acceptContentType", SomeObjects(CONTENT_TYPE))])),
    ("Device.DeviceState", Object(DEVICE_STATE)),
    ("Device.Display", Object(DISPLAY)),
    ("Speaker.VolumeState", Object(&[must("volume", Whole), must("muted", Bool)])),
    ("SpeechSynthesizer.SpeechState", Object(SPEECH_STATE)),
];

const ALERT_TYPE: Kind = OneOf(&["ACTIONTIMER", "ALARM", "REMINDER", "TIMER"]);
const ALERT: &[Field] =
    &[must("token", Text), must("type", ALERT_TYPE), must("scheduledTime", Text)];
const ALERTS_STATE: &[Field] =
    &[must("allAlerts", Objects(ALERT)), must("activeAlerts", Objects(ALERT))];

const PLAYBACK_STATE: &[Field] = &[
    must("playerActivity", OneOf(&["IDLE", "PLAYING", "PAUSED", "STOPPED"])),
    must("repeatMode", OneOf(&["NONE", "REPEAT_ONE"])),
    unless("playerActivity", "IDLE", "offsetInMilliseconds", Whole),
    may("totalInMilliseconds", Whole),
    unless("playerActivity", "IDLE", "stream", Object(STREAM)),
];
/// AudioStreamInfoObject, as received.
const STREAM: &[Field] = &[
    received("token", ShortText),
    must("url", ShortText),
    must("urlPlayable", Bool),
    received("beginAtInMilliseconds", Whole),
    received("durationInMilliseconds", Whole),
    received("format", Text),
    received("customData", Text),
    received("progressReport", Object(PROGRESS)),
];
const PROGRESS: &[Field] = &[
    received("progressReportDelayInMilliseconds", Whole),
    received("progressReportIntervalInMilliseconds", Whole),
    received("progressReportPositionInMilliseconds", Whole),
];
const SPEECH_STATE: &[Field] =
    &[must("token", Text), must("playerActivity", OneOf(&["PLAYING", "STOPPED", "FINISHED"]))];

const LOCATION: &[Field] =
    &[must("latitude", Degrees(90)), must("longitude", Degrees(180)), must("refreshedAt", Time)];
const PLACE: &[Field] = &[
    must("latitude", Degrees(90)),
    must("longitude", Degrees(180)),
    must("refreshedAt", Time),
    // The Korean edition's names, and the English one's.
    must("name", OneOf(&["집", "회사", "Home", "Work"])),
];
const CONTENT_TYPE: &[Field] = &[
    must(
        "mimeType",
        OneOf(&["application/vnd.apple.mpegurl", "audio/aac", "audio/mpeg", "audio/mpegurl"]),
    ),
    must("audioCodec", OneOf(&["AAC", "MP3"])),
    must("fileExtension", CommaList(&["3GP", "AAC", "M4A", "MP3", "MP4", "TS"])),
];
const DISPLAY: &[Field] = &[
    must("size", OneOf(&["none", "s100", "m100", "l100", "xl100", "custom"])),
    unless("size", "none", "orientation", OneOf(&["landscape", "portrait"])),
    unless("size", "none", "dpi", Integer),
    when("size", "custom", "contentLayer", Object(&[must("width", Whole), must("height", Whole)])),
];

const ON_OFF: Kind = OneOf(&["off", "on"]);
const SWITCHABLE: Field = must("actions", Choices(&["TurnOff", "TurnOn"]));
const ADJUSTABLE: Field = must("actions", Choices(&["Decrease", "Increase", "SetValue"]));
const SWITCH: &[Field] = &[SWITCHABLE, must("state", ON_OFF)];
const DEVICE_STATE: &[Field] = &[
    may("airplane", Object(SWITCH)),
    may("battery", Object(BATTERY)),
    may("bluetooth", Object(BLUETOOTH)),
    may("cellular", Object(SWITCH)),
    may("channel", Object(&[ADJUSTABLE])),
    may("energySavingMode", Object(SWITCH)),
    may("flashLight", Object(SWITCH)),
    may("gps", Object(SWITCH)),
    may("localTime", LocalTime),
    may("power", Object(&[SWITCHABLE, must("state", OneOf(&["active", "idle"]))])),
    may("screenAutoBrightness", Object(SWITCH)),
    may("screenBrightness", Range(RANGE)),
    may("soundMode", Object(&[SWITCHABLE, must("state", OneOf(&["ring", "silent", "vibrate"]))])),
    may("soundOutput", Object(&[must("type", OneOf(&["builtin", "aux", "bluetooth", "airplay"]))])),
    may("volume", Range(VOLUME)),
    may("wifi", Object(&[SWITCHABLE, must("state", ON_OFF), must("networks", Objects(NETWORK))])),
];
const BATTERY: &[Field] =
    &[must("actions", Choices(&[])), must("charging", Bool), must("value", UpTo(100))];
const RANGE: &[Field] =
    &[ADJUSTABLE, must("min", Integer), must("max", Integer), must("value", Integer)];
const VOLUME: &[Field] = &[
    ADJUSTABLE,
    must("min", Integer),
    must("max", Integer),
    must("value", Integer),
    may("warning", Integer),
];
const NETWORK: &[Field] = &[must("name", Text), must("connected", Bool)];

const BLUETOOTH: &[Field] = &[
    must(
        "actions",
        Choices(&[
            "TurnOff",
            "TurnOn",
            "BtConnect",
            "BtConnectByPINCode",
            "BtDisconnect",
            "BtStartPairing",
            "BtStopPairing",
        ]),
    ),
    must("state", ON_OFF),
    must("pairing", ON_OFF),
    must("scanning", ON_OFF),
    must("connecting", ON_OFF),
    or_empty("btlist", Objects(PAIRED)),
    or_empty("scanlist", Objects(FOUND)),
    may("playerInfo", Object(PLAYER)),
];
const ROLE: Kind = OneOf(&["sink", "source"]);
const PAIRED: &[Field] = &[
    must("address", Text),
    must("name", Text),
    must("connected", Bool),
    must("role", ROLE),
    // New in 2022: no sample has it.
    or_empty("availableServiceClassList", Texts),
];
const FOUND: &[Field] = &[must("address", Text), must("name", Text), must("role", ROLE)];
const PLAYER: &[Field] = &[
    may("albumTitle", Text),
    may("artistName", Text),
    may("trackTitle", Text),
    may("state", OneOf(&["paused", "playing", "stopped"])),
];
