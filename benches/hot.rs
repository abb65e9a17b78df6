//! `cargo bench --bench hot`: what a message costs in the pure parts on its way, with the
//! allocations it makes. The names are those of the steps in `docs/architecture.md`.
//!
//! Only ratios between two runs on one machine say anything; `cargo run --release -- load`
//! measures the whole.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use cic_gateway::{
    appliance::{
        alerts::AlertSettings,
        core::{Core, CoreSettings, Input, Output},
        dialogue::{Dialogues, Origin},
        ledger::Kept,
        message::{Down, Up},
    },
    cic::{
        directive::{self, Directive},
        event::{self, ContextObject, Event},
        link,
        message::{Command, Notice, RequestKey, Source},
        multipart::{Boundary, Parser},
    },
    clock::{Clock, Now, SystemClock},
    ids::{ApplianceId, DialogRequestId, MessageId},
    mqtt::{native, topics},
    profile::Profile,
};
use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use serde_json::value::RawValue;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Bytes of an audio message of 100 ms.
const AUDIO: usize = 3_200;
/// Bytes that h2 hands over at once.
const FRAME: usize = 16 * 1024;

fn main() {
    divan::main();
}

mod mqtt_edge {
    use super::*;

    #[divan::bench]
    fn topic_split(bencher: Bencher) {
        bencher.bench(|| topics::split("cic/v1", black_box("cic/v1/kitchen/up/audio/u-1")));
    }

    #[divan::bench]
    fn decode_audio(bencher: Bencher) {
        let (audio, now) = (Bytes::from(vec![0; AUDIO]), Instant::now());
        bencher.bench(|| native::decode(black_box("up/audio/u-1"), audio.clone(), false, now));
    }

    #[divan::bench]
    fn decode_state(bencher: Bencher) {
        let state = Bytes::from_static(
            br#"{"Speaker.VolumeState":{"volume":25,"muted":false},"Device.Display":{"size":"s100"}}"#,
        );
        let now = Instant::now();
        bencher.bench(|| native::decode(black_box("up/state"), state.clone(), true, now));
    }

    #[divan::bench]
    fn encode_directive(bencher: Bencher) {
        let appliance = ApplianceId::parse("kitchen").expect("an id");
        let down = Down::Directive { directive: speak(), attachments: Vec::new() };
        bencher.with_inputs(Vec::new).bench_refs(|out| {
            native::encode("cic/v1", &appliance, black_box(&down), out);
        });
    }
}

mod cic_edge {
    use super::*;

    #[divan::bench]
    fn multipart_encode(bencher: Bencher) {
        let metadata = vec![b' '; 2_000];
        bencher.bench(|| {
            let boundary = Boundary::random();
            (boundary.metadata(black_box(&metadata)), boundary.audio_head(), boundary.closing())
        });
    }

    /// A directive and 64 KiB of speech, in pieces as they come from h2.
    #[divan::bench(args = [1, 1_000, FRAME])]
    fn multipart_parse(bencher: Bencher, piece: usize) {
        let body = answer();
        bencher.counter(BytesCount::new(body.len())).bench(|| {
            let mut parser = Parser::new("b");
            let mut parts = 0;
            for start in (0..body.len()).step_by(piece) {
                parser.feed(body.slice(start..body.len().min(start + piece)));
                while let Ok(Some(event)) = parser.next_event() {
                    black_box(event);
                    parts += 1;
                }
            }
            parts
        });
    }

    #[divan::bench]
    fn directive_decode(bencher: Bencher) {
        bencher.bench(|| directive::decode(black_box(SPEAK)));
    }

    #[divan::bench]
    fn event_encode(bencher: Bencher) {
        let payload = raw(r#"{"volume":25,"muted":false,"padding":"0123456789012345678901234"}"#);
        let context =
            ContextObject { namespace: "Speaker", name: "VolumeState", payload: &payload };
        let contexts: [_; 12] = std::array::from_fn(|_| context.clone());
        let (message_id, body) = (MessageId::from("m-1"), raw("{}"));
        let event = Event {
            namespace: "SpeechRecognizer",
            name: "Recognize",
            message_id: &message_id,
            dialog_request_id: None,
            payload: &body,
        };
        bencher.bench(|| event::encode(black_box(&contexts), &event));
    }
}

mod core {
    use super::*;

    #[divan::bench]
    fn dialogue_judge(bencher: Bencher) {
        let mut dialogues = Dialogues::default();
        dialogues.begin(RequestKey(1), DialogRequestId::from("d-1"));
        dialogues.sent(RequestKey(1));
        let speak = speak();
        bencher.bench(|| dialogues.judge(black_box(&speak), Origin::Downchannel));
    }

    /// One message of 100 ms through the whole core: every other one becomes a slice of 200 ms.
    #[divan::bench]
    fn relay_audio(bencher: Bencher) {
        let audio = Bytes::from(vec![0; AUDIO]);
        let (mut core, mut said) = (speaking(), 0);
        bencher.bench_local(|| {
            // An utterance ends at a minute.
            if said == 590 {
                (core, said) = (speaking(), 0);
            }
            said += 1;
            let now = SystemClock.now();
            let data = audio.clone();
            let up = Up::Audio { utterance: "u-1".into(), data, received: now.mono };
            core.handle(Input::Up(up), now);
            while let Some(output) = core.poll_output() {
                black_box(output);
            }
            black_box(core.poll_timeout());
        });
    }

    /// A directive that concerns no dialogue, to the message that is published.
    #[divan::bench]
    fn relay_directive(bencher: Bencher) {
        let mut core = connected();
        let suggestion = directive::decode(SUGGESTION).expect("a directive");
        bencher.bench_local(|| {
            let directive = suggestion.clone();
            let notice = Notice::Directive { source: Source::Downchannel, directive };
            core.handle(Input::Session(1, notice), SystemClock.now());
            let mut published = 0;
            while let Some(output) = core.poll_output() {
                published += usize::from(matches!(output, Output::Down(_)));
            }
            assert_eq!(published, 1);
        });
    }
}

const SPEAK: &[u8] = br#"{"directive":{"header":{"namespace":"SpeechSynthesizer","name":"Speak","messageId":"m-1","dialogRequestId":"d-1"},"payload":{"source":{"type":"PLAIN","value":"It is nine o'clock."},"format":"AUDIO_MPEG","token":"t-1","url":"cid:speech-1"}}}"#;
const SUGGESTION: &[u8] = br#"{"directive":{"header":{"namespace":"Clova","name":"RenderSuggestion","messageId":"m-1"},"payload":{"suggestion":["How is the weather?"]}}}"#;

fn speak() -> Directive {
    directive::decode(SPEAK).expect("a directive")
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

fn answer() -> Bytes {
    let mut body = b"--b\r\nContent-Type: application/json\r\n\r\n".to_vec();
    body.extend_from_slice(SPEAK);
    body.extend_from_slice(
        b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-ID: speech-1\r\n\r\n",
    );
    // Never begins a delimiter, often looks as if: the slow case.
    body.extend(b"\r\n-x".iter().cycle().take(64 * 1024));
    body.extend_from_slice(b"\r\n--b--\r\n");
    body.into()
}

/// A core that is online and has a session.
fn connected() -> Core {
    let now = SystemClock.now();
    let mut core = Core::new(settings(), Kept::default(), now);
    let expires_at = now.wall.checked_add(Duration::from_secs(864_000)).expect("a time");
    feed(&mut core, Input::Tokens { issued_at: now.wall, expires_at }, now);
    let state = native::decode("up/state", Bytes::from_static(b"{}"), true, now.mono);
    feed(&mut core, Input::Up(Up::Status { online: true, retained: false }), now);
    feed(&mut core, Input::Up(state.expect("a state")), now);
    feed(&mut core, Input::Session(1, Notice::ChannelOpen), now);
    let hello = br#"{"directive":{"header":{"namespace":"Clova","name":"Hello","messageId":"m-0"},"payload":{}}}"#;
    let hello = directive::decode(hello).expect("a directive");
    let notice = Notice::Directive { source: Source::Downchannel, directive: hello };
    feed(&mut core, Input::Session(1, notice), now);
    core
}

/// A connected core in the midst of an utterance.
fn speaking() -> Core {
    let (mut core, now) = (connected(), SystemClock.now());
    let recognize = Bytes::from_static(br#"{"utterance":"u-1"}"#);
    let recognize = native::decode("up/recognize", recognize, false, now.mono);
    core.handle(Input::Up(recognize.expect("an utterance")), now);
    let outputs: Vec<_> = std::iter::from_fn(|| core.poll_output()).collect();
    let asks = |output: &Output| matches!(output, Output::Session(Command::OpenUpload { .. }));
    assert!(outputs.iter().any(asks), "no upload begins: {outputs:?}");
    core
}

fn feed(core: &mut Core, input: Input, now: Now) {
    core.handle(input, now);
    while core.poll_output().is_some() {}
}

fn settings() -> CoreSettings {
    CoreSettings {
        device_id: "device-1".into(),
        lang: "en".into(),
        max_utterance: Duration::from_secs(60),
        linger: Duration::from_secs(60),
        result_timeout: Duration::from_secs(4),
        profile: Arc::new(Profile::parse("bench.toml", "models = [\"bench\"]").expect("a profile")),
        alerts: AlertSettings {
            forget_offline: false,
            past_due_window: Duration::from_secs(1800),
            ring_timeout: Duration::from_secs(3600),
        },
        link: link::Policy::default(),
        seed: 1,
    }
}
