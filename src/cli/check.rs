//! `check`: every mistake in the configuration, then the broker, the store, CIC and the auth server
//! are tried as the gateway would use them. Nothing is changed by it.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::Format;
use crate::{
    app, cic,
    config::{Config, ConfigErrors, Loaded},
    mqtt::link::probe,
    store::{self, StoreError},
    telemetry::{metrics::Metrics, traces},
};

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Only read the configuration
    #[arg(long)]
    offline: bool,
}

/// How long each of broker and CIC may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out the command.
pub(super) async fn run(
    loaded: Result<Loaded, ConfigErrors>,
    args: CheckArgs,
    format: Format,
) -> Result<()> {
    let (source, config) = match loaded {
        Ok(Loaded { config, source }) => (source, config),
        Err(errors) => {
            report(format, "configuration", Err(&errors.to_string()));
            bail!("the configuration has {} mistakes", errors.0.len());
        }
    };
    let source = source.map_or("defaults".into(), |path| path.display().to_string());
    report(format, "configuration", Ok(&source));
    if let Some(doubt) = traces::doubt(&config.telemetry.otlp_endpoint) {
        say(format, "warn", "configuration", &format!("telemetry.otlp_endpoint: {doubt}"));
    }
    if args.offline {
        return Ok(());
    }
    let (broker, store, cic, auth) =
        tokio::join!(try_broker(&config), try_store(&config), try_cic(&config), try_auth(&config));
    let tried = [("broker", broker), ("store", store), ("cic", cic), ("auth", auth)];
    for (what, result) in &tried {
        report(format, what, result.as_ref().map(String::as_str).map_err(String::as_str));
    }
    match tried.iter().filter(|(_, result)| result.is_err()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} tries failed", tried.len()),
    }
}

fn report(format: Format, what: &str, result: Result<&str, &str>) {
    match result {
        Ok(detail) => say(format, "ok", what, detail),
        Err(why) => say(format, "failed", what, why),
    }
}

fn say(format: Format, word: &str, what: &str, detail: &str) {
    match format {
        Format::Json => println!("{}", json!({"check": what, "result": word, "detail": detail})),
        Format::Text => println!("{word:6} {what}: {detail}"),
    }
}

async fn try_broker(config: &Config) -> Result<String, String> {
    if config.broker.enabled {
        return try_embedded_broker(config);
    }
    let settings = app::external_broker(config).map_err(chain)?;
    probe(&settings, PATIENCE).await?;
    Ok(format!("{}:{} accepts the gateway", settings.host, settings.port))
}

/// What it needs to start; it may be running already, as part of the gateway.
fn try_embedded_broker(config: &Config) -> Result<String, String> {
    let listen = config.broker.listen;
    app::broker_tls(config).map_err(chain)?;
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Ok(format!("the embedded one will listen on {listen}")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            Ok(format!("{listen} is in use, by the running gateway if there is one"))
        }
        Err(error) => Err(format!("{listen}: {error}: broker.listen")),
    }
}

/// Opens the store as it is: nothing is made and nothing is migrated.
async fn try_store(config: &Config) -> Result<String, String> {
    let (url, migrate) = (&config.store.url, config.store.migrate);
    if let Some(file) = sqlite_file(url) {
        if !file.exists() {
            return not_made_yet(&file, migrate);
        }
        let key = store::sqlite::key_file(&file);
        if config.store.secret_key.is_empty() && !key.exists() {
            return Err(format!("{} is missing: store.secret_key", key.display()));
        }
    }
    let opened = store::open(url, &config.store.secret_key, false, Metrics::new()).await;
    let store = match opened {
        Err(StoreError::Schema(_)) if migrate => {
            return Ok("its schema will be brought up to date at the next start".to_owned());
        }
        opened => opened.map_err(|error| store_problem(&error))?,
    };
    let appliances = store.list().await.map_err(|error| store_problem(&error));
    store.close().await;
    Ok(format!("{} appliances", appliances?.len()))
}

fn store_problem(error: &StoreError) -> String {
    let key = if matches!(error, StoreError::Sealed) { "store.secret_key" } else { "store.url" };
    format!("{error}: {key}")
}

/// The file of a SQLite store.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(path.split('?').next().unwrap_or_default().into())
}

fn not_made_yet(file: &Path, migrate: bool) -> Result<String, String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let shown = file.display();
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(format!("there is no folder {}: store.url", folder.display()))
        }
        _ if migrate => Ok(format!("{shown} does not exist yet; the first start makes it")),
        _ => Err(format!("{shown} does not exist; run `cic-gateway migrate`: store.url")),
    }
}

async fn try_cic(config: &Config) -> Result<String, String> {
    let settings = app::session_settings(config).map_err(chain)?;
    cic::probe::probe(&settings.base_uri, settings.tls, PATIENCE).await
}

async fn try_auth(config: &Config) -> Result<String, String> {
    let status = app::auth_client(config).map_err(chain)?.probe().await?;
    match status {
        500.. => Err(format!("it answers with status {status}: auth.base_uri")),
        _ => Ok(format!("{} answers", config.auth.base_uri)),
    }
}

fn chain(error: anyhow::Error) -> String {
    format!("{error:#}")
}
