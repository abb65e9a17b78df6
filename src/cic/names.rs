//! Every message name of CIC (interfaces, index; field notes for those not in the guide). Pure.
//!
//! Called by the core (an unknown directive is ignored by itself) and by the simulated CIC.

/// Directives, by namespace.
const DIRECTIVES: &[Namespace] = &[
    ("Alerts", &["ClearAlert", "DeleteAlert", "SetAlert", "StopAlert", "SynchronizeAlert"]),
    (
        "AudioPlayer",
        &[
            "ClearQueue",
            "ExpectReportPlaybackState",
            "Play",
            "StreamDeliver",
            "SynchronizePlaybackState",
        ],
    ),
    (
        "Clova",
        &[
            "ExpectLogin",
            "FinishExtension",
            "HandleDelegatedEvent",
            "Hello",
            "Help",
            "LaunchURI",
            "RenderSuggestion",
            "RenderTemplate",
            "RenderText",
            "StartExtension",
        ],
    ),
    (
        "DeviceControl",
        &[
            "BtConnect",
            "BtConnectByPINCode",
            "BtDelete",
            "BtDisconnect",
            "BtPlay",
            "BtRescan",
            "BtStartPairing",
            "BtStopPairing",
            "Decrease",
            "ExpectReportState",
            "Increase",
            "LaunchApp",
            "Open",
            "OpenScreen",
            "RenderDeviceList",
            "SetValue",
            "SynchronizeState",
            "TurnOff",
            "TurnOn",
        ],
    ),
    ("Notifier", &["ClearIndicator", "Notify", "SetIndicator"]),
    (
        "PlaybackController",
        &[
            "ExpectNextCommand",
            "ExpectPauseCommand",
            "ExpectPlayCommand",
            "ExpectPreviousCommand",
            "ExpectResumeCommand",
            "ExpectStopCommand",
            "Mute",
            "Next",
            "Pause",
            "Previous",
            "Replay",
            "Resume",
            "SetRepeatMode",
            "Stop",
            "TurnOffRepeatMode",
            "TurnOnRepeatMode",
            "Unmute",
            "VolumeDown",
            "VolumeUp",
        ],
    ),
    ("Settings", &["ExpectReport", "Update", "UpdateVersionSpec"]),
    (
        "SpeechRecognizer",
        &["ConfirmWakeUp", "ExpectSpeech", "KeepRecording", "ShowRecognizedText", "StopCapture"],
    ),
    ("SpeechSynthesizer", &["Speak"]),
    ("System", &["Exception", "SynchronizeState"]),
    (
        "TemplateRuntime",
        &[
            "ExpectRequestPlayerInfo",
            "RenderPlayerInfo",
            "RenderPlaylist",
            "UpdateLike",
            "UpdateSubscribe",
        ],
    ),
];

/// Events, by namespace.
const EVENTS: &[(&str, &[&str])] = &[
    (
        "Alerts",
        &[
            "AlertStarted",
            "AlertStopped",
            "ClearAlertFailed",
            "ClearAlertSucceeded",
            "DeleteAlertFailed",
            "DeleteAlertSucceeded",
            "RequestAlertStop",
            "RequestDeleteAlert",
            "RequestSynchronizeAlert",
            "SetAlertFailed",
            "SetAlertSucceeded",
        ],
    ),
    (
        "AudioPlayer",
        &[
            "PlayFinished",
            "PlayPaused",
            "PlayResumed",
            "PlayStarted",
            "PlayStopped",
            "PlaybackQueueCleared",
            "ProgressReportDelayPassed",
            "ProgressReportIntervalPassed",
            "ProgressReportPositionPassed",
            "ReportPlaybackState",
            "RequestPlaybackState",
            "StreamRequested",
        ],
    ),
    ("Clova", &["ProcessDelegatedEvent"]),
    (
        "DeviceControl",
        &[
            "ActionExecuted",
            "ActionFailed",
            "BtRequestForPINCode",
            "BtRequestToCancelPINCodeInput",
            "BtRequestToCancelPinCodeInput",
            "ReportState",
            "RequestDeviceList",
            "RequestStateSynchronization",
        ],
    ),
    (
        "PlaybackController",
        &[
            "CustomCommandIssued",
            "NextCommandIssued",
            "PauseCommandIssued",
            "PlayCommandIssued",
            "PreviousCommandIssued",
            "ResumeCommandIssued",
            "SetRepeatModeCommandIssued",
            "StopCommandIssued",
        ],
    ),
    ("Settings", &["Report", "RequestVersionSpec"]),
    ("SpeechRecognizer", &["Recognize"]),
    ("SpeechSynthesizer", &["Request", "SpeechFinished", "SpeechStarted", "SpeechStopped"]),
    ("System", &["RequestSynchronizeState"]),
    (
        "TemplateRuntime",
        &[
            "LikeCommandIssued",
            "MoreCommandIssued",
            "RequestPlayerInfo",
            "SelectCommandIssued",
            "SubscribeCommandIssued",
            "UnlikeCommandIssued",
            "UnsubscribeCommandIssued",
        ],
    ),
    ("TextRecognizer", &["Recognize"]),
];

type Name = (&'static str, &'static str);
type Namespace = (&'static str, &'static [&'static str]);

/// The directive's names as constants, if CIC has one of this name.
pub fn known_directive(namespace: &str, name: &str) -> Option<Name> {
    find(DIRECTIVES, namespace, name)
}

/// Every directive, as namespace and name.
pub fn directives() -> impl Iterator<Item = Name> {
    DIRECTIVES.iter().flat_map(pairs)
}

/// Every event, as namespace and name.
pub fn events() -> impl Iterator<Item = Name> {
    EVENTS.iter().flat_map(pairs)
}

fn pairs((namespace, names): &'static Namespace) -> impl Iterator<Item = Name> {
    names.iter().map(|name| (*namespace, *name))
}

/// The event's names as constants, if CIC has one of this name.
pub fn known_event(namespace: &str, name: &str) -> Option<Name> {
    find(EVENTS, namespace, name)
}

fn find(table: &'static [(&str, &[&str])], namespace: &str, name: &str) -> Option<Name> {
    let (namespace, names) = table.iter().find(|(known, _)| *known == namespace)?;
    names.iter().find(|known| **known == name).map(|name| (*namespace, *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_guide_is_known() {
        let index = std::fs::read_to_string("tests/cic-examples/index.json").unwrap();
        let index: Vec<serde_json::Value> = serde_json::from_str(&index).unwrap();
        let mut seen = 0;
        for entry in index {
            let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let known = match field("kind").as_str() {
                "directive" => known_directive(&field("namespace"), &field("name")),
                "event" => known_event(&field("namespace"), &field("name")),
                _ => continue,
            };
            assert!(known.is_some(), "{}", field("file"));
            seen += 1;
        }
        assert_eq!(seen, 158);
        assert_eq!(known_directive("Clova", "RenderHologram"), None);
        assert_eq!(known_event("Clova", "Hello"), None);
    }
}
