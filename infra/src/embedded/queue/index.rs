//! The order of the queue, in memory: which message may be received when. Bodies and receive counts are on disk;
//! this is rebuilt from there on start. It has no clock and does no I/O. What came last is [`held`] here as well, so that
//! it need not be read again, and [`receive_counts`] is how receives are counted.
//!
//! The rules are those of an SQS FIFO queue: messages of a group come in order, and while some are in flight no
//! other message of that group is received.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::embedded::store::keys::Receives;
use held::Holding;
use receive_counts::{Counted, Counts};

pub(crate) use held::Held;
#[cfg(test)]
pub(crate) use held::MOST_HELD;
pub(crate) use receive_counts::Uncounted;

pub(crate) type Group = Arc<str>;

/// Names one delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) group: Group,
    pub(crate) seq: u64,
    /// Differs between deliveries of one message, so that an old one cannot act on a newer one.
    pub(crate) lease: u64,
    pub(crate) receives: u32,
    /// The message itself, if it is in memory still.
    pub(crate) held: Option<Box<Held>>,
}

/// What one look into the queue gives.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Now in flight.
    pub(crate) deliveries: Vec<Delivery>,
    /// Received as often as allowed already: now in flight too, and due for the dead letters.
    pub(crate) exhausted: Vec<Delivery>,
    /// Whether more could be taken at once.
    pub(crate) more: bool,
    /// When something becomes visible by itself, if nothing could be taken.
    pub(crate) next_wake: Option<Instant>,
}

struct Entry {
    seq: u64,
    dedup: Uuid,
    receives: u32,
    /// The delivery that is or was in flight; 0 before the first.
    lease: u64,
    visible_at: Instant,
    /// Written durably. Before that it only reserves its place.
    committed: bool,
    counted: Counted,
    held: Option<Box<Held>>,
}

#[derive(Default)]
struct GroupQueue {
    entries: VecDeque<Entry>,
    /// Whether the group is in `ready`.
    ready: bool,
}

impl GroupQueue {
    /// When a message of this group can be received, if nothing else happens: once its first message is visible
    /// and none that was delivered before is in flight.
    fn available_at(&self) -> Option<Instant> {
        let head = self.entries.front().filter(|entry| entry.committed)?;
        let in_flight = self.entries.iter().take_while(|entry| entry.lease > 0).map(|entry| entry.visible_at);
        Some(in_flight.fold(head.visible_at, Instant::max))
    }

    fn position(&self, seq: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()
    }

    fn entry_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let at = self.position(seq)?;
        self.entries.get_mut(at)
    }
}

pub(crate) struct QueueIndex {
    visibility_timeout: Duration,
    max_receives: u32,
    groups: HashMap<Group, GroupQueue, RandomState>,
    /// Groups that may have a visible message now.
    ready: VecDeque<Group>,
    /// Groups to look at again at a time.
    wakes: BinaryHeap<Reverse<(Instant, Group)>>,
    depth: usize,
    next_seq: u64,
    next_lease: u64,
    counts: Counts,
    holding: Holding,
    /// Until when more is gathered before messages are taken again.
    gathers_until: Option<Instant>,
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
            counts: Counts::default(),
            holding: Holding::default(),
            gathers_until: None,
        }
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The sequence number that the next message gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next sequence number, which no message gets then.
    pub(crate) fn skip(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// Never gives out a sequence number below `seq` from here on.
    pub(crate) fn advance_to(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq);
    }

    /// Whether there is any message of the group, also one that is in flight or not on the disk yet.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// The message with this deduplication id that waits in the group.
    pub(crate) fn find(&self, group: &str, dedup: Uuid) -> Option<u64> {
        self.entry_with(group, dedup).map(|entry| entry.seq)
    }

    /// The same, but only if the message is on the disk.
    pub(crate) fn find_durable(&self, group: &str, dedup: Uuid) -> Option<u64> {
        self.entry_with(group, dedup).filter(|entry| entry.committed).map(|entry| entry.seq)
    }

    fn entry_with(&self, group: &str, dedup: Uuid) -> Option<&Entry> {
        self.groups.get(group)?.entries.iter().find(|entry| entry.dedup == dedup)
    }

    /// Reserves the last place of the group for a message. It is received only after [`QueueIndex::commit`].
    pub(crate) fn reserve(
        &mut self,
        group: &str,
        dedup: Uuid,
        visible_at: Instant,
        held: Option<Box<Held>>,
    ) -> (Group, u64) {
        let (seq, held) = (self.next_seq, self.holding.take(held));
        self.next_seq += 1;
        let counted = Counted::default();
        let entry = Entry { seq, dedup, receives: 0, lease: 0, visible_at, committed: false, counted, held };
        (self.push(group, entry), seq)
    }

    /// A message that was stored before this program started, with its row of receives if it has one; call in order of
    /// `seq`.
    pub(crate) fn restore(
        &mut self,
        seq: u64,
        group: &str,
        dedup: Uuid,
        visible_at: Instant,
        received: Option<Receives>,
    ) {
        let receives = received.map_or(0, |received| received.count);
        let counted = Counted::restored(received);
        let entry =
            Entry { seq, dedup, receives, lease: 0, visible_at, committed: true, counted, held: None };
        let group = self.push(group, entry);
        self.advance_to(seq + 1);
        self.schedule(&group);
    }

    fn push(&mut self, group: &str, entry: Entry) -> Group {
        let group = match self.groups.get_key_value(group) {
            Some((group, _)) => Arc::clone(group),
            None => Group::from(group),
        };
        let queue = self.groups.entry(Arc::clone(&group)).or_default();
        if queue.entries.is_empty() {
            // Most groups have one message at a time, and there may be millions of them.
            queue.entries.reserve_exact(1);
        }
        queue.entries.push_back(entry);
        self.depth += 1;
        group
    }

    /// The message is durable: it can be received.
    pub(crate) fn commit(&mut self, group: &Group, seq: u64) {
        let Some(queue) = self.groups.get_mut(group) else { return };
        if let Some(at) = queue.position(seq) {
            queue.entries[at].committed = true;
            if at == 0 {
                self.schedule(group);
            }
        }
    }

    /// Takes up to `max` messages that are visible at `now`, several of a group in order.
    pub(crate) fn take(&mut self, max: usize, now: Instant) -> Taken {
        self.wake(now);
        let mut taken = Taken::default();
        while taken.deliveries.len() + taken.exhausted.len() < max {
            let Some(group) = self.ready.pop_front() else { break };
            self.take_group(&group, max, now, &mut taken);
        }
        taken.more = !self.ready.is_empty();
        self.gather(&taken, now);
        taken.next_wake = self.wakes.peek().map(|Reverse((at, _))| *at);
        taken
    }

    fn take_group(&mut self, group: &Group, max: usize, now: Instant, taken: &mut Taken) {
        let Some(queue) = self.groups.get_mut(group) else { return };
        queue.ready = false;
        if queue.available_at().is_none_or(|at| at > now) {
            return self.schedule(group);
        }
        let room = max - taken.deliveries.len() - taken.exhausted.len();
        let visible = queue.entries.iter_mut().take_while(|entry| entry.committed && entry.visible_at <= now);
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
                held: entry.held.take().inspect(|held| self.holding.give(held)),
            };
            if exhausted { &mut taken.exhausted } else { &mut taken.deliveries }.push(delivery);
        }
        self.schedule(group);
    }

    /// Whether the delivery is the latest one of a message that is still here.
    pub(crate) fn is_current(&self, group: &str, seq: u64, lease: u64) -> bool {
        let entry = self.groups.get(group).and_then(|queue| Some(&queue.entries[queue.position(seq)?]));
        entry.is_some_and(|entry| entry.lease == lease)
    }

    /// The message is off the queue.
    pub(crate) fn remove(&mut self, group: &str, seq: u64) {
        let Some((group, queue)) = self.groups.get_key_value(group) else { return };
        let Some(at) = queue.position(seq) else { return };
        let group = Arc::clone(group);
        self.depth -= 1;
        queue.entries[at].held.iter().for_each(|held| self.holding.give(held));
        if queue.entries.len() == 1 {
            self.groups.remove(&group);
            return;
        }
        if let Some(queue) = self.groups.get_mut(&group) {
            queue.entries.remove(at);
        }
        self.schedule(&group);
    }

    /// The message becomes visible at `visible_at`; `false` if the delivery is stale.
    pub(crate) fn release(&mut self, group: &str, seq: u64, lease: u64, visible_at: Instant) -> bool {
        let Some((group, queue)) = self.groups.get_key_value(group) else { return false };
        let (group, at) = (Arc::clone(group), queue.position(seq));
        let entry = at.and_then(|at| self.groups.get_mut(&group)?.entries.get_mut(at));
        let Some(entry) = entry.filter(|entry| entry.lease == lease) else { return false };
        entry.visible_at = visible_at;
        self.schedule(&group);
        true
    }
}

mod held;
mod receive_counts;
mod statistics;
#[cfg(test)]
mod tests;
mod wakes;
