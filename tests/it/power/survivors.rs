//! Opens the folder that a power cut left, and compares it with the answers before the cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::answers::Fact;
use super::disk::Disk;
use super::recording::Recording;
use crate::support::service::{PATIENCE, Service, run};

/// What clients know about an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct KnownEvent {
    /// Whether a client got a receipt when it sent the event. If not, clients have only read the event.
    acknowledged: bool,
    state: String,
    version: Option<u64>,
}

/// Everything that clients know from answers before the power cut.
#[derive(Debug, Default)]
pub(super) struct KnownToClients {
    /// What clients know, by order id and event id.
    events: BTreeMap<(String, String), KnownEvent>,
    orders: BTreeMap<String, u64>,
    accepted: u64,
    recorded: u64,
}

impl KnownToClients {
    pub(super) fn before(recording: &Recording, line: usize) -> Self {
        let mut clients = Self::default();
        for (_, fact) in recording.facts.iter().filter(|(at, _)| *at < line) {
            match fact.clone() {
                Fact::Event { order, event, state, version } => {
                    let known = clients.events.entry((order, event)).or_default();
                    known.acknowledged |= state == "accepted";
                    if known.state.is_empty() || known.state == "accepted" {
                        (known.state, known.version) = (state, version);
                    }
                }
                Fact::Order { order, version } => {
                    let known = clients.orders.entry(order).or_default();
                    *known = version.max(*known);
                }
                Fact::Ledger { accepted, recorded } => {
                    clients.accepted = clients.accepted.max(accepted);
                    clients.recorded = clients.recorded.max(recorded);
                }
            }
        }
        clients
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.orders.is_empty() && self.accepted == 0
    }

    /// The first fact that the export contradicts. An event that was only accepted may be missing, because it may still
    /// be queued or may be rejected.
    fn first_missing(&self, export: &str) -> Option<String> {
        let mut logged: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut versions: BTreeMap<String, u64> = BTreeMap::new();
        for line in export.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (order, version) = (text(&event["data"]["order_id"]), event["version"].as_u64().unwrap());
            let latest = versions.entry(order.clone()).or_default();
            *latest = version.max(*latest);
            logged.insert((order, text(&event["event_id"])), version);
        }
        // Only accepted and recorded events can be in a log.
        for (id, known) in
            self.events.iter().filter(|(_, known)| ["accepted", "recorded"].contains(&&*known.state))
        {
            match (logged.get(id), known.version) {
                (None, _) => {
                    return Some(format!("event {id:?}, which was answered as {known:?}, is not in the log"));
                }
                (Some(version), Some(answered)) if *version != answered => {
                    return Some(format!("event {id:?} is version {version}; it was answered as {answered}"));
                }
                _ => {}
            }
        }
        let mut orders = self.orders.iter();
        let behind = orders.find(|(order, version)| versions.get(*order) < Some(*version))?;
        Some(format!("order {behind:?} has this version in the log: {:?}", versions.get(behind.0)))
    }
}

/// How a state is examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examination {
    /// Exports the log. Starts the service only if something is missing in the export.
    Log,
    /// The test starts the service.
    Service,
    /// The test starts the service, and runs `rebuild --check` afterwards.
    Everything,
}

/// The kind of loss that a power cut caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossKind {
    /// The folder cannot be opened.
    Refused,
    /// An acknowledged event is lost.
    Acknowledged,
    /// A fact that a client read is lost.
    Shown,
    /// The folder is inconsistent.
    Inconsistent,
}

#[derive(Debug)]
pub(super) struct Loss {
    pub(super) kind: LossKind,
    pub(super) what: String,
}

fn lost<T>(kind: LossKind, what: impl Into<String>) -> Result<T, Loss> {
    Err(Loss { kind, what: what.into() })
}

/// Opens what a power cut left in the folder `data` of `disk`.
pub(super) async fn examine(
    disk: &Disk,
    clients: &KnownToClients,
    examination: Examination,
) -> Result<(), Loss> {
    let folder = folder();
    disk.write_to(folder.path());
    let data = folder.path().join("data");
    if examination == Examination::Log && data.exists() && !clients.is_empty() {
        let output = run(&["export"], &data);
        if !output.status.success() {
            return lost(LossKind::Refused, String::from_utf8_lossy(&output.stderr));
        }
        if clients.first_missing(&String::from_utf8(output.stdout).unwrap()).is_none() {
            return Ok(());
        }
    }
    serve(&data, clients).await?;
    if examination != Examination::Everything {
        return Ok(());
    }
    let output = run(&["rebuild", "--check"], &data);
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    if output.status.success() { Ok(()) } else { lost(LossKind::Inconsistent, text) }
}

/// A temporary folder for states. It is in memory if the machine has such a file system.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap()
}

/// Starts the service, waits until nothing is queued, and requests everything that clients know.
async fn serve(data: &Path, clients: &KnownToClients) -> Result<(), Loss> {
    let mut service = Service::try_start(data, &[]).or_else(|log| lost(LossKind::Refused, log))?;
    let ledger = settled(&service).await?;
    for ((order, event), known) in &clients.events {
        let (status, receipt) = service.get(&format!("/v1/orders/{order}/events/{event}")).await;
        let same = known.state == "accepted"
            || (receipt["state"] == known.state.as_str() && receipt["version"].as_u64() == known.version);
        if status != 200 || !same {
            let kind = if known.acknowledged { LossKind::Acknowledged } else { LossKind::Shown };
            return lost(
                kind,
                format!("event {event} of order {order} was {known:?}, and is {status} {receipt}"),
            );
        }
    }
    for (order, version) in &clients.orders {
        let (status, found) = service.get(&format!("/v1/orders/{order}")).await;
        if status != 200 || found["version"].as_u64() < Some(*version) {
            return lost(
                LossKind::Shown,
                format!("order {order} had version {version}, and is {status} {found}"),
            );
        }
    }
    let count = |name: &str| ledger[name].as_u64().unwrap();
    if ledger["balanced"] != true
        || count("accepted") < clients.accepted
        || count("recorded") < clients.recorded
    {
        let (accepted, recorded) = (clients.accepted, clients.recorded);
        let was = format!("the ledger was shown with {accepted} accepted and {recorded} recorded");
        return lost(LossKind::Shown, format!("{was}: {ledger}"));
    }
    service.kill();
    Ok(())
}

/// Waits until nothing is in flight. Returns the ledger.
async fn settled(service: &Service) -> Result<Value, Loss> {
    let start = Instant::now();
    loop {
        let ledger = service.get("/v1/pipeline").await.1["ledger"].take();
        if ledger["in_flight"] == 0 {
            return Ok(ledger);
        }
        if start.elapsed() > PATIENCE {
            return lost(LossKind::Inconsistent, format!("the queue does not become empty: {ledger}"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
