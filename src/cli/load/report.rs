//! What a load run found out, for people and for programs.

use std::{fmt, time::Duration};

use serde::Serialize;

/// The figures; JSON has these names in camel case.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) appliances: usize,
    pub(super) speaking: usize,
    pub(super) seconds: u64,
    pub(super) ramp_seconds: u64,
    /// Whether processor and memory include the gateway's own broker.
    pub(super) own_broker: bool,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) cpu_seconds_per_gigabyte: Option<f64>,
    pub(super) audio_bytes: f64,
    pub(super) failed_utterances: usize,
    pub(super) dropped_audio_messages: f64,
    /// Said, and not in what the simulated CIC heard.
    pub(super) lost_audio_messages: u64,
    pub(super) relay_milliseconds_p50: Option<f64>,
    pub(super) relay_milliseconds_p99: Option<f64>,
    pub(super) end_to_end_due: usize,
    /// Those that arrived; a percentile beyond them is `null`.
    pub(super) end_to_end_messages: usize,
    pub(super) end_to_end_milliseconds_p50: Option<f64>,
    pub(super) end_to_end_milliseconds_p90: Option<f64>,
    pub(super) end_to_end_milliseconds_p99: Option<f64>,
    pub(super) end_to_end_milliseconds_max: Option<f64>,
    pub(super) baseline_resident_kib: f64,
    pub(super) resident_kib_per_appliance: f64,
    pub(super) peak_resident_kib: f64,
}

impl Report {
    /// What the gateway's own metrics say.
    pub(super) fn add_metrics(&mut self, metrics: &str) {
        let milliseconds = |quantile| relay_quantile(metrics, quantile).map(|s| s * 1000.0);
        self.audio_bytes = sum(metrics, "cic_gateway_audio_bytes_total{direction=\"up\"}");
        self.dropped_audio_messages = sum(metrics, "cic_gateway_audio_dropped_total");
        self.relay_milliseconds_p50 = milliseconds(0.50);
        self.relay_milliseconds_p99 = milliseconds(0.99);
        let gigabytes = self.audio_bytes / 1e9;
        self.cpu_seconds_per_gigabyte = (gigabytes > 0.0).then(|| self.cpu_seconds / gigabytes);
    }

    /// How late messages arrived, the least late first, of so many that were due. One that never
    /// arrived is later than all others: losing messages must not make the rest look fast.
    pub(super) fn add_latencies(&mut self, sorted: &[Duration], due: usize) {
        let at = |share: f64| {
            let rank = (due as f64 * share).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map(|late| late.as_secs_f64() * 1000.0)
        };
        self.end_to_end_due = due;
        self.end_to_end_messages = sorted.len();
        self.end_to_end_milliseconds_p50 = at(0.50);
        self.end_to_end_milliseconds_p90 = at(0.90);
        self.end_to_end_milliseconds_p99 = at(0.99);
        self.end_to_end_milliseconds_max = at(1.0);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |value: Option<f64>| value.map_or("none".to_owned(), |ms| format!("{ms:.2} ms"));
        let mib = |kib: f64| format!("{:.1} MiB", kib / 1024.0);
        let (wall, cpu) = (self.wall_seconds, self.cpu_seconds);
        writeln!(
            f,
            "{} appliances, {} speaking for {} s, started within {} s",
            self.appliances, self.speaking, self.seconds, self.ramp_seconds
        )?;
        writeln!(f, "audio        {:.1} MB in {wall:.1} s", self.audio_bytes / 1e6)?;
        writeln!(
            f,
            "lost         {} utterances failed, {} audio messages dropped by the gateway, {} not heard by CLOVA",
            self.failed_utterances, self.dropped_audio_messages, self.lost_audio_messages
        )?;
        writeln!(
            f,
            "processor    {cpu:.2} s of the gateway{} ({:.0} % of a core), {} s per GB of audio",
            if self.own_broker { " with its broker" } else { "" },
            100.0 * cpu / wall.max(f64::MIN_POSITIVE),
            self.cpu_seconds_per_gigabyte.map_or("-".to_owned(), |cpu| format!("{cpu:.1}"))
        )?;
        writeln!(
            f,
            "relay        p50 {}, p99 {}: from the broker's message to HTTP/2 (audio_relay_seconds)",
            ms(self.relay_milliseconds_p50),
            ms(self.relay_milliseconds_p99)
        )?;
        writeln!(
            f,
            "end to end   p50 {}, p90 {}, p99 {}, max {}: from when a message of 100 ms was due at the speaker until its last byte is decrypted at CLOVA's side ({} of {} messages arrived, the others count as the latest; CIC gets slices of 200 ms, so that every other message waits 100 ms for the next)",
            ms(self.end_to_end_milliseconds_p50),
            ms(self.end_to_end_milliseconds_p90),
            ms(self.end_to_end_milliseconds_p99),
            ms(self.end_to_end_milliseconds_max),
            self.end_to_end_messages,
            self.end_to_end_due
        )?;
        write!(
            f,
            "memory       {} alone, {:.1} KiB more for each appliance, {} at most",
            mib(self.baseline_resident_kib),
            self.resident_kib_per_appliance,
            mib(self.peak_resident_kib)
        )
    }
}

/// The sum of all samples whose name begins so.
fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .fold(0.0, |sum, value| sum + value)
}

/// A quantile of `audio_relay_seconds`, interpolated within its bucket.
fn relay_quantile(metrics: &str, quantile: f64) -> Option<f64> {
    let prefix = "cic_gateway_audio_relay_seconds_bucket{le=\"";
    let buckets = metrics.lines().filter_map(|line| {
        let (bound, count) = line.strip_prefix(prefix)?.split_once("\"} ")?;
        Some((bound.parse().unwrap_or(f64::INFINITY), count.parse::<f64>().ok()?))
    });
    let buckets: Vec<(f64, f64)> = buckets.collect();
    let wanted = buckets.last()?.1 * quantile;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if count >= wanted && count > below {
            let share = (wanted - below) / (count - below);
            return Some(if bound.is_finite() { low + (bound - low) * share } else { low });
        }
        (low, below) = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated_within_their_bucket() {
        let name = "cic_gateway_audio_relay_seconds_bucket";
        let text = format!(
            "{name}{{le=\"0.001\"}} 50\n{name}{{le=\"0.002\"}} 100\n{name}{{le=\"+Inf\"}} 100\n"
        );
        assert_eq!(relay_quantile(&text, 0.5), Some(0.001));
        assert_eq!(relay_quantile(&text, 0.75), Some(0.0015));
        assert_eq!(relay_quantile("", 0.5), None);
        assert_eq!(sum("a_total{x=\"1\"} 2\na_total{x=\"2\"} 3\nb 9\n", "a_total"), 5.0);
    }

    #[test]
    fn percentiles_are_the_smallest_value_that_covers_the_share() {
        let mut report = Report::default();
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        report.add_latencies(&sorted, 200);
        assert_eq!(report.end_to_end_milliseconds_p50, Some(100.0));
        assert_eq!(report.end_to_end_milliseconds_p99, Some(198.0));
        assert_eq!(report.end_to_end_milliseconds_max, Some(200.0));
        // As many again were lost: the slowest that arrived is the median.
        report.add_latencies(&sorted, 400);
        assert_eq!(report.end_to_end_milliseconds_p50, Some(200.0));
        assert_eq!(report.end_to_end_milliseconds_p90, None);
        assert_eq!(report.end_to_end_milliseconds_max, None);
    }

    #[test]
    fn cpu_is_related_to_the_audio_that_it_moved() {
        let mut report = Report { cpu_seconds: 3.0, wall_seconds: 10.0, ..Report::default() };
        report.add_metrics("cic_gateway_audio_bytes_total{direction=\"up\"} 2e9\n");
        assert_eq!(report.cpu_seconds_per_gigabyte, Some(1.5));
        let text = report.to_string();
        assert!(text.contains("(30 % of a core), 1.5 s per GB of audio"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["cpuSecondsPerGigabyte"], 1.5);
    }
}
