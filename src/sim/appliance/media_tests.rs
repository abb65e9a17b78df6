use serde_json::json;

use super::*;

/// What happens.
enum Do {
    /// Token, begin and length in milliseconds.
    Play(&'static str, u64, Option<u64>),
    Pause,
    Resume,
    Stop,
    Cancel(&'static str),
    Forget(&'static str),
    Duck(bool),
}
use Do::*;

/// A name, what happens when, and what comes of it.
type Row = (&'static str, Vec<(u64, Do)>, &'static [&'static str]);

fn apply(media: &mut Media, what: &Do, now: Instant) {
    match what {
        Play(token, begin, length) => {
            let stream = json!({
                "token": token, "url": format!("https://music.example/{token}.mp3"),
                "beginAtInMilliseconds": begin, "durationInMilliseconds": length,
            });
            media.play(&json!({"audioItem": {"stream": stream}}), now);
        }
        Pause => media.pause(now),
        Resume => media.resume(now),
        Stop => media.stop(now),
        Cancel(token) => media.cancel(token, now),
        Forget(token) => media.forget(token),
        Duck(ducked) => media.duck(*ducked),
    }
}

/// Plays a script to its end; what came out, each with its time in milliseconds.
fn play(speed: f64, script: &[(u64, Do)]) -> Vec<String> {
    let start = Instant::now();
    let mut media = Media::new(Pace { speed, length: Duration::from_secs(60) });
    let (mut told, mut steps) = (Vec::new(), script.iter().peekable());
    loop {
        let planned = steps.peek().map(|(at, _)| start + Duration::from_millis(*at));
        let now = match (planned, media.poll_timeout()) {
            (Some(planned), Some(timeout)) => planned.min(timeout),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return told,
        };
        match steps.next_if(|_| planned == Some(now)) {
            Some((_, what)) => apply(&mut media, what, now),
            None => media.handle_timeout(now),
        }
        let at = (now - start).as_millis();
        while let Some(output) = media.poll_output() {
            told.extend(describe(output).map(|text| format!("{at} {text}")));
        }
    }
}

fn describe(output: Output) -> Option<String> {
    Some(match output {
        Output::Began { .. } => return None,
        Output::Report { token, state, offset, total } => {
            format!("{token} {state} {}/{}", offset.as_millis(), total.as_millis())
        }
        Output::Ducked { token, ducked } => {
            format!("{token} {}", if ducked { "quiet" } else { "loud" })
        }
    })
}

#[test]
fn streams_live_as_long_as_they_are_and_as_they_are_told() {
    let second = Some(1000);
    let rows: [Row; 9] = [
        (
            "to its end",
            vec![(0, Play("a", 0, second))],
            &["0 a started 0/1000", "1000 a finished 1000/1000"],
        ),
        (
            "of unknown length, from the middle",
            vec![(0, Play("a", 5000, None)), (500, Stop)],
            &["0 a started 5000/65000", "500 a stopped 5500/65000"],
        ),
        (
            "paused time does not count",
            vec![
                (0, Play("a", 0, second)),
                (400, Pause),
                (450, Pause),
                (900, Resume),
                (950, Resume),
            ],
            &[
                "0 a started 0/1000",
                "400 a paused 400/1000",
                "900 a resumed 400/1000",
                "1500 a finished 1000/1000",
            ],
        ),
        (
            "stopped while paused, and then there is nothing to be resumed",
            vec![(0, Play("a", 0, second)), (1, Pause), (2, Stop), (3, Resume), (4, Pause)],
            &["0 a started 0/1000", "1 a paused 1/1000", "2 a stopped 1/1000"],
        ),
        (
            "another one takes its place",
            vec![(0, Play("a", 0, second)), (10, Play("b", 0, second))],
            &[
                "0 a started 0/1000",
                "10 a stopped 10/1000",
                "10 b started 0/1000",
                "1010 b finished 1000/1000",
            ],
        ),
        (
            "the same one begins anew",
            vec![(0, Play("a", 0, second)), (10, Play("a", 0, second))],
            &["0 a started 0/1000", "10 a started 0/1000", "1010 a finished 1000/1000"],
        ),
        (
            "only its own token cancels it",
            vec![
                (0, Play("a", 0, second)),
                (10, Cancel("b")),
                (20, Cancel("a")),
                (30, Cancel("a")),
            ],
            &["0 a started 0/1000", "20 a stopped 20/1000"],
        ),
        (
            "forgotten without a word",
            vec![(0, Play("a", 0, second)), (5, Forget("a"))],
            &["0 a started 0/1000"],
        ),
        (
            "quiet in the background, while it plays",
            vec![
                (0, Duck(true)),
                (0, Play("a", 0, second)),
                (10, Duck(true)),
                (20, Duck(false)),
                (30, Pause),
                (40, Duck(true)),
                (50, Resume),
                (60, Stop),
            ],
            &[
                "0 a started 0/1000",
                "0 a quiet",
                "20 a loud",
                "30 a paused 30/1000",
                "50 a resumed 30/1000",
                "50 a quiet",
                "60 a stopped 40/1000",
            ],
        ),
    ];
    for (name, script, want) in rows {
        assert_eq!(play(1.0, &script), want, "{name}");
    }
}

#[test]
fn time_can_be_accelerated() {
    let script = [(0, Play("a", 0, Some(10_000))), (100, Pause), (200, Resume)];
    let want = [
        "0 a started 0/10000",
        "100 a paused 1000/10000",
        "200 a resumed 1000/10000",
        "1100 a finished 10000/10000",
    ];
    assert_eq!(play(10.0, &script), want);
}

#[test]
fn a_stream_without_a_token_is_known_by_its_item() {
    let mut media = Media::new(Pace { speed: 1.0, length: Duration::from_secs(60) });
    let item = json!({"audioItemId": "i", "stream": {"url": "https://music.example/i.mp3"}});
    media.play(&json!({"audioItem": item}), Instant::now());
    let want = Output::Began {
        token: "i".into(),
        url: "https://music.example/i.mp3".into(),
        title: "something without a title".into(),
    };
    assert_eq!(media.poll_output(), Some(want));
}
