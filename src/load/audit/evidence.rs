//! Reads what the service has of an order.

use std::time::{Duration, Instant};

use domain::{Currency, OrderId, ReceiptState, RecordedEvent};
use fastrand::Rng;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::load::LoadRun;
use crate::load::client::{LoadClient, LoadRequest, LoadResponse};
use crate::load::counts::CallCounts;
use crate::load::known_orders::{AcceptedEvent, KnownOrder};
use crate::load::receipt::ServiceReceipt;

/// Events on a page of a log: the most there can be.
const PAGE: usize = 200;

/// Between two looks at a receipt.
const PAUSE: Duration = Duration::from_millis(50);

/// What the service has of an order.
#[derive(Debug)]
pub(super) struct OrderEvidence {
    /// For each accepted event, in that order.
    pub(super) receipts: Vec<ReceiptEvidence>,
    /// Or why it could not be read.
    pub(super) log: Result<Vec<LoggedEvent>, String>,
    /// `None` if there is no such order; or why it could not be read.
    pub(super) order: Result<Option<Value>, String>,
}

/// A receipt that was looked for.
#[derive(Debug)]
pub(super) enum ReceiptEvidence {
    Settled(ServiceReceipt),
    /// It is still waiting, and nothing else comes to an outcome any more either.
    Waiting,
    /// What was answered instead.
    Missing(String),
    /// Nothing was answered, and why.
    Unreadable(String),
}

/// An event in a log.
#[derive(Debug)]
pub(super) struct LoggedEvent {
    pub(super) event: RecordedEvent,
    /// As it came.
    pub(super) data: Value,
}

#[derive(Deserialize)]
struct LogPage<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

/// Reads orders over one connection.
pub(super) struct EvidenceReader<'a> {
    run: &'a LoadRun,
    client: LoadClient,
    rng: Rng,
    calls: CallCounts,
}

impl<'a> EvidenceReader<'a> {
    pub(super) fn new(run: &'a LoadRun, rng: Rng) -> Self {
        Self { run, client: run.client(), rng, calls: CallCounts::default() }
    }

    pub(super) fn calls(&self) -> CallCounts {
        self.calls
    }

    pub(super) async fn read(&mut self, known: &KnownOrder) -> OrderEvidence {
        let mut receipts = Vec::with_capacity(known.events.len());
        for accepted in &known.events {
            let found = self.receipt(&known.id, accepted).await;
            if matches!(found, ReceiptEvidence::Settled(_)) {
                self.run.progress.made();
            }
            receipts.push(found);
        }
        // Only now: by now everything that will be in them is there.
        OrderEvidence { receipts, log: self.log(&known.id).await, order: self.order(&known.id).await }
    }

    /// The receipt of an event, when it has an outcome.
    async fn receipt(&mut self, order_id: &OrderId, accepted: &AcceptedEvent) -> ReceiptEvidence {
        let path = accepted.link.path(&self.run.args.url, order_id, accepted.event_id, accepted.event_type);
        let mut ask = LoadRequest::get(&path);
        loop {
            self.calls.receipts += 1;
            let asked = Instant::now();
            let answer = match self.ask(&ask).await {
                Ok(answer) => answer,
                Err(error) => return ReceiptEvidence::Unreadable(format!("GET {path}: {error}")),
            };
            let told =
                || format!("GET {path}: {} {:.200}", answer.status, String::from_utf8_lossy(&answer.body));
            match ServiceReceipt::read(&answer.body) {
                Ok(receipt) if answer.status.is_success() && receipt.state != ReceiptState::Accepted => {
                    return ReceiptEvidence::Settled(receipt);
                }
                Ok(_) if answer.status.is_success() => {}
                Ok(_) | Err(_) => return ReceiptEvidence::Missing(told()),
            }
            if self.run.is_stuck() {
                return ReceiptEvidence::Waiting;
            }
            if asked.elapsed() < PAUSE {
                // It was the first look, or nobody waits although it was asked for.
                tokio::time::sleep(PAUSE).await;
            }
            ask = LoadRequest::wait(&path);
        }
    }

    async fn log(&mut self, order_id: &OrderId) -> Result<Vec<LoggedEvent>, String> {
        let path = self.run.args.url.path(&format!("/v1/orders/{order_id}/events?limit={PAGE}"));
        let (mut entries, mut next) = (Vec::new(), path.clone());
        loop {
            self.calls.histories += 1;
            let answer =
                self.ask(&LoadRequest::get(&next)).await.map_err(|error| format!("GET {next}: {error}"))?;
            if answer.status.as_u16() == 404 {
                return Ok(entries);
            }
            let page = serde_json::from_slice::<LogPage<'_>>(&answer.body);
            let page = page.map_err(|error| format!("GET {next}: {}: {error}", answer.status))?;
            for item in &page.items {
                entries.push(entry(item).map_err(|error| format!("GET {next}: {error}"))?);
            }
            match page.next_cursor {
                // What never ends is not a log.
                Some(cursor) if !page.items.is_empty() => next = format!("{path}&cursor={cursor}"),
                _ => return Ok(entries),
            }
        }
    }

    async fn order(&mut self, order_id: &OrderId) -> Result<Option<Value>, String> {
        let path = self.run.args.url.path(&format!("/v1/orders/{order_id}"));
        self.calls.orders += 1;
        let answer =
            self.ask(&LoadRequest::get(&path)).await.map_err(|error| format!("GET {path}: {error}"))?;
        match answer.status.as_u16() {
            404 => Ok(None),
            200 => {
                serde_json::from_slice(&answer.body).map(Some).map_err(|error| format!("GET {path}: {error}"))
            }
            status => Err(format!("GET {path}: {status}")),
        }
    }

    async fn ask(&mut self, ask: &LoadRequest<'_>) -> Result<LoadResponse, String> {
        let patience = self.run.args.patience();
        if self.run.is_dead() {
            return Err(format!(
                "not asked: the service has given no answer for {} s",
                patience.as_secs_f64()
            ));
        }
        let answer = self.client.send_until_answered(ask, patience, &mut self.rng, |_| ()).await;
        let answer = answer.map_err(|failure| format!("{:#}", failure.error))?;
        self.calls.bytes_out += answer.bytes;
        if answer.is_for_later() { Err(answer.status.to_string()) } else { Ok(answer) }
    }
}

fn entry(item: &RawValue) -> Result<LoggedEvent, String> {
    #[derive(Deserialize)]
    struct DataMember {
        data: Value,
    }
    // Of events that state none; ours all do.
    let currency = Currency::parse("EUR").map_err(|error| error.to_string())?;
    let event = RecordedEvent::decode(item.get().as_bytes(), currency).map_err(|error| error.to_string())?;
    let DataMember { data } = serde_json::from_str(item.get()).map_err(|error| error.to_string())?;
    Ok(LoggedEvent { event, data })
}
