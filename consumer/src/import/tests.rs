//! Tests the plan for a batch of lines, with an import target in memory.

use std::collections::BTreeMap;

use domain::{Currency, Order, Outcome, Receipt, RejectReason};
use serde_json::{Value, json};

use super::*;
use crate::ports::{Appended, EventOutcome, LoadedOrder};

/// An import target in memory.
#[derive(Default)]
struct FakeTarget {
    logs: BTreeMap<OrderId, Vec<RecordedEvent>>,
    rejected: Vec<EventId>,
}

fn event(order: &str, version: u64, number: u64, kind: &str, data: Value) -> RecordedEvent {
    let mut data = data;
    data["order_id"] = order.into();
    let entry = json!({
        "version": version, "recorded_at": "2026-11-23T10:00:00Z", "type": kind, "schema_version": 2,
        "event_id": format!("0199d3a0-0000-7000-8000-{number:012}"), "timestamp": "2026-11-23T10:00:00Z",
        "correlation_id": "r", "data": data,
    });
    RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
}

fn created(order: &str, number: u64, reference: Option<&str>) -> RecordedEvent {
    let items = json!([{ "line_id": "1", "sku": "tea", "quantity": 1, "unit_price": 450 }]);
    let mut data = json!({ "customer_id": "c-1", "currency": "EUR", "items": items, "total": 450 });
    if let Some(reference) = reference {
        data["reference"] = reference.into();
    }
    event(order, 1, number, "order_created", data)
}

fn confirmed(order: &str, version: u64, number: u64) -> RecordedEvent {
    event(order, version, number, "order_confirmed", json!({}))
}

fn renamed(order: &str, version: u64, number: u64, reference: &str) -> RecordedEvent {
    event(order, version, number, "order_amended", json!({ "reference": reference }))
}

impl FakeTarget {
    fn with(events: &[RecordedEvent]) -> Self {
        let mut target = Self::default();
        for event in events {
            let log = target.logs.entry(event.envelope.order_id.clone()).or_default();
            log.push(event.clone());
        }
        target
    }

    fn order(&self, order_id: &OrderId) -> Option<Order> {
        Order::fold(self.logs.get(order_id)?).unwrap()
    }
}

#[async_trait]
impl OrderLog for FakeTarget {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<anyhow::Result<LoadedOrder>> {
        let load = |request: &LoadRequest| {
            let rejected = request.event_ids.iter().filter(|id| self.rejected.contains(id));
            let outcome = Outcome::Rejected {
                reason: RejectReason::IllegalTransition,
                detail: String::new(),
                at_version: None,
                violation: None,
            };
            let outcomes = rejected
                .map(|id| EventOutcome { event_id: *id, outcome: outcome.clone(), message: None })
                .collect();
            let holds = |id: &&OrderId, reference: &Reference| {
                self.order(id).is_some_and(|order| order.reference.as_ref() == Some(reference))
            };
            let holder = |reference: &Reference| {
                let holder = self.logs.keys().find(|id| holds(id, reference))?;
                Some((reference.clone(), holder.clone()))
            };
            let reference_holders = request.references.iter().filter_map(holder).collect();
            Ok(LoadedOrder {
                order: self.order(&request.order_id),
                parked: Vec::new(),
                outcomes,
                reference_holders,
            })
        };
        requests.iter().map(load).collect()
    }

    async fn append(&self, _: &[Append]) -> Vec<Result<Appended, AppendError>> {
        Vec::new()
    }

    async fn settle(&self, _: &[Receipt]) -> Vec<anyhow::Result<()>> {
        Vec::new()
    }
}

#[async_trait]
impl ImportTarget for FakeTarget {
    async fn entries(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        let log = self.logs.get(order_id).cloned().unwrap_or_default();
        Ok(log.into_iter().filter(|entry| entry.version > after).take(limit).collect())
    }

    async fn import(&self, _: &[Append]) -> Result<(), AppendError> {
        Ok(())
    }
}

async fn planned(target: &FakeTarget, events: &[RecordedEvent], stops: bool) -> ImportPlan {
    let lines = (1..).zip(events).map(|(number, event)| ImportLine { number, event: event.clone() });
    plan(target, lines.collect(), stops).await.unwrap()
}

/// The new events, the number of events that exist, and the reasons for refused lines with their numbers.
fn summary(plan: &ImportPlan) -> (usize, u64, Vec<String>) {
    let refused = plan.refused.iter().map(|refused| format!("{}: {}", refused.number, refused.reason));
    (plan.appends.iter().map(|append| append.events.len()).sum(), plan.existing, refused.collect())
}

#[tokio::test]
async fn new_events_are_appended_and_existing_ones_are_not() {
    let (first, second, other) = (created("o-1", 1, None), confirmed("o-1", 2, 2), created("o-2", 3, None));
    let target = FakeTarget::with(std::slice::from_ref(&first));
    let plan = planned(&target, &[first, second, other], true).await;
    assert_eq!(summary(&plan), (2, 1, vec![]));
    let append = &plan.appends[0];
    assert_eq!((append.order.version, append.previous.as_ref().map(|order| order.version)), (2, Some(1)));
    assert_eq!(plan.accepted.len(), 3);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_line() {
    let first = created("o-1", 1, None);
    let mut target = FakeTarget::with(&[first.clone(), confirmed("o-1", 2, 2)]);
    target.rejected.push(confirmed("o-1", 3, 9).envelope.event_id);
    let cases = [
        (
            confirmed("o-1", 2, 7),
            "conflict: version 2 of order o-1 is event 0199d3a0-0000-7000-8000-000000000002 there",
        ),
        (
            created("o-1", 1, Some("r")),
            "conflict: version 1 of order o-1 is the same event with other content",
        ),
        (confirmed("o-1", 4, 7), "a gap: version 4 of order o-1 is not the next one, 3"),
        (confirmed("o-1", 0, 7), "its version is 0; versions begin with 1"),
        (
            confirmed("o-1", 3, 9),
            "conflict: the target has rejected event 0199d3a0-0000-7000-8000-000000000009 of order o-1",
        ),
        (
            confirmed("o-1", 3, 7),
            "order o-1 cannot be folded: event order_confirmed at version 3 does not fit",
        ),
        (
            confirmed("o-9", 1, 7),
            "order o-9 cannot be folded: event order_confirmed at version 1 does not fit",
        ),
    ];
    for (event, reason) in cases {
        let plan = planned(&target, &[event, created("o-2", 30, None)], false).await;
        let (new, existing, refused) = summary(&plan);
        assert_eq!((new, existing, refused.len()), (1, 0, 1), "{refused:?}");
        assert!(refused[0].starts_with(&format!("1: {reason}")), "{refused:?}");
    }
}

#[tokio::test]
async fn an_event_id_is_recorded_once_in_an_order() {
    let twice = [created("o-1", 1, None), confirmed("o-1", 2, 1)];
    let plan = planned(&FakeTarget::default(), &twice, true).await;
    let event_1 = "2: event 0199d3a0-0000-7000-8000-000000000001 is on an earlier line with another version";
    assert_eq!(summary(&plan), (1, 0, vec![event_1.to_owned()]));
}

#[tokio::test]
async fn the_first_refused_line_can_end_the_batch() {
    let lines = [created("o-1", 1, None), confirmed("o-1", 4, 2), created("o-2", 3, None)];
    for (stops, new) in [(true, 1), (false, 2)] {
        let plan = planned(&FakeTarget::default(), &lines, stops).await;
        assert_eq!((summary(&plan).0, plan.refused.len()), (new, 1));
    }
}

#[tokio::test]
async fn a_reference_belongs_to_the_order_that_has_it_in_the_end() {
    // The order o-2 had the reference before o-1, but the export contains o-1 first.
    let swapped = [created("o-1", 1, Some("A")), created("o-2", 2, Some("A")), renamed("o-2", 2, 3, "B")];
    let plan = planned(&FakeTarget::default(), &swapped, true).await;
    assert_eq!(summary(&plan), (3, 0, vec![]));

    let both = [created("o-1", 1, Some("A")), created("o-2", 2, Some("A"))];
    let plan = planned(&FakeTarget::default(), &both, true).await;
    assert_eq!(summary(&plan).2, [r#"2: order o-1 has the reference "A""#]);

    let target = FakeTarget::with(&[created("o-7", 1, Some("A"))]);
    let plan = planned(&target, &[created("o-1", 2, Some("A"))], true).await;
    assert_eq!(summary(&plan).2, [r#"1: order o-7 has the reference "A""#]);
}
