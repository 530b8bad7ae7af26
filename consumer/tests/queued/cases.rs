//! Tests what happens to orders whose deliveries fail while deliveries of other orders succeed.

use std::time::Duration;

use consumer::webhooks::queued::Job;
use consumer::webhooks::{HeldState, Schedule};
use domain::SubscriptionState;

use crate::fixtures::{now, order, pass, run, subscription};
use crate::world::World;

#[test]
fn a_failing_delivery_holds_back_its_order_and_nothing_else() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(5);
        world.lock().answers = [500].into();
        for _ in 0..3 {
            world.record(0).await;
        }
        world.work(&deliveries).await;
        world.record(1).await;
        world.work_off(&deliveries).await;
        assert_eq!(world.lock().delivered, [(order(1), 1)]);
        pass(Duration::from_secs(100));
        world.drain(&deliveries).await;
        world.assert_complete();
        assert_eq!(world.lock().attempts.len(), 5, "nothing is posted twice but the event that failed");
    });
}

#[test]
fn a_delivery_is_given_up_with_an_alert_and_its_order_stays_held() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(3);
        world.lock().answers = [500, 0, 404].into();
        world.record(0).await;
        world.record(0).await;
        world.drain(&deliveries).await;
        let outside = world.lock();
        assert_eq!((outside.attempts.len(), outside.delivered.len(), outside.gave_up_alerts), (3, 0, 1));
        let row = &outside.rows[&order(0)].order;
        assert_eq!((row.state, row.next, row.attempts), (HeldState::GaveUp, 1, 3));
        assert_eq!(row.last_attempt.as_ref().unwrap().status, Some(404));
    });
}

#[test]
fn a_receiver_that_is_gone_pauses_its_subscription_with_one_alert() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(3);
        world.lock().answers = [410; 8].into();
        for number in 0..8 {
            world.record(number).await;
        }
        world.drain(&deliveries).await;
        {
            let outside = world.lock();
            assert_eq!(outside.subscription.state, SubscriptionState::Paused);
            assert_eq!((outside.attempts.len(), outside.stop_alerts), (8, 1));
        }
        world.resume().await;
        world.drain(&deliveries).await;
        world.assert_complete();
    });
}

#[test]
fn a_schedule_of_weeks_needs_no_message_that_is_received_a_thousand_times() {
    run(async || {
        let world = World::new();
        let deliveries = world.scheduled(Schedule::new([Duration::from_secs(20 * 24 * 3600)]));
        world.lock().answers = [500].into();
        world.record(0).await;
        world.record(0).await;
        world.drain(&deliveries).await;
        world.assert_complete();
        assert!(now().micros() >= 20 * 24 * 3600 * 1_000_000);
        let max = world.lock().queue.max_receives;
        assert_eq!((world.lock().attempts.len(), max), (3, 500));
    });
}

#[test]
fn an_event_that_its_receiver_refuses_holds_back_no_other_order_after_a_pause() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(5);
        world.pause().await;
        world.lock().answers_of.insert(order(0), 422);
        for number in 0..4 {
            world.record(number).await;
        }
        world.work_off(&deliveries).await;
        world.resume().await;
        world.work_off(&deliveries).await;
        let delivered: Vec<_> = world.lock().delivered.iter().map(|(order_id, _)| order_id.clone()).collect();
        assert_eq!(delivered, [1, 2, 3].map(order));
        world.drain(&deliveries).await;
        assert_eq!(world.lock().rows[&order(0)].order.state, HeldState::GaveUp, "and its own attempts end");
    });
}

#[test]
fn a_job_that_cannot_be_read_is_a_dead_letter_in_the_end() {
    run(async || {
        let world = World::new();
        let deliveries = world.deliveries(2);
        // No event with version 7 is recorded, so the job always fails.
        let (subscription_id, order_id) = (subscription().id, order(0));
        world.enqueue(Job::Deliver { subscription_id, order_id, version: 7 }).await;
        world.drain(&deliveries).await;
        assert_eq!(world.lock().queue.dead.len(), 1);
    });
}
