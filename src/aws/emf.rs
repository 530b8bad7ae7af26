//! Metrics of functions: lines of the log, from which CloudWatch makes metrics without being called
//! ([embedded metric format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html)).
//!
//! Only what is in [`SIGNALS`] is written. Each combination of a metric and its dimensions is billed, so that nothing
//! becomes one because somebody counts something; and of requests, API Gateway keeps metrics already.

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
/// The most values that a metric may have in a line.
const MAX_VALUES: usize = 100;

/// What is written of what is counted.
struct Signal {
    /// What the program calls it.
    counted: &'static str,
    /// What CloudWatch calls it.
    metric: &'static str,
    unit: &'static str,
    /// From the program's unit to this one.
    factor: f64,
    /// The label that is a dimension, and what CloudWatch calls that.
    dimension: Option<(&'static str, &'static str)>,
}

impl Signal {
    fn is_counter(&self) -> bool {
        self.counted.ends_with("_total")
    }
}

const fn signal(counted: &'static str, metric: &'static str, unit: &'static str, factor: f64) -> Signal {
    Signal { counted, metric, unit, factor, dimension: None }
}

const SIGNALS: [Signal; 10] = [
    Signal {
        dimension: Some(("status", "Status")),
        ..signal("orders_messages_processed_total", "MessagesProcessed", "Count", 1.0)
    },
    Signal {
        dimension: Some(("reason", "Reason")),
        ..signal("orders_dead_letters_parked_total", "MessagesParked", "Count", 1.0)
    },
    Signal {
        dimension: Some(("result", "Result")),
        ..signal("orders_events_published_total", "EventsPublished", "Count", 1.0)
    },
    signal("orders_messages_redelivered_total", "MessagesRedelivered", "Count", 1.0),
    signal("orders_batch_size", "BatchSize", "Count", 1.0),
    signal("orders_processing_duration_seconds", "ProcessingDuration", "Milliseconds", 1000.0),
    signal("orders_queue_age_seconds", "QueueAge", "Milliseconds", 1000.0),
    signal("orders_end_to_end_seconds", "EndToEndLatency", "Milliseconds", 1000.0),
    signal("orders_publish_duration_seconds", "PublishLatency", "Milliseconds", 1000.0),
    signal("orders_http_request_duration_seconds", "RequestDuration", "Milliseconds", 1000.0),
];

/// Of the ends of messages, those that the article's consumer called a success; it called the others failures.
const SUCCESSES: [&str; 4] = ["Archived", "Duplicate", "Recorded", "Rejected"];

static COUNTED: OnceLock<Counted> = OnceLock::new();

/// What was counted since the last line.
struct Counted {
    role: String,
    registry: Registry<Key, AtomicStorage>,
}

/// Counts from now on, for [`flush`] to write. Once in a process.
pub(crate) fn install(role: &str) -> anyhow::Result<()> {
    let counted = Counted { role: role.to_owned(), registry: Registry::new(AtomicStorage) };
    let counted = COUNTED.get_or_init(|| counted);
    metrics::set_global_recorder(Registered(counted)).context("metrics are recorded elsewhere")
}

/// Writes what was counted since the last time, and forgets it. To be called before an invocation is answered: after
/// that the environment may be frozen.
pub(crate) fn flush() {
    let Some(counted) = COUNTED.get() else { return };
    let lines = counted.take().lines(&counted.role, now_millis());
    // A log that cannot be written cannot be told of it.
    let _ = std::io::stdout().lock().write_all(lines.as_bytes());
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

struct Registered(&'static Counted);

impl Recorder for Registered {
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

impl Counted {
    fn take(&self) -> Taken {
        let mut taken = Taken::default();
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

/// A dimension and its value; nothing for metrics without one.
type Dimension = Option<(&'static str, String)>;

/// Values, and their unit, by their metric.
type Metrics = BTreeMap<&'static str, (&'static str, Vec<f64>)>;

/// Values, by their dimension and their metric.
#[derive(Default)]
struct Taken(BTreeMap<Dimension, Metrics>);

impl Taken {
    fn add(&mut self, key: &Key, values: &[f64]) {
        let Some(signal) = SIGNALS.iter().find(|signal| signal.counted == key.name()) else { return };
        let dimension = signal.dimension.map(|(label, name)| {
            let value = key.labels().find(|is| is.key() == label).map_or("none", |is| is.value());
            (name, capitalised(value))
        });
        if let Some(("Status", status)) = &dimension {
            let success = SUCCESSES.contains(&status.as_str());
            let article = if success { "Success" } else { "Failure" };
            self.put(Some(("Status", article.to_owned())), signal, values);
        }
        self.put(dimension, signal, values);
    }

    fn put(&mut self, dimension: Dimension, signal: &Signal, values: &[f64]) {
        let metrics = self.0.entry(dimension).or_default();
        let (_, all) = metrics.entry(signal.metric).or_insert((signal.unit, Vec::new()));
        all.extend(values.iter().map(|value| value * signal.factor));
        if signal.is_counter() {
            // It may have several labels of which one is left.
            let sum = all.drain(..).sum();
            all.push(sum);
        }
    }

    /// A line for each dimension, or more of them where there are many values.
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

/// A line with as many of the values as it may have, which are taken out. As text, for it is written for each batch; of
/// what is in it, only the role and what a dimension says come from elsewhere.
fn line(role: &str, timestamp: u64, dimension: &Dimension, metrics: &mut Metrics) -> String {
    // A line without a level counts as INFO, and is dropped where a function logs from WARN on.
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

/// `behind_parked` as `BehindParked`: as the article writes its dimensions.
fn capitalised(value: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    value.split('_').map(word).collect()
}
