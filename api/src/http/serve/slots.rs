//! The slots for connections, and the choice of a connection to close when all slots are in use.
//!
//! The accept loop [takes](ConnectionSlots::take) a slot for each connection, and the connection frees the slot by
//! dropping its [`ConnectionSlot`]. The last free slots are reserved for addresses that have less than their share.
//! When no slot is free, the server closes a connection of the address with the most connections. It closes only a
//! connection that waits for its client, whether between two requests or in the middle of a request or an answer. It
//! never closes a connection while the service processes the request.

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
use super::pace::ClientPace;
use crate::http::fair_share::FairShare;

/// The pause before another search for a connection to close, after a search that found none.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How many connections of an address are searched first, oldest first. The address's other connections are searched
/// only if none of these can be closed.
const SEARCHED_FIRST: usize = 512;
/// The minimum time between two log messages that all slots are in use, in seconds.
const REPORT_INTERVAL: u64 = 10;

/// A command from the server to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionCommand {
    /// Close the connection if it waits for its client.
    GiveWay = 1,
    /// Finish the request in progress, and accept no further request.
    Stop = 2,
}

/// The server's handle to a connection.
#[derive(Debug)]
pub(super) struct ConnectionHandle {
    pub(super) pace: Arc<ClientPace>,
    /// The last command that was sent to the connection and is not executed yet. 0 means no command.
    command: AtomicU8,
    notify: Notify,
}

impl ConnectionHandle {
    fn send(&self, command: ConnectionCommand) {
        self.command.fetch_max(command as u8, Relaxed);
        self.notify.notify_one();
    }

    /// Waits for the next command.
    pub(super) async fn command(&self) -> ConnectionCommand {
        self.notify.notified().await;
        let taken = self.command.compare_exchange(ConnectionCommand::GiveWay as u8, 0, Relaxed, Relaxed);
        if taken.is_ok() { ConnectionCommand::GiveWay } else { ConnectionCommand::Stop }
    }

    fn has_command(&self) -> bool {
        self.command.load(Relaxed) != 0
    }
}

/// One connection's slot. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    pub(super) handle: Arc<ConnectionHandle>,
    slots: Arc<ConnectionSlots>,
    network: IpAddr,
    number: u64,
}

impl ConnectionSlot {
    /// Notifies the accept loop that this connection stays open although the server told it to close, because its
    /// client has sent a request in the meantime.
    pub(super) fn keep(&self) {
        self.slots.changed.notify_one();
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        if let Some(handles) = table.by_network.get_mut(&self.network)
            && handles.remove(&self.number).is_some()
        {
            if handles.is_empty() {
                table.by_network.remove(&self.network);
            }
            table.count -= 1;
        }
        drop(table);
        self.slots.changed.notify_one();
    }
}

#[derive(Debug, Default)]
struct ConnectionTable {
    next_number: u64,
    count: usize,
    /// The connections of each network, in the order in which they were accepted.
    by_network: HashMap<IpAddr, ConnectionsOfNetwork>,
}

type ConnectionsOfNetwork = BTreeMap<u64, Arc<ConnectionHandle>>;

#[derive(Debug)]
pub(super) struct ConnectionSlots {
    share: FairShare,
    table: Mutex<ConnectionTable>,
    /// Notified when a connection has ended, or could not close because its client has sent a request.
    changed: Notify,
    started: Instant,
    report_at: AtomicU64,
}

enum SlotSearch {
    Slot(ConnectionSlot),
    /// No slot is free, but one may become free soon.
    Wait,
    Refused,
}

impl ConnectionSlots {
    pub(super) fn new(options: &ServeOptions) -> Arc<Self> {
        Arc::new(Self {
            share: FairShare::new(options.max_connections.max(1), options.max_connections_per_address),
            table: Mutex::default(),
            changed: Notify::new(),
            started: Instant::now(),
            report_at: AtomicU64::new(0),
        })
    }

    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot for a connection from `network`. Returns `None` if the network already has its share and none
    /// of its connections can be closed. Waiting in this case would block connections from other networks.
    pub(super) async fn take(
        self: &Arc<Self>,
        network: IpAddr,
        options: &ServeOptions,
    ) -> Option<ConnectionSlot> {
        loop {
            match self.find(network, options) {
                SlotSearch::Slot(slot) => return Some(slot),
                SlotSearch::Refused => return None,
                // It does not matter whether the wait ended with a notification or with the timeout: the loop searches
                // again.
                SlotSearch::Wait => drop(timeout(RETRY_INTERVAL, self.changed.notified()).await),
            }
        }
    }

    fn find(self: &Arc<Self>, network: IpAddr, options: &ServeOptions) -> SlotSearch {
        let mut table = self.table();
        let held = table.by_network.get(&network).map_or(0, BTreeMap::len);
        if self.share.has_room(table.count, held) {
            return SlotSearch::Slot(self.add(&mut table, network, options));
        }
        if self.share.is_used_up(held) {
            let own = table.by_network.get(&network);
            if !own.is_some_and(|handles| close_one(handles, false)) {
                counter!("orders_connections_closed_total", "reason" => "share").increment(1);
                self.report(
                    "an address uses its whole share of the connections: its further connections are refused",
                );
                return SlotSearch::Refused;
            }
        } else if !table.make_room(network, held) {
            self.report("all connections are in use, and none can be closed: new connections must wait");
        }
        SlotSearch::Wait
    }

    fn add(
        self: &Arc<Self>,
        table: &mut ConnectionTable,
        network: IpAddr,
        options: &ServeOptions,
    ) -> ConnectionSlot {
        let (pace, command, notify) = (ClientPace::new(options), AtomicU8::new(0), Notify::new());
        let handle = Arc::new(ConnectionHandle { pace, command, notify });
        let number = table.next_number;
        table.next_number += 1;
        table.count += 1;
        table.by_network.entry(network).or_default().insert(number, Arc::clone(&handle));
        ConnectionSlot { handle, slots: Arc::clone(self), network, number }
    }

    /// Frees file descriptors: closes every idle connection, and one other connection that waits for its client.
    pub(super) fn make_room(&self) {
        let table = self.table();
        for handle in table.by_network.values().flat_map(BTreeMap::values) {
            if handle.pace.is_idle() {
                handle.send(ConnectionCommand::GiveWay);
            }
        }
        let largest = table.by_network.values().max_by_key(|handles| handles.len());
        if let Some(handles) = largest {
            close_one(handles, false);
        }
    }

    /// Stops every connection once its request in progress is answered.
    pub(super) fn stop(&self) {
        let table = self.table();
        let handles = table.by_network.values().flat_map(BTreeMap::values);
        handles.for_each(|handle| handle.send(ConnectionCommand::Stop));
    }

    /// Completes when all connections have ended.
    pub(super) async fn all_free(&self) {
        while self.table().count > 0 {
            self.changed.notified().await;
        }
    }

    fn report(&self, what: &'static str) {
        let now = self.started.elapsed().as_secs();
        let at = self.report_at.load(Relaxed);
        if now >= at && self.report_at.compare_exchange(at, now + REPORT_INTERVAL, Relaxed, Relaxed).is_ok() {
            let (connections, per_address) = (self.share.max(), self.share.share());
            tracing::warn!(connections, per_address, "{what}");
        }
    }
}

impl ConnectionTable {
    /// Closes a connection to free a slot for `network`, which has `held` connections. A network that has fewer
    /// connections than `network` can lose only idle connections. Returns whether a connection could be closed.
    fn make_room(&self, network: IpAddr, held: usize) -> bool {
        let rank = |(other, handles): &(&IpAddr, &ConnectionsOfNetwork)| (handles.len(), **other == network);
        let Some(greatest) = self.by_network.iter().max_by_key(rank) else { return false };
        if greatest.1.len() >= held && close_one(greatest.1, false) {
            return true;
        }
        let mut others: Vec<_> = self.by_network.iter().collect();
        others.sort_by_key(|entry| Reverse(rank(entry)));
        others.into_iter().any(|(_, handles)| close_one(handles, handles.len() < held))
    }
}

/// Closes the connection that has waited longest for its client. Idle connections are closed first. If `only_idle` is
/// true, only idle connections are closed. Returns whether a connection could be closed.
fn close_one(handles: &ConnectionsOfNetwork, only_idle: bool) -> bool {
    let candidate = |handle: &Arc<ConnectionHandle>| {
        let since = handle.pace.waits_since().filter(|_| !handle.has_command())?;
        let idle = handle.pace.is_idle();
        (idle || !only_idle).then(|| ((!idle, since), Arc::clone(handle)))
    };
    let best = |(rank, _): &((bool, Instant), Arc<ConnectionHandle>)| *rank;
    let first = handles.values().take(SEARCHED_FIRST).filter_map(candidate).min_by_key(best);
    let found =
        first.or_else(|| handles.values().skip(SEARCHED_FIRST).filter_map(candidate).min_by_key(best));
    let Some((_, handle)) = found else { return false };
    counter!("orders_connections_closed_total", "reason" => "room").increment(1);
    handle.send(ConnectionCommand::GiveWay);
    true
}
