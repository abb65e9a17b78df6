//! Flows 4 to 6: music, its control, and who hears of it.

use serde_json::{Value, json};

use super::{
    stage,
    support::stage::{Actor, context, in_dialogue},
};

/// A Play of an opaque stream, with reports.
fn play(token: &str, behavior: &str, progress: Value) -> Value {
    in_dialogue(
        "AudioPlayer.Play",
        json!({
            "audioItem": {
                "audioItemId": token, "titleText": "t", "titleSubText1": "s", "type": "custom",
                "stream": {
                    "token": token, "url": format!("clova:{token}"), "urlPlayable": false,
                    "beginAtInMilliseconds": 0, "progressReport": progress,
                },
            },
            "playBehavior": behavior, "source": {"name": "Music"},
        }),
    )
}

async fn heard(actor: &Actor, token: &str, state: &str, offset: u64) {
    let said = json!({"token": token, "state": state, "offsetInMilliseconds": offset});
    actor.says("playback", said).await;
}

/// Music that the appliance plays.
async fn plays(actor: &Actor, token: &str, progress: Value) {
    // 1: the user asks for music. 2: Play.
    actor.asks(vec![play(token, "REPLACE_ALL", progress)], vec![]).await;
    // 3: right before playing, StreamRequested with the stream as it was stored.
    let asked = actor.cic_sees("AudioPlayer.StreamRequested").await;
    assert_eq!(asked.payload["audioStream"]["url"], format!("clova:{token}"));
    // 4: StreamDeliver is merged. 5: the appliance plays.
    let order = actor.hears_directive("AudioPlayer.Play").await;
    let stream = &order["payload"]["audioItem"]["stream"];
    assert_eq!((&stream["urlPlayable"], &stream["token"]), (&json!(true), &json!(token)));
    heard(actor, token, "started", 0).await;
    // 4.1, 1: PlayStarted, always.
    let started = actor.cic_sees("AudioPlayer.PlayStarted").await;
    let state = context(&started, "AudioPlayer.PlaybackState");
    assert_eq!(
        (&state["playerActivity"], &state["stream"]["token"]),
        (&json!("PLAYING"), &json!(token))
    );
}

#[actix_web::test]
async fn flow_4_music_with_its_reports() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let progress = json!({
        "progressReportDelayInMilliseconds": 100,
        "progressReportIntervalInMilliseconds": 2000,
        "progressReportPositionInMilliseconds": 150_000,
    });
    plays(actor, "a", progress).await;
    // 4.1, 2: once, after a time. 3: every so often.
    let offset =
        |event: &cic_gateway::sim::cic::SeenEvent| event.payload["offsetInMilliseconds"].clone();
    let delay = actor.cic_sees("AudioPlayer.ProgressReportDelayPassed").await;
    actor.cic_sees("AudioPlayer.ProgressReportIntervalPassed").await;
    // 4: who seeks beyond the position reports it at once.
    heard(actor, "a", "resumed", 160_000).await;
    let position = actor.cic_sees("AudioPlayer.ProgressReportPositionPassed").await;
    assert_eq!(offset(&position), 150_000);
    // 5: PlayFinished, always.
    heard(actor, "a", "finished", 180_000).await;
    assert_eq!(offset(&actor.cic_sees("AudioPlayer.PlayFinished").await), 180_000);
    // 6: each with the state, whose offset agrees.
    let state = context(&delay, "AudioPlayer.PlaybackState");
    assert_eq!(state["offsetInMilliseconds"], offset(&delay));
    stage.ends().await;
}

#[actix_web::test]
async fn flow_4_2_the_queue_is_cleared() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    plays(actor, "a", json!({})).await;
    for (behavior, activity) in [("CLEAR_ENQUEUED", "PLAYING"), ("CLEAR_ALL", "IDLE")] {
        // 1: ClearQueue. 2: the appliance acts. 3: the same value goes back.
        actor.cic_orders("AudioPlayer.ClearQueue", json!({"clearBehavior": behavior}));
        actor.hears_directive("AudioPlayer.ClearQueue").await;
        let cleared = actor.cic_sees("AudioPlayer.PlaybackQueueCleared").await;
        assert_eq!(cleared.payload, json!({"clearBehavior": behavior}));
        let state = context(&cleared, "AudioPlayer.PlaybackState");
        assert_eq!(state["playerActivity"], activity);
    }
    stage.ends().await;
}

/// The order comes, is carried out, and reported.
async fn pauses(actor: &Actor) {
    actor.hears_directive("PlaybackController.Pause").await;
    heard(actor, "a", "paused", 1000).await;
    let paused = actor.cic_sees("AudioPlayer.PlayPaused").await;
    assert_eq!(context(&paused, "AudioPlayer.PlaybackState")["playerActivity"], "PAUSED");
}

async fn resumes(actor: &Actor) {
    actor.says("button", json!({"button": "play"})).await;
    actor.cic_sees("PlaybackController.ResumeCommandIssued").await;
    actor.hears_directive("PlaybackController.Resume").await;
    heard(actor, "a", "resumed", 1000).await;
    actor.cic_sees("AudioPlayer.PlayResumed").await;
}

#[actix_web::test]
async fn flow_5_music_is_paused_by_voice_by_button_and_by_the_app_and_handed_over() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    plays(actor, "a", json!({})).await;
    // Voice: Recognize -> Pause.
    actor.asks(vec![in_dialogue("PlaybackController.Pause", json!({}))], vec![]).await;
    pauses(actor).await;
    resumes(actor).await;
    // Button: PauseCommandIssued -> Pause; the appliance does not pause by itself.
    actor.says("button", json!({"button": "pause"})).await;
    actor.cic_sees("PlaybackController.PauseCommandIssued").await;
    pauses(actor).await;
    resumes(actor).await;
    // App: ExpectPauseCommand [DC] -> PauseCommandIssued with the target as its source -> Pause.
    let target = json!({"target": {"namespace": "AudioPlayer"}});
    actor.cic_orders("PlaybackController.ExpectPauseCommand", target);
    let pressed = actor.cic_sees("PlaybackController.PauseCommandIssued").await;
    assert_eq!(pressed.payload, json!({"source": {"namespace": "AudioPlayer"}}));
    pauses(actor).await;
    // Handover: ExpectPlayCommand -> PlayCommandIssued with both copied -> Play.
    let handover = json!({
        "token": "b", "handover": {"customData": "c", "deviceId": "another"},
    });
    actor.cic_orders("PlaybackController.ExpectPlayCommand", handover.clone());
    let pressed = actor.cic_sees("PlaybackController.PlayCommandIssued").await;
    assert_eq!(pressed.payload, handover);
    let order = actor.hears_directive("AudioPlayer.Play").await;
    assert_eq!(order["payload"]["audioItem"]["stream"]["token"], "b");
    stage.ends().await;
}

#[actix_web::test]
async fn flow_6_the_state_is_shared() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    // 1: the app asks. 2: ExpectReportPlaybackState [DC]. 3: ReportPlaybackState.
    actor.cic_orders("AudioPlayer.ExpectReportPlaybackState", json!({}));
    let idle = actor.cic_sees("AudioPlayer.ReportPlaybackState").await;
    assert_eq!(idle.payload, json!({"playerActivity": "IDLE", "repeatMode": "NONE"}));
    plays(actor, "a", json!({})).await;
    actor.cic_orders("AudioPlayer.ExpectReportPlaybackState", json!({}));
    let playing = actor.cic_sees("AudioPlayer.ReportPlaybackState").await.payload;
    assert_eq!((&playing["playerActivity"], &playing["token"]), (&json!("PLAYING"), &json!("a")));
    assert!(playing["stream"].is_object() && playing["offsetInMilliseconds"].is_u64());
    // 4: CIC passes it on to the app.
    stage.ends().await;
}
