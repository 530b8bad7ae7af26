//! The metrics of Lambda functions. The recorder writes them as log lines in the [embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
//! from which CloudWatch extracts them. `lambda` installs the recorder and flushes it after each invocation.
//! `docs/decisions/emf-recorder.md` explains why we do not use a library.
//!
//! Only the metrics in [`EXPORTED`] are written. CloudWatch bills each combination of a metric and its dimensions, so
//! new counters in the code are not exported automatically. Metrics of requests are not exported because API Gateway
//! already has them.

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
    ExportedMetric { recorded, metric, unit, factor, dimension: None }
}

const EXPORTED: [ExportedMetric; 19] = [
    ExportedMetric {
        dimension: Some(("status", "Status")),
        ..metric("orders_messages_processed_total", "MessagesProcessed", "Count", 1.0)
    },
    ExportedMetric {
        dimension: Some(("reason", "Reason")),
        ..metric("orders_dead_letters_parked_total", "MessagesParked", "Count", 1.0)
    },
    ExportedMetric {
        dimension: Some(("result", "Result")),
        ..metric("orders_events_published_total", "EventsPublished", "Count", 1.0)
    },
    metric("orders_messages_redelivered_total", "MessagesRedelivered", "Count", 1.0),
    metric("orders_batch_size", "BatchSize", "Count", 1.0),
    metric("orders_processing_duration_seconds", "ProcessingDuration", "Milliseconds", 1000.0),
    metric("orders_queue_age_seconds", "QueueAge", "Milliseconds", 1000.0),
    metric("orders_end_to_end_seconds", "EndToEndLatency", "Milliseconds", 1000.0),
    metric("orders_publish_duration_seconds", "PublishLatency", "Milliseconds", 1000.0),
    metric("orders_due_proposed_total", "DueProposed", "Count", 1.0),
    metric("orders_due_late_seconds", "DueLateness", "Milliseconds", 1000.0),
    metric("orders_relay_events_total", "EventsRelayed", "Count", 1.0),
    metric("orders_relay_lag_seconds", "RelayLag", "Milliseconds", 1000.0),
    ExportedMetric {
        dimension: Some(("result", "Result")),
        ..metric("orders_output_events_total", "OutputEvents", "Count", 1.0)
    },
    ExportedMetric {
        dimension: Some(("result", "Result")),
        ..metric("orders_webhook_attempts_total", "WebhookAttempts", "Count", 1.0)
    },
    metric("orders_webhook_attempt_duration_seconds", "WebhookAttemptDuration", "Milliseconds", 1000.0),
    metric("orders_webhook_given_up_total", "WebhookDeliveriesGivenUp", "Count", 1.0),
    metric("orders_webhook_stopped_total", "WebhookSubscriptionsStopped", "Count", 1.0),
    metric("orders_http_request_duration_seconds", "RequestDuration", "Milliseconds", 1000.0),
];

/// The dispositions that also count as `Success` in the dimension `Status`, as they did in the metrics of the v0
/// consumer. All other dispositions count as `Failure`.
const SUCCESSES: [&str; 5] = ["Archived", "Completed", "Duplicate", "Recorded", "Rejected"];

static RECORDER: OnceLock<EmfRecorder> = OnceLock::new();

/// The metrics recorded since the last flush.
struct EmfRecorder {
    role: String,
    registry: Registry<Key, AtomicStorage>,
}

/// Installs the recorder. The process may call it only once.
pub(crate) fn install(role: &str) -> anyhow::Result<()> {
    let recorder = EmfRecorder { role: role.to_owned(), registry: Registry::new(AtomicStorage) };
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
        let mut taken = EmfBatch::default();
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
#[derive(Default)]
struct EmfBatch(BTreeMap<Dimension, Metrics>);

impl EmfBatch {
    fn add(&mut self, key: &Key, values: &[f64]) {
        let Some(metric) = EXPORTED.iter().find(|metric| metric.recorded == key.name()) else { return };
        let dimension = metric.dimension.map(|(label, name)| {
            let value = key.labels().find(|it| it.key() == label).map_or("none", |it| it.value());
            (name, pascal_case(value))
        });
        if let Some(("Status", status)) = &dimension {
            let success = SUCCESSES.contains(&status.as_str());
            let coarse = if success { "Success" } else { "Failure" };
            self.put(Some(("Status", coarse.to_owned())), metric, values);
        }
        self.put(dimension, metric, values);
    }

    fn put(&mut self, dimension: Dimension, metric: &ExportedMetric, values: &[f64]) {
        let metrics = self.0.entry(dimension).or_default();
        let (_, all) = metrics.entry(metric.metric).or_insert((metric.unit, Vec::new()));
        all.extend(values.iter().map(|value| value * metric.factor));
        if metric.is_counter() {
            // Only one label becomes a dimension. Counters that differ only in the remaining labels are added up.
            let sum = all.drain(..).sum();
            all.push(sum);
        }
    }

    /// One line for each dimension, or several lines if a metric has more than [`MAX_VALUES`] values.
    fn lines(mut self, role: &str, timestamp: u64) -> String {
        let mut lines = String::new();
        while !self.0.is_empty() {
            for (dimension, metrics) in &mut self.0 {
                lines += &line(role, timestamp, dimension, metrics);
                lines.push('\n');
                metrics.retain(|_, (_, values)| !values.is_empty());
            }
            self.0.retain(|_, metrics| !metrics.is_empty());
        }
        lines
    }
}

/// Formats one line and removes the values that the line contains. The formatting is hand-written for speed, because
/// every batch writes a line. Only the role and the dimension's value need escaping.
fn line(role: &str, timestamp: u64, dimension: &Dimension, metrics: &mut Metrics) -> String {
    // Lambda treats a line without a level as INFO and drops it if the function's log level is WARN.
    let mut line = format!(r#"{{"level":"WARN","role":{}"#, Value::from(role));
    let mut directives = Vec::new();
    for (name, (unit, values)) in metrics {
        let of_line = values.drain(..values.len().min(MAX_VALUES));
        let of_line = of_line.map(|value| Value::from(value).to_string()).collect::<Vec<_>>();
        directives.push(format!(r#"{{"Name":"{name}","Unit":"{unit}"}}"#));
        line += &match &of_line[..] {
            [value] => format!(r#","{name}":{value}"#),
            values => format!(r#","{name}":[{}]"#, values.join(",")),
        };
    }
    let mut dimensions = String::new();
    if let Some((name, value)) = dimension {
        line += &format!(r#","{name}":{}"#, Value::from(value.as_str()));
        dimensions = format!(r#""{name}""#);
    }
    let directive = format!(
        r#"{{"Namespace":"{NAMESPACE}","Dimensions":[[{dimensions}]],"Metrics":[{}]}}"#,
        directives.join(",")
    );
    line + &format!(r#","_aws":{{"Timestamp":{timestamp},"CloudWatchMetrics":[{directive}]}}}}"#)
}

/// Converts `behind_parked` to `BehindParked`, the style of the dimension values.
fn pascal_case(value: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    value.split('_').map(word).collect()
}
