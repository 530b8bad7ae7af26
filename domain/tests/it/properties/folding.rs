//! Folding and judging: they are deterministic, never panic, and agree with each other.

use domain::judge::judge_transition;
use domain::lifecycle;
use domain::{Envelope, Event, EventType, Order, OrderState, RejectReason, Verdict, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::arbitrary;
use crate::given::{log, recorded};

/// A legal history of up to 8 events. Each choice picks one of the types that are legal at that point.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let types = |choices: Vec<Index>| {
        let mut state = OrderState::None;
        let mut types = Vec::new();
        for choice in choices {
            let allowed: Vec<_> = state.allowed_events().collect();
            let Some(event_type) = allowed.get(choice.index(allowed.len().max(1))) else { break };
            types.push(*event_type);
            state = lifecycle::next(state, *event_type).unwrap();
        }
        types
    };
    vec(any::<Index>(), 0..=8)
        .prop_flat_map(move |choices| types(choices).into_iter().map(arbitrary::event_of).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn every_legal_history_folds_and_folds_the_same_again(events in history()) {
        let log = log(events);
        let order = Order::fold(&log).unwrap();
        prop_assert_eq!(order.as_ref().map_or(0, |order| order.version), log.len() as u64);
        prop_assert_eq!(&Order::fold(&log).unwrap(), &order);

        let json = serde_json::to_vec(&order).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Option<Order>>(&json).unwrap(), &order);
        prop_assert_eq!(order.map_or(b"null".to_vec(), |order| order.encode()), json, "both encoders agree");
    }

    #[test]
    fn a_stored_projection_folds_on_like_the_whole_log(events in history(), cut in any::<Index>()) {
        let log = log(events);
        let (head, tail) = log.split_at(cut.index(log.len() + 1));
        let stored = serde_json::to_vec(&Order::fold(head).unwrap()).unwrap();
        let mut order: Option<Order> = serde_json::from_slice(&stored).unwrap();
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
    fn an_event_is_legal_exactly_if_it_applies_as_the_next_version(events in history(), next in arbitrary::event()) {
        let order = Order::fold(&log(events)).unwrap();
        let version = order.as_ref().map_or(0, |order| order.version);
        let entry = recorded(version + 1, next);

        let legal = judge(order.as_ref(), &entry.envelope) == Verdict::Legal;
        let state = order.as_ref().map_or(OrderState::None, Order::state);
        prop_assert_eq!(legal, state.allowed_events().any(|allowed| allowed == entry.envelope.event.event_type()));
        prop_assert_eq!(legal, Order::apply(order, &entry).is_ok());
    }

    #[test]
    fn a_version_mismatch_is_early_or_never_whatever_the_event(
        events in history(),
        next in arbitrary::event(),
        expected in prop_oneof![0..10_u64, any::<u64>()],
    ) {
        let order = Order::fold(&log(events)).unwrap();
        let version = order.as_ref().map_or(0, |order| order.version);
        let free = crate::given::envelope(next);
        let bound = Envelope { expected_version: Some(expected), ..free.clone() };
        match (expected.cmp(&version), judge(order.as_ref(), &bound)) {
            (std::cmp::Ordering::Less, Verdict::Never(refusal))
            | (std::cmp::Ordering::Greater, Verdict::Early(refusal)) => {
                prop_assert_eq!(refusal.reason, RejectReason::VersionMismatch);
            }
            (std::cmp::Ordering::Equal, verdict) => prop_assert_eq!(verdict, judge(order.as_ref(), &free)),
            (_, verdict) => prop_assert!(false, "expected {expected} at {version}: {verdict:?}"),
        }
    }

    #[test]
    fn an_event_judged_never_stays_illegal(events in history(), later in history()) {
        let types: Vec<_> = events.iter().map(Event::event_type).collect();
        let mut state = OrderState::None;
        let mut refused_forever: Vec<EventType> = Vec::new();
        for event in types.iter().copied().chain(later.iter().map(Event::event_type)) {
            let Some(next) = lifecycle::next(state, event) else { continue };
            prop_assert!(!refused_forever.contains(&event), "{event} was judged never, and became legal");
            state = next;
            let never = |e: &EventType| matches!(judge_transition(state, *e), Verdict::Never(_));
            refused_forever.extend(EventType::ALL.into_iter().filter(never));
        }
    }
}
