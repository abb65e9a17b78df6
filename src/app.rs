//! The wiring of a gateway: built from the last hop back, stopped in reverse.
//!
//! Called by `cic-gateway run`, by `demo` and by the integration tests, inside an actix system.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio::{sync::watch, task::JoinHandle};

#[cfg(feature = "broker")]
use crate::mqtt::broker::{Broker, BrokerSettings, GatewayLogin, Users};
use crate::{
    appliance::{
        alerts::AlertSettings,
        env::{Env, Handshakes},
        feed::Feed,
    },
    cic::{
        auth::AuthClient, auth::AuthSettings, link::Policy, session, session::SessionSettings, tls,
    },
    clock::{SharedClock, SystemClock},
    config::Config,
    http::{self, Readiness, api::Api},
    mqtt::{link::Link, link::LinkSettings, topics},
    profile::Profiles,
    provisioning::Provisioning,
    secret::Secret,
    shard::{Pulse, Router, Shard},
    store::{self, SharedStore, doings::Saver},
    telemetry::{
        metrics::Metrics,
        traces::{self, Traces},
    },
};

/// Handshakes with CIC a second, over all appliances of a process.
const HANDSHAKES_PER_SECOND: u32 = 200;
/// How long the last saves may take at the end. All bounds of the end together stay below 10 s.
const STOP_SAVING: Duration = Duration::from_secs(1);
/// How long the store's connections may take to close.
const STOP_STORE: Duration = Duration::from_secs(1);
/// The appliances' thread has time for itself each second. After so long it cannot do its work;
/// then, it will not come back.
const STANDS_STILL: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];
/// Audio that may wait for flow control in one upload: 2 s.
const MAX_UPLOAD_BACKLOG: usize = 64 * 1024;

/// How late an alert may be without having been missed: a timer is never on time to the millisecond.
const PUNCTUAL: Duration = Duration::from_secs(2);

/// A running gateway.
pub struct Gateway {
    http: http::Server,
    shard: Shard,
    saving: JoinHandle<()>,
    store: SharedStore,
    metrics: Metrics,
    feed: Feed,
    traces: Option<Traces>,
    draining: watch::Sender<bool>,
    #[cfg(feature = "broker")]
    broker: Option<Broker>,
}

impl Gateway {
    /// Builds and starts a gateway.
    ///
    /// # Errors
    /// With the reason, and the key of the configuration that it hangs on, where one does.
    pub async fn start(config: &Config) -> Result<Self> {
        Self::start_with_clock(config, Arc::new(SystemClock)).await
    }

    /// As [`Gateway::start`], with another idea of what time it is.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_with_clock(config: &Config, clock: SharedClock) -> Result<Self> {
        let metrics = Metrics::new();
        let store = open_store(config, &metrics).await?;
        // Sealed like the tokens: a wrong key shows here.
        store.gateway_password().await.context("store.secret_key")?;
        let auth = auth_client(config)?;
        let session = Arc::new(session_settings(config)?);
        #[cfg(feature = "broker")]
        let broker = start_broker(config, &store).await?;
        #[cfg(feature = "broker")]
        let embedded = broker.as_ref().map(Broker::local_addr);
        #[cfg(not(feature = "broker"))]
        let embedded: Option<SocketAddr> = None;
        let router = Router::default();
        let settings = link_settings(config, &store, embedded).await?;
        let (link, publisher) = Link::start(settings, router.handler(), metrics.clone());
        let (saver, saving) = Saver::start(store.clone());
        let feed = Feed::default();
        let traces = traces(config)?;
        let env = Rc::new(Env {
            publisher,
            store: store.clone(),
            saver,
            alerts: alert_settings(config),
            auth,
            session,
            link: Policy::default(),
            handshakes: RefCell::new(Handshakes::per_second(HANDSHAKES_PER_SECOND)),
            clock: clock.clone(),
            metrics: metrics.clone(),
            feed: feed.clone(),
            tracer: traces.as_ref().map(Traces::tracer),
            topic_root: config.mqtt.topic_root.clone(),
            max_utterance: config.limits.max_utterance,
            linger: config.cic.linger,
            result_timeout: config.cic.result_timeout,
            profiles: Profiles::configured(&config.profiles)?,
        });
        let shard = Shard::start(router, link, env).await?;
        let (draining, is_draining) = watch::channel(false);
        let connected = shard.connected();
        let (store_too, pulse) = (store.clone(), shard.pulse());
        let ready = Ready { store: store_too, connected, draining: is_draining, pulse };
        let provisioning = provisioning(config, &store, clock)?;
        let (desk, metrics_seen) = (shard.desk(), metrics.clone());
        let api = Api { provisioning, desk, feed: feed.clone(), metrics: metrics_seen };
        let (listen, token) = (config.http.listen, &config.http.admin_token);
        let http = http::start(listen, token, metrics.clone(), Arc::new(ready), api)
            .with_context(|| format!("http.listen: {} cannot be used", config.http.listen))?;
        let broker_addr = embedded.map(tracing::field::display);
        tracing::info!(http = %http.addr, broker = broker_addr, "gateway started");
        Ok(Self {
            http,
            shard,
            saving,
            store,
            metrics,
            feed,
            traces,
            draining,
            #[cfg(feature = "broker")]
            broker,
        })
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.addr
    }

    /// Where the embedded broker listens, if there is one.
    pub fn broker_addr(&self) -> Option<SocketAddr> {
        #[cfg(feature = "broker")]
        return self.broker.as_ref().map(Broker::local_addr);
        #[cfg(not(feature = "broker"))]
        None
    }

    /// All metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The store, for provisioning in the same process.
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Whether the broker connection stands.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shard.connected()
    }

    /// Drains and stops: sessions closed, `down/session` says stopped, state kept.
    pub async fn stop(self) {
        tracing::info!("gateway is stopping");
        self.draining.send_replace(true);
        self.feed.close();
        self.shard.stop().await;
        // What the actors handed in last is written before the store closes.
        if tokio::time::timeout(STOP_SAVING, self.saving).await.is_err() {
            tracing::error!("the store did not take the last changes of alerts in time");
        }
        #[cfg(feature = "broker")]
        let broker = async {
            if let Some(broker) = self.broker {
                broker.stop().await;
            }
        };
        #[cfg(not(feature = "broker"))]
        let broker = std::future::ready(());
        let store = tokio::time::timeout(STOP_STORE, self.store.close());
        let traces = async {
            if let Some(traces) = self.traces {
                traces.stop().await;
            }
        };
        let _ = tokio::join!(broker, self.http.stop(), store, traces);
        tracing::info!("gateway stopped");
    }
}

fn traces(config: &Config) -> Result<Option<Traces>> {
    let telemetry = &config.telemetry;
    if telemetry.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    if let Some(doubt) = traces::doubt(&telemetry.otlp_endpoint) {
        tracing::warn!(endpoint = telemetry.otlp_endpoint, "telemetry.otlp_endpoint: {doubt}");
    }
    let traces = Traces::start(&telemetry.otlp_endpoint, telemetry.otlp_ratio);
    Ok(Some(traces.context("telemetry.otlp_endpoint cannot be used")?))
}

/// Opens the store that the configuration names.
///
/// # Errors
/// When it cannot be opened, or its schema does not fit.
pub async fn open_store(config: &Config, metrics: &Metrics) -> Result<SharedStore> {
    let store = &config.store;
    store::open(&store.url, &store.secret_key, store.migrate, metrics.clone())
        .await
        .context("store.url cannot be used")
}

/// The auth API's client, as configured.
///
/// # Errors
/// When the URI or the trust anchor cannot be used.
pub fn auth_client(config: &Config) -> Result<AuthClient> {
    let auth = &config.auth;
    Ok(AuthClient::new(AuthSettings {
        base_uri: auth.base_uri.clone(),
        ca_pem: read_pem(&auth.ca_file, "auth.ca_file")?,
        client_id: auth.client_id.clone(),
        client_secret: auth.client_secret.clone(),
        user_agent: config.cic.user_agent.clone(),
    })?)
}

/// What provisions appliances, as configured.
///
/// # Errors
/// When the auth API's URI or trust anchor cannot be used.
pub fn provisioning(
    config: &Config,
    store: &SharedStore,
    clock: SharedClock,
) -> Result<Provisioning> {
    Ok(Provisioning {
        store: store.clone(),
        auth: auth_client(config)?,
        clock,
        max_appliances: config.limits.max_appliances,
        gateway_names: gateway_names(config).map(str::to_owned),
    })
}

/// The MQTT user name of the gateway itself.
pub fn gateway_user(config: &Config) -> &str {
    match config.mqtt.username.as_str() {
        "" => &config.mqtt.client_id,
        name => name,
    }
}

/// The names that the gateway has at the broker, and no appliance may have.
pub fn gateway_names(config: &Config) -> [&str; 2] {
    [gateway_user(config), &config.mqtt.client_id]
}

/// What every session with CIC needs.
///
/// # Errors
/// When the URI, the trust anchor or the User-Agent cannot be used.
pub fn session_settings(config: &Config) -> Result<SessionSettings> {
    let cic = &config.cic;
    let base_uri: http_types::Uri = cic.base_uri.parse().context("cic.base_uri is no URI")?;
    let ca = read_pem(&cic.ca_file, "cic.ca_file")?;
    let tls = match base_uri.scheme_str() {
        Some("http") => None,
        _ => Some(tls::client_config(ca.as_deref(), &["h2"]).context("cic.ca_file")?),
    };
    Ok(SessionSettings {
        base_uri,
        tls,
        user_agent: cic.user_agent.parse().context("cic.user_agent")?,
        connect_timeout: cic.connect_timeout,
        ping_interval: cic.ping_interval,
        ping_timeout: cic.ping_timeout,
        response_timeout: session::RESPONSE_TIMEOUT,
        idle_timeout: session::IDLE_TIMEOUT,
        max_directive: config.limits.max_directive,
        max_attachment: config.limits.max_attachment,
        max_upload_backlog: MAX_UPLOAD_BACKLOG,
    })
}

fn alert_settings(config: &Config) -> AlertSettings {
    let alerts = &config.alerts;
    AlertSettings {
        forget_offline: alerts.offline == "forget",
        past_due_window: alerts.past_due_window.max(PUNCTUAL),
        ring_timeout: alerts.ring_timeout,
    }
}

/// Where the broker is: the embedded one, or the one that `mqtt.url` names.
async fn link_settings(
    config: &Config,
    store: &SharedStore,
    embedded: Option<SocketAddr>,
) -> Result<LinkSettings> {
    let Some(addr) = embedded else { return external_broker(config) };
    Ok(LinkSettings {
        host: loopback_of(addr).to_string(),
        port: addr.port(),
        tls: broker_tls(config)?,
        username: gateway_user(config).to_owned(),
        password: store.gateway_password().await?,
        ..without_address(config)
    })
}

/// The broker that `mqtt.url` names, and the login there.
///
/// # Errors
/// When the URL or a file for TLS cannot be used.
pub fn external_broker(config: &Config) -> Result<LinkSettings> {
    let mqtt = &config.mqtt;
    let uri: http_types::Uri = mqtt.url.parse().context("mqtt.url is no URL")?;
    let host = uri.host().context("mqtt.url names no host")?.trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme_str() == Some("mqtts");
    let port = uri.port_u16().unwrap_or(if secure { 8883 } else { 1883 });
    let tls = secure.then(|| mqtt_tls(config)).transpose()?;
    Ok(LinkSettings { host, port, tls, ..without_address(config) })
}

fn without_address(config: &Config) -> LinkSettings {
    let mqtt = &config.mqtt;
    LinkSettings {
        host: String::new(),
        port: 0,
        tls: None,
        client_id: mqtt.client_id.clone(),
        username: mqtt.username.clone(),
        password: mqtt.password.clone(),
        topic_root: mqtt.topic_root.clone(),
        filters: vec![topics::subscription(&mqtt.topic_root)],
    }
}

fn mqtt_tls(config: &Config) -> Result<Arc<rustls::ClientConfig>> {
    let mqtt = &config.mqtt;
    let ca = read_pem(&mqtt.ca_file, "mqtt.ca_file")?;
    let cert = read_pem(&mqtt.client_cert_file, "mqtt.client_cert_file")?;
    let key = read_pem(&mqtt.client_key_file, "mqtt.client_key_file")?;
    let (Some(cert), Some(key)) = (cert, key) else {
        return tls::client_config(ca.as_deref(), &[]).context("mqtt.ca_file");
    };
    tls::client_config_with_identity(ca.as_deref(), &[], &cert, &key)
        .context("mqtt.ca_file, mqtt.client_cert_file, mqtt.client_key_file")
}

/// Over TLS the gateway trusts exactly the embedded broker's own certificate.
///
/// # Errors
/// When its file cannot be used.
pub fn broker_tls(config: &Config) -> Result<Option<Arc<rustls::ClientConfig>>> {
    let Some(cert) = read_pem(&config.broker.cert_file, "broker.cert_file")? else {
        return Ok(None);
    };
    Ok(Some(tls::pinned(&cert).context("broker.cert_file")?))
}

fn loopback_of(addr: SocketAddr) -> std::net::IpAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    }
}

fn read_pem(path: &str, key: &str) -> Result<Option<Vec<u8>>> {
    if path.is_empty() {
        return Ok(None);
    }
    std::fs::read(path).map(Some).with_context(|| format!("{key}: {path} cannot be read"))
}

#[cfg(feature = "broker")]
async fn start_broker(config: &Config, store: &SharedStore) -> Result<Option<Broker>> {
    let broker = &config.broker;
    if !broker.enabled {
        return Ok(None);
    }
    let tls = match (broker.cert_file.as_str(), broker.key_file.as_str()) {
        ("", _) | (_, "") => None,
        (cert, key) => Some((cert.into(), key.into())),
    };
    let settings = BrokerSettings {
        listen: broker.listen,
        data_dir: broker.data_dir.clone(),
        tls,
        topic_root: config.mqtt.topic_root.clone(),
    };
    let (user, client_id) = (gateway_user(config).to_owned(), config.mqtt.client_id.clone());
    let users = Arc::new(StoredUsers { store: store.clone(), gateway: user.clone() });
    let gateway = GatewayLogin { user, client_id };
    let started = Broker::start(settings, users, gateway).await;
    Ok(Some(started.with_context(|| format!("broker.listen: {} cannot be used", broker.listen))?))
}

/// The broker's users are the provisioned appliances and the gateway itself.
#[cfg(feature = "broker")]
struct StoredUsers {
    store: SharedStore,
    gateway: String,
}

#[cfg(feature = "broker")]
#[async_trait]
impl Users for StoredUsers {
    async fn verify(&self, user: &str, password: &[u8]) -> bool {
        let store = self.store.as_ref();
        store::provision::verify_password(store, &self.gateway, user, password).await
    }
}

struct Ready {
    store: SharedStore,
    connected: watch::Receiver<bool>,
    draining: watch::Receiver<bool>,
    pulse: Pulse,
}

impl Ready {
    fn moves(&self, within: Duration) -> Result<(), String> {
        let silent = self.pulse.silent_for();
        let why = || format!("the appliances' thread stands still for {} s", silent.as_secs());
        if silent < within { Ok(()) } else { Err(why()) }
    }
}

#[async_trait]
impl Readiness for Ready {
    async fn check(&self) -> Result<(), String> {
        if *self.draining.borrow() {
            return Err("the gateway is stopping".into());
        }
        self.moves(STANDS_STILL[0])?;
        if !*self.connected.borrow() {
            return Err("the MQTT broker is not connected".into());
        }
        self.store.ping().await.map_err(|error| error.to_string())
    }

    fn is_alive(&self) -> Result<(), String> {
        // At the end nobody looks after the appliances any more.
        if *self.draining.borrow() { Ok(()) } else { self.moves(STANDS_STILL[1]) }
    }
}

use ::http as http_types;

/// A password that the configuration names, or none.
pub fn configured_password(config: &Config) -> Option<&Secret> {
    Some(&config.mqtt.password).filter(|password| !password.is_empty())
}
