//! What appliances publish.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use super::{MAX_AUDIO, MAX_JSON};
use crate::{
    appliance::{
        control::{ActionResult, Configuration},
        message::{
            About, AlertProgress, Button, ContextReport, ErrorCode, InputError, Recognize,
            SpeechProgress, Up,
        },
        playback,
    },
    ids::{ExpectSpeechId, MessageId, Token, UtteranceId},
    mqtt::topics,
};

/// Why a message cannot be used, before its topic is added.
type Wrong = (ErrorCode, String);

/// Reads a message; `topic` is what follows `{root}/{a}/`, for example `up/audio/u1`.
///
/// # Errors
/// What `down/error` shall say.
pub fn decode(
    topic: &str,
    payload: Bytes,
    retained: bool,
    received: Instant,
) -> Result<Up, InputError> {
    if let Some(utterance) = topic.strip_prefix("up/audio/") {
        return decode_audio(topic, utterance, payload, received);
    }
    let decoded = match topic {
        _ if payload.len() > MAX_JSON => {
            Err((ErrorCode::PayloadTooLarge, format!("more than {MAX_JSON} bytes")))
        }
        "up/status" => status(&payload, retained),
        "up/state" => state(&payload),
        "up/recognize" => recognize(&payload),
        "up/text" => text(&payload),
        "up/speech" => speech(&payload),
        "up/event" => event(&payload),
        "up/button" => button(&payload),
        "up/alert" => alert(&payload),
        "up/result" => result(&payload),
        "up/settings" => settings(&payload),
        "up/playback" => playback(&payload),
        _ => match topic.strip_prefix("up/state/") {
            Some(name) => one_state(name, &payload),
            None if topic.starts_with("up/x/") => {
                let topic = topic.to_owned();
                Ok(Up::Firmware { topic, payload: payload.clone() })
            }
            None => Err((ErrorCode::UnknownTopic, "there is no such topic".into())),
        },
    };
    decoded.map_err(|(code, message)| InputError {
        topic: topic.chars().take(200).collect(),
        code,
        message,
        about: About { utterance: named_utterance(topic, &payload), ..About::default() },
    })
}

fn decode_audio(
    topic: &str,
    utterance: &str,
    data: Bytes,
    received: Instant,
) -> Result<Up, InputError> {
    let wrong = if !is_utterance(utterance) {
        Some((
            ErrorCode::UnknownTopic,
            "an utterance is one topic level of 1 to 64 characters".into(),
        ))
    } else if data.len() > MAX_AUDIO {
        Some((ErrorCode::PayloadTooLarge, format!("more than {MAX_AUDIO} bytes")))
    } else if !data.len().is_multiple_of(2) {
        let message = format!("{} bytes; 16-bit samples need an even number", data.len());
        Some((ErrorCode::AudioOddLength, message))
    } else {
        None
    };
    match wrong {
        None => Ok(Up::Audio { utterance: utterance.into(), data, received }),
        Some((code, message)) => {
            let about = About { utterance: Some(utterance.into()), ..About::default() };
            Err(InputError { topic: topic.chars().take(200).collect(), code, message, about })
        }
    }
}

fn is_utterance(text: &str) -> bool {
    topics::is_level(text, 64)
}

fn invalid(message: impl Into<String>) -> Wrong {
    (ErrorCode::InvalidPayload, message.into())
}

/// Tells what is not JSON from what is JSON of another shape.
fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(payload).map_err(|error| {
        let code = match error.classify() {
            serde_json::error::Category::Data => ErrorCode::InvalidPayload,
            _ => ErrorCode::InvalidJson,
        };
        // A type error may come before the reader has seen that the rest is no JSON.
        let code = match serde_json::from_slice::<serde::de::IgnoredAny>(payload) {
            Ok(_) => code,
            Err(_) => ErrorCode::InvalidJson,
        };
        (code, error.to_string())
    })
}

/// Which utterance a message that cannot be used was about, for `down/error`.
fn named_utterance(topic: &str, payload: &[u8]) -> Option<UtteranceId> {
    #[derive(Deserialize)]
    struct Named {
        utterance: String,
    }
    (topic == "up/recognize" && payload.len() <= MAX_JSON)
        .then(|| serde_json::from_slice::<Named>(payload).ok())?
        .map(|named| named.utterance.chars().take(64).collect::<String>().into())
}

fn status(payload: &[u8], retained: bool) -> Result<Up, Wrong> {
    match payload {
        b"online" => Ok(Up::Status { online: true, retained }),
        // A cleared retained message means that nobody vouches for the appliance any more.
        b"offline" | b"" => Ok(Up::Status { online: false, retained }),
        _ => Err(invalid("must be the plain text online or offline")),
    }
}

fn state(payload: &[u8]) -> Result<Up, Wrong> {
    // An empty payload clears a retained message.
    let objects = if payload.is_empty() { BTreeMap::new() } else { parse(payload)? };
    let (reports, invalid) = contexts(objects);
    Ok(Up::State { reports, invalid })
}

/// Contexts by name: those that can be used, and what is wrong with each of the others.
fn contexts(objects: BTreeMap<String, Box<RawValue>>) -> (Vec<ContextReport>, Vec<String>) {
    let (mut reports, mut invalid) = (Vec::new(), Vec::new());
    for (name, payload) in objects {
        match context(&name, payload) {
            Ok(report) => reports.push(report),
            Err(why) => invalid.push(why),
        }
    }
    (reports, invalid)
}

fn one_state(name: &str, payload: &[u8]) -> Result<Up, Wrong> {
    let mut reports = Vec::new();
    if !payload.is_empty() {
        let report = context(name, parse(payload)?);
        reports.push(report.map_err(|why| (ErrorCode::InvalidContext, why))?);
    }
    Ok(Up::State { reports, invalid: Vec::new() })
}

/// Whether a text is `Namespace.Name`.
pub fn is_context_name(full_name: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    full_name.split_once('.').is_some_and(|(namespace, name)| word(namespace) && word(name))
}

fn context(full_name: &str, payload: Box<RawValue>) -> Result<ContextReport, String> {
    let shown: String = full_name.chars().take(80).collect();
    let Some((namespace, name)) = full_name.split_once('.').filter(|_| is_context_name(full_name))
    else {
        return Err(format!("{shown:?} is no Namespace.Name"));
    };
    if !payload.get().starts_with('{') {
        return Err(format!("{shown} must be an object"));
    }
    Ok(ContextReport { namespace: namespace.into(), name: name.into(), payload })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecognizeJson {
    utterance: String,
    #[serde(default)]
    cancel: bool,
    lang: Option<String>,
    initiator: Option<Map<String, Value>>,
    expect_speech_id: Option<ExpectSpeechId>,
}

fn recognize(payload: &[u8]) -> Result<Up, Wrong> {
    let json: RecognizeJson = parse(payload)?;
    if !is_utterance(&json.utterance) {
        return Err(invalid("utterance must have 1 to 64 characters, none of them / + #"));
    }
    let utterance = UtteranceId::from(json.utterance);
    if json.cancel {
        return Ok(Up::CancelUtterance(utterance));
    }
    if let Some(lang) = json.lang.as_deref().filter(|lang| !["ko", "en", "ja"].contains(lang)) {
        return Err(invalid(format!("lang {lang:?} must be ko, en or ja")));
    }
    if let Some(initiator) = &json.initiator {
        check_initiator(initiator).map_err(invalid)?;
    }
    let (lang, initiator) = (json.lang, json.initiator);
    let expect_speech_id = json.expect_speech_id;
    Ok(Up::Recognize(Recognize { utterance, lang, initiator, expect_speech_id }))
}

/// CIC's `initiator` (dialogue 4.3).
pub fn check_initiator(initiator: &Map<String, Value>) -> Result<(), String> {
    let text = |name: &str| initiator.get(name).and_then(Value::as_str).unwrap_or_default();
    if !["WAKEWORD", "TAP", "PRESS_AND_HOLD"].contains(&text("type")) {
        return Err("initiator.type must be WAKEWORD, TAP or PRESS_AND_HOLD".into());
    }
    let source = text("inputSource");
    if source != "SELF" && !source.starts_with("CUSTOM_") {
        return Err("initiator.inputSource must be SELF or CUSTOM_{Source_ID}".into());
    }
    let Some(payload) = initiator.get("payload") else { return Ok(()) };
    let payload = payload.as_object().ok_or("initiator.payload must be an object")?;
    let Some(wake_word) = payload.get("wakeWord") else { return Ok(()) };
    let index = |name: &str| wake_word["indices"][name].as_u64();
    match (index("startIndexInSamples"), index("endIndexInSamples")) {
        (Some(start), Some(end)) if end > start => Ok(()),
        _ => Err("initiator.payload.wakeWord.indices needs startIndexInSamples and a larger \
                  endIndexInSamples"
            .into()),
    }
}

fn text(payload: &[u8]) -> Result<Up, Wrong> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Json {
        text: String,
        expect_speech_id: Option<ExpectSpeechId>,
    }
    let Json { text, expect_speech_id } = parse(payload)?;
    if text.trim().is_empty() {
        return Err(invalid("text is empty"));
    }
    Ok(Up::Text { text, expect_speech_id })
}

fn speech(payload: &[u8]) -> Result<Up, Wrong> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum State {
        Started,
        Finished,
        Stopped,
    }
    #[derive(Deserialize)]
    struct Json {
        token: Token,
        state: State,
    }
    let Json { token, state } = parse(payload)?;
    let state = match state {
        State::Started => SpeechProgress::Started,
        State::Finished => SpeechProgress::Finished,
        State::Stopped => SpeechProgress::Stopped,
    };
    Ok(Up::Speech { token, state })
}

fn button(payload: &[u8]) -> Result<Up, Wrong> {
    #[derive(Deserialize)]
    struct Json {
        button: String,
        token: Option<Token>,
        name: Option<String>,
    }
    use playback::Button::{Custom, Next, Pause, Play, Previous, Repeat, Resume, Stop};
    let player = |button| Up::Button(Button::Player(button));
    let Json { button, token, name } = parse(payload)?;
    match (button.as_str(), token) {
        ("stopAlert", token) => Ok(Up::Button(Button::StopAlert(token))),
        ("deleteAlert", Some(token)) => Ok(Up::Button(Button::DeleteAlert(token))),
        ("deleteAlert", None) => Err(invalid("deleteAlert needs the token of an alert")),
        ("play", token) => Ok(player(Play(token))),
        ("pause", _) => Ok(player(Pause)),
        ("resume", _) => Ok(player(Resume)),
        ("stop", _) => Ok(player(Stop)),
        ("next", _) => Ok(player(Next)),
        ("previous", _) => Ok(player(Previous)),
        ("repeat", _) => Ok(player(Repeat)),
        ("custom", _) => match name.filter(|name| !name.is_empty() && name.len() <= 256) {
            Some(name) => Ok(player(Custom(name))),
            None => Err(invalid("custom needs the name of the button, as CUSTOM_BUTTON_2")),
        },
        (other, _) => Err(invalid(format!("there is no button {other:?}"))),
    }
}

fn playback(payload: &[u8]) -> Result<Up, Wrong> {
    use playback::Reported;
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum State {
        Started,
        Paused,
        Resumed,
        Stopped,
        Finished,
        QueueCleared,
        Failed,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Json {
        token: Token,
        state: State,
        offset_in_milliseconds: Option<u64>,
        total_in_milliseconds: Option<u64>,
    }
    let json: Json = parse(payload)?;
    let state = match json.state {
        State::Started => Reported::Started,
        State::Paused => Reported::Paused,
        State::Resumed => Reported::Resumed,
        State::Stopped => Reported::Stopped,
        State::Finished => Reported::Finished,
        State::QueueCleared => Reported::QueueCleared,
        State::Failed => Reported::Failed,
    };
    let (offset, total) = (json.offset_in_milliseconds, json.total_in_milliseconds);
    Ok(Up::Playback(playback::Heard { token: json.token, state, offset, total }))
}

fn alert(payload: &[u8]) -> Result<Up, Wrong> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum State {
        Started,
        Stopped,
        Failed,
    }
    #[derive(Deserialize)]
    struct Json {
        token: Token,
        state: State,
    }
    let Json { token, state } = parse(payload)?;
    let state = match state {
        State::Started => AlertProgress::Started,
        State::Stopped => AlertProgress::Stopped,
        State::Failed => AlertProgress::Failed,
    };
    Ok(Up::Alert { token, state })
}

fn result(payload: &[u8]) -> Result<Up, Wrong> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Json {
        message_id: MessageId,
        ok: bool,
        reason: Option<String>,
        state: Option<BTreeMap<String, Box<RawValue>>>,
    }
    let Json { message_id, ok, reason, state } = parse(payload)?;
    let (state, invalid) = contexts(state.unwrap_or_default());
    Ok(Up::Result { result: ActionResult { message_id, ok, reason, state }, invalid })
}

/// A cleared retained message says nothing about the settings.
fn settings(payload: &[u8]) -> Result<Up, Wrong> {
    if payload.is_empty() {
        return Ok(Up::Settings(Configuration::default()));
    }
    let raw: Box<RawValue> = parse(payload)?;
    let configuration = Configuration::parse(raw.get());
    configuration.map(Up::Settings).map_err(|wrong| invalid(wrong.to_string()))
}

fn event(payload: &[u8]) -> Result<Up, Wrong> {
    #[derive(Deserialize)]
    struct Json {
        namespace: String,
        name: String,
        payload: Option<Box<RawValue>>,
    }
    let Json { namespace, name, payload } = parse(payload)?;
    if namespace.is_empty() || name.is_empty() {
        return Err(invalid("namespace and name must not be empty"));
    }
    let empty = || RawValue::from_string("{}".into()).expect("{} is JSON");
    let payload = payload.unwrap_or_else(empty);
    if !payload.get().starts_with('{') {
        return Err(invalid("payload must be an object"));
    }
    Ok(Up::Event { namespace, name, payload })
}
