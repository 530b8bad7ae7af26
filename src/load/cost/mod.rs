//! Estimates what a run would cost on AWS, from the number of its calls and the prices of API Gateway, Lambda, SQS and
//! DynamoDB. The report shows the estimate.

mod prices;

use serde::Serialize;

use super::audit::OutcomeCounts;
use super::counts::CallCounts;
use prices::{ASSUMPTIONS, AwsPrices, CostAssumptions, PRICES};

/// What the run would cost on AWS, with the prices and the assumptions of the estimate.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CostEstimate {
    pub(super) prices: AwsPrices,
    assumptions: CostAssumptions,
    /// The assumptions as sentences.
    pub(super) assumed: Vec<String>,
    /// The cost of the load.
    pub(super) bill: AwsBill,
    /// The cost of the audit's reads, which is not in the bill.
    pub(super) audit: f64,
    /// The bill scaled to a million orders; `None` if the run created none.
    pub(super) per_million_orders: Option<f64>,
    /// The cost of a feed of the recorded events, which is not in the bill.
    pub(super) feed: f64,
}

/// A bill in US dollars.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct AwsBill {
    pub(super) lines: Vec<BillLine>,
    pub(super) total: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct BillLine {
    pub(super) what: &'static str,
    pub(super) quantity: f64,
    pub(super) unit: &'static str,
    pub(super) dollars: f64,
}

impl AwsBill {
    /// Adds a line with a price per million.
    fn millions(&mut self, what: &'static str, quantity: f64, unit: &'static str, price: f64) {
        self.line(what, quantity, unit, price / 1e6);
    }

    fn line(&mut self, what: &'static str, quantity: f64, unit: &'static str, price: f64) {
        let dollars = quantity * price;
        self.total += dollars;
        self.lines.push(BillLine { what, quantity, unit, dollars });
    }
}

/// Estimates the cost of the load, with a FIFO queue or a standard queue. `deliveries` is the number of webhook deliveries, if the
/// run had a subscription.
pub(super) fn estimate(
    load: &CallCounts,
    audit: &CallCounts,
    outcomes: &OutcomeCounts,
    fifo: bool,
    deliveries: Option<u64>,
) -> CostEstimate {
    let mut bill = bill(load, outcomes, fifo);
    let recorded = recorded(load, outcomes);
    if let Some(deliveries) = deliveries {
        add_webhooks(&mut bill, recorded, deliveries as f64);
    }
    let per_million_orders = (load.creations > 0).then(|| bill.total / load.creations as f64 * 1e6);
    CostEstimate {
        prices: PRICES,
        assumptions: ASSUMPTIONS,
        assumed: ASSUMPTIONS.sentences(),
        audit: self::bill(audit, &OutcomeCounts::default(), fifo).total,
        per_million_orders,
        feed: feed(recorded, load.events as f64),
        bill,
    }
}

/// The number of recorded events.
fn recorded(calls: &CallCounts, outcomes: &OutcomeCounts) -> f64 {
    calls.creations as f64 + recorded_events(calls, outcomes)
}

/// The number of recorded events after the creations.
fn recorded_events(calls: &CallCounts, outcomes: &OutcomeCounts) -> f64 {
    (calls.events as f64 - outcomes.rejected as f64 - outcomes.parked as f64).max(0.0)
}

/// Adds what the relay and the webhook sender cost (`docs/decisions/webhooks-on-aws.md`).
fn add_webhooks(bill: &mut AwsBill, recorded: f64, deliveries: f64) {
    let (p, a) = (&PRICES, &ASSUMPTIONS);
    let (relayed, batches) = ((recorded / a.batch).ceil(), (deliveries / a.batch).ceil());
    bill.millions("Lambda, relay", relayed, "invocations", p.invocations);
    bill.line("Lambda, relay", relayed * a.relay_seconds * a.memory, "GB-s", p.gb_second);
    // A batch takes a send, a receive and a delete.
    bill.millions("SQS FIFO, webhooks", 3.0 * batches, "requests", p.fifo);
    bill.millions("Lambda, webhook sender", batches, "invocations", p.invocations);
    bill.line("Lambda, webhook sender", deliveries * a.delivery_seconds * a.memory, "GB-s", p.gb_second);
    let reads = relayed + deliveries * a.reads_of_delivery;
    bill.millions("DynamoDB, webhooks", reads, "read units", p.reads);
}

/// What a feed of these events would cost without its readers (`docs/decisions/feed-on-aws.md`). The relay looks up the customer of
/// an event that does not create its order.
fn feed(recorded: f64, events: f64) -> f64 {
    let (p, a) = (&PRICES, &ASSUMPTIONS);
    let relayed = (recorded / a.batch).ceil();
    let partitions = relayed * a.partitions_of_batch;
    let (writes, reads) = (2.0 * partitions, 0.5 * partitions + events);
    let relay = relayed * p.invocations / 1e6 + relayed * a.relay_seconds * a.memory * p.gb_second;
    relay + writes * p.writes / 1e6 + reads * p.reads / 1e6
}

fn bill(calls: &CallCounts, outcomes: &OutcomeCounts, fifo: bool) -> AwsBill {
    let (p, a) = (&PRICES, &ASSUMPTIONS);
    let requests = calls.all() as f64;
    let accepted = (calls.creations + calls.events) as f64;
    let batches = (accepted / a.batch).ceil();
    let (rejected, parked) = (outcomes.rejected as f64, outcomes.parked as f64);
    let (creations, events) = (calls.creations as f64, calls.events as f64);
    let recorded_events = recorded_events(calls, outcomes);
    let (queue, queue_price) = if fifo { ("SQS FIFO", p.fifo) } else { ("SQS standard", p.standard) };

    let mut bill = AwsBill::default();
    bill.millions("API Gateway, HTTP API", requests, "requests", p.gateway);
    bill.millions("Lambda, API", requests, "invocations", p.invocations);
    bill.line("Lambda, API", requests * a.api_seconds * a.memory, "GB-s", p.gb_second);
    bill.millions("Lambda, consumer", batches, "invocations", p.invocations);
    bill.line("Lambda, consumer", batches * a.consumer_seconds * a.memory, "GB-s", p.gb_second);
    bill.millions(queue, accepted + 2.0 * batches + parked, "requests", queue_price);
    let writes = creations * a.writes_of_creation
        + recorded_events * a.writes_of_event
        + rejected * a.writes_of_rejection
        + parked * a.writes_of_parking
        + batches * a.writes_of_batch;
    bill.millions("DynamoDB", writes, "write units", p.writes);
    let reads = (accepted + calls.retries as f64) * a.reads_of_key
        + events * a.reads_of_event
        + (calls.orders + calls.receipts + calls.histories) as f64 * a.reads_of_order
        + calls.lists as f64 * a.reads_of_list;
    bill.millions("DynamoDB", reads, "read units", p.reads);
    bill.line("Data out", calls.bytes_out as f64 / 1e9, "GB", p.data_out);
    bill
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: u64 = 1_000_000;

    fn dollars(bill: &AwsBill, what: &str, unit: &str) -> f64 {
        let line = bill.lines.iter().find(|line| line.what == what && line.unit == unit);
        (line.unwrap().dollars * 1e6).round() / 1e6
    }

    #[test]
    fn a_million_creations_cost_what_the_price_list_says() {
        let calls = CallCounts { creations: MILLION, bytes_out: 1_000_000_000, ..CallCounts::default() };
        let outcomes = OutcomeCounts { accepted: MILLION, recorded: MILLION, ..OutcomeCounts::default() };
        let estimate = estimate(&calls, &CallCounts::default(), &outcomes, true, None);
        let bill = &estimate.bill;
        assert_eq!(dollars(bill, "API Gateway, HTTP API", "requests"), 1.0);
        assert_eq!(dollars(bill, "Lambda, API", "invocations"), 0.2);
        // The API function handles a million requests, each for 10 ms and with 0.25 GB of memory.
        assert_eq!(dollars(bill, "Lambda, API", "GB-s"), 0.041_667);
        assert_eq!(dollars(bill, "Lambda, consumer", "invocations"), 0.04);
        // Each event needs one send. Every five events share one receive and one delete.
        assert_eq!(dollars(bill, "SQS FIFO", "requests"), 0.7);
        assert_eq!(dollars(bill, "DynamoDB", "write units"), 1.375);
        assert_eq!(dollars(bill, "DynamoDB", "read units"), 0.125);
        assert_eq!(dollars(bill, "Data out", "GB"), 0.09);
        assert!((bill.total - 3.596_667).abs() < 1e-3, "{}", bill.total);
        assert_eq!((estimate.per_million_orders, estimate.audit), (Some(bill.total), 0.0));
    }

    #[test]
    fn every_kind_of_call_has_its_price() {
        let calls = CallCounts {
            creations: 100,
            events: 50,
            retries: 10,
            refused: 5,
            orders: 7,
            receipts: 8,
            histories: 9,
            lists: 2,
            bytes_out: 0,
        };
        let outcomes = OutcomeCounts { rejected: 6, parked: 4, ..OutcomeCounts::default() };
        let bill = bill(&calls, &outcomes, false);
        let quantity = |what: &str, unit: &str| {
            bill.lines.iter().find(|line| line.what == what && line.unit == unit).unwrap().quantity
        };
        assert_eq!(quantity("API Gateway, HTTP API", "requests"), 191.0);
        assert_eq!(quantity("Lambda, consumer", "invocations"), 30.0);
        assert_eq!(quantity("SQS standard", "requests"), 150.0 + 60.0 + 4.0);
        assert_eq!(quantity("DynamoDB", "write units"), 200.0 + 80.0 + 6.0 + 8.0 + 30.0);
        assert_eq!(quantity("DynamoDB", "read units"), 160.0 + 50.0 + 24.0 + 41.0);
    }

    #[test]
    fn webhooks_and_the_feed_cost_what_the_decisions_say() {
        let calls = CallCounts { creations: MILLION, ..CallCounts::default() };
        let outcomes = OutcomeCounts { accepted: MILLION, recorded: MILLION, ..OutcomeCounts::default() };
        let none = CallCounts::default();
        let without = estimate(&calls, &none, &outcomes, true, None);
        let with = estimate(&calls, &none, &outcomes, true, Some(2 * MILLION));
        let bill = &with.bill;
        assert_eq!(dollars(bill, "Lambda, relay", "invocations"), 0.04);
        // 200,000 batches, each for 20 ms and with 0.25 GB of memory.
        assert_eq!(dollars(bill, "Lambda, relay", "GB-s"), 0.016_667);
        // Two million deliveries in 400,000 batches.
        assert_eq!(dollars(bill, "SQS FIFO, webhooks", "requests"), 0.6);
        assert_eq!(dollars(bill, "Lambda, webhook sender", "invocations"), 0.08);
        assert_eq!(dollars(bill, "Lambda, webhook sender", "GB-s"), 0.666_668);
        assert_eq!(dollars(bill, "DynamoDB, webhooks", "read units"), 0.525);
        let added = 0.04 + 0.016_667 + 0.6 + 0.08 + 0.666_668 + 0.525;
        assert!((bill.total - without.bill.total - added).abs() < 1e-5, "{}", bill.total);
        assert_eq!(without.bill.lines.len() + 6, bill.lines.len());
        // 200,000 batches write chunk and head of three partitions, and read the ends of these.
        let feed = 0.04 + 0.016_667 + 1.2 * 0.625 + 0.3 * 0.125;
        assert!((without.feed - feed).abs() < 1e-5 && with.feed == without.feed, "{}", without.feed);
    }

    #[test]
    fn a_run_without_orders_has_no_price_for_orders() {
        let nothing = CallCounts::default();
        let estimate = estimate(&nothing, &nothing, &OutcomeCounts::default(), true, None);
        assert_eq!((estimate.bill.total, estimate.per_million_orders), (0.0, None));
    }
}
