//! Tests requests of operators: limit a subscription to a customer, replay deliveries, and skip one.

use consumer::webhooks::queued::{HeldRow, Job, held_from};

use crate::fixtures::{MIAS, customer, now, order, run, subscription};
use crate::world::World;

/// Posting an event that the subscription does not select fails a test (`ports.rs`).
#[test]
fn a_subscription_that_is_limited_to_a_customer_gets_no_event_of_another_one() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(3);
        // Events of both customers are queued before the subscription is limited.
        for number in [0, MIAS] {
            world.record(number).await;
            world.record(number).await;
        }
        world.limit(Some(customer("mia"))).await;
        world.drain(&deliveries).await;
        assert_eq!(world.lock().delivered, [(order(0), 1), (order(0), 2)]);
        // An order is held before the subscription is limited, and a sweep finds it.
        world.limit(None).await;
        world.lock().answers = [500].into();
        world.record(MIAS + 1).await;
        world.work_off(&deliveries).await;
        world.limit(Some(customer("mia"))).await;
        world.drain(&deliveries).await;
        // This row, for an order of the other customer, comes from an earlier replay.
        let order_id = order(MIAS);
        let revision = world.lock().rows.get(&order_id).map_or(0, |row| row.revision);
        world.lock().put(&HeldRow { order: held_from(&order_id, 1, now()), revision }).unwrap();
        world.enqueue(Job::CatchUp { subscription_id: subscription().id, order_id }).await;
        world.drain(&deliveries).await;
        assert_eq!(world.lock().delivered.len(), 2);
        world.assert_complete();
    });
}

#[test]
fn a_replay_delivers_an_order_again_and_a_skip_goes_on_after_the_event() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(1);
        world.record(0).await;
        world.record(0).await;
        world.drain(&deliveries).await;
        world.replay(order(0)).await;
        world.drain(&deliveries).await;
        let versions = |world: &World| world.lock().delivered.iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(versions(&world), [1, 2, 1, 2]);
        world.lock().answers = [500].into();
        world.record(0).await;
        world.record(0).await;
        world.drain(&deliveries).await;
        assert!(world.skip(&order(0)).await);
        world.drain(&deliveries).await;
        assert_eq!(versions(&world), [1, 2, 1, 2, 4]);
        assert!(!world.skip(&order(0)).await, "nothing holds the order");
        world.assert_complete();
    });
}

#[test]
fn a_replay_in_steps_delivers_each_of_its_orders_once_more() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(3);
        for _ in 0..5 {
            for number in 0..4 {
                world.record(number).await;
            }
        }
        world.drain(&deliveries).await;
        // The feed of a test contains five events of each order, so the replay begins with the last event of
        // the second order.
        world.replay_feed(9).await;
        world.drain(&deliveries).await;
        world.assert_complete();
        let outside = world.lock();
        let times = |number| outside.delivered.iter().filter(|(id, _)| *id == order(number)).count();
        assert_eq!([0, 1, 2, 3].map(times), [5, 10, 10, 10]);
    });
}
