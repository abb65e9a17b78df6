//! The Bluetooth connection whose real result CIC wants to know (flows 8): ActionExecuted only
//! says that connecting has begun, and a PIN may be asked for in between.
//!
//! The result is in `Device.DeviceState` once the appliance says so there; an appliance that never
//! does is waited for as long as a person needs for a PIN.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::Control;
use crate::{
    appliance::{message::ContextReport, outbox::Care},
    cic::directive::Directive,
    clock::Now,
};

/// How long the real result is waited for.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
/// Longest address that can be one, bytes.
const MAX_ADDRESS: usize = 64;

#[derive(Deserialize)]
struct Wanted {
    address: Option<Box<str>>,
}

#[derive(Deserialize)]
struct State {
    bluetooth: Option<Bluetooth>,
}

#[derive(Deserialize)]
struct Bluetooth {
    #[serde(default)]
    connecting: String,
    #[serde(default)]
    btlist: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    #[serde(default)]
    address: String,
    #[serde(default)]
    connected: bool,
}

/// A connection that CIC has asked for.
#[derive(Debug)]
pub(super) struct Connection {
    /// The device that CIC named.
    address: Option<Box<str>>,
    /// The appliance has said that it is connecting.
    seen_connecting: bool,
    /// Its state has the real result.
    settled: bool,
    /// Set once the directive was answered.
    until: Option<Instant>,
}

impl Connection {
    /// A new order; one with a PIN goes on with the device of the one before.
    pub(super) fn begin(directive: &Directive, before: Option<Self>) -> Self {
        let wanted = directive.payload_as::<Wanted>().ok().and_then(|wanted| wanted.address);
        let wanted = wanted.filter(|address| address.len() <= MAX_ADDRESS);
        let before = before.filter(|_| directive.name == "BtConnectByPINCode");
        let seen_connecting = before.as_ref().is_some_and(|before| before.seen_connecting);
        let address = wanted.or_else(|| before.and_then(|before| before.address));
        Self { address, seen_connecting, settled: false, until: None }
    }

    /// When it is reported whatever the state says.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Whether the directive was answered and the result is known.
    fn is_over(&self) -> bool {
        self.until.is_some() && self.settled
    }

    /// Reads `Device.DeviceState`. A state that neither is connecting nor was, and shows nothing
    /// connected, may be older than the order.
    fn observe(&mut self, payload: &RawValue) {
        let state: Option<State> = serde_json::from_str(payload.get()).ok();
        let Some(bluetooth) = state.and_then(|state| state.bluetooth) else { return };
        if bluetooth.connecting == "on" {
            (self.seen_connecting, self.settled) = (true, false);
            return;
        }
        let is_wanted = |peer: &Peer| match &self.address {
            Some(address) => peer.address.eq_ignore_ascii_case(address),
            None => true,
        };
        let mut peers = bluetooth.btlist.iter();
        self.settled = self.seen_connecting || peers.any(|peer| peer.connected && is_wanted(peer));
    }
}

impl Control {
    /// Watches `Device.DeviceState` while a connection is being made.
    pub(super) fn observe(&mut self, report: &ContextReport) {
        if let Some(connection) = &mut self.connection
            && (report.namespace.as_str(), report.name.as_str()) == ("Device", "DeviceState")
        {
            connection.observe(&report.payload);
        }
    }

    /// The order has been answered: the real result follows, now or once it is known. Of one that
    /// the appliance refused it is known.
    pub(super) fn answer_connect(&mut self, may_still_come: bool, now: Now) {
        let connection = self.connection.as_mut().filter(|connection| !connection.settled);
        match connection {
            Some(connection) if may_still_come => {
                connection.until = Some(now.mono + CONNECT_PATIENCE);
            }
            _ => self.report_connection(),
        }
    }

    pub(super) fn report_connection_if_over(&mut self) {
        if self.connection.as_ref().is_some_and(Connection::is_over) {
            self.report_connection();
        }
    }

    pub(super) fn report_connection(&mut self) {
        self.connection = None;
        self.report_state();
    }

    /// The state itself is in the context.
    pub(super) fn report_state(&mut self) {
        self.report("DeviceControl", "ReportState", &json!({}), Care::Keep);
    }
}
