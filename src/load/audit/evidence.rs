//! Reads everything the service returns about an order: receipts, log and projection. The audit's tasks use it.

use std::time::{Duration, Instant};

use domain::{OrderId, ReceiptState, RecordedEvent, Timestamp};
use fastrand::Rng;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::expiry;
use super::logged_event::LoggedEvent;
use crate::load::LoadRun;
use crate::load::client::{LoadClient, LoadRequest, LoadResponse};
use crate::load::counts::CallCounts;
use crate::load::known_orders::{AcceptedEvent, KnownOrder};
use crate::load::receipt::ServiceReceipt;
use crate::load::sent::currency;

/// The page size for logs: the largest that the API allows.
const PAGE: usize = 200;

/// The pause between two reads of a receipt.
const PAUSE: Duration = Duration::from_millis(50);

/// The pause between two reads of an order that the service must cancel.
const EXPIRY_PAUSE: Duration = Duration::from_millis(500);

/// Everything the service returned about an order.
#[derive(Debug)]
pub(super) struct OrderEvidence {
    /// The result of reading the receipt of each accepted event, in the sequence in which the events were accepted.
    pub(super) receipts: Vec<ReceiptEvidence>,
    /// The order's log, or the reason why it could not be read.
    pub(super) log: Result<Vec<LoggedEvent>, String>,
    /// The order's projection, or the reason why it could not be read. `None` if the order does not exist.
    pub(super) order: Result<Option<Value>, String>,
}

/// The result of reading a receipt.
#[derive(Debug)]
pub(super) enum ReceiptEvidence {
    /// The event has an outcome.
    Settled(ServiceReceipt),
    /// The event has no outcome. The run has stopped waiting, because no other event has reached an outcome for a long
    /// time either.
    Unsettled,
    /// The service answered, but the answer was not the receipt.
    Missing(String),
    /// The service did not answer. The text is the reason.
    Unreadable(String),
}

#[derive(Deserialize)]
struct LogPage<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

/// Reads orders, one request at a time.
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
                self.run.last_outcome.mark();
            }
            receipts.push(found);
        }
        // Log and projection are complete only after all events have outcomes.
        let log = match known.sent(&self.run.requests).expires_soon() {
            Some(deadline) => self.log_after(&known.id, deadline).await,
            None => self.log(&known.id).await,
        };
        OrderEvidence { receipts, log, order: self.order(&known.id).await }
    }

    /// Reads the receipt of an event once it has an outcome.
    async fn receipt(&mut self, order_id: &OrderId, accepted: &AcceptedEvent) -> ReceiptEvidence {
        let path =
            accepted.receipt.path(&self.run.args.url, order_id, accepted.event_id, accepted.event_type());
        let mut request = LoadRequest::get(&path);
        loop {
            self.calls.receipts += 1;
            let sent = Instant::now();
            let answer = match self.send(&request).await {
                Ok(answer) => answer,
                Err(error) => return ReceiptEvidence::Unreadable(format!("GET {path}: {error}")),
            };
            let answered =
                || format!("GET {path}: {} {:.200}", answer.status, String::from_utf8_lossy(&answer.body));
            match ServiceReceipt::decode(&answer.body) {
                Ok(receipt) if answer.status.is_success() && receipt.state != ReceiptState::Accepted => {
                    return ReceiptEvidence::Settled(receipt);
                }
                Ok(_) if answer.status.is_success() => {}
                Ok(_) | Err(_) => return ReceiptEvidence::Missing(answered()),
            }
            if self.run.is_stuck() {
                return ReceiptEvidence::Unsettled;
            }
            if sent.elapsed() < PAUSE {
                // The answer came early, so pause before the next request. The first request does not ask the service
                // to wait, and the service may ignore the `Prefer: wait` of later requests.
                tokio::time::sleep(PAUSE).await;
            }
            request = LoadRequest::wait(&path);
        }
    }

    /// Reads the log of an order after its deadline, and waits until the order is paid or cancelled. Gives up when the
    /// time since the deadline exceeds the patience for outcomes.
    async fn log_after(
        &mut self,
        order_id: &OrderId,
        deadline: Timestamp,
    ) -> Result<Vec<LoggedEvent>, String> {
        let patience = self.run.args.outcome_patience();
        loop {
            let entries = self.log(order_id).await?;
            let late = infra::now().micros() - deadline.micros();
            if !expiry::is_unpaid(&entries) || late > i64::try_from(patience.as_micros()).unwrap_or(i64::MAX)
            {
                return Ok(entries);
            }
            self.run.last_outcome.mark();
            tokio::time::sleep(EXPIRY_PAUSE).await;
        }
    }

    async fn log(&mut self, order_id: &OrderId) -> Result<Vec<LoggedEvent>, String> {
        let path = self.run.args.url.path(&format!("/v1/orders/{order_id}/events?limit={PAGE}"));
        let (mut entries, mut next) = (Vec::new(), path.clone());
        loop {
            self.calls.histories += 1;
            let answer =
                self.send(&LoadRequest::get(&next)).await.map_err(|error| format!("GET {next}: {error}"))?;
            if answer.status.as_u16() == 404 {
                return Ok(entries);
            }
            let page = serde_json::from_slice::<LogPage<'_>>(&answer.body);
            let page = page.map_err(|error| format!("GET {next}: {}: {error}", answer.status))?;
            for item in &page.items {
                entries.push(entry(item).map_err(|error| format!("GET {next}: {error}"))?);
            }
            match page.next_cursor {
                // An empty page with a cursor could repeat endlessly.
                Some(cursor) if !page.items.is_empty() => next = format!("{path}&cursor={cursor}"),
                _ => return Ok(entries),
            }
        }
    }

    async fn order(&mut self, order_id: &OrderId) -> Result<Option<Value>, String> {
        let path = self.run.args.url.path(&format!("/v1/orders/{order_id}"));
        self.calls.orders += 1;
        let answer =
            self.send(&LoadRequest::get(&path)).await.map_err(|error| format!("GET {path}: {error}"))?;
        match answer.status.as_u16() {
            404 => Ok(None),
            200 => {
                serde_json::from_slice(&answer.body).map(Some).map_err(|error| format!("GET {path}: {error}"))
            }
            status => Err(format!("GET {path}: {status}")),
        }
    }

    async fn send(&mut self, request: &LoadRequest<'_>) -> Result<LoadResponse, String> {
        let patience = self.run.args.patience();
        if self.run.is_dead() {
            return Err(format!("not read: the service has not answered for {} s", patience.as_secs_f64()));
        }
        let answer = self.client.send_until_answered(request, patience, &mut self.rng, |_| ()).await;
        let answer = answer.map_err(|failure| format!("{:#}", failure.error))?;
        self.calls.bytes_out += answer.bytes;
        if answer.is_retryable() { Err(answer.status.to_string()) } else { Ok(answer) }
    }
}

fn entry(item: &RawValue) -> Result<LoggedEvent, String> {
    #[derive(Deserialize)]
    struct DataMember {
        data: Value,
    }
    let event =
        RecordedEvent::decode(item.get().as_bytes(), currency()).map_err(|error| error.to_string())?;
    let DataMember { data } = serde_json::from_str(item.get()).map_err(|error| error.to_string())?;
    Ok(LoggedEvent { event, data })
}
