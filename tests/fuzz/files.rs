//! What operators and developers write: files and variables.

use cic_gateway::{
    config,
    profile::Profile,
    sim::appliance::{mp3, read_wav},
};

pub fn wav(input: &[u8]) {
    if let Ok(pcm) = read_wav(input) {
        assert!(pcm.len() <= input.len() && pcm.len().is_multiple_of(2));
    }
}

pub fn mp3(input: &[u8]) {
    // An hour a kilobyte is no MP3 file.
    if let Some(long) = mp3::duration(input) {
        assert!(long.as_secs() <= 3600 * (input.len() as u64 + 1), "{long:?}");
    }
}

pub fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    check(config::read(Some(("fuzz.toml", &text)), []));
}

/// `NAME=value` lines.
pub fn environment(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    check(config::read(None, pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))));
}

fn check(result: Result<config::Config, config::ConfigErrors>) {
    match result {
        Ok(config) => {
            config.cic.user_agent.parse::<http::HeaderValue>().expect("a header");
            config.cic.base_uri.parse::<http::Uri>().expect("a URI");
        }
        Err(config::ConfigErrors(mistakes)) => {
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(|mistake| !mistake.problem.is_empty()));
        }
    }
}

pub fn profile(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(error) = Profile::parse("fuzz.toml", &text) {
        assert!(!error.0.is_empty());
        assert!(error.0.iter().all(|mistake| !mistake.to_string().is_empty()));
    }
}
