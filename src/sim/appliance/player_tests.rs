use serde_json::json;

use super::*;
use crate::sim::appliance::shelf::MAX_HELD;

/// What happens, and when (milliseconds).
enum Do {
    /// Token, dialogue, attachment.
    Speak(&'static str, &'static str, &'static str),
    /// Attachment and its MP3 frames, of 36 ms each; 0 ends it.
    Audio(&'static str, usize),
    Bytes(&'static str, &'static [u8]),
    CutOff(&'static str),
    CancelDialogue(&'static str),
    CancelToken(&'static str),
    Directive(Value),
}
use Do::*;

type Script = Vec<(u64, Do)>;

fn frames(count: usize) -> Vec<u8> {
    let mut frame = [0; 108];
    frame[..4].copy_from_slice(&[0xff, 0xf3, 0x38, 0xc4]);
    frame.repeat(count)
}

fn speak(token: &str, dialogue: &str, content_id: &str) -> Value {
    json!({
        "namespace": "SpeechSynthesizer", "name": "Speak", "dialogRequestId": dialogue,
        "payload": {"token": token, "url": format!("cid:{content_id}")},
        "attachments": [{"contentId": content_id, "contentType": "application/octet-stream"}],
    })
}

fn describe(output: Output) -> Option<String> {
    Some(match output {
        Output::Report { token, state } => format!("{token} {state}"),
        Output::BeganUrl { token, url } => format!("{token} is {url}"),
        Output::CutOff { token, bytes, why } => format!("{token} cut off after {bytes}: {why}"),
        Output::Dropped(what) => format!("dropped {what}"),
        Output::Began { .. } | Output::Played { .. } => return None,
    })
}

fn apply(player: &mut Player, what: &Do, now: Instant) {
    match what {
        Speak(token, dialogue, id) => player.directive(&speak(token, dialogue, id), now),
        Audio(id, count) => player.audio(id, &frames(*count), now),
        Bytes(id, bytes) => player.audio(id, bytes, now),
        CutOff(id) => player.cut_off(id),
        CancelDialogue(id) => player.cancel(Some(id), &[], now),
        CancelToken(token) => player.cancel(None, &[token], now),
        Directive(value) => player.directive(value, now),
    }
}

/// Plays a script to its end; what was reported, each with its time.
fn play(script: &[(u64, Do)]) -> Vec<String> {
    let start = Instant::now();
    let mut player = Player::new(Duration::from_millis(500));
    let mut told = Vec::new();
    let mut steps = script.iter().peekable();
    loop {
        let planned = steps.peek().map(|(at, _)| start + Duration::from_millis(*at));
        let timeout = player.poll_timeout();
        let now = match (planned, timeout) {
            (Some(planned), Some(timeout)) => planned.min(timeout),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => break,
        };
        match steps.next_if(|_| planned == Some(now)) {
            Some((_, what)) => apply(&mut player, what, now),
            None => player.handle_timeout(now),
        }
        let at = (now - start).as_millis();
        while let Some(output) = player.poll_output() {
            told.extend(describe(output).map(|text| format!("{at} {text}")));
        }
    }
    assert_eq!(player.held(), 0, "nothing is kept");
    told
}

#[test]
fn speaks_are_played_in_order_whatever_the_order_of_their_audio() {
    let rows: [(&str, Script); 4] = [
        (
            "each after its directive",
            vec![
                (0, Speak("t1", "d", "a")),
                (0, Audio("a", 5)),
                (0, Audio("a", 0)),
                (0, Speak("t2", "d", "b")),
                (0, Audio("b", 5)),
                (0, Audio("b", 0)),
            ],
        ),
        (
            "each before its directive",
            vec![
                (0, Audio("a", 5)),
                (0, Audio("a", 0)),
                (0, Speak("t1", "d", "a")),
                (0, Audio("b", 5)),
                (0, Audio("b", 0)),
                (0, Speak("t2", "d", "b")),
            ],
        ),
        (
            "the second one's first",
            vec![
                (0, Audio("b", 5)),
                (0, Audio("b", 0)),
                (0, Audio("a", 5)),
                (0, Speak("t1", "d", "a")),
                (0, Speak("t2", "d", "b")),
                (0, Audio("a", 0)),
            ],
        ),
        (
            "the second one's while the first plays",
            vec![
                (0, Speak("t1", "d", "a")),
                (0, Speak("t2", "d", "b")),
                (0, Audio("a", 2)),
                (50, Audio("a", 3)),
                (60, Audio("a", 0)),
                (70, Audio("b", 5)),
                (90, Audio("b", 0)),
            ],
        ),
    ];
    for (what, script) in rows {
        let want = ["0 t1 started", "180 t1 finished", "180 t2 started", "360 t2 finished"];
        assert_eq!(play(&script), want, "{what}");
    }
}

#[test]
fn playing_waits_for_audio_and_ends_no_earlier_than_it_came() {
    let script = [
        (0, Speak("t1", "d", "a")),
        (100, Audio("a", 1)),
        (900, Audio("a", 1)),
        (1000, Audio("a", 0)),
    ];
    assert_eq!(play(&script), ["100 t1 started", "1000 t1 finished"]);
}

#[test]
fn a_cancel_by_dialogue_stops_what_plays_and_what_waits_of_it() {
    let script = [
        (0, Speak("t1", "old", "a")),
        (0, Audio("a", 100)),
        (0, Speak("t2", "old", "b")),
        (0, Audio("b", 100)),
        (10, Speak("t3", "new", "c")),
        (10, Audio("c", 1)),
        (10, Audio("c", 0)),
        (20, CancelDialogue("old")),
        (30, Audio("a", 100)),
        (30, Audio("a", 0)),
        (30, Audio("b", 0)),
        (40, CancelDialogue("unknown")),
    ];
    let want = ["0 t1 started", "20 t1 stopped", "20 t3 started", "56 t3 finished"];
    assert_eq!(play(&script), want);
}

#[test]
fn a_cancel_by_token_leaves_the_rest_of_the_dialogue() {
    let script = [
        (0, Speak("t1", "d", "a")),
        (0, Audio("a", 5)),
        (0, Audio("a", 0)),
        (0, Speak("t2", "d", "b")),
        (0, Speak("t3", "d", "c")),
        (0, Audio("c", 1)),
        (0, Audio("c", 0)),
        (10, CancelToken("t2")),
        (20, Audio("b", 9)),
        (20, Audio("b", 0)),
    ];
    let want = ["0 t1 started", "180 t1 finished", "180 t3 started", "216 t3 finished"];
    assert_eq!(play(&script), want);
    let playing = [
        (0, Speak("t1", "d", "a")),
        (0, Audio("a", 5)),
        (10, CancelToken("t1")),
        (20, Audio("a", 0)),
    ];
    assert_eq!(play(&playing), ["0 t1 started", "10 t1 stopped"]);
}

#[test]
fn a_cancel_without_dialogue_and_tokens_touches_nothing() {
    let now = Instant::now();
    let mut player = Player::new(Duration::ZERO);
    player.directive(
        &json!({"namespace": "SpeechSynthesizer", "name": "Speak",
        "payload": {"token": "t1", "url": "cid:a"}}),
        now,
    );
    player.audio("a", &frames(5), now);
    player.cancel(None, &[], now);
    player.audio("a", b"", now);
    assert_eq!(player.poll_timeout(), Some(now + Duration::from_millis(180)));
}

#[test]
fn audio_that_is_cut_off_is_stopped_and_not_played() {
    let rows: [(&str, Script, &[&str]); 4] = [
        (
            "in the middle",
            vec![
                (0, Speak("t1", "d", "a")),
                (0, Audio("a", 5)),
                (9, CutOff("a")),
                (9, Audio("a", 0)),
            ],
            &[
                "0 t1 started",
                "180 t1 stopped",
                "180 t1 cut off after 540: CIC did not send all of it",
            ],
        ),
        (
            "told after its end",
            vec![
                (0, Speak("t1", "d", "a")),
                (0, Audio("a", 5)),
                (9, Audio("a", 0)),
                (10, CutOff("a")),
            ],
            &[
                "0 t1 started",
                "180 t1 stopped",
                "180 t1 cut off after 540: CIC did not send all of it",
            ],
        ),
        (
            "before its first byte, and the next one plays",
            vec![
                (0, Speak("t1", "d", "a")),
                (0, CutOff("a")),
                (0, Audio("a", 0)),
                (0, Speak("t2", "d", "b")),
                (0, Audio("b", 1)),
                (0, Audio("b", 0)),
            ],
            &[
                "0 t1 stopped",
                "0 t1 cut off after 0: CIC did not send all of it",
                "0 t2 started",
                "36 t2 finished",
            ],
        ),
        (
            "no MP3 at all",
            vec![(0, Speak("t1", "d", "a")), (0, Bytes("a", b"<html>")), (5, Audio("a", 0))],
            &["0 t1 started", "5 t1 stopped", "5 t1 cut off after 6: it is no MP3"],
        ),
    ];
    for (what, script, want) in rows {
        assert_eq!(play(&script), want, "{what}");
    }
}

#[test]
fn a_url_is_not_downloaded_and_counts_as_played_after_the_time_set_for_it() {
    let url = json!({"namespace": "SpeechSynthesizer", "name": "Speak", "attachments": [],
        "payload": {"token": "t1", "url": "https://x/y.mp3", "x-clova-pause-before": 200}});
    let want = ["200 t1 started", "200 t1 is https://x/y.mp3", "700 t1 finished"];
    assert_eq!(play(&[(0, Directive(url))]), want);
}

#[test]
fn attachments_that_belong_to_no_speak_are_not_kept() {
    let beep = json!({"namespace": "Notifier", "name": "Notify", "payload": {},
        "attachments": [{"contentId": "beep"}]});
    let script = [
        (0, Audio("beep", 5)),
        (0, Directive(beep)),
        (10, Audio("beep", 5)),
        (20, Audio("beep", 0)),
    ];
    assert!(play(&script).is_empty());
}

#[test]
fn nothing_grows_without_bound() {
    let now = Instant::now();
    let mut player = Player::new(Duration::ZERO);
    let piece = vec![0; 1024 * 1024];
    for number in 0..2 * MAX_WAITING {
        player.directive(&speak(&format!("t{number}"), "d", &format!("c{number}")), now);
        player.audio(&format!("c{number}"), &piece, now);
        player.audio(&format!("nobody{number}"), &piece, now);
    }
    assert!(player.held() <= MAX_HELD);
    let mut outputs = Vec::new();
    while let Some(output) = player.poll_output() {
        outputs.extend(describe(output));
    }
    // One of them plays, as many as may wait do, the rest is refused.
    let refused = outputs.iter().filter(|text| text.ends_with("Speaks wait already")).count();
    let stopped = outputs.iter().filter(|text| text.ends_with("stopped")).count();
    assert_eq!((refused, stopped), (MAX_WAITING - 1, MAX_WAITING - 1));
    assert!(outputs.iter().any(|text| text.contains("no directive named")));
    player.cancel(Some("d"), &[], now);
    (0..2 * MAX_WAITING).for_each(|number| player.audio(&format!("nobody{number}"), b"", now));
    assert!(player.held() <= MAX_HELD);
}
