//! Tests the estimate: sums that were computed by hand, and that nothing that was done is free.

use super::*;

const MILLION: u64 = 1_000_000;

fn dollars(bill: &AwsBill, what: &str, unit: &str) -> f64 {
    let line = bill.lines.iter().find(|line| line.what == what && line.unit == unit);
    (line.unwrap_or_else(|| panic!("{what}: {bill:?}")).dollars * 1e6).round() / 1e6
}

fn quantity(bill: &AwsBill, what: &str, unit: &str) -> f64 {
    bill.lines.iter().find(|line| line.what == what && line.unit == unit).unwrap().quantity
}

#[test]
fn a_million_creations_cost_what_the_price_list_says() {
    let calls = CallCounts { creations: MILLION, bytes_out: 1_000_000_000, ..CallCounts::default() };
    let outcomes = OutcomeCounts { accepted: MILLION, recorded: MILLION, ..OutcomeCounts::default() };
    let none = CallCounts::default();
    let estimate = estimate(&calls, &none, &outcomes, 150.0, true, None);
    let bill = &estimate.bill;
    assert_eq!(estimate.rate, 100.0, "150 a second is nearest to 100");
    assert_eq!(dollars(bill, "API Gateway, HTTP API", "requests"), 1.0);
    assert_eq!(dollars(bill, "Lambda, API", "invocations"), 0.2);
    // A million requests, each for 12 ms and with 0.5 GB of memory.
    assert_eq!(dollars(bill, "Lambda, API", "GB-s"), 0.08);
    assert_eq!(dollars(bill, "Lambda, consumer", "invocations"), 0.04);
    // Each event needs one send. Every five events share one receive and one delete.
    assert_eq!(dollars(bill, "SQS FIFO", "requests"), 0.7);
    // The log entry and its index entry, and a fifth of a write of the ledger.
    assert_eq!(dollars(bill, "DynamoDB", "write units"), 1.375);
    assert_eq!(dollars(bill, "DynamoDB", "read units"), 0.0625);
    assert_eq!(dollars(bill, "Data out", "GB"), 0.09);
    let logged = MEASURED.access_log_bytes + 26.0 + (MEASURED.consumer_log_bytes + 26.0) / 5.0;
    assert!((dollars(bill, "CloudWatch logs", "GB") - logged / 2000.0).abs() < 1e-5, "{bill:?}");
    let sum: f64 = bill.lines.iter().map(|line| line.dollars).sum();
    assert!((bill.total - sum).abs() < 1e-9);
    assert_eq!((estimate.per_million_orders, estimate.audit), (Some(bill.total), 0.0));
    let of_profiles: Vec<_> = estimate.profiles.iter().map(|profile| profile.name).collect();
    assert_eq!(of_profiles, PROFILES.map(|profile| profile.name));
    assert_eq!(estimate.profiles[0].per_million_orders, estimate.per_million_orders);
    assert!(estimate.profiles.iter().all(|profile| profile.fixed_a_month > 3.0));
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
    let bill = bill(&Usage::of_run(&calls, &outcomes), &PROFILES[0], 1, false);
    assert_eq!(quantity(&bill, "API Gateway, HTTP API", "requests"), 191.0);
    assert_eq!(quantity(&bill, "Lambda, consumer", "invocations"), 30.0);
    assert_eq!(quantity(&bill, "SQS standard", "requests"), 150.0 + 60.0 + 4.0);
    assert_eq!(quantity(&bill, "DynamoDB", "write units"), 200.0 + 40.0 * 1.2 + 6.0 + 8.0 + 30.0);
    assert_eq!(quantity(&bill, "DynamoDB", "read units"), 80.0 + 50.0 + 24.0 + 21.0);
}

#[test]
fn a_provisioned_unit_costs_its_hour_by_the_share_that_is_used() {
    let usage = Usage { creations: 0.7 * 3600.0, ..Usage::default() };
    let provisioned = bill(&usage, &PROFILES[3], 2, true);
    // At 0.7 creations a second of two units, two units are provisioned for an hour, and a tenth for the ledger.
    let units = 2.0 + 0.1;
    assert_eq!(dollars(&provisioned, "DynamoDB, provisioned", "write units"), units * 0.00065);
    // A load balancer counts bytes or connections, whichever are more.
    let connected = bill(&Usage { requests: 9e6, ..Usage::default() }, &PROFILES[2], 2, true);
    let bytes = 9e6 * MEASURED.request_bytes / 1e9;
    assert_eq!(quantity(&connected, "Application Load Balancer", "LCU-hours"), bytes.max(10.0));
}

#[test]
fn webhooks_and_the_feed_cost_what_the_decisions_say() {
    let calls = CallCounts { creations: MILLION, ..CallCounts::default() };
    let outcomes = OutcomeCounts { accepted: MILLION, recorded: MILLION, ..OutcomeCounts::default() };
    let none = CallCounts::default();
    let without = estimate(&calls, &none, &outcomes, 100.0, true, None);
    let with = estimate(&calls, &none, &outcomes, 100.0, true, Some(2 * MILLION));
    let bill = &with.bill;
    assert_eq!(dollars(bill, "Lambda, relay", "invocations"), 0.04);
    // 200,000 batches, each for 20 ms and with 0.25 GB of memory.
    assert_eq!(dollars(bill, "Lambda, relay", "GB-s"), 0.013_333);
    // Two million deliveries in 400,000 batches.
    assert_eq!(dollars(bill, "SQS FIFO, webhooks", "requests"), 0.6);
    assert_eq!(dollars(bill, "Lambda, webhook sender", "invocations"), 0.08);
    assert_eq!(dollars(bill, "Lambda, webhook sender", "GB-s"), 0.533_336);
    assert_eq!(dollars(bill, "DynamoDB, webhooks", "read units"), 0.525);
    let added = 0.04 + 0.013_333 + 0.6 + 0.08 + 0.533_336 + 0.525;
    assert!((bill.total - without.bill.total - added).abs() < 1e-5, "{}", bill.total);
    assert_eq!(without.bill.lines.len() + 6, bill.lines.len());
    // 200,000 batches write chunk and head of three partitions, and read the ends of these.
    let feed = 0.04 + 0.013_333 + 1.2 * 0.625 + 0.3 * 0.125;
    assert!((without.feed - feed).abs() < 1e-5 && with.feed == without.feed, "{}", without.feed);
}

#[test]
fn a_run_without_orders_has_no_price_for_orders() {
    let nothing = CallCounts::default();
    let estimate = estimate(&nothing, &nothing, &OutcomeCounts::default(), 0.0, true, None);
    assert_eq!((estimate.bill.total, estimate.per_million_orders), (0.0, None));
}
