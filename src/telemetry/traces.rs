//! Traces: where finished spans go. Made and ended by [`crate::app`]; what is traced is decided by
//! [`crate::appliance::trace`].
//!
//! Spans are made with OpenTelemetry's own API, because most of them begin before anybody knows
//! that they are worth one. Without `telemetry.otlp_endpoint` nothing of this exists.

use std::time::Duration;

use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};

/// The user property of MQTT 5 that names the span of whoever sent a message.
pub const TRACEPARENT: &str = "traceparent";
/// The shortest `traceparent`: version, trace id, span id and flags.
const SHORTEST: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();
/// How long a collector may take.
const EXPORT: Duration = Duration::from_secs(5);
/// How long the last spans may take at the end.
const STOP: Duration = Duration::from_secs(1);
/// What OTLP/HTTP collectors serve traces at.
const PATH: &str = "/v1/traces";
/// Where collectors take what we do not speak.
const GRPC_PORT: u16 = 4317;

/// The way to a collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans to an OTLP/HTTP endpoint; of dialogues that nobody else traces, only
    /// this part.
    ///
    /// # Errors
    /// When the endpoint cannot be used. Whether a collector answers there shows later.
    pub fn start(
        endpoint: &str,
        ratio: f64,
    ) -> Result<Self, opentelemetry_otlp::ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(traces_url(endpoint))
            .with_timeout(EXPORT)
            .build()?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("cic-gateway").with_attribute(version);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource.build());
        Ok(Self(provider.build()))
    }

    /// What makes spans.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("cic-gateway")
    }

    /// Sends what is left, on a thread of its own, and ends.
    pub async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(STOP)).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// An endpoint without a path is the base of all signals, as OTLP has it.
fn traces_url(endpoint: &str) -> String {
    let has_path = endpoint.parse::<::http::Uri>().is_ok_and(|uri| uri.path() != "/");
    match has_path {
        true => endpoint.to_owned(),
        false => format!("{}{PATH}", endpoint.trim_end_matches('/')),
    }
}

/// What is probably wrong with an endpoint that can be used, for people.
pub fn doubt(endpoint: &str) -> Option<&'static str> {
    let port = endpoint.parse::<::http::Uri>().ok()?.port_u16()?;
    (port == GRPC_PORT).then_some(
        "4317 is the port of OTLP/gRPC, which the gateway does not speak: \
         name the one of OTLP/HTTP, usually 4318",
    )
}

/// What a `traceparent` names; nothing in particular if it is none.
pub fn parent(traceparent: Option<&str>) -> Context {
    // The propagator does not mind ids that are too short.
    match traceparent.filter(|text| text.len() >= SHORTEST) {
        Some(text) => {
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(text))
        }
        None => Context::new(),
    }
}

struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt;

    use super::*;

    #[test]
    fn an_endpoint_without_path_gets_the_usual_one() {
        for (given, used) in [
            ("http://a:4318", "http://a:4318/v1/traces"),
            ("http://a:4318/", "http://a:4318/v1/traces"),
            ("https://a/otlp/v1/traces", "https://a/otlp/v1/traces"),
        ] {
            assert_eq!(traces_url(given), used);
        }
    }

    #[test]
    fn the_port_of_another_protocol_is_doubted() {
        for (endpoint, is_doubted) in [
            ("http://collector:4317", true),
            ("https://collector:4317/v1/traces", true),
            ("http://collector:4318", false),
            ("http://collector", false),
        ] {
            assert_eq!(doubt(endpoint).is_some(), is_doubted, "{endpoint}");
        }
    }

    #[test]
    fn a_traceparent_is_read_and_nonsense_is_none() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let known = parent(Some(text)).span().span_context().clone();
        assert!(known.is_remote() && known.is_sampled());
        assert_eq!(known.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        for nonsense in [
            None,
            Some(""),
            Some("00-1-2-3"),
            Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        ] {
            assert!(!parent(nonsense).span().span_context().is_valid(), "{nonsense:?}");
        }
    }
}
