//! Opens the folder that a power cut left, and compares it with the answers before the cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::answers::Fact;
use super::disk::Disk;
use super::recording::Recording;
use crate::support::recorded::{exported_events, text, whole_feed};
use crate::support::service::{PATIENCE, Service, run};

/// What clients know about one event from the service's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct KnownEvent {
    /// Whether the sender of the event got a receipt. If not, clients know the event only because they have read it.
    acknowledged: bool,
    state: String,
    version: Option<u64>,
}

/// All facts that clients know from the answers before the power cut.
#[derive(Debug, Default)]
pub(super) struct KnownToClients {
    /// The facts about the events, by order id and event id.
    events: BTreeMap<(String, String), KnownEvent>,
    orders: BTreeMap<String, u64>,
    /// The event at each position of the feed.
    positions: BTreeMap<u64, String>,
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
                Fact::Position { position, event } => {
                    let shown = clients.positions.insert(position, event.clone());
                    assert!(shown.is_none_or(|shown| shown == event), "position {position} had two events");
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

    /// The first fact that contradicts the export. An event that was only accepted may be missing from the export,
    /// because it may still be queued or may be rejected.
    fn first_missing(&self, export: &[String]) -> Option<String> {
        let mut logged: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut versions: BTreeMap<String, u64> = BTreeMap::new();
        for line in export {
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
                    return Some(format!(
                        "event {id:?} is not in the log, but an answer reported it as {known:?}"
                    ));
                }
                (Some(version), Some(answered)) if *version != answered => {
                    return Some(format!(
                        "event {id:?} has version {version} in the log, but version {answered} in the answer"
                    ));
                }
                _ => {}
            }
        }
        let mut orders = self.orders.iter();
        let behind = orders.find(|(order, version)| versions.get(*order) < Some(*version))?;
        Some(format!("order {behind:?} has an older version in the log: {:?}", versions.get(behind.0)))
    }
}

/// How thoroughly a state is examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examination {
    /// Exports the log. The service is started only if something is missing from the export.
    Log,
    /// Starts the service.
    Service,
    /// Starts the service, and then runs `rebuild --check`.
    Everything,
}

/// The kind of loss that a power cut caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossKind {
    /// The folder cannot be opened.
    Refused,
    /// An acknowledged event is lost.
    Acknowledged,
    /// A fact that a client has read is lost.
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

/// Opens the folder `data` of `disk`, which is the state that a power cut left.
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
        if clients.first_missing(&exported_events(&output)).is_none() {
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

/// A temporary folder for states of the disk. It is in memory if the machine has a file system in memory.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap()
}

/// Starts the service, waits until nothing is queued, and requests everything that clients have read before.
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
                format!(
                    "event {event} of order {order} was {known:?} before the power cut, and is now {status} {receipt}"
                ),
            );
        }
    }
    for (order, version) in &clients.orders {
        let (status, found) = service.get(&format!("/v1/orders/{order}")).await;
        if status != 200 || found["version"].as_u64() < Some(*version) {
            return lost(
                LossKind::Shown,
                format!(
                    "order {order} had version {version} before the power cut, and is now {status} {found}"
                ),
            );
        }
    }
    check_feed(&service, clients).await?;
    let count = |name: &str| ledger[name].as_u64().unwrap();
    if ledger["balanced"] != true
        || count("accepted") < clients.accepted
        || count("recorded") < clients.recorded
    {
        let (accepted, recorded) = (clients.accepted, clients.recorded);
        let was = format!(
            "before the power cut, the ledger counted {accepted} accepted and {recorded} recorded events"
        );
        return lost(LossKind::Shown, format!("{was}: {ledger}"));
    }
    service.kill();
    Ok(())
}

/// Reads the whole feed. Checks that the positions have no gap, and that every event that a client has seen still has the
/// same position.
async fn check_feed(service: &Service, clients: &KnownToClients) -> Result<(), Loss> {
    let mut feed = BTreeMap::new();
    for item in whole_feed(service, 1000).await {
        let position: u64 = text(&item, "position").parse().unwrap();
        feed.insert(position, text(&item, "event_id").to_owned());
    }
    if !feed.keys().copied().eq(1..=feed.len() as u64) {
        return lost(LossKind::Inconsistent, "the positions of the feed have a gap");
    }
    match clients.positions.iter().find(|(position, event)| feed.get(position) != Some(event)) {
        None => Ok(()),
        Some((position, event)) => lost(
            LossKind::Shown,
            format!(
                "event {event} had position {position} before the power cut, but the event at this position is now {:?}",
                feed.get(position)
            ),
        ),
    }
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
