//! Tests data folders that cannot be used. The program reports a clear error for each, and does not change
//! the folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::eventually::eventually_blocking;
use crate::support::service::{Service, order, orders, run};

/// All files below `folder`, each with its content.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// A data folder with some recorded orders.
async fn filled(data: &Path) {
    let mut service = Service::start(data, &[]);
    for _ in 0..20 {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        service.outcome(&receipt).await;
    }
    assert!(service.terminate().success());
}

/// Asserts that `orders serve` on `data` fails with one line that contains all of `expected`, and does not change the
/// folder.
fn assert_refused(data: &Path, expected: &[&str]) {
    let before = contents(data);
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    let mut child = command.arg(data).stderr(Stdio::piped()).spawn().unwrap();
    eventually_blocking("the service refuses to start", || child.try_wait().unwrap().ok_or(()));
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let line = error.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{error}"));
    for part in expected {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
    assert!(contents(data) == before, "the folder was changed");
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    assert_refused(folder.path(), &["not an orders data folder"]);

    fs::write(folder.path().join("FORMAT"), "orders data folder, format 99\n").unwrap();
    assert_refused(folder.path(), &["by another version of this program", "format 99"]);
}

#[test]
fn the_error_for_a_path_that_is_no_folder_names_what_it_is() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for (data, expected) in [
        (&file, "is a file, not a folder"),
        (&link, "is a link that leads nowhere"),
        (&file.join("data"), "a part of the path is a file"),
    ] {
        let error = String::from_utf8(run(&["serve", "--listen", "127.0.0.1:0"], data).stderr).unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!(
            error.matches("os error").count(),
            error.matches("cannot be used").count(),
            "once: {error}"
        );
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_of_a_fresh_file_system_is_a_data_folder() {
    let folder = TempDir::new().unwrap();
    let lost = folder.path().join("lost+found");
    fs::create_dir(&lost).unwrap();
    fs::set_permissions(&lost, fs::Permissions::from_mode(0o000)).unwrap();
    for _ in 0..2 {
        let mut service = Service::start(folder.path(), &[]);
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        service.outcome(&receipt).await;
        assert!(service.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let service = Service::start(&data, &[]);
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["export"], &["rebuild"]] {
        let output = run(command, &data);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains("in use by another process"), "{error}");
    }
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    assert_eq!(service.outcome(&receipt).await["state"], "recorded", "the first process still works");
}

/// The journal of a filled data folder: its path, its bytes, and the index of the last byte that is not zero. In a
/// small folder, the journal contains all data.
async fn filled_journal(data: &Path) -> (PathBuf, Vec<u8>, usize) {
    filled(data).await;
    let mut files = contents(&data.join("store")).into_iter();
    let (path, bytes) = files.find(|(path, _)| path.extension() == Some("jnl".as_ref())).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    (path, bytes, end)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_refused_wherever_the_damage_is() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let (journal, good, end) = filled_journal(&data).await;

    // The step is a prime number, so that the changed positions fall on structure, keys, values and checksums.
    for position in (100..end / 2).step_by(307) {
        let mut bad = good.clone();
        bad[position] ^= 0x55;
        fs::write(&journal, &bad).unwrap();
        assert_refused(&data, &["damaged", "Nothing was changed"]);
    }
    fs::write(&journal, &good).unwrap();
    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "the folder is valid after the damage is undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_of_the_journal_is_no_damage() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let (journal, good, end) = filled_journal(&data).await;
    // A crash in the middle of a write leaves half a commit. After this half, the journal contains zeros or ends.
    let half_a_batch = good[..40].to_vec();
    // A crash can also leave a whole commit with a hole in its last value. An end marker of 13 bytes follows that value.
    let trailer = good.windows(4).position(|bytes| bytes == b"FJL\x03").unwrap();
    let mut batch_with_a_hole = good[..trailer + 4].to_vec();
    batch_with_a_hole[trailer - 10] = 0;
    let ends = [half_a_batch, batch_with_a_hole];
    for (torn, zeros) in ends.iter().flat_map(|torn| [(torn, 0), (torn, 5000)]) {
        let mut bytes = [&good[..=end], torn].concat();
        bytes.extend(vec![0; zeros]);
        fs::write(&journal, bytes).unwrap();
        let check = run(&["rebuild", "--check"], &data);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        assert!(String::from_utf8_lossy(&check.stdout).starts_with("20 events of 20 orders"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_missing_parts_is_refused() {
    for missing in ["version", "keyspaces", "keyspaces/0", "keyspaces/1/current", "0.jnl"] {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        filled(&data).await;
        let path = data.join("store").join(missing);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        assert_refused(&data, &["damaged"]);
    }
}

/// A command that runs a copy of the binary, which every user may execute. If the tests run as root, which may write
/// anywhere, the command runs as a user without rights.
fn as_ordinary_user(folder: &Path) -> Command {
    let binary = folder.join("orders");
    fs::copy(env!("CARGO_BIN_EXE_orders"), &binary).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(binary);
    if fs::metadata(folder).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    command
}

#[test]
fn a_read_only_folder_is_explained() {
    let folder = TempDir::new().unwrap();
    let mut command = as_ordinary_user(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    let output = command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("Permission denied") && error.contains("may not write to the data folder"),
        "{error}"
    );
    assert_eq!(contents(&data), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_nearly_full_disk_no_new_orders_are_accepted_and_reads_go_on() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    filled(&data).await;
    // The service must keep more free space in reserve than any disk has.
    let service = Service::start(&data, &["--min-free-disk", "9999999999"]);
    let response = service.send(Method::POST, "/v1/orders", Some(&order("c-1"))).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let problem: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "/problems/queue-full");
    let (status, ready) = service.get("/readyz").await;
    assert_eq!((status.as_u16(), &ready["reads"], &ready["writes"]), (200, &json!("ok"), &json!("refused")));
    assert!(ready["detail"].as_str().unwrap().contains("MiB left"), "{ready}");
    let (status, problem) = service.get("/readyz?for=writes").await;
    assert_eq!(status, 503);
    assert!(problem["detail"].as_str().unwrap().contains("MiB left"), "{problem}");
    let (status, list) = service.get("/v1/orders?customer_id=c-1").await;
    assert_eq!((status.as_u16(), list["items"].as_array().unwrap().len()), (200, 20), "reads go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_service_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    filled(&data).await;
    // A limit on file sizes (in KiB) simulates a full disk: a write beyond the limit fails with an operating system error.
    let script = "trap '' XFSZ; ulimit -f 3072; exec \"$0\" \"$@\"";
    let binary = orders(&[]).get_program().to_owned();
    let mut command = Command::new("bash");
    command.args(["-c", script]).arg(binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn,orders=info"]);
    command.args(["--min-free-disk", "1", "--data"]).arg(&data).stdin(Stdio::null());
    let mut service = Service::spawn(command);

    let metadata: BTreeMap<_, _> = (0..20).map(|n| (format!("k{n}"), "x".repeat(500))).collect();
    let item = json!({ "sku": "x".repeat(64), "quantity": 1, "unit_price": 1 });
    let large =
        json!({ "customer_id": "c-1", "currency": "EUR", "items": vec![item; 200], "metadata": metadata });
    let mut accepted = Vec::new();
    let refused = loop {
        assert!(accepted.len() < 5000, "the disk never fills");
        let Ok(response) = service.send(Method::POST, "/v1/orders", Some(&large)).await else { break None };
        let status = response.status();
        let Ok(text) = response.text().await else { break None };
        if status != 202 {
            break Some((status.as_u16(), text));
        }
        accepted.push(serde_json::from_str::<serde_json::Value>(&text).unwrap());
    };
    if let Some((status, text)) = &refused {
        assert_eq!(*status, 503, "{text}");
        let problem: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            problem["type"], "/problems/outcome-unknown",
            "the problem reports an unknown outcome: {problem}"
        );
    }
    assert_eq!(service.wait().code(), Some(1));
    let log = service.rest_of_log();
    assert!(log.contains("can no longer be written") && log.contains("File too large"), "{log}");

    assert!(accepted.len() > 100);
    let service = Service::start(&data, &[]);
    for receipt in &accepted {
        assert_eq!(service.outcome(receipt).await["state"], "recorded");
    }
    if let Some((_, text)) = refused {
        // The receipt that the problem links to shows whether the event was recorded.
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        let receipt = problem["links"]["receipt"].as_str().unwrap();
        assert!([200, 404].contains(&service.get(receipt).await.0.as_u16()));
    }
}
