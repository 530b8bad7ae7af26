//! Tests which events are delivered next and what is stored, without I/O.

use std::time::Duration;

use domain::{EventType, OrderId, Timestamp};
use uuid::Uuid;

use super::super::attempt::{Answer, Finished, PostError};
use super::super::circuit::MAX_FAILURES;
use super::super::held::{HeadEvent, HeldState};
use super::super::options::DeliveryOptions;
use super::super::ports::{Change, SourceEntry, StoredDeliveries};
use super::{Deliveries, Ticket};
use crate::webhooks::SkipRequest;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000).unwrap()
}

fn order(id: &str) -> OrderId {
    OrderId::parse(id).unwrap()
}

fn new() -> Deliveries {
    let options = DeliveryOptions { concurrency: 4, ..DeliveryOptions::default() };
    Deliveries::new(options, StoredDeliveries::default(), at(0), at(0))
}

/// Passes events of the given orders to the deliveries, as if the events were read from the feed.
fn read(deliveries: &mut Deliveries, events: &[(&str, u64)]) {
    let start = deliveries.read_to();
    let entries = events.iter().zip(start + 1..).map(|((id, version), position)| {
        let event_type = EventType::Annotated;
        (SourceEntry { position, order_id: order(id), version: *version, event_type }, true)
    });
    let entries: Vec<_> = entries.collect();
    let next = start + entries.len() as u64;
    deliveries.read(entries, next);
}

fn head(version: u64) -> HeadEvent {
    let event_id = Uuid::from_u128(version.into()).into();
    HeadEvent { event_id, event_type: EventType::Annotated, recorded_at: at(0) }
}

fn finish(deliveries: &mut Deliveries, ticket: &Ticket, status: u16, now: i64) -> Vec<Change> {
    let answer: Result<_, PostError> = Ok(Answer { status, ..Answer::default() });
    let finished = Finished::classify(at(now), Duration::ZERO, answer);
    let effects = deliveries.finish(ticket, head(ticket.version), &finished, at(now), 0.0);
    if !effects.changes.is_empty() {
        deliveries.confirm(&ticket.order_id);
    }
    effects.changes
}

/// Starts every attempt that may be made now, and returns the tickets.
fn started(deliveries: &mut Deliveries, now: i64) -> Vec<Ticket> {
    std::iter::from_fn(|| deliveries.next(at(now))).collect()
}

#[test]
fn an_order_has_one_event_in_flight_and_others_go_on() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1), ("a", 2), ("b", 1)]);
    let tickets = started(&mut deliveries, 0);
    let events: Vec<_> = tickets.iter().map(|ticket| (ticket.order_id.as_str(), ticket.version)).collect();
    assert_eq!(events, [("a", 1), ("b", 1)]);
    finish(&mut deliveries, &tickets[1], 200, 0);
    assert_eq!(deliveries.progress().cursor, 0);
    finish(&mut deliveries, &tickets[0], 200, 0);
    assert_eq!(deliveries.progress().cursor, 1);
    assert_eq!(started(&mut deliveries, 0)[0].version, 2);
}

#[test]
fn the_cursor_passes_a_failed_event_only_once_its_row_is_durable() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1), ("b", 1)]);
    let tickets = started(&mut deliveries, 0);
    finish(&mut deliveries, &tickets[1], 200, 0);
    let finished = Finished::classify(at(0), Duration::ZERO, Err(PostError::Failed("f".to_owned())));
    let effects = deliveries.finish(&tickets[0], head(1), &finished, at(0), 0.0);
    assert!(matches!(&effects.changes[..], [Change::Hold(row)] if row.next == 1 && row.attempts == 1));
    assert_eq!(deliveries.progress().cursor, 0);
    deliveries.confirm(&order("a"));
    assert_eq!(deliveries.progress().cursor, 2);
}

#[test]
fn a_held_order_catches_up_from_its_log_and_goes_on_from_the_feed() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1)]);
    let ticket = deliveries.next(at(0)).unwrap();
    finish(&mut deliveries, &ticket, 500, 0);
    // While the order is held, its events in the feed are ignored.
    read(&mut deliveries, &[("a", 2), ("a", 3)]);
    assert_eq!((deliveries.next(at(4)), deliveries.progress().cursor), (None, 3));
    for version in 1..=3 {
        let ticket = deliveries.next(at(5)).unwrap();
        assert_eq!((ticket.is_held(), ticket.version), (true, version));
        finish(&mut deliveries, &ticket, 200, 5);
    }
    // The log of the order ends at version 3, and the feed ends at position 5. Positions 4 and 5 are not read yet.
    let ticket = deliveries.next(at(5)).unwrap();
    deliveries.caught_up(&ticket, 5);
    assert_eq!(deliveries.state_of(&order("a")), Some(HeldState::CaughtUp { until: 5 }));
    read(&mut deliveries, &[("b", 1), ("b", 2), ("a", 4)]);
    let events: Vec<_> = started(&mut deliveries, 5).into_iter().map(|t| (t.order_id, t.version)).collect();
    assert_eq!(events, [(order("b"), 1), (order("a"), 4)]);
}

#[test]
fn the_row_of_an_order_that_caught_up_is_removed_with_the_cursor_that_passes_it() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1)]);
    let ticket = deliveries.next(at(0)).unwrap();
    finish(&mut deliveries, &ticket, 500, 0);
    let ticket = deliveries.next(at(5)).unwrap();
    finish(&mut deliveries, &ticket, 200, 5);
    let ticket = deliveries.next(at(5)).unwrap();
    deliveries.caught_up(&ticket, 2);
    let changes = deliveries.save();
    assert!(matches!(&changes[..], [Change::Hold(_), Change::Progress(progress)] if progress.cursor == 1));
    read(&mut deliveries, &[("b", 1)]);
    let ticket = deliveries.next(at(5)).unwrap();
    finish(&mut deliveries, &ticket, 200, 5);
    let changes = deliveries.save();
    assert!(matches!(&changes[..], [Change::Release(id), Change::Progress(_)] if id.as_str() == "a"));
    assert!(!deliveries.is_unsaved());
}

#[test]
fn retries_use_at_most_half_of_the_attempts() {
    let mut deliveries = new();
    let orders: Vec<_> = (0..8).map(|n| format!("o-{n}")).collect();
    let events: Vec<_> = orders.iter().map(|id| (id.as_str(), 1)).collect();
    read(&mut deliveries, &events);
    for _ in 0..2 {
        for ticket in started(&mut deliveries, 0) {
            finish(&mut deliveries, &ticket, 500, 0);
        }
    }
    assert_eq!(deliveries.held_orders(), 8);
    read(&mut deliveries, &[("x", 1), ("y", 1), ("z", 1)]);
    let tickets = started(&mut deliveries, 5);
    assert_eq!(tickets.iter().filter(|ticket| ticket.is_held()).count(), 2);
    assert_eq!(tickets.len(), 4);
}

/// Lets deliveries of different orders fail until the circuit opens. Returns the time of the next permitted
/// attempt, in seconds.
fn open_circuit(deliveries: &mut Deliveries) -> i64 {
    for number in 0..MAX_FAILURES {
        read(deliveries, &[(&format!("o-{number}"), 1)]);
        let ticket = deliveries.next(at(0)).unwrap();
        finish(deliveries, &ticket, 500, 0);
    }
    assert!(deliveries.is_circuit_open());
    1
}

#[test]
fn an_open_circuit_tries_one_held_order_and_reads_nothing() {
    let mut deliveries = new();
    let now = open_circuit(&mut deliveries);
    assert!(!deliveries.wants_events());
    assert_eq!(deliveries.next(at(0)), None);
    let tickets = started(&mut deliveries, now);
    assert_eq!(tickets.len(), 1);
    // The attempt was made before it was due, so it does not count for the schedule.
    let changes = finish(&mut deliveries, &tickets[0], 500, now);
    assert!(matches!(&changes[..], [Change::Hold(row)] if (row.attempts, row.failures) == (2, 1)));
    assert_eq!(deliveries.next_at(), Some(at(now + 2)));
    let ticket = deliveries.next(at(now + 2)).unwrap();
    finish(&mut deliveries, &ticket, 200, now + 2);
    // The receiver works again, so the retries of all other orders are due.
    assert!(deliveries.wants_events());
    assert_eq!(started(&mut deliveries, now + 2).len(), 2);
}

#[test]
fn a_delivery_is_given_up_after_the_schedule_and_a_changed_subscription_begins_it_again() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1)]);
    let mut now = 0;
    let mut attempts = 0;
    while deliveries.state_of(&order("a")) != Some(HeldState::GaveUp) {
        if let Some(due) = deliveries.next_at() {
            now = due.micros() / 1_000_000;
        }
        let ticket = deliveries.next(at(now)).unwrap();
        finish(&mut deliveries, &ticket, 500, now);
        attempts += 1;
    }
    assert_eq!((attempts, deliveries.next_at()), (10, None));
    assert_eq!(deliveries.progress().alert.gave_up, 1);
    deliveries.renew(at(now));
    assert_eq!(deliveries.next(at(now)).unwrap().version, 1);
}

#[test]
fn a_skip_goes_on_with_the_next_event_and_ignores_the_attempt_in_flight() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1), ("a", 2)]);
    let ticket = deliveries.next(at(0)).unwrap();
    finish(&mut deliveries, &ticket, 500, 0);
    let retry = deliveries.next(at(5)).unwrap();
    let skip = || SkipRequest { reason: "wrong".to_owned(), at: at(5), by: None };
    assert_eq!(deliveries.skip(head(9).event_id, skip()), None);
    let changes = deliveries.skip(head(1).event_id, skip()).unwrap();
    assert!(matches!(&changes[..], [Change::Skip(skipped), Change::Hold(row)]
        if skipped.version == 1 && skipped.attempts == 1 && row.next == 2));
    assert_eq!(deliveries.next(at(5)), None, "the attempt is still in flight");
    assert!(finish(&mut deliveries, &retry, 500, 5).is_empty());
    assert_eq!(deliveries.next(at(5)).unwrap().version, 2);
}

#[test]
fn a_replay_moves_the_cursor_back_and_keeps_orders_that_were_held_before() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1), ("b", 1), ("a", 2), ("c", 1)]);
    for ticket in started(&mut deliveries, 0) {
        let status = if ticket.order_id.as_str() == "b" { 200 } else { 500 };
        finish(&mut deliveries, &ticket, status, 0);
    }
    // Orders a and c are held at the positions 1 and 4.
    let changes = deliveries.replay(2, at(1));
    let held: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Hold(_))).collect();
    assert!(matches!(&held[..], [Change::Hold(row)] if row.order_id.as_str() == "a"));
    assert!(changes.contains(&Change::Release(order("c"))));
    assert!(matches!(changes.last(), Some(Change::Progress(progress)) if progress.cursor == 2));
    read(&mut deliveries, &[("a", 2), ("c", 1)]);
    let mut events: Vec<_> =
        started(&mut deliveries, 1).into_iter().map(|t| (t.order_id, t.version)).collect();
    events.sort();
    assert_eq!(events, [(order("a"), 1), (order("c"), 1)]);
}

#[test]
fn a_replay_never_leaves_out_events() {
    let mut deliveries = new();
    read(&mut deliveries, &[("a", 1), ("b", 1)]);
    deliveries.replay(2, at(0));
    assert_eq!(deliveries.read_to(), 0);
}
