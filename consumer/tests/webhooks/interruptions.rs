//! Tests that a worker still notices requests while it reads a long part of the feed.

use std::time::Duration;

use domain::EventType;
use tokio::time::sleep;

use crate::receiver::{Behaviour, Receiver};
use crate::setup::World;

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_until_the_rest_of_the_feed_is_read() {
    let world = World::new(Receiver::new(|_, _| Behaviour::Accepts));
    let pages = 1000;
    (0..pages * world.options.page).for_each(|_| world.feed.append("a"));
    // The subscription selects none of the events, so the worker reads one page after another.
    world.store.change(|subscription| subscription.types = [EventType::Paid].into());
    let replayed = async {
        while world.feed.pages_read() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        world.workers.replay(world.store.subscription().id, 0).await.unwrap();
        let read = world.feed.pages_read();
        assert!(read < pages / 10, "{read} of {pages} pages were read before the replay");
    };
    world.run_until(replayed).await;
    let read = world.feed.pages_read();
    assert!(read < pages / 10, "{read} of {pages} pages were read before the worker stopped");
}
