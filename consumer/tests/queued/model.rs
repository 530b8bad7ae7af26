//! Tests random runs: receivers fail, senders crash, relays repeat jobs, and operators pause, limit, skip and
//! replay. Every event must be delivered at least once, and no event of an order before its predecessor.

use std::time::Duration;

use consumer::webhooks::HeldState;
use consumer::webhooks::queued::Job;
use proptest::prelude::*;

use crate::fixtures::{MIAS, customer, order, pass, subscription};
use crate::world::World;

const VERSIONS: u64 = 6;
/// Two orders of each customer.
const ORDERS: [u64; 4] = [0, 1, MIAS, MIAS + 1];

/// What happens next in a random run.
#[derive(Debug, Clone)]
enum Step {
    Record(u64),
    Work,
    Crash,
    Pass(u64),
    Answers(Vec<u16>),
    Pause,
    Resume,
    /// Limits the subscription to Mia's orders, or lifts the limit.
    Limit(bool),
    Skip(u64),
    Replay(u64),
    /// Replays the feed from the given place on.
    ReplayFeed(u64),
    /// The relay repeats the job of an event.
    Repeat(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        6 => Just(500),
        6 => Just(0),
        6 => Just(200),
        3 => Just(302),
        3 => Just(429),
        1 => Just(410),
    ];
    let number = || prop::sample::select(ORDERS.to_vec());
    prop_oneof![
        10 => number().prop_map(Step::Record),
        12 => Just(Step::Work),
        2 => Just(Step::Crash),
        4 => (1..400_u64).prop_map(Step::Pass),
        4 => prop::collection::vec(answer, 1..12).prop_map(Step::Answers),
        1 => Just(Step::Pause),
        3 => Just(Step::Resume),
        2 => any::<bool>().prop_map(Step::Limit),
        2 => number().prop_map(Step::Skip),
        1 => number().prop_map(Step::Replay),
        1 => (0..10_u64).prop_map(Step::ReplayFeed),
        2 => (number(), 1..VERSIONS).prop_map(|(order, version)| Step::Repeat(order, version)),
    ]
}

async fn run(steps: Vec<Step>, attempts: usize) {
    let world = World::new();
    let deliveries = world.deliveries(attempts);
    for step in steps {
        match step {
            Step::Record(number) => world.record(number).await,
            Step::Work => drop(world.work(&deliveries).await),
            Step::Crash => world.work_and_crash(&deliveries).await,
            Step::Pass(seconds) => pass(Duration::from_secs(seconds)),
            Step::Answers(answers) => world.lock().answers.extend(answers),
            Step::Pause => world.pause().await,
            Step::Resume => world.resume().await,
            Step::Limit(limits) => world.limit(limits.then(|| customer("mia"))).await,
            Step::Skip(number) => drop(world.skip(&order(number)).await),
            Step::Replay(number) => world.replay(order(number)).await,
            Step::ReplayFeed(after) => world.replay_feed(after).await,
            Step::Repeat(number, version) => {
                let last = world.lock().recorded.get(&order(number)).copied().unwrap_or(0);
                if version <= last {
                    let (subscription_id, order_id) = (subscription().id, order(number));
                    world.lock().queue.repeat(&Job::Deliver { subscription_id, order_id, version });
                }
            }
        }
        check_attempts(&world, attempts);
    }
    world.lock().answers.clear();
    // The limit is lifted, because deliveries that the subscription does not select would stay given up.
    world.limit(None).await;
    world.resume().await;
    world.drain(&deliveries).await;
    while world.replay_given_up().await {
        world.drain(&deliveries).await;
    }
    world.assert_complete();
    let outside = world.lock();
    let is_held = outside.rows.values().find(|row| row.order.is_held());
    assert_eq!(is_held, None, "an order is held, and no message is about it");
    assert_eq!((outside.stop_alerts, outside.gave_up_alerts), (outside.stops, outside.gave_ups));
}

/// Checks that a row counts the attempts that were really made, and that a delivery is given up only after
/// the last attempt of its schedule.
fn check_attempts(world: &World, attempts: usize) {
    let outside = world.lock();
    for row in outside.rows.values().map(|row| &row.order) {
        let made = outside.failures_of(&row.order_id, row.next);
        assert!(row.attempts as usize <= made, "{row:?} after {made} failed attempts");
        if row.state == HeldState::GaveUp {
            assert_eq!(row.failures as usize, attempts, "{row:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_delivered_in_order_whatever_fails(
        steps in prop::collection::vec(step(), 1..80),
        attempts in 1..6_usize,
    ) {
        crate::fixtures::run(async || run(steps, attempts).await);
    }
}
