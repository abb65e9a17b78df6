//! What the coverage page says of messages that nothing else in the code knows.

/// Messages that are not in both editions of the guide.
pub const EDITIONS: &[(&str, &str)] = &[
    ("Alerts.ClearAlert", "field"),
    ("Alerts.ClearAlertFailed", "field"),
    ("Alerts.ClearAlertSucceeded", "field"),
    ("Alerts.RequestDeleteAlert", "2022"),
    ("AudioPlayer.RequestPlaybackState", "2019, internal"),
    ("AudioPlayer.SynchronizePlaybackState", "2019, internal"),
    ("Clova.RenderSuggestion", "2022"),
    ("DeviceControl.BtRequestToCancelPINCodeInput", "2022"),
    ("DeviceControl.BtRequestToCancelPinCodeInput", "2019"),
    ("DeviceControl.RenderDeviceList", "2022"),
    ("DeviceControl.RequestDeviceList", "2022"),
    ("Settings.RequestVersionSpec", "2022"),
    ("Settings.UpdateVersionSpec", "2022"),
    ("SpeechRecognizer.ConfirmWakeUp", "field"),
    ("TemplateRuntime.MoreCommandIssued", "2022"),
    ("TemplateRuntime.RenderPlaylist", "2022"),
    ("TemplateRuntime.SelectCommandIssued", "2022"),
];

/// What the gateway asks as soon as it is connected.
pub const AT_CONNECT: &str = "after each connect";

/// When each event is sent.
pub const WHEN: &[(&str, &str)] = &[
    ("Alerts.AlertStarted", "an alert's time has come and `down/alert ring` is published"),
    ("Alerts.AlertStopped", "a ringing alert is stopped and `down/alert stop` is published"),
    ("Alerts.ClearAlertFailed", "the store could not delete the alerts of a type"),
    ("Alerts.ClearAlertSucceeded", "the alerts of a type are deleted"),
    ("Alerts.DeleteAlertFailed", "the store could not delete the alert, or it is of another type"),
    ("Alerts.DeleteAlertSucceeded", "the alert is deleted, or nobody knows it"),
    ("Alerts.RequestAlertStop", "`up/button` `stopAlert`, and at the end of `alerts.ring_timeout`"),
    ("Alerts.RequestDeleteAlert", "`up/button` `deleteAlert`"),
    ("Alerts.RequestSynchronizeAlert", AT_CONNECT),
    ("Alerts.SetAlertFailed", "the alert is too long past, unusable, or could not be stored"),
    ("Alerts.SetAlertSucceeded", "the alert is stored"),
    ("AudioPlayer.PlayFinished", "`up/playback` `finished`, or the end of the section is reached"),
    ("AudioPlayer.PlayPaused", "`up/playback` `paused`, or 3 s after Pause"),
    ("AudioPlayer.PlayResumed", "`up/playback` `resumed`, or 3 s after Resume"),
    ("AudioPlayer.PlayStarted", "`up/playback` `started`"),
    (
        "AudioPlayer.PlayStopped",
        "`up/playback` `stopped` or `failed`, 3 s after Stop, and when another stream or ClearQueue ends it",
    ),
    ("AudioPlayer.PlaybackQueueCleared", "after ClearQueue"),
    ("AudioPlayer.ProgressReportDelayPassed", "once, after the time that the stream names"),
    (
        "AudioPlayer.ProgressReportIntervalPassed",
        "every so often while it plays, as the stream says",
    ),
    ("AudioPlayer.ProgressReportPositionPassed", "the position that the stream names is passed"),
    ("AudioPlayer.ReportPlaybackState", "after ExpectReportPlaybackState"),
    ("AudioPlayer.RequestPlaybackState", "the appliance wants to know of other clients"),
    (
        "AudioPlayer.StreamRequested",
        "right before a stream is played whose address cannot be played",
    ),
    ("Clova.ProcessDelegatedEvent", "after HandleDelegatedEvent"),
    ("DeviceControl.ActionExecuted", "`up/result` with `ok`: `true`"),
    (
        "DeviceControl.ActionFailed",
        "`up/result` with `ok`: `false`, none within `cic.result_timeout`, or an unknown target",
    ),
    ("DeviceControl.BtRequestForPINCode", "the other device asks for a PIN"),
    ("DeviceControl.BtRequestToCancelPINCodeInput", "the PIN is not wanted any more"),
    (
        "DeviceControl.BtRequestToCancelPinCodeInput",
        "never under this name: sent as `BtRequestToCancelPINCodeInput`",
    ),
    (
        "DeviceControl.ReportState",
        "after ExpectReportState, at once and as often as it says; when a Bluetooth connection has come about, or not",
    ),
    ("DeviceControl.RequestDeviceList", "the appliance wants the list"),
    ("DeviceControl.RequestStateSynchronization", "the appliance wants other clients' states"),
    ("PlaybackController.CustomCommandIssued", "`up/button` `custom`"),
    ("PlaybackController.NextCommandIssued", "`up/button` `next`, or ExpectNextCommand"),
    ("PlaybackController.PauseCommandIssued", "`up/button` `pause`, or ExpectPauseCommand"),
    (
        "PlaybackController.PlayCommandIssued",
        "`up/button` `play` with a token, or ExpectPlayCommand",
    ),
    (
        "PlaybackController.PreviousCommandIssued",
        "`up/button` `previous`, or ExpectPreviousCommand",
    ),
    (
        "PlaybackController.ResumeCommandIssued",
        "`up/button` `resume`, or `play` without a token, or ExpectResumeCommand",
    ),
    ("PlaybackController.SetRepeatModeCommandIssued", "`up/button` `repeat`"),
    ("PlaybackController.StopCommandIssued", "`up/button` `stop`, or ExpectStopCommand"),
    ("Settings.Report", "after ExpectReport and Update, and when `up/settings` says something new"),
    ("Settings.RequestVersionSpec", AT_CONNECT),
    ("SpeechRecognizer.Recognize", "`up/recognize`, with the audio as it comes"),
    ("SpeechSynthesizer.Request", "the appliance wants a text spoken"),
    ("SpeechSynthesizer.SpeechFinished", "`up/speech` `finished`"),
    ("SpeechSynthesizer.SpeechStarted", "`up/speech` `started`"),
    (
        "SpeechSynthesizer.SpeechStopped",
        "`up/speech` `stopped`, or as soon as `down/cancel` is published",
    ),
    ("System.RequestSynchronizeState", "the appliance wants it; alerts do not need it"),
    ("TemplateRuntime.LikeCommandIssued", "the like button of a display"),
    ("TemplateRuntime.MoreCommandIssued", "the button for more of a display"),
    (
        "TemplateRuntime.RequestPlayerInfo",
        "after ExpectRequestPlayerInfo while there is a stream, or for a display",
    ),
    ("TemplateRuntime.SelectCommandIssued", "an item of a list is chosen"),
    ("TemplateRuntime.SubscribeCommandIssued", "the subscribe button of a display"),
    ("TemplateRuntime.UnlikeCommandIssued", "the like button of a display, of what is liked"),
    ("TemplateRuntime.UnsubscribeCommandIssued", "the subscribe button, of what is subscribed"),
    ("TextRecognizer.Recognize", "`up/text`, or a text request of the HTTP API"),
];
