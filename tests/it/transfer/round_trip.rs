//! Tests that an export that is imported into another folder and exported again has the same bytes. The
//! exports contain every kind of event, every schema version, references, metadata and several customers.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{check, export, file, import, printed, text};
use crate::support::service::{Service, order, run};

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Log entries of every schema version and every event type, with and without each optional member.
pub fn every_kind_of_line() -> Vec<String> {
    let mut versions = std::collections::BTreeMap::<String, u64>::new();
    let v0 = golden("article-v0.jsonl");
    let numbered = v0.lines().map(|line| {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        let order = entry["data"]["order_id"].as_str().unwrap().to_owned();
        let version = versions.entry(order).or_default();
        *version += 1;
        entry["version"] = (*version).into();
        entry["recorded_at"] = "2026-11-23T12:00:00Z".into();
        entry.to_string()
    });
    let mut lines: Vec<_> = numbered.collect();
    for name in ["v1.jsonl", "v2.jsonl"] {
        lines.extend(golden(name).lines().map(str::to_owned));
    }
    lines
}

#[test]
fn every_kind_of_event_is_exported_as_it_was_imported() {
    let folder = TempDir::new().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let lines = every_kind_of_line();
    let imported = printed(&import(&file(folder.path(), "lines", &lines), &first, &["--partial"]));
    let summary = format!("{} events imported, 0 were there already, 0 lines refused", lines.len());
    assert!(imported.contains(&summary) && imported.contains(" 0 parts differ"), "{imported}");
    check(&first);
    let exported = export(&first);
    assert_eq!(exported.lines().count(), lines.len() + 1);

    let whole = folder.path().join("export");
    std::fs::write(&whole, &exported).unwrap();
    printed(&import(&whole, &second, &[]));
    check(&second);
    assert!(export(&second) == exported, "the second export differs");
    let again = printed(&import(&whole, &second, &[]));
    assert!(again.starts_with(&format!("0 events imported, {} were there already", lines.len())), "{again}");
    // The lines of the current schema version are stored byte for byte.
    for line in golden("v2.jsonl").lines() {
        assert!(exported.lines().any(|exported| exported == line), "{line}");
    }
}

/// The golden file was exported by the first version of the program that writes a last line. To renew the
/// file after a new kind of event was added to the corpus, import the lines of `every_kind_of_line` and
/// export them.
#[test]
fn the_golden_export_can_be_imported_and_is_exported_again() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/export.jsonl");
    printed(&import(&path, &data, &[]));
    check(&data);
    assert!(export(&data) == golden("export.jsonl"), "the export differs from the golden one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_an_older_format_moves_to_a_new_one() {
    let folder = TempDir::new().unwrap();
    let old = folder.path().join("old");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/folders/format-5");
    let copied = std::process::Command::new("cp").arg("-r").arg(golden).arg(&old).status().unwrap();
    assert!(copied.success());
    let exported = export(&old);
    let whole = folder.path().join("export");
    std::fs::write(&whole, &exported).unwrap();
    let new = folder.path().join("new");
    printed(&import(&whole, &new, &[]));
    check(&new);
    assert!(export(&new) == exported);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_keep_their_lists_references_and_receipts() {
    let folder = TempDir::new().unwrap();
    let [source, target] = ["source", "target"].map(|name| folder.path().join(name));
    let mut service = Service::start(&source, &[]);
    let mut body = order("c-1");
    body["reference"] = "R-1".into();
    let key = [("idempotency-key", "key-1"), ("prefer", "wait=10")];
    let created = service.ask(Method::POST, "/v1/orders", &key, Some(&body)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.body["order_id"].as_str().unwrap().to_owned();
    let events = format!("/v1/orders/{id}/events");
    let paid = json!({ "type": "order_paid", "data": { "payment_id": "p-1", "amount": 1800 } });
    let pay_key = [("idempotency-key", "key-2"), ("prefer", "wait=10")];
    let first_answer = service.ask(Method::POST, &events, &pay_key, Some(&paid)).await;
    assert_eq!(first_answer.status, 200, "{first_answer:?}");
    let (_, before) = service.get(&events).await;
    assert!(service.terminate().success());

    let whole = folder.path().join("export");
    std::fs::write(&whole, export(&source)).unwrap();
    printed(&import(&whole, &target, &[]));
    let mut service = Service::start(&target, &[]);
    assert_eq!(service.get(&events).await.1, before, "ids, versions and times are kept");
    let (_, listed) = service.get("/v1/orders?reference=R-1").await;
    assert_eq!(listed["items"][0]["order_id"], json!(id), "{listed}");
    let (_, listed) = service.get("/v1/orders?customer_id=c-1").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let (_, pipeline) = service.get("/v1/pipeline").await;
    let ledger = &pipeline["ledger"];
    assert_eq!(
        (&ledger["accepted"], &ledger["recorded"], &ledger["balanced"]),
        (&json!(2), &json!(2), &json!(true))
    );

    // A client that retries under its key gets the answer to its first request.
    let retried = service.ask(Method::POST, "/v1/orders", &key, Some(&body)).await;
    assert_eq!(
        (retried.header("idempotent-replayed"), &retried.body["order_id"]),
        ("true", &json!(id)),
        "{retried:?}"
    );
    let retried = service.ask(Method::POST, &events, &pay_key, Some(&paid)).await;
    assert_eq!(retried.header("idempotent-replayed"), "true", "{retried:?}");
    assert_eq!(retried.body, first_answer.body);
    let other = json!({ "type": "order_paid", "data": { "payment_id": "p-2", "amount": 1 } });
    let reused = service.ask(Method::POST, &events, &pay_key, Some(&other)).await;
    reused.is_problem(422, "idempotency-key-reused");
    // The reference is taken.
    let refused = service.ask(Method::POST, "/v1/orders", &[("prefer", "wait=10")], Some(&body)).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(service.terminate().success());
    check(&target);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_exported_from_a_time_and_of_a_customer() {
    let folder = TempDir::new().unwrap();
    let [data, copy] = ["data", "copy"].map(|name| folder.path().join(name));
    let lines: Vec<_> = every_kind_of_line();
    printed(&import(&file(folder.path(), "lines", &lines), &data, &["--partial"]));
    let all = export(&data);
    let time = "2026-11-23T11:59:00Z";
    let late = printed(&run(&["export", "--default-currency", "EUR", "--from", time], &data));
    let of_time = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["recorded_at"].as_str().is_some_and(|at| at >= time)
    };
    let expected: Vec<_> = all.lines().filter(of_time).collect();
    assert_eq!(late.lines().filter(|line| !line.contains("export_end")).collect::<Vec<_>>(), expected);
    assert!(!expected.is_empty() && expected.len() < all.lines().count() - 1);

    // An import of the early part and then of the late part gives the whole log.
    let early = all.lines().filter(|line| !of_time(line) && !line.contains("export_end"));
    let early: Vec<String> = early.map(str::to_owned).collect();
    printed(&import(&file(folder.path(), "early", &early), &copy, &["--partial"]));
    let rest = folder.path().join("late");
    std::fs::write(&rest, late).unwrap();
    printed(&import(&rest, &copy, &[]));
    assert!(export(&copy) == all);

    let created = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["data"]["customer_id"].as_str().map(str::to_owned)
    };
    let customer = all.lines().find_map(created).unwrap();
    let of_customer = printed(&run(&["export", "--default-currency", "EUR", "--customer", &customer], &data));
    let mine: std::collections::BTreeSet<_> = all
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["data"]["customer_id"] == customer)
        .map(|event| event["data"]["order_id"].to_string())
        .collect();
    let is_mine = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap();
        mine.contains(&event["data"]["order_id"].to_string())
    };
    let mut expected: Vec<_> = all.lines().filter(is_mine).collect();
    let mut found: Vec<_> = of_customer.lines().filter(|line| !line.contains("export_end")).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert!(!found.is_empty());
    assert_eq!(found, expected);
    let unknown = run(&["export", "--customer", "nobody"], &data);
    assert_eq!(printed(&unknown).lines().count(), 1, "{}", text(&unknown));
}
