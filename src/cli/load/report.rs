//! What a load run found out, for people and for programs.

use std::{fmt, time::Duration};

use serde::Serialize;

/// The figures; JSON has these names in camel case.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// What the audio went through: `gateway`, `direct`, `nghttpx` or `haproxy`.
    pub(super) through: &'static str,
    /// With the gateway: `own` (processor and memory include it) or `mosquitto`.
    pub(super) broker: Option<&'static str>,
    pub(super) appliances: u32,
    pub(super) speaking: u32,
    pub(super) seconds: u64,
    pub(super) ramp_seconds: u64,
    pub(super) message_milliseconds: u64,
    /// From starting again until every appliance was connected.
    pub(super) restart_seconds: Option<f64>,
    /// The most memory up to then.
    pub(super) restart_peak_kib: Option<f64>,
    pub(super) wall_seconds: f64,
    pub(super) audio_bytes: u64,
    /// Of what the audio went through.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) cpu_seconds_per_gigabyte: Option<f64>,
    pub(super) failed_utterances: usize,
    /// By the gateway's own account.
    pub(super) dropped_audio_messages: Option<f64>,
    pub(super) relay_milliseconds_p50: Option<f64>,
    pub(super) relay_milliseconds_p99: Option<f64>,
    pub(super) end_to_end_due: usize,
    /// Those that arrived; a percentile beyond them is `null`.
    pub(super) end_to_end_messages: usize,
    pub(super) end_to_end_milliseconds_p50: Option<f64>,
    pub(super) end_to_end_milliseconds_p90: Option<f64>,
    pub(super) end_to_end_milliseconds_p99: Option<f64>,
    pub(super) end_to_end_milliseconds_max: Option<f64>,
    /// Before anybody was connected.
    pub(super) baseline_resident_kib: Option<f64>,
    /// Fresh: connected, and never spoken.
    pub(super) fresh_kib_per_appliance: Option<f64>,
    /// At the end, after those that speak have spoken.
    pub(super) used_kib_per_appliance: Option<f64>,
    pub(super) peak_resident_kib: Option<f64>,
}

impl Report {
    /// What the gateway's own metrics say.
    pub(super) fn add_metrics(&mut self, metrics: &str) {
        let milliseconds = |quantile| relay_quantile(metrics, quantile).map(|s| s * 1000.0);
        self.dropped_audio_messages = Some(sum(metrics, "cic_gateway_audio_dropped_total"));
        self.relay_milliseconds_p50 = milliseconds(0.50);
        self.relay_milliseconds_p99 = milliseconds(0.99);
    }

    /// Processor time that it took.
    pub(super) fn add_cpu(&mut self, seconds: f64) {
        self.cpu_seconds = Some(seconds);
        let gigabytes = self.audio_bytes as f64 / 1e9;
        self.cpu_seconds_per_gigabyte = (gigabytes > 0.0).then(|| seconds / gigabytes);
    }

    /// Messages that did not arrive.
    pub(super) fn lost(&self) -> usize {
        self.end_to_end_due - self.end_to_end_messages.min(self.end_to_end_due)
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
        let through = match self.broker {
            Some("own") => "the gateway with its own broker",
            Some(_) => "Mosquitto and the gateway",
            None => self.through,
        };
        writeln!(
            f,
            "{} appliances, {} speaking for {} s, started within {} s, a message every {} ms, through {through}",
            self.appliances,
            self.speaking,
            self.seconds,
            self.ramp_seconds,
            self.message_milliseconds
        )?;
        self.fmt_start(f)?;
        self.fmt_audio(f)?;
        self.fmt_cost(f)
    }
}

impl Report {
    fn fmt_start(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(seconds), Some(peak)) = (self.restart_seconds, self.restart_peak_kib) else {
            return Ok(());
        };
        writeln!(f, "restart      all connected after {seconds:.1} s, {} at most", mib(peak))
    }

    fn fmt_audio(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.speaking == 0 {
            return Ok(());
        }
        let wall = self.wall_seconds;
        writeln!(f, "audio        {:.1} MB in {wall:.1} s", self.audio_bytes as f64 / 1e6)?;
        writeln!(
            f,
            "lost         {} utterances failed, {} of {} audio messages not heard by CLOVA",
            self.failed_utterances,
            self.lost(),
            self.end_to_end_due
        )?;
        if self.relay_milliseconds_p50.is_some() {
            writeln!(
                f,
                "relay        p50 {}, p99 {}: from the broker's message to HTTP/2 (audio_relay_seconds)",
                ms(self.relay_milliseconds_p50),
                ms(self.relay_milliseconds_p99)
            )?;
        }
        writeln!(
            f,
            "end to end   p50 {}, p90 {}, p99 {}, max {}: from when a message was due at the speaker until CLOVA's side has it (one that never arrives counts as the latest{})",
            ms(self.end_to_end_milliseconds_p50),
            ms(self.end_to_end_milliseconds_p90),
            ms(self.end_to_end_milliseconds_p99),
            ms(self.end_to_end_milliseconds_max),
            if self.broker.is_some() && self.message_milliseconds < 200 {
                "; CLOVA gets slices of 200 ms, for which shorter messages wait"
            } else {
                ""
            }
        )
    }

    fn fmt_cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cpu) = self.cpu_seconds {
            let share = 100.0 * cpu / self.wall_seconds.max(f64::MIN_POSITIVE);
            write!(f, "processor    {cpu:.2} s ({share:.1} % of a core)")?;
            match self.cpu_seconds_per_gigabyte {
                Some(cpu) => writeln!(f, ", {cpu:.1} s per GB of audio")?,
                None => writeln!(f)?,
            }
        }
        if let (Some(baseline), Some(fresh), Some(used), Some(peak)) = (
            self.baseline_resident_kib,
            self.fresh_kib_per_appliance,
            self.used_kib_per_appliance,
            self.peak_resident_kib,
        ) {
            write!(
                f,
                "memory       {} alone, {fresh:.1} KiB more for each appliance, {used:.1} KiB at the end, {} at most",
                mib(baseline),
                mib(peak)
            )?;
        }
        Ok(())
    }
}

fn ms(value: Option<f64>) -> String {
    value.map_or("none".to_owned(), |ms| format!("{ms:.2} ms"))
}

fn mib(kib: f64) -> String {
    format!("{:.1} MiB", kib / 1024.0)
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
        let mut report = Report {
            audio_bytes: 2_000_000_000,
            wall_seconds: 10.0,
            speaking: 1,
            ..Report::default()
        };
        report.add_cpu(3.0);
        assert_eq!(report.cpu_seconds_per_gigabyte, Some(1.5));
        let text = report.to_string();
        assert!(text.contains("(30.0 % of a core), 1.5 s per GB of audio"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["cpuSecondsPerGigabyte"], 1.5);
    }

    #[test]
    fn an_idle_fleet_has_no_cost_per_audio() {
        let mut report = Report { wall_seconds: 10.0, ..Report::default() };
        report.add_cpu(1.0);
        let text = report.to_string();
        assert!(text.contains("10.0 % of a core") && !text.contains("per GB"), "{text}");
        assert!(!text.contains("end to end"), "{text}");
    }
}
