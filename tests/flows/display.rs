//! Flows 9 to 12: delegation, settings, notifications, what a media display shows.

use serde_json::{Value, json};

use super::{moves, reports, speak, speaks, stage, support::stage::Actor};

#[actix_web::test]
async fn flow_9_a_request_is_delegated_by_the_app() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let (said, sound) = speak("d");
    let fetch = "Clova.ProcessDelegatedEvent";
    actor.site.cic.answer_once(&actor.device, fetch, vec![said], vec![sound]);
    // 1: the user asks the app. 2: HandleDelegatedEvent [DC].
    let id = actor.site.cic.delegate(&actor.device, "what time is it");
    // 3: ProcessDelegatedEvent with the same id.
    assert_eq!(actor.cic_sees(fetch).await.payload, json!({"delegationId": id}));
    // 4: the results, handled like any others.
    actor.hears_directive("SpeechSynthesizer.Speak").await;
    speaks(actor, "d").await;
    stage.ends().await;
}

async fn told_settings(actor: &Actor) -> Value {
    actor.cic_sees("Settings.Report").await.payload["configuration"].clone()
}

#[actix_web::test]
async fn flow_10_settings() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    // CLOVA-provided items: RequestVersionSpec, UpdateVersionSpec came with the connection.
    // Changed on the device: Report.
    actor.says("settings", json!({"configuration": {"night": "off"}})).await;
    assert_eq!(told_settings(actor).await, json!({"night": "off"}));
    // Looked up in the app: ExpectReport [DC] -> Report.
    actor.cic_orders("Settings.ExpectReport", json!({}));
    assert_eq!(told_settings(actor).await, json!({"night": "off"}));
    // Changed in the app: Update [DC] -> applied -> Report with what is so now.
    let wanted = json!({"configuration": {"VoiceTypeChange": "V002"}});
    actor.cic_orders("Settings.Update", wanted);
    let order = actor.hears_directive("Settings.Update").await;
    reports(actor, &order, true, json!({})).await;
    let now = json!({"night": "off", "VoiceTypeChange": "V002"});
    assert_eq!(told_settings(actor).await, now);
    stage.ends().await;
}

#[actix_web::test]
async fn flow_11_notifications() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    // 1: SetIndicator or Notify [DC]. 2: light and sound.
    let sound = json!({
        "light": "DEFAULT", "new": true, "assetPlayOrder": ["s"],
        "assets": [{"assetId": "s", "url": "clova://notifier/sound/default"}],
    });
    let before = actor.puppet.count();
    actor.cic_orders("Notifier.SetIndicator", sound.clone());
    assert_eq!(actor.hears_directive("Notifier.SetIndicator").await["payload"], sound);
    moves(actor, before, "notification", "foreground").await;
    // 3: read elsewhere: ClearIndicator [DC]; everything is off.
    actor.cic_orders("Notifier.ClearIndicator", json!({}));
    actor.hears_directive("Notifier.ClearIndicator").await;
    actor.cic_orders("Notifier.Notify", sound.clone());
    assert_eq!(actor.hears_directive("Notifier.Notify").await["payload"], sound);
    stage.ends().await;
}

/// A button of the display.
async fn presses(actor: &Actor, name: &str, payload: Value) {
    let event = json!({"namespace": "TemplateRuntime", "name": name, "payload": payload});
    actor.says("event", event).await;
    let seen = actor.cic_sees(&format!("TemplateRuntime.{name}")).await;
    assert_eq!(seen.payload, payload);
}

#[actix_web::test]
async fn flow_12_media_metadata() {
    let stage = stage().await;
    let actor = &stage.actors[0];
    let play = json!({
        "audioItem": {"audioItemId": "i", "stream": {
            "token": "t", "url": "https://music.example/t.mp3", "urlPlayable": true,
            "beginAtInMilliseconds": 0,
        }},
        "playBehavior": "REPLACE_ALL", "source": {"name": "Music"},
    });
    actor.cic_orders("AudioPlayer.Play", play);
    actor.hears_directive("AudioPlayer.Play").await;
    // 1: ExpectRequestPlayerInfo, or the appliance wants it. 2: RequestPlayerInfo.
    actor.cic_orders("TemplateRuntime.ExpectRequestPlayerInfo", json!({}));
    let asked = actor.cic_sees("TemplateRuntime.RequestPlayerInfo").await;
    assert_eq!(asked.payload, json!({"token": "t"}));
    // 3: RenderPlayerInfo.
    let info = actor.hears_directive("TemplateRuntime.RenderPlayerInfo").await;
    let token = json!({"token": info["payload"]["playableItems"][0]["token"]});
    presses(actor, "RequestPlayerInfo", json!({"token": token["token"], "range": {"after": 2}}))
        .await;
    let more = actor.hears_directive("TemplateRuntime.RenderPlayerInfo").await;
    assert_eq!(more["payload"]["playableItems"].as_array().unwrap().len(), 3);
    // 4: the user presses like: LikeCommandIssued; UpdateLike.
    presses(actor, "LikeCommandIssued", token.clone()).await;
    let liked = actor.hears_directive("TemplateRuntime.UpdateLike").await;
    assert_eq!(liked["payload"]["like"], true);
    // 5: the user presses more, chooses a list, and then a track.
    presses(actor, "MoreCommandIssued", token).await;
    let list = actor.hears_directive("TemplateRuntime.RenderPlaylist").await;
    let item = json!({"token": list["payload"]["items"][0]["token"]});
    presses(actor, "SelectCommandIssued", item).await;
    let deeper = actor.hears_directive("TemplateRuntime.RenderPlaylist").await;
    let track = json!({"token": deeper["payload"]["items"][0]["token"]});
    presses(actor, "SelectCommandIssued", track).await;
    actor.hears_directive("AudioPlayer.Play").await;
    stage.ends().await;
}
