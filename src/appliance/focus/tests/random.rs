//! Random sequences of everything that can happen, against what must always hold.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{
    super::{Attention, Channel, Place, notifications::NOTIFICATION_TIME},
    world::{World, shown},
};

const SEEDS: u64 = 400;
const STEPS: usize = 150;

/// What holds throughout:
///
/// 1. While nobody is listened to and there is no request, exactly one channel is in front if
///    anything sounds, and it is the one that began last of those that still sound.
/// 2. Never is more than one channel in front, and while the user is heard none is.
/// 3. A channel sounds as long as one of its sounds does; of Speaks, streams and notifications
///    there is one at most.
/// 4. The user is cancelled only while being heard, and not for a notification.
/// 5. Once everything has ended, everything is silent.
#[test]
fn whatever_sounds_in_whatever_order_one_is_in_front_and_all_ends_in_silence() {
    for seed in 0..SEEDS {
        Sequence::new(seed).run();
    }
}

struct Sequence {
    seed: u64,
    rng: StdRng,
    w: World,
    /// What sounds, the newest last; a model of its own.
    model: Vec<(Channel, String)>,
    attention: Attention,
    next: u32,
}

impl Sequence {
    fn new(seed: u64) -> Self {
        let (rng, w) = (StdRng::seed_from_u64(seed), World::new());
        Self { seed, rng, w, model: Vec::new(), attention: Attention::Idle, next: 0 }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            self.step();
            self.check();
        }
        self.w.attend(Attention::Idle);
        for (channel, token) in std::mem::take(&mut self.model) {
            self.w.end(channel, &token);
        }
        self.w.pass(100 * NOTIFICATION_TIME);
        self.w.seen();
        assert_eq!(shown(&self.w.focus.places()), "", "seed {}", self.seed);
        assert!(self.w.focus.sounds().is_empty() && self.w.focus.poll_timeout().is_none());
    }

    fn step(&mut self) {
        match self.rng.random_range(0..10) {
            0..4 => self.start(),
            4..7 => self.end(),
            7 => self.attend(),
            8 => self.w.notify("n"),
            _ => {
                let by = self.rng.random_range(0..20_000);
                self.w.pass(Duration::from_millis(by));
            }
        }
    }

    fn start(&mut self) {
        let channels = [Channel::Alert, Channel::Dialogue, Channel::Content];
        let channel = *channels.choose(&mut self.rng).unwrap();
        self.next += 1;
        let token = self.next.to_string();
        self.w.start(channel, &token);
        if channel != Channel::Alert {
            self.model.retain(|(sounding, _)| *sounding != channel);
        }
        self.model.push((channel, token));
        let cancels = self.w.seen().contains(&"cancel capture".to_owned());
        assert_eq!(cancels, self.attention == Attention::Listening, "seed {}", self.seed);
        if cancels {
            self.attention = Attention::Idle;
            self.w.attend(Attention::Idle);
        }
    }

    fn end(&mut self) {
        if !self.model.is_empty() {
            let at = self.rng.random_range(0..self.model.len());
            let (channel, token) = self.model.remove(at);
            self.w.end(channel, &token);
        }
    }

    fn attend(&mut self) {
        let all = [
            Attention::Idle,
            Attention::Idle,
            Attention::Listening,
            Attention::Processing,
            Attention::Speaking,
        ];
        self.attention = *all.choose(&mut self.rng).unwrap();
        self.w.attend(self.attention);
    }

    /// The notification in the machine, as the model knows only the other sounds.
    fn newest(&self) -> Option<Channel> {
        self.w.focus.sounds().last().map(|sound| sound.channel)
    }

    fn check(&mut self) {
        let seed = self.seed;
        let cancelled = self.w.seen().contains(&"cancel capture".to_owned());
        assert!(!cancelled, "seed {seed}: only a sound that begins cancels");
        let places = self.w.focus.places();
        let front: Vec<_> = places.iter().filter(|(_, p)| *p == Place::Foreground).collect();
        assert!(front.len() <= 1, "seed {seed}: {}", shown(&places));
        match self.attention {
            Attention::Idle => {
                assert_eq!(
                    front.first().map(|(channel, _)| *channel),
                    self.newest(),
                    "seed {seed}"
                );
            }
            Attention::Listening => assert!(front.is_empty(), "seed {seed}"),
            Attention::Processing | Attention::Speaking => {}
        }
        self.check_model();
    }

    fn check_model(&self) {
        let sounds = self.w.focus.sounds();
        let others = sounds.iter().filter(|sound| sound.channel != Channel::Notification);
        let others: Vec<_> = others.map(|s| (s.channel, s.token.to_string())).collect();
        assert_eq!(others, self.model, "seed {}", self.seed);
        assert!(sounds.len() - others.len() <= 1, "one notification at a time");
        for (channel, place) in self.w.focus.places().iter() {
            let sounding = sounds.iter().any(|sound| sound.channel == channel);
            assert_eq!(place != Place::None, sounding, "seed {}", self.seed);
        }
    }
}
