//! Opens what a power cut left, and compares it with what was answered before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::answers::Fact;
use super::disk::Disk;
use super::recording::Recording;
use crate::support::service::{PATIENCE, Service, run};

/// What was known of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    /// Whether a client holds a receipt for it, rather than only saw it.
    acknowledged: bool,
    state: String,
    version: Option<u64>,
}

/// Everything that clients were told before the power failed.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By order and event.
    events: BTreeMap<(String, String), Known>,
    orders: BTreeMap<String, u64>,
    accepted: u64,
    recorded: u64,
}

impl Told {
    pub(super) fn before(recording: &Recording, line: usize) -> Self {
        let mut told = Self::default();
        for (_, fact) in recording.facts.iter().filter(|(at, _)| *at < line) {
            match fact.clone() {
                Fact::Event { order, event, state, version } => {
                    let known = told.events.entry((order, event)).or_default();
                    known.acknowledged |= state == "accepted";
                    if known.state.is_empty() || known.state == "accepted" {
                        (known.state, known.version) = (state, version);
                    }
                }
                Fact::Order { order, version } => {
                    let known = told.orders.entry(order).or_default();
                    *known = version.max(*known);
                }
                Fact::Ledger { accepted, recorded } => {
                    told.accepted = told.accepted.max(accepted);
                    told.recorded = told.recorded.max(recorded);
                }
            }
        }
        told
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.orders.is_empty() && self.accepted == 0
    }

    /// The first thing that the export lacks. What was only accepted may be on the queue still, or be rejected.
    fn lacking(&self, export: &str) -> Option<String> {
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
        // What was not recorded is in no log.
        for (id, known) in
            self.events.iter().filter(|(_, known)| ["accepted", "recorded"].contains(&&*known.state))
        {
            match (logged.get(id), known.version) {
                (None, _) => {
                    return Some(format!("event {id:?}, of which was said {known:?}, is not in the log"));
                }
                (Some(version), Some(said)) if *version != said => {
                    return Some(format!("event {id:?} is version {version}; it was said to be {said}"));
                }
                _ => {}
            }
        }
        let mut orders = self.orders.iter();
        let behind = orders.find(|(order, version)| versions.get(*order) < Some(*version))?;
        Some(format!("order {behind:?} has in the log {:?}", versions.get(behind.0)))
    }
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Reads the log, and starts the service only for what is not in it.
    Log,
    /// Starts the service, as users would.
    Service,
    /// Starts the service, and checks afterwards that all its parts agree.
    Everything,
}

/// What a power cut has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The folder does not open.
    Refused,
    /// A client has a receipt for an event that is gone.
    Acknowledged,
    /// A client saw something that is gone.
    Shown,
    /// It contradicts itself.
    Inconsistent,
}

/// What is lost.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) kind: Kind,
    pub(super) what: String,
}

fn lost<T>(kind: Kind, what: impl Into<String>) -> Result<T, Loss> {
    Err(Loss { kind, what: what.into() })
}

/// Opens what a power cut left in the folder `data` of `disk`.
pub(super) async fn examine(disk: &Disk, told: &Told, look: Look) -> Result<(), Loss> {
    let folder = folder();
    disk.write_to(folder.path());
    let data = folder.path().join("data");
    if look == Look::Log && data.exists() && !told.is_nothing() {
        let output = run(&["export"], &data);
        if !output.status.success() {
            return lost(Kind::Refused, String::from_utf8_lossy(&output.stderr));
        }
        if told.lacking(&String::from_utf8(output.stdout).unwrap()).is_none() {
            return Ok(());
        }
    }
    serve(&data, told).await?;
    if look != Look::Everything {
        return Ok(());
    }
    let output = run(&["rebuild", "--check"], &data);
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    if output.status.success() { Ok(()) } else { lost(Kind::Inconsistent, text) }
}

/// Where states are written: in memory, if there is such a place.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap()
}

/// Starts the service, waits until it has handled what is queued, and asks it for everything that was told.
async fn serve(data: &Path, told: &Told) -> Result<(), Loss> {
    let mut service = Service::try_start(data, &[]).or_else(|log| lost(Kind::Refused, log))?;
    let ledger = settled(&service).await?;
    for ((order, event), known) in &told.events {
        let (status, receipt) = service.get(&format!("/v1/orders/{order}/events/{event}")).await;
        let same = known.state == "accepted"
            || (receipt["state"] == known.state.as_str() && receipt["version"].as_u64() == known.version);
        if status != 200 || !same {
            let kind = if known.acknowledged { Kind::Acknowledged } else { Kind::Shown };
            return lost(
                kind,
                format!("event {event} of order {order} was {known:?}, and is {status} {receipt}"),
            );
        }
    }
    for (order, version) in &told.orders {
        let (status, found) = service.get(&format!("/v1/orders/{order}")).await;
        if status != 200 || found["version"].as_u64() < Some(*version) {
            return lost(
                Kind::Shown,
                format!("order {order} had version {version}, and is {status} {found}"),
            );
        }
    }
    let count = |name: &str| ledger[name].as_u64().unwrap();
    if ledger["balanced"] != true || count("accepted") < told.accepted || count("recorded") < told.recorded {
        let (accepted, recorded) = (told.accepted, told.recorded);
        let was = format!("the ledger was shown with {accepted} accepted and {recorded} recorded");
        return lost(Kind::Shown, format!("{was}: {ledger}"));
    }
    service.kill();
    Ok(())
}

/// The ledger, once nothing is in flight.
async fn settled(service: &Service) -> Result<Value, Loss> {
    let start = Instant::now();
    loop {
        let ledger = service.get("/v1/pipeline").await.1["ledger"].take();
        if ledger["in_flight"] == 0 {
            return Ok(ledger);
        }
        if start.elapsed() > PATIENCE {
            return lost(Kind::Inconsistent, format!("it never gets through its queue: {ledger}"));
        }
        tokio::task::yield_now().await;
    }
}
