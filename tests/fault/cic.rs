//! What CIC does wrong, request by request: the user hears what became of the request, the session
//! comes back by itself, and the next dialogue works.

use std::time::Duration;

use cic_gateway::{
    appliance::alerts::AlertKind,
    sim::{
        appliance::{Heard, read_wav},
        cic::{CloudAlert, ErrorBody, Fault, NewAlert, Place, SimSettings, scenario::embedded},
    },
};
use jiff::Timestamp;

use crate::{
    house::{House, LIMIT, Speaker, wary},
    support::site::Plan,
};

const NEVER: Duration = Duration::from_secs(3600);
const STATUSES: [u16; 7] = [400, 401, 412, 429, 500, 503, 418];

/// What the user notices of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Notices {
    /// Nothing: it is answered in full.
    Nothing,
    /// `down/error` with this code.
    Error(&'static str),
    /// One or the other, as the flood is survived or not.
    Either(&'static str),
}
use Notices::{Either, Error, Nothing};

fn patient(appliances: usize) -> Plan {
    let sim = SimSettings { channel_interval: Duration::ZERO, ..SimSettings::default() };
    Plan { sim, appliances, ..wary() }
}

/// Each row concerns an appliance of its own.
async fn typed(rows: &[(Fault, Notices)]) {
    let house = House::build(patient(rows.len().max(2))).await;
    for (number, (fault, notices)) in rows.iter().enumerate() {
        println!("a typed request meets {fault:?}");
        let speaker = house.arrive(number).await;
        let text = format!("row {number} of the table");
        house.site.cic.inject([fault.on(Place::Event)]);
        speaker.0.type_text(&text, None);
        notice(&speaker, *notices).await;
        house.recovers(number, &speaker).await;
    }
    house.gateway.stop().await;
}

async fn notice(speaker: &Speaker, notices: Notices) {
    let ends = |heard: &Heard| matches!(heard, Heard::Played { .. } | Heard::Error(_));
    let heard = speaker.heard(ends).await;
    match (notices, &heard) {
        (Nothing, Heard::Played { .. }) => {}
        (Error(code), Heard::Error(error)) if error["code"] == code => {}
        (Either(_), Heard::Played { .. }) => {}
        (Either(code), Heard::Error(error)) if error["code"] == code => {}
        _ => panic!("{notices:?} expected, {heard:?} heard"),
    }
}

#[actix_web::test]
async fn a_typed_request_that_is_refused_is_said_to_be_and_the_next_one_works() {
    let error = |status| if status == 401 { Nothing } else { Error("busy") };
    let rows = STATUSES.map(|status| (Fault::EventStatus(status), error(status)));
    typed(&rows).await;
}

#[actix_web::test]
async fn a_refusal_may_say_anything_or_nothing() {
    let rows = [ErrorBody::Json, ErrorBody::Empty, ErrorBody::Endless];
    typed(&rows.map(|body| (Fault::EventRefused(503, body), Error("busy")))).await;
}

#[actix_web::test]
async fn an_answer_that_is_maimed_is_carried_out_as_far_as_it_goes() {
    typed(&[
        (Fault::TruncatedAnswer, Error("attachment_incomplete")),
        (Fault::NoClosingDelimiter, Error("attachment_incomplete")),
        (Fault::Trickled, Nothing),
        (Fault::Rubbish, Nothing),
        (Fault::LateAnswer(Duration::from_secs(2)), Nothing),
        (Fault::ChangeSettings(1), Nothing),
        (Fault::ChangeSettings(1 << 30), Nothing),
    ])
    .await;
}

#[actix_web::test]
async fn a_connection_that_is_lost_comes_back() {
    typed(&[
        (Fault::ResetEvent, Error("not_connected")),
        (Fault::Goaway, Error("not_connected")),
        (Fault::TcpReset, Error("not_connected")),
        (Fault::BlackHole, Error("not_connected")),
        (Fault::GracefulGoaway, Nothing),
        (Fault::HeaderBomb(20 * 1024), Error("not_connected")),
        (Fault::HeaderBomb(256 * 1024), Error("not_connected")),
        (Fault::EmptyFrames(200), Error("not_connected")),
        (Fault::TinyFrames(20_000), Either("not_connected")),
    ])
    .await;
}

#[actix_web::test]
async fn a_downchannel_that_is_lost_comes_back() {
    let house = House::build(patient(2)).await;
    for (number, fault) in [Fault::ResetChannel, Fault::EndChannel].into_iter().enumerate() {
        let speaker = house.arrive(number).await;
        house.site.cic.inject([fault.on(Place::Event).when("lose it")]);
        speaker.0.type_text("lose it", None);
        speaker.session("disconnected").await;
        speaker.session("connected").await;
        house.recovers(number, &speaker).await;
    }
    house.gateway.stop().await;
}

#[actix_web::test]
async fn a_downchannel_that_fails_from_the_beginning_is_asked_for_again() {
    let faults = [
        Fault::NoHello,
        Fault::LateHello(Duration::from_secs(1)),
        Fault::LateHello(Duration::from_secs(3600)),
        Fault::ResetChannel,
        Fault::EndChannel,
        Fault::Goaway,
        Fault::GracefulGoaway,
        Fault::TcpReset,
        Fault::BlackHole,
        Fault::Trickled,
        Fault::TinyFrames(2000),
        Fault::EmptyFrames(200),
        Fault::HeaderBomb(20 * 1024),
        Fault::HeaderBomb(256 * 1024),
    ];
    downchannel(&faults).await;
}

#[actix_web::test]
async fn a_downchannel_that_is_refused_is_asked_for_again() {
    downchannel(&STATUSES.map(Fault::ChannelStatus)).await;
}

/// Each row concerns the first downchannel of an appliance of its own.
async fn downchannel(rows: &[Fault]) {
    let mut plan = patient(rows.len());
    plan.cic += "connect_timeout = \"2s\"\n";
    let house = House::build(plan).await;
    for (number, fault) in rows.iter().enumerate() {
        println!("a downchannel meets {fault:?}");
        house.site.cic.inject([fault.on(Place::Channel)]);
        let speaker = house.arrive(number).await;
        house.recovers(number, &speaker).await;
    }
    house.gateway.stop().await;
}

#[actix_web::test]
async fn a_connection_that_fails_from_the_beginning_is_tried_again() {
    let faults = [Fault::TcpReset, Fault::BlackHole];
    let mut plan = patient(faults.len());
    plan.cic += "connect_timeout = \"2s\"\n";
    let house = House::build(plan).await;
    for (number, fault) in faults.into_iter().enumerate() {
        house.site.cic.inject([fault.on(Place::Connection)]);
        let speaker = house.arrive(number).await;
        house.recovers(number, &speaker).await;
    }
    house.gateway.stop().await;
}

/// Says a recording; the upload meets the fault, and the microphone is switched off.
async fn spoken(rows: &[(Fault, bool)]) {
    let house = House::build(patient(rows.len().max(2))).await;
    let pcm = read_wav(embedded("speech/story.wav").unwrap()).unwrap();
    for (number, (fault, answered)) in rows.iter().enumerate() {
        println!("a spoken request meets {fault:?}");
        let speaker = house.arrive(number).await;
        house.site.cic.inject([fault.on(Place::Event)]);
        let utterance = speaker.0.say(pcm.clone(), None);
        let stopped = speaker
            .heard(|heard| {
                matches!(heard, Heard::Capture(v) if v["action"] == "stop" && v["utterance"] == utterance)
            })
            .await;
        let Heard::Capture(stopped) = stopped else { unreachable!() };
        assert_eq!(stopped["reason"] == "recognized", *answered, "{stopped}");
        house.recovers(number, &speaker).await;
    }
    house.gateway.stop().await;
}

#[actix_web::test]
async fn an_upload_that_is_refused_stops_the_microphone_and_the_next_request_works() {
    spoken(&STATUSES.map(|status| (Fault::EventStatus(status), false))).await;
}

#[actix_web::test]
async fn an_upload_that_is_cut_off_stops_the_microphone_and_the_next_request_works() {
    spoken(&[
        (Fault::ResetUpload(8000), false),
        (Fault::ResetEvent, false),
        (Fault::Goaway, false),
        (Fault::TcpReset, false),
        (Fault::BlackHole, false),
        (Fault::GracefulGoaway, true),
        (Fault::ChangeSettings(2048), true),
        (Fault::ResetChannel, false),
        (Fault::EndChannel, false),
    ])
    .await;
}

#[actix_web::test]
async fn an_answer_that_comes_before_the_question_is_complete_waits_and_blocks_nothing() {
    spoken(&[(Fault::EarlyAnswer, true), (Fault::EarlyAnswer, true)]).await;
}

/// CIC lets in so little that nothing comes of the recording: it is given up when two seconds of it
/// wait, not when the user is hoarse.
#[actix_web::test]
async fn an_upload_that_cic_does_not_take_stops_the_microphone_and_the_session_lives() {
    let (house, speaker) = house_with(Fault::SlowReader { window: 8192, pause: NEVER }).await;
    let pcm = read_wav(embedded("speech/story.wav").unwrap()).unwrap();
    speaker.0.say([pcm.clone(), pcm.clone(), pcm].concat(), None);
    speaker.error("audio_overflow").await;
    speaker.recovers().await;
    house.gateway.stop().await;
}

/// The first connection meets the fault.
async fn house_with(fault: Fault) -> (House, Speaker) {
    let house = House::build(patient(2)).await;
    house.site.cic.inject([fault.on(Place::Connection)]);
    let speaker = house.switch_on(0);
    speaker.session("connected").await;
    (house, speaker)
}

/// PINGs are answered, requests are not: "connected" would be a lie.
async fn is_noticed_and_replaced(fault: Fault) {
    let (house, speaker) = house_with(fault).await;
    let session = speaker.session("disconnected").await;
    assert!(session["reason"].as_str().unwrap().contains("answers no request"), "{session}");
    speaker.session("connected").await;
    speaker.recovers().await;
    assert_eq!(house.metric("cic_session_errors_total{reason=\"stalled\"}"), Some(1.0));
    house.gateway.stop().await;
}

async fn an_attachment_that_never_ends_is_given_up() {
    let (house, speaker) = House::with_speaker(patient(2)).await;
    house.site.cic.inject([Fault::EndlessAttachment.on(Place::Event).when("sing")]);
    speaker.0.type_text("sing", None);
    speaker.error("attachment_incomplete").await;
    speaker.recovers().await;
    house.gateway.stop().await;
}

async fn an_answer_that_never_comes_is_given_up() {
    let (house, speaker) = House::with_speaker(patient(2)).await;
    house.site.cic.inject([Fault::LateAnswer(NEVER).on(Place::Event).when("sing")]);
    speaker.0.type_text("sing", None);
    speaker.error("not_connected").await;
    speaker.recovers().await;
    house.gateway.stop().await;
}

/// Each waits for a minute at most, and all of them together.
#[actix_web::test]
async fn what_never_comes_is_waited_for_within_bounds() {
    tokio::join!(
        is_noticed_and_replaced(Fault::OneStream),
        is_noticed_and_replaced(Fault::SlowReader { window: 0, pause: NEVER }),
        an_attachment_that_never_ends_is_given_up(),
        an_answer_that_never_comes_is_given_up(),
    );
}

/// What must not be lost is kept through every refusal that may pass, and given up only when CIC
/// says that it is wrong.
#[actix_web::test]
async fn an_event_that_must_not_be_lost_is_sent_again_until_cic_takes_it() {
    let house = House::build(patient(STATUSES.len())).await;
    for (number, status) in STATUSES.into_iter().enumerate() {
        println!("SetAlertSucceeded is answered with {status}");
        let speaker = house.arrive(number).await;
        house.site.cic.inject([Fault::EventStatus(status).on(Place::Event)]);
        let device = &house.site.appliances[number].device;
        let later = Timestamp::now() + Duration::from_secs(3600);
        let token = house.site.cic.set_alert(device, &NewAlert::new(AlertKind::Timer, later));
        if matches!(status, 400 | 418) {
            let refused = "cic_events_total{name=\"SetAlertSucceeded\",namespace=\"Alerts\",\
                           result=\"refused\"}";
            house.until_metric(refused, |count| count >= 1.0).await;
        } else {
            let confirmed =
                |all: &[CloudAlert]| all.iter().any(|a| a.token == token && a.confirmed);
            let alerts = house.site.cic.wait_for_alerts(device, confirmed, LIMIT).await;
            assert!(alerts.is_some(), "{status}");
        }
        house.recovers(number, &speaker).await;
    }
    house.gateway.stop().await;
}
