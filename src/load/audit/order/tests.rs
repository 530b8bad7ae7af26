use domain::{Currency, OrderId, RecordedEvent};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::load::known_orders::KnownOrders;
use crate::load::receipt::ReceiptLocation;

const TYPES: [EventType; 4] =
    [EventType::Created, EventType::Confirmed, EventType::Delivered, EventType::Paid];

/// An order that was created, confirmed and paid, with a delivery between that the rules forbid.
fn known() -> KnownOrder {
    let mut book = KnownOrders::default();
    for (number, event_type) in (0..).zip(TYPES) {
        let expected = if event_type == EventType::Delivered {
            ExpectedOutcome::Rejected
        } else {
            ExpectedOutcome::Recorded
        };
        let accepted = AcceptedEvent {
            event_id: id(number),
            number,
            event_type,
            expected,
            link: ReceiptLocation::Plain,
        };
        match event_type {
            EventType::Created => book.created(OrderId::parse("o-1").unwrap(), accepted),
            _ => book.accepted_event(0, accepted),
        }
    }
    book.into_orders().remove(0)
}

fn requests() -> RequestBodies {
    RequestBodies::new(Uuid::nil(), 10)
}

fn id(number: u32) -> EventId {
    Uuid::from_u128(number.into()).into()
}

fn entry(number: u32, version: u64) -> LoggedEvent {
    let event_type = TYPES[number as usize];
    let mut data: Value = serde_json::from_str(&requests().body(event_type, number, 0)).unwrap();
    if event_type == EventType::Created {
        data["total"] = json!(1800);
    } else {
        data = data.get("data").cloned().unwrap_or(json!({}));
    }
    data["order_id"] = json!("o-1");
    let text = json!({ "version": version, "recorded_at": "2026-11-23T10:00:00Z", "event_id": id(number),
        "type": event_type, "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
        "correlation_id": "c", "data": data });
    let event = RecordedEvent::decode(text.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap();
    LoggedEvent { event, data }
}

fn receipt(number: u32, state: &str, version: Option<u64>) -> ReceiptEvidence {
    let text = json!({ "order_id": "o-1", "event_id": id(number), "type": TYPES[number as usize], "state": state,
        "version": version, "links": { "self": "/" } });
    ReceiptEvidence::Settled(ServiceReceipt::read(text.to_string().as_bytes()).unwrap())
}

/// All as it must be.
fn evidence() -> OrderEvidence {
    let log = vec![entry(0, 1), entry(1, 2), entry(3, 3)];
    let order = Order::fold(log.iter().map(|entry| &entry.event)).unwrap();
    let mut order = serde_json::to_value(order).unwrap();
    order["parked"] = json!(0);
    let receipts = vec![
        receipt(0, "recorded", Some(1)),
        receipt(1, "recorded", Some(2)),
        receipt(2, "rejected", None),
        receipt(3, "recorded", Some(3)),
    ];
    OrderEvidence { receipts, log: Ok(log), order: Ok(Some(order)) }
}

/// What is found in a case that is changed like this.
fn found(change: impl FnOnce(&mut KnownOrder, &mut OrderEvidence)) -> Vec<FindingKind> {
    found_in(false, change).0
}

fn found_in(
    unordered: bool,
    change: impl FnOnce(&mut KnownOrder, &mut OrderEvidence),
) -> (Vec<FindingKind>, OutcomeCounts) {
    let (mut known, mut evidence) = (known(), evidence());
    change(&mut known, &mut evidence);
    let (mut tally, mut findings) = (OutcomeCounts::default(), AuditFindings::default());
    judge(&requests(), unordered, &known, evidence, &mut tally, &mut findings);
    assert!(findings.lines().iter().skip(1).all(|line| !line.is_empty()));
    (findings.kinds.into_keys().collect(), tally)
}

fn log(evidence: &mut OrderEvidence) -> &mut Vec<LoggedEvent> {
    evidence.log.as_mut().unwrap()
}

#[test]
fn an_order_as_it_must_be_has_no_findings() {
    let (faults, tally) = found_in(false, |_, _| ());
    assert_eq!(faults, []);
    let expected =
        OutcomeCounts { orders: 1, accepted: 4, recorded: 3, rejected: 1, ..OutcomeCounts::default() };
    assert_eq!(tally, expected);
}

#[test]
fn an_event_without_an_outcome_is_found() {
    let (faults, tally) = found_in(false, |_, evidence| evidence.receipts[2] = ReceiptEvidence::Waiting);
    assert_eq!((faults, tally.lost), (vec![FindingKind::NoOutcome], 1));
    let (faults, tally) =
        found_in(false, |_, evidence| evidence.receipts[2] = ReceiptEvidence::Missing("404".to_owned()));
    assert_eq!((faults, tally.lost), (vec![FindingKind::WrongReceipt], 1));
    let faults = found(|_, evidence| evidence.receipts[1] = receipt(3, "recorded", Some(2)));
    assert_eq!(faults[0], FindingKind::WrongReceipt);
}

#[test]
fn an_event_that_is_recorded_by_its_receipt_only_is_found() {
    // And what follows in the log has no place.
    let faults = found(|_, evidence| drop(log(evidence).remove(1)));
    assert!(faults.contains(&FindingKind::LogAndReceiptDiffer), "{faults:?}");
    assert!(faults.contains(&FindingKind::VersionsNotConsecutive), "{faults:?}");
    assert!(faults.contains(&FindingKind::LogDoesNotFold), "{faults:?}");
}

#[test]
fn an_event_that_is_recorded_although_its_receipt_says_no_is_found() {
    let faults = found(|_, evidence| evidence.receipts[3] = receipt(3, "rejected", None));
    assert_eq!(faults, [FindingKind::WrongOutcome, FindingKind::LogAndReceiptDiffer]);
    let faults = found(|_, evidence| evidence.receipts[3] = receipt(3, "recorded", Some(4)));
    assert_eq!(faults, [FindingKind::LogAndReceiptDiffer]);
}

#[test]
fn an_outcome_that_the_rules_do_not_allow_is_found() {
    let faults = found(|known, _| known.events[2].expected = ExpectedOutcome::Recorded);
    assert_eq!(faults, [FindingKind::WrongOutcome]);
    // Where events may overtake each other, nobody can tell.
    assert_eq!(found_in(true, |known, _| known.events[2].expected = ExpectedOutcome::Recorded).0, []);
}

#[test]
fn an_event_twice_in_the_log_is_found() {
    let faults = found(|_, evidence| log(evidence).push(entry(3, 4)));
    assert!(faults.contains(&FindingKind::RecordedTwice), "{faults:?}");
}

#[test]
fn events_in_another_order_are_found() {
    let swap = |known: &mut KnownOrder, _: &mut OrderEvidence| known.events.swap(1, 3);
    let faults = found(|known, evidence| {
        swap(known, evidence);
        evidence.receipts.swap(1, 3);
    });
    assert_eq!(faults, [FindingKind::OutOfOrder]);
}

#[test]
fn an_event_that_nobody_sent_is_found_unless_a_request_was_never_answered() {
    let faults = found(|known, evidence| {
        known.events.pop();
        evidence.receipts.pop();
    });
    assert_eq!(faults, [FindingKind::NeverSent]);
    let faults = found(|known, evidence| {
        known.events.pop();
        evidence.receipts.pop();
        known.is_uncertain = true;
    });
    assert_eq!(faults, []);
}

#[test]
fn other_data_and_another_order_are_found() {
    let faults = found(|_, evidence| log(evidence)[2].data["amount"] = json!(1));
    assert_eq!(faults, [FindingKind::OtherData]);
    for (member, value) in [("status", json!("pending")), ("version", json!(2)), ("parked", json!(1))] {
        let faults = found(|_, evidence| evidence.order.as_mut().unwrap().as_mut().unwrap()[member] = value);
        assert_eq!(faults, [FindingKind::OrderDiffersFromLog], "{member}");
    }
    assert_eq!(found(|_, evidence| evidence.order = Ok(None)), [FindingKind::OrderDiffersFromLog]);
}

#[test]
fn what_cannot_be_read_is_not_clean() {
    assert_eq!(found(|_, evidence| evidence.log = Err("500".to_owned())), [FindingKind::NotAudited]);
    assert_eq!(found(|_, evidence| evidence.order = Err("500".to_owned())), [FindingKind::NotAudited]);
}

#[test]
fn a_parked_event_is_an_outcome() {
    let (faults, tally) = found_in(false, |_, evidence| {
        evidence.receipts[3] = receipt(3, "parked", None);
        log(evidence).pop();
        let order = Order::fold(log(evidence).iter().map(|entry| &entry.event)).unwrap();
        let mut order = serde_json::to_value(order).unwrap();
        order["parked"] = json!(1);
        evidence.order = Ok(Some(order));
    });
    assert_eq!((faults, tally.parked, tally.lost), (vec![], 1, 0));
}
