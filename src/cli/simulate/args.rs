//! Options of `simulate appliance`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use super::broker_url::BrokerUrl;
use crate::{
    cic::tls,
    ids::ApplianceId,
    secret::Secret,
    sim::appliance::{ApplianceSettings, Kind, MqttVersion},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cic-gateway simulate appliance kitchen --mqtt mqtt://kitchen:PASSWORD@127.0.0.1 --text 'what time is it'
  cic-gateway simulate appliance kitchen --mqtt mqtts://broker.lan --ca ca.pem --wav question.wav --hold --out answers
  cic-gateway simulate appliance kitchen --mqtt mqtt://127.0.0.1 --text 'set a timer for five seconds' --wait-for-alert --stop-after 3s
  cic-gateway simulate appliance tv --kind television --mqtt mqtt://127.0.0.1 --text 'turn the tv up'
  cic-gateway simulate appliance tv --kind television --mqtt mqtt://127.0.0.1 --text 'play some music' --press pause --press resume
  cic-gateway simulate appliance bedroom --kind air-conditioner --mqtt mqtt://127.0.0.1 --text 'switch on' --keep-running

The password may also come from the environment: CIC_APPLIANCE_PASSWORD.";

/// Buttons without a name of their own.
const BUTTONS: [&str; 7] = ["play", "pause", "resume", "stop", "next", "previous", "repeat"];

/// Options of `simulate appliance`.
#[derive(Debug, Args)]
pub struct ApplianceArgs {
    /// Its id; also its MQTT user name, unless the URL names another
    pub(super) id: ApplianceId,
    /// Its MQTT password, unless it stands in the URL
    #[arg(long, env = "CIC_APPLIANCE_PASSWORD", default_value = "", hide_env_values = true)]
    pub(super) password: String,
    /// Say this recording (16 kHz, 16 bit, mono WAV); may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) wav: Vec<PathBuf>,
    /// Type this request, after the recordings; may be repeated
    #[arg(long, value_name = "T")]
    pub(super) text: Vec<String>,
    /// The broker: mqtt://[USER[:PASSWORD]@]HOST[:PORT], or mqtts:// for TLS
    #[arg(long, default_value = "mqtt://127.0.0.1:1883", value_name = "URL", value_parser = BrokerUrl::parse)]
    pub(super) mqtt: BrokerUrl,
    /// Trust this certificate authority too (PEM); the public ones are trusted anyway
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Version of MQTT: 3 means 3.1.1
    #[arg(long, value_enum, default_value_t = Version::V5)]
    pub(super) mqtt_version: Version,
    /// The gateway's mqtt.topic_root
    #[arg(long, default_value = "cic/v1", value_name = "TOPIC")]
    pub(super) topic_root: String,
    /// Push to talk: hold a button while speaking; its release ends the utterance
    #[arg(long, conflicts_with = "wake_word")]
    pub(super) hold: bool,
    /// The recordings begin with this wake word, for example hey_clova
    #[arg(long, value_name = "NAME")]
    pub(super) wake_word: Option<String>,
    /// How long the wake word lasts
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, requires = "wake_word")]
    pub(super) wake_word_length: u64,
    /// Language of the recordings [default: the appliance's own]
    #[arg(long, value_parser = ["ko", "en", "ja"])]
    pub(super) lang: Option<String>,
    /// Write the answers into this folder (answer-01.mp3 and so on)
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// How long an answer "plays" that is a URL, which is not downloaded
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    pub(super) url_time: u64,
    /// Give up when nothing happens for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) timeout: u64,
    /// What it is; an air conditioner and a fridge need the shipped profile of that name (appliance
    /// add --model air-conditioner, --model refrigerator)
    #[arg(long, value_enum, default_value_t = Kind::Speaker)]
    pub(super) kind: Kind,
    /// How many seconds of music pass in one second; music is not downloaded
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub(super) speed: f64,
    /// A setting that it has, as VoiceTypeChange=V001; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) setting: Vec<(String, String)>,
    /// Press this button afterwards: play, pause, resume, stop, next, previous, repeat, or
    /// CUSTOM_BUTTON_2 and the like; may be repeated
    #[arg(long, value_name = "BUTTON", value_parser = button)]
    pub(super) press: Vec<String>,
    /// How long nothing is pressed before each of them
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = crate::config::duration)]
    pub(super) press_after: Duration,
    /// Afterwards, wait until an alert rings, however long that takes; with --stop-after, until it
    /// has been stopped
    #[arg(long)]
    pub(super) wait_for_alert: bool,
    /// Press the stop button when alerts have rung for so long, for example 3s
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    pub(super) stop_after: Option<Duration>,
    /// Afterwards, stay and tell what happens until Ctrl-C
    #[arg(long, conflicts_with = "wait_for_alert")]
    pub(super) keep_running: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Version {
    #[value(name = "3")]
    V3,
    #[value(name = "5")]
    V5,
}

/// Which appliance that is, at which broker.
pub(super) fn settings(args: &ApplianceArgs) -> Result<ApplianceSettings> {
    let broker = args.mqtt.clone();
    ensure!(args.ca.is_none() || broker.tls, "--ca needs a broker with TLS: --mqtt mqtts://HOST");
    let ca = args
        .ca
        .as_ref()
        .map(|path| std::fs::read(path).with_context(|| format!("--ca {}", path.display())));
    let ca = ca.transpose()?;
    let tls = broker.tls.then(|| tls::client_config(ca.as_deref(), &[])).transpose();
    Ok(ApplianceSettings {
        id: args.id.to_string(),
        user: broker.user,
        password: broker.password.unwrap_or_else(|| Secret::from(args.password.clone())),
        host: broker.host,
        port: broker.port,
        tls: tls.context("--ca")?,
        version: match args.mqtt_version {
            Version::V3 => MqttVersion::V3,
            Version::V5 => MqttVersion::V5,
        },
        root: args.topic_root.clone(),
        out: args.out.clone(),
        url_time: Duration::from_millis(args.url_time),
        kind: args.kind,
        media_speed: args.speed,
        settings: args.setting.iter().cloned().collect(),
        ..ApplianceSettings::default()
    })
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.01..=10_000.0).contains(speed));
    speed.ok_or_else(|| "must be a number from 0.01 to 10000".to_owned())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let pair = pair.ok_or_else(|| "must be KEY=VALUE".to_owned())?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn button(text: &str) -> Result<String, String> {
    match BUTTONS.contains(&text) || text.starts_with("CUSTOM_") {
        true => Ok(text.to_owned()),
        false => Err(format!("must be one of {}, or CUSTOM_...", BUTTONS.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_is_read() {
        assert!(speed("0.5").is_ok() && speed("0").is_err() && speed("NaN").is_err());
        assert_eq!(setting("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(setting("a").is_err() && setting("=b").is_err());
        assert!(button("pause").is_ok() && button("CUSTOM_BUTTON_2").is_ok());
        assert!(button("eject").is_err());
    }
}
