//! The inputs of an estimate that are kept in files: list prices (`prices.json`), and what an order causes, measured
//! (`measured.json`). `tests/it/aws/costs.rs` measures it again and compares.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A list price.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Price {
    dollars: f64,
    /// For how many units `dollars` is the price.
    per: f64,
    pub(super) unit: String,
    /// The page of AWS that states the price. A report has no links to other sites.
    #[serde(skip_serializing)]
    #[cfg_attr(not(test), expect(dead_code, reason = "only the page of the bill shows it"))]
    pub(super) source: String,
}

impl Price {
    /// The price of one unit, in US dollars.
    pub(super) fn each(&self) -> f64 {
        self.dollars / self.per
    }

    /// The price with the number of units that it is for.
    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        let dollars =
            if self.dollars < 0.01 { self.dollars.to_string() } else { format!("{:.2}", self.dollars) };
        // Prices by the hour have more than two digits that count.
        let dollars = if self.dollars >= 0.01 && (self.dollars * 100.0).fract().abs() > 1e-9 {
            self.dollars.to_string()
        } else {
            dollars
        };
        let per = if self.per > 1.0 { " for a million" } else { "" };
        format!("{dollars}{per}")
    }
}

/// The list prices of one region, first tier, without free tiers. Services that the estimate does not use by default are
/// in the list for those who add them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::load) struct PriceList {
    pub(in crate::load) region: String,
    /// When the prices were read from the pages in `source`.
    pub(in crate::load) date: String,
    pub(super) http_api: Price,
    pub(super) rest_api: Price,
    pub(super) alb_hour: Price,
    pub(super) alb_lcu_hour: Price,
    pub(super) lambda_request: Price,
    pub(super) lambda_gb_second: Price,
    pub(super) fargate_vcpu_hour: Price,
    pub(super) fargate_gb_hour: Price,
    pub(super) ipv4_hour: Price,
    pub(super) sqs_fifo: Price,
    pub(super) sqs_standard: Price,
    pub(super) dynamodb_write: Price,
    pub(super) dynamodb_read: Price,
    pub(super) dynamodb_wcu_hour: Price,
    pub(super) dynamodb_rcu_hour: Price,
    pub(super) dynamodb_gb_month: Price,
    pub(super) dynamodb_backup_gb_month: Price,
    pub(super) dynamodb_stream_read: Price,
    pub(super) log_gb: Price,
    pub(super) log_gb_month: Price,
    pub(super) metric_month: Price,
    pub(super) alarm_month: Price,
    pub(super) dashboard_month: Price,
    pub(super) xray_trace: Price,
    pub(super) s3_gb_month: Price,
    pub(super) data_out_gb: Price,
}

pub(super) static PRICES: LazyLock<PriceList> = LazyLock::new(|| {
    serde_json::from_str(include_str!("prices.json")).expect("a test reads the file that is compiled in")
});

/// What an ordinary order causes: one with an idempotency key, a token, UUIDs as ids, three lines and a contact.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::load) struct Measured {
    /// The size of the log entry, by the rules of DynamoDB.
    pub(super) entry_bytes: f64,
    /// The size of its entry in the index of customers' orders.
    pub(super) index_entry_bytes: f64,
    /// The write units of a creation: the log entry and its index entry.
    pub(super) creation_write_units: f64,
    /// The write units of the log entry of a further event.
    pub(super) event_write_units: f64,
    /// The write units of a projection, which every fifth event from the sixth on causes.
    pub(super) projection_write_units: f64,
    /// The write units of a batch, which the ledger counts.
    pub(super) batch_write_units: f64,
    /// The read units of the look-up of an idempotency key.
    pub(super) key_read_units: f64,
    /// The read units of a further event: the consumer reads its order.
    pub(super) event_read_units: f64,
    /// The read units of reading an order, a receipt or a history.
    pub(super) order_read_units: f64,
    /// The bytes of a request that creates an order, with its headers.
    pub(super) request_bytes: f64,
    /// The bytes of its answer, with the headers.
    pub(super) answer_bytes: f64,
    /// The bytes of a line of the access log.
    pub(super) access_log_bytes: f64,
    /// The bytes that the API's function logs for a request.
    pub(super) api_log_bytes: f64,
    /// The bytes that the consumer's function logs for an invocation.
    pub(super) consumer_log_bytes: f64,
    /// The metrics that functions write by default, by name and dimension.
    pub(super) watched_metrics: f64,
    /// The metrics that the alarms of the Terraform module read.
    pub(super) alarm_metrics: f64,
}

pub(super) static MEASURED: LazyLock<Measured> = LazyLock::new(|| {
    serde_json::from_str(include_str!("measured.json")).expect("a test reads the file that is compiled in")
});
