//! Metrics of servers, for Prometheus to fetch: at an address of their own, and only if one is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::operations::{Pipeline, PipelineCounters};
use api::{AllowedHosts, Hosts, ServeOptions};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use clap::Args;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The version of the text format that is written.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Upper bounds of durations, in seconds: from a write to a disk to an hour on the queue.
const SECONDS: [f64; 19] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
    900.0, 3600.0,
];
/// Upper bounds of batches.
const MESSAGES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0];
/// How often values are put into buckets: until then each takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Where to serve metrics for Prometheus, at `/metrics`: not where clients can reach it. Without it there are none.
    #[arg(long, env = "ORDERS_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
}

impl MetricsArgs {
    /// Where to serve metrics, if anywhere.
    pub(crate) fn read(&self) -> Result<Option<SocketAddr>, String> {
        let given = self.metrics_listen.as_ref().filter(|address| !address.is_empty());
        let read = |address: &String| {
            crate::listen::address(address)
                .map_err(|fault| format!("ORDERS_METRICS_LISTEN {address:?} {fault}"))
        };
        given.map(read).transpose()
    }
}

/// Serves metrics from now on and for as long as the process lives; those of the pipeline too, where it is known.
pub(crate) async fn serve(
    address: Option<SocketAddr>,
    pipeline: Option<Arc<dyn Pipeline>>,
) -> anyhow::Result<()> {
    let Some(address) = address else { return Ok(()) };
    let listener = crate::listen::bind(address, "--metrics-listen").await?;
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &MESSAGES)?
        .build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).context("metrics are recorded elsewhere")?;
    describe();
    tracing::info!(listen = %listener.local_addr()?, "metrics at /metrics");
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let router = Router::new().route("/metrics", get(scrape)).with_state(Scraped { metrics, pipeline });
    // Pages in a browser on this machine have no business with them.
    let is_local = address.ip().to_canonical().is_loopback();
    let hosts = if is_local { Hosts::Local(AllowedHosts::default()) } else { Hosts::Any };
    let router = hosts.protect(router);
    let never = std::future::pending();
    tokio::spawn(async move {
        if let Err(error) = api::serve(listener, router, ServeOptions::default(), never).await {
            tracing::error!("no metrics any more: {error:#}");
        }
    });
    Ok(())
}

#[derive(Clone)]
struct Scraped {
    metrics: PrometheusHandle,
    pipeline: Option<Arc<dyn Pipeline>>,
}

async fn scrape(State(scraped): State<Scraped>) -> impl IntoResponse {
    if let Some(pipeline) = &scraped.pipeline {
        let numbers = pipeline.counters().await;
        if let Err(error) = &numbers {
            tracing::warn!("no numbers of the pipeline for the metrics: {error:#}");
        }
        show(numbers.ok());
    }
    counter!(DROPPED_LINES).absolute(crate::telemetry::dropped_lines());
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], scraped.metrics.render())
}

type Level = (&'static str, &'static str, &'static str, fn(&PipelineCounters) -> u64);

const QUEUE: &str = "orders_queue_messages";
const LEDGER: &str = "orders_ledger_events";
const DEAD_LETTERS: &str = "orders_dead_letters";
const DROPPED_LINES: &str = "orders_log_lines_dropped_total";
const OLDEST: &str = "orders_queue_oldest_seconds";

/// What the pipeline tells of itself, by name and label.
const LEVELS: [Level; 8] = [
    (QUEUE, "state", "visible", |numbers| numbers.visible),
    (QUEUE, "state", "in_flight", |numbers| numbers.in_flight),
    (QUEUE, "state", "delayed", |numbers| numbers.delayed),
    (LEDGER, "end", "accepted", |numbers| numbers.ledger.accepted),
    (LEDGER, "end", "recorded", |numbers| numbers.ledger.recorded),
    (LEDGER, "end", "rejected", |numbers| numbers.ledger.rejected),
    (LEDGER, "end", "duplicate", |numbers| numbers.ledger.duplicate),
    (LEDGER, "end", "parked", |numbers| numbers.ledger.parked),
];

/// Shows the numbers; without them rather none than those that were right a while ago.
fn show(numbers: Option<PipelineCounters>) {
    let told =
        |level: fn(&PipelineCounters) -> u64| numbers.map_or(f64::NAN, |numbers| level(&numbers) as f64);
    for (name, label, value, level) in LEVELS {
        gauge!(name, label => value).set(told(level));
    }
    gauge!(DEAD_LETTERS).set(told(|numbers| numbers.dead_letters));
    // Of an empty queue nothing is old.
    let oldest = numbers.and_then(|numbers| match numbers.oldest {
        None if numbers.queued() == 0 => Some(0.0),
        age => age.map(|age| age.as_secs_f64()),
    });
    gauge!(OLDEST).set(oldest.unwrap_or(f64::NAN));
}

/// Says what each metric is, where it is fetched.
fn describe() {
    use Unit::{Count, Seconds};
    let counters = [
        ("orders_http_requests_total", "Requests answered, by route, method and status"),
        ("orders_connections_closed_total", "Connections closed because others need their slots, by reason"),
        ("orders_jwks_loads_total", "Attempts to load the keys of tokens, by result"),
        ("orders_events_published_total", "Events that were to be put on the queue, by result"),
        ("orders_messages_processed_total", "Messages handled, by what became of them"),
        ("orders_messages_redelivered_total", "Messages received that had been received before"),
        (DROPPED_LINES, "Log lines that standard error did not take in time"),
        ("orders_dead_letters_parked_total", "Messages put into the dead letters, by reason"),
    ];
    let histograms = [
        (
            "orders_http_request_duration_seconds",
            "From a request's headers to its answer, by route and method",
        ),
        ("orders_publish_duration_seconds", "From handing events to the queue until they are durable"),
        ("orders_processing_duration_seconds", "From receiving a batch until its messages are done with"),
        ("orders_queue_age_seconds", "From accepting an event until it is received, each time it is"),
        ("orders_end_to_end_seconds", "From accepting an event until it is recorded"),
    ];
    let gauges = [
        (QUEUE, "Messages on the queue, by state"),
        (LEDGER, "accepted = recorded + rejected + duplicate + parked + in flight"),
        ("orders_jwks_keys", "Keys that tokens are verified with; 0 after they expired"),
        (DEAD_LETTERS, "Dead letters that wait for somebody"),
    ];
    counters.into_iter().for_each(|(name, what)| describe_counter!(name, Count, what));
    histograms.into_iter().for_each(|(name, what)| describe_histogram!(name, Seconds, what));
    gauges.into_iter().for_each(|(name, what)| describe_gauge!(name, Count, what));
    describe_histogram!("orders_batch_size", Count, "Messages received together");
    describe_gauge!(
        OLDEST,
        Seconds,
        "How long ago the oldest message on the queue was accepted, where that is known"
    );
}
