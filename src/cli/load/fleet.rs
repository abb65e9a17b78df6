//! Many simulated speakers at the gateway's broker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::plan::Plan;
use crate::{
    app,
    cic::auth::Device,
    clock::{Clock, SystemClock},
    config::Config,
    ids::ApplianceId,
    secret::Secret,
    sim::{
        appliance::{
            ApplianceHost, ApplianceSettings, Heard, Initiator, SimulatedAppliance, Sound, Speech,
        },
        cic::SimulatedCic,
    },
    store::provision::{self, NewAppliance},
    telemetry::metrics::Metrics,
};

/// Appliances that share a thread.
const PER_THREAD: usize = 1000;
/// Appliances that connect at the same time.
const TOGETHER: usize = 100;

/// Appliances that are connected, and paired with CLOVA.
pub(super) struct Fleet {
    speakers: Vec<SimulatedAppliance>,
    _hosts: Vec<ApplianceHost>,
}

/// An appliance's id and its password.
pub(super) type Login = (String, Secret);

impl Fleet {
    /// Connects all of them, some at a time: what is measured is not the crowd at the door.
    pub(super) async fn connect(logins: Vec<Login>, port: u16, patience: Duration) -> Result<Self> {
        let threads = logins.len().div_ceil(PER_THREAD);
        let hosts =
            (0..threads).map(|_| ApplianceHost::start()).collect::<std::io::Result<Vec<_>>>()?;
        let connected =
            |heard: &Heard| matches!(heard, Heard::Session(s) if s["state"] == "connected");
        let mut speakers: Vec<SimulatedAppliance> = Vec::new();
        for group in logins.chunks(TOGETHER) {
            let already = speakers.len();
            for ((id, password), host) in group.iter().zip(hosts.iter().cycle()) {
                let (id, password) = (id.clone(), password.clone());
                let settings =
                    ApplianceSettings { id, password, port, ..ApplianceSettings::default() };
                speakers.push(host.add(settings));
            }
            for speaker in &speakers[already..] {
                if speaker.wait_for(connected, patience).await.is_none() {
                    bail!("not every appliance was connected within {patience:?}");
                }
            }
        }
        Ok(Self { speakers, _hosts: hosts })
    }

    /// The first of them speak, holding a button; returns how many utterances were not carried to
    /// their end.
    pub(super) async fn speak(&self, plan: &Plan, speaking: u32, patience: Duration) -> usize {
        let plan = Arc::new(plan.clone());
        let mut said = Vec::new();
        for (number, speaker) in (0..speaking).zip(&self.speakers) {
            said.push((speaker, speaker.speak(speech(plan.clone(), number))));
        }
        let limit = plan.end() + patience;
        let mut failed = 0;
        for (speaker, utterance) in said {
            failed += usize::from(!ends_well(speaker, &utterance, limit).await);
        }
        failed
    }
}

fn speech(plan: Arc<Plan>, speaker: u32) -> Speech {
    let (chunks, chunk_time, at) = (plan.messages, plan.message_time, plan.start(speaker));
    let make = Arc::new(move |message| plan.message(speaker, message));
    let speech = Speech::from(Sound::Made { chunks, chunk_time, make }).begun_by(Initiator::Hold);
    Speech { at: Some(at), ..speech }
}

async fn ends_well(speaker: &SimulatedAppliance, utterance: &str, limit: Instant) -> bool {
    let mut course = Course::Before;
    while let Course::Before | Course::Begun = course {
        let left = limit.saturating_duration_since(Instant::now());
        let Some((_, heard)) = speaker.next(left).await else { return false };
        course = course.after(&heard, utterance);
    }
    course == Course::Well
}

/// How far an utterance has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Before,
    Begun,
    Well,
    Failed,
}

impl Course {
    fn after(self, heard: &Heard, utterance: &str) -> Self {
        match heard {
            Heard::Dialogue(value) if value["utterance"] == utterance => Self::Begun,
            Heard::Dialogue(value) if self == Self::Begun && value["state"] == "idle" => Self::Well,
            // A timeout too: the end of the utterance, or what lay before it, did not get through.
            Heard::Capture(value)
                if value["utterance"] == utterance
                    && value["action"] == "stop"
                    && value["reason"] != "recognized" =>
            {
                Self::Failed
            }
            Heard::NoBroker(_) => Self::Failed,
            _ => self,
        }
    }
}

/// Adds and pairs appliances in the gateway's store.
pub(super) async fn provision(
    config: &Config,
    cic: &SimulatedCic,
    count: u32,
) -> Result<Vec<Login>> {
    let store = app::open_store(config, &Metrics::new()).await?;
    let auth = app::auth_client(config)?;
    let mut logins = Vec::new();
    for number in 0..count {
        let id = ApplianceId::parse(&format!("load-{number}"))?;
        let (model_id, lang) = ("load".to_owned(), "en".to_owned());
        let new = NewAppliance { id: id.clone(), model_id, lang, device_id: None };
        let now = SystemClock.now();
        let (appliance, password) = provision::add(store.as_ref(), new, now.wall).await?;
        let (device_id, model_id) = (appliance.device_id, appliance.model_id);
        let device = Device { device_id, model_id };
        store.set_tokens(&id, &auth.pair(&device, &cic.issue_code(), now).await?).await?;
        logins.push((id.to_string(), password));
    }
    store.close().await;
    Ok(logins)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_utterance_ends_well_with_its_own_dialogue_only() {
        let dialogue =
            |utterance, state| Heard::Dialogue(json!({"utterance": utterance, "state": state}));
        let idle = || Heard::Dialogue(json!({"state": "idle"}));
        let capture = |utterance, reason| {
            Heard::Capture(json!({"utterance": utterance, "action": "stop", "reason": reason}))
        };
        let rows = [
            (vec![idle()], Course::Before),
            (vec![dialogue("u0", "listening"), idle()], Course::Before),
            (vec![dialogue("u1", "listening"), capture("u1", "recognized")], Course::Begun),
            (vec![dialogue("u1", "listening"), capture("u0", "failed")], Course::Begun),
            (vec![dialogue("u1", "listening"), idle()], Course::Well),
            (vec![capture("u1", "failed")], Course::Failed),
            (vec![dialogue("u1", "listening"), capture("u1", "timeout")], Course::Failed),
        ];
        for (heard, want) in rows {
            let course =
                heard.iter().fold(Course::Before, |course, heard| course.after(heard, "u1"));
            assert_eq!(course, want, "{heard:?}");
        }
    }
}
