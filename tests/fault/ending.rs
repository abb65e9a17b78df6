//! SIGTERM, with a real process: nobody is left in doubt, what is being said is finished, and a
//! second signal ends it at once.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use cic_gateway::sim::{
    appliance::{ApplianceHost, Heard, SimulatedAppliance, read_wav},
    cic::{Fault, Place, scenario::embedded},
};

use crate::{
    house::{LIMIT, Speaker},
    support::{
        onlooker::Onlooker,
        site::{Plan, Site},
    },
};

/// What is promised of the end (contract, section 2).
const END: Duration = Duration::from_secs(10);

/// `cic-gateway run` for a site.
struct Process(Child);

impl Process {
    fn start(site: &Site) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_cic-gateway"))
            .arg("--config")
            .arg(&site.file)
            .arg("run")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for its end; also how long that took.
    async fn ended(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            assert!(started.elapsed() < LIMIT, "it ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn with_one() -> (Site, Process, Speaker) {
    let site = Site::build(Plan::default()).await;
    let process = Process::start(&site);
    let settings = site.appliances[0].settings.clone();
    let speaker = Speaker(SimulatedAppliance::start(settings).unwrap());
    speaker.session("connected").await;
    (site, process, speaker)
}

#[actix_web::test]
async fn a_hundred_appliances_are_told_and_their_channels_closed_in_time() {
    let appliances = 100;
    let site = Site::build(Plan { appliances, ..Plan::default() }).await;
    let mut process = Process::start(&site);
    let host = ApplianceHost::start().unwrap();
    let speakers: Vec<_> =
        site.appliances.iter().map(|known| Speaker(host.add(known.settings.clone()))).collect();
    assert!(site.cic.wait_for_channels(appliances, LIMIT).await);
    for speaker in &speakers {
        speaker.session("connected").await;
    }
    // One of them speaks.
    let pcm = read_wav(embedded("speech/time.wav").unwrap()).unwrap();
    speakers[0].0.say(pcm, None);
    let recognize = |name: &str| name == "SpeechRecognizer.Recognize";
    speakers[0].heard(|heard| matches!(heard, Heard::Text(_) | Heard::Capture(_))).await;
    process.signal("TERM");
    let (status, took) = process.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < END, "{took:?}");
    for speaker in &speakers {
        speaker.session("stopped").await;
    }
    assert!(site.cic.wait_for_channels(0, LIMIT).await);
    let spoken = site.cic.wait_for(|seen| recognize(&seen.name), LIMIT).await.unwrap();
    assert!(spoken.complete, "what was being said was finished");
    assert_eq!(site.cic.refusals(), []);
}

#[actix_web::test]
async fn what_is_being_said_is_answered_and_nothing_new_is_begun() {
    let (site, mut process, speaker) = with_one().await;
    let late = Fault::LateAnswer(Duration::from_secs(2));
    site.cic.inject([late.on(Place::Event).when("what time")]);
    speaker.0.type_text("what time is it", None);
    let asked = |name: &str| name == "TextRecognizer.Recognize";
    site.cic.wait_for(|seen| asked(&seen.name), LIMIT).await.unwrap();
    process.signal("TERM");
    // While the one is waited for, another one is refused.
    let refused = async {
        loop {
            speaker.0.type_text("and what day", None);
            let over = |heard: &Heard| matches!(heard, Heard::Error(v) if v["code"] == "busy");
            if speaker.0.wait_for(over, Duration::from_millis(300)).await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, refused).await.expect("it is refused");
    speaker.heard(|heard| matches!(heard, Heard::FirstAudio { .. })).await;
    let (status, took) = process.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < END, "{took:?}");
    let password = site.appliances[0].settings.password.clone();
    let onlooker = Onlooker { port: site.mosquitto.as_ref().unwrap().port, password };
    assert_eq!(onlooker.session().await, "stopped");
}

#[actix_web::test]
async fn a_second_signal_ends_it_at_once() {
    let (site, mut process, speaker) = with_one().await;
    let never = Fault::LateAnswer(Duration::from_secs(3600));
    site.cic.inject([never.on(Place::Event).when("what time")]);
    speaker.0.type_text("what time is it", None);
    let asked = |name: &str| name == "TextRecognizer.Recognize";
    site.cic.wait_for(|seen| asked(&seen.name), LIMIT).await.unwrap();
    process.signal("TERM");
    assert!(process.0.try_wait().unwrap().is_none());
    process.signal("INT");
    let (status, _) = process.ended().await;
    assert_eq!(status.code(), Some(1), "not a graceful end, and it says so");
    assert!(!site.cic.seen().iter().any(|seen| seen.name.ends_with("SpeechStarted")));
}

/// The broker is away: nobody can be told, and it ends all the same.
#[actix_web::test]
async fn it_ends_in_time_although_nothing_answers_any_more() {
    let (mut site, mut process, _speaker) = with_one().await;
    site.cic.set_reach(cic_gateway::sim::cic::Reach::Silent);
    site.mosquitto.as_mut().unwrap().freeze();
    process.signal("TERM");
    let (status, took) = process.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < END, "{took:?}");
}
