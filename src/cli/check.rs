//! `check`: every mistake in the configuration, then the broker, the store and CLOVA are tried.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use tokio::net::TcpStream;

use super::Format;
use crate::{
    app,
    config::{Config, ConfigErrors, Loaded},
    telemetry::metrics::Metrics,
};

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Only read the configuration
    #[arg(long)]
    offline: bool,
}

const PATIENCE: Duration = Duration::from_secs(5);

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
    if args.offline {
        return Ok(());
    }
    let tried = [
        ("broker", try_broker(&config).await),
        ("store", try_store(&config).await),
        ("cic", try_uri(&config.cic.base_uri, 443).await),
        ("auth", try_uri(&config.auth.base_uri, 443).await),
    ];
    for (what, result) in &tried {
        report(format, what, result.as_ref().map(String::as_str).map_err(String::as_str));
    }
    match tried.iter().filter(|(_, result)| result.is_err()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} tries failed", tried.len()),
    }
}

fn report(format: Format, what: &str, result: Result<&str, &str>) {
    let (word, detail) = match result {
        Ok(detail) => ("ok", detail),
        Err(why) => ("failed", why),
    };
    match format {
        Format::Json => println!("{}", json!({"check": what, "result": word, "detail": detail})),
        Format::Text => println!("{word:6} {what}: {detail}"),
    }
}

async fn try_broker(config: &Config) -> Result<String, String> {
    if config.broker.enabled {
        return Ok(format!("the embedded one will listen on {}", config.broker.listen));
    }
    let port = if config.mqtt.url.starts_with("mqtts:") { 8883 } else { 1883 };
    try_uri(&config.mqtt.url, port).await
}

async fn try_store(config: &Config) -> Result<String, String> {
    let store = app::open_store(config, &Metrics::new()).await.map_err(|e| format!("{e:#}"))?;
    let appliances = store.list().await.map_err(|error| error.to_string())?;
    store.close().await;
    Ok(format!("{} appliances", appliances.len()))
}

/// Whether something listens there.
async fn try_uri(uri: &str, default: u16) -> Result<String, String> {
    let uri: http::Uri = uri.parse().map_err(|error| format!("{uri}: {error}"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(default);
    let shown = format!("{host}:{port}");
    match tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(format!("{shown} accepts connections")),
        Ok(Err(error)) => Err(format!("{shown}: {error}")),
        Err(_) => Err(format!("{shown}: no answer within {PATIENCE:?}")),
    }
}
