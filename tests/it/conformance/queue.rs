//! The conformance cases for the queue: order, visibility, receive counts, deduplication, dead letters and delay.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use consumer::ports::ParkRequest;
use domain::{EventId, ParkReason};

use super::{Backend, MOMENT, QueueOptions, WAIT, ack, event_of, publish, receive, receive_one, retry};
use crate::support::events::{confirmed, created, new_order_id, paid};

/// The queue options of each case.
pub fn options(case: &str) -> QueueOptions {
    let short = Duration::from_secs(2);
    match case {
        "a_message_is_delivered_again_after_its_visibility_timeout" => {
            QueueOptions { visibility_timeout: short, ..QueueOptions::default() }
        }
        "a_message_received_too_often_becomes_a_dead_letter" => {
            QueueOptions { max_receives: 2, ..QueueOptions::default() }
        }
        "a_delayed_message_is_delivered_later" => QueueOptions { delay: short, ..QueueOptions::default() },
        _ => QueueOptions::default(),
    }
}

pub async fn messages_of_a_group_are_delivered_in_order(backend: &dyn Backend) {
    let (a, b) = (new_order_id(), new_order_id());
    let sent = [created(&a), created(&b), confirmed(&a), confirmed(&b), paid(&a), paid(&b)];
    publish(backend, &sent).await;

    // A group may arrive in one batch or in several, so each batch is acknowledged.
    let mut received: Vec<_> = Vec::new();
    while received.len() < sent.len() {
        let some = backend.inbox().receive(10, WAIT).await.unwrap();
        assert!(!some.is_empty(), "only {} of {} arrived", received.len(), sent.len());
        received.extend(some.iter().map(event_of));
        ack(backend, &some).await;
    }
    for order in [&a, &b] {
        let expected: Vec<_> = sent.iter().filter(|event| event.order_id == *order).collect();
        let found: Vec<_> = received.iter().filter(|event| event.order_id == *order).collect();
        assert_eq!(found, expected);
    }
}

pub async fn a_group_is_held_while_one_of_its_messages_is_in_flight(backend: &dyn Backend) {
    let (a, b) = (new_order_id(), new_order_id());
    publish(backend, &[created(&a), confirmed(&a)]).await;
    let first = receive_one(backend).await;

    publish(backend, &[created(&b)]).await;
    let other = receive_one(backend).await;
    assert_eq!(event_of(&other).order_id, b, "the message in flight does not block another group");
    assert_eq!(backend.inbox().receive(10, MOMENT).await.unwrap(), []);

    ack(backend, &[first, other]).await;
    let second = receive_one(backend).await;
    assert_eq!(event_of(&second).event.event_type().as_str(), "order_confirmed");
    ack(backend, &[second]).await;
}

pub async fn a_message_is_delivered_again_after_its_visibility_timeout(backend: &dyn Backend) {
    let order = new_order_id();
    publish(backend, &[created(&order)]).await;
    let first = receive_one(backend).await;
    assert_eq!(first.receive_count, 1);

    let second = receive_one(backend).await;
    assert_eq!((second.receive_count, &second.body), (2, &first.body));
    ack(backend, &[second]).await;
}

pub async fn a_retried_message_is_delivered_before_later_ones_of_its_group(backend: &dyn Backend) {
    let order = new_order_id();
    publish(backend, &[created(&order), confirmed(&order)]).await;
    let first = receive_one(backend).await;
    retry(backend, &first, Duration::from_secs(1)).await;

    let again = receive_one(backend).await;
    assert_eq!((again.receive_count, &again.body), (2, &first.body));
    retry(backend, &again, Duration::ZERO).await;

    let third = receive_one(backend).await;
    assert_eq!((third.receive_count, &third.body), (3, &first.body));
    ack(backend, &[third]).await;
    let follower = receive_one(backend).await;
    assert_eq!(follower.receive_count, 1, "a message in flight is not received");
    ack(backend, &[follower]).await;
}

pub async fn an_event_published_twice_is_delivered_once(backend: &dyn Backend) {
    let event = created(&new_order_id());
    publish(backend, &[event.clone(), event.clone()]).await;
    publish(backend, &[event]).await;

    let message = receive_one(backend).await;
    ack(backend, &[message]).await;
}

pub async fn a_message_received_too_often_becomes_a_dead_letter(backend: &dyn Backend) {
    let order = new_order_id();
    publish(backend, &[created(&order), confirmed(&order)]).await;
    let first = receive_one(backend).await;
    retry(backend, &first, Duration::ZERO).await;
    let second = receive_one(backend).await;
    assert_eq!(second.receive_count, 2, "this is the last receive that the queue allows");
    retry(backend, &second, Duration::ZERO).await;

    let follower = receive_one(backend).await;
    assert_eq!(event_of(&follower).event.event_type().as_str(), "order_confirmed");
    let dead = backend.dead().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].0.as_bytes(), first.body);
    assert!(dead[0].1.is_none_or(|reason| reason == ParkReason::TriesExhausted));
    ack(backend, &[follower]).await;
}

pub async fn a_parked_message_becomes_a_dead_letter(backend: &dyn Backend) {
    backend.send("a", "1", "no event at all").await;
    backend.send("a", "2", "{}").await;
    let message = receive_one(backend).await;
    let detail = "the message is not an event".to_owned();
    let parking =
        ParkRequest { message: &message, reason: ParkReason::Malformed, detail, event: None, order_id: None };
    for result in backend.dead_letters().park(&[parking]).await {
        result.unwrap();
    }
    assert_eq!(backend.dead().await, [("no event at all".to_owned(), Some(ParkReason::Malformed))]);

    let next = receive_one(backend).await;
    assert_eq!(next.body, b"{}", "the rest of the group is delivered");
    ack(backend, &[next]).await;
}

pub async fn a_delayed_message_is_delivered_later(backend: &dyn Backend) {
    let sent = Instant::now();
    publish(backend, &[created(&new_order_id())]).await;
    let message = receive_one(backend).await;
    assert!(sent.elapsed() >= Duration::from_secs(1), "the message was not delayed");
    assert_eq!(message.receive_count, 1);
    ack(backend, &[message]).await;
}

pub async fn a_waiting_receive_returns_when_a_message_arrives(backend: &dyn Backend) {
    let inbox = backend.inbox();
    let waiting = tokio::spawn(async move { inbox.receive(1, WAIT).await.unwrap() });
    // Waits until the receive call has started to wait.
    tokio::task::yield_now().await;
    publish(backend, &[created(&new_order_id())]).await;
    let messages =
        tokio::time::timeout(WAIT / 2, waiting).await.expect("the receive did not return").unwrap();
    assert_eq!(messages.len(), 1);
    ack(backend, &messages).await;
}

pub async fn many_groups_are_received_in_batches(backend: &dyn Backend) {
    let events: Vec<_> = (0..25).map(|_| created(&new_order_id())).collect();
    publish(backend, &events).await;
    let messages = receive(backend, events.len()).await;
    let received: HashSet<EventId> = messages.iter().map(|message| event_of(message).event_id).collect();
    assert_eq!(received, events.iter().map(|event| event.event_id).collect());
    ack(backend, &messages).await;
}

pub async fn an_acked_message_is_gone(backend: &dyn Backend) {
    let order = new_order_id();
    publish(backend, &[created(&order), confirmed(&order)]).await;
    for _ in 0..2 {
        let message = receive_one(backend).await;
        ack(backend, &[message]).await;
    }
    assert_eq!(backend.inbox().receive(10, MOMENT).await.unwrap(), []);
    assert_eq!(backend.dead().await, []);
}

pub async fn messages_of_other_producers_arrive_unchanged(backend: &dyn Backend) {
    let body = "{ \"type\": \"order_created\",\n \"näme\": \"\\u0000 🫖\" }";
    backend.send("customer-7", "order-7-order_created", body).await;
    backend.send("customer-7", "order-7-order_created", "a duplicate with the same event id").await;
    let message = receive_one(backend).await;
    assert_eq!(message.body, body.as_bytes());
    assert_eq!(message.group.as_deref(), Some("customer-7"));
    ack(backend, &[message]).await;
}
