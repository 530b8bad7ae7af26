//! Tests the pauses between restarts of a worker that ends with an error or a panic, and the deliveries after
//! a receiver was down for a moment.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::receiver::{Behaviour, Receiver};
use crate::setup::World;
use crate::store::Fault;

/// The pauses between the failed calls of the store, in milliseconds. Waits for at least `calls` failed
/// calls.
async fn pauses(world: &World, calls: usize) -> Vec<u128> {
    world.until("the calls go wrong", || world.store.faults.lock().unwrap().len() >= calls).await;
    let faults = world.store.faults.lock().unwrap();
    faults.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect()
}

async fn restarts_after(fault: Fault) {
    let world = World::new(Receiver::new(|_, _| Behaviour::Accepts));
    let work = async {
        world.store.set_fault(Some(fault));
        let failing = pauses(&world, 14).await;
        assert!(failing[..3].is_sorted() && (200..1000).contains(&failing[0]), "{failing:?}");
        assert!(failing[10..].iter().all(|pause| *pause >= 30_000), "{failing:?}");

        world.store.set_fault(None);
        world.feed.append("a");
        world.all_delivered().await;
        sleep(Duration::from_secs(3600)).await;

        world.store.faults.lock().unwrap().clear();
        world.store.set_fault(Some(fault));
        // The store is called again when the progress has changed.
        world.feed.append("a");
        let again = pauses(&world, 2).await;
        assert!((200..1000).contains(&again[0]), "the pause starts over after a long run: {again:?}");
        world.store.set_fault(None);
        world.feed.append("a");
        world.all_delivered().await;
    };
    world.run_until(work).await;
    world.check_order();
}

#[tokio::test(start_paused = true)]
async fn a_long_run_without_an_error_resets_the_pause() {
    restarts_after(Fault::Error).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_starts_again_after_the_same_pauses() {
    restarts_after(Fault::Panic).await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_was_away_for_a_moment_gets_events_again_within_seconds() {
    let world = World::new(Receiver::new(|_, _| Behaviour::Resets));
    // There are more orders than failures that open the circuit. So many attempts are in flight when the
    // circuit opens.
    (0..200).for_each(|order| world.feed.append(&format!("o-{order}")));
    let work = async {
        world.until("the attempts fail", || world.receiver.received().requests >= 20).await;
        let start = Instant::now();
        world.receiver.behave(|_, _| Behaviour::Accepts);
        world.all_delivered().await;
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    };
    world.run_until(work).await;
    world.check_order();
}
