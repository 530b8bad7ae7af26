//! Tests the findings when the events that arrived differ from the log of their order.

use uuid::Uuid;

use super::*;

fn event(number: u128) -> EventId {
    Uuid::from_u128(number).into()
}

/// The findings after these events arrived for an order whose log contains the events 1, 2 and 3.
fn found(arrivals: &[u128]) -> Vec<String> {
    let run = WebhookRun::new(String::new());
    let order_id = OrderId::parse("o-1").unwrap();
    let at = infra::now();
    for number in arrivals {
        run.received().add(order_id.clone(), event(*number), at, at);
    }
    let mut findings = AuditFindings::default();
    run.compare(&order_id, &[1, 2, 3].map(event), &mut findings);
    findings.kinds.into_iter().map(|(kind, found)| format!("{kind:?} {}", found.count)).collect()
}

#[test]
fn repeated_events_are_no_findings() {
    assert_eq!(found(&[1, 2, 3]), [""; 0]);
    assert_eq!(found(&[1, 1, 2, 1, 3, 2]), [""; 0]);
}

#[test]
fn missing_foreign_and_reordered_events_are_findings() {
    assert_eq!(found(&[]), ["NotDelivered 3"]);
    assert_eq!(found(&[1, 3]), ["NotDelivered 1"]);
    assert_eq!(found(&[1, 3, 2]), ["DeliveredOutOfOrder 1"]);
    assert_eq!(found(&[3, 2, 1]), ["DeliveredOutOfOrder 2"]);
    assert_eq!(found(&[1, 2, 3, 4]), ["WrongDelivery 1"]);
}

#[tokio::test(start_paused = true)]
async fn all_orders_together_wait_once_for_events_that_do_not_arrive() {
    let run = WebhookRun::new(String::new());
    let patience = Duration::from_secs(2);
    run.begin_to_wait();
    let start = Instant::now();
    for number in 0..200 {
        run.wait_for(&OrderId::parse(&format!("o-{number}")).unwrap(), 1, patience).await;
    }
    assert!(
        (patience..patience + Duration::from_secs(1)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn an_arrival_makes_all_orders_wait_longer() {
    let run = Arc::new(WebhookRun::new(String::new()));
    let (order_id, at) = (OrderId::parse("o-1").unwrap(), infra::now());
    let patience = Duration::from_secs(60);
    run.begin_to_wait();
    let waiting = tokio::spawn({
        let (run, order_id) = (Arc::clone(&run), order_id.clone());
        async move { run.wait_for(&order_id, 2, patience).await }
    });
    for number in [1, 2] {
        assert!(!waiting.is_finished());
        run.received().add(order_id.clone(), event(number), at, at);
        run.begin_to_wait();
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(patience / 2, waiting).await.expect("the order has all events").unwrap();
}
