//! The stream of changes.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::house::{House, LIMIT};

/// A stream that is being read.
struct Stream {
    response: Response,
    text: String,
    /// `id` of the last event.
    last: String,
}

impl Stream {
    async fn open(house: &House, query: &str, last: Option<&str>) -> Self {
        let url = format!("http://{}/api/v1/events{query}", house.gateway.http_addr());
        let request = house.http.get(url).bearer_auth(house.token);
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), last: String::new() }
    }

    /// The next event that has one: its kind and its data; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = block.lines();
                    lines.find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                self.last = field("id: ").unwrap_or(std::mem::take(&mut self.last));
                if let (Some(kind), Some(data)) = (field("event: "), field("data: ")) {
                    return Some((kind, serde_json::from_str(&data).unwrap()));
                }
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("in time");
            self.text += std::str::from_utf8(&chunk.ok()??).unwrap();
        }
    }

    /// Reads until an event of this kind fits.
    async fn until(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (next, data) = self.next().await.expect("the stream goes on");
            if next == kind && fits(&data) {
                return data;
            }
        }
    }
}

#[actix_web::test]
async fn a_dialogue_and_its_appliance_are_followed_as_they_happen() {
    let house = House::build("s3cret").await;
    let mut stream = Stream::open(&house, "?appliance=kitchen", None).await;
    assert_eq!(stream.next().await, Some(("reset".into(), json!({}))));
    let (_speaker, _) = house.connected_speaker().await;
    stream.until("added", |_| true).await;
    stream.until("presence", |data| data["online"] == true).await;
    let connected = stream.until("session", |data| data["state"] == "connected").await;
    assert_eq!(
        (&connected["appliance"], &connected["kind"]),
        (&json!("kitchen"), &json!("session"))
    );
    house.post("/api/v1/appliances", json!({"id": "hall"})).await;
    let text = json!({"text": "what time is it"});
    assert_eq!(house.post("/api/v1/appliances/kitchen/text", text).await.0, 202);
    stream.until("dialogue", |data| data["state"] == "thinking").await;
    let speak = |data: &Value| data["name"] == "Speak";
    let dialogue = stream.until("directive", speak).await["dialogRequestId"].clone();
    let speaking = stream.until("dialogue", |data| data["state"] == "speaking").await;
    assert_eq!(speaking["dialogRequestId"], dialogue);
    stream.until("dialogue", |data| data["state"] == "idle").await;
    house.ask(Method::DELETE, "/api/v1/appliances/kitchen", "").await;
    stream.until("removed", |data| data["appliance"] == "kitchen").await;
    house.gateway.stop().await;
    while stream.next().await.is_some() {}
}

#[actix_web::test]
async fn one_that_comes_back_misses_nothing_and_a_stranger_is_told_to_ask_anew() {
    let house = House::build("s3cret").await;
    let mut stream = Stream::open(&house, "", None).await;
    stream.until("reset", |_| true).await;
    house.post("/api/v1/appliances", json!({"id": "a"})).await;
    stream.until("added", |data| data["appliance"] == "a").await;
    let last = stream.last.clone();
    drop(stream);
    house.post("/api/v1/appliances", json!({"id": "b"})).await;
    let mut again = Stream::open(&house, "", Some(&last)).await;
    loop {
        let (kind, data) = again.next().await.unwrap();
        assert_ne!(kind, "reset");
        if kind == "added" {
            break assert_eq!(data["appliance"], "b");
        }
    }
    for unknown in ["", "x", "00000000-7", "00000000-18446744073709551615"] {
        let mut stream = Stream::open(&house, "", Some(unknown)).await;
        assert_eq!(stream.next().await.unwrap().0, "reset");
    }
    house.gateway.stop().await;
}
