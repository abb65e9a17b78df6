//! Settings (flows 10): what the appliance says of its own, and what CIC was told of them.
//!
//! The gateway answers for the appliance with its last `up/settings`, and with `{}` while there is
//! none, as the guide wants a configuration in every report. What CIC was told last is remembered,
//! so that a message which the broker repeats is no news, and a change that happened while CIC was
//! away is told once it is back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Asked, Cause, Control, Handling};
use crate::{
    appliance::{duties::Duty, outbox::Care},
    cic::directive::Directive,
    clock::Now,
};

/// Settings that an appliance may have.
pub const MAX_SETTINGS: usize = 256;
/// Keys and values together, bytes.
pub const MAX_BYTES: usize = 32 * 1024;

/// Settings of an appliance: keys are agreed with CLOVA, values are texts (interfaces).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Configuration(BTreeMap<Box<str>, Box<str>>);

/// Why something is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfiguration {
    /// Not an object whose values are texts.
    #[error("configuration: {0}")]
    Form(#[from] serde_json::Error),
    /// Too many of them, or too long.
    #[error("configuration: at most {MAX_SETTINGS} settings and {MAX_BYTES} bytes")]
    TooLarge,
}

#[derive(Deserialize)]
struct Payload {
    configuration: BTreeMap<Box<str>, Box<str>>,
}

impl Configuration {
    /// Reads the payload of `up/settings` and of Settings.Update.
    ///
    /// # Errors
    /// When there is no flat object of texts in it, or too large a one.
    pub fn parse(payload: &str) -> Result<Self, InvalidConfiguration> {
        let Payload { configuration } = serde_json::from_str(payload)?;
        let configuration = Self(configuration);
        configuration.is_small().then_some(configuration).ok_or(InvalidConfiguration::TooLarge)
    }

    fn is_small(&self) -> bool {
        let bytes: usize = self.0.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.0.len() <= MAX_SETTINGS && bytes <= MAX_BYTES
    }

    fn has_all_of(&self, other: &Self) -> bool {
        other.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }
}

/// What is known, and what CIC was told.
#[derive(Debug, Default)]
pub(super) struct Settings {
    known: Option<Configuration>,
    told: Option<Configuration>,
}

impl Settings {
    /// Another account was told nothing.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }

    /// Takes what was changed; settings that it does not name stay (interfaces).
    fn merge(&mut self, changed: Configuration) {
        let mut merged = self.known.clone().unwrap_or_default();
        merged.0.extend(changed.0);
        if merged.is_small() {
            self.known = Some(merged);
        }
    }
}

impl Control {
    /// The appliance reports its settings, in `up/settings`.
    pub fn settings_reported(&mut self, configuration: Configuration) {
        let update = self.answered_update(&configuration);
        self.settings.known = Some(configuration);
        match update {
            Some(at) => {
                self.waiting[at].asked = Asked::Reported;
                self.tell_settings();
            }
            None => self.tell_settings_if_new(),
        }
    }

    /// The Update to which these settings are the answer: the first one whose values they have, or
    /// else the oldest, whose values the appliance may have bent. What was known before answers
    /// only an Update that changes nothing.
    fn answered_update(&self, reported: &Configuration) -> Option<usize> {
        let updates = || {
            self.waiting.iter().enumerate().filter_map(|(at, waiting)| match &waiting.asked {
                Asked::Update(wanted) => Some((at, wanted)),
                Asked::Action(_) | Asked::Reported => None,
            })
        };
        let is_news = self.settings.known.as_ref() != Some(reported);
        let fulfilled = updates().find(|(_, wanted)| reported.has_all_of(wanted));
        let oldest = || updates().next().filter(|_| is_news);
        fulfilled.or_else(oldest).map(|(at, _)| at)
    }

    pub(super) fn expect_settings(&mut self) -> Handling {
        self.tell_settings();
        Handling::Withhold
    }

    pub(super) fn update_settings(
        &mut self,
        duty: &'static Duty,
        directive: &Directive,
        now: Now,
    ) -> Handling {
        let wanted = Configuration::parse(directive.payload.get()).map_err(|_| Cause::Payload);
        let wanted = wanted.and_then(|wanted| self.room_for(directive).map(|()| wanted));
        match wanted {
            Ok(wanted) => {
                self.wait(duty, directive, Asked::Update(wanted), now);
                Handling::Deliver
            }
            Err(cause) => {
                self.updated(duty, Configuration::default(), Some(cause));
                Handling::Invalid
            }
        }
    }

    /// CIC is told the settings as they are now, whatever has become of its Update.
    pub(super) fn updated(
        &mut self,
        duty: &'static Duty,
        wanted: Configuration,
        cause: Option<Cause>,
    ) {
        match cause {
            None => self.settings.merge(wanted),
            Some(cause) => self.fail(duty, "".into(), cause),
        }
        self.tell_settings();
    }

    /// Tells CIC what it does not know yet, as soon as it is there.
    pub(super) fn tell_settings_if_new(&mut self) {
        let Settings { known, told } = &self.settings;
        if self.connected && known.is_some() && known != told {
            self.tell_settings();
        }
    }

    fn tell_settings(&mut self) {
        let configuration = self.settings.known.clone().unwrap_or_default();
        self.report("Settings", "Report", &json!({"configuration": configuration}), Care::Retry);
        self.settings.told = Some(configuration);
    }
}
