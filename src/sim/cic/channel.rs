//! The downchannel: hello, then whatever is pushed, until a newer one takes its place (transport 5).

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use serde_json::json;

use super::{
    answer::{self, Output},
    fault::{Fault, Place},
    server::Connection,
    state::{Down, OpenChannel},
    wire::{self, Part},
};

/// Answers a downchannel request; returns when the downchannel has ended.
pub(super) async fn open(
    connection: &Arc<Connection>,
    device: &str,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let state = &connection.state;
    if let Err(why) = state.begin_channel(device) {
        return answer::refuse(&mut respond, 429, why).await;
    }
    let fault = state.fault(Place::Channel);
    if let Some(fault) = fault
        && !connection.survives(fault, device).await
    {
        state.give_up_channel(device);
        return Ok(());
    }
    if let Some((status, body)) = fault.and_then(Fault::refusal) {
        state.give_up_channel(device);
        return answer::refuse_with(&mut respond, status, body).await;
    }
    if let Some(Fault::HeaderBomb(bytes)) = fault {
        state.give_up_channel(device);
        return answer::header_bomb(&mut respond, bytes);
    }
    let mut open = state.open_channel(device, connection.number);
    let mut output = Output::begin(connection, &mut respond, fault)?;
    greet(&mut output, fault).await?;
    if state.household.asks_for_state {
        state.send(device, "DeviceControl", "ExpectReportState", json!({}));
    }
    match fault {
        Some(Fault::ResetChannel) => {
            output.stream.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        Some(Fault::EndChannel) => output.end().await,
        _ => follow(&mut open, output).await,
    }
}

async fn greet(output: &mut Output<'_>, fault: Option<Fault>) -> Result<(), h2::Error> {
    output.open().await?;
    match fault {
        Some(Fault::NoHello) => return Ok(()),
        Some(Fault::LateHello(after)) => tokio::time::sleep(after).await,
        _ => {}
    }
    let hello = wire::directive("Clova", "Hello", None, json!({}));
    output.part(&Part::Directive(hello)).await
}

async fn follow(open: &mut OpenChannel, mut output: Output<'_>) -> Result<(), h2::Error> {
    loop {
        let down = tokio::select! {
            down = open.down.recv() => down,
            reset = poll_fn(|cx| output.stream.poll_reset(cx)) => return reset.map(drop),
        };
        match down {
            Some(Down::Part(part)) => output.part(&part).await?,
            Some(Down::Reset) => {
                output.stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            Some(Down::End) | None => return output.end().await,
        }
    }
}
