//! Every directive of CIC: who carries it out, which events answer it, by when, and what becomes
//! of it when the appliance says nothing (interfaces, "Which directive must be answered with which
//! event"; field notes for those not in the guide). Pure; called by [`super::control`].

use By::{Appliance, Both, Gateway};
use Silence::{Failure, GivenUp, KnownSettings};
use Within::{AtOnce, Kept, Listening, Playing, ResultTime};

/// Who carries a directive out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The gateway. If the appliance hears of it, then by a message of its own: `down/alert`,
    /// `down/capture`, `down/text`.
    Gateway,
    /// The appliance, which gets it as `down/directive`.
    Appliance,
    /// The appliance, after the gateway has done its own part.
    Both,
}

/// By when it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// Nothing is to be answered.
    Never,
    /// As soon as it has arrived.
    AtOnce,
    /// As soon as the store has it.
    Kept,
    /// With `up/result`, within `cic.result_timeout`.
    ResultTime,
    /// While the appliance plays it.
    Playing,
    /// Before the `timeoutInMilliseconds` of the directive have passed.
    Listening,
}

/// What happens when the appliance says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Nobody waits for it.
    Unnoticed,
    /// CIC is told that it failed.
    Failure,
    /// CIC is told the settings that are known.
    KnownSettings,
    /// What waits for it goes on, and CIC is told nothing.
    GivenUp,
}

/// What a directive obliges to.
#[derive(Debug, PartialEq, Eq)]
pub struct Duty {
    /// `header.namespace`.
    pub namespace: &'static str,
    /// `header.name`.
    pub name: &'static str,
    /// Who carries it out.
    pub by: By,
    /// `Namespace.Name` of the events that answer it: alternatives, or one after the other.
    pub answers: &'static [&'static str],
    /// By when.
    pub within: Within,
    /// What happens when the appliance says nothing.
    pub silence: Silence,
}

/// What this directive obliges to; `None` for one that CIC does not have.
pub fn duty(namespace: &str, name: &str) -> Option<&'static Duty> {
    DUTIES.iter().find(|duty| (duty.namespace, duty.name) == (namespace, name))
}

/// Of every directive that CIC has.
pub fn all() -> impl Iterator<Item = &'static Duty> {
    DUTIES.iter()
}

const ACTION: &[&str] = &["DeviceControl.ActionExecuted", "DeviceControl.ActionFailed"];
const CONNECTION: &[&str] =
    &["DeviceControl.ActionExecuted", "DeviceControl.ActionFailed", "DeviceControl.ReportState"];
const SPEECH: &[&str] = &[
    "SpeechSynthesizer.SpeechStarted",
    "SpeechSynthesizer.SpeechFinished",
    "SpeechSynthesizer.SpeechStopped",
];
const PLAYED: &[&str] = &[
    "AudioPlayer.PlayStarted",
    "AudioPlayer.ProgressReportDelayPassed",
    "AudioPlayer.ProgressReportIntervalPassed",
    "AudioPlayer.ProgressReportPositionPassed",
    "AudioPlayer.PlayFinished",
];
const STREAMED: &[&str] = &[
    "AudioPlayer.StreamRequested",
    "AudioPlayer.PlayStarted",
    "AudioPlayer.ProgressReportDelayPassed",
    "AudioPlayer.ProgressReportIntervalPassed",
    "AudioPlayer.ProgressReportPositionPassed",
    "AudioPlayer.PlayFinished",
];
const RECOGNIZE: &[&str] = &["SpeechRecognizer.Recognize", "TextRecognizer.Recognize"];
const SET: &[&str] = &["Alerts.SetAlertSucceeded", "Alerts.SetAlertFailed"];
const DELETED: &[&str] = &["Alerts.DeleteAlertSucceeded", "Alerts.DeleteAlertFailed"];
const CLEARED: &[&str] = &["Alerts.ClearAlertSucceeded", "Alerts.ClearAlertFailed"];

/// One that the gateway answers by itself.
const fn own(
    namespace: &'static str,
    name: &'static str,
    answers: &'static [&'static str],
    within: Within,
) -> Duty {
    let silence = Silence::Unnoticed;
    Duty { namespace, name, by: Gateway, answers, within, silence }
}

/// One that nothing answers.
const fn mute(namespace: &'static str, name: &'static str, by: By) -> Duty {
    let (within, silence) = (Within::Never, Silence::Unnoticed);
    Duty { namespace, name, by, answers: &[], within, silence }
}

/// One that the appliance must answer with `up/result`.
const fn action(name: &'static str, answers: &'static [&'static str]) -> Duty {
    let (namespace, within, silence) = ("DeviceControl", ResultTime, Failure);
    Duty { namespace, name, by: Appliance, answers, within, silence }
}

/// One whose playback the appliance reports.
const fn played(
    namespace: &'static str,
    name: &'static str,
    by: By,
    answers: &'static [&'static str],
) -> Duty {
    Duty { namespace, name, by, answers, within: Playing, silence: GivenUp }
}

/// All directives, in the order of [`crate::cic::names`].
const DUTIES: &[Duty] = &[
    own("Alerts", "ClearAlert", CLEARED, Kept),
    own("Alerts", "DeleteAlert", DELETED, Kept),
    own("Alerts", "SetAlert", SET, Kept),
    own("Alerts", "StopAlert", &["Alerts.AlertStopped"], AtOnce),
    mute("Alerts", "SynchronizeAlert", Gateway),
    played("AudioPlayer", "ClearQueue", Both, &["AudioPlayer.PlaybackQueueCleared"]),
    own("AudioPlayer", "ExpectReportPlaybackState", &["AudioPlayer.ReportPlaybackState"], AtOnce),
    played("AudioPlayer", "Play", Both, STREAMED),
    played("AudioPlayer", "StreamDeliver", Both, PLAYED),
    mute("AudioPlayer", "SynchronizePlaybackState", Appliance),
    mute("Clova", "ExpectLogin", Appliance),
    mute("Clova", "FinishExtension", Appliance),
    own("Clova", "HandleDelegatedEvent", &["Clova.ProcessDelegatedEvent"], AtOnce),
    mute("Clova", "Hello", Gateway),
    mute("Clova", "Help", Appliance),
    mute("Clova", "LaunchURI", Appliance),
    mute("Clova", "RenderSuggestion", Appliance),
    mute("Clova", "RenderTemplate", Appliance),
    mute("Clova", "RenderText", Appliance),
    mute("Clova", "StartExtension", Appliance),
    action("BtConnect", CONNECTION),
    action("BtConnectByPINCode", CONNECTION),
    action("BtDelete", ACTION),
    action("BtDisconnect", ACTION),
    action("BtPlay", ACTION),
    action("BtRescan", ACTION),
    action("BtStartPairing", ACTION),
    action("BtStopPairing", ACTION),
    action("Decrease", ACTION),
    own("DeviceControl", "ExpectReportState", &["DeviceControl.ReportState"], AtOnce),
    action("Increase", ACTION),
    action("LaunchApp", &["DeviceControl.ActionFailed"]),
    action("Open", ACTION),
    action("OpenScreen", ACTION),
    mute("DeviceControl", "RenderDeviceList", Appliance),
    action("SetValue", ACTION),
    mute("DeviceControl", "SynchronizeState", Appliance),
    action("TurnOff", ACTION),
    action("TurnOn", ACTION),
    mute("Notifier", "ClearIndicator", Both),
    mute("Notifier", "Notify", Both),
    mute("Notifier", "SetIndicator", Both),
    pressed("ExpectNextCommand", &["PlaybackController.NextCommandIssued"]),
    pressed("ExpectPauseCommand", &["PlaybackController.PauseCommandIssued"]),
    pressed("ExpectPlayCommand", &["PlaybackController.PlayCommandIssued"]),
    pressed("ExpectPreviousCommand", &["PlaybackController.PreviousCommandIssued"]),
    pressed("ExpectResumeCommand", &["PlaybackController.ResumeCommandIssued"]),
    pressed("ExpectStopCommand", &["PlaybackController.StopCommandIssued"]),
    mute("PlaybackController", "Mute", Appliance),
    mute("PlaybackController", "Next", Both),
    played("PlaybackController", "Pause", Both, &["AudioPlayer.PlayPaused"]),
    mute("PlaybackController", "Previous", Both),
    mute("PlaybackController", "Replay", Both),
    played("PlaybackController", "Resume", Both, &["AudioPlayer.PlayResumed"]),
    mute("PlaybackController", "SetRepeatMode", Both),
    played("PlaybackController", "Stop", Both, &["AudioPlayer.PlayStopped"]),
    mute("PlaybackController", "TurnOffRepeatMode", Both),
    mute("PlaybackController", "TurnOnRepeatMode", Both),
    mute("PlaybackController", "Unmute", Appliance),
    mute("PlaybackController", "VolumeDown", Appliance),
    mute("PlaybackController", "VolumeUp", Appliance),
    own("Settings", "ExpectReport", &["Settings.Report"], AtOnce),
    Duty {
        namespace: "Settings",
        name: "Update",
        by: Both,
        answers: &["Settings.Report"],
        within: ResultTime,
        silence: KnownSettings,
    },
    mute("Settings", "UpdateVersionSpec", Appliance),
    mute("SpeechRecognizer", "ConfirmWakeUp", Gateway),
    own("SpeechRecognizer", "ExpectSpeech", RECOGNIZE, Listening),
    mute("SpeechRecognizer", "KeepRecording", Gateway),
    mute("SpeechRecognizer", "ShowRecognizedText", Gateway),
    mute("SpeechRecognizer", "StopCapture", Gateway),
    played("SpeechSynthesizer", "Speak", Both, SPEECH),
    mute("System", "Exception", Gateway),
    mute("System", "SynchronizeState", Both),
    own(
        "TemplateRuntime",
        "ExpectRequestPlayerInfo",
        &["TemplateRuntime.RequestPlayerInfo"],
        AtOnce,
    ),
    mute("TemplateRuntime", "RenderPlayerInfo", Appliance),
    mute("TemplateRuntime", "RenderPlaylist", Appliance),
    mute("TemplateRuntime", "UpdateLike", Appliance),
    mute("TemplateRuntime", "UpdateSubscribe", Appliance),
];

/// A button that CIC has pressed: the gateway sends the button's event and waits for what comes.
const fn pressed(name: &'static str, answers: &'static [&'static str]) -> Duty {
    own("PlaybackController", name, answers, AtOnce)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cic::names;

    /// The guide's index, "Which directive must be answered with which event"; `*` stands for the
    /// rest of a name.
    const GUIDE: &[(&str, &[&str], &[&str])] = &[
        ("Alerts", &["SetAlert"], &["Alerts.SetAlertSucceeded", "Alerts.SetAlertFailed"]),
        ("Alerts", &["DeleteAlert"], &["Alerts.DeleteAlertSucceeded", "Alerts.DeleteAlertFailed"]),
        ("Alerts", &["StopAlert"], &["Alerts.AlertStopped"]),
        ("AudioPlayer", &["ClearQueue"], &["AudioPlayer.PlaybackQueueCleared"]),
        ("AudioPlayer", &["ExpectReportPlaybackState"], &["AudioPlayer.ReportPlaybackState"]),
        ("AudioPlayer", &["Play"], &["AudioPlayer.StreamRequested"]),
        ("AudioPlayer", &["Play", "StreamDeliver"], PLAYED),
        ("Clova", &["HandleDelegatedEvent"], &["Clova.ProcessDelegatedEvent"]),
        (
            "DeviceControl",
            &["Bt*", "Decrease", "Increase", "SetValue", "Open", "OpenScreen", "TurnOff", "TurnOn"],
            &["DeviceControl.ActionExecuted", "DeviceControl.ActionFailed"],
        ),
        ("DeviceControl", &["LaunchApp"], &["DeviceControl.ActionFailed"]),
        ("DeviceControl", &["BtConnect", "BtConnectByPINCode"], &["DeviceControl.ReportState"]),
        ("DeviceControl", &["ExpectReportState"], &["DeviceControl.ReportState"]),
        ("PlaybackController", &["ExpectNextCommand"], &["PlaybackController.NextCommandIssued"]),
        ("PlaybackController", &["ExpectPauseCommand"], &["PlaybackController.PauseCommandIssued"]),
        ("PlaybackController", &["ExpectPlayCommand"], &["PlaybackController.PlayCommandIssued"]),
        (
            "PlaybackController",
            &["ExpectPreviousCommand"],
            &["PlaybackController.PreviousCommandIssued"],
        ),
        (
            "PlaybackController",
            &["ExpectResumeCommand"],
            &["PlaybackController.ResumeCommandIssued"],
        ),
        ("PlaybackController", &["ExpectStopCommand"], &["PlaybackController.StopCommandIssued"]),
        ("PlaybackController", &["Pause"], &["AudioPlayer.PlayPaused"]),
        ("PlaybackController", &["Resume"], &["AudioPlayer.PlayResumed"]),
        ("PlaybackController", &["Stop"], &["AudioPlayer.PlayStopped"]),
        ("Settings", &["ExpectReport", "Update"], &["Settings.Report"]),
        ("SpeechRecognizer", &["ExpectSpeech"], RECOGNIZE),
        ("SpeechSynthesizer", &["Speak"], SPEECH),
        ("TemplateRuntime", &["ExpectRequestPlayerInfo"], &["TemplateRuntime.RequestPlayerInfo"]),
    ];
    /// Not in the guide: field notes.
    const FIELD: &[(&str, &[&str], &[&str])] = &[("Alerts", &["ClearAlert"], CLEARED)];

    fn covers(pattern: &str, name: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => pattern == name,
        }
    }

    fn wanted(duty: &Duty) -> BTreeSet<&'static str> {
        let rows = GUIDE.iter().chain(FIELD).filter(|(namespace, names, _)| {
            *namespace == duty.namespace && names.iter().any(|name| covers(name, duty.name))
        });
        rows.flat_map(|(.., events)| events.iter().copied()).collect()
    }

    #[test]
    fn every_directive_of_cic_has_its_duty_and_none_has_two() {
        let known: Vec<_> = names::directives().collect();
        let here: Vec<_> = DUTIES.iter().map(|duty| (duty.namespace, duty.name)).collect();
        assert_eq!(here, known);
        assert_eq!(here.iter().collect::<BTreeSet<_>>().len(), here.len());
        assert_eq!(duty("Clova", "RenderHologram"), None);
    }

    #[test]
    fn every_directive_is_answered_as_the_guides_index_says() {
        for duty in DUTIES {
            let answers: BTreeSet<_> = duty.answers.iter().copied().collect();
            assert_eq!(answers, wanted(duty), "{}.{}", duty.namespace, duty.name);
        }
    }

    #[test]
    fn answers_are_events_and_come_at_some_time() {
        for duty in DUTIES {
            for answer in duty.answers {
                let (namespace, name) = answer.split_once('.').unwrap();
                assert!(names::known_event(namespace, name).is_some(), "{answer}");
            }
            assert_eq!(duty.answers.is_empty(), duty.within == Within::Never, "{}", duty.name);
        }
    }

    #[test]
    fn an_appliance_that_says_nothing_is_noticed_exactly_where_it_should_speak() {
        for duty in DUTIES {
            let waits = matches!(duty.within, ResultTime | Playing);
            assert_eq!(waits, duty.silence != Silence::Unnoticed, "{}", duty.name);
            assert!(!waits || duty.by != Gateway, "{}", duty.name);
        }
    }
}
