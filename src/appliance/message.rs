//! What goes into an appliance's core and what comes out of it.
//!
//! [`Up`] and [`Down`] are the appliance's side; [`crate::mqtt::native`] translates them from and
//! to topics and bytes. The cloud's side is [`crate::cic::message`].

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, value::RawValue};

use super::{
    alerts::{Alert, AlertAction},
    control::{ActionResult, Configuration},
    focus::Places,
    playback,
};
use crate::{
    cic::directive::Directive,
    ids::{ContentId, DialogRequestId, ExpectSpeechId, MessageId, Token, UtteranceId},
};

/// What an appliance reported, already checked for form.
#[derive(Debug)]
pub enum Up {
    /// `up/status`.
    Status {
        /// `online` or `offline`.
        online: bool,
        /// Sent by the broker from its memory, not by the appliance just now.
        retained: bool,
    },
    /// `up/state` and `up/state/{Namespace.Name}`.
    State {
        /// Contexts that replace those of the same name.
        reports: Vec<ContextReport>,
        /// What is wrong with each of the others.
        invalid: Vec<String>,
    },
    /// `up/recognize`: an utterance starts.
    Recognize(Recognize),
    /// `up/recognize` with `"cancel": true`.
    CancelUtterance(UtteranceId),
    /// `up/audio/{utterance}`; empty `data` ends the utterance.
    Audio {
        /// Which utterance.
        utterance: UtteranceId,
        /// Raw PCM, even in length.
        data: Bytes,
        /// When it was read from the broker's socket.
        received: Instant,
    },
    /// `up/text`.
    Text {
        /// What the user typed.
        text: String,
        /// The question it answers.
        expect_speech_id: Option<ExpectSpeechId>,
    },
    /// `up/speech`.
    Speech {
        /// Token of the Speak.
        token: Token,
        /// What happened to it.
        state: SpeechProgress,
    },
    /// `up/playback`.
    Playback(playback::Heard),
    /// `up/button`.
    Button(Button),
    /// `up/alert`: what the appliance really did, for the record.
    Alert {
        /// Which alert.
        token: Token,
        /// What happened to it.
        state: AlertProgress,
    },
    /// `up/result`.
    Result {
        /// What became of a directive.
        result: ActionResult,
        /// What is wrong with contexts in it that cannot be used.
        invalid: Vec<String>,
    },
    /// `up/settings`.
    Settings(Configuration),
    /// `up/x/...`: a topic of the firmware's own.
    Firmware {
        /// From `up/` on.
        topic: String,
        /// As it came.
        payload: Bytes,
    },
    /// `up/event`: any other CIC event.
    Event {
        /// `header.namespace`.
        namespace: String,
        /// `header.name`.
        name: String,
        /// `payload`, a JSON object.
        payload: Box<RawValue>,
    },
}

/// One context object as the appliance reported it.
#[derive(Debug, Clone)]
pub struct ContextReport {
    /// For example `Speaker`.
    pub namespace: String,
    /// For example `VolumeState`.
    pub name: String,
    /// Its payload, a JSON object.
    pub payload: Box<RawValue>,
}

/// The start of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognize {
    /// The appliance's name for it.
    pub utterance: UtteranceId,
    /// `ko`, `en` or `ja`; the provisioned language when absent.
    pub lang: Option<String>,
    /// CIC's `initiator`, checked for form; `None` means TAP by SELF.
    pub initiator: Option<Map<String, Value>>,
    /// The question it answers.
    pub expect_speech_id: Option<ExpectSpeechId>,
}

/// Life of a TTS playback on the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpeechProgress {
    /// Playback began.
    Started,
    /// Played to its end.
    Finished,
    /// Interrupted.
    Stopped,
}

/// A button of the appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Button {
    /// Stop a ringing alert, or every ringing one.
    StopAlert(Option<Token>),
    /// Delete an alert.
    DeleteAlert(Token),
    /// A button of the player.
    Player(playback::Button),
}

/// What an appliance reports of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertProgress {
    /// It really rings.
    Started,
    /// It fell silent.
    Stopped,
    /// It could not ring.
    Failed,
}

/// What the gateway tells an appliance.
#[derive(Debug, Clone, PartialEq)]
pub enum Down {
    /// `down/session`, retained.
    Session {
        /// Where the CIC session stands.
        state: SessionState,
        /// Since when.
        since: Timestamp,
        /// Why, for a person.
        reason: Option<String>,
    },
    /// `down/dialogue`.
    Dialogue {
        /// For lights and sounds.
        state: DialogueState,
        /// Which dialogue.
        dialog_request_id: Option<DialogRequestId>,
        /// Which utterance, where one is concerned.
        utterance: Option<UtteranceId>,
    },
    /// `down/capture` `stop`.
    CaptureStop {
        /// Which utterance.
        utterance: UtteranceId,
        /// Why.
        reason: StopReason,
        /// Final text, where CIC tells it.
        recognized_text: Option<String>,
    },
    /// `down/capture` `listen`.
    CaptureListen {
        /// How long to wait for the user to begin, ms.
        timeout_in_milliseconds: u64,
        /// Whether the answer is mandatory.
        explicit: bool,
        /// Goes into the next `up/recognize` or `up/text`.
        expect_speech_id: ExpectSpeechId,
    },
    /// `down/text`.
    Text {
        /// Which utterance.
        utterance: UtteranceId,
        /// What CIC has understood so far.
        text: String,
    },
    /// `down/directive`.
    Directive {
        /// The directive, its payload untouched.
        directive: Directive,
        /// Attachments that follow on `down/audio/{contentId}`.
        attachments: Vec<AttachmentRef>,
    },
    /// `down/audio/{contentId}`; empty data ends it. The adapter cuts it to 16 KiB a message.
    Audio {
        /// Which attachment.
        content_id: ContentId,
        /// Bytes of it; empty = its end.
        data: Bytes,
    },
    /// `down/cancel`.
    Cancel {
        /// Everything of this dialogue.
        dialog_request_id: Option<DialogRequestId>,
        /// These tokens.
        tokens: Vec<Token>,
    },
    /// `down/x/...`: a topic of the firmware's own.
    Firmware {
        /// From `down/` on.
        topic: String,
        /// As the firmware wants it.
        payload: Bytes,
    },
    /// `down/focus`.
    Focus(Places),
    /// `down/alert`.
    Alert(AlertAction, Arc<Alert>),
    /// `down/error`.
    Error(InputError),
}

/// An attachment that a directive announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentRef {
    /// `Content-ID`.
    pub content_id: ContentId,
    /// `Content-Type` of its part.
    pub content_type: String,
}

/// `down/session` `state`, and the label of `cic_gateway_appliances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// No tokens: `appliance pair` is needed.
    Unpaired,
    /// On its way.
    Connecting,
    /// Hello has arrived.
    Connected,
    /// Not connected; will be again by itself.
    Disconnected,
    /// CLOVA no longer accepts the pairing.
    Unauthorized,
    /// The gateway is not running.
    Stopped,
}

impl SessionState {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Unpaired,
        Self::Connecting,
        Self::Connected,
        Self::Disconnected,
        Self::Unauthorized,
        Self::Stopped,
    ];

    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaired => "unpaired",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Unauthorized => "unauthorized",
            Self::Stopped => "stopped",
        }
    }
}

/// `down/dialogue` `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogueState {
    /// The user is being heard.
    Listening,
    /// CLOVA is working.
    Thinking,
    /// The answer is being spoken.
    Speaking,
    /// Nothing to do.
    Idle,
}

impl DialogueState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Listening, Self::Thinking, Self::Speaking, Self::Idle];

    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Speaking => "speaking",
            Self::Idle => "idle",
        }
    }
}

/// `down/capture stop` `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// CLOVA has heard enough.
    Recognized,
    /// A newer utterance replaced it.
    Superseded,
    /// It was too long, or silent for too long.
    Timeout,
    /// The appliance or CLOVA cancelled it.
    Cancelled,
    /// It could not be sent.
    Failed,
}

impl StopReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::Recognized, Self::Superseded, Self::Timeout, Self::Cancelled, Self::Failed];

    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recognized => "recognized",
            Self::Superseded => "superseded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What the appliance sent and the gateway could not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The topic from `up/` on; of an attachment that was cut off, the one on which it went down.
    pub topic: Box<str>,
    /// Machine-readable.
    pub code: ErrorCode,
    /// For a person.
    pub message: String,
    /// What identifies the offender, as far as known.
    pub about: About,
}

/// What an [`InputError`] is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// An utterance.
    pub utterance: Option<UtteranceId>,
    /// A message.
    pub message_id: Option<MessageId>,
    /// A Speak, stream or alert.
    pub token: Option<Token>,
    /// An attachment.
    pub content_id: Option<ContentId>,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// `down/error` `code`, and the label of `cic_gateway_input_errors_total`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As the contract spells it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

error_codes! {
    /// Not JSON, or not UTF-8.
    InvalidJson = "invalid_json",
    /// JSON of another shape than the topic wants.
    InvalidPayload = "invalid_payload",
    /// A context whose name or payload cannot be one.
    InvalidContext = "invalid_context",
    /// A context that the gateway keeps by itself.
    ContextIgnored = "context_ignored",
    /// Larger than the topic allows.
    PayloadTooLarge = "payload_too_large",
    /// No such topic.
    UnknownTopic = "unknown_topic",
    /// Audio or cancel for an utterance that nobody started.
    UnknownUtterance = "unknown_utterance",
    /// 16-bit samples need an even number of bytes.
    AudioOddLength = "audio_odd_length",
    /// Audio came faster than it could be sent, or too long before its recognize.
    AudioOverflow = "audio_overflow",
    /// Longer than `limits.max_utterance`.
    UtteranceTooLong = "utterance_too_long",
    /// No alert with this token.
    UnknownAlert = "unknown_alert",
    /// No directive with this message id awaits a result.
    UnknownMessage = "unknown_message",
    /// CIC is not connected at the moment.
    NotConnected = "not_connected",
    /// The appliance has no CLOVA account yet.
    NotPaired = "not_paired",
    /// The gateway is ending or at a bound.
    Busy = "busy",
    /// An attachment was cut off.
    AttachmentIncomplete = "attachment_incomplete",
    /// More errors than are reported one by one; counts the rest.
    RateLimited = "rate_limited",
}
