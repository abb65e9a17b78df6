//! Every metric of the gateway, declared in one place (contract section 5).
//!
//! No label carries an appliance id, a token or a text. A labelled family appears with its first
//! sample. Cloning is cheap: every field shares its family.

use std::{cell::RefCell, collections::BTreeMap};

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

const NAMESPACE: &str = "cic_gateway";

/// Buckets for what happens within a process, in seconds.
const RELAY_BUCKETS: &[f64] =
    &[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// Buckets for what crosses a network, in seconds.
const NETWORK_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Buckets for how much too late an alert rings, in seconds: up to the past-due window.
const LATENESS_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0];

/// All metrics, sharing one registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// `appliances{state}`: appliances by session state.
    pub appliances: IntGaugeVec,
    /// `cic_connects_total{result}`: attempts to connect, by how they ended.
    pub cic_connects: IntCounterVec,
    /// `cic_events_total{namespace,name,result}`: events, by how CIC took them.
    pub cic_events: IntCounterVec,
    /// `cic_directives_total{namespace,name,outcome}`: delivered, superseded, unknown, invalid.
    pub cic_directives: IntCounterVec,
    /// `cic_event_seconds`: request to response headers.
    pub cic_event_seconds: Histogram,
    /// `cic_ping_seconds`: PING to its acknowledgement.
    pub cic_ping_seconds: Histogram,
    /// `cic_session_errors_total{reason}`: lost sessions, by reason.
    pub cic_session_errors: IntCounterVec,
    /// `dialogue_first_audio_seconds`: end of user speech to the first TTS byte published.
    pub dialogue_first_audio_seconds: Histogram,
    /// `audio_relay_seconds`: audio message received from MQTT to handed to HTTP/2.
    pub audio_relay_seconds: Histogram,
    /// `audio_bytes_total{direction}`: up (to CIC), down (to appliances).
    pub audio_bytes: IntCounterVec,
    /// `audio_dropped_total{reason}`: audio that never reached its destination, in messages.
    pub audio_dropped: IntCounterVec,
    /// `dropped_total{what}`: everything else that was given up because a bound was reached.
    pub dropped: IntCounterVec,
    /// `mqtt_messages_total{direction,topic}`: topic is the part after `up/` or `down/`.
    pub mqtt_messages: IntCounterVec,
    /// `mqtt_connected`: 1 while the broker connection stands.
    pub mqtt_connected: IntGauge,
    /// `input_errors_total{code}`: what appliances sent and the gateway could not use.
    pub input_errors: IntCounterVec,
    /// `alerts{state}`: alerts by what has become of them.
    pub alerts: IntGaugeVec,
    /// `alert_lateness_seconds`: scheduled time to `down/alert ring`.
    pub alert_lateness_seconds: Histogram,
    /// `alert_transitions_total{type,to}`: set, ringing, stopped, deleted, missed, forgotten,
    /// failed (the appliance could not ring).
    pub alert_transitions: IntCounterVec,
    /// `orders_failed_total{namespace,name}`: directives that the appliance did not carry out.
    pub orders_failed: IntCounterVec,
    /// `store_seconds{op}`: time of a store operation.
    pub store_seconds: prometheus::HistogramVec,
    /// `store_errors_total{op}`: store operations that failed.
    pub store_errors: IntCounterVec,
    /// `token_refresh_total{result}`: ok, rejected, failed.
    pub token_refresh: IntCounterVec,
    /// `actor_restarts_total`: appliance actors that panicked or were stuck, and were respawned.
    pub actor_restarts: IntCounter,
}

impl Metrics {
    /// A fresh set with its own registry.
    pub fn new() -> Self {
        Self::declared(&Families::default())
    }

    fn declared(r: &Families) -> Self {
        let build = gauge_vec(r, "build_info", "Version of this program, always 1.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register_process(r);
        Self {
            appliances: gauge_vec(
                r,
                "appliances",
                "Provisioned appliances by the state of their session, as in down/session.",
                &["state"],
            ),
            cic_connects: counter_vec(
                r,
                "cic_connects_total",
                "Attempts to connect to CIC: connected, unreachable, unauthorized, refused, no_hello.",
                &["result"],
            ),
            cic_events: counter_vec(
                r,
                "cic_events_total",
                "Events for CIC: ok, refused (an error status), failed (no answer).",
                &["namespace", "name", "result"],
            ),
            cic_directives: counter_vec(
                r,
                "cic_directives_total",
                "Directives from CIC: delivered, superseded, unknown, invalid.",
                &["namespace", "name", "outcome"],
            ),
            cic_event_seconds: histogram(
                r,
                "cic_event_seconds",
                "Event request to response headers.",
                NETWORK_BUCKETS,
            ),
            cic_ping_seconds: histogram(
                r,
                "cic_ping_seconds",
                "HTTP/2 PING to its acknowledgement.",
                NETWORK_BUCKETS,
            ),
            cic_session_errors: counter_vec(
                r,
                "cic_session_errors_total",
                "CIC sessions that ended: requested (by the gateway), connect, status, no_hello, ping_timeout, lost.",
                &["reason"],
            ),
            dialogue_first_audio_seconds: histogram(
                r,
                "dialogue_first_audio_seconds",
                "End of user speech to the first TTS byte published.",
                NETWORK_BUCKETS,
            ),
            audio_relay_seconds: histogram(
                r,
                "audio_relay_seconds",
                "Audio message received from MQTT to handed to HTTP/2.",
                RELAY_BUCKETS,
            ),
            audio_bytes: counter_vec(
                r,
                "audio_bytes_total",
                "Audio bytes relayed: up (to CIC), down (to appliances).",
                &["direction"],
            ),
            audio_dropped: counter_vec(
                r,
                "audio_dropped_total",
                "Audio messages dropped.",
                &["reason"],
            ),
            dropped: counter_vec(
                r,
                "dropped_total",
                "Messages given up because a bound was reached.",
                &["what"],
            ),
            mqtt_messages: counter_vec(
                r,
                "mqtt_messages_total",
                "MQTT messages: up (from appliances), down; the topic behind up/ or down/, without ids.",
                &["direction", "topic"],
            ),
            mqtt_connected: gauge(r, "mqtt_connected", "1 while the broker connection stands."),
            input_errors: counter_vec(
                r,
                "input_errors_total",
                "Messages from appliances that could not be used, by the code of down/error.",
                &["code"],
            ),
            alerts: gauge_vec(r, "alerts", "Alerts by what has become of them.", &["state"]),
            alert_lateness_seconds: histogram(
                r,
                "alert_lateness_seconds",
                "Scheduled time to ring.",
                LATENESS_BUCKETS,
            ),
            alert_transitions: counter_vec(
                r,
                "alert_transitions_total",
                "What became of alerts: set, ringing, stopped, deleted, missed, forgotten, failed (the appliance could not ring).",
                &["type", "to"],
            ),
            orders_failed: counter_vec(
                r,
                "orders_failed_total",
                "Directives that the appliance did not carry out.",
                &["namespace", "name"],
            ),
            store_seconds: histogram_vec(r, "store_seconds", "Time of a store operation.", &["op"]),
            store_errors: counter_vec(
                r,
                "store_errors_total",
                "Store operations that failed.",
                &["op"],
            ),
            token_refresh: counter_vec(
                r,
                "token_refresh_total",
                "Refreshes of access tokens: ok, rejected (the pairing is gone), failed (no answer).",
                &["result"],
            ),
            actor_restarts: counter(
                r,
                "actor_restarts_total",
                "Appliance actors that panicked or were stuck, and were respawned.",
            ),
            registry: r.registry.clone(),
        }
    }

    /// What a gauge with one label says, by that label.
    pub fn by_label(&self, gauge: &IntGaugeVec) -> BTreeMap<String, i64> {
        let families = gauge.collect();
        let samples = families.iter().flat_map(|family| family.get_metric());
        let labelled = samples.filter_map(|sample| {
            let label = sample.get_label().first()?.value().to_owned();
            Some((label, sample.get_gauge().get_value() as i64))
        });
        labelled.collect()
    }

    /// The Prometheus text exposition of everything.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        debug_assert!(encoded.is_ok(), "own metric families always encode");
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// All families as a Markdown table, for `docs/metrics.md`.
pub fn reference() -> String {
    let families = Families::default();
    let _ = Metrics::declared(&families);
    let mut text = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for (kind, collector) in families.declared.borrow().iter() {
        for desc in collector.desc() {
            let labels: Vec<_> =
                desc.variable_labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, labels) = (&desc.fq_name, labels.join(", "));
            let kind = match *kind {
                "process" if name.ends_with("_total") => "counter",
                "process" => "gauge",
                kind => kind,
            };
            text += &format!("| `{name}` | {kind} | {labels} | {} |\n", desc.help);
        }
    }
    text
}

/// CPU, memory, files and threads, under the names that every Prometheus client has for them.
#[cfg(target_os = "linux")]
fn register_process(families: &Families) {
    use prometheus::process_collector::ProcessCollector;
    let registered = families.registry.register(Box::new(ProcessCollector::for_self()));
    registered.expect("each name is registered once");
    families.declared.borrow_mut().push(("process", Box::new(ProcessCollector::for_self())));
}

#[cfg(not(target_os = "linux"))]
fn register_process(_: &Families) {}

/// What has been declared, in order.
#[derive(Default)]
struct Families {
    registry: Registry,
    declared: RefCell<Vec<(&'static str, Box<dyn Collector>)>>,
}

fn register<C: Collector + Clone + 'static>(
    families: &Families,
    kind: &'static str,
    made: prometheus::Result<C>,
) -> C {
    let collector = made.expect("metric names and labels are constants of this file");
    let registered = families.registry.register(Box::new(collector.clone()));
    registered.expect("each name is registered once");
    families.declared.borrow_mut().push((kind, Box::new(collector.clone())));
    collector
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}

fn counter(r: &Families, name: &str, help: &str) -> IntCounter {
    register(r, "counter", IntCounter::with_opts(opts(name, help)))
}

fn counter_vec(r: &Families, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(r, "counter", IntCounterVec::new(opts(name, help), labels))
}

fn gauge(r: &Families, name: &str, help: &str) -> IntGauge {
    register(r, "gauge", IntGauge::with_opts(opts(name, help)))
}

fn gauge_vec(r: &Families, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(r, "gauge", IntGaugeVec::new(opts(name, help), labels))
}

fn histogram(r: &Families, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts::new(name, help).namespace(NAMESPACE).buckets(buckets.to_vec());
    register(r, "histogram", Histogram::with_opts(opts))
}

fn histogram_vec(
    r: &Families,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::HistogramVec {
    let opts =
        HistogramOpts::new(name, help).namespace(NAMESPACE).buckets(NETWORK_BUCKETS.to_vec());
    register(r, "histogram", prometheus::HistogramVec::new(opts, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposition_starts_with_build_info_and_shows_families_with_their_first_sample() {
        let metrics = Metrics::new();
        let version = env!("CARGO_PKG_VERSION");
        assert!(
            metrics
                .render()
                .contains(&format!("cic_gateway_build_info{{version=\"{version}\"}} 1"))
        );
        assert!(!metrics.render().contains("cic_gateway_input_errors_total"));
        metrics.input_errors.with_label_values(&["invalid_json"]).inc();
        assert!(
            metrics.render().contains("cic_gateway_input_errors_total{code=\"invalid_json\"} 1")
        );
    }

    #[test]
    #[allow(clippy::unwrap_used)]
    fn the_reference_names_every_metric() {
        // Written anew with: UPDATE_DOCS=1 cargo test the_reference
        let page = format!("{}\n{}", include_str!("metrics_head.md.in"), reference());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write("docs/metrics.md", &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string("docs/metrics.md").unwrap(), page);
    }

    #[test]
    fn names_and_labels_are_as_prometheus_wants_them() {
        let page = reference();
        let text = Metrics::new().render();
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
        for line in page.lines().skip(2) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let (name, kind, help) = (cells[1].trim_matches('`'), cells[2], cells[4]);
            let own = name.starts_with("cic_gateway_") || name.starts_with("process_");
            assert!(own, "{name} has our prefix");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            if kind == "histogram" {
                assert!(name.ends_with("_seconds"), "{name} is in base units");
            }
            let snake = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(snake), "{name}");
            assert!(help.ends_with('.') && help.len() > 10, "{name} says what it is: {help}");
            for label in cells[3].split(", ").map(|label| label.trim_matches('`')) {
                assert!(label.chars().all(snake), "{name}: {label}");
                let identity = ["appliance", "id", "token", "text", "device"].contains(&label);
                assert!(!identity, "{name}: {label} tells who or what was said");
            }
        }
    }
}
