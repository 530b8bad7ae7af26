//! Tests random scenarios: the dispatcher is dropped at random moments, the receiver fails in many ways, and
//! operators intervene. Each scenario checks that every event is delivered, that the events of each order are
//! delivered in order, and that few rows are stored.

use std::sync::Arc;
use std::time::Duration;

use consumer::webhooks::HeldState;
use consumer::webhooks::SkipRequest;
use domain::SubscriptionState;
use tokio::time::{sleep, timeout};

use crate::feed::Feed;
use crate::receiver::{Behaviour, Receiver};
use crate::setup::{World, clock};
use crate::store::Store;

/// The number of deliveries that the test suite makes. `scripts/webhook-deliveries.sh` makes a million deliveries.
const DELIVERIES: u64 = 20_000;
const EVENTS_OF_SCENARIO: u64 = 400;
const ORDERS: u64 = 40;
const MAX_HELD: usize = 20;

/// A receiver that fails a random share of the requests, and most requests for one of the orders.
fn unreliable() -> Receiver {
    let bad_order = format!("o-{}", fastrand::u64(0..ORDERS));
    let failing = fastrand::u8(5..60);
    Receiver::new(move |order, _| {
        let is_bad = order == bad_order && fastrand::u8(0..10) < 9;
        if !is_bad && fastrand::u8(0..100) >= failing {
            return Behaviour::Accepts;
        }
        match fastrand::u8(0..40) {
            0..10 => Behaviour::Fails,
            10..20 => Behaviour::Lies,
            20..25 => Behaviour::Hangs,
            25..35 => Behaviour::Resets,
            35..39 => Behaviour::Throttles,
            _ => Behaviour::Gone,
        }
    })
}

async fn append_events(world: &World, count: u64) {
    for _ in 0..count {
        // Most events belong to a few orders, as in practice.
        let order = fastrand::u64(0..ORDERS).min(fastrand::u64(0..ORDERS));
        world.feed.append(&format!("o-{order}"));
        if fastrand::u8(0..4) == 0 {
            sleep(Duration::from_millis(fastrand::u64(0..500))).await;
        }
    }
}

/// Makes random requests of an operator, at random times.
async fn operate(world: &World) {
    let id = world.store.subscription().id;
    loop {
        sleep(Duration::from_secs(fastrand::u64(1..600))).await;
        match fastrand::u8(0..6) {
            0 => skip_one(world).await,
            1 => {
                let position = fastrand::u64(0..=world.store.durable().progress.cursor);
                let _ = world.workers.replay(id, position).await;
            }
            2 => {
                let order = format!("o-{}", fastrand::u64(0..ORDERS));
                let exists = world.feed.versions().keys().any(|id| id.as_str() == order);
                if exists {
                    let _ = world.workers.replay_order(id, order.parse().unwrap()).await;
                }
            }
            3 => world.store.change(|subscription| subscription.state = SubscriptionState::Paused),
            // Resumes the subscription, even if the service has paused it after a 410 or has disabled it.
            _ => world.store.change(|subscription| subscription.state = SubscriptionState::Active),
        }
    }
}

/// Skips a delivery that was given up.
async fn skip_one(world: &World) {
    let given_up = world.store.durable().held.values().find(|row| row.state == HeldState::GaveUp).cloned();
    let Some(row) = given_up else { return };
    let key = (row.order_id.as_str().to_owned(), row.next);
    // The skip is added before the request is made, because the next event may be delivered before the request is
    // answered.
    world.receiver.received().skipped.insert(key);
    let request = SkipRequest { reason: "test".to_owned(), at: clock(), by: None };
    let _ = world.workers.skip(world.store.subscription().id, row.head.unwrap().event_id, request).await;
    note_skips(world);
}

/// Replaces the receiver's list of skips with the skips that were really carried out.
fn note_skips(world: &World) {
    let durable = world.store.durable();
    let skips = durable.skips.iter().map(|skip| (skip.order_id.as_str().to_owned(), skip.version));
    world.receiver.received().skipped = skips.collect();
}

/// Runs a scenario. Returns the feed, the store and the receiver as they are at the end.
async fn scenario(seed: u64, spoil: fn(&mut World)) -> World {
    fastrand::seed(seed);
    let mut world = World::new(unreliable());
    world.options.max_held = MAX_HELD;
    spoil(&mut world);
    let appending = append_events(&world, EVENTS_OF_SCENARIO);
    let crashing = async {
        for _ in 0..10 {
            let life = Duration::from_micros(fastrand::u64(1..40_000_000) >> fastrand::u8(0..16));
            tokio::select! {
                () = world.crash_after(life) => {}
                () = operate(&world) => {}
            }
            note_skips(&world);
        }
    };
    tokio::join!(appending, crashing);
    // The last dispatcher may run for days, so that some deliveries are given up.
    let _ = timeout(Duration::from_secs(5 * 24 * 3600), async {
        tokio::select! {
            () = world.crash_after(Duration::from_secs(fastrand::u64(1..400_000))) => {}
            () = operate(&world) => {}
        }
    })
    .await;
    note_skips(&world);
    world.receiver.behave(|_, _| Behaviour::Accepts);
    world.store.change(|subscription| subscription.state = SubscriptionState::Active);
    world
}

/// Runs the dispatcher until all events are delivered, now that the receiver works again.
async fn settle(world: &World) {
    let cursor = world.feed.versions().values().sum::<u64>();
    let settled = async {
        world.all_delivered().await;
        world
            .until("the rows are removed", || {
                let durable = world.store.durable();
                durable.held.is_empty() && durable.progress.cursor == cursor
            })
            .await;
    };
    world.run_until(settled).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn every_event_is_delivered_and_each_order_in_order_whatever_fails() {
    let wanted = std::env::var("ORDERS_WEBHOOK_DELIVERIES").map_or(DELIVERIES, |n| n.parse().unwrap());
    let first: u64 = std::env::var("ORDERS_WEBHOOK_SEED").map_or(1, |n| n.parse().unwrap());
    let (mut deliveries, mut requests, mut rows, mut writes) = (0, 0, 0, 0);
    for seed in first.. {
        runtime().block_on(async {
            println!("seed {seed}");
            let world = scenario(seed, |_| {}).await;
            settle(&world).await;
            world.check_order();
            let (received, durable) = (world.receiver.received(), world.store.durable());
            deliveries += received.successes;
            requests += received.requests;
            rows = rows.max(durable.max_held);
            writes += durable.writes as u64;
        });
        if deliveries >= wanted {
            break;
        }
    }
    println!("{deliveries} deliveries in {requests} attempts, at most {rows} rows, {writes} writes");
    // The number of rows may exceed `MAX_HELD`: orders that were read before the limit was reached may still fail, and
    // orders that are catching up have rows too.
    assert!(rows <= ORDERS as usize, "{rows} rows");
}

/// Runs scenarios with a fault that `spoil` puts into the feed or the store, until the checks notice the
/// fault.
pub(crate) fn is_noticed(spoil: fn(&mut World), notices: fn(&World) -> bool) -> bool {
    (1..=10).any(|seed| {
        runtime().block_on(async {
            let world = scenario(seed, spoil).await;
            world
                .run_until(async {
                    // A broken dispatcher may never settle, so the run ends when the fault is noticed.
                    let noticed = async {
                        while !notices(&world) {
                            tokio::time::sleep(Duration::from_secs(600)).await;
                        }
                    };
                    tokio::select! {
                        () = noticed => true,
                        settled = timeout(Duration::from_secs(40 * 24 * 3600), world.all_delivered()) => {
                            settled.is_err() || notices(&world)
                        }
                    }
                })
                .await
        })
    })
}

pub(crate) fn delay_rows(world: &mut World) {
    let mut store = Store::new(world.store.subscription().as_ref().clone());
    store.delays_rows = true;
    world.store = Arc::new(store);
}

pub(crate) fn split_orders(world: &mut World) {
    let mut feed = Feed::default();
    feed.splits_orders = true;
    world.feed = Arc::new(feed);
}
