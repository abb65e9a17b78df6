//! A home: appliances, a gateway in this process, and a line that can be broken to each of its
//! peers.

use std::{cell::RefCell, time::Duration};

use cic_gateway::{
    app::Gateway,
    sim::{
        appliance::{Heard, SimulatedAppliance},
        cic::SeenEvent,
    },
};
use serde_json::Value;

use crate::support::{
    proxy::Proxy,
    site::{Plan, Site},
};

/// Far more than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(90);
/// What is asked, and answered aloud.
pub const QUESTION: &str = "what time is it";

/// `[cic]` of a gateway that notices soon that a line is dead.
pub fn wary() -> Plan {
    Plan { cic: "ping_interval = \"1s\"\nping_timeout = \"1s\"\n".into(), ..Plan::default() }
}

pub struct House {
    pub gateway: Gateway,
    pub to_cic: Proxy,
    pub to_broker: Proxy,
    pub to_store: Option<Proxy>,
    pub site: Site,
}

impl House {
    /// Builds it with as many appliances as planned; none of them is switched on.
    pub async fn build(plan: Plan) -> Self {
        let mut site = Site::build(plan).await;
        let to_cic = Proxy::start(port_of(&site.config.cic.base_uri));
        let to_broker = Proxy::start(port_of(&site.config.mqtt.url));
        let to_store = site.postgres.as_ref().map(|postgres| Proxy::start(port_of(&postgres.url)));
        site.config.cic.base_uri = format!("https://127.0.0.1:{}/", to_cic.port);
        site.config.mqtt.url = format!("mqtt://127.0.0.1:{}", to_broker.port);
        if let Some(to_store) = &to_store {
            site.config.store.url = format!("postgres://test@127.0.0.1:{}/postgres", to_store.port);
        }
        let gateway = Gateway::start(&site.config).await.unwrap();
        Self { gateway, to_cic, to_broker, to_store, site }
    }

    /// With one appliance, which is connected to CIC.
    pub async fn with_speaker(plan: Plan) -> (Self, Speaker) {
        let house = Self::build(plan).await;
        let speaker = house.arrive(0).await;
        (house, speaker)
    }

    /// An appliance is switched on; returns once its session is connected and CIC has heard what
    /// it hears of every new session.
    pub async fn arrive(&self, number: usize) -> Speaker {
        let speaker = self.switch_on(number);
        speaker.session("connected").await;
        let device = &self.site.appliances[number].device;
        self.reported(device, "Settings.RequestVersionSpec").await;
        speaker
    }

    /// An appliance is switched on.
    pub fn switch_on(&self, number: usize) -> Speaker {
        let settings = self.site.appliances[number].settings.clone();
        Speaker(SimulatedAppliance::start(settings).unwrap())
    }

    /// The next dialogue works, whatever it takes, and nothing of it is under way any more.
    pub async fn recovers(&self, number: usize, speaker: &Speaker) {
        let device = &self.site.appliances[number].device;
        let count = |name: &str| {
            let fits = |seen: &&SeenEvent| seen.device == *device && seen.name.ends_with(name);
            self.site.cic.seen().iter().filter(fits).count()
        };
        let before = count(".SpeechFinished");
        speaker.recovers().await;
        let is_quiet = || {
            let ended = count(".SpeechFinished") + count(".SpeechStopped");
            count(".SpeechFinished") > before
                && ended >= count(".SpeechStarted")
                && count(".RequestVersionSpec") >= count(".RequestSynchronizeAlert")
        };
        until(async || is_quiet().then_some(())).await;
    }

    /// Waits until CIC has been told this.
    pub async fn reported(&self, device: &str, name: &str) -> SeenEvent {
        let fits = |seen: &SeenEvent| seen.device == device && seen.name == name;
        let seen = self.site.cic.wait_for(fits, LIMIT).await;
        seen.unwrap_or_else(|| panic!("{name} was not reported"))
    }

    /// `/readyz`: its status and what it says.
    pub async fn readiness(&self) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}/readyz", self.gateway.http_addr()));
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until `/readyz` answers so; returns what it says.
    pub async fn until_ready(&self, wanted: bool) -> String {
        until(async || {
            let (status, text) = self.readiness().await;
            (status == if wanted { 200 } else { 503 }).then_some(text)
        })
        .await
    }

    /// The value of a metric, by everything that stands before it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.gateway.metrics().render();
        let value =
            |line: &str| line.strip_prefix("cic_gateway_")?.strip_prefix(name)?.parse().ok();
        text.lines().find_map(|line| value(&line.replace(' ', "")))
    }

    pub async fn until_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        until(async || self.metric(name).filter(|value| wanted(*value))).await;
    }
}

/// Looks again and again until there is something.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.expect("it comes about in time")
}

fn port_of(uri: &str) -> u16 {
    uri.parse::<http::Uri>().unwrap().port_u16().unwrap()
}

/// An appliance, seen by its user.
pub struct Speaker(pub SimulatedAppliance);

impl Speaker {
    pub async fn heard(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        self.0.wait_for(wanted, LIMIT).await.expect("it was heard in time").1
    }

    pub async fn session(&self, state: &str) -> Value {
        let wanted = |heard: &Heard| matches!(heard, Heard::Session(v) if v["state"] == state);
        match self.heard(wanted).await {
            Heard::Session(value) => value,
            _ => Value::Null,
        }
    }

    pub async fn error(&self, code: &str) -> Value {
        match self.heard(|heard| matches!(heard, Heard::Error(v) if v["code"] == code)).await {
            Heard::Error(value) => value,
            _ => Value::Null,
        }
    }

    /// The question is asked until it is answered: each time that it is refused, once more.
    pub async fn recovers(&self) {
        let end = tokio::time::Instant::now() + LIMIT;
        let (mut asked, story) = (0, RefCell::new(Vec::new()));
        loop {
            assert!(tokio::time::Instant::now() < end, "asked {asked} times: {story:#?}");
            self.0.type_text(QUESTION, None);
            asked += 1;
            story.borrow_mut().push("asked".to_owned());
            let over = |heard: &Heard| {
                story.borrow_mut().push(format!("{heard:?}"));
                matches!(heard, Heard::Played { .. })
                    || matches!(heard, Heard::Error(v) if v["topic"] == "up/text")
            };
            match self.0.wait_for(over, LIMIT / 2).await {
                Some((_, Heard::Played { .. })) => return self.idle().await,
                Some(_) => tokio::time::sleep(Duration::from_millis(300)).await,
                None => {}
            }
        }
    }

    pub async fn idle(&self) {
        self.heard(|heard| matches!(heard, Heard::Dialogue(v) if v["state"] == "idle")).await;
    }
}
