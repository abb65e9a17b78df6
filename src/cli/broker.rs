//! `broker export`: password and access files for a Mosquitto of one's own.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::json;

use super::Format;
use crate::{
    app,
    config::Config,
    secret::Secret,
    store::{Appliance, password, provision},
    telemetry::metrics::Metrics,
};

/// How to prepare a broker.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// Write the users and access rights of all appliances and of the gateway
    #[command(
        after_help = "Example:\n  cic-gateway broker export --mosquitto /etc/mosquitto/cic-gateway"
    )]
    Export {
        /// Folder for Mosquitto's files `passwd` and `acl`
        #[arg(long, value_name = "DIR")]
        mosquitto: PathBuf,
    },
}

/// Carries out a command.
pub(super) async fn run(command: BrokerCommand, config: &Config, format: Format) -> Result<()> {
    let BrokerCommand::Export { mosquitto } = command;
    let store = app::open_store(config, &Metrics::new()).await?;
    let appliances = store.list().await?;
    let own = store.gateway_password().await?;
    store.close().await;
    let configured = &config.mqtt.password;
    let secret = if configured.is_empty() { &own } else { configured };
    let gateway = app::gateway_user(config);
    for appliance in &appliances {
        // Two entries of one name: the gateway would be locked out, or the appliance would have
        // its rights.
        provision::check_id(&appliance.id, &[gateway])?;
    }
    std::fs::create_dir_all(&mosquitto).with_context(|| mosquitto.display().to_string())?;
    let users = users(gateway, &password::hash(secret), &appliances);
    replace(&mosquitto.join("passwd"), &users)?;
    replace(&mosquitto.join("acl"), &rights(gateway, &config.mqtt.topic_root, &appliances))?;
    tell(format, appliances.len(), &mosquitto, gateway, configured.is_empty().then_some(&own));
    Ok(())
}

/// `made` is the gateway's password where the configuration has none yet.
fn tell(format: Format, appliances: usize, dir: &Path, gateway: &str, made: Option<&Secret>) {
    let made = made.map(Secret::expose);
    if format == Format::Json {
        let mut told = json!({"appliances": appliances, "dir": dir, "mqttUser": gateway});
        if let Some(password) = made {
            told["mqttPassword"] = password.into();
        }
        return println!("{told}");
    }
    println!("{appliances} appliances written to {}", dir.display());
    if let Some(password) = made {
        println!(
            "put this into the gateway's configuration:\n[mqtt]\nusername = {gateway:?}\npassword = {password:?}"
        );
    }
}

fn users(gateway: &str, hash: &str, appliances: &[Appliance]) -> String {
    let appliances = appliances.iter().map(|a| format!("{}:{}\n", a.id, a.password_hash));
    std::iter::once(format!("{gateway}:{hash}\n")).chain(appliances).collect()
}

/// An appliance may publish below its `up/` and read below its `down/`, and nothing else.
fn rights(gateway: &str, root: &str, appliances: &[Appliance]) -> String {
    let mut text = format!(
        "user {gateway}\ntopic read {root}/+/up/#\ntopic write {root}/+/down/#\n\
         topic readwrite {root}/gateway/#\n"
    );
    for Appliance { id, .. } in appliances {
        let _ = write!(
            text,
            "\nuser {id}\ntopic write {root}/{id}/up/#\ntopic read {root}/{id}/down/#\n"
        );
    }
    text
}

/// Mosquitto must never read half a file.
fn replace(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    crate::store::seal::create_private(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| path.display().to_string())
}
