//! Logs: human-readable on a terminal, JSON with `--log-format json`. Called by `main` and `demo`.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, fmt::writer::BoxMakeWriter};

/// What a log line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Libraries that tell more than operators want to know. actix_http calls it an error when a client
/// sends what is no HTTP.
const QUIET: &str = "h2=warn,rumqttc=warn,sqlx=warn,mqtt5=warn,hyper=warn,rustls=warn,actix=warn,\
                     actix_http=off,opentelemetry=warn,reqwest=warn";

/// What is logged: `info`, `warn,cic_gateway=debug`.
///
/// # Errors
/// When it cannot be read.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|error| error.to_string())
}

/// Starts logging to standard error, or to a file.
///
/// # Errors
/// When the filter cannot be read.
pub fn init(filter: &str, format: LogFormat, file: Option<std::fs::File>) -> Result<(), String> {
    let filter = self::filter(filter).map_err(|error| format!("telemetry.log: {error}"))?;
    let ansi = file.is_none() && std::io::stderr().is_terminal();
    let writer = match file {
        Some(file) => BoxMakeWriter::new(std::sync::Mutex::new(file)),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let builder = fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| error.to_string())?;
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        tracing::error!(%panic, %backtrace, "panic");
    }));
    Ok(())
}
