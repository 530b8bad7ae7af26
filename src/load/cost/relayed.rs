//! Prices what follows a recorded event on AWS: the relay, the feed, and webhook deliveries. `mod` adds webhooks to the bill of
//! a run, and reports the feed beside it.

use super::prices::PRICES;
use super::profiles::ASSUMPTIONS;
use super::{AwsBill, Usage};

/// Adds what the relay and the webhook sender cost (`docs/decisions/webhooks-on-aws.md`).
pub(super) fn add_webhooks(bill: &mut AwsBill, usage: &Usage, deliveries: f64) {
    let (p, a) = (&*PRICES, &ASSUMPTIONS);
    let recorded = usage.creations + usage.recorded_events();
    let (relayed, batches) = ((recorded / RELAYED).ceil(), (deliveries / RELAYED).ceil());
    bill.add("Lambda, relay", relayed, "invocations", &p.lambda_request);
    bill.add("Lambda, relay", relayed * a.relay_seconds * a.relay_memory, "GB-s", &p.lambda_gb_second);
    // A batch takes a send, a receive and a delete.
    bill.add("SQS FIFO, webhooks", 3.0 * batches, "requests", &p.sqs_fifo);
    bill.add("Lambda, webhook sender", batches, "invocations", &p.lambda_request);
    bill.add(
        "Lambda, webhook sender",
        deliveries * a.delivery_seconds * a.relay_memory,
        "GB-s",
        &p.lambda_gb_second,
    );
    let reads = relayed + deliveries * a.reads_of_delivery;
    bill.add("DynamoDB, webhooks", reads, "read units", &p.dynamodb_read);
}

/// How many events or deliveries share a batch of the relay and of the webhook sender.
const RELAYED: f64 = 5.0;

/// What a feed of these events would cost without its readers (`docs/decisions/feed-on-aws.md`). The relay looks up the customer of
/// an event that does not create its order.
pub(super) fn feed(usage: &Usage) -> f64 {
    let (p, a) = (&*PRICES, &ASSUMPTIONS);
    let relayed = ((usage.creations + usage.recorded_events()) / RELAYED).ceil();
    let partitions = relayed * a.partitions_of_batch;
    let (writes, reads) = (2.0 * partitions, 0.5 * partitions + usage.events);
    let relay = relayed * p.lambda_request.each()
        + relayed * a.relay_seconds * a.relay_memory * p.lambda_gb_second.each();
    relay + writes * p.dynamodb_write.each() + reads * p.dynamodb_read.each()
}
