//! Tests imports into a DynamoDB table and exports from it, on the emulator.

use std::process::Output;
use std::time::Duration;

use api::operations::Pipeline;
use api::ports::OrderReader;
use domain::{OrderId, Reference};
use infra::aws::SqsPipeline;
use serde_json::json;
use tempfile::TempDir;

use super::round_trip::every_kind_of_line;
use super::{export, file, import, line, order_data, printed, text};
use crate::aws::at;
use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::emulator::Emulator;

fn run(backend: &AwsBackend, arguments: &[&str]) -> Output {
    let mut command = at(&Emulator::shared().endpoint, arguments);
    command
        .env("TABLE_NAME", &backend.table_name)
        .env("ORDERS_DEFAULT_CURRENCY", "EUR")
        .arg("--aws")
        .output()
        .unwrap()
}

async fn open() -> AwsBackend {
    AwsBackend::open(true, QueueOptions::default()).await
}

/// The lines of an export, sorted so that their order does not depend on the store.
fn sorted(export: &str) -> Vec<&str> {
    let mut lines: Vec<_> = export.lines().filter(|line| !line.contains("export_end")).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_moves_to_a_table_and_back() {
    let folder = TempDir::new().unwrap();
    let [data, back] = ["data", "back"].map(|name| folder.path().join(name));
    let lines = every_kind_of_line();
    printed(&import(&file(folder.path(), "lines", &lines), &data, &["--partial"]));
    let exported = export(&data);
    let whole = folder.path().join("export");
    std::fs::write(&whole, &exported).unwrap();

    let backend = open().await;
    let path = whole.to_str().unwrap();
    let imported = printed(&run(&backend, &["import", path]));
    assert!(
        imported.starts_with(&format!("{} events imported, 0 were there already", lines.len())),
        "{imported}"
    );
    let again = printed(&run(&backend, &["import", path]));
    assert!(again.starts_with(&format!("0 events imported, {} were there already", lines.len())), "{again}");

    let from_table = printed(&run(&backend, &["export"]));
    assert_eq!(sorted(&from_table), sorted(&exported));
    let pipeline =
        SqsPipeline { queue: (*backend.queue).clone(), dead_letters: None, table: (*backend.table).clone() };
    let ledger = pipeline.counters().await.unwrap().ledger;
    assert_eq!(ledger.recorded, lines.len() as u64);
    // The projection of each order agrees with its log.
    let mut orders: Vec<_> = exported
        .lines()
        .filter_map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            Some(OrderId::parse(event["data"]["order_id"].as_str()?).unwrap())
        })
        .collect();
    orders.dedup();
    for order_id in &orders {
        backend.history(order_id).await;
    }

    let returned = folder.path().join("returned");
    std::fs::write(&returned, &from_table).unwrap();
    printed(&import(&returned, &back, &[]));
    assert!(export(&back) == exported);
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_named_and_an_interrupted_import_is_completed() {
    let folder = TempDir::new().unwrap();
    let backend = open().await;
    let mut with_reference = order_data();
    with_reference["reference"] = "R-1".into();
    let lines = [
        line("o-1", 1, 1, "order_created", &with_reference),
        line("o-1", 2, 2, "order_confirmed", &json!({})),
        line("o-2", 1, 3, "order_created", &order_data()),
    ];
    // A killed import has reserved the reference of the first order and written its events, but no derived
    // writes.
    let (id, reference) = (OrderId::parse("o-1").unwrap(), Reference::parse("R-1").unwrap());
    backend.table.reserve_without_appending(&reference, &id, 1, Duration::ZERO).await.unwrap();
    let decoded = |line: &String| {
        domain::RecordedEvent::decode(line.as_bytes(), crate::support::events::eur()).unwrap()
    };
    for event in lines[..2].iter().map(decoded) {
        backend.table.append_without_projecting(&event).await.unwrap();
    }
    let path = file(folder.path(), "lines", &lines);
    let imported = printed(&run(&backend, &["import", path.to_str().unwrap(), "--partial"]));
    assert!(imported.starts_with("1 events imported, 2 were there already"), "{imported}");
    backend.history(&id).await;
    let counters = backend.pipeline().counters().await.unwrap();
    assert_eq!(
        (counters.ledger.recorded, counters.exact),
        (3, true),
        "the killed import had counted nothing"
    );

    let mut other = order_data();
    other["customer_id"] = "c-2".into();
    let mut taken = order_data();
    taken["reference"] = "R-1".into();
    let bad = [
        line("o-2", 1, 3, "order_created", &other),
        line("o-3", 1, 4, "order_created", &taken),
        line("o-4", 1, 5, "order_created", &order_data()),
    ];
    let path = file(folder.path(), "bad", &bad);
    let output = run(&backend, &["import", path.to_str().unwrap(), "--partial", "--on-error", "skip"]);
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("line 1: conflict: version 1 of order o-2 is the same event with other content"),
        "{text}"
    );
    assert!(text.contains(r#"line 2: order o-1 has the reference "R-1""#), "{text}");
    assert!(text.contains("1 events imported, 0 were there already, 2 lines refused"), "{text}");
    let found = backend.table.order_by_reference(&reference).await.unwrap();
    assert_eq!(found.map(|snapshot| snapshot.order.order_id.clone()), Some(id));
}

/// Follows the steps of docs/aws.md for a deleted table.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_table_is_made_again_from_an_export() {
    let folder = TempDir::new().unwrap();
    let backend = open().await;
    let lines = file(folder.path(), "lines", &every_kind_of_line());
    printed(&run(&backend, &["import", lines.to_str().unwrap(), "--partial"]));
    let exported = printed(&run(&backend, &["export"]));
    let path = folder.path().join("export");
    std::fs::write(&path, &exported).unwrap();

    let table = json!({ "TableName": backend.table_name });
    Emulator::shared().dynamodb("DeleteTable", &table).await;
    let missing = run(&backend, &["export"]);
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(!missing.status.success() && error.contains("ResourceNotFound"), "{error}");
    assert!(backend.table.create().await.unwrap());
    printed(&run(&backend, &["import", path.to_str().unwrap()]));
    assert_eq!(sorted(&printed(&run(&backend, &["export"]))), sorted(&exported));
}

#[test]
fn a_table_must_be_named() {
    let output = at(&Emulator::shared().endpoint, &["export", "--aws"]).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("TABLE_NAME is not set"), "{}", text(&output));
}
