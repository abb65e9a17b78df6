//! Random sequences of everything that can happen, against what must always hold.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    super::{Button, Reported},
    checker::Checker,
    world::{World, opaque, play},
};

const SEEDS: u64 = 500;
const STEPS: usize = 150;
const TOKENS: [&str; 4] = ["a", "b", "c", "d"];
const CONTROLS: [&str; 10] = [
    "Pause",
    "Resume",
    "Stop",
    "Next",
    "Previous",
    "Replay",
    "Mute",
    "TurnOnRepeatMode",
    "TurnOffRepeatMode",
    "ExpectPauseCommand",
];
const STATES: [Reported; 7] = [
    Reported::Started,
    Reported::Paused,
    Reported::Resumed,
    Reported::Stopped,
    Reported::Finished,
    Reported::Failed,
    Reported::QueueCleared,
];

/// Directives, streams delivered and refused, reports true and false, seeks, buttons, time with
/// timers on time and late, CIC, the appliance and the account coming and going, all in random
/// order. What holds throughout ([`Checker`]):
///
/// 1. The appliance has one Play at a time: the one before has ended or was cancelled, or it is
///    the same token, which is then never cancelled together with it. Its URL is playable.
/// 2. CIC hears PlayStarted before anything else of a playback, and exactly one of PlayFinished
///    and PlayStopped after it, before it hears of another. A Replay is a second PlayStarted, a
///    Resume after PlayStopped a PlayResumed. Of what never began there is at most a PlayStopped,
///    or a PlayPaused that answers an order.
/// 3. Progress is reported only of what CIC knows to go on.
/// 4. Offsets lie in the section; those of an event and of its context are the same.
/// 5. The queue is bounded.
/// 6. The next timeout lies ahead after every input.
/// 7. Sounding alternates. CIC is asked only while it is there.
/// 8. Without account there is nothing left.
///
/// `PLAYBACK_SEED=n` plays one sequence again and prints it; `PLAYBACK_SEEDS=n` plays that many.
#[test]
fn whatever_happens_in_whatever_order_no_promise_is_broken() {
    if let Ok(seed) = std::env::var("PLAYBACK_SEED") {
        return Sequence::new(seed.parse().unwrap(), true).run();
    }
    let seeds = std::env::var("PLAYBACK_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        Sequence::new(seed, false).run();
    }
}

struct Sequence {
    seed: u64,
    rng: StdRng,
    w: World,
    checker: Checker,
    is_connected: bool,
    items: u32,
    is_told: bool,
}

impl Drop for Sequence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to play it again: PLAYBACK_SEED={}", self.seed);
        }
    }
}

impl Sequence {
    fn new(seed: u64, is_told: bool) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let (w, checker) = (World::new(), Checker::default());
        Self { seed, rng, w, checker, is_connected: true, items: 0, is_told }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            let what = self.step();
            let seen = self.w.take_seen();
            if self.is_told {
                eprintln!("{what}: {seen:?} {}", self.w.activity());
            }
            self.checker.check(&mut self.w, self.is_connected);
        }
    }

    fn step(&mut self) -> String {
        match self.rng.random_range(0..100) {
            0..14 if self.is_connected => self.play(),
            14..16 if self.is_connected => self.flood(),
            16..22 if self.is_connected => self.deliver(),
            22..24 => self.refuse(),
            24..36 if self.is_connected => self.control(),
            36..38 if self.is_connected => self.clear(),
            38..42 => self.press(),
            42..65 => self.report_truly(),
            65..72 => self.report_anything(),
            72..93 => self.pass(),
            93..96 => {
                self.is_connected = !self.is_connected;
                self.w.connected(self.is_connected);
                format!("CIC is there: {}", self.is_connected)
            }
            96..98 => {
                self.w.playback.appliance_gone(self.w.now);
                self.w.drain();
                "the appliance is gone".into()
            }
            98..99 => self.unpair(),
            _ => self.pass(),
        }
    }

    fn token(&mut self) -> &'static str {
        TOKENS.choose(&mut self.rng).unwrap()
    }

    fn stream(&mut self, token: &str) -> Value {
        let mut stream = match self.rng.random_ratio(1, 3) {
            true => opaque(token),
            false => json!({}),
        };
        if self.rng.random() {
            stream["beginAtInMilliseconds"] = json!(self.rng.random_range(0..20) * 1000);
        }
        if self.rng.random() {
            stream["durationInMilliseconds"] = json!(self.rng.random_range(1..30) * 1000);
        }
        if self.rng.random() {
            let mut some =
                |most: u64| self.rng.random::<bool>().then(|| self.rng.random_range(0..most) * 500);
            stream["progressReport"] = json!({
                "progressReportDelayInMilliseconds": some(10),
                "progressReportIntervalInMilliseconds": some(10),
                "progressReportPositionInMilliseconds": some(60),
            });
        }
        stream
    }

    fn play(&mut self) -> String {
        let token = self.token();
        let stream = self.stream(token);
        let behavior = if self.rng.random_ratio(1, 3) { "REPLACE_ALL" } else { "ENQUEUE" };
        let mut payload = play(token, behavior, &stream);
        if self.rng.random_ratio(9, 10) {
            self.items += 1;
            payload["audioItem"]["audioItemId"] = json!(format!("id-{}", self.items));
        }
        self.w.order("AudioPlayer.Play", &payload);
        format!("Play {payload}")
    }

    /// More than there is room for.
    fn flood(&mut self) -> String {
        for _ in 0..self.rng.random_range(0..130) {
            self.items += 1;
            let mut payload = play(self.token(), "ENQUEUE", &json!({}));
            payload["audioItem"]["audioItemId"] = json!(format!("id-{}", self.items));
            self.w.order("AudioPlayer.Play", &payload);
        }
        "a flood of Plays".into()
    }

    fn deliver(&mut self) -> String {
        let asked = self.w.playback.current.as_ref().and_then(|c| c.item.id.clone());
        let id = asked.filter(|_| self.rng.random_ratio(4, 5)).unwrap_or_else(|| "id-1".into());
        let token = self.token();
        let mut stream = self.stream(token);
        stream["urlPlayable"] = json!(self.rng.random_ratio(5, 6));
        stream["url"] = json!("https://e.net/x.mp3");
        let payload = json!({"audioItemId": id, "audioStream": stream});
        self.w.order("AudioPlayer.StreamDeliver", &payload);
        format!("StreamDeliver {payload}")
    }

    fn refuse(&mut self) -> String {
        if let Some(current) = &self.w.playback.current {
            let request = current.item.request();
            self.w.playback.stream_refused(&request, self.w.now);
            self.w.drain();
        }
        "StreamRequested is refused".into()
    }

    fn control(&mut self) -> String {
        let name = CONTROLS.choose(&mut self.rng).unwrap();
        self.w.control(name);
        (*name).into()
    }

    fn clear(&mut self) -> String {
        let behavior = if self.rng.random() { "CLEAR_ALL" } else { "CLEAR_ENQUEUED" };
        self.w.order("AudioPlayer.ClearQueue", &json!({ "clearBehavior": behavior }));
        behavior.into()
    }

    fn press(&mut self) -> String {
        let pressed = self.w.press(&Button::Repeat);
        assert_eq!(pressed.is_ok(), self.is_connected);
        "a button".into()
    }

    /// What an appliance with the last Play may report, mostly where it should be.
    fn report_truly(&mut self) -> String {
        let Some(token) = self.checker.playing().map(str::to_owned) else { return self.pass() };
        let state = match self.rng.random_range(0..10) {
            0..5 => Reported::Started,
            5..7 => Reported::Resumed,
            7 => Reported::Paused,
            8 => Reported::Stopped,
            _ => Reported::Finished,
        };
        let computed = self.w.state()["offsetInMilliseconds"].as_u64().unwrap_or(0);
        let offset = match self.rng.random_ratio(3, 4) {
            true => computed + self.rng.random_range(0..300),
            false => self.rng.random_range(0..50_000),
        };
        self.report(&token, state, Some(offset))
    }

    fn report_anything(&mut self) -> String {
        let token = self.token();
        let state = *STATES.choose(&mut self.rng).unwrap();
        let offset = self.rng.random::<bool>().then(|| self.rng.random_range(0..100_000));
        self.report(token, state, offset)
    }

    fn report(&mut self, token: &str, state: Reported, offset: Option<u64>) -> String {
        if matches!(state, Reported::Stopped | Reported::Finished | Reported::Failed) {
            self.checker.ended(token);
        }
        let total = self.rng.random_ratio(1, 8).then(|| self.rng.random_range(0..90_000));
        let known = self.w.try_heard(token, state, offset, total).is_ok();
        format!("{token} {state:?} {offset:?} of {total:?}, known: {known}")
    }

    fn pass(&mut self) -> String {
        let by = match self.rng.random_range(0..10) {
            0..6 => Duration::from_millis(self.rng.random_range(0..4000)),
            6..9 => Duration::from_millis(self.rng.random_range(0..20_000)),
            _ => Duration::from_secs(self.rng.random_range(0..200)),
        };
        if self.rng.random_ratio(1, 8) {
            self.w.now = self.w.now.plus(by);
            self.w.wake();
        } else {
            self.w.pass_by(by);
        }
        format!("{by:?} pass")
    }

    fn unpair(&mut self) -> String {
        self.w.playback.unpaired();
        self.w.drain();
        self.checker.check(&mut self.w, self.is_connected);
        self.checker.forgotten();
        assert_eq!(self.w.activity(), "IDLE null");
        assert_eq!(self.w.playback.poll_timeout(), None);
        "the account is gone".into()
    }
}
