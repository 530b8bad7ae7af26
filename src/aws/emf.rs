//! The metrics of Lambda functions. The recorder writes them as log lines in the [embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
//! from which CloudWatch extracts them. `lambda` installs the recorder and flushes it after each invocation.
//! `docs/decisions/emf-recorder.md` explains why we do not use a library.
//!
//! Only the metrics in [`EXPORTED`] are written, and of these only the watched ones, unless the function logs at `debug`.
//! CloudWatch bills each combination of a metric and its dimensions, and the bytes of the lines, so new counters in the code
//! are not exported automatically.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{AtomicStorage, Registry};
use serde_json::Value;

const NAMESPACE: &str = "OrderProcessing";
/// The maximum number of values of one metric in a log line.
const MAX_VALUES: usize = 100;

/// A metric that is exported to CloudWatch, and how it is exported.
#[derive(Clone, Copy)]
struct ExportedMetric {
    /// The metric's name in this program.
    recorded: &'static str,
    /// The metric's name in CloudWatch.
    metric: &'static str,
    unit: &'static str,
    /// The factor that converts the program's unit to the exported unit.
    factor: f64,
    /// The label that becomes a dimension, and the dimension's name.
    dimension: Option<(&'static str, &'static str)>,
    /// Whether an alarm or the dashboard of `infra/terraform` reads the metric. A test compares this with the module.
    is_watched: bool,
}

/// Which of the exported metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those that alarms and the dashboard read.
    Watched,
    All,
}

impl ExportedMetric {
    fn is_counter(&self) -> bool {
        self.recorded.ends_with("_total")
    }
}

const fn metric(
    recorded: &'static str,
    metric: &'static str,
    unit: &'static str,
    factor: f64,
) -> ExportedMetric {
    ExportedMetric { recorded, metric, unit, factor, dimension: None, is_watched: false }
}

const fn count(
    recorded: &'static str,
    metric: &'static str,
    dimension: (&'static str, &'static str),
) -> ExportedMetric {
    let (unit, dimension) = ("Count", Some(dimension));
    ExportedMetric { recorded, metric, unit, factor: 1.0, dimension, is_watched: false }
}

const fn watched(metric: ExportedMetric) -> ExportedMetric {
    ExportedMetric { is_watched: true, ..metric }
}

const EXPORTED: [ExportedMetric; 19] = [
    watched(count("orders_messages_processed_total", "MessagesProcessed", ("status", "Status"))),
    count("orders_dead_letters_parked_total", "MessagesParked", ("reason", "Reason")),
    count("orders_events_published_total", "EventsPublished", ("result", "Result")),
    metric("orders_messages_redelivered_total", "MessagesRedelivered", "Count", 1.0),
    metric("orders_batch_size", "BatchSize", "Count", 1.0),
    metric("orders_processing_duration_seconds", "ProcessingDuration", "Milliseconds", 1000.0),
    metric("orders_queue_age_seconds", "QueueAge", "Milliseconds", 1000.0),
    metric("orders_end_to_end_seconds", "EndToEndLatency", "Milliseconds", 1000.0),
    metric("orders_publish_duration_seconds", "PublishLatency", "Milliseconds", 1000.0),
    metric("orders_due_proposed_total", "DueProposed", "Count", 1.0),
    watched(metric("orders_due_late_seconds", "DueLateness", "Milliseconds", 1000.0)),
    metric("orders_relay_events_total", "EventsRelayed", "Count", 1.0),
    watched(metric("orders_relay_lag_seconds", "RelayLag", "Milliseconds", 1000.0)),
    watched(count("orders_output_events_total", "OutputEvents", ("result", "Result"))),
    count("orders_webhook_attempts_total", "WebhookAttempts", ("result", "Result")),
    metric("orders_webhook_attempt_duration_seconds", "WebhookAttemptDuration", "Milliseconds", 1000.0),
    watched(metric("orders_webhook_given_up_total", "WebhookDeliveriesGivenUp", "Count", 1.0)),
    watched(metric("orders_webhook_stopped_total", "WebhookSubscriptionsStopped", "Count", 1.0)),
    metric("orders_http_request_duration_seconds", "RequestDuration", "Milliseconds", 1000.0),
];

/// The dispositions that also count as `Success` in the dimension `Status`, as they did in the metrics of the v0
/// consumer. All other dispositions count as `Failure`. Neither is watched.
const SUCCESSES: [&str; 5] = ["Archived", "Completed", "Duplicate", "Recorded", "Rejected"];

static RECORDER: OnceLock<EmfRecorder> = OnceLock::new();

/// The metrics recorded since the last flush.
struct EmfRecorder {
    role: String,
    choice: Choice,
    registry: Registry<Key, AtomicStorage>,
}

/// Installs the recorder. The process may call it only once.
pub(crate) fn install(role: &str, choice: Choice) -> anyhow::Result<()> {
    let recorder = EmfRecorder { role: role.to_owned(), choice, registry: Registry::new(AtomicStorage) };
    let recorder = RECORDER.get_or_init(|| recorder);
    metrics::set_global_recorder(EmfHandle(recorder)).context("another metrics recorder is installed already")
}

/// Writes the metrics recorded since the last flush and resets them. The caller must flush before it answers an
/// invocation, because the execution environment may be frozen afterwards.
pub(crate) fn flush() {
    let Some(recorder) = RECORDER.get() else { return };
    let lines = recorder.take().lines(&recorder.role, now_millis());
    // A failed write is not reported, because the report would go to the same log.
    let _ = std::io::stdout().lock().write_all(lines.as_bytes());
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

struct EmfHandle(&'static EmfRecorder);

impl Recorder for EmfHandle {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.registry.get_or_create_counter(key, |counter| Counter::from_arc(counter.clone()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.registry.get_or_create_histogram(key, |histogram| Histogram::from_arc(histogram.clone()))
    }
}

impl EmfRecorder {
    fn take(&self) -> EmfBatch {
        let mut taken = EmfBatch { choice: self.choice, groups: BTreeMap::new() };
        self.registry.visit_counters(|key, counter| {
            let count = counter.swap(0, Ordering::Relaxed);
            if count > 0 {
                taken.add(key, &[count as f64]);
            }
        });
        self.registry.visit_histograms(|key, histogram| {
            histogram.clear_with(|values| taken.add(key, values));
        });
        taken
    }
}

/// A dimension and its value, or `None` for metrics without a dimension.
type Dimension = Option<(&'static str, String)>;

/// The unit and the values of each metric.
type Metrics = BTreeMap<&'static str, (&'static str, Vec<f64>)>;

/// The metrics of a flush, grouped by dimension.
struct EmfBatch {
    choice: Choice,
    groups: BTreeMap<Dimension, Metrics>,
}

impl EmfBatch {
    fn add(&mut self, key: &Key, values: &[f64]) {
        let Some(metric) = EXPORTED.iter().find(|metric| metric.recorded == key.name()) else { return };
        if self.choice == Choice::Watched && !metric.is_watched {
            return;
        }
        let dimension = metric.dimension.map(|(label, name)| {
            let value = key.labels().find(|it| it.key() == label).map_or("none", |it| it.value());
            (name, pascal_case(value))
        });
        if let Some(("Status", status)) = &dimension
            && self.choice == Choice::All
        {
            let success = SUCCESSES.contains(&status.as_str());
            let coarse = if success { "Success" } else { "Failure" };
            self.put(Some(("Status", coarse.to_owned())), metric, values);
        }
        self.put(dimension, metric, values);
    }

    fn put(&mut self, dimension: Dimension, metric: &ExportedMetric, values: &[f64]) {
        let metrics = self.groups.entry(dimension).or_default();
        let (_, all) = metrics.entry(metric.metric).or_insert((metric.unit, Vec::new()));
        all.extend(values.iter().map(|value| value * metric.factor));
        if metric.is_counter() {
            // Only one label becomes a dimension. Counters that differ only in the remaining labels are added up.
            let sum = all.drain(..).sum();
            all.push(sum);
        }
    }

    /// One line for each dimension. The first one also has the metrics without a dimension, so that most invocations
    /// write one line. A metric with more than [`MAX_VALUES`] values takes several lines.
    fn lines(mut self, role: &str, timestamp: u64) -> String {
        let mut plain = self.groups.remove(&None).unwrap_or_default();
        let mut lines = String::new();
        loop {
            let mut group = self.groups.pop_first();
            if plain.is_empty() && group.is_none() {
                return lines;
            }
            let of_group = group.as_mut().map(|(dimension, metrics)| (&*dimension, metrics));
            lines += &line(role, timestamp, &mut plain, of_group);
            lines.push('\n');
            if let Some((dimension, metrics)) = group.filter(|(_, metrics)| !metrics.is_empty()) {
                self.groups.insert(dimension, metrics);
            }
        }
    }
}

/// Formats one line, with metrics without a dimension and those of one dimension, and removes the values that the line
/// contains. The formatting is hand-written for speed, because every batch writes a line. Only the role and the
/// dimension's value need escaping.
fn line(
    role: &str,
    timestamp: u64,
    plain: &mut Metrics,
    group: Option<(&Dimension, &mut Metrics)>,
) -> String {
    // Lambda treats a line without a level as INFO and drops it if the function's log level is WARN.
    let mut line = format!(r#"{{"level":"WARN","role":{}"#, Value::from(role));
    let mut directives = Vec::new();
    if !plain.is_empty() {
        directives.push(directive("", &add_values(&mut line, plain)));
    }
    if let Some((dimension, metrics)) = group {
        let names = add_values(&mut line, metrics);
        let (name, value) = dimension.as_ref().map_or(("", ""), |(name, value)| (*name, value.as_str()));
        line += &format!(r#","{name}":{}"#, Value::from(value));
        directives.push(directive(&format!(r#""{name}""#), &names));
    }
    let directives = directives.join(",");
    line + &format!(r#","_aws":{{"Timestamp":{timestamp},"CloudWatchMetrics":[{directives}]}}}}"#)
}

/// Adds the first values of each metric to the line, and removes them. Returns the names and units of the metrics.
fn add_values(line: &mut String, metrics: &mut Metrics) -> String {
    let mut names = Vec::new();
    for (name, (unit, values)) in metrics.iter_mut() {
        let of_line = values.drain(..values.len().min(MAX_VALUES));
        let of_line = of_line.map(|value| Value::from(rounded(value)).to_string()).collect::<Vec<_>>();
        names.push(format!(r#"{{"Name":"{name}","Unit":"{unit}"}}"#));
        *line += &match &of_line[..] {
            [value] => format!(r#","{name}":{value}"#),
            values => format!(r#","{name}":[{}]"#, values.join(",")),
        };
    }
    metrics.retain(|_, (_, values)| !values.is_empty());
    names.join(",")
}

/// A value with at most three decimals: a microsecond, for those in milliseconds.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn directive(dimensions: &str, metrics: &str) -> String {
    format!(r#"{{"Namespace":"{NAMESPACE}","Dimensions":[[{dimensions}]],"Metrics":[{metrics}]}}"#)
}

/// Converts `behind_parked` to `BehindParked`, the style of the dimension values.
fn pascal_case(value: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    value.split('_').map(word).collect()
}
