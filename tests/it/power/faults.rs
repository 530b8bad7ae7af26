//! Tests disks that fail, are full or stall under a running service. Nothing that was acknowledged is lost, and no
//! refused event was accepted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::{drive, large};
use super::outages::{PLAN, RunEnd, add_run};
use super::plan::{CutPlan, number_from_environment};
use super::recording::Recording;
use super::strace::Traced;
use super::survivors::folder;
use crate::support::service::{Api, Service, order, orders};

/// The number of clients that write until the service has ended.
const CLIENTS: usize = 8;

/// The answers that the clients got to their orders. Each order has a different customer.
#[derive(Debug, Default)]
struct PostedOrders {
    /// The receipts of the accepted orders.
    accepted: Vec<Value>,
    /// The customers of the refused orders, grouped by the type of the problem. Orders without an answer are under
    /// [`NO_ANSWER`].
    refused: BTreeMap<String, Vec<String>>,
}

const OUTCOME_UNKNOWN: &str = "/problems/outcome-unknown";
const NO_ANSWER: &str = "no answer";

/// Posts orders that `order` makes, from all clients, until the service has ended.
async fn post_until_refused(api: &Api, order: &(impl Fn(&str) -> Value + Sync)) -> PostedOrders {
    let posted = Mutex::new(PostedOrders::default());
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
                            posted.lock().unwrap().accepted.push(body);
                            continue;
                        }
                        Some(problem) => problem.to_owned(),
                        None => NO_ANSWER.to_owned(),
                    }
                }
                Err(_) => NO_ANSWER.to_owned(),
            };
            let is_last = refused == NO_ANSWER;
            posted.lock().unwrap().refused.entry(refused).or_default().push(customer);
            if is_last {
                return;
            }
        }
    };
    futures_util::future::join_all((0..CLIENTS).map(post)).await;
    posted.into_inner().unwrap()
}

/// Asserts that accepted orders are recorded and refused orders are not. An order whose outcome was reported as unknown
/// may be recorded or not.
async fn assert_answers_hold(data: &Path, posted: &PostedOrders) {
    let service = Service::start(data, &[]);
    for receipt in &posted.accepted {
        assert_eq!(service.outcome(receipt).await["state"], "recorded", "{receipt}");
    }
    for (problem, customers) in &posted.refused {
        for customer in customers.iter().filter(|_| problem != OUTCOME_UNKNOWN && problem != NO_ANSWER) {
            let (_, list) = service.get(&format!("/v1/orders?customer_id={customer}")).await;
            assert_eq!(list["items"], json!([]), "refused with {problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_stops_the_service_and_the_last_outcomes_are_unknown() {
    let (root, log) = (folder(), TempDir::new().unwrap());
    let data = root.path().join("data");
    let mut recording = Recording::new(root.path());
    let mut run = Traced::start(&data, &log.path().join("trace"), &[], &["fdatasync:error=EIO:when=20+"]);
    let posted = post_until_refused(&run.service, &order).await;
    assert_eq!(run.service.wait().code(), Some(1));
    let lines = run.service.rest_of_log();
    assert!(lines.contains("can no longer be written: Input/output error"), "{lines}");
    assert!(posted.accepted.len() >= 19 && posted.refused.contains_key(OUTCOME_UNKNOWN), "{posted:?}");
    recording.add(&run.calls());
    assert_answers_hold(&data, &posted).await;
    // A power cut at any point of the run loses no answered event either.
    CutPlan { states: 20, ..PLAN }.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_dropped_is_written_again_by_the_next_start() {
    let root = folder();
    let mut recording = Recording::new(root.path());
    let fail = async |service: &Service| drop(post_until_refused(service, &order).await);
    add_run(&mut recording, &[], &["fdatasync:error=EIO:when=20+"], RunEnd::Failure, fail).await;
    // The machine keeps running, so unsynced writes are still in memory, and readers see them as if they had reached
    // the disk.
    let load = async |service: &Service| drive(service, 4).await;
    add_run(&mut recording, &[], &[], RunEnd::Killed, load).await;
    CutPlan { states: 40, ..PLAN }.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stalls_loses_nothing_and_shows_nothing_that_is_not_synced() {
    let (root, log) = (folder(), TempDir::new().unwrap());
    let data = root.path().join("data");
    let mut recording = Recording::new(root.path());
    let stall =
        format!("fdatasync:delay_enter={}s:when=12..12", number_from_environment("ORDERS_POWER_STALL", 3));
    let mut run = Traced::start(&data, &log.path().join("trace"), &[], &[&stall]);
    // Every request of the load must be accepted.
    drive(&run.service, 6).await;
    assert!(run.service.terminate().success());
    let calls = run.calls();
    assert_eq!(calls.matches("(DELAYED)").count(), 1, "the disk did not stall");
    recording.add(&calls);
    CutPlan { states: 30, ..PLAN }.nothing_is_lost(recording).await;
}

/// A small file system in memory.
struct SmallDisk {
    folder: TempDir,
    megabytes: u32,
}

impl SmallDisk {
    /// Starts the service on the small disk, which only the service's process can see. When the process ends,
    /// its files are copied.
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
        "cannot mount a file system: the test of full disks needs root, or user namespaces (unshare -Urm)"
    );
}

/// Fills a disk of the given size with the orders that `order` makes.
async fn fill_disk(megabytes: u32, order: &(impl Fn(&str) -> Value + Sync)) {
    require_mounts();
    let disk = SmallDisk { folder: folder(), megabytes };
    let mut service = disk.start();
    let posted = post_until_refused(&service, order).await;
    assert_eq!(service.wait().code(), Some(1), "{}", service.rest_of_log());
    let lines = service.rest_of_log();
    assert!(
        lines.contains("can no longer be written") && lines.contains("No space left on device"),
        "{lines}"
    );
    assert!(!posted.accepted.is_empty() && posted.refused.len() > 1, "{:?}", posted.refused);
    assert_answers_hold(&disk.copy(), &posted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_the_journal_stops_the_service_and_loses_nothing() {
    fill_disk(3, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_table_stops_the_service_and_loses_nothing() {
    // When the journal reaches 4 MiB, the service writes a table of about the same size.
    let rng = Mutex::new(fastrand::Rng::with_seed(3));
    let order = |customer: &str| {
        let mut order = large(&mut rng.lock().unwrap());
        order["customer_id"] = customer.into();
        order
    };
    fill_disk(7, &order).await;
}
