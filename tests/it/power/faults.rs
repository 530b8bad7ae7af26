//! Disks that fail, run full or stall under a running service. Nothing acknowledged is lost, and nobody is told that
//! nothing was accepted where something was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::{drive, large};
use super::outages::{End, PLAN, add_run};
use super::plan::{Plan, number};
use super::recording::Recording;
use super::strace::Traced;
use super::survivors::folder;
use crate::support::service::{Api, Service, order, orders};

/// How many clients write until the service is gone.
const CLIENTS: usize = 8;

/// What clients were told of their orders, each of which is of a customer of its own.
#[derive(Debug, Default)]
struct Ends {
    /// The receipts.
    accepted: Vec<Value>,
    /// The customers, by the type of the problem. A request that got no answer has none.
    refused: BTreeMap<String, Vec<String>>,
}

const UNKNOWN: &str = "/problems/outcome-unknown";
const NO_ANSWER: &str = "no answer";

/// Posts orders made by `order` until the service refuses to take them, from all clients at the same time.
async fn post_until_refused(api: &Api, order: &(impl Fn(&str) -> Value + Sync)) -> Ends {
    let ends = Mutex::new(Ends::default());
    let post = async |client: usize| {
        for request in 0.. {
            let customer = format!("customer-{client}-{request}");
            let refused = match api.send(Method::POST, "/v1/orders", Some(&order(&customer))).await {
                Ok(answer) => {
                    let accepted = answer.status() == 202;
                    let body: Value =
                        answer.text().await.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
                    match body["type"].as_str() {
                        _ if accepted && !body.is_null() => {
                            ends.lock().unwrap().accepted.push(body);
                            continue;
                        }
                        Some(problem) => problem.to_owned(),
                        None => NO_ANSWER.to_owned(),
                    }
                }
                Err(_) => NO_ANSWER.to_owned(),
            };
            let is_last = refused == NO_ANSWER;
            ends.lock().unwrap().refused.entry(refused).or_default().push(customer);
            if is_last {
                return;
            }
        }
    };
    futures_util::future::join_all((0..CLIENTS).map(post)).await;
    ends.into_inner().unwrap()
}

/// What was accepted is recorded, and what was refused is not, except where that was said to be unknown.
async fn assert_true(data: &Path, ends: &Ends) {
    let service = Service::start(data, &[]);
    for receipt in &ends.accepted {
        assert_eq!(service.outcome(receipt).await["state"], "recorded", "{receipt}");
    }
    for (problem, customers) in &ends.refused {
        for customer in customers.iter().filter(|_| problem != UNKNOWN && problem != NO_ANSWER) {
            let (_, list) = service.get(&format!("/v1/orders?customer_id={customer}")).await;
            assert_eq!(list["items"], json!([]), "refused with {problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_to_sync_stops_the_service_and_its_last_outcomes_are_unknown() {
    let (root, log) = (folder(), TempDir::new().unwrap());
    let data = root.path().join("data");
    let mut recording = Recording::new(root.path());
    let mut run = Traced::start(&data, &log.path().join("trace"), &[], &["fdatasync:error=EIO:when=20+"]);
    let ends = post_until_refused(&run.service, &order).await;
    assert_eq!(run.service.wait().code(), Some(1));
    let lines = run.service.rest_of_log();
    assert!(lines.contains("can no longer be written: Input/output error"), "{lines}");
    assert!(ends.accepted.len() >= 19 && ends.refused.contains_key(UNKNOWN), "{ends:?}");
    recording.add(&run.calls());
    assert_true(&data, &ends).await;
    // Nor is anything lost that was answered before, if the machine goes down with its disk.
    Plan { states: 20, ..PLAN }.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_dropped_is_not_missed_after_the_next_start() {
    let root = folder();
    let mut recording = Recording::new(root.path());
    let fail = async |service: &Service| drop(post_until_refused(service, &order).await);
    add_run(&mut recording, &[], &["fdatasync:error=EIO:when=20+"], End::Failure, fail).await;
    // The machine runs on: what the disk never got is in memory still, as if it were written.
    let load = async |service: &Service| drive(service, 4).await;
    add_run(&mut recording, &[], &[], End::Killed, load).await;
    Plan { states: 40, ..PLAN }.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stalls_loses_nothing_and_shows_nothing_that_is_not_synced() {
    let (root, log) = (folder(), TempDir::new().unwrap());
    let data = root.path().join("data");
    let mut recording = Recording::new(root.path());
    let stall = format!("fdatasync:delay_enter={}s:when=12..12", number("ORDERS_POWER_STALL", 3));
    let mut run = Traced::start(&data, &log.path().join("trace"), &[], &[&stall]);
    // All of it must be accepted.
    drive(&run.service, 6).await;
    assert!(run.service.terminate().success());
    let calls = run.calls();
    assert_eq!(calls.matches("(DELAYED)").count(), 1, "the disk did not stall");
    recording.add(&calls);
    Plan { states: 30, ..PLAN }.nothing_is_lost(recording).await;
}

/// A file system of its own, in memory, and so small.
struct SmallDisk {
    folder: TempDir,
    megabytes: u32,
}

impl SmallDisk {
    /// Starts the service on it. It can be seen by that process only; when that ends, what is on it is copied.
    fn start(&self) -> Service {
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let flags = if root { "-m" } else { "-Urm" };
        let script = "mount -t tmpfs -o size=$1m tmpfs \"$2\" || exit 70; \"$4\" serve --listen 127.0.0.1:0 \
                      --log-level warn,orders=info --min-free-disk 0 --data \"$2/data\"; code=$?; \
                      cp -a \"$2/data\" \"$3\" && exit $code";
        let program = orders(&[]);
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", script, "sh", &self.megabytes.to_string()]);
        command.args([self.folder.path().join("disk"), self.copy()]).arg(program.get_program());
        for (name, _) in program.get_envs() {
            command.env_remove(name);
        }
        std::fs::create_dir(self.folder.path().join("disk")).unwrap();
        Service::spawn(command)
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }
}

fn require_mounts() {
    let can = |flags| Command::new("unshare").args([flags, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
    assert!(
        ["-m", "-Urm"].iter().any(|flags| can(flags).is_ok_and(|output| output.status.success())),
        "no file system can be mounted: the test of full disks needs root, or user namespaces (unshare -Urm)"
    );
}

/// Fills a disk of this size with the orders that `order` makes.
async fn fill_disk(megabytes: u32, order: &(impl Fn(&str) -> Value + Sync)) {
    require_mounts();
    let disk = SmallDisk { folder: folder(), megabytes };
    let mut service = disk.start();
    let ends = post_until_refused(&service, order).await;
    assert_eq!(service.wait().code(), Some(1), "{}", service.rest_of_log());
    let lines = service.rest_of_log();
    assert!(
        lines.contains("can no longer be written") && lines.contains("No space left on device"),
        "{lines}"
    );
    assert!(!ends.accepted.is_empty() && ends.refused.len() > 1, "{:?}", ends.refused);
    assert_true(&disk.copy(), &ends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_the_journal_stops_the_service_and_loses_nothing() {
    fill_disk(3, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_table_stops_the_service_and_loses_nothing() {
    // A table of 4 MiB has to be written when the journal has as much.
    let rng = Mutex::new(fastrand::Rng::with_seed(3));
    let order = |customer: &str| {
        let mut order = large(&mut rng.lock().unwrap());
        order["customer_id"] = customer.into();
        order
    };
    fill_disk(7, &order).await;
}
