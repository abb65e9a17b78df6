//! The guide's content templates and context objects: what the gateway hands on as it is.

use serde_json::{Value, json};

use super::{
    examples::{self, Other},
    pattern::fits,
    support::stage::{Stage, context},
    taciturn,
};

#[actix_web::test]
async fn every_content_template_of_the_guide_reaches_the_appliance_as_it_is() {
    let stage = Stage::build(1, taciturn(), "").await;
    let templates = examples::others("template");
    assert_eq!(templates.len(), 46);
    let actor = &stage.actors[0];
    actor.settles().await;
    for Other { name, json, .. } in templates {
        actor.cic_orders("Clova.RenderTemplate", json.clone());
        let heard = actor.hears_directive("Clova.RenderTemplate").await;
        assert_eq!(heard["payload"], json, "{name}");
    }
    stage.ends().await;
}

/// Those that the gateway keeps itself.
const OWN: [&str; 3] =
    ["Alerts.AlertsState", "AudioPlayer.PlaybackState", "SpeechSynthesizer.SpeechState"];

/// Whether an event carries a reported object. Parts of the example that are not what the guide's
/// own table says may be missing; what the table requires may be added;
/// the time is the gateway's.
fn is_carried(reported: &Value, deviations: &[String], actual: &Value) -> bool {
    let deviates = |field: &str| {
        let path = format!("payload.{field}");
        field == "localTime" || deviations.iter().any(|deviation| deviation.starts_with(&path))
    };
    let mut fields = reported.as_object().into_iter().flatten();
    fields.all(|(field, value)| deviates(field) || fits(value, actual.get(field)))
}

#[actix_web::test]
async fn every_context_object_of_the_guide_goes_to_cic_as_it_is() {
    let stage = Stage::build(1, taciturn(), "").await;
    let contexts = examples::others("context");
    assert_eq!(contexts.len(), 28);
    let actor = &stage.actors[0];
    for Other { name: file, json: example, deviations } in contexts {
        let header = &example["header"];
        let text = |field: &str| header[field].as_str().unwrap();
        let name = format!("{}.{}", text("namespace"), text("name"));
        if OWN.contains(&name.as_str()) {
            continue;
        }
        actor.says("state", json!({ &name: example["payload"] })).await;
        actor.says("event", json!({"namespace": "DeviceControl", "name": "ReportState"})).await;
        let seen = actor.cic_sees("DeviceControl.ReportState").await;
        let actual = context(&seen, &name);
        let carried = is_carried(&example["payload"], &deviations, actual);
        assert!(carried, "{file}: {actual}");
    }
    stage.ends().await;
}
