//! Estimates what orders cost on AWS: those of a run, which the report shows, and a million of them, which `docs/aws.md`
//! shows. Both are priced by [`bill`], from list prices, from what an order causes (measured), and from assumptions.

#[cfg(test)]
mod page;
mod prices;
mod profiles;
mod relayed;

use serde::Serialize;

use super::audit::OutcomeCounts;
use super::counts::CallCounts;
use prices::{MEASURED, Measured, PRICES, Price, PriceList};
use profiles::{
    ASSUMPTIONS, BALANCER_ADDRESSES, CostAssumptions, Front, HOURS_OF_MONTH, PROFILES, Profile, RATES, TASKS,
};
use relayed::{add_webhooks, feed};

/// The share of events after the fifth that cause a projection.
const PROJECTED: f64 = 0.2;

/// What the run would cost on AWS, with the prices and the assumptions of the estimate.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CostEstimate {
    pub(super) prices: PriceList,
    measured: Measured,
    assumptions: CostAssumptions,
    /// The assumptions as sentences.
    pub(super) assumed: Vec<String>,
    /// The rate for which the calls are shared, in orders a second.
    rate: f64,
    /// The cost of the load on Lambda, with a request for each order.
    pub(super) bill: AwsBill,
    /// The cost of the audit's reads, which is not in the bill.
    pub(super) audit: f64,
    /// The bill scaled to a million orders; `None` if the run created none.
    pub(super) per_million_orders: Option<f64>,
    /// What a deployment costs a month, whatever it does.
    pub(super) fixed: AwsBill,
    /// The same load on every kind of deployment.
    pub(super) profiles: Vec<ProfileEstimate>,
    /// The cost of a feed of the recorded events, which is not in the bill.
    pub(super) feed: f64,
}

/// What the load would cost on one kind of deployment, in US dollars.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ProfileEstimate {
    pub(super) name: &'static str,
    total: f64,
    pub(super) per_million_orders: Option<f64>,
    pub(super) fixed_a_month: f64,
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
    fn add(&mut self, what: &'static str, quantity: f64, unit: &'static str, price: &Price) {
        self.add_at(what, quantity, unit, price.each());
    }

    fn add_at(&mut self, what: &'static str, quantity: f64, unit: &'static str, price: f64) {
        let dollars = quantity * price;
        self.total += dollars;
        self.lines.push(BillLine { what, quantity, unit, dollars });
    }
}

/// What was done, in numbers that cause cost.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    requests: f64,
    /// Orders beyond the first one of a request.
    further_orders: f64,
    creations: f64,
    /// Accepted events after the creations.
    events: f64,
    rejected: f64,
    parked: f64,
    /// Look-ups of idempotency keys.
    keys: f64,
    /// Reads of an order, a receipt or a history.
    order_reads: f64,
    list_pages: f64,
    answer_bytes: f64,
}

impl Usage {
    fn of_run(calls: &CallCounts, outcomes: &OutcomeCounts) -> Self {
        let accepted = calls.creations + calls.events;
        Self {
            requests: calls.all() as f64,
            further_orders: 0.0,
            creations: calls.creations as f64,
            events: calls.events as f64,
            rejected: outcomes.rejected as f64,
            parked: outcomes.parked as f64,
            keys: (accepted + calls.retries) as f64,
            order_reads: (calls.orders + calls.receipts + calls.histories) as f64,
            list_pages: calls.lists as f64,
            answer_bytes: calls.bytes_out as f64,
        }
    }

    /// A million ordinary orders.
    #[cfg(test)]
    fn of_a_million(profile: &Profile) -> Self {
        let creations = 1e6;
        let requests = creations / profile.orders_of_request;
        Self {
            requests,
            further_orders: creations - requests,
            creations,
            keys: creations,
            answer_bytes: creations * MEASURED.answer_bytes,
            ..Self::default()
        }
    }

    fn accepted(&self) -> f64 {
        self.creations + self.events
    }

    /// The recorded events after the creations.
    fn recorded_events(&self) -> f64 {
        (self.events - self.rejected - self.parked).max(0.0)
    }
}

/// Estimates the cost of the load, with a FIFO queue or a standard queue, at a rate of orders a second. `deliveries` is the
/// number of webhook deliveries, if the run had a subscription.
pub(super) fn estimate(
    load: &CallCounts,
    audit: &CallCounts,
    outcomes: &OutcomeCounts,
    orders_per_second: f64,
    fifo: bool,
    deliveries: Option<u64>,
) -> CostEstimate {
    let usage = Usage::of_run(load, outcomes);
    // The bounds lie in the middle of the rates, by their magnitude.
    let place = RATES.windows(2).filter(|pair| orders_per_second > (pair[0] * pair[1]).sqrt()).count();
    let priced = |profile: &Profile, usage: &Usage| {
        let mut bill = bill(usage, profile, place, fifo);
        if let Some(deliveries) = deliveries {
            add_webhooks(&mut bill, usage, deliveries as f64);
        }
        bill
    };
    let per_million = |total: f64| (load.creations > 0).then(|| total / load.creations as f64 * 1e6);
    let profiles = PROFILES.iter().map(|profile| {
        let total = priced(profile, &usage).total;
        let fixed_a_month = fixed(profile, place).total;
        ProfileEstimate { name: profile.name, total, per_million_orders: per_million(total), fixed_a_month }
    });
    let single = &PROFILES[0];
    let bill_of_load = priced(single, &usage);
    CostEstimate {
        prices: PRICES.clone(),
        measured: *MEASURED,
        assumptions: ASSUMPTIONS,
        assumed: sentences(place),
        rate: RATES[place],
        audit: bill(&Usage::of_run(audit, &OutcomeCounts::default()), single, place, fifo).total,
        per_million_orders: per_million(bill_of_load.total),
        bill: bill_of_load,
        fixed: fixed(single, place),
        profiles: profiles.collect(),
        feed: feed(&usage),
    }
}

/// Prices what was done in a deployment, at the rate at this place of [`RATES`]. Leaves out what it costs a month whatever it
/// does ([`fixed`]).
fn bill(usage: &Usage, profile: &Profile, place: usize, fifo: bool) -> AwsBill {
    let (p, a, m, shared) = (&*PRICES, &ASSUMPTIONS, &*MEASURED, &profile.sharing[place]);
    let batches = (usage.accepted() / shared.received).ceil();
    let mut bill = AwsBill::default();
    match profile.front {
        Front::HttpApi => bill.add("API Gateway, HTTP API", usage.requests, "requests", &p.http_api),
        Front::LoadBalancer => {
            let bytes = usage.requests * m.request_bytes + usage.answer_bytes;
            let connections = usage.requests * a.connections_of_request;
            // A unit is 1 GB an hour or 25 new connections a second, whichever is more.
            let units = (bytes / 1e9).max(connections / (25.0 * 3600.0));
            bill.add("Application Load Balancer", units, "LCU-hours", &p.alb_lcu_hour);
        }
    }
    if profile.is_lambda {
        let seconds = a.api_seconds * (usage.requests + 0.2 * usage.further_orders);
        bill.add("Lambda, API", usage.requests, "invocations", &p.lambda_request);
        bill.add("Lambda, API", seconds * a.memory, "GB-s", &p.lambda_gb_second);
        bill.add("Lambda, consumer", batches, "invocations", &p.lambda_request);
        bill.add("Lambda, consumer", batches * a.consumer_seconds * a.memory, "GB-s", &p.lambda_gb_second);
    }
    let (queue, price) = if fifo { ("SQS FIFO", &p.sqs_fifo) } else { ("SQS standard", &p.sqs_standard) };
    bill.add(queue, usage.accepted() / shared.sent + 2.0 * batches + usage.parked, "requests", price);
    let writes = usage.creations * m.creation_write_units
        + usage.recorded_events() * (m.event_write_units + PROJECTED * m.projection_write_units)
        + usage.rejected * a.writes_of_rejection
        + usage.parked * a.writes_of_parking
        + usage.accepted() / shared.counted * m.batch_write_units;
    let reads = usage.keys * m.key_read_units
        + usage.events * m.event_read_units
        + usage.order_reads * m.order_read_units
        + usage.list_pages * a.reads_of_list;
    if profile.is_provisioned {
        let unit = |hour: &Price| hour.each() / 3600.0 / a.utilization;
        bill.add_at("DynamoDB, provisioned", writes, "write units", unit(&p.dynamodb_wcu_hour));
        bill.add_at("DynamoDB, provisioned", reads, "read units", unit(&p.dynamodb_rcu_hour));
    } else {
        bill.add("DynamoDB", writes, "write units", &p.dynamodb_write);
        bill.add("DynamoDB", reads, "read units", &p.dynamodb_read);
    }
    if profile.is_lambda {
        let line = |bytes: f64| if bytes > 0.0 { bytes + a.log_line_overhead } else { 0.0 };
        let of_requests = line(m.access_log_bytes) + line(m.api_log_bytes);
        let bytes = usage.requests * of_requests + batches * line(m.consumer_log_bytes);
        bill.add("CloudWatch logs", bytes / 1e9, "GB", &p.log_gb);
    }
    bill.add("Data out", usage.answer_bytes / 1e9, "GB", &p.data_out_gb);
    bill
}

/// What a deployment costs a month, whatever it does.
fn fixed(profile: &Profile, place: usize) -> AwsBill {
    let (p, a, m) = (&*PRICES, &ASSUMPTIONS, &*MEASURED);
    let mut bill = AwsBill::default();
    if profile.is_lambda {
        bill.add("CloudWatch metrics", m.watched_metrics, "metrics", &p.metric_month);
    } else {
        let (tasks, cpus, memory) = TASKS[place];
        bill.add("Fargate", tasks * cpus * HOURS_OF_MONTH, "vCPU-hours", &p.fargate_vcpu_hour);
        bill.add("Fargate", tasks * memory * HOURS_OF_MONTH, "GB-hours", &p.fargate_gb_hour);
        bill.add("Application Load Balancer", HOURS_OF_MONTH, "hours", &p.alb_hour);
        let addresses = tasks + BALANCER_ADDRESSES;
        bill.add("Public IPv4 addresses", addresses * HOURS_OF_MONTH, "hours", &p.ipv4_hour);
    }
    bill.add("CloudWatch alarms", m.alarm_metrics, "metrics", &p.alarm_month);
    bill.add("CloudWatch dashboard", 1.0, "dashboards", &p.dashboard_month);
    // The queue and its dead-letter queue.
    let polls = 2.0 * a.pollers * HOURS_OF_MONTH * 3600.0 / a.poll_seconds;
    bill.add("SQS, polls of empty queues", polls, "requests", &p.sqs_fifo);
    bill
}

/// The assumptions as sentences, for the report.
fn sentences(place: usize) -> Vec<String> {
    let (p, a, m, shared) = (&*PRICES, &ASSUMPTIONS, &*MEASURED, &PROFILES[0].sharing[place]);
    let milliseconds = |seconds: f64| format!("{:.0} ms", seconds * 1000.0);
    vec![
        format!("list prices of {}, {}, first tier, no free tier", p.region, p.date),
        format!(
            "Lambda functions of {:.0} MB on arm64: {} for a request, {} for a batch of {} events, as at {} orders a second",
            a.memory * 1024.0,
            milliseconds(a.api_seconds),
            milliseconds(a.consumer_seconds),
            shared.received,
            RATES[place]
        ),
        format!("every write has an idempotency key, which costs {} read units", m.key_read_units),
        format!(
            "DynamoDB on demand, in write units, measured for an order of three lines with a contact: a creation {}, \
             another event {:.1}, a batch {}; assumed: a rejection {}",
            m.creation_write_units,
            m.event_write_units + PROJECTED * m.projection_write_units,
            m.batch_write_units,
            a.writes_of_rejection
        ),
        format!(
            "logs at the default level: {} bytes for a request, {} for a batch; no X-Ray traces",
            m.access_log_bytes + m.api_log_bytes,
            m.consumer_log_bytes
        ),
        format!(
            "with webhooks or a feed: {} for a batch of the relay, which writes to {} partitions of the feed; {} for a delivery",
            milliseconds(a.relay_seconds),
            a.partitions_of_batch,
            milliseconds(a.delivery_seconds)
        ),
        "not included: stored data, waiting for receipts".to_owned(),
    ]
}

#[cfg(test)]
mod tests;
