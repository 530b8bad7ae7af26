//! The index of the queue, in memory. It decides which messages may be received, and when.
//! [`EmbeddedQueue`](super::Queue) owns the index in a mutex. The index has no clock and does no I/O. Bodies and
//! receive counts are on disk. Each start rebuilds the index from the disk.
//!
//! The rules are those of an SQS FIFO queue. The messages of a group are delivered in order. While a message of the
//! group is in flight, no other message of the group is received. [`wakes`] schedules groups, [`receive_counts`] counts
//! receives, [`held_messages`] keeps recent messages in memory, and [`statistics`] counts messages by state.

mod held_messages;
mod receive_counts;
mod statistics;
#[cfg(test)]
mod tests;
mod wakes;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::embedded::store::records::ReceiveCount;
use held_messages::HeldBytes;
use receive_counts::{FirstReceiveRows, StoredReceives};

pub(crate) use held_messages::HeldMessage;
#[cfg(test)]
pub(crate) use held_messages::MAX_HELD_BYTES;
pub(crate) use receive_counts::ObsoleteReceives;

pub(crate) type GroupName = Arc<str>;

/// One delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) group: GroupName,
    pub(crate) seq: u64,
    /// A number that differs between the deliveries of one message, so that an outdated delivery cannot acknowledge or
    /// release the message.
    pub(crate) lease: u64,
    pub(crate) receives: u32,
    /// The message, if it is still in memory.
    pub(crate) held: Option<Box<HeldMessage>>,
}

/// The messages that one receive call takes from the queue.
#[derive(Debug, Default)]
pub(crate) struct TakenMessages {
    /// The messages to hand out. These messages are in flight now.
    pub(crate) deliveries: Vec<Delivery>,
    /// The messages that were already received the maximum number of times. These messages are in flight and must be
    /// parked.
    pub(crate) exhausted: Vec<Delivery>,
    /// Whether more messages are visible than the call took.
    pub(crate) more: bool,
    /// The earliest time at which a group must be checked again.
    pub(crate) next_wake: Option<Instant>,
}

struct QueuedMessage {
    seq: u64,
    dedup: Uuid,
    receives: u32,
    /// The lease of the latest delivery, or 0 before the first delivery.
    lease: u64,
    visible_at: Instant,
    /// Whether the message is synced. A message that is not synced only reserves its place.
    is_durable: bool,
    stored_receives: StoredReceives,
    held: Option<Box<HeldMessage>>,
}

#[derive(Default)]
struct GroupQueue {
    messages: VecDeque<QueuedMessage>,
    /// Whether the group is in `ready`.
    ready: bool,
}

impl GroupQueue {
    /// The time at which the next message of the group can be received, unless the group changes earlier. `None` if the
    /// group has no synced first message.
    fn available_at(&self) -> Option<Instant> {
        let head = self.messages.front().filter(|entry| entry.is_durable)?;
        let in_flight =
            self.messages.iter().take_while(|entry| entry.lease > 0).map(|entry| entry.visible_at);
        Some(in_flight.fold(head.visible_at, Instant::max))
    }

    fn position(&self, seq: u64) -> Option<usize> {
        self.messages.binary_search_by_key(&seq, |entry| entry.seq).ok()
    }

    fn message_mut(&mut self, seq: u64) -> Option<&mut QueuedMessage> {
        let at = self.position(seq)?;
        self.messages.get_mut(at)
    }
}

pub(crate) struct QueueIndex {
    visibility_timeout: Duration,
    max_receives: u32,
    groups: HashMap<GroupName, GroupQueue, RandomState>,
    /// The groups from which a message may be received now.
    ready: VecDeque<GroupName>,
    /// The times at which to check groups again, earliest first.
    wakes: BinaryHeap<Reverse<(Instant, GroupName)>>,
    depth: usize,
    next_seq: u64,
    next_lease: u64,
    first_receive_rows: FirstReceiveRows,
    held_bytes: HeldBytes,
    /// The time until which receivers wait for more messages.
    gather_until: Option<Instant>,
}

impl QueueIndex {
    pub(crate) fn new(visibility_timeout: Duration, max_receives: u32) -> Self {
        Self {
            visibility_timeout,
            max_receives,
            groups: HashMap::default(),
            ready: VecDeque::new(),
            wakes: BinaryHeap::new(),
            depth: 0,
            next_seq: 1,
            next_lease: 1,
            first_receive_rows: FirstReceiveRows::default(),
            held_bytes: HeldBytes::default(),
            gather_until: None,
        }
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Takes the next sequence number for an imported dead letter, which is not on the queue.
    pub(crate) fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// Makes `seq` the lowest sequence number that is assigned from now on, unless the next number is higher already.
    pub(crate) fn advance_to(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq);
    }

    /// Whether the queue holds a message of the group. Messages in flight and messages that are not synced count too.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// The message of the group with the deduplication id `dedup`.
    pub(crate) fn find(&self, group: &str, dedup: Uuid) -> Option<u64> {
        self.message_with(group, dedup).map(|entry| entry.seq)
    }

    /// Like [`QueueIndex::find`], but returns only a synced message.
    pub(crate) fn find_durable(&self, group: &str, dedup: Uuid) -> Option<u64> {
        self.message_with(group, dedup).filter(|entry| entry.is_durable).map(|entry| entry.seq)
    }

    fn message_with(&self, group: &str, dedup: Uuid) -> Option<&QueuedMessage> {
        self.groups.get(group)?.messages.iter().find(|entry| entry.dedup == dedup)
    }

    /// Reserves the last place of the group for a message. The message can be received only after a call of
    /// [`QueueIndex::make_durable`].
    pub(crate) fn reserve(
        &mut self,
        group: &str,
        dedup: Uuid,
        visible_at: Instant,
        held: Option<Box<HeldMessage>>,
    ) -> (GroupName, u64) {
        let (seq, held) = (self.next_seq, self.held_bytes.add(held));
        self.next_seq += 1;
        let stored_receives = StoredReceives::default();
        let entry = QueuedMessage {
            seq,
            dedup,
            receives: 0,
            lease: 0,
            visible_at,
            is_durable: false,
            stored_receives,
            held,
        };
        (self.push(group, entry), seq)
    }

    /// Adds a message that was stored before the engine was opened. The caller must add messages in the order of `seq`.
    pub(crate) fn restore(
        &mut self,
        seq: u64,
        group: &str,
        dedup: Uuid,
        visible_at: Instant,
        received: Option<ReceiveCount>,
    ) {
        let receives = received.map_or(0, |received| received.count);
        let stored_receives = StoredReceives::restored(received);
        let entry = QueuedMessage {
            seq,
            dedup,
            receives,
            lease: 0,
            visible_at,
            is_durable: true,
            stored_receives,
            held: None,
        };
        let group = self.push(group, entry);
        self.advance_to(seq + 1);
        self.schedule(&group);
    }

    fn push(&mut self, group: &str, entry: QueuedMessage) -> GroupName {
        let group = match self.groups.get_key_value(group) {
            Some((group, _)) => Arc::clone(group),
            None => GroupName::from(group),
        };
        let queue = self.groups.entry(Arc::clone(&group)).or_default();
        if queue.messages.is_empty() {
            // Reserves space for only one message, because there may be millions of groups, and most groups hold one
            // message at a time.
            queue.messages.reserve_exact(1);
        }
        queue.messages.push_back(entry);
        self.depth += 1;
        group
    }

    /// Marks the message as synced, so that it can be received.
    pub(crate) fn make_durable(&mut self, group: &GroupName, seq: u64) {
        let Some(queue) = self.groups.get_mut(group) else { return };
        if let Some(at) = queue.position(seq) {
            queue.messages[at].is_durable = true;
            if at == 0 {
                self.schedule(group);
            }
        }
    }

    /// Takes up to `max` messages that are visible at `now`. Messages of one group keep their order.
    pub(crate) fn take(&mut self, max: usize, now: Instant) -> TakenMessages {
        self.wake(now);
        let mut taken = TakenMessages::default();
        while taken.deliveries.len() + taken.exhausted.len() < max {
            let Some(group) = self.ready.pop_front() else { break };
            self.take_group(&group, max, now, &mut taken);
        }
        taken.more = !self.ready.is_empty();
        self.plan_gathering(&taken, now);
        taken.next_wake = self.wakes.peek().map(|Reverse((at, _))| *at);
        taken
    }

    fn take_group(&mut self, group: &GroupName, max: usize, now: Instant, taken: &mut TakenMessages) {
        let Some(queue) = self.groups.get_mut(group) else { return };
        queue.ready = false;
        if queue.available_at().is_none_or(|at| at > now) {
            return self.schedule(group);
        }
        let room = max - taken.deliveries.len() - taken.exhausted.len();
        let visible =
            queue.messages.iter_mut().take_while(|entry| entry.is_durable && entry.visible_at <= now);
        for entry in visible.take(room) {
            entry.lease = self.next_lease;
            self.next_lease += 1;
            entry.visible_at = now + self.visibility_timeout;
            let exhausted = entry.receives >= self.max_receives;
            if !exhausted {
                entry.receives += 1;
            }
            let delivery = Delivery {
                group: Arc::clone(group),
                seq: entry.seq,
                lease: entry.lease,
                receives: entry.receives,
                held: entry.held.take().inspect(|held| self.held_bytes.subtract(held)),
            };
            if exhausted { &mut taken.exhausted } else { &mut taken.deliveries }.push(delivery);
        }
        self.schedule(group);
    }

    /// Whether the message is on the queue and `lease` identifies its latest delivery.
    pub(crate) fn is_current(&self, group: &str, seq: u64, lease: u64) -> bool {
        let entry = self.groups.get(group).and_then(|queue| Some(&queue.messages[queue.position(seq)?]));
        entry.is_some_and(|entry| entry.lease == lease)
    }

    pub(crate) fn remove(&mut self, group: &str, seq: u64) {
        let Some((group, queue)) = self.groups.get_key_value(group) else { return };
        let Some(at) = queue.position(seq) else { return };
        let group = Arc::clone(group);
        self.depth -= 1;
        queue.messages[at].held.iter().for_each(|held| self.held_bytes.subtract(held));
        if queue.messages.len() == 1 {
            self.groups.remove(&group);
            return;
        }
        if let Some(queue) = self.groups.get_mut(&group) {
            queue.messages.remove(at);
        }
        self.schedule(&group);
    }

    /// Makes the message visible at `visible_at`. Returns `false` if the delivery is stale.
    pub(crate) fn release(&mut self, group: &str, seq: u64, lease: u64, visible_at: Instant) -> bool {
        let Some((group, queue)) = self.groups.get_key_value(group) else { return false };
        let (group, at) = (Arc::clone(group), queue.position(seq));
        let entry = at.and_then(|at| self.groups.get_mut(&group)?.messages.get_mut(at));
        let Some(entry) = entry.filter(|entry| entry.lease == lease) else { return false };
        entry.visible_at = visible_at;
        self.schedule(&group);
        true
    }
}
