//! Tests how the relay reads shards: the order of parents and children, leases, and failures.

use std::sync::Arc;
use std::time::Duration;

use consumer::relay::shards::{ShardOptions, ShardRelay};
use consumer::relay::{Checkpoint, StreamEntry};
use tokio::sync::watch;

use crate::feed::{Feed, entry, relay};
use crate::leases::Leases;
use crate::stream::{FakeShard, Stream};

struct World {
    stream: Arc<Stream>,
    leases: Arc<Leases>,
    feed: Arc<Feed>,
}

impl World {
    /// A closed parent with two children.
    fn split() -> Self {
        let world = Self { stream: Arc::default(), leases: Arc::default(), feed: Arc::default() };
        world.shard("1-parent", None, vec![entry("a", 1), entry("b", 1), entry("a", 2)], true);
        world.shard("2-left", Some("1-parent"), vec![entry("a", 3)], false);
        world.shard("3-right", Some("1-parent"), vec![entry("b", 2)], false);
        world
    }

    fn shard(&self, id: &str, parent: Option<&str>, entries: Vec<StreamEntry>, is_closed: bool) {
        let shard = FakeShard { parent: parent.map(str::to_owned), entries, is_closed };
        self.stream.shards.lock().unwrap().insert(id.to_owned(), shard);
    }

    fn push(&self, shard: &str, entry: StreamEntry) {
        self.stream.shards.lock().unwrap().get_mut(shard).unwrap().entries.push(entry);
    }

    fn start(&self, owner: &str) -> (watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let relay = ShardRelay {
            stream: Arc::<Stream>::clone(&self.stream),
            leases: Arc::<Leases>::clone(&self.leases),
            relay: relay(&self.feed),
            options: ShardOptions {
                owner: owner.to_owned(),
                lease: Duration::from_secs(15),
                tick: Duration::from_secs(3),
                max_pause: Duration::from_secs(1),
            },
        };
        let (stop, stopped) = watch::channel(false);
        (stop, tokio::spawn(Arc::new(relay).run(stopped)))
    }

    fn of_order(&self, order: &str) -> Vec<u64> {
        self.feed.entries().into_iter().filter(|(id, _)| id == order).map(|(_, version)| version).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_begins_when_its_parent_is_complete() {
    let world = World::split();
    let (stop, running) = world.start("one");
    world.feed.has(5).await;
    assert_eq!((world.of_order("a"), world.of_order("b")), (vec![1, 2, 3], vec![1, 2]));
    assert_eq!(world.leases.of("1-parent").1, Some(Checkpoint::End));
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(
        world.leases.of("2-left"),
        (None, Some(Checkpoint::After("0".to_owned()))),
        "the lease is given up"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_parent_is_gone_begins_at_once() {
    let world = World::split();
    world.stream.shards.lock().unwrap().remove("1-parent");
    let _running = world.start("one");
    world.feed.has(2).await;
}

#[tokio::test(start_paused = true)]
async fn another_relays_shard_is_left_alone_until_its_lease_ends() {
    let world = World::split();
    let held = (Some("other".to_owned()), Some(Checkpoint::After("0".to_owned())));
    world.leases.0.lock().unwrap().insert("1-parent".to_owned(), held);
    let (_stop, _running) = world.start("one");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.feed.entries(), [], "neither the shard nor its children are relayed");
    world.leases.0.lock().unwrap().get_mut("1-parent").unwrap().0 = None;
    world.feed.has(4).await;
    assert_eq!(world.of_order("a"), [2, 3], "the relay continues after the checkpoint");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_has_lost_its_lease_leaves_the_shard() {
    let world = World::split();
    let (_stop, _running) = world.start("one");
    world.feed.has(5).await;
    world.leases.0.lock().unwrap().get_mut("2-left").unwrap().0 = Some("other".to_owned());
    world.push("2-left", entry("a", 4));
    world.feed.has(6).await;
    world.push("2-left", entry("a", 5));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.of_order("a"), [1, 2, 3, 4], "the relay finishes at most one more page");
}

#[tokio::test(start_paused = true)]
async fn a_refused_entry_holds_its_shard_and_is_tried_again() {
    let world = World::split();
    *world.feed.refused.lock().unwrap() = Some("b".to_owned());
    let (_stop, _running) = world.start("one");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.feed.entries(), [("a".to_owned(), 1)]);
    *world.feed.refused.lock().unwrap() = None;
    world.feed.has(5).await;
    assert_eq!((world.of_order("a"), world.of_order("b")), (vec![1, 2, 3], vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn expired_iterators_and_trimmed_records_do_not_stop_a_shard() {
    let world = World::split();
    *world.stream.expiries.lock().unwrap() = 3;
    let (stop, running) = world.start("one");
    world.feed.has(5).await;
    stop.send_replace(true);
    running.await.unwrap();
    // The relay does not run, and the stream drops records that the relay has not read.
    let entries = (4..9).map(|version| entry("a", version)).collect::<Vec<_>>();
    world.stream.shards.lock().unwrap().get_mut("2-left").unwrap().entries.extend(entries);
    *world.stream.trimmed.lock().unwrap() = 4;
    let (_stop, _running) = world.start("two");
    world.feed.has(7).await;
    assert_eq!(world.of_order("a"), [1, 2, 3, 7, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_can_relay_nothing_learns_that_another_has_its_shard() {
    let world = World::split();
    *world.feed.refused.lock().unwrap() = Some("a".to_owned());
    let (_stop, _running) = world.start("one");
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.leases.0.lock().unwrap().get_mut("1-parent").unwrap().0 = Some("other".to_owned());
    tokio::time::sleep(Duration::from_secs(60)).await;
    *world.feed.refused.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.feed.entries(), [], "only the other relay works on the shard");
}
