//! Tests `orders load` against the service on SQS and DynamoDB, on the emulator.

use tempfile::TempDir;

use super::load;
use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;

async fn run(fifo: bool, flags: &[&str]) {
    let backend = AwsBackend::open(fifo, QueueOptions::default()).await;
    let endpoint = &Emulator::shared().endpoint;
    let (api, _consumer) = (backend.start_api(endpoint), backend.start_consumer(endpoint));
    let folder = TempDir::new().unwrap();
    let common = ["--rate", "25", "--duration", "5", "--patience", "120", "--samples", "10"];
    let output = load(folder.path(), &api.url, &[&common[..], flags].concat()).await;
    output.assert_clean();
    assert!(output.number("/latency/recorded/count") > 0, "{}", output.text());
    assert!(output.number("/calls/retries") > 0, "{}", output.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_on_a_fifo_queue_is_clean() {
    run(true, &[]).await;
}

/// The mix contains only `order_created` events. An event that arrives too early is delayed by half a minute,
/// so whole lives of orders would take too long.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_on_a_standard_queue_is_clean() {
    run(false, &["--unordered", "--mix", "create=8,read=4,retry=2,malformed=1"]).await;
}
