use domain::{EventType, OrderId, RecordedEvent};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::load::known_orders::KnownOrders;
use crate::load::lives::{Expiry, Lives};
use crate::load::receipt::ReceiptLocation;
use crate::load::requests::Creation;
use crate::load::sent::currency;
use crate::load::steps::LifeStep;

const STEPS: [LifeStep; 4] = [LifeStep::Create, LifeStep::Confirm, LifeStep::DeliverRest, LifeStep::PayTotal];

/// An order that was created, confirmed and paid. In between, an illegal delivery was rejected.
fn known() -> KnownOrder {
    let mut orders = KnownOrders::default();
    for (number, step) in (0..).zip(STEPS) {
        let expected =
            if step == LifeStep::DeliverRest { ExpectedOutcome::Rejected } else { ExpectedOutcome::Recorded };
        let receipt = ReceiptLocation::Plain;
        let accepted = AcceptedEvent { event_id: id(number), number, step, expected, receipt };
        match step {
            LifeStep::Create => orders.add_order(OrderId::parse("o-1").unwrap(), CREATION, &[], accepted),
            _ => orders.add_event(0, &[], accepted),
        }
    }
    orders.into_orders().remove(0)
}

const CREATION: Creation = Creation { number: 0, second: 0 };

fn requests() -> RequestBodies {
    RequestBodies::new(Uuid::nil(), 10, Lives::Expiring, Timestamp::parse("2026-11-23T10:00:00Z").unwrap())
}

fn id(number: u32) -> EventId {
    Uuid::from_u128(number.into()).into()
}

fn event_type(number: u32) -> EventType {
    STEPS[number as usize].event_type()
}

fn entry(number: u32, version: u64) -> LoggedEvent {
    let step = STEPS[number as usize];
    let mut data: Value = serde_json::from_str(&requests().data(step, number, CREATION)).unwrap();
    if step == LifeStep::Create {
        data["total"] = json!(1800);
    }
    logged(number, version, event_type(number), data, None)
}

fn logged(
    number: u32,
    version: u64,
    event_type: EventType,
    mut data: Value,
    actor: Option<&str>,
) -> LoggedEvent {
    data["order_id"] = json!("o-1");
    let mut text = json!({ "version": version, "recorded_at": "2026-11-23T10:00:10Z", "event_id": id(number),
        "type": event_type, "schema_version": 2, "timestamp": "2026-11-23T10:00:10Z",
        "correlation_id": "c", "data": data });
    if let Some(actor) = actor {
        text["actor"] = json!(actor);
    }
    let event = RecordedEvent::decode(text.to_string().as_bytes(), currency()).unwrap();
    LoggedEvent { event, data }
}

fn receipt(number: u32, state: &str, version: Option<u64>) -> ReceiptEvidence {
    let text = json!({ "order_id": "o-1", "event_id": id(number), "type": event_type(number), "state": state,
        "version": version, "links": { "self": "/" } });
    ReceiptEvidence::Settled(ServiceReceipt::decode(text.to_string().as_bytes()).unwrap())
}

/// Evidence in which the audit finds nothing wrong.
fn evidence() -> OrderEvidence {
    let log = vec![entry(0, 1), entry(1, 2), entry(3, 3)];
    let order = shown(&log);
    let receipts = vec![
        receipt(0, "recorded", Some(1)),
        receipt(1, "recorded", Some(2)),
        receipt(2, "rejected", None),
        receipt(3, "recorded", Some(3)),
    ];
    OrderEvidence { receipts, log: Ok(log), order: Ok(Some(order)) }
}

/// The order as the service shows it.
fn shown(log: &[LoggedEvent]) -> Value {
    let order = Order::fold(log.iter().map(|entry| &entry.event)).unwrap().unwrap();
    let mut shown = projection::shown(&order);
    shown["parked"] = json!(0);
    shown
}

/// The findings of an audit whose order or evidence `change` has altered.
fn kinds_after(change: impl FnOnce(&mut KnownOrder, &mut OrderEvidence)) -> Vec<FindingKind> {
    audit_after(false, change).0
}

fn audit_after(
    unordered: bool,
    change: impl FnOnce(&mut KnownOrder, &mut OrderEvidence),
) -> (Vec<FindingKind>, OutcomeCounts) {
    let (mut known, mut evidence) = (known(), evidence());
    change(&mut known, &mut evidence);
    let (mut outcomes, mut findings) = (OutcomeCounts::default(), AuditFindings::default());
    audit(&requests(), unordered, &known, evidence, &mut outcomes, &mut findings);
    assert!(findings.lines().iter().skip(1).all(|line| !line.is_empty()));
    (findings.kinds.into_keys().collect(), outcomes)
}

fn log(evidence: &mut OrderEvidence) -> &mut Vec<LoggedEvent> {
    evidence.log.as_mut().unwrap()
}

#[test]
fn a_correct_order_has_no_findings() {
    let (kinds, outcomes) = audit_after(false, |_, _| ());
    assert_eq!(kinds, []);
    let expected =
        OutcomeCounts { orders: 1, accepted: 4, recorded: 3, rejected: 1, ..OutcomeCounts::default() };
    assert_eq!(outcomes, expected);
}

#[test]
fn an_event_without_an_outcome_is_found() {
    let (kinds, outcomes) =
        audit_after(false, |_, evidence| evidence.receipts[2] = ReceiptEvidence::Unsettled);
    assert_eq!((kinds, outcomes.lost), (vec![FindingKind::NoOutcome], 1));
    let (kinds, outcomes) =
        audit_after(false, |_, evidence| evidence.receipts[2] = ReceiptEvidence::Missing("404".to_owned()));
    assert_eq!((kinds, outcomes.lost), (vec![FindingKind::WrongReceipt], 1));
    let kinds = kinds_after(|_, evidence| evidence.receipts[1] = receipt(3, "recorded", Some(2)));
    assert_eq!(kinds[0], FindingKind::WrongReceipt);
}

#[test]
fn an_event_that_is_recorded_only_by_its_receipt_is_found() {
    // The missing entry also causes findings about the later entries of the log.
    let kinds = kinds_after(|_, evidence| drop(log(evidence).remove(1)));
    assert!(kinds.contains(&FindingKind::LogAndReceiptDiffer), "{kinds:?}");
    assert!(kinds.contains(&FindingKind::VersionsNotConsecutive), "{kinds:?}");
    assert!(kinds.contains(&FindingKind::LogDoesNotFold), "{kinds:?}");
}

#[test]
fn an_event_in_the_log_with_another_receipt_is_found() {
    let kinds = kinds_after(|_, evidence| evidence.receipts[3] = receipt(3, "rejected", None));
    assert_eq!(kinds, [FindingKind::WrongOutcome, FindingKind::LogAndReceiptDiffer]);
    let kinds = kinds_after(|_, evidence| evidence.receipts[3] = receipt(3, "recorded", Some(4)));
    assert_eq!(kinds, [FindingKind::LogAndReceiptDiffer]);
}

#[test]
fn an_outcome_that_contradicts_the_rules_is_found() {
    let kinds = kinds_after(|known, _| known.events[2].expected = ExpectedOutcome::Recorded);
    assert_eq!(kinds, [FindingKind::WrongOutcome]);
    // On an unordered queue, the audit cannot predict outcomes.
    assert_eq!(audit_after(true, |known, _| known.events[2].expected = ExpectedOutcome::Recorded).0, []);
}

#[test]
fn an_event_that_is_in_the_log_twice_is_found() {
    let kinds = kinds_after(|_, evidence| log(evidence).push(entry(3, 4)));
    assert!(kinds.contains(&FindingKind::RecordedTwice), "{kinds:?}");
}

#[test]
fn events_in_another_order_are_found() {
    let swap = |known: &mut KnownOrder, _: &mut OrderEvidence| known.events.swap(1, 3);
    let kinds = kinds_after(|known, evidence| {
        swap(known, evidence);
        evidence.receipts.swap(1, 3);
    });
    assert_eq!(kinds, [FindingKind::OutOfOrder]);
}

#[test]
fn an_event_that_was_not_sent_is_found_unless_a_request_got_no_answer() {
    let kinds = kinds_after(|known, evidence| {
        known.events.pop();
        evidence.receipts.pop();
    });
    assert_eq!(kinds, [FindingKind::NeverSent]);
    let kinds = kinds_after(|known, evidence| {
        known.events.pop();
        evidence.receipts.pop();
        known.is_uncertain = true;
    });
    assert_eq!(kinds, []);
}

#[test]
fn changed_data_and_a_changed_order_are_found() {
    let kinds = kinds_after(|_, evidence| log(evidence)[2].data["amount"] = json!(1));
    assert_eq!(kinds, [FindingKind::OtherData]);
    for (member, value) in [
        ("status", json!("pending")),
        ("version", json!(2)),
        ("parked", json!(1)),
        ("total", json!(1799)),
        ("payment_status", json!("unpaid")),
        ("fulfilment_status", json!("shipped")),
        ("money", json!({ "authorized": 0, "captured": 1800, "refunded": 0, "balance": 1 })),
        ("items", json!([])),
    ] {
        let kinds =
            kinds_after(|_, evidence| evidence.order.as_mut().unwrap().as_mut().unwrap()[member] = value);
        assert_eq!(kinds, [FindingKind::OrderDiffersFromLog], "{member}");
    }
    assert_eq!(kinds_after(|_, evidence| evidence.order = Ok(None)), [FindingKind::OrderDiffersFromLog]);
}

#[test]
fn an_unreadable_log_or_order_is_a_finding() {
    assert_eq!(kinds_after(|_, evidence| evidence.log = Err("500".to_owned())), [FindingKind::NotAudited]);
    assert_eq!(kinds_after(|_, evidence| evidence.order = Err("500".to_owned())), [FindingKind::NotAudited]);
}

#[test]
fn a_parked_event_has_an_outcome() {
    let (kinds, outcomes) = audit_after(false, |_, evidence| {
        evidence.receipts[3] = receipt(3, "parked", None);
        log(evidence).pop();
        let mut order = shown(log(evidence));
        order["parked"] = json!(1);
        evidence.order = Ok(Some(order));
    });
    assert_eq!((kinds, outcomes.parked, outcomes.lost), (vec![], 1, 0));
}

/// An order with a deadline within seconds, and the evidence about it after the deadline. `expired` is when the service
/// cancelled the order.
fn audit_unpaid(expired: Option<(&str, &str)>) -> Vec<FindingKind> {
    let number = (0..).find(|number| Lives::Expiring.life(*number).expiry == Expiry::Soon).unwrap();
    let mut orders = KnownOrders::default();
    let (creation, step) = (Creation { number, second: 0 }, LifeStep::Create);
    let (expected, receipt_at) = (ExpectedOutcome::Recorded, ReceiptLocation::Plain);
    let accepted = AcceptedEvent { event_id: id(0), number, step, expected, receipt: receipt_at };
    orders.add_order(OrderId::parse("o-1").unwrap(), creation, &[], accepted);
    let known = orders.into_orders().remove(0);

    let life = requests().life(creation);
    let mut data: Value = serde_json::from_str(&requests().data(LifeStep::Create, number, creation)).unwrap();
    data["total"] = json!(life.total);
    let mut log = vec![logged(0, 1, EventType::Created, data, None)];
    if let Some((reason, actor)) = expired {
        log.push(logged(9, 2, EventType::Cancelled, json!({ "reason": reason }), Some(actor)));
    }
    let (order, receipts) = (shown(&log), vec![receipt(0, "recorded", Some(1))]);
    let evidence = OrderEvidence { receipts, log: Ok(log), order: Ok(Some(order)) };
    let (mut outcomes, mut findings) = (OutcomeCounts::default(), AuditFindings::default());
    audit(&requests(), false, &known, evidence, &mut outcomes, &mut findings);
    assert_eq!((outcomes.accepted, outcomes.with_deadline), (1, 1));
    assert_eq!(outcomes.expired, u64::from(findings.is_clean()));
    findings.kinds.into_keys().collect()
}

#[test]
fn an_unpaid_order_must_be_cancelled_by_the_service() {
    assert_eq!(audit_unpaid(Some(("expired", "orders"))), []);
    assert_eq!(audit_unpaid(None), [FindingKind::NotExpired]);
    assert_eq!(audit_unpaid(Some(("expired", "mallory"))), [FindingKind::NeverSent]);
    assert_eq!(audit_unpaid(Some(("bored", "orders"))), [FindingKind::NeverSent]);
}
