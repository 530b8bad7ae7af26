//! Serves metrics for Prometheus on a separate address, if that address is set. Every command that serves uses it.
//!
//! [`describe`] has the descriptions of all metrics, [`initial`] the series that exist before anything happens, and
//! [`process`] the metrics of the process and of its build.

mod describe;
mod initial;
mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::operations::{BackupReport, DiskSpace, Pipeline, PipelineCounters};
use api::pipeline_history::{Latencies, LatencyRecorder};
use api::{AllowedHosts, Hosts, ServeOptions};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use clap::Args;
use metrics::{NoopRecorder, Recorder, counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub(crate) use initial::SeriesOf;

/// The content type of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The bucket bounds of durations in seconds. They range from a disk write to an hour on the queue.
const SECONDS: [f64; 19] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
    900.0, 3600.0,
];
/// The bucket bounds of batch sizes.
const MESSAGES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0];
/// How often recorded values are moved into buckets. Each value occupies memory until it is moved.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// The address that serves metrics for Prometheus, at `/metrics`. Clients should not be able to reach it. Metrics
    /// are off by default.
    #[arg(long, env = "ORDERS_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
}

impl MetricsArgs {
    /// The address for metrics, or `None` if metrics are off.
    pub(crate) fn read(&self) -> Result<Option<SocketAddr>, String> {
        let given = self.metrics_listen.as_ref().filter(|address| !address.is_empty());
        let read = |address: &String| {
            crate::listen::address(address)
                .map_err(|problem| format!("ORDERS_METRICS_LISTEN {address:?} {problem}"))
        };
        given.map(read).transpose()
    }
}

/// Serves metrics until the process ends. If `pipeline` is given, its counters are included. The series of the `parts`
/// exist from the start. If `latencies` are given, they are measured, also without an address.
pub(crate) async fn serve(
    address: Option<SocketAddr>,
    pipeline: Option<Arc<dyn Pipeline>>,
    parts: &[SeriesOf],
    latencies: Option<Arc<Latencies>>,
) -> anyhow::Result<()> {
    let Some(address) = address else {
        return latencies.map_or(Ok(()), |latencies| install(LatencyRecorder::new(latencies, NoopRecorder)));
    };
    let listener = crate::listen::bind(address, "--metrics-listen").await?;
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &MESSAGES)?
        .build_recorder();
    let metrics = recorder.handle();
    match latencies {
        Some(latencies) => install(LatencyRecorder::new(latencies, recorder))?,
        None => install(recorder)?,
    }
    describe::all();
    initial::register(parts);
    process::register();
    tracing::info!(listen = %listener.local_addr()?, "metrics at /metrics");
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let router = Router::new().route("/metrics", get(scrape)).with_state(ScrapeState { metrics, pipeline });
    // Web pages in a browser on this machine must not be able to read the metrics.
    let is_local = address.ip().to_canonical().is_loopback();
    let hosts = if is_local { Hosts::Local(AllowedHosts::default()) } else { Hosts::Any };
    let router = hosts.protect(router);
    let never = std::future::pending();
    tokio::spawn(async move {
        if let Err(error) = api::serve(listener, router, ServeOptions::default(), never).await {
            tracing::error!("metrics are no longer served: {error:#}");
        }
    });
    Ok(())
}

fn install(recorder: impl Recorder + Sync + 'static) -> anyhow::Result<()> {
    metrics::set_global_recorder(recorder)
        .map_err(|_| anyhow::anyhow!("another metrics recorder is installed"))
}

#[derive(Clone)]
struct ScrapeState {
    metrics: PrometheusHandle,
    pipeline: Option<Arc<dyn Pipeline>>,
}

async fn scrape(State(scraped): State<ScrapeState>) -> impl IntoResponse {
    if let Some(pipeline) = &scraped.pipeline {
        let numbers = pipeline.counters().await;
        if let Err(error) = &numbers {
            tracing::warn!("cannot read the counters of the pipeline for the metrics: {error:#}");
        }
        show(numbers.ok());
        if let Some(report) = pipeline.backup() {
            show_backup(&report);
        }
        if let Some(disk) = pipeline.disk() {
            show_disk(disk);
        }
    }
    process::measure();
    counter!(DROPPED_LINES).absolute(crate::telemetry::dropped_lines());
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], scraped.metrics.render())
}

type PipelineGauge = (&'static str, &'static str, &'static str, fn(&PipelineCounters) -> u64);

const QUEUE: &str = "orders_queue_messages";
const LEDGER: &str = "orders_ledger_events";
const DEAD_LETTERS: &str = "orders_dead_letters";
const DROPPED_LINES: &str = "orders_log_lines_dropped_total";
const DUE_LAG: &str = "orders_due_lag_seconds";
const OLDEST: &str = "orders_queue_oldest_seconds";

/// The gauges of the pipeline: name, label, label value, and how to read the value.
const LEVELS: [PipelineGauge; 8] = [
    (QUEUE, "state", "visible", |numbers| numbers.visible),
    (QUEUE, "state", "in_flight", |numbers| numbers.in_flight),
    (QUEUE, "state", "delayed", |numbers| numbers.delayed),
    (LEDGER, "end", "accepted", |numbers| numbers.ledger.accepted),
    (LEDGER, "end", "recorded", |numbers| numbers.ledger.recorded),
    (LEDGER, "end", "rejected", |numbers| numbers.ledger.rejected),
    (LEDGER, "end", "duplicate", |numbers| numbers.ledger.duplicate),
    (LEDGER, "end", "parked", |numbers| numbers.ledger.parked),
];

/// Sets the gauges of the pipeline. If the current numbers are unknown, the gauges become NaN, so that they do not keep
/// old values.
fn show(numbers: Option<PipelineCounters>) {
    let reading =
        |level: fn(&PipelineCounters) -> u64| numbers.map_or(f64::NAN, |numbers| level(&numbers) as f64);
    for (name, label, value, level) in LEVELS {
        gauge!(name, label => value).set(reading(level));
    }
    gauge!(DEAD_LETTERS).set(reading(|numbers| numbers.dead_letters));
    // An empty queue has no oldest message.
    let oldest = numbers.and_then(|numbers| match numbers.oldest {
        None if numbers.queued() == 0 => Some(0.0),
        age => age.map(|age| age.as_secs_f64()),
    });
    gauge!(OLDEST).set(oldest.unwrap_or(f64::NAN));
}

const BACKUP_LAG: &str = "orders_backup_lag_seconds";
const BACKUP_LAG_EVENTS: &str = "orders_backup_lag_events";
const BACKUP_LAST: &str = "orders_backup_last_success_timestamp_seconds";
const BACKUP_FAILURES: &str = "orders_backup_failures_total";
const BACKUP_BYTES: &str = "orders_backup_bytes_total";

/// Sets the metrics of the continuous backup. Before the first increment, the gauges are NaN.
fn show_backup(report: &BackupReport) {
    gauge!(BACKUP_LAG).set(report.lag.map_or(f64::NAN, |lag| lag.as_secs_f64()));
    gauge!(BACKUP_LAG_EVENTS).set(report.lag_events.map_or(f64::NAN, |events| events as f64));
    let last = report.last.map(|last| last.time.micros() as f64 / 1e6);
    gauge!(BACKUP_LAST).set(last.unwrap_or(f64::NAN));
    counter!(BACKUP_FAILURES).absolute(report.failures);
    counter!(BACKUP_BYTES).absolute(report.bytes_written);
}

const DISK_FREE: &str = "orders_disk_free_bytes";
const DISK_RESERVED: &str = "orders_disk_reserved_bytes";

/// Sets the gauges of the disk with the data folder.
fn show_disk(disk: DiskSpace) {
    gauge!(DISK_FREE).set(disk.free_bytes.map_or(f64::NAN, |bytes| bytes as f64));
    gauge!(DISK_RESERVED).set(disk.reserved_bytes as f64);
}
