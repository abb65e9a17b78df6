//! `appliance add|list|show|pair|unpair|remove`: provisioning. A running gateway follows.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};

use super::Format;
use crate::{
    app,
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::Config,
    ids::ApplianceId,
    secret::Secret,
    store::{Appliance, SharedStore, provision},
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
        #[arg(long, default_value = "generic")]
        model: String,
        /// Language of its requests
        #[arg(long, default_value = "ko", value_parser = ["ko", "en", "ja"])]
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
    let done = perform(command, config, &store, format).await;
    store.close().await;
    done
}

async fn perform(
    command: ApplianceCommand,
    config: &Config,
    store: &SharedStore,
    format: Format,
) -> Result<()> {
    let now = SystemClock.now();
    match command {
        ApplianceCommand::Add { id, model, lang, device_id } => {
            provision::check_id(&id, &app::gateway_names(config))?;
            let count = store.list().await?.len();
            anyhow::ensure!(
                count < config.limits.max_appliances,
                "limits.max_appliances is reached"
            );
            let new = provision::NewAppliance { id, model_id: model, lang, device_id };
            let (appliance, password) = provision::add(store.as_ref(), new, now.wall).await?;
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
        ApplianceCommand::List => {
            let all: Vec<Value> = store.list().await?.iter().map(describe).collect();
            match format {
                Format::Json => println!("{}", Value::from(all)),
                Format::Text => all.iter().for_each(|appliance| {
                    let field = |name: &str| appliance[name].as_str().unwrap_or_default();
                    let paired = if appliance["paired"] == true { "paired" } else { "not paired" };
                    println!("{}  {}  {}  {paired}", field("id"), field("modelId"), field("lang"));
                }),
            }
        }
        ApplianceCommand::Show { id } => print(format, &describe(&find(store, &id).await?)),
        ApplianceCommand::Pair { id, code } => {
            let appliance = find(store, &id).await?;
            let auth = app::auth_client(config)?;
            let tokens = auth.pair(&device(&appliance), &Secret::from(code), now).await?;
            store.set_tokens(&id, &tokens).await?;
            print(
                format,
                &json!({"id": id, "paired": true, "expiresAt": tokens.expires_at.to_string()}),
            );
        }
        ApplianceCommand::Unpair { id } => {
            let appliance = find(store, &id).await?;
            store.clear_tokens(&id).await?;
            if let Some(tokens) = &appliance.tokens
                && let Err(error) = app::auth_client(config)?
                    .delete(&device(&appliance), &tokens.access_token)
                    .await
            {
                tracing::warn!(%error, "the token could not be deleted at CLOVA; it runs out by itself");
            }
            print(format, &json!({"id": id, "paired": false}));
        }
        ApplianceCommand::Remove { id } => {
            store.remove(&id).await.with_context(|| id.to_string())?;
            print(format, &json!({"id": id, "removed": true}));
        }
    }
    Ok(())
}

async fn find(store: &SharedStore, id: &ApplianceId) -> Result<Appliance> {
    store.get(id).await?.with_context(|| format!("{id}: no appliance with this id exists"))
}

fn device(appliance: &Appliance) -> Device {
    let (device_id, model_id) = (appliance.device_id.clone(), appliance.model_id.clone());
    Device { device_id, model_id }
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
