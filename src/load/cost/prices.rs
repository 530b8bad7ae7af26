//! What AWS asks for what, and what is assumed of a deployment: everything that the estimate rests on besides counted
//! calls.

use serde::Serialize;

/// List prices, in US dollars.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::load) struct AwsPrices {
    pub(in crate::load) date: &'static str,
    pub(in crate::load) region: &'static str,
    /// An HTTP API, per million requests of up to 512 KB: <https://aws.amazon.com/api-gateway/pricing/>
    pub(super) gateway: f64,
    /// Per million invocations: <https://aws.amazon.com/lambda/pricing/>
    pub(super) invocations: f64,
    /// Per GB-second, x86 (arm64 is a fifth less): the same page.
    pub(super) gb_second: f64,
    /// FIFO queues, per million requests of up to 64 KiB: <https://aws.amazon.com/sqs/pricing/>
    pub(super) fifo: f64,
    /// Standard queues: the same page.
    pub(super) standard: f64,
    /// On-demand, per million write request units, each a write of up to 1 KB:
    /// <https://aws.amazon.com/dynamodb/pricing/on-demand/>
    pub(super) writes: f64,
    /// Per million read request units, each a strongly consistent read of up to 4 KB: the same page.
    pub(super) reads: f64,
    /// Out to the internet, per GB: <https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer>
    pub(super) data_out: f64,
}

/// The first tier of each, without free tiers.
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

/// What is assumed of the Lambda shape. The units of DynamoDB follow from how `infra` reads and writes: orders of a few
/// KB, an index that has keys only.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::load) struct CostAssumptions {
    /// Of both functions, in GB.
    pub(super) memory: f64,
    /// Seconds that the API function takes for a request.
    pub(super) api_seconds: f64,
    /// Seconds that the consumer function takes for a batch.
    pub(super) consumer_seconds: f64,
    /// Events in a batch. Each batch is one invocation, one receive and one delete.
    pub(super) batch: f64,
    /// The event, which tells the order as well, and its entry in the index.
    pub(super) writes_of_creation: f64,
    /// The event and the order.
    pub(super) writes_of_event: f64,
    /// Its receipt.
    pub(super) writes_of_rejection: f64,
    /// The receipt and the mark at the order; the message in the dead letters is a request to their queue.
    pub(super) writes_of_parking: f64,
    /// Its share of the ledger.
    pub(super) writes_of_batch: f64,
    /// The API looks whether a key was used.
    pub(super) reads_of_key: f64,
    /// The consumer reads the order that an event is about; a creation needs no look.
    pub(super) reads_of_event: f64,
    /// An order, a receipt or a history.
    pub(super) reads_of_order: f64,
    /// A page of a list: the index, and each order on it; the newest mostly have one event, which is a read more.
    pub(super) reads_of_list: f64,
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
};

impl CostAssumptions {
    /// In words, for whoever reads the estimate.
    pub(super) fn in_words(&self) -> Vec<String> {
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
            "every write carries an idempotency key, which costs a read".to_owned(),
            format!(
                "DynamoDB on demand, in write units: a creation {}, another event {}, a rejection {}, a batch {}",
                self.writes_of_creation, self.writes_of_event, self.writes_of_rejection, self.writes_of_batch
            ),
            "not in it: stored data, logs, polls of an empty queue, waiting for receipts".to_owned(),
        ]
    }
}
