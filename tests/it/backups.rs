//! Tests backups with the real binary: of a running service, of a stopped folder, continuous backups, and
//! backups in a bucket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::pipeline::{created_and_shipped_too_early, from_created_to_delivered};
use crate::support::emulator::{Emulator, aws};
use crate::support::eventually::{check, eventually};
use crate::support::service::{Api, Service, order, orders};

/// The manifests of a backup in a folder, oldest first.
fn manifests(backup: &Path) -> Vec<Value> {
    let Ok(files) = fs::read_dir(backup.join("manifests")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap();
    files.iter().map(|file| read(file)["manifest"].clone()).collect()
}

/// The names of the segments with rows of the given keyspace.
fn segments_of(manifest: &Value, keyspace: &str) -> Vec<String> {
    let state = manifest["state"].as_array().unwrap().iter();
    let of_keyspace = state.filter(|segment| segment["keyspace"] == keyspace);
    of_keyspace.map(|segment| segment["sha256"].as_str().unwrap().to_owned()).collect()
}

fn segment_count(backup: &Path) -> usize {
    fs::read_dir(backup.join("segments")).map_or(0, Iterator::count)
}

fn back_up(target: &str, arguments: &[&str]) -> Output {
    orders(&["backup", target]).args(arguments).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn nothing_in_flight(api: &Api) {
    eventually("nothing is in flight", async || {
        let (_, pipeline) = api.get("/v1/pipeline").await;
        check(pipeline["ledger"]["in_flight"] == 0, pipeline)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_and_its_folder_give_the_same_backup() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let mut service = Service::start(&at("data"), &[]);
    let url = service.url.clone();
    from_created_to_delivered(&service, "c-1").await;
    nothing_in_flight(&service).await;
    let first = succeeded(&back_up(&path("running"), &["--url", &url]));
    assert!(first.contains("increment 1, 5 new events up to position 5"), "{first}");
    // Nothing has changed, so no second increment is written.
    let same = succeeded(&back_up(&path("running"), &["--url", &url]));
    assert!(same.contains("nothing has changed since increment 1"), "{same}");
    created_and_shipped_too_early(&service, "c-2").await;
    nothing_in_flight(&service).await;
    let second = succeeded(&back_up(&path("running"), &["--url", &url, "--full"]));
    assert!(second.contains("increment 2, 1 new events up to position 6"), "{second}");
    assert!(service.terminate().success());

    let stopped = succeeded(&back_up(&path("stopped"), &["--data", &path("data")]));
    assert!(stopped.contains("increment 1, 6 new events up to position 6"), "{stopped}");
    let (running, stopped) = (manifests(&at("running")), manifests(&at("stopped")));
    assert_eq!((running.len(), stopped.len()), (2, 1));
    let (running, stopped) = (&running[1], &stopped[0]);
    assert_eq!(running["hash"], stopped["hash"]);
    assert_eq!(running["log"], stopped["log"]);
    for keyspace in ["receipts", "queue", "dead_letters", "webhooks"] {
        assert_eq!(segments_of(running, keyspace), segments_of(stopped, keyspace), "{keyspace}");
    }
    assert_eq!(segments_of(running, "receipts").len(), 1, "two refused events");
    for member in ["name", "position", "ledger", "next_seq", "queued"] {
        assert_eq!(running["folder"][member], stopped["folder"][member], "{member}");
    }
    // The stopped folder continues the backup of the service. The backup refuses to continue with another
    // folder.
    let continued = succeeded(&back_up(&path("running"), &["--data", &path("data"), "--keep", "1"]));
    assert!(continued.contains("0 new events") || continued.contains("nothing has changed"), "{continued}");
    assert_eq!(manifests(&at("running")).len(), 1);
    let other = Service::start(&at("other"), &[]);
    let refused = failed(&back_up(&path("running"), &["--url", &other.url]));
    assert!(refused.contains("contains the backup of another data folder"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_made_says_why_and_writes_no_manifest() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let service = Service::start(&at("data"), &[]);
    service.accept("/v1/orders", &order("c-1")).await;
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("foreign")).unwrap();
    fs::write(at("foreign").join("photo.jpg"), "").unwrap();
    fs::create_dir_all(at("newer").join("manifests")).unwrap();
    let newer = concat!(
        r#"{"manifest":{"format":2},"sha256":"0b0a51ca69f81b9b374767da7a28f0721a61251140339f82e3f9da3c55bb871b"}"#,
        "\n"
    );
    fs::write(at("newer").join("manifests/0000000001.json"), newer).unwrap();
    let url = service.url.as_str();
    let cases: [(&str, &[&str], &str); 6] = [
        ("gs://bucket/x", &["--url", url], "gs:// is not supported"),
        (&path("file"), &["--url", url], "cannot"),
        (&path("foreign"), &["--url", url], "it contains \"photo.jpg\""),
        (&path("newer"), &["--url", url], "it has format 2, and this version reads formats up to 1"),
        (&path("new"), &["--url", "http://127.0.0.1:9"], "cannot be reached"),
        (&path("new"), &["--data", &path("data")], "in use by another process"),
    ];
    for (target, arguments, expected) in cases {
        let error = failed(&back_up(target, arguments));
        assert!(error.contains(expected), "{target}: {error}");
    }
    assert!(manifests(&at("new")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_backs_up_its_folder_again_and_again() {
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("backup");
    let arguments = ["--backup-to", backup.to_str().unwrap(), "--backup-every", "1s", "--backup-keep", "2"];
    let mut service = Service::start(&folder.path().join("data"), &arguments);
    let backed_up_to = async |position: u64| {
        eventually("the events are backed up", async || {
            let (_, pipeline) = service.get("/v1/pipeline").await;
            let backup = &pipeline["backup"];
            let is_complete =
                backup["position"] == position && backup["lag_events"] == 0 && backup["lag_seconds"] == 0.0;
            check(is_complete, pipeline)
        })
        .await;
    };
    for round in 1..=4 {
        service.accept("/v1/orders", &order("c-1")).await;
        backed_up_to(round).await;
        let all = manifests(&backup);
        assert_eq!(all.last().unwrap()["folder"]["position"], round);
    }
    eventually("old increments are removed", async || {
        let numbers: Vec<_> = manifests(&backup).iter().map(|it| it["number"].as_u64().unwrap()).collect();
        check(numbers.len() == 2, numbers)
    })
    .await;
    assert!(segment_count(&backup) <= 2 * 4, "{}", segment_count(&backup));
    let line = service.wait_for_log("backed up");
    assert!(line["number"].as_u64().unwrap() >= 1 && line["level"] == "INFO", "{line}");
    assert!(service.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_fails_is_repeated_and_the_service_goes_on() {
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("backup");
    // A file exists at the path of the backup folder.
    fs::write(&backup, "").unwrap();
    let arguments = ["--backup-to", backup.to_str().unwrap(), "--backup-every", "2s"];
    let service = Service::start(&folder.path().join("data"), &arguments);
    let warning = service.wait_for_log("the backup failed");
    assert_eq!(warning["level"], "WARN");
    service.accept("/v1/orders", &order("c-1")).await;
    let (_, pipeline) = service.get("/v1/pipeline").await;
    let failing = &pipeline["backup"];
    assert!(failing["failures"].as_u64().unwrap() >= 1, "{failing}");
    assert!(failing["error"].as_str().unwrap().contains("cannot be used"), "{failing}");
    assert_eq!(failing.get("position"), None);
    fs::remove_file(&backup).unwrap();
    eventually("the backup succeeds", async || {
        let (_, pipeline) = service.get("/v1/pipeline").await;
        check(pipeline["backup"]["position"] == 1 && pipeline["backup"].get("error").is_none(), pipeline)
    })
    .await;
    assert_eq!(manifests(&backup).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_killed_is_made_by_the_next_run() {
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("backup");
    let service = Service::start(&folder.path().join("data"), &[]);
    let order = order("c-1");
    let create = async || service.send(Method::POST, "/v1/orders", Some(&order)).await.unwrap();
    for _ in 0..20 {
        futures_util::future::join_all((0..100).map(|_| create())).await;
    }
    let command = || {
        let mut command = orders(&["backup", backup.to_str().unwrap(), "--url", &service.url]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };
    // The backup is killed after a longer time in each round, until it ends before the kill. A killed backup
    // leaves no manifest, or a complete one.
    for moment in 0..200 {
        let mut running = command().spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(moment * 5));
        running.kill().unwrap();
        if running.wait().unwrap().success() {
            break;
        }
        for manifest in manifests(&backup) {
            assert_eq!(manifest["folder"]["position"], 2000);
        }
    }
    let whole = succeeded(&back_up(backup.to_str().unwrap(), &["--url", &service.url]));
    assert!(whole.contains("position 2000"), "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_a_backup_as_a_folder_does() {
    let emulator = Emulator::shared();
    let bucket = format!("backups-{}", uuid::Uuid::now_v7().simple());
    emulator.create_bucket(&bucket).await;
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let target = format!("s3://{bucket}/orders/main");
    let run = |target: &str, arguments: &[&str]| {
        let mut command = orders(&["backup", target, "--url", &service.url]);
        command.args(arguments).env("AWS_ENDPOINT_URL", &emulator.endpoint);
        command.env("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", aws::SECRET_KEY);
        command.env("AWS_REGION", aws::REGION).output().unwrap()
    };
    for round in 1..=3 {
        service.accept("/v1/orders", &order("c-1")).await;
        let written = succeeded(&run(&target, &["--keep", "2"]));
        assert!(written.contains(&format!("increment {round}, 1 new events")), "{written}");
    }
    let keys = emulator.object_keys(&bucket).await;
    let manifests: Vec<_> = keys.iter().filter(|key| key.contains("/manifests/")).collect();
    assert_eq!(manifests, ["orders/main/manifests/0000000002.json", "orders/main/manifests/0000000003.json"]);
    let newest = emulator.object(&bucket, manifests[1]).await;
    for segment in newest["manifest"]["log"].as_array().unwrap() {
        let key = format!("orders/main/segments/{}.zst", segment["sha256"].as_str().unwrap());
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    let missing = failed(&run("s3://no-such-bucket-here/x", &[]));
    assert!(missing.contains("s3://no-such-bucket-here/x cannot be used"), "{missing}");
}
