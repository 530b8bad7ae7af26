//! The slots for connections, and which connection gives way when slots run out.
//!
//! The accept loop [takes](Slots::take) a slot for each connection; the connection frees it by dropping its [`Slot`].
//! While slots are free, anyone gets one, up to a reserve that an address with more than its share does not get. When
//! none is left, a connection gives way that waits for its client (idle, or in the middle of a request or an answer), of
//! the address that has the most of them; never one whose request the service is working on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::ServeOptions;
use super::pace::Pace;

/// How often to look for a connection that can give way while none can.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many connections of an address are looked at, oldest first, to find one that gives way; more only if none of
/// them can.
const LOOKED_AT: usize = 512;
/// How often the log reports that slots run out, in seconds.
const REPORT_EVERY: u64 = 10;

/// What the server orders a connection to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Close, if it is the client's turn to do something.
    GiveWay = 1,
    /// Finish the request under way, and take no other.
    Stop = 2,
}

/// A connection as the server sees it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) pace: Arc<Pace>,
    order: AtomicU8,
    ring: Notify,
}

impl Seat {
    fn send(&self, order: Order) {
        self.order.fetch_max(order as u8, Relaxed);
        self.ring.notify_one();
    }

    /// The next order.
    pub(super) async fn ordered(&self) -> Order {
        self.ring.notified().await;
        let given = self.order.compare_exchange(Order::GiveWay as u8, 0, Relaxed, Relaxed);
        if given.is_ok() { Order::GiveWay } else { Order::Stop }
    }

    /// Whether it was ordered to do something that it has not done yet.
    fn is_ordered(&self) -> bool {
        self.order.load(Relaxed) != 0
    }
}

/// A connection's place among the others, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) seat: Arc<Seat>,
    slots: Arc<Slots>,
    network: IpAddr,
    number: u64,
}

impl Slot {
    /// It does not give way after all: its client has sent a request meanwhile.
    pub(super) fn stays(&self) {
        self.slots.changed.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut seated = self.slots.seated();
        if let Some(seats) = seated.by_network.get_mut(&self.network)
            && seats.remove(&self.number).is_some()
        {
            if seats.is_empty() {
                seated.by_network.remove(&self.network);
            }
            seated.count -= 1;
        }
        drop(seated);
        self.slots.changed.notify_one();
    }
}

#[derive(Debug, Default)]
struct Seated {
    next: u64,
    count: usize,
    /// The connections of each address, in the order in which they were accepted.
    by_network: HashMap<IpAddr, BTreeMap<u64, Arc<Seat>>>,
}

/// All slots.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    share: usize,
    /// So many of the last slots are for addresses that have less than their share.
    reserve: usize,
    seated: Mutex<Seated>,
    /// Rings when a connection has ended, or does not give way after all.
    changed: Notify,
    started: Instant,
    report_at: AtomicU64,
}

/// What a newcomer gets.
enum Found {
    Slot(Slot),
    Wait,
    Nothing,
}

impl Slots {
    pub(super) fn new(options: &ServeOptions) -> Arc<Self> {
        let most = options.max_connections.max(1);
        let share = options.max_connections_per_address.clamp(1, most);
        Arc::new(Self {
            most,
            share,
            // Whose share is everything needs nothing in reserve for others.
            reserve: if share < most { most / 8 } else { 0 },
            seated: Mutex::default(),
            changed: Notify::new(),
            started: Instant::now(),
            report_at: AtomicU64::new(0),
        })
    }

    fn seated(&self) -> MutexGuard<'_, Seated> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a connection from there, as soon as there is one. `None` if the address has its share and none of its
    /// connections can give way: then the others must not wait behind it.
    pub(super) async fn take(self: &Arc<Self>, network: IpAddr, options: &ServeOptions) -> Option<Slot> {
        loop {
            match self.find(network, options) {
                Found::Slot(slot) => return Some(slot),
                Found::Nothing => return None,
                // Either way there is a reason to look again.
                Found::Wait => drop(timeout(LOOK_AGAIN, self.changed.notified()).await),
            }
        }
    }

    fn find(self: &Arc<Self>, network: IpAddr, options: &ServeOptions) -> Found {
        let mut seated = self.seated();
        let held = seated.by_network.get(&network).map_or(0, BTreeMap::len);
        let greedy = held >= self.share && self.share < self.most;
        let reserve = if greedy { self.reserve } else { 0 };
        if self.most - seated.count > reserve {
            return Found::Slot(self.seat(&mut seated, network, options));
        }
        if greedy {
            let own = seated.by_network.get(&network);
            if !own.is_some_and(|seats| give_way(seats, false)) {
                counter!("orders_connections_closed_total", "reason" => "share").increment(1);
                self.report("an address has its share of the connections, all in use: refusing more of them");
                return Found::Nothing;
            }
        } else if !seated.make_room(network, held) {
            self.report("all connections are in use, and none waits for its client: new ones have to wait");
        }
        Found::Wait
    }

    fn seat(self: &Arc<Self>, seated: &mut Seated, network: IpAddr, options: &ServeOptions) -> Slot {
        let seat = Seat { pace: Pace::new(options), order: AtomicU8::new(0), ring: Notify::new() };
        let seat = Arc::new(seat);
        let number = seated.next;
        seated.next += 1;
        seated.count += 1;
        seated.by_network.entry(network).or_default().insert(number, Arc::clone(&seat));
        Slot { seat, slots: Arc::clone(self), network, number }
    }

    /// Has every idle connection close, and one more that waits for its client: others need the files that they are.
    pub(super) fn make_room(&self) {
        let seated = self.seated();
        for seat in seated.by_network.values().flat_map(BTreeMap::values) {
            if seat.pace.is_idle() {
                seat.send(Order::GiveWay);
            }
        }
        let most = seated.by_network.values().max_by_key(|seats| seats.len());
        if let Some(seats) = most {
            give_way(seats, false);
        }
    }

    /// Has every connection finish.
    pub(super) fn stop(&self) {
        let seated = self.seated();
        seated.by_network.values().flat_map(BTreeMap::values).for_each(|seat| seat.send(Order::Stop));
    }

    /// Completes when there is no connection any more.
    pub(super) async fn all_free(&self) {
        while self.seated().count > 0 {
            self.changed.notified().await;
        }
    }

    fn report(&self, what: &'static str) {
        let now = self.started.elapsed().as_secs();
        let at = self.report_at.load(Relaxed);
        if now >= at && self.report_at.compare_exchange(at, now + REPORT_EVERY, Relaxed, Relaxed).is_ok() {
            tracing::warn!(connections = self.most, per_address = self.share, "{what}");
        }
    }
}

impl Seated {
    /// Has a connection give way to one of an address that holds so many; whether one can. An address with fewer gives
    /// only idle ones.
    fn make_room(&self, network: IpAddr, held: usize) -> bool {
        let rank = |(other, seats): &(&IpAddr, &BTreeMap<u64, Arc<Seat>>)| (seats.len(), **other == network);
        let Some(greatest) = self.by_network.iter().max_by_key(rank) else { return false };
        if greatest.1.len() >= held && give_way(greatest.1, false) {
            return true;
        }
        let mut others: Vec<_> = self.by_network.iter().collect();
        others.sort_by_key(|entry| Reverse(rank(entry)));
        others.into_iter().any(|(_, seats)| give_way(seats, seats.len() < held))
    }
}

/// Has the connection give way that is idle or, unless only those are to, waits longest for its client; whether there is
/// one.
fn give_way(seats: &BTreeMap<u64, Arc<Seat>>, only_idle: bool) -> bool {
    let candidate = |seat: &Arc<Seat>| {
        let since = seat.pace.waits_since().filter(|_| !seat.is_ordered())?;
        let idle = seat.pace.is_idle();
        (idle || !only_idle).then(|| ((!idle, since), Arc::clone(seat)))
    };
    let first = seats.values().take(LOOKED_AT).filter_map(candidate).min_by_key(|(rank, _)| *rank);
    let found =
        first.or_else(|| seats.values().skip(LOOKED_AT).filter_map(candidate).min_by_key(|(rank, _)| *rank));
    let Some((_, seat)) = found else { return false };
    counter!("orders_connections_closed_total", "reason" => "room").increment(1);
    seat.send(Order::GiveWay);
    true
}
