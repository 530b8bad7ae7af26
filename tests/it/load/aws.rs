//! The AWS shape, on the emulator.

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
    let ended = load(folder.path(), &api.url, &[&common[..], flags].concat()).await;
    ended.is_clean();
    assert!(ended.number("/latency/recorded/count") > 0, "{}", ended.told());
    assert!(ended.number("/calls/retries") > 0, "{}", ended.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_comes_through_clean() {
    run(true, &[]).await;
}

/// Where what comes too early is put off for half a minute, one event at a time would take very long: so no lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_standard_queue_comes_through_clean() {
    run(false, &["--unordered", "--mix", "create=8,read=4,retry=2,malformed=1"]).await;
}
