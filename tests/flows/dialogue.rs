//! Flow 2: dialogue.

use serde_json::{Value, json};

use super::{
    SPEECH, moves, speak, speaks, stage,
    support::stage::{Actor, in_dialogue},
};

/// The user begins to speak; returns the dialogue id of the request in flight.
async fn begins(actor: &Actor, utterance: &str, question: Option<&Value>) -> Value {
    let mut recognize = json!({"utterance": utterance, "lang": "ko"});
    if let Some(question) = question {
        recognize["expectSpeechId"] = question.clone();
    }
    actor.says("recognize", recognize).await;
    actor.puppet.says(&format!("audio/{utterance}"), vec![0; 6400]).await;
    let is_it = |said: &Value| said["state"] == "listening" && said["utterance"] == utterance;
    let listening = actor.hears("dialogue", is_it).await;
    listening["dialogRequestId"].clone()
}

/// CIC has heard enough.
async fn stops(actor: &Actor, id: &Value) {
    let mut stop = in_dialogue("SpeechRecognizer.StopCapture", json!({}));
    stop["directive"]["header"]["dialogRequestId"] = id.clone();
    actor.cic_sends(&stop);
    let capture = actor.hears("capture", |said| said["action"] == "stop").await;
    assert_eq!(capture["reason"], "recognized");
}

/// What the next spoken request is answered with.
fn answers(actor: &Actor, directives: Vec<Value>, sounds: Vec<(String, bytes::Bytes)>) {
    let event = "SpeechRecognizer.Recognize";
    actor.site.cic.answer_once(&actor.device, event, directives, sounds);
}

#[actix_web::test]
async fn flow_2_a_spoken_request() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let (said, sound) = speak("a");
    let template = in_dialogue("Clova.RenderTemplate", json!({"type": "Text"}));
    answers(actor, vec![said, template], vec![sound]);
    // 1, 2: the user speaks, Recognize goes out with id A, and the audio behind it.
    let a = begins(actor, "u1", None).await;
    // 3: what is understood so far is shown.
    let mut shown = in_dialogue("SpeechRecognizer.ShowRecognizedText", json!({"text": "what"}));
    shown["directive"]["header"]["dialogRequestId"] = a.clone();
    actor.cic_sends(&shown);
    assert_eq!(actor.hears("text", |_| true).await, json!({"utterance": "u1", "text": "what"}));
    // 4: StopCapture; the appliance stops, the request is completed.
    stops(actor, &a).await;
    // 5: A is the latest id now.
    let event = actor.cic_sees("SpeechRecognizer.Recognize").await;
    assert_eq!((json!(event.dialogue), event.audio.len()), (a.clone(), 6400));
    // 6: the answer, in order, with its attachment.
    let got = actor.hears_directive("SpeechSynthesizer.Speak").await;
    assert_eq!(got["dialogRequestId"], a);
    let id = got["attachments"][0]["contentId"].as_str().unwrap().to_owned();
    let topic = format!("audio/{id}");
    let first = |message: &super::support::puppet::Message| message.topic == topic;
    let (_, sound) = actor.puppet.hears(0, "the speech", first).await;
    assert_eq!(sound.payload, SPEECH);
    // 7: it is played.
    speaks(actor, "a").await;
    assert_eq!(actor.hears_directive("Clova.RenderTemplate").await["dialogRequestId"], a);
    stage.ends().await;
}

#[actix_web::test]
async fn flow_2_a_typed_request_and_a_question_in_return() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    // 2 (text), 6: the answer is a question.
    let (said, sound) = speak("which");
    let question = json!({
        "expectSpeechId": "q1", "explicit": true, "timeoutInMilliseconds": 7000,
    });
    let expect = in_dialogue("SpeechRecognizer.ExpectSpeech", question);
    let a = actor.asks(vec![said, expect], vec![sound]).await;
    actor.hears_directive("SpeechSynthesizer.Speak").await;
    // 7: the microphone opens behind the speech, not before.
    actor.settles().await.iter().for_each(|message| assert_ne!(message.topic, "capture"));
    speaks(actor, "which").await;
    let listen = actor.hears("capture", |said| said["action"] == "listen").await;
    // Multi-turn: the same id, the question's own, and `explicit`.
    let (said, sound) = speak("thanks");
    answers(actor, vec![said], vec![sound]);
    let again = begins(actor, "u1", Some(&listen["expectSpeechId"])).await;
    assert_eq!(again, json!(a));
    stops(actor, &again).await;
    let event = actor.cic_sees("SpeechRecognizer.Recognize").await;
    let payload = &event.payload;
    assert_eq!((&payload["speechId"], &payload["explicit"]), (&json!("q1"), &json!(true)));
    actor.hears_directive("SpeechSynthesizer.Speak").await;
    speaks(actor, "thanks").await;
    stage.ends().await;
}

#[actix_web::test]
async fn flow_2_interruption() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let (said, sound) = speak("a");
    let a = actor.asks(vec![said], vec![sound]).await;
    actor.hears_directive("SpeechSynthesizer.Speak").await;
    actor.says("speech", json!({"token": "a", "state": "started"})).await;
    actor.cic_sees("SpeechSynthesizer.SpeechStarted").await;
    // The user speaks again, and gives up: A goes to the background, and on.
    let before = actor.puppet.count();
    begins(actor, "u1", None).await;
    moves(actor, before, "dialogue", "background").await;
    let before = actor.puppet.count();
    actor.says("recognize", json!({"utterance": "u1", "cancel": true})).await;
    actor.hears("capture", |said| said["reason"] == "cancelled").await;
    moves(actor, before, "dialogue", "foreground").await;
    // The user speaks again: A's speech ends once B has been sent.
    let b = begins(actor, "u2", None).await;
    stops(actor, &b).await;
    let cancel = actor.hears("cancel", |_| true).await;
    assert_eq!(cancel, json!({"dialogRequestId": a, "tokens": ["a"]}));
    assert_eq!(actor.cic_sees("SpeechSynthesizer.SpeechStopped").await.payload["token"], "a");
    stage.ends().await;
}
