//! Tests single failures and single requests of an operator.

use std::time::Duration;

use consumer::webhooks::SkipRequest;
use consumer::webhooks::{CommandError, HeldState, Schedule};
use domain::{CustomerId, EventType, SubscriptionState};
use tokio::time::sleep;

use crate::feed::event_id;
use crate::receiver::{Behaviour, Receiver};
use crate::setup::{World, clock};

fn append(world: &World, orders: &[&str]) {
    orders.iter().for_each(|order| world.feed.append(order));
}

fn accepting() -> World {
    World::new(Receiver::new(|_, _| Behaviour::Accepts))
}

/// The versions of an order, in the order in which the receiver accepted them.
fn versions_of(world: &World, order: &str) -> Vec<u64> {
    let received = world.receiver.received();
    received.order_of_answers.iter().filter(|(of, _)| of == order).map(|(_, version)| *version).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failing_delivery_holds_its_order_and_nothing_else() {
    let world = World::new(Receiver::new(|order, version| match (order, version) {
        ("bad", 2) => Behaviour::Fails,
        _ => Behaviour::Accepts,
    }));
    append(&world, &["bad", "bad", "bad", "good", "good", "bad", "good"]);
    let delivered = async {
        world.until("the good order is delivered", || versions_of(&world, "good").len() == 3).await;
        world.until("the bad order is held", || !world.store.durable().held.is_empty()).await;
        assert_eq!(versions_of(&world, "bad"), [1]);
        world.receiver.behave(|_, _| Behaviour::Accepts);
        world.all_delivered().await;
    };
    world.run_until(delivered).await;
    assert_eq!(versions_of(&world, "bad"), [1, 2, 3, 4]);
    world.check_order();
}

#[tokio::test(start_paused = true)]
async fn deliveries_without_failures_write_once_a_second() {
    let world = accepting();
    let delivered = async {
        for number in 0..1000 {
            world.feed.append(&format!("o-{}", number % 50));
            sleep(Duration::from_millis(10)).await;
        }
        world.all_delivered().await;
    };
    world.run_until(delivered).await;
    let durable = world.store.durable();
    assert_eq!((durable.max_held, durable.progress.cursor), (0, 1000));
    // The events arrived over 10 seconds, and the progress is stored at most once a second.
    assert!(durable.writes <= 20, "{} writes", durable.writes);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_pauses_the_subscription_and_resuming_loses_nothing() {
    let world = World::new(Receiver::new(|_, _| Behaviour::Gone));
    append(&world, &["a", "a", "b"]);
    // The attempts for these events are in flight concurrently and end at different times.
    (0..20).for_each(|number| world.feed.append(&format!("o-{number}")));
    let resumed = async {
        let is_paused = || world.store.subscription().state == SubscriptionState::Paused;
        world.until("the subscription is paused", is_paused).await;
        world.until("an alert is raised", || !world.alarm.raised.lock().unwrap().is_empty()).await;
        let requests = world.receiver.received().requests;
        sleep(Duration::from_secs(24 * 3600)).await;
        assert_eq!(world.receiver.received().requests, requests, "nothing is sent while it is paused");
        assert_eq!(world.alarm.raised.lock().unwrap().len(), 1, "one stop raises one alert");
        world.receiver.behave(|_, _| Behaviour::Accepts);
        world.store.change(|subscription| subscription.state = SubscriptionState::Active);
        world.all_delivered().await;
    };
    world.run_until(resumed).await;
    world.check_order();
}

#[tokio::test(start_paused = true)]
async fn a_dead_subscription_is_disabled_with_an_alert_and_enabling_resumes_without_loss() {
    let mut world = World::new(Receiver::new(|_, _| Behaviour::Fails));
    world.options.disable_after = Duration::from_secs(3 * 3600);
    *world.alarm.failures.lock().unwrap() = 3;
    let orders: Vec<_> = (0..100).map(|number| format!("o-{number}")).collect();
    orders.iter().for_each(|order| world.feed.append(order));
    let enabled = async {
        let is_disabled = || world.store.subscription().state == SubscriptionState::Disabled;
        world.until("the subscription is disabled", is_disabled).await;
        world.until("an alert is raised", || !world.alarm.raised.lock().unwrap().is_empty()).await;
        // The open circuit limits the number of held orders, each of which has a row.
        assert!(world.store.durable().max_held <= 40, "{} rows", world.store.durable().max_held);
        world.receiver.behave(|_, _| Behaviour::Accepts);
        world.store.change(|subscription| subscription.state = SubscriptionState::Active);
        world.all_delivered().await;
    };
    world.run_until(enabled).await;
    world.check_order();
    let raised = world.alarm.raised.lock().unwrap();
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!(raised[0].stopped.as_deref(), Some("All deliveries have failed for 3 hours."));
}

/// Waits until the delivery of version 1 of the order `bad` is given up.
async fn given_up(world: &World) {
    append(world, &["bad", "bad"]);
    let is_given_up = || world.store.durable().held.values().any(|row| row.state == HeldState::GaveUp);
    world.until("the delivery is given up", is_given_up).await;
    world.until("an alert is raised", || !world.alarm.raised.lock().unwrap().is_empty()).await;
}

fn failing_for(order: &'static str, version: u64) -> Receiver {
    Receiver::new(
        move |of, at| if (of, at) == (order, version) { Behaviour::Fails } else { Behaviour::Accepts },
    )
}

#[tokio::test(start_paused = true)]
async fn a_skipped_delivery_is_kept_with_its_reason_and_the_next_ones_follow() {
    let mut world = World::new(failing_for("bad", 1));
    world.options.schedule = Schedule::new([Duration::from_secs(1)]);
    let id = world.store.subscription().id;
    let skipped = async {
        given_up(&world).await;
        let skip =
            || SkipRequest { reason: "a test order".to_owned(), at: clock(), by: Some("ops".to_owned()) };
        let unknown = world.workers.skip(id, event_id("bad", 2), skip()).await;
        assert_eq!(unknown, Err(CommandError::NoDelivery));
        world.receiver.received().skipped.insert(("bad".to_owned(), 1));
        world.workers.skip(id, event_id("bad", 1), skip()).await.unwrap();
        world.all_delivered().await;
    };
    world.run_until(skipped).await;
    let durable = world.store.durable();
    assert_eq!((durable.skips.len(), durable.skips[0].reason.as_str()), (1, "a test order"));
    assert_eq!((durable.skips[0].attempts, versions_of(&world, "bad")), (2, vec![2]));
    assert_eq!(world.alarm.raised.lock().unwrap()[0].gave_up, 1);
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_an_order_delivers_all_of_its_events_again() {
    let mut world = World::new(failing_for("bad", 1));
    world.options.schedule = Schedule::new([Duration::from_secs(1)]);
    let id = world.store.subscription().id;
    let replayed = async {
        append(&world, &["good", "good"]);
        given_up(&world).await;
        world.receiver.behave(|_, _| Behaviour::Accepts);
        for order in ["bad", "good"] {
            world.workers.replay_order(id, order.parse().unwrap()).await.unwrap();
        }
        world.all_delivered().await;
        world.until("the good order is delivered again", || versions_of(&world, "good").len() == 4).await;
    };
    world.run_until(replayed).await;
    assert_eq!(versions_of(&world, "good"), [1, 2, 1, 2]);
    world.check_order();
}

#[tokio::test(start_paused = true)]
async fn a_replay_from_a_position_delivers_everything_after_it_again() {
    let world = accepting();
    let id = world.store.subscription().id;
    append(&world, &["a", "b", "a", "c"]);
    let replayed = async {
        world.all_delivered().await;
        // Until the worker has processed the last answer, its cursor can be before position 2. A replay would then begin at
        // the cursor.
        world.until("the cursor is stored", || world.store.durable().progress.cursor == 4).await;
        world.workers.replay(id, 2).await.unwrap();
        world.until("two events are repeated", || world.receiver.received().successes == 6).await;
    };
    world.run_until(replayed).await;
    assert_eq!((versions_of(&world, "a"), versions_of(&world, "c")), (vec![1, 2, 2], vec![1, 1]));
    assert_eq!(versions_of(&world, "b"), [1]);
    assert_eq!(world.store.durable().progress.cursor, 4);
}

#[tokio::test(start_paused = true)]
async fn a_changed_subscription_retries_at_once() {
    let world = World::new(Receiver::new(|_, _| Behaviour::Fails));
    append(&world, &["a"]);
    let retried = async {
        // After three failures, the next attempt is due 30 minutes later.
        world.until("it has failed", || world.receiver.received().requests == 3).await;
        sleep(Duration::from_secs(1)).await;
        world.receiver.behave(|_, _| Behaviour::Accepts);
        let changed = clock();
        world.store.change(|subscription| subscription.url = "https://new.example/".to_owned());
        world.all_delivered().await;
        assert!(clock().micros() - changed.micros() < 60_000_000);
    };
    world.run_until(retried).await;
}

#[tokio::test(start_paused = true)]
async fn only_selected_events_are_delivered() {
    let world = accepting();
    world.store.change(|subscription| {
        subscription.types = [EventType::Created].into();
        subscription.customer_id = Some(CustomerId::parse("mia").unwrap());
    });
    append(&world, &["mia-1", "tom-1", "mia-1", "mia-2"]);
    let delivered = async {
        world.until("the cursor is at the end", || world.store.durable().progress.cursor == 4).await;
    };
    world.run_until(delivered).await;
    let received = world.receiver.received();
    let mut events = received.order_of_answers.clone();
    events.sort();
    assert_eq!(events, [("mia-1".to_owned(), 1), ("mia-2".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn reading_stops_at_the_bound_of_held_orders_and_goes_on() {
    let mut world = World::new(Receiver::new(|order, _| {
        if order.starts_with("bad") { Behaviour::Fails } else { Behaviour::Accepts }
    }));
    (world.options.max_held, world.options.page) = (5, 1);
    let id = world.store.subscription().id;
    for number in 0..50 {
        append(&world, &[&format!("bad-{number}"), &format!("good-{number}")]);
    }
    let done = async {
        let is_full = || world.workers.monitor(id).is_some_and(|monitor| monitor.observed().is_full);
        world.until("the limit of held orders is reached", is_full).await;
        sleep(Duration::from_secs(3600)).await;
        assert!(world.store.durable().held.len() <= 5 + 16);
        world.receiver.behave(|_, _| Behaviour::Accepts);
        world.all_delivered().await;
    };
    world.run_until(done).await;
    world.check_order();
}

#[tokio::test(start_paused = true)]
async fn orders_that_hang_leave_half_of_the_attempts_to_others() {
    let world = World::new(Receiver::new(|order, _| {
        if order.starts_with("slow") { Behaviour::Hangs } else { Behaviour::Accepts }
    }));
    for number in 0..10 {
        append(&world, &[&format!("slow-{number}"), &format!("good-{number}")]);
    }
    let delivered = async {
        world.until("the slow orders are held", || world.store.durable().held.len() == 10).await;
        let begun = clock();
        (0..1000).for_each(|number| world.feed.append(&format!("good-{}", number % 10)));
        let total = || world.receiver.received().successes;
        world.until("the good orders are delivered", || total() >= 1010).await;
        assert!(clock().micros() - begun.micros() < 60_000_000);
    };
    world.run_until(delivered).await;
    assert!(world.receiver.received().max_in_flight <= world.options.concurrency);
}

#[tokio::test(start_paused = true)]
async fn deleting_the_subscription_ends_its_deliveries() {
    let world = World::new(Receiver::new(|_, _| Behaviour::Hangs));
    append(&world, &["a", "b"]);
    let id = world.store.subscription().id;
    let deleted = async {
        world.until("attempts are made", || world.receiver.received().requests == 2).await;
        world.store.delete();
        world.until("the worker has ended", || world.workers.monitor(id).is_none()).await;
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(world.workers.replay(id, 0).await, Err(CommandError::Unavailable));
    };
    world.run_until(deleted).await;
    assert_eq!((world.receiver.received().requests, world.store.durable().held.len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_attempts_end_and_stores_the_cursor() {
    let world = accepting();
    append(&world, &["a", "b", "c"]);
    world
        .run_until(async {
            world.until("something arrives", || world.receiver.received().successes > 0).await;
        })
        .await;
    let delivered = world.receiver.received().successes;
    assert_eq!(world.store.durable().progress.cursor, delivered);
}
