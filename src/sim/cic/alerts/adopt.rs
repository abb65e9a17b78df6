//! Directives about alerts that a test or a scenario sends by itself: the book must know of them,
//! because the device will answer.

use serde_json::Value;

use super::{AlertStage, Book, Content, NewAlert};
use crate::appliance::alerts::AlertKind;

impl Book {
    /// Takes over a directive as it is sent. What is malformed in it is not noted.
    pub(in crate::sim::cic) fn adopt(&mut self, directive: &Value) {
        let directive = &directive["directive"];
        let (header, payload) = (&directive["header"], &directive["payload"]);
        let kind = payload["type"].as_str().and_then(AlertKind::parse);
        let token = payload["token"].as_str().unwrap_or_default();
        match header["name"].as_str().filter(|_| header["namespace"] == "Alerts") {
            Some("SetAlert") => self.adopt_set(payload),
            Some("DeleteAlert") => drop(self.delete(token, None)),
            Some("StopAlert") => drop(self.stop(token, None)),
            Some("ClearAlert") => drop(kind.map(|kind| self.clear(kind))),
            Some("SynchronizeAlert") => self.adopt_list(&payload["allAlerts"]),
            _ => {}
        }
    }

    fn adopt_set(&mut self, payload: &Value) {
        let kind = payload["type"].as_str().and_then(AlertKind::parse);
        let time = payload["scheduledTime"].as_str().unwrap_or_default();
        if let (Some(kind), Ok(due), Some(token)) = (kind, time.parse(), payload["token"].as_str())
        {
            let label = payload["label"].as_str().map(str::to_owned);
            let new = NewAlert { label, ..NewAlert::new(kind, due).token(token) };
            // The device must not write the time in another way.
            let content = Content { time: time.to_owned(), ..Content::new(&new) };
            self.put(content, &new, None);
        }
    }

    /// The list decides: what is not in it is gone.
    fn adopt_list(&mut self, list: &Value) {
        let Some(list) = list.as_array() else { return };
        self.entries.retain(|token, _| list.iter().any(|alert| alert["token"] == token.as_str()));
        for alert in list {
            self.adopt_set(alert);
        }
        for entry in self.entries.values_mut() {
            (entry.listed, entry.stage) = (true, AlertStage::Sent);
        }
    }
}
