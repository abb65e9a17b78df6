//! Whatever comes from outside breaks nothing: every input that others choose is read by a target
//! here, and what comes of it must keep its promises.
//!
//! | target | reads | promises |
//! |---|---|---|
//! | `multipart` | a body of CIC, in pieces | the pieces make no difference; nothing is made up; little is held back |
//! | `content_type` | its boundary | no panic, bounded |
//! | `directive` | a directive, then handed to a connected appliance | what is published is JSON on a valid topic; it comes to an end |
//! | `mqtt` | topic and payload of an appliance | the same |
//! | `state` | `up/state`, then a request | the context of the request is CIC's form |
//! | `wav`, `mp3` | recordings, answers | no more comes out than went in |
//! | `configuration`, `environment`, `profile` | files and variables | each mistake has a text; what is accepted can be used |
//! | `user_agent` | the header, as the simulated CIC does | what is accepted can be sent |
//!
//! `cargo test --test fuzz` replays the corpus (the guide's examples, our own files) and a few
//! thousand mutations of it. `FUZZ_SECONDS=300` mutates each for so long, from another seed each
//! time (`FUZZ_SEED=n` repeats one), and counts executions. With `cargo install cargo-bolero`,
//! `cargo bolero test --engine libfuzzer --sanitizer NONE --test fuzz multipart` is guided by
//! coverage. An input that breaks something is printed, and belongs into `corpus.rs`.

#![allow(clippy::unwrap_used)] // a test

mod corpus;
mod files;
mod home;
mod mutate;
mod wire;

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::SmallRng};

/// Mutations of an ordinary run.
const FEW: u64 = 1500;

/// Shows what broke it.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs a target on its corpus and on mutations of it.
fn fuzz(name: &str, corpus: Vec<Vec<u8>>, target: fn(&[u8])) {
    assert!(!corpus.is_empty());
    let run = |input: &[u8]| {
        let _shown = Shown(input);
        target(input);
    };
    corpus.iter().for_each(|input| run(input));
    let seconds = number("FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("FUZZ_SEED").or(seconds.map(|_| rand::random())).unwrap_or(1);
    let (mut rng, start, mut done) = (SmallRng::seed_from_u64(seed), Instant::now(), 0_u64);
    while seconds.map_or(done < FEW, |long| start.elapsed() < long) {
        run(&mutate::one(&corpus, &mut rng));
        done += 1;
    }
    println!("{name}: {done} executions from seed {seed}");
}

/// One test a target. Under an engine of bolero the engine decides what is run.
macro_rules! targets {
    ($($name:ident: $corpus:expr, $target:path;)*) => {$(
        #[test]
        fn $name() {
            static CORPUS: OnceLock<()> = OnceLock::new();
            CORPUS.get_or_init(|| fuzz(stringify!($name), $corpus, $target));
            bolero::check!().with_iterations(200).for_each($target);
        }
    )*};
}

targets! {
    multipart: corpus::multipart(), wire::multipart;
    content_type: corpus::content_types(), wire::content_type;
    directive: corpus::directives(), home::directive;
    mqtt: corpus::mqtt(), home::mqtt;
    state: corpus::states(), home::state;
    wav: corpus::recordings(), files::wav;
    mp3: corpus::answers(), files::mp3;
    configuration: corpus::configurations(), files::configuration;
    environment: corpus::environments(), files::environment;
    profile: corpus::profiles(), files::profile;
    user_agent: corpus::user_agents(), wire::user_agent;
}
