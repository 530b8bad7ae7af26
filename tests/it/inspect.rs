//! Tests `orders inspect`: what it prints about data folders of all formats, used and unused, and that it changes nothing.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::folder::contents;
use crate::support::recorded::exported;
use crate::support::service::{Service, order, orders, run};
use crate::upgrade::golden;

/// What `orders inspect` prints about the folder, which must not change.
fn inspect(folder: &Path, flags: &[&str]) -> String {
    let before = contents(folder);
    let printed = inspect_used(folder, flags);
    assert!(contents(folder) == before, "the inspection changed the folder");
    printed
}

/// What `orders inspect` prints about a folder that a service may be using.
fn inspect_used(folder: &Path, flags: &[&str]) -> String {
    let output = orders(&["inspect"]).arg(folder).args(flags).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn as_json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_a_folder_contains() {
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(folder.path(), &[]);
    for _ in 0..3 {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        service.outcome(&receipt).await;
    }
    let used = inspect_used(folder.path(), &[]);
    assert!(used.contains("in use      by a running process") && used.contains("GET /v1/pipeline"), "{used}");
    let used = as_json(&inspect_used(folder.path(), &["--json"]));
    assert_eq!((&used["in_use"], &used["content"]), (&true.into(), &Value::Null));
    assert!(used["journals"][0]["latest_commit"].as_u64() >= used["synced"]["commit"].as_u64(), "{used}");
    assert!(service.terminate().success());

    let text = inspect(folder.path(), &[]);
    for line in [
        "format        orders data folder, format 6",
        "ledger        3 accepted = 3 recorded + 0 rejected + 0 duplicate + 0 parked + 0 in flight",
        "log           3 events of 3 orders, 0 messages queued: agrees with the ledger",
        "feed          up to position 3",
        "next start    would use the folder as it is",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let found = as_json(&inspect(folder.path(), &["--json"]));
    assert_eq!(found["next_start"]["action"], "open");
    let commit = &found["content"]["commit"];
    assert_eq!((&found["synced"]["commit"], &found["journals"][0]["latest_commit"]), (commit, commit));
    assert!(
        found["content"]["oldest_event"].as_str() <= found["content"]["newest_event"].as_str(),
        "{found}"
    );
}

#[test]
fn folders_of_earlier_formats_are_inspected_and_not_upgraded() {
    for format in ["format-3", "format-4", "format-5"] {
        let folder = golden(format);
        let found = as_json(&inspect(folder.path(), &["--json"]));
        assert_eq!(found["next_start"]["action"], "upgrade", "{format}: {found}");
        let inspected = found["content"]["events"].as_u64().unwrap();
        let exported = exported(folder.path()).len() as u64;
        assert!(inspected == exported && exported > 0, "{format}: {inspected}, {exported}");
        let found = as_json(&inspect(folder.path(), &["--json"]));
        assert_eq!(found["next_start"]["action"], "open", "{format}: {found}");
    }
}

#[test]
fn a_refused_folder_is_described_with_the_reason() {
    let folder = golden("format-5");
    run(&["export"], folder.path());
    let journals = fs::read_dir(folder.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
    let journal = journals.filter(|path| path.extension().is_some_and(|it| it == "jnl")).max().unwrap();
    fs::File::options().write(true).open(journal).unwrap().set_len(200).unwrap();
    let found = as_json(&inspect(folder.path(), &["--json"]));
    let reason = found["next_start"]["reason"].as_str().unwrap();
    let refused = String::from_utf8(run(&["export"], folder.path()).stderr).unwrap();
    assert!(refused.contains(reason) && reason.contains("cannot be read from byte"), "{reason}\n{refused}");

    let foreign = TempDir::new().unwrap();
    fs::write(foreign.path().join("thesis.txt"), "years of work").unwrap();
    for (path, expected) in [
        (foreign.path().to_owned(), "not an orders data folder"),
        (foreign.path().join("thesis.txt"), "is a file, not a folder"),
        (foreign.path().join("missing"), "No such file"),
    ] {
        let output = orders(&["inspect"]).arg(&path).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(expected), "{error}");
    }
}
