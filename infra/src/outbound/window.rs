//! The window contains the newest events of a partition. The writer uses the window to recognise entries that are
//! already in the feed. `append` keeps a window for each partition.

use std::collections::{HashSet, VecDeque};

use domain::OrderId;

use super::chunk::Chunk;

/// The maximum number of events in a window. A window with more events forgets its oldest chunk.
const MAX_EVENTS: usize = 20_000;

/// The newest events of a partition. The window has every event of the partition that was recorded at [`Window::from`] or later.
#[derive(Debug)]
pub(super) struct Window {
    /// The time, in microseconds, from which on the window is complete: every event that was recorded then or later is
    /// in the window.
    from: i64,
    /// The chunks of the window, oldest first.
    chunks: VecDeque<KnownChunk>,
    events: HashSet<(OrderId, u64)>,
    /// The position of the oldest event in the window. If the window is empty, the position of the next event.
    first: u64,
}

/// A chunk in the window, with only the keys of its events.
#[derive(Debug)]
struct KnownChunk {
    first: u64,
    time: i64,
    events: Vec<(OrderId, u64)>,
}

impl Window {
    /// Creates an empty window that begins at the position `next`. `time` is the time of the last chunk before `next`.
    pub(super) fn empty(next: u64, time: i64) -> Self {
        Self { from: after(time), chunks: VecDeque::new(), events: HashSet::new(), first: next }
    }

    /// Whether the window has every event that was recorded at `time` or later.
    pub(super) fn covers(&self, time: i64) -> bool {
        self.from <= time
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Whether the window has the event, given as its order and version.
    pub(super) fn contains(&self, event: &(OrderId, u64)) -> bool {
        self.events.contains(event)
    }

    /// Adds a chunk after the newest chunk. If the window becomes too large, forgets its oldest chunks.
    pub(super) fn push(&mut self, chunk: &Chunk) {
        let events = keys(chunk);
        self.events.extend(events.iter().cloned());
        self.chunks.push_back(KnownChunk { first: chunk.first, time: chunk.time, events });
        while self.events.len() > MAX_EVENTS && self.chunks.len() > 1 {
            let Some(KnownChunk { time, events, .. }) = self.chunks.pop_front() else { return };
            events.iter().for_each(|event| {
                self.events.remove(event);
            });
            self.from = self.from.max(after(time));
            self.first = self.chunks.front().map_or(self.first, |chunk| chunk.first);
        }
    }

    /// Adds the chunk that precedes the oldest chunk of the window. Earlier chunks may have the same time as the added
    /// chunk, so the window is complete only for later times.
    pub(super) fn push_older(&mut self, chunk: &Chunk) {
        let events = keys(chunk);
        self.events.extend(events.iter().cloned());
        self.chunks.push_front(KnownChunk { first: chunk.first, time: chunk.time, events });
        (self.first, self.from) = (chunk.first, self.from.min(after(chunk.time)));
    }

    /// Records that there is no chunk before the window.
    pub(super) fn extend_to_all(&mut self) {
        self.from = i64::MIN;
    }
}

fn keys(chunk: &Chunk) -> Vec<(OrderId, u64)> {
    chunk.events.iter().map(|event| (event.0.clone(), event.1)).collect()
}

/// The time from which on a window is complete. `time` is the time of the chunk before the window. No event in that
/// chunk or in an earlier chunk was recorded after `time`. So every event that was recorded later is in the window.
fn after(time: i64) -> i64 {
    time.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use domain::CustomerId;

    use super::super::chunk::EventRef;
    use super::*;

    fn chunk(first: u64, time: i64, count: u64) -> Chunk {
        let customer = CustomerId::parse("c").unwrap();
        let event = |version| EventRef(order(), version, "order_paid".to_owned(), customer.clone());
        Chunk { first, time, events: (first..first + count).map(event).collect() }
    }

    fn order() -> OrderId {
        OrderId::parse("o").unwrap()
    }

    #[test]
    fn a_window_covers_what_was_recorded_after_the_chunk_before_it() {
        let mut window = Window::empty(11, 500);
        assert_eq!((window.covers(501), window.covers(500)), (true, false));
        window.push(&chunk(11, 700, 2));
        window.push_older(&chunk(8, 500, 3));
        assert_eq!((window.first(), window.covers(501), window.covers(500)), (8, true, false));
        window.push_older(&chunk(7, 400, 1));
        assert_eq!((window.first(), window.covers(401), window.covers(400)), (7, true, false));
        window.extend_to_all();
        assert!(window.covers(i64::MIN));
        assert!(
            [8, 12].iter().all(|at| window.contains(&(order(), *at))) && !window.contains(&(order(), 13))
        );
    }

    #[test]
    fn a_full_window_forgets_its_oldest_chunks_and_covers_less() {
        let mut window = Window::empty(1, i64::MIN);
        window.extend_to_all();
        for n in 0..300 {
            window.push(&chunk(1 + n * 100, i64::try_from(n).unwrap() * 10, 100));
        }
        assert_eq!((window.first(), window.events.len()), (10_001, MAX_EVENTS));
        assert_eq!(
            (window.covers(991), window.covers(990)),
            (true, false),
            "the chunk at time 990 is forgotten"
        );
        assert!(!window.contains(&(order(), 10_000)) && window.contains(&(order(), 10_001)));
    }
}
