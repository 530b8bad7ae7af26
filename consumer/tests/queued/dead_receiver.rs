//! Tests a receiver that fails for every order: it gets few attempts, few messages are queued, and in the end
//! the subscription is disabled.

use std::time::Duration;

use consumer::webhooks::queued::Job;
use domain::SubscriptionState;

use crate::fixtures::{MIAS, customer, order, pass, run};
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Simulates a receiver that has failed for ten minutes, so that it gets one attempt a minute.
async fn dead(world: &World) {
    world.lock().answers = std::iter::repeat_n(503, 100_000).collect();
    world.record(0).await;
    world.work_off(&world.deliveries(1000)).await;
    pass(10 * MINUTE);
    world.work_off(&world.deliveries(1000)).await;
}

#[test]
fn a_dead_receiver_gets_one_attempt_a_minute_however_many_orders_fail() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(1000);
        dead(&world).await;
        for number in 1..40 {
            world.record(number).await;
        }
        world.work_off(&deliveries).await;
        let jobs: Vec<Job> = world.lock().queue.jobs().into_iter().cloned().collect();
        assert!(matches!(jobs[..], [Job::Sweep { .. }]), "40 orders failed in the same minute: {jobs:?}");
        let before = world.lock().attempts.len();
        let sweeps = world.lock().queue.sweeps;
        world.work_for(&deliveries, HOUR).await;
        let outside = world.lock();
        let (attempts, sweeps) = (outside.attempts.len() - before, outside.queue.sweeps - sweeps);
        assert!((50..=60).contains(&attempts), "{attempts} attempts in an hour");
        assert!((50..=60).contains(&sweeps), "{sweeps} sweeps in an hour");
        assert_eq!(outside.queue.jobs().len(), 1);
    });
}

#[test]
fn a_receiver_that_is_dead_for_days_loses_nothing_and_is_disabled_with_one_alert() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(1000);
        dead(&world).await;
        for number in 1..4 {
            world.record(number).await;
        }
        world.work_for(&deliveries, 4 * 24 * HOUR).await;
        assert_eq!(world.lock().subscription.state, SubscriptionState::Active, "after four days");
        world.work_for(&deliveries, 2 * 24 * HOUR).await;
        {
            let outside = world.lock();
            assert_eq!((outside.subscription.state, outside.stop_alerts), (SubscriptionState::Disabled, 1));
            assert!(outside.queue.is_empty() && outside.queue.dead.is_empty(), "{:?}", outside.queue);
            assert!(outside.queue.max_receives < 20, "{} receives", outside.queue.max_receives);
        }
        // The receiver still fails when the subscription is resumed. Failures before that do not count.
        world.resume().await;
        world.work_for(&deliveries, HOUR).await;
        assert_eq!(world.lock().subscription.state, SubscriptionState::Active);
        world.lock().answers.clear();
        world.drain(&deliveries).await;
        world.assert_complete();
        assert_eq!(world.lock().stop_alerts, 1);
    });
}

#[test]
fn orders_that_fail_while_a_sweep_is_queued_are_covered_by_it() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(1000);
        dead(&world).await;
        // Deliveries of two orders fail just before the sweep begins. One order is after the pages of the
        // sweep, and the other is within them.
        pass(Duration::from_secs(59));
        world.record(1).await;
        world.record(MIAS).await;
        world.work_off(&deliveries).await;
        world.lock().answers.clear();
        world.drain(&deliveries).await;
        world.assert_complete();
        let posts = world.lock().attempts.iter().filter(|(.., status)| *status == 200).count();
        assert_eq!(posts, 3, "the sweep itself delivers the event that it tries with");
    });
}

#[test]
fn a_sweep_tries_the_receiver_with_an_order_that_the_subscription_still_selects() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(1000);
        world.pause().await;
        // More of Mia's orders than one message of a sweep handles, and then two of Ada's orders.
        for number in 0..MIAS {
            world.record(number).await;
        }
        world.record(MIAS).await;
        world.record(MIAS + 1).await;
        world.work_off(&deliveries).await;
        {
            let mut outside = world.lock();
            outside.subscription.customer_id = Some(customer("ada"));
            outside.answers = std::iter::repeat_n(503, 1000).collect();
            outside.failing_since = Some(crate::fixtures::now());
        }
        pass(10 * MINUTE);
        world.limit(Some(customer("ada"))).await;
        world.resume().await;
        world.work_for(&deliveries, HOUR).await;
        {
            let outside = world.lock();
            let orders: Vec<_> = outside.attempts.iter().map(|(_, (order_id, _), _)| order_id).collect();
            assert!(orders.iter().all(|id| **id == order(MIAS)), "{orders:?}");
            assert!((50..=62).contains(&orders.len()), "{} attempts in an hour", orders.len());
        }
        world.lock().answers.clear();
        world.drain(&deliveries).await;
        world.assert_complete();
        assert_eq!(world.lock().delivered.len(), 2);
    });
}
