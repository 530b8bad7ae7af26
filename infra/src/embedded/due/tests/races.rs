//! Tests what happens if an event is recorded after a pass has read an order and before the pass proposes to cancel the
//! order.

use std::sync::atomic::AtomicUsize;

use api::ports::{Acceptance, PublishError};
use async_trait::async_trait;
use domain::{Outcome, RejectReason};

use super::*;

/// A publisher that publishes another event of each order right before the first proposals. The publisher can also
/// remove the expected version from a proposal, to show what that version prevents.
struct Racing {
    engine: Embedded,
    first: fn(&str) -> Envelope,
    races: AtomicUsize,
    forgets_version: bool,
}

#[async_trait]
impl EventPublisher for Racing {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>> {
        let mut events = events.to_vec();
        if self.races.fetch_add(1, SeqCst) == 0 {
            let before: Vec<_> = events.iter().map(|event| (self.first)(event.order_id.as_str())).collect();
            accept(&self.engine, &before).await;
        }
        if self.forgets_version {
            events.iter_mut().for_each(|event| event.expected_version = None);
        }
        self.engine.publish(&events).await
    }
}

/// Runs a pass over one order. The event `first` is published after the pass has read the order, and before the pass
/// proposes to cancel the order. Returns the role that ran the pass, and the order after all of its events are handled.
async fn race(first: fn(&str) -> Envelope, forgets_version: bool) -> (TempDir, Embedded, ExpiryRole, Order) {
    let (folder, engine) = open_inline();
    accept(&engine, &[expiring("o", NOON)]).await;
    let publisher = Racing { engine: engine.clone(), first, races: AtomicUsize::new(0), forgets_version };
    let role = ExpiryRole { publisher: Arc::new(publisher), ..role(&engine, || time(NOON)) };
    assert_eq!(proposed(&role).await, 1);
    drain(&engine).await;
    let order = order(&engine, "o").await;
    (folder, engine, role, order)
}

#[tokio::test]
async fn a_payment_right_before_the_proposal_keeps_the_order() {
    let (_folder, engine, role, order) = race(paid, false).await;
    assert_eq!((order.version, order.payment_status()), (2, PaymentStatus::Paid));
    let due = domain::derived_ids::event_id_for_deadline(&id("o"), time(NOON), 1);
    let receipt = engine.receipt(&id("o"), due).await.unwrap().unwrap();
    let Some(Outcome::Rejected { reason: RejectReason::VersionMismatch, .. }) = receipt.outcome else {
        panic!("{receipt:?}")
    };
    assert_eq!((proposed(&role).await, due_rows(&engine)), (0, 0));
    assert_eq!(ledger(&engine).await, Ledger { accepted: 3, recorded: 2, rejected: 1, ..Ledger::default() });
}

#[tokio::test]
async fn without_the_expected_version_the_payment_would_lose() {
    let (_folder, _engine, _role, order) = race(paid, true).await;
    assert_eq!((order.version, order.status), (3, OrderStatus::Cancelled));
}

#[tokio::test]
async fn an_order_that_is_still_unpaid_is_proposed_again_at_its_new_version() {
    let annotated = |order_id: &str| envelope(order_id, "order_annotated", r#","notes":"fragile""#);
    let (_folder, engine, role, before) = race(annotated, false).await;
    assert_eq!((before.version, before.status, due_rows(&engine)), (2, OrderStatus::Pending, 1));
    assert_eq!(proposed(&role).await, 1);
    drain(&engine).await;
    assert_eq!((order(&engine, "o").await.status, due_rows(&engine)), (OrderStatus::Cancelled, 0));
}
