//! Judges one order: what the service has of it, against what it accepted.

use std::collections::BTreeMap;

use domain::{EventId, EventType, Order, ReceiptState};
use serde_json::Value;

use super::OutcomeCounts;
use super::evidence::{LoggedEvent, OrderEvidence, ReceiptEvidence};
use crate::load::findings::{AuditFindings, FindingKind};
use crate::load::known_orders::{AcceptedEvent, ExpectedOutcome, KnownOrder};
use crate::load::receipt::ServiceReceipt;
use crate::load::requests::RequestBodies;

/// Judges an order, and counts its events.
pub(super) fn judge(
    requests: &RequestBodies,
    unordered: bool,
    known: &KnownOrder,
    evidence: OrderEvidence,
    tally: &mut OutcomeCounts,
    findings: &mut AuditFindings,
) {
    let mut judge = OrderAudit { known, unordered, findings };
    tally.orders += 1;
    tally.uncertain_orders += u64::from(known.is_uncertain);
    judge.count(&evidence.receipts, tally);
    let entries = match evidence.log {
        Ok(entries) => entries,
        Err(error) => return judge.find(FindingKind::NotAudited, error),
    };
    judge.outcomes(&evidence.receipts);
    judge.receipts_and_log(&evidence.receipts, &entries);
    judge.sequence(&entries);
    judge.data(requests, &entries);
    let parked = evidence.receipts.iter().filter(|found| has_state(found, ReceiptState::Parked)).count();
    match evidence.order {
        Ok(order) => judge.projection(&entries, order.as_ref(), parked),
        Err(error) => judge.find(FindingKind::NotAudited, error),
    }
}

fn has_state(found: &ReceiptEvidence, state: ReceiptState) -> bool {
    matches!(found, ReceiptEvidence::Settled(receipt) if receipt.state == state)
}

struct OrderAudit<'a> {
    known: &'a KnownOrder,
    unordered: bool,
    findings: &'a mut AuditFindings,
}

impl OrderAudit<'_> {
    fn find(&mut self, fault: FindingKind, what: impl std::fmt::Display) {
        self.findings.add(fault, format!("order {}: {what}", self.known.id));
    }

    /// Every accepted event has exactly one outcome.
    fn count(&mut self, receipts: &[ReceiptEvidence], tally: &mut OutcomeCounts) {
        let known = self.known;
        for (accepted, found) in known.events.iter().zip(receipts) {
            tally.accepted += 1;
            let event = format_args!("{} {}", accepted.event_type, accepted.event_id);
            let counter = match found {
                ReceiptEvidence::Settled(receipt) if !is_about(receipt, known, accepted) => {
                    self.find(FindingKind::WrongReceipt, format_args!("that of {event} is {receipt:?}"));
                    &mut tally.lost
                }
                ReceiptEvidence::Settled(receipt) => match receipt.state {
                    ReceiptState::Recorded => &mut tally.recorded,
                    ReceiptState::Rejected => &mut tally.rejected,
                    ReceiptState::Parked => &mut tally.parked,
                    ReceiptState::Accepted => &mut tally.lost,
                },
                ReceiptEvidence::Waiting => {
                    self.find(FindingKind::NoOutcome, event);
                    &mut tally.lost
                }
                ReceiptEvidence::Missing(told) => {
                    self.find(FindingKind::WrongReceipt, format_args!("{event}: {told}"));
                    &mut tally.lost
                }
                ReceiptEvidence::Unreadable(why) => {
                    self.find(FindingKind::NotAudited, format_args!("{event}: {why}"));
                    &mut tally.lost
                }
            };
            *counter += 1;
        }
    }

    /// The outcomes are those that the rules lead to. Behind a parked event, and without order, nobody can tell.
    fn outcomes(&mut self, receipts: &[ReceiptEvidence]) {
        if self.unordered || self.known.is_uncertain {
            return;
        }
        for (accepted, found) in self.known.events.iter().zip(receipts) {
            let ReceiptEvidence::Settled(receipt) = found else { return };
            match (accepted.expected, receipt.state) {
                (ExpectedOutcome::Recorded, ReceiptState::Recorded)
                | (ExpectedOutcome::Rejected, ReceiptState::Rejected) => {}
                (_, ReceiptState::Parked) => return,
                (expected, state) => {
                    let reason = receipt.reason.as_deref().unwrap_or("no reason");
                    let event = format_args!("{} {}", accepted.event_type, accepted.event_id);
                    let what = format!("{event} is {state:?} ({reason}), and should be {expected:?}");
                    // What follows from one wrong outcome is no news.
                    return self.find(FindingKind::WrongOutcome, what);
                }
            }
        }
    }

    /// What the receipts say to be recorded is in the log, at those versions, and nothing else is.
    fn receipts_and_log(&mut self, receipts: &[ReceiptEvidence], entries: &[LoggedEvent]) {
        let known = self.known;
        let mut told: BTreeMap<EventId, Option<u64>> = BTreeMap::new();
        for (accepted, found) in known.events.iter().zip(receipts) {
            match found {
                ReceiptEvidence::Settled(receipt) => {
                    let version =
                        if receipt.state == ReceiptState::Recorded { receipt.version } else { None };
                    told.insert(accepted.event_id, version);
                }
                // It may be in the log or not: it has been found missing already.
                ReceiptEvidence::Waiting | ReceiptEvidence::Missing(_) | ReceiptEvidence::Unreadable(_) => {}
            }
        }
        for LoggedEvent { event, .. } in entries {
            let (id, version) = (event.envelope.event_id, event.version);
            match told.remove(&id) {
                Some(Some(at)) if at == version => {}
                Some(Some(at)) => self.find(
                    FindingKind::LogAndReceiptDiffer,
                    format_args!("event {id} is version {version} in the log, and {at} by its receipt"),
                ),
                Some(None) => self.find(
                    FindingKind::LogAndReceiptDiffer,
                    format_args!(
                        "event {id} is version {version} in the log, and not recorded by its receipt"
                    ),
                ),
                None => {}
            }
        }
        for (id, version) in told {
            if let Some(version) = version {
                let what = format_args!("event {id} is version {version} by its receipt, and not in the log");
                self.find(FindingKind::LogAndReceiptDiffer, what);
            }
        }
    }

    /// Versions from 1 without a gap; no event twice; none that nobody sent; in the order of acceptance.
    fn sequence(&mut self, entries: &[LoggedEvent]) {
        let known = self.known;
        let places: BTreeMap<EventId, usize> =
            known.events.iter().enumerate().map(|(place, accepted)| (accepted.event_id, place)).collect();
        let mut seen: BTreeMap<EventId, u64> = BTreeMap::new();
        let mut latest = None;
        for (expected, LoggedEvent { event, .. }) in (1..).zip(entries) {
            let (id, version) = (event.envelope.event_id, event.version);
            if version != expected {
                let what = format_args!("version {version} is where version {expected} should be");
                self.find(FindingKind::VersionsNotConsecutive, what);
            }
            if let Some(before) = seen.insert(id, version) {
                let what = format_args!("event {id} is version {before} and version {version}");
                self.find(FindingKind::RecordedTwice, what);
                continue;
            }
            let Some(place) = places.get(&id) else {
                if !known.is_uncertain {
                    let what =
                        format_args!("{} {id} at version {version}", event.envelope.event.event_type());
                    self.find(FindingKind::NeverSent, what);
                }
                continue;
            };
            if !self.unordered && latest.is_some_and(|latest| *place < latest) {
                let what =
                    format_args!("event {id} is version {version}, behind one that was accepted later");
                self.find(FindingKind::OutOfOrder, what);
            }
            latest = latest.max(Some(*place));
        }
    }

    /// Events were recorded as they were sent.
    fn data(&mut self, requests: &RequestBodies, entries: &[LoggedEvent]) {
        let known = self.known;
        for LoggedEvent { event, data } in entries {
            let id = event.envelope.event_id;
            let Some(accepted) = known.events.iter().find(|accepted| accepted.event_id == id) else {
                continue;
            };
            let of_type = event.envelope.event.event_type();
            let sent = sent_data(requests, known, accepted);
            if of_type != accepted.event_type || !contains(data, &sent) {
                let what = format_args!(
                    "event {id}: {} {sent} was sent, {of_type} {data} recorded",
                    accepted.event_type
                );
                self.find(FindingKind::OtherData, what);
            }
        }
    }

    /// The order is what its log makes it.
    fn projection(&mut self, entries: &[LoggedEvent], order: Option<&Value>, parked: usize) {
        let folded = match Order::fold(entries.iter().map(|entry| &entry.event)) {
            Ok(folded) => folded,
            Err(error) => return self.find(FindingKind::LogDoesNotFold, error),
        };
        // When its latest event was recorded is in the log only.
        let folded = folded.map(|order| Order { recorded_at: None, ..order });
        let folded = folded.map(|order| serde_json::to_value(order).unwrap_or_default());
        match (folded, order) {
            (None, None) => {}
            (Some(folded), Some(order)) => {
                if !contains(order, &folded) {
                    let what = format_args!("it reads {order}, and its log makes it {folded}");
                    self.find(FindingKind::OrderDiffersFromLog, what);
                }
                if order["parked"] != parked && !self.known.is_uncertain {
                    let what =
                        format_args!("it has {} parked events, and receipts of {parked}", order["parked"]);
                    self.find(FindingKind::OrderDiffersFromLog, what);
                }
            }
            (Some(_), None) => {
                self.find(FindingKind::OrderDiffersFromLog, "it has a log, and does not exist")
            }
            (None, Some(order)) => {
                self.find(FindingKind::OrderDiffersFromLog, format_args!("it has no log, and reads {order}"));
            }
        }
    }
}

fn is_about(receipt: &ServiceReceipt, known: &KnownOrder, accepted: &AcceptedEvent) -> bool {
    (&receipt.order_id, receipt.event_id, receipt.event_type)
        == (&known.id, accepted.event_id, accepted.event_type)
}

/// The data of an event as it was sent.
fn sent_data(requests: &RequestBodies, known: &KnownOrder, accepted: &AcceptedEvent) -> Value {
    let body = requests.body(accepted.event_type, accepted.number, known.creation);
    let mut body: Value = serde_json::from_str(&body).unwrap_or_default();
    if accepted.event_type == EventType::Created { body } else { body["data"].take() }
}

/// Whether an object has all members of another one, with the same values.
fn contains(object: &Value, members: &Value) -> bool {
    match members {
        Value::Object(members) => members.iter().all(|(name, value)| object.get(name) == Some(value)),
        Value::Null => true,
        other => object == other,
    }
}

#[cfg(test)]
mod tests;
