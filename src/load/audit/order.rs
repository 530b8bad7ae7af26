//! Audits one order: compares what the service returned about it with the events that the service accepted.

use std::collections::BTreeMap;

use domain::{EventId, Order, ReceiptState, Timestamp};
use serde_json::Value;

use super::OutcomeCounts;
use super::evidence::{OrderEvidence, ReceiptEvidence};
use super::expiry;
use super::logged_event::LoggedEvent;
use super::projection::{self, contains};
use crate::load::findings::{AuditFindings, FindingKind};
use crate::load::known_orders::{AcceptedEvent, ExpectedOutcome, KnownOrder};
use crate::load::receipt::ServiceReceipt;
use crate::load::requests::RequestBodies;

/// Adds the findings about an order to `findings`, and its events to `outcomes`.
pub(super) fn audit(
    requests: &RequestBodies,
    unordered: bool,
    known: &KnownOrder,
    evidence: OrderEvidence,
    outcomes: &mut OutcomeCounts,
    findings: &mut AuditFindings,
) {
    let deadline = known.sent(requests).expires_soon();
    let mut audit = OrderAudit { known, unordered, deadline, findings };
    outcomes.orders += 1;
    outcomes.with_deadline += u64::from(deadline.is_some());
    outcomes.uncertain_orders += u64::from(known.is_uncertain);
    audit.count_outcomes(&evidence.receipts, outcomes);
    let entries = match evidence.log {
        Ok(entries) => entries,
        Err(error) => return audit.find(FindingKind::NotAudited, error),
    };
    audit.check_outcomes(&evidence.receipts);
    audit.compare_receipts_and_log(&evidence.receipts, &entries);
    audit.check_sequence(&entries);
    outcomes.expired += entries.iter().filter(|entry| audit.is_expiry(entry)).count() as u64;
    audit.check_expiry(&entries);
    audit.check_data(requests, &entries);
    let parked = evidence.receipts.iter().filter(|found| has_state(found, ReceiptState::Parked)).count();
    match evidence.order {
        Ok(order) => audit.check_projection(requests, &entries, order.as_ref(), parked),
        Err(error) => audit.find(FindingKind::NotAudited, error),
    }
}

fn has_state(found: &ReceiptEvidence, state: ReceiptState) -> bool {
    matches!(found, ReceiptEvidence::Settled(receipt) if receipt.state == state)
}

struct OrderAudit<'a> {
    known: &'a KnownOrder,
    unordered: bool,
    /// The order's deadline, if it is during the run. The service then cancels the order if it is not paid.
    deadline: Option<Timestamp>,
    findings: &'a mut AuditFindings,
}

impl OrderAudit<'_> {
    fn find(&mut self, fault: FindingKind, what: impl std::fmt::Display) {
        self.findings.add(fault, format!("order {}: {what}", self.known.id));
    }

    /// Counts the outcome of every accepted event. Each event must have one.
    fn count_outcomes(&mut self, receipts: &[ReceiptEvidence], outcomes: &mut OutcomeCounts) {
        let known = self.known;
        for (accepted, found) in known.events.iter().zip(receipts) {
            outcomes.accepted += 1;
            let event = format_args!("{} {}", accepted.event_type(), accepted.event_id);
            let counter = match found {
                ReceiptEvidence::Settled(receipt) if !is_about(receipt, known, accepted) => {
                    self.find(
                        FindingKind::WrongReceipt,
                        format_args!("the receipt of {event} is {receipt:?}"),
                    );
                    &mut outcomes.lost
                }
                ReceiptEvidence::Settled(receipt) => match receipt.state {
                    ReceiptState::Recorded => &mut outcomes.recorded,
                    ReceiptState::Rejected => &mut outcomes.rejected,
                    ReceiptState::Parked => &mut outcomes.parked,
                    ReceiptState::Accepted => &mut outcomes.lost,
                },
                ReceiptEvidence::Unsettled => {
                    self.find(FindingKind::NoOutcome, event);
                    &mut outcomes.lost
                }
                ReceiptEvidence::Missing(answer) => {
                    self.find(FindingKind::WrongReceipt, format_args!("{event}: {answer}"));
                    &mut outcomes.lost
                }
                ReceiptEvidence::Unreadable(why) => {
                    self.find(FindingKind::NotAudited, format_args!("{event}: {why}"));
                    &mut outcomes.lost
                }
            };
            *counter += 1;
        }
    }

    /// The outcomes must follow from the rules, except after a parked event or on an unordered queue.
    fn check_outcomes(&mut self, receipts: &[ReceiptEvidence]) {
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
                    let event = format_args!("{} {}", accepted.event_type(), accepted.event_id);
                    let what = format!("{event} is {state:?} ({reason}) and should be {expected:?}");
                    // Only the first wrong outcome is a finding, because further wrong outcomes may be its
                    // consequences.
                    return self.find(FindingKind::WrongOutcome, what);
                }
            }
        }
    }

    /// The log must contain each recorded event at the version of its receipt, and no event that its receipt does not
    /// show as recorded.
    fn compare_receipts_and_log(&mut self, receipts: &[ReceiptEvidence], entries: &[LoggedEvent]) {
        let known = self.known;
        let mut by_receipt: BTreeMap<EventId, Option<u64>> = BTreeMap::new();
        for (accepted, found) in known.events.iter().zip(receipts) {
            match found {
                ReceiptEvidence::Settled(receipt) => {
                    let version =
                        if receipt.state == ReceiptState::Recorded { receipt.version } else { None };
                    by_receipt.insert(accepted.event_id, version);
                }
                // The log is not checked for this event, because its receipt is already a finding.
                ReceiptEvidence::Unsettled | ReceiptEvidence::Missing(_) | ReceiptEvidence::Unreadable(_) => {
                }
            }
        }
        for LoggedEvent { event, .. } in entries {
            let (id, version) = (event.envelope.event_id, event.version);
            match by_receipt.remove(&id) {
                Some(Some(at)) if at == version => {}
                Some(Some(at)) => self.find(
                    FindingKind::LogAndReceiptDiffer,
                    format_args!(
                        "event {id} is version {version} in the log, but version {at} according to its receipt"
                    ),
                ),
                Some(None) => self.find(
                    FindingKind::LogAndReceiptDiffer,
                    format_args!(
                        "event {id} is version {version} in the log, but its receipt does not show it as recorded"
                    ),
                ),
                None => {}
            }
        }
        for (id, version) in by_receipt {
            if let Some(version) = version {
                let what = format_args!(
                    "event {id} is version {version} according to its receipt, but not in the log"
                );
                self.find(FindingKind::LogAndReceiptDiffer, what);
            }
        }
    }

    /// Versions must be 1, 2, 3 …, no event may occur twice or be unknown, and events must be in the order of acceptance.
    fn check_sequence(&mut self, entries: &[LoggedEvent]) {
        let known = self.known;
        let places: BTreeMap<EventId, usize> =
            known.events.iter().enumerate().map(|(place, accepted)| (accepted.event_id, place)).collect();
        let mut seen: BTreeMap<EventId, u64> = BTreeMap::new();
        let mut latest = None;
        for (expected, entry) in (1..).zip(entries) {
            let event = &entry.event;
            let (id, version) = (event.envelope.event_id, event.version);
            if version != expected {
                let what = format_args!("the log has version {version} where version {expected} must be");
                self.find(FindingKind::VersionsNotConsecutive, what);
            }
            if let Some(before) = seen.insert(id, version) {
                let what = format_args!(
                    "event {id} is in the log twice, as version {before} and as version {version}"
                );
                self.find(FindingKind::RecordedTwice, what);
                continue;
            }
            let Some(place) = places.get(&id) else {
                if !known.is_uncertain && !self.is_expiry(entry) {
                    let what =
                        format_args!("{} {id} at version {version}", event.envelope.event.event_type());
                    self.find(FindingKind::NeverSent, what);
                }
                continue;
            };
            if !self.unordered && latest.is_some_and(|latest| *place < latest) {
                let what =
                    format_args!("event {id} is version {version}, after an event that was accepted later");
                self.find(FindingKind::OutOfOrder, what);
            }
            latest = latest.max(Some(*place));
        }
    }

    /// Events must be recorded with the data that was sent.
    fn check_data(&mut self, requests: &RequestBodies, entries: &[LoggedEvent]) {
        let known = self.known;
        for LoggedEvent { event, data } in entries {
            let id = event.envelope.event_id;
            let Some(accepted) = known.events.iter().find(|accepted| accepted.event_id == id) else {
                continue;
            };
            let recorded_type = event.envelope.event.event_type();
            let sent = sent_data(requests, known, accepted);
            if recorded_type != accepted.event_type() || !contains(data, &sent) {
                let what = format_args!(
                    "event {id}: {} {sent} was sent, but {recorded_type} {data} is recorded",
                    accepted.event_type()
                );
                self.find(FindingKind::OtherData, what);
            }
        }
    }

    fn is_expiry(&self, entry: &LoggedEvent) -> bool {
        self.deadline.is_some_and(|deadline| expiry::is_expiry(entry, deadline))
    }

    /// Checks that the service has cancelled the order if it was unpaid at its deadline. The evidence was read after
    /// the deadline.
    fn check_expiry(&mut self, entries: &[LoggedEvent]) {
        if let Some(deadline) = self.deadline
            && expiry::is_unpaid(entries)
        {
            self.find(
                FindingKind::NotExpired,
                format_args!("the order is unpaid after its deadline, {deadline}"),
            );
        }
    }

    /// The projection must equal the fold of the logged events, with the data that this run sent.
    fn check_projection(
        &mut self,
        requests: &RequestBodies,
        entries: &[LoggedEvent],
        order: Option<&Value>,
        parked: usize,
    ) {
        if let Err(error) = Order::fold(entries.iter().map(|entry| &entry.event)) {
            return self.find(FindingKind::LogDoesNotFold, error);
        }
        let expected = match projection::expected(requests, self.known, entries) {
            Ok(expected) => expected,
            Err(error) => return self.find(FindingKind::LogDoesNotFold, error),
        };
        match (expected, order) {
            (None, None) => {}
            (Some(expected), Some(order)) => {
                if !contains(order, &expected) {
                    let what = format_args!("the order is {order}, but its events fold to {expected}");
                    self.find(FindingKind::OrderDiffersFromLog, what);
                }
                if order["parked"] != parked && !self.known.is_uncertain {
                    let what = format_args!(
                        "the order has {} parked events, but {parked} receipts are parked",
                        order["parked"]
                    );
                    self.find(FindingKind::OrderDiffersFromLog, what);
                }
            }
            (Some(_), None) => self.find(
                FindingKind::OrderDiffersFromLog,
                "the order has a log, but the service returns no order",
            ),
            (None, Some(order)) => {
                self.find(
                    FindingKind::OrderDiffersFromLog,
                    format_args!("the order has no log, but the service returns {order}"),
                );
            }
        }
    }
}

fn is_about(receipt: &ServiceReceipt, known: &KnownOrder, accepted: &AcceptedEvent) -> bool {
    (&receipt.order_id, receipt.event_id, receipt.event_type)
        == (&known.id, accepted.event_id, accepted.event_type())
}

/// The data of an accepted event, as this run sent it.
fn sent_data(requests: &RequestBodies, known: &KnownOrder, accepted: &AcceptedEvent) -> Value {
    let data = requests.data(accepted.step, accepted.number, known.creation);
    serde_json::from_str(&data).unwrap_or_default()
}

#[cfg(test)]
mod tests;
