//! Tests which messages the index delivers, and when.

use domain::Timestamp;

use super::*;

const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

/// A queue with the given messages: the group and the deduplication id of each.
fn queue(messages: &[(&str, u128)], now: Instant) -> QueueIndex {
    let mut index = QueueIndex::new(VISIBILITY_TIMEOUT, 2);
    for (group, dedup) in messages {
        let (group, seq) = index.reserve(group, Uuid::from_u128(*dedup), now, None);
        index.make_durable(&group, seq);
    }
    index
}

fn take(index: &mut QueueIndex, max: usize, now: Instant) -> Vec<Delivery> {
    index.take(max, now).deliveries
}

fn seqs(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.seq).collect()
}

#[test]
fn a_message_is_not_received_before_it_is_durable() {
    let now = Instant::now();
    let mut index = QueueIndex::new(VISIBILITY_TIMEOUT, 2);
    let (group, seq) = index.reserve("a", Uuid::from_u128(1), now, None);
    assert!(take(&mut index, 10, now).is_empty());
    assert_eq!(
        index.find("a", Uuid::from_u128(1)),
        Some(seq),
        "a message that is not durable yet can be found"
    );
    index.make_durable(&group, seq);
    assert_eq!(seqs(&take(&mut index, 10, now)), [seq]);
}

#[test]
fn the_age_of_the_oldest_message_follows_the_monotonic_clock() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1), ("b", 2)], now);
    let later = now + Duration::from_secs(90);
    assert_eq!(index.statistics(later).oldest, Some((1, Duration::from_secs(90))));
    let taken = take(&mut index, 1, later);
    index.remove("a", taken[0].seq);
    assert_eq!(index.statistics(later).oldest, Some((2, Duration::from_secs(90))));
}

#[test]
fn receivers_wait_for_more_after_a_large_batch() {
    let now = Instant::now();
    let names: Vec<_> =
        (0..2 * wakes::MAX_BATCH_WITHOUT_GATHERING + 1).map(|number| number.to_string()).collect();
    let messages: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut index = queue(&messages, now);
    take(&mut index, wakes::MAX_BATCH_WITHOUT_GATHERING, now);
    assert_eq!(index.gather_until(), None, "more messages are visible");
    take(&mut index, 100, now);
    assert!(index.gather_until().is_some_and(|until| until > now));
    let mut index = queue(&messages[..wakes::MAX_BATCH_WITHOUT_GATHERING], now);
    take(&mut index, 100, now);
    assert_eq!(index.gather_until(), None, "the batch was small");
}

#[test]
fn an_old_delivery_cannot_act_on_a_newer_one() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1)], now);
    let old = take(&mut index, 1, now).remove(0);
    let later = now + VISIBILITY_TIMEOUT;
    let new = take(&mut index, 1, later).remove(0);
    assert!(!index.is_current("a", old.seq, old.lease));
    assert!(!index.release("a", old.seq, old.lease, later));
    assert!(index.is_current("a", new.seq, new.lease));
    assert_eq!((old.receives, new.receives), (1, 2));
}

#[test]
fn a_group_continues_once_nothing_of_it_is_in_flight() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 4)], now);
    let first = take(&mut index, 2, now);
    assert_eq!(seqs(&first), [1, 2]);
    assert_eq!(seqs(&take(&mut index, 10, now)), [4]);
    index.remove("a", 1);
    assert!(take(&mut index, 10, now).is_empty(), "message 2 is still in flight");
    index.remove("a", 2);
    assert_eq!(seqs(&take(&mut index, 10, now)), [3]);
}

#[test]
fn a_released_message_holds_back_the_rest_of_its_group_until_it_is_visible() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1), ("a", 2)], now);
    let first = take(&mut index, 1, now).remove(0);
    let later = now + Duration::from_secs(5);
    assert!(index.release("a", first.seq, first.lease, later));
    let taken = index.take(10, now);
    assert!(taken.deliveries.is_empty());
    assert_eq!(taken.next_wake, Some(later));
    assert_eq!(seqs(&take(&mut index, 10, later)), [1, 2]);
}

#[test]
fn a_message_received_too_often_is_returned_as_exhausted_and_the_next_one_is_delivered() {
    let mut now = Instant::now();
    let mut index = queue(&[("a", 1)], now);
    for _ in 0..2 {
        assert_eq!(take(&mut index, 10, now).len(), 1);
        now += VISIBILITY_TIMEOUT;
    }
    let (group, seq) = index.reserve("a", Uuid::from_u128(2), now, None);
    index.make_durable(&group, seq);
    let taken = index.take(10, now);
    let exhausted: Vec<_> =
        taken.exhausted.iter().map(|delivery| (delivery.seq, delivery.receives)).collect();
    assert_eq!(exhausted, [(1, 2)]);
    assert_eq!(seqs(&taken.deliveries), [2]);
}

#[test]
fn sequence_numbers_are_never_assigned_twice() {
    let now = Instant::now();
    let mut index = QueueIndex::new(VISIBILITY_TIMEOUT, 2);
    let once = ReceiveCount { count: 1, first: Timestamp::parse("2026-11-23T10:00:00Z").unwrap() };
    index.restore(7, "a", Uuid::from_u128(1), now, Some(once));
    index.advance_to(20);
    assert_eq!(index.reserve("a", Uuid::from_u128(2), now, None).1, 20);
    assert_eq!(index.depth(), 2);
    let first = take(&mut index, 1, now).remove(0);
    assert_eq!((first.seq, first.receives), (7, 2), "receives before a restart are counted");
}

#[test]
fn a_busy_queue_does_not_pile_up_wakes() {
    let now = Instant::now();
    let mut index = QueueIndex::new(VISIBILITY_TIMEOUT, 2);
    for n in 0..20_000u128 {
        let (group, seq) = index.reserve(&n.to_string(), Uuid::from_u128(n), now, None);
        index.make_durable(&group, seq);
        assert_eq!(take(&mut index, 10, now).len(), 1);
        index.remove(&group, seq);
    }
    assert_eq!(index.depth(), 0);
    assert!(index.wakes.len() <= 2048, "{}", index.wakes.len());
}
