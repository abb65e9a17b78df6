//! What networks and servers do to a CIC session, over real TLS: each fault ends what it must end,
//! by its name, and nothing else.

#![allow(clippy::unwrap_used)]

#[path = "support/session.rs"]
mod support;

use std::time::Duration;

use cic_gateway::{
    cic::message::{CloseReason, Command, Notice, Outcome, RequestKey},
    sim::cic::{Fault, Place, SimSettings},
};
use serde_json::json;
use support::*;

#[tokio::test]
async fn a_connection_that_falls_silent_ends_with_ping_timeout() {
    with_bench(async |mut bench| {
        bench.settings.ping_interval = Duration::from_millis(20);
        bench.settings.ping_timeout = SHORT;
        let mut session = bench.connected().await;
        until(&mut session, |notice| matches!(notice, Notice::Pong(_))).await;
        bench.cic.inject([Fault::BlackHole]);
        send(&session, &report());
        let (_, outcome) = finished(&mut session, KEY).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
        assert_eq!(closed(&mut session).await, CloseReason::PingTimeout);
    })
    .await;
}

#[tokio::test]
async fn a_host_that_accepts_and_says_nothing_is_no_connection() {
    with_bench(async |mut bench| {
        bench.settings.connect_timeout = SHORT;
        bench.cic.inject([Fault::BlackHole.on(Place::Connection)]);
        assert!(matches!(closed(&mut bench.session()).await, CloseReason::Connect(_)));
        bench.settings.connect_timeout = LIMIT;
        bench.cic.inject([Fault::TcpReset.on(Place::Connection)]);
        assert!(matches!(closed(&mut bench.session()).await, CloseReason::Connect(_)));
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_cic_does_not_take_overflows_and_nothing_else_ends() {
    with_bench(async |mut bench| {
        bench.settings.ping_interval = Duration::from_millis(20);
        bench.cic.inject([Fault::SlowReader { window: 1024, pause: NEVER }]);
        let mut session = bench.connected().await;
        speak(&session);
        audio(&session, 1);
        // A PING that is sent after the beginning is answered after it has been read.
        for _ in 0..3 {
            until(&mut session, |notice| matches!(notice, Notice::Pong(_))).await;
        }
        audio(&session, 10);
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Overflow);
        assert!(!notices.iter().any(|notice| matches!(notice, Notice::Sent { .. })));
        let seen = bench.cic.wait_for(|seen| !seen.complete, LIMIT).await.unwrap();
        assert!(seen.audio.len() < 1024, "reset, not sent to its end");
        works_slowly(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_on_which_no_request_goes_through_is_given_up_although_pings_are_answered() {
    with_bench(async |mut bench| {
        bench.settings.response_timeout = SHORT;
        let never = Fault::LateAnswer(NEVER).on(Place::Event).every(1);
        for fault in [Fault::OneStream.into(), never] {
            bench.cic.inject([fault]);
            let mut session = bench.connected().await;
            let reason = loop {
                // It may have been given up between two requests.
                // CIC answers it with nothing on the downchannel, which would be a sign of life.
                let settings = event("Settings.Report", None, json!({"configuration": {}}));
                let metadata = settings.to_string().into();
                let _ = session.commands.send(Command::Event { key: KEY, metadata });
                let over = |n: &Notice| matches!(n, Notice::Finished { .. } | Notice::Closed(_));
                match until(&mut session, over).await.pop() {
                    Some(Notice::Closed(reason)) => break reason,
                    other => assert!(
                        matches!(
                            &other,
                            Some(Notice::Finished { outcome: Outcome::Broken(_), .. })
                        ),
                        "{other:?}"
                    ),
                }
            };
            assert_eq!(reason, CloseReason::Stalled);
        }
    })
    .await;
}

/// The connection is alive although nothing can be uploaded: PINGs are answered, and it closes as
/// asked.
async fn works_slowly(session: &mut Session) {
    session.commands.send(Command::Close).unwrap();
    assert_eq!(closed(session).await, CloseReason::Requested);
}

#[tokio::test]
async fn a_slow_reader_gets_every_sample_in_the_end() {
    with_bench(async |bench| {
        bench.cic.inject([Fault::SlowReader { window: 1024, pause: Duration::from_millis(1) }]);
        let mut session = bench.connected().await;
        speak(&session);
        audio(&session, 5);
        finish(&session);
        assert_eq!(outcome(&mut session).await, Outcome::Done);
        assert_eq!(bench.cic.seen()[0].audio.len(), 5 * 6400);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_cic_takes_nothing_of_is_given_up() {
    with_bench(async |mut bench| {
        bench.settings.response_timeout = SHORT;
        bench.cic.inject([Fault::SlowReader { window: 0, pause: NEVER }]);
        let mut session = bench.connected().await;
        send(&session, &report());
        let outcome = outcome(&mut session).await;
        assert!(matches!(&outcome, Outcome::Broken(why) if why.contains("took nothing")));
        works_slowly(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn without_a_second_stream_requests_fail_and_the_session_lives() {
    with_bench(async |mut bench| {
        bench.settings.response_timeout = SHORT;
        bench.cic.inject([Fault::OneStream]);
        let mut session = bench.connected().await;
        speak(&session);
        audio(&session, 1);
        send_as(&session, OTHER, &report());
        for _ in [KEY, OTHER] {
            let ended = until(&mut session, |n| matches!(n, Notice::Finished { .. })).await;
            let Some(Notice::Finished { outcome: Outcome::Broken(why), .. }) = ended.last() else {
                panic!("{ended:?}");
            };
            assert!(why.contains("took nothing"), "{why}");
        }
        assert_eq!(bench.cic.channels(), 1);
        works_slowly(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn a_downchannel_that_is_lost_ends_the_session_and_its_upload() {
    with_bench(async |bench| {
        for fault in [Fault::ResetChannel, Fault::EndChannel] {
            let mut session = bench.connected().await;
            speak(&session);
            audio(&session, 1);
            bench.cic.inject([fault.on(Place::Event).at(2)]);
            send_as(&session, OTHER, &report());
            let (_, outcome) = finished(&mut session, KEY).await;
            assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
            let reason = closed(&mut session).await;
            assert!(is_lost(&reason), "{fault:?}: {reason:?}");
            assert!(bench.cic.wait_for_channels(0, LIMIT).await);
        }
    })
    .await;
}

#[tokio::test]
async fn a_downchannel_that_is_lost_right_after_hello_ends_the_session() {
    with_bench(async |bench| {
        for fault in [Fault::ResetChannel, Fault::EndChannel, Fault::Goaway, Fault::TcpReset] {
            bench.cic.inject([fault.on(Place::Channel)]);
            let reason = closed(&mut bench.session()).await;
            assert!(is_lost(&reason), "{fault:?}: {reason:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_graceful_goaway_lets_the_upload_end_and_takes_nothing_new() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        speak(&session);
        audio(&session, 1);
        // GOAWAY comes before the answer of the event that it is met by.
        bench.cic.inject([Fault::GracefulGoaway.on(Place::Event).at(2)]);
        works(&mut session).await;
        let late = RequestKey(3);
        send_as(&session, late, &report());
        audio(&session, 1);
        finish(&session);
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(brought(&notices).attachments.len(), 1);
        let (_, outcome) = finished(&mut session, late).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
        let reason = closed(&mut session).await;
        assert!(matches!(&reason, CloseReason::Lost(why) if why.contains("GOAWAY")), "{reason:?}");
        assert_eq!(bench.cic.seen().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_graceful_goaway_without_requests_ends_the_session_at_once() {
    with_bench(async |bench| {
        bench.cic.inject([Fault::GracefulGoaway.on(Place::Channel)]);
        let reason = closed(&mut bench.session()).await;
        assert!(matches!(&reason, CloseReason::Lost(why) if why.contains("GOAWAY")), "{reason:?}");
    })
    .await;
}

#[tokio::test]
async fn an_abrupt_end_breaks_what_is_under_way() {
    with_bench(async |bench| {
        for fault in [Fault::Goaway, Fault::TcpReset] {
            let mut session = bench.connected().await;
            bench.cic.inject([fault]);
            speak(&session);
            audio(&session, 2);
            let (_, outcome) = finished(&mut session, KEY).await;
            assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
            assert!(is_lost(&closed(&mut session).await));
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_closes_its_connection_in_an_orderly_way() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        speak(&session);
        audio(&session, 1);
        session.commands.send(Command::Close).unwrap();
        assert_eq!(closed(&mut session).await, CloseReason::Requested);
        assert!(bench.cic.wait_for_channels(0, LIMIT).await);
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_is_told_although_the_actor_is_slow() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        // More notices than may wait, and nobody takes them.
        for number in 0..100 {
            let text = json!({"directive": {"header": {"namespace": "Clova", "name": "RenderText",
                "messageId": number.to_string()}, "payload": {}}});
            bench.cic.push(&text);
        }
        let full = async {
            while session.notices.len() < session.notices.max_capacity() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, full).await.unwrap();
        bench.cic.inject([Fault::TcpReset]);
        send(&session, &report());
        assert!(bench.cic.wait_for_channels(0, LIMIT).await);
        let notices = until(&mut session, |notice| matches!(notice, Notice::Closed(_))).await;
        assert!(matches!(notices.last(), Some(Notice::Closed(reason)) if is_lost(reason)));
    })
    .await;
}

#[tokio::test]
async fn a_late_hello_is_waited_for_within_its_time_only() {
    with_bench(async |mut bench| {
        bench.cic.inject([Fault::LateHello(Duration::from_millis(50))]);
        let session = bench.connected().await;
        drop(session);
        bench.settings.connect_timeout = SHORT;
        bench.cic.inject([Fault::LateHello(NEVER)]);
        assert_eq!(closed(&mut bench.session()).await, CloseReason::NoHello);
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_is_reset_in_the_middle_is_broken_by_itself() {
    with_bench(async |bench| {
        let mut session = bench.connected().await;
        bench.cic.inject([Fault::ResetUpload(8000), Fault::ResetEvent]);
        speak(&session);
        audio(&session, 5);
        let (notices, outcome) = finished(&mut session, KEY).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
        assert!(!notices.iter().any(|notice| matches!(notice, Notice::Sent { .. })));
        send(&session, &report());
        assert!(matches!(finished(&mut session, KEY).await.1, Outcome::Broken(_)));
        works(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn two_downchannel_requests_in_quick_succession_are_refused() {
    let strict = SimSettings { channel_interval: NEVER, ..SimSettings::default() };
    with_sim(strict, async |bench| {
        let mut session = bench.connected().await;
        let reason = closed(&mut bench.session()).await;
        let CloseReason::Status { status: 429, description } = reason else { panic!("{reason:?}") };
        assert!(description.contains("quick succession"), "{description}");
        works(&mut session).await;
    })
    .await;
}

#[tokio::test]
async fn closing_resets_the_downchannel_instead_of_hanging_up() {
    with_bench(async |mut bench| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        bench.settings.base_uri = format!("http://{address}/").parse().unwrap();
        bench.settings.tls = None;
        let mut session = bench.session();
        let (tcp, _) = listener.accept().await.unwrap();
        let mut h2 = h2::server::handshake(tcp).await.unwrap();
        let (_request, mut respond) = h2.accept().await.unwrap().unwrap();
        let head =
            http::Response::builder().header("content-type", "multipart/related; boundary=b");
        let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
        let wire = tokio::task::spawn_local(async move { h2.accept().await.is_none() });
        until(&mut session, |notice| matches!(notice, Notice::ChannelOpen)).await;
        session.commands.send(Command::Close).unwrap();
        assert_eq!(closed(&mut session).await, CloseReason::Requested);
        let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
        assert_eq!(reset.unwrap(), h2::Reason::CANCEL);
        assert!(wire.await.unwrap(), "GOAWAY, and the end of the connection");
    })
    .await;
}
