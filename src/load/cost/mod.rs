//! Estimates the cost of a run on AWS, with API Gateway, Lambda, SQS and DynamoDB, from counted calls, for the report.

mod prices;

use serde::Serialize;

use super::audit::OutcomeCounts;
use super::counts::CallCounts;
use prices::{ASSUMPTIONS, AwsPrices, CostAssumptions, PRICES};

/// The estimate with its prices and assumptions.
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

/// Estimates the cost of the load, with a FIFO queue or a standard queue.
pub(super) fn estimate(
    load: &CallCounts,
    audit: &CallCounts,
    outcomes: &OutcomeCounts,
    fifo: bool,
) -> CostEstimate {
    let bill = bill(load, outcomes, fifo);
    let per_million_orders = (load.creations > 0).then(|| bill.total / load.creations as f64 * 1e6);
    CostEstimate {
        prices: PRICES,
        assumptions: ASSUMPTIONS,
        assumed: ASSUMPTIONS.sentences(),
        audit: self::bill(audit, &OutcomeCounts::default(), fifo).total,
        per_million_orders,
        bill,
    }
}

fn bill(calls: &CallCounts, outcomes: &OutcomeCounts, fifo: bool) -> AwsBill {
    let (p, a) = (&PRICES, &ASSUMPTIONS);
    let requests = calls.all() as f64;
    let accepted = (calls.creations + calls.events) as f64;
    let batches = (accepted / a.batch).ceil();
    let (rejected, parked) = (outcomes.rejected as f64, outcomes.parked as f64);
    let (creations, events) = (calls.creations as f64, calls.events as f64);
    let recorded_events = (events - rejected - parked).max(0.0);
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
        let estimate = estimate(&calls, &CallCounts::default(), &outcomes, true);
        let bill = &estimate.bill;
        assert_eq!(dollars(bill, "API Gateway, HTTP API", "requests"), 1.0);
        assert_eq!(dollars(bill, "Lambda, API", "invocations"), 0.2);
        // A million times 10 ms with a quarter of a GB.
        assert_eq!(dollars(bill, "Lambda, API", "GB-s"), 0.041_667);
        assert_eq!(dollars(bill, "Lambda, consumer", "invocations"), 0.04);
        // One send for each event; one receive and one delete for every five.
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
    fn a_run_without_orders_has_no_price_for_orders() {
        let nothing = CallCounts::default();
        let estimate = estimate(&nothing, &nothing, &OutcomeCounts::default(), true);
        assert_eq!((estimate.bill.total, estimate.per_million_orders), (0.0, None));
    }
}
