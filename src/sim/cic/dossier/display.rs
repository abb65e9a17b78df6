//! TemplateRuntime: tracks that the device was shown, and what it asks about them (flows 12).

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{super::metadata::Wrong, foreign, text};

/// Tracks that are remembered.
const MAX_TRACKS: usize = 256;

/// A track or list that the device knows by its token.
#[derive(Debug)]
struct Shown {
    token: String,
    title: String,
    /// An item of a playlist; of which kind.
    kind: Option<String>,
}

/// What one device was shown.
#[derive(Debug, Default)]
pub(super) struct Display(VecDeque<Shown>);

impl Display {
    fn add(&mut self, token: &Value, title: &Value, kind: &Value) {
        let Some(token) = token.as_str() else { return };
        self.0.retain(|shown| shown.token != token);
        let title = title.as_str().unwrap_or("A song").to_owned();
        let kind = kind.as_str().map(str::to_owned);
        self.0.push_back(Shown { token: token.to_owned(), title, kind });
        if self.0.len() > MAX_TRACKS {
            self.0.pop_front();
        }
    }

    /// The first request for a track's metadata has its stream's token (interfaces,
    /// TemplateRuntime).
    pub(super) fn note_play(&mut self, name: &str, payload: &Value) {
        if name == "Play" {
            let item = &payload["audioItem"];
            let id = &item["audioItemId"];
            let token =
                if item["stream"]["token"].is_string() { &item["stream"]["token"] } else { id };
            self.add(token, &item["titleText"], &Value::Null);
        }
    }

    pub(super) fn note(&mut self, name: &str, payload: &Value) {
        let items = match name {
            "RenderPlayerInfo" => &payload["playableItems"],
            "RenderPlaylist" => &payload["items"],
            _ => return,
        };
        for item in items.as_array().into_iter().flatten() {
            self.add(&item["token"], &item["titleText"], &item["type"]);
        }
    }

    pub(super) fn take(&mut self, name: &str, payload: &Value) -> Result<Vec<Value>, Wrong> {
        let token = text(payload, "token");
        let Some(at) = self.0.iter().position(|shown| shown.token == token) else {
            return Err(format!("{name} of {token}, which the device was never shown"));
        };
        let (title, kind) = (self.0[at].title.clone(), self.0[at].kind.clone());
        let like = |like: bool| {
            foreign("TemplateRuntime", "UpdateLike", json!({"token": token, "like": like}))
        };
        let subscribe = |subscribe: bool| {
            let payload = json!({"token": token, "subscribe": subscribe});
            foreign("TemplateRuntime", "UpdateSubscribe", payload)
        };
        Ok(vec![match name {
            "RequestPlayerInfo" => player_info(token, &title, &payload["range"]),
            "LikeCommandIssued" => like(true),
            "UnlikeCommandIssued" => like(false),
            "SubscribeCommandIssued" => subscribe(true),
            "UnsubscribeCommandIssued" => subscribe(false),
            "MoreCommandIssued" => playlist(token, "playlist"),
            "SelectCommandIssued" => match kind.as_deref() {
                None => return Err(format!("{token} is no item of a playlist")),
                Some("playlist") => playlist(token, "track"),
                Some(_) => super::playback::play(token),
            },
            _ => return Ok(Vec::new()),
        }])
    }
}

/// The track, and as many more as were asked for; one without a range.
fn player_info(token: &str, title: &str, range: &Value) -> Value {
    let button =
        |name: &str| json!({"name": name, "enabled": true, "selected": false, "type": "BUTTON"});
    let item = |token: String, title: String| {
        json!({
            "token": token, "titleText": title, "titleSubText1": "The simulated band",
            "showAdultIcon": false, "controls": [button("LIKE_DISLIKE"), button("MORE")],
        })
    };
    let count = |name: &str| range[name].as_u64().unwrap_or(0).min(20);
    let before = (1..=count("before")).rev().map(|n| format!("{token}-before-{n}"));
    let after = (1..=count("after")).map(|n| format!("{token}-after-{n}"));
    let tokens = before.chain([token.to_owned()]).chain(after);
    let items: Vec<_> = tokens.map(|token| item(token, title.to_owned())).collect();
    let controls = ["PLAY_PAUSE", "NEXT", "PREVIOUS"].map(button);
    let payload = json!({
        "displayType": "list", "playableItems": items, "controls": controls,
        "provider": {"name": "Simulated music"},
    });
    foreign("TemplateRuntime", "RenderPlayerInfo", payload)
}

/// Two items of this kind.
fn playlist(token: &str, kind: &str) -> Value {
    let items = [1, 2].map(|n| {
        json!({
            "token": format!("{token}-{n}"), "type": kind, "titleText": format!("Item {n}"),
            "showAdultIcon": false,
        })
    });
    let payload = json!({"title": "More like this", "items": items});
    super::wire::directive("TemplateRuntime", "RenderPlaylist", None, payload)
}
