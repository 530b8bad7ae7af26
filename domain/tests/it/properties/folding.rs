//! Tests folding and judging: both are deterministic, never panic, and agree with each other.

use domain::{Envelope, Event, Order, RejectReason, Verdict, allowed_events, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{arbitrary, events};
use crate::given::{envelope, log, recorded};

/// Keeps each event that is legal after the events that were kept before it.
fn legal(events: Vec<Event>) -> Vec<Event> {
    let (mut order, mut kept) = (None, Vec::new());
    for event in events {
        let version = order.as_ref().map_or(1, |order: &Order| order.version + 1);
        if let Ok(after) = Order::apply(order.clone(), &recorded(version, event.clone())) {
            order = Some(after);
            kept.push(event);
        }
    }
    kept
}

/// A legal history. Most of its events concern the same few lines, payments, shipments and returns.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let start = events::event_of(domain::EventType::Created);
    let rest = vec(prop_oneof![9 => events::related_event(), 1 => events::event()], 0..24);
    prop_oneof![1 => Just(Vec::new()), 19 => (start, rest).prop_map(|(start, rest)| {
        legal(std::iter::once(start).chain(rest).collect())
    })]
}

proptest! {
    #[test]
    fn every_legal_history_folds_and_folds_the_same_again(history in history()) {
        let log = log(history);
        let order = Order::fold(&log).unwrap();
        prop_assert_eq!(order.as_ref().map_or(0, |order| order.version), log.len() as u64);
        prop_assert_eq!(&Order::fold(&log).unwrap(), &order);

        let json = serde_json::to_vec(&order).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Option<Order>>(&json).unwrap(), &order);
        prop_assert_eq!(order.map_or(b"null".to_vec(), |order| order.encode()), json, "both encoders agree");
    }

    #[test]
    fn a_stored_projection_folds_on_like_the_whole_log(history in history(), cut in any::<Index>()) {
        let log = log(history);
        let (head, tail) = log.split_at(cut.index(log.len() + 1));
        let stored = serde_json::to_vec(&Order::fold(head).unwrap()).unwrap();
        let mut order: Option<Order> = serde_json::from_slice(&stored).unwrap();
        prop_assert!(!order.as_ref().is_some_and(Order::lacks_counters));
        for event in tail {
            order = Some(Order::apply(order, event).unwrap());
        }
        prop_assert_eq!(order, Order::fold(&log).unwrap());
    }

    #[test]
    fn no_sequence_of_entries_makes_apply_panic(
        entries in vec(
            prop_oneof![
                arbitrary::recorded(),
                arbitrary::entry(0..9_u64),
                arbitrary::entry(any::<u64>()),
            ],
            0..12,
        ),
    ) {
        let mut order = None;
        for entry in &entries {
            match Order::apply(order.clone(), entry) {
                Ok(after) => {
                    prop_assert_eq!(after.version, order.map_or(0, |order: Order| order.version) + 1);
                    order = Some(after);
                }
                Err(error) => prop_assert!(error.to_string().contains(&entry.version.to_string())),
            }
        }
        prop_assert_eq!(Order::fold(&entries), Order::fold(&entries));
    }

    #[test]
    fn an_event_is_legal_exactly_if_it_applies_as_the_next_version(
        history in history(),
        next in prop_oneof![events::event(), events::related_event()],
    ) {
        let order = Order::fold(&log(history)).unwrap();
        let version = order.as_ref().map_or(0, |order| order.version);
        let entry = recorded(version + 1, next);

        let legal = judge(order.as_ref(), None, &entry.envelope) == Verdict::Legal;
        let event_type = entry.envelope.event.event_type();
        let is_allowed = allowed_events(order.as_ref()).any(|allowed| allowed == event_type);
        // Clients cannot send the refund of version 1 that settles an order, so `allowed_events` does not list it.
        let settles = matches!(&entry.envelope.event, Event::Refunded(refunded) if refunded.settles);
        prop_assert!(is_allowed || !legal || settles, "{event_type} is legal but not allowed");
        prop_assert_eq!(legal, Order::apply(order, &entry).is_ok());
    }

    #[test]
    fn a_version_mismatch_is_early_or_never_whatever_the_event(
        history in history(),
        next in events::event(),
        expected in prop_oneof![0..10_u64, any::<u64>()],
    ) {
        let order = Order::fold(&log(history)).unwrap();
        let version = order.as_ref().map_or(0, |order| order.version);
        let free = envelope(next);
        let bound = Envelope { expected_version: Some(expected), ..free.clone() };
        match (expected.cmp(&version), judge(order.as_ref(), None, &bound)) {
            (std::cmp::Ordering::Less, Verdict::Never(refusal))
            | (std::cmp::Ordering::Greater, Verdict::Early(refusal)) => {
                prop_assert_eq!(refusal.reason, RejectReason::VersionMismatch);
            }
            (std::cmp::Ordering::Equal, verdict) => prop_assert_eq!(verdict, judge(order.as_ref(), None, &free)),
            (_, verdict) => prop_assert!(false, "the event expects version {expected}, and the order is at {version}: {verdict:?}"),
        }
    }

    #[test]
    fn an_event_judged_never_stays_illegal(history in history(), tried in vec(events::related_event(), 1..12)) {
        let mut order: Option<Order> = None;
        let mut is_never = vec![false; tried.len()];
        for entry in log(history) {
            order = Some(Order::apply(order, &entry).unwrap());
            for (event, is_never) in tried.iter().zip(&mut is_never) {
                let verdict = judge(order.as_ref(), None, &envelope(event.clone()));
                prop_assert!(!*is_never || matches!(verdict, Verdict::Never(_)), "{event:?}: {verdict:?}");
                *is_never = matches!(verdict, Verdict::Never(_));
            }
        }
    }
}
