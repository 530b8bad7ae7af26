//! The report of a run: for the terminal, as JSON, and as a web page. `run` builds it after the audit.

mod html;
mod machine;
mod terminal;

use serde::Serialize;

use super::LoadRun;
use super::audit::AuditResult;
use super::cost::{self, CostEstimate};
use super::counts::{CallCounts, FailedAttempts};
use super::lives::Lives;
use super::measure::{LatencyHistogram, TimelinePoint};
use super::mix::{RequestKind, RequestMix};
use super::options::LoopMode;
use crate::base_url::BaseUrl;
use machine::ClientMachine;

/// The number of bins in a latency histogram for each power of ten.
const BINS_PER_DECADE: f64 = 20.0;

/// The report, as it is serialised. Latencies are in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct LoadReport {
    /// The version of `orders`.
    version: &'static str,
    finished_at: String,
    configuration: LoadConfiguration,
    machine: ClientMachine,
    figures: LoadFigures,
    latency: LatencyReport,
    errors: FailedAttempts,
    calls: CallCounts,
    audit: AuditResult,
    /// What arrived at the run's webhook receiver. Absent without `--webhooks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<WebhookFigures>,
    cost: CostEstimate,
    timeline: Vec<TimelinePoint>,
}

/// The flags of the run.
#[derive(Debug, Serialize)]
struct LoadConfiguration {
    url: BaseUrl,
    #[serde(flatten)]
    loop_mode: LoopMode,
    connections: usize,
    threads: usize,
    /// The duration of the measured load, in seconds. `warm_up` is in seconds, too.
    duration: f64,
    warm_up: f64,
    mix: RequestMix,
    lives: Lives,
    seed: u64,
    customers: u32,
    unordered: bool,
    shared: bool,
}

/// The figures after the warm-up.
#[derive(Debug, Serialize)]
struct LoadFigures {
    seconds: f64,
    /// Correctly answered requests.
    requests: u64,
    requests_per_second: f64,
    /// Accepted events.
    accepted: u64,
    accepted_per_second: f64,
    /// Requests of an open loop that were due but not sent by the end, because the service did not keep up.
    unsent: usize,
    retries: u64,
    /// Retries that were answered as replays. On SQS, a retry of a queued event is not recognised yet: it is accepted again,
    /// and becomes a duplicate later.
    replayed: u64,
    /// Writes whose answer was lost, and whose retry was answered as a replay.
    recovered: u64,
}

/// The deliveries to the run's webhook receiver.
#[derive(Debug, Serialize)]
struct WebhookFigures {
    /// Events that arrived for the first time.
    events: u64,
    /// Deliveries of events that had arrived before.
    repeated: u64,
    /// Latencies from the recording of an event to its first arrival.
    latency: LatencyQuantiles,
}

impl WebhookFigures {
    fn of(run: &LoadRun) -> Option<Self> {
        let (events, repeated, latencies) = run.webhooks.as_ref()?.figures();
        Some(Self { events, repeated, latency: LatencyQuantiles::of(&latencies) })
    }
}

#[derive(Debug, Serialize)]
struct LatencyReport {
    /// Latencies from the send time to the `202`.
    accept: LatencyDistribution,
    /// Latencies from the `202` to the answer that the event is recorded.
    recorded: LatencyDistribution,
    /// The latency of each kind of request.
    kinds: Vec<KindLatency>,
}

#[derive(Debug, Serialize)]
struct KindLatency {
    kind: RequestKind,
    #[serde(flatten)]
    quantiles: LatencyQuantiles,
}

#[derive(Debug, Serialize)]
struct LatencyDistribution {
    #[serde(flatten)]
    quantiles: LatencyQuantiles,
    bins: Vec<HistogramBin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct LatencyQuantiles {
    count: u64,
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
}

/// A bin of a histogram: the number of latencies that are at least `from` and below `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct HistogramBin {
    from: f64,
    to: f64,
    count: u64,
}

impl LatencyQuantiles {
    fn of(latencies: &LatencyHistogram) -> Self {
        let at = |quantile| latencies.value_at_quantile(quantile);
        Self {
            count: latencies.len(),
            mean: if latencies.is_empty() { 0.0 } else { latencies.mean() },
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: latencies.max(),
        }
    }
}

impl LatencyDistribution {
    fn of(latencies: &LatencyHistogram) -> Self {
        let mut bins: Vec<HistogramBin> = Vec::new();
        for recorded in latencies.iter_recorded() {
            let place = ((recorded.value_iterated_to().max(1) as f64).log10() * BINS_PER_DECADE).floor();
            let (from, to) =
                (10f64.powf(place / BINS_PER_DECADE), 10f64.powf((place + 1.0) / BINS_PER_DECADE));
            let count = recorded.count_since_last_iteration();
            match bins.last_mut().filter(|bin| bin.from == from) {
                Some(bin) => bin.count += count,
                None => bins.push(HistogramBin { from, to, count }),
            }
        }
        Self { quantiles: LatencyQuantiles::of(latencies), bins }
    }
}

impl LoadReport {
    pub(super) fn of(run: &LoadRun, unsent: usize, audit: AuditResult) -> Self {
        let (args, measure) = (&run.args, run.measure());
        let seconds = measure.ended.saturating_duration_since(measure.measured_from).as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let webhooks = WebhookFigures::of(run);
        let deliveries = webhooks.as_ref().map(|webhooks| webhooks.events + webhooks.repeated);
        let of_kind = |(kind, latencies)| KindLatency { kind, quantiles: LatencyQuantiles::of(latencies) };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            finished_at: infra::now().to_string(),
            configuration: LoadConfiguration {
                url: args.url.clone(),
                loop_mode: args.loop_mode(),
                connections: args.connections(),
                threads: args.threads(),
                duration: args.duration.as_secs_f64(),
                warm_up: args.warm_up.as_secs_f64(),
                mix: args.mix.clone(),
                lives: args.lives,
                seed: args.seed,
                customers: args.customers,
                unordered: args.unordered,
                shared: args.shared,
            },
            machine: ClientMachine::here(),
            figures: LoadFigures {
                seconds,
                requests: measure.measured_requests,
                requests_per_second: per_second(measure.measured_requests),
                accepted: measure.measured_accepted,
                accepted_per_second: per_second(measure.measured_accepted),
                unsent,
                retries: measure.calls.retries,
                replayed: measure.replayed,
                recovered: measure.recovered,
            },
            latency: LatencyReport {
                accept: LatencyDistribution::of(&measure.accept),
                recorded: LatencyDistribution::of(&measure.recorded),
                kinds: RequestKind::ALL.into_iter().zip(&measure.kinds).map(of_kind).collect(),
            },
            errors: measure.errors,
            calls: measure.calls,
            cost: cost::estimate(
                &measure.calls,
                &audit.calls,
                &audit.outcomes,
                measure.calls.creations as f64 / seconds.max(f64::MIN_POSITIVE),
                !args.unordered,
                deliveries,
            ),
            audit,
            webhooks,
            timeline: measure.points.clone(),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.audit.clean
    }

    pub(super) fn findings(&self) -> u64 {
        self.audit.findings.count
    }

    pub(super) fn as_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn as_html(&self) -> anyhow::Result<String> {
        html::page(self)
    }

    pub(super) fn for_terminal(&self) -> String {
        terminal::text(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(values: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut latencies = LatencyHistogram::new(3).unwrap();
        values.into_iter().for_each(|value| latencies.record(value).unwrap());
        latencies
    }

    #[test]
    fn quantiles_are_those_of_the_measured_latencies() {
        let quantiles = LatencyQuantiles::of(&latencies(1..=1000));
        let LatencyQuantiles { count, p50, p90, p99, p99_9, max, .. } = quantiles;
        assert_eq!((count, p50, p90, p99, p99_9, max), (1000, 500, 900, 990, 999, 1000));
        assert_eq!(quantiles.mean, 500.5);
        let none = LatencyQuantiles::of(&latencies([]));
        assert_eq!((none.count, none.p99, none.max, none.mean), (0, 0, 0, 0.0));
    }

    #[test]
    fn bins_contain_every_value_once_and_are_sorted() {
        let values: Vec<u64> = (1..5000).chain([90_000, 1_000_000]).collect();
        let LatencyDistribution { quantiles, bins } =
            LatencyDistribution::of(&latencies(values.iter().copied()));
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), quantiles.count);
        assert!(bins.windows(2).all(|pair| pair[0].to <= pair[1].from * 1.000_001), "{bins:?}");
        let last = bins.last().unwrap();
        assert!(last.count == 1 && last.from <= 1_000_000.0 && 1_000_000.0 < last.to, "{last:?}");
    }
}
