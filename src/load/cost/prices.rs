//! The prices of AWS, and the assumptions about a deployment: every input of the estimate that is not counted.

use serde::Serialize;

/// List prices, in US dollars.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::load) struct AwsPrices {
    pub(in crate::load) date: &'static str,
    pub(in crate::load) region: &'static str,
    /// API Gateway, HTTP API, per million requests of up to 512 KB: <https://aws.amazon.com/api-gateway/pricing/>
    pub(super) gateway: f64,
    /// Lambda, per million invocations: <https://aws.amazon.com/lambda/pricing/>
    pub(super) invocations: f64,
    /// Lambda, per GB-second on x86 (arm64 costs a fifth less): <https://aws.amazon.com/lambda/pricing/>
    pub(super) gb_second: f64,
    /// FIFO queues, per million requests of up to 64 KiB: <https://aws.amazon.com/sqs/pricing/>
    pub(super) fifo: f64,
    /// Standard queues, per million requests of up to 64 KiB: <https://aws.amazon.com/sqs/pricing/>
    pub(super) standard: f64,
    /// DynamoDB on demand, per million write request units. A unit is a write of up to 1 KB:
    /// <https://aws.amazon.com/dynamodb/pricing/on-demand/>
    pub(super) writes: f64,
    /// DynamoDB on demand, per million read request units. A unit is a strongly consistent read of up to 4 KB:
    /// <https://aws.amazon.com/dynamodb/pricing/on-demand/>
    pub(super) reads: f64,
    /// Data out to the internet, per GB: <https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer>
    pub(super) data_out: f64,
}

/// The prices of the first tier. Free tiers are not included.
pub(in crate::load) const PRICES: AwsPrices = AwsPrices {
    date: "November 2026",
    region: "us-east-1",
    gateway: 1.00,
    invocations: 0.20,
    gb_second: 0.000_016_666_7,
    fifo: 0.50,
    standard: 0.40,
    writes: 0.625,
    reads: 0.125,
    data_out: 0.09,
};

/// Assumptions about a deployment on Lambda. The DynamoDB units follow from the reads and writes in `infra`, for orders of a
/// few KB and an index that contains only keys.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::load) struct CostAssumptions {
    /// The memory of each of the two Lambda functions, in GB.
    pub(super) memory: f64,
    /// The duration of a request in the API function.
    pub(super) api_seconds: f64,
    /// The duration of a batch in the consumer function.
    pub(super) consumer_seconds: f64,
    /// The number of events in a batch. Each batch is one invocation, one receive and one delete.
    pub(super) batch: f64,
    /// The write units of a creation: one for the log entry, which also contains the order, and one for the order's
    /// index entry.
    pub(super) writes_of_creation: f64,
    /// The write units of a further event: one for the log entry, and one for the order.
    pub(super) writes_of_event: f64,
    /// The write units of a rejected event: one for the receipt.
    pub(super) writes_of_rejection: f64,
    /// The write units of a parked event: one for the receipt, and one for the mark on the order. The dead letter
    /// itself costs no write, but a request to its queue.
    pub(super) writes_of_parking: f64,
    /// The write units of a batch: one for the ledger's counters.
    pub(super) writes_of_batch: f64,
    /// The read units of a write with an idempotency key: the API reads whether the key was used before.
    pub(super) reads_of_key: f64,
    /// The read units of an event: the consumer reads the event's order. A creation needs no read.
    pub(super) reads_of_event: f64,
    /// The read units of reading an order, a receipt or a history.
    pub(super) reads_of_order: f64,
    /// The read units of a page of a list: half a unit for the index, and two units for each order on the page. Most of
    /// the newest orders have only one event, and such an order requires two reads.
    pub(super) reads_of_list: f64,
    /// The duration of a batch in the relay function.
    pub(super) relay_seconds: f64,
    /// The duration of a delivery in the function of the webhook sender.
    pub(super) delivery_seconds: f64,
    /// The read units of a delivery: the event, and the row that a held order has.
    pub(super) reads_of_delivery: f64,
    /// How many of the feed's four partitions a batch of the relay writes to. Each takes a write for the chunk and one for the
    /// head.
    pub(super) partitions_of_batch: f64,
}

pub(in crate::load) const ASSUMPTIONS: CostAssumptions = CostAssumptions {
    memory: 0.25,
    api_seconds: 0.010,
    consumer_seconds: 0.030,
    batch: 5.0,
    writes_of_creation: 2.0,
    writes_of_event: 2.0,
    writes_of_rejection: 1.0,
    writes_of_parking: 2.0,
    writes_of_batch: 1.0,
    reads_of_key: 1.0,
    reads_of_event: 1.0,
    reads_of_order: 1.0,
    reads_of_list: 0.5 + 2.0 * crate::load::worker::LIST_LIMIT as f64,
    relay_seconds: 0.020,
    delivery_seconds: 0.080,
    reads_of_delivery: 2.0,
    partitions_of_batch: 3.0,
};

impl CostAssumptions {
    /// The assumptions as sentences, for the report.
    pub(super) fn sentences(&self) -> Vec<String> {
        let milliseconds = |seconds: f64| format!("{:.0} ms", seconds * 1000.0);
        vec![
            format!("list prices of {}, {}, first tier, no free tier", PRICES.region, PRICES.date),
            format!(
                "Lambda functions of {:.0} MB on x86: {} for a request, {} for a batch of {} events",
                self.memory * 1024.0,
                milliseconds(self.api_seconds),
                milliseconds(self.consumer_seconds),
                self.batch
            ),
            "every write has an idempotency key, which costs a read".to_owned(),
            format!(
                "DynamoDB on demand, in write units: a creation {}, another event {}, a rejection {}, a batch {}",
                self.writes_of_creation, self.writes_of_event, self.writes_of_rejection, self.writes_of_batch
            ),
            format!(
                "with webhooks or a feed: {} for a batch of the relay, which writes to {} partitions of the feed; {} for a delivery",
                milliseconds(self.relay_seconds),
                self.partitions_of_batch,
                milliseconds(self.delivery_seconds)
            ),
            "not included: stored data, logs, polls of an empty queue, waiting for receipts".to_owned(),
        ]
    }
}
