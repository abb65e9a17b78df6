//! What tests and the demo ask of the simulated CIC while it runs.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    CloudAlert, Injection, NewAlert, Reach, Refusal, SeenEvent, SeenOccurrence, SeenStream,
    SimulatedCic, alerts::Book, wire::Part,
};
use crate::{appliance::alerts::AlertKind, ids::random_uuid, secret::Secret};

impl SimulatedCic {
    /// An authorization code, as the user's app would get it; good for one device.
    pub fn issue_code(&self) -> Secret {
        self.state.issue_code(None)
    }

    /// Every access token is refused from now on; refresh tokens stay good.
    pub fn expire_tokens(&self) {
        self.state.expire_tokens();
    }

    /// Every pairing is gone: access and refresh tokens are refused.
    pub fn revoke_pairings(&self) {
        self.state.revoke_pairings();
    }

    /// The next requests meet these faults, in order; an [`Injection`] may name others.
    pub fn inject(&self, faults: impl IntoIterator<Item = impl Into<Injection>>) {
        faults.into_iter().for_each(|fault| self.state.inject(fault.into()));
    }

    /// Sends a directive on the downchannel of every connected device; returns to how many.
    pub fn push(&self, directive: &serde_json::Value) -> usize {
        let devices = self.state.devices();
        devices.iter().filter(|device| self.state.push(device, directive)).count()
    }

    /// Sends a directive on the downchannel of one device; `false` when it has none.
    pub fn push_to(&self, device: &str, directive: &serde_json::Value) -> bool {
        self.state.push(device, directive)
    }

    /// The next event of this name from this device is answered with these directives, and with
    /// these attachments (`Content-ID`, bytes) behind them. In the answer to a Recognize, a
    /// `dialogRequestId` becomes that of the request.
    pub fn answer_once(
        &self,
        device: &str,
        event: &str,
        directives: Vec<serde_json::Value>,
        attachments: Vec<(String, Bytes)>,
    ) {
        directives.iter().for_each(|directive| self.state.adopt(device, directive));
        let directives = directives.into_iter().map(Part::Directive);
        let attachments = attachments.into_iter().map(|(id, bytes)| Part::Attachment(id, bytes));
        self.state.household.script(device, event, directives.chain(attachments).collect());
    }

    /// The user asks something in the app of CLOVA and chooses this device to answer (flows 9);
    /// returns the `delegationId`.
    pub fn delegate(&self, device: &str, text: &str) -> String {
        let id = random_uuid();
        self.state.household.dossier(device, |dossier| dossier.delegate(&id, text));
        let payload = serde_json::json!({ "delegationId": id });
        self.state.send(device, "Clova", "HandleDelegatedEvent", payload);
        id
    }

    /// The streams that this device was sent lately, the oldest first, and what it has reported.
    pub fn streams(&self, device: &str) -> Vec<SeenStream> {
        self.state.household.dossier(device, |dossier| dossier.streams())
    }

    /// How many devices have a downchannel.
    pub fn channels(&self) -> usize {
        self.state.channels()
    }

    /// Waits until so many devices have a downchannel; `false` when it takes longer than `limit`.
    pub async fn wait_for_channels(&self, count: usize, limit: Duration) -> bool {
        self.state.wait_for_channels(count, limit).await
    }

    /// What was seen so far: the last 10,000 events, and the audio of the last of these, at most
    /// 64 MiB in all.
    pub fn seen(&self) -> Vec<SeenEvent> {
        self.state.journal.seen()
    }

    /// Waits until something of this kind has been seen; `None` when it takes longer than `limit`.
    pub async fn wait_for(
        &self,
        wanted: impl Fn(&SeenEvent) -> bool,
        limit: Duration,
    ) -> Option<SeenEvent> {
        self.state.journal.wait_for(wanted, limit).await
    }

    /// How many events have been seen so far: where [`SimulatedCic::next_event`] and
    /// [`SimulatedCic::events_after`] may begin.
    pub fn event_count(&self) -> u64 {
        self.state.journal.count()
    }

    /// The first event from this number on that fits, and the number behind it; `None` when it
    /// takes longer than `limit`. What is looked at has no audio.
    pub async fn next_event(
        &self,
        from: u64,
        wanted: impl Fn(&SeenEvent) -> bool,
        limit: Duration,
    ) -> Option<(u64, SeenEvent)> {
        self.state.journal.next(from, wanted, limit).await
    }

    /// The events from this number on that fit, as far as they have come.
    pub fn events_after(&self, from: u64, wanted: impl Fn(&SeenEvent) -> bool) -> Vec<SeenEvent> {
        self.state.journal.after(from, wanted)
    }

    /// What was answered with `400`, the last 10,000.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.state.journal.refusals()
    }

    /// Whether it can be reached from now on. Its memory stays.
    pub fn set_reach(&self, reach: Reach) {
        self.state.reach.send_replace(reach);
    }
}

/// What the user does to the alerts of an account in the app of CLOVA. Each change goes to the
/// device at once if it has a downchannel, and otherwise with the next list.
impl SimulatedCic {
    /// Sets an alert, or changes the one of the same token; returns the token.
    pub fn set_alert(&self, device: &str, alert: &NewAlert) -> String {
        self.state.write_book(device, |book| {
            let (directive, token) = book.set(alert, None);
            (token, vec![directive])
        })
    }

    /// Changes the time of an alert; `false` when there is none.
    pub fn edit_alert(&self, device: &str, token: &str, due: Timestamp) -> bool {
        self.order(device, |book| book.edit(token, due))
    }

    /// Deletes an alert; `false` when there is none.
    pub fn delete_alert(&self, device: &str, token: &str) -> bool {
        self.order(device, |book| book.delete(token, None))
    }

    /// Deletes all alerts of a kind.
    pub fn clear_alerts(&self, device: &str, kind: AlertKind) {
        self.order(device, |book| Some(book.clear(kind)));
    }

    /// Stops an alert that rings; `false` when no alert ever had this token.
    pub fn stop_alert(&self, device: &str, token: &str) -> bool {
        self.order(device, |book| book.stop(token, None))
    }

    /// Sends the whole list unasked.
    pub fn synchronize_alerts(&self, device: &str) {
        self.state.synchronize(device);
    }

    /// The account's alerts, by token.
    pub fn alerts(&self, device: &str) -> Vec<CloudAlert> {
        self.state.read_book(device, Book::view)
    }

    /// Every time that was ever set for this device, and what the device has reported of it.
    pub fn occurrences(&self, device: &str) -> Vec<SeenOccurrence> {
        self.state.read_book(device, Book::occurrences)
    }

    /// How often the device has been sent the whole list.
    pub fn synchronized(&self, device: &str) -> usize {
        self.state.read_book(device, Book::synchronized)
    }

    /// Waits until the account's alerts are like this; `None` when it takes longer than `limit`.
    pub async fn wait_for_alerts(
        &self,
        device: &str,
        wanted: impl Fn(&[CloudAlert]) -> bool,
        limit: Duration,
    ) -> Option<Vec<CloudAlert>> {
        let mut changes = self.state.accounts.changes();
        let wait = async {
            loop {
                let alerts = self.alerts(device);
                if wanted(&alerts) {
                    return Some(alerts);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, wait).await.ok().flatten()
    }

    fn order(
        &self,
        device: &str,
        order: impl FnOnce(&mut Book) -> Option<serde_json::Value>,
    ) -> bool {
        self.state.write_book(device, |book| {
            let directive = order(book);
            (directive.is_some(), directive.into_iter().collect())
        })
    }
}
