//! Tests a scripted week of a shop against the live service, on both backends. After every step,
//! `examples/shop_week.py` compares the amounts of the service with its own bookkeeping, and fails at the first
//! difference.

use std::process::Command;

use tempfile::TempDir;

use crate::support::service::Service;

/// Runs the script against the given service, and asserts that all amounts agree. Returns the printed text.
async fn assert_books_agree(url: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop_week.py");
    let mut command = Command::new("python3");
    command.args(["-B", script, "--url", url, "--expiry"]);
    // Blocking code runs on another thread, because tasks of this test serve the requests of the script.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("the service's books agree with ours after every step"), "{out}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_week_agree_on_the_embedded_service() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let printed = assert_books_agree(&service.url).await;
    let kept = printed.lines().find(|line| line.starts_with("kept at the end of the week"));
    assert_eq!(kept, Some("kept at the end of the week: 1249990 EUR, 5800 JPY, 5750 KWD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_week_agree_where_every_event_is_queued() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--always-queue"]);
    assert_books_agree(&service.url).await;
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_week_agree_on_sqs_and_dynamodb() {
    use crate::conformance::QueueOptions;
    use crate::conformance::aws::AwsBackend;
    use crate::support::emulator::Emulator;

    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let endpoint = &Emulator::shared().endpoint;
    let (api, _consumer) = (backend.start_api(endpoint), backend.start_consumer(endpoint));
    let (_expiry, _) = Service::spawn_until(backend.role("expiry", endpoint), "\"expiring\"");
    assert_books_agree(&api.url).await;
}
