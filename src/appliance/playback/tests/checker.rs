//! What must hold of the machine whatever happens; see [`super::random`].

use serde_json::Value;

use super::{
    super::{Effect, MAX_ITEMS, Report, queue::MAX_HISTORY},
    world::{World, value},
};

/// What CIC was told last of what plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Playing,
    Paused,
}

#[derive(Debug, Default)]
pub(super) struct Checker {
    /// What the appliance has been told to play and not to stop, as far as it did not report so.
    at_appliance: Option<String>,
    /// The playback that CIC knows to go on.
    open: Option<(String, Told)>,
    /// What PlayStopped was reported of last: Resume may open it again.
    stopped: Option<String>,
    /// Something has been about to begin since the last end that was reported.
    is_begun: bool,
    /// The appliance was told the open one anew.
    is_replayed: bool,
    sounds: bool,
}

impl Checker {
    /// The appliance reports that this has ended, truly or not.
    pub fn ended(&mut self, token: &str) {
        self.at_appliance.take_if(|at| at == token);
    }

    /// What plays according to the gateway's orders.
    pub fn playing(&self) -> Option<&str> {
        self.at_appliance.as_deref()
    }

    /// The account is gone: CIC hears nothing more of it.
    pub fn forgotten(&mut self) {
        self.open = None;
        self.stopped = None;
        self.is_begun = false;
        assert_eq!(self.at_appliance, None);
    }

    /// Looks at what came of one input.
    pub fn check(&mut self, w: &mut World, is_connected: bool) {
        self.is_begun |= !is_connected;
        for effect in std::mem::take(&mut w.effects) {
            match effect {
                Effect::Tell(directive) if directive.name == "Play" => {
                    let stream = &value(&directive.payload)["audioItem"]["stream"];
                    let token = stream["token"].as_str().unwrap().to_owned();
                    self.told(token);
                }
                Effect::Tell(_) | Effect::Count(_) => {}
                Effect::Cancel(token) => self.ended(token.as_str()),
                Effect::Report(report) => self.reported(&report),
                Effect::Ask(report) => {
                    assert!(is_connected, "nobody is there to be asked");
                    self.is_begun |= report.name == "StreamRequested";
                }
                Effect::Sounding(sounds) => {
                    assert_ne!(sounds, self.sounds);
                    self.sounds = sounds;
                }
            }
        }
        let next = w.playback.poll_timeout();
        assert!(next.is_none_or(|at| at > w.now.mono), "it wants to be called at once");
        assert!(w.playback.queue.extent().0 <= MAX_ITEMS + MAX_HISTORY);
        within_section(&w.state());
    }

    fn told(&mut self, token: String) {
        let is_same = self.at_appliance.as_ref().is_none_or(|at| *at == token);
        assert!(is_same, "{token} is told while {:?} is there", self.at_appliance);
        self.is_replayed = self.open.as_ref().is_some_and(|(open, _)| *open == token);
        self.is_begun = true;
        self.at_appliance = Some(token);
    }

    fn reported(&mut self, report: &Report) {
        let payload = value(&report.payload);
        let Some(token) = payload["token"].as_str().map(str::to_owned) else { return };
        within_section(&value(&report.state));
        let open = self.open.as_ref().filter(|(open, _)| *open == token).map(|(_, told)| *told);
        let is_silent = self.open.is_none();
        match report.name {
            "PlayStarted" => {
                assert!(is_silent || (open.is_some() && self.is_replayed), "{token} began twice");
                self.is_replayed = false;
                self.open = Some((token, Told::Playing));
            }
            "PlayResumed" => {
                let was_stopped = is_silent && self.stopped.as_ref() == Some(&token);
                assert!(open.is_some() || was_stopped, "{token} was never there");
                self.open = Some((token, Told::Playing));
            }
            "PlayPaused" if is_silent => assert!(self.is_begun, "{token} is not there"),
            "PlayPaused" => {
                assert_eq!(open, Some(Told::Playing), "{token}");
                self.open = Some((token, Told::Paused));
            }
            "PlayStopped" | "PlayFinished" => {
                let never_began = is_silent && self.is_begun && report.name == "PlayStopped";
                assert!(open.is_some() || never_began, "{token} ended twice");
                (self.open, self.is_begun, self.stopped) = (None, false, Some(token));
            }
            "ReportPlaybackState" => {}
            _ => assert!(open.is_some(), "{} of {token}, which does not play", report.name),
        }
    }
}

fn within_section(state: &Value) {
    let Some(offset) = state["offsetInMilliseconds"].as_u64() else { return };
    let stream = &state["stream"];
    let begin = stream["beginAtInMilliseconds"].as_u64().unwrap_or(0);
    assert!(offset >= begin, "{state}");
    if let Some(length) = stream["durationInMilliseconds"].as_u64() {
        assert!(offset <= begin + length, "{state}");
    }
}
