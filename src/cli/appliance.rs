//! `appliance add|list|show|pair|unpair|remove`: provisioning. A running gateway follows.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};

use super::Format;
use crate::{
    app,
    clock::SystemClock,
    config::Config,
    ids::ApplianceId,
    provisioning::Provisioning,
    secret::Secret,
    store::{
        Appliance,
        provision::{DEFAULT_LANG, DEFAULT_MODEL, LANGS, NewAppliance},
    },
    telemetry::metrics::Metrics,
};

/// What to do with appliances.
#[derive(Debug, Subcommand)]
pub enum ApplianceCommand {
    /// Add an appliance and print its MQTT password, which is shown only this once
    #[command(
        after_help = "Example:\n  cic-gateway appliance add kitchen --model HB-100 --lang ko"
    )]
    Add {
        /// 1 to 64 of A-Z a-z 0-9 _ -
        id: ApplianceId,
        /// CLOVA's model id
        #[arg(long, default_value = DEFAULT_MODEL)]
        model: String,
        /// Language of its requests
        #[arg(long, default_value = DEFAULT_LANG, value_parser = LANGS)]
        lang: String,
        /// CLOVA's device id [default: a random UUID]
        #[arg(long)]
        device_id: Option<String>,
    },
    /// List all appliances
    #[command(after_help = "Example:\n  cic-gateway appliance list --format json")]
    List,
    /// Show one appliance
    #[command(after_help = "Example:\n  cic-gateway appliance show kitchen")]
    Show {
        /// Its id
        id: ApplianceId,
    },
    /// Trade an authorization code, which the user's app gets from CLOVA, for tokens
    #[command(
        after_help = "Example:\n  cic-gateway appliance pair kitchen --code kD93__sampleCode"
    )]
    Pair {
        /// Its id
        id: ApplianceId,
        /// The authorization code
        #[arg(long)]
        code: String,
    },
    /// Forget an appliance's CLOVA account
    #[command(after_help = "Example:\n  cic-gateway appliance unpair kitchen")]
    Unpair {
        /// Its id
        id: ApplianceId,
    },
    /// Remove an appliance
    #[command(after_help = "Example:\n  cic-gateway appliance remove kitchen")]
    Remove {
        /// Its id
        id: ApplianceId,
    },
}

/// Carries out a command.
pub(super) async fn run(command: ApplianceCommand, config: &Config, format: Format) -> Result<()> {
    let store = app::open_store(config, &Metrics::new()).await?;
    let provisioning = app::provisioning(config, &store, std::sync::Arc::new(SystemClock))?;
    let done = perform(command, &provisioning, format).await;
    store.close().await;
    done
}

async fn perform(
    command: ApplianceCommand,
    provisioning: &Provisioning,
    format: Format,
) -> Result<()> {
    match command {
        ApplianceCommand::Add { id, model, lang, device_id } => {
            let new = NewAppliance { id, model_id: model, lang, device_id };
            let (appliance, password) = provisioning.add(new).await?;
            print(
                format,
                &json!({
                    "id": appliance.id,
                    "mqttUser": appliance.id,
                    "mqttPassword": password.expose(),
                    "deviceId": appliance.device_id,
                    "modelId": appliance.model_id,
                }),
            );
        }
        ApplianceCommand::List => list(provisioning, format).await?,
        ApplianceCommand::Show { id } => {
            let found = provisioning.get(&id).await;
            print(format, &describe(&found.with_context(|| id.to_string())?));
        }
        ApplianceCommand::Pair { id, code } => {
            let paired = provisioning.pair(&id, &Secret::from(code)).await;
            let paired = paired.with_context(|| id.to_string())?;
            let expires = paired.tokens.map(|tokens| tokens.expires_at.to_string());
            print(format, &json!({"id": id, "paired": true, "expiresAt": expires}));
        }
        ApplianceCommand::Unpair { id } => {
            provisioning.unpair(&id).await.with_context(|| id.to_string())?;
            print(format, &json!({"id": id, "paired": false}));
        }
        ApplianceCommand::Remove { id } => {
            provisioning.remove(&id).await.with_context(|| id.to_string())?;
            print(format, &json!({"id": id, "removed": true}));
        }
    }
    Ok(())
}

async fn list(provisioning: &Provisioning, format: Format) -> Result<()> {
    let all: Vec<Value> = provisioning.store.list().await?.iter().map(describe).collect();
    match format {
        Format::Json => println!("{}", Value::from(all)),
        Format::Text => all.iter().for_each(|appliance| {
            let field = |name: &str| appliance[name].as_str().unwrap_or_default();
            let paired = if appliance["paired"] == true { "paired" } else { "not paired" };
            println!("{}  {}  {}  {paired}", field("id"), field("modelId"), field("lang"));
        }),
    }
    Ok(())
}

/// What may be shown of an appliance: no secret.
fn describe(appliance: &Appliance) -> Value {
    json!({
        "id": appliance.id,
        "modelId": appliance.model_id,
        "lang": appliance.lang,
        "deviceId": appliance.device_id,
        "paired": appliance.tokens.is_some(),
        "tokenExpiresAt": appliance.tokens.as_ref().map(|tokens| tokens.expires_at.to_string()),
        "createdAt": appliance.created_at.to_string(),
    })
}

fn print(format: Format, value: &Value) {
    match (format, value.as_object()) {
        (Format::Text, Some(fields)) => {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                println!("{name}: {}", value.as_str().map_or(value.to_string(), str::to_owned));
            }
        }
        _ => println!("{value}"),
    }
}
