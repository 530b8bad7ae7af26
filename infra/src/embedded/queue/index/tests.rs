//! The queue's order, message by message.

use domain::Timestamp;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A queue with these messages, `group.dedup` each, received in this order by `take`.
fn queue(messages: &[(&str, u128)], now: Instant) -> QueueIndex {
    let mut index = QueueIndex::new(TIMEOUT, 2);
    for (group, dedup) in messages {
        let (group, seq) = index.reserve(group, Uuid::from_u128(*dedup), now, None);
        index.commit(&group, seq);
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
    let mut index = QueueIndex::new(TIMEOUT, 2);
    let (group, seq) = index.reserve("a", Uuid::from_u128(1), now, None);
    assert!(take(&mut index, 10, now).is_empty());
    assert_eq!(index.find("a", Uuid::from_u128(1)), Some(seq), "but it is known already");
    index.commit(&group, seq);
    assert_eq!(seqs(&take(&mut index, 10, now)), [seq]);
}

#[test]
fn how_long_the_oldest_message_waits_needs_no_clock_that_somebody_sets() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1), ("b", 2)], now);
    let later = now + Duration::from_secs(90);
    assert_eq!(index.standing(later).oldest, Some((1, Duration::from_secs(90))));
    let taken = take(&mut index, 1, later);
    index.remove("a", taken[0].seq);
    assert_eq!(index.standing(later).oldest, Some((2, Duration::from_secs(90))));
}

#[test]
fn more_is_gathered_once_many_come() {
    let now = Instant::now();
    let names: Vec<_> = (0..2 * wakes::FEW + 1).map(|number| number.to_string()).collect();
    let messages: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut index = queue(&messages, now);
    take(&mut index, wakes::FEW, now);
    assert_eq!(index.gathers_until(), None, "there are more");
    take(&mut index, 100, now);
    assert!(index.gathers_until().is_some_and(|until| until > now));
    let mut index = queue(&messages[..wakes::FEW], now);
    take(&mut index, 100, now);
    assert_eq!(index.gathers_until(), None, "they were few");
}

#[test]
fn an_old_delivery_cannot_act_on_a_newer_one() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1)], now);
    let old = take(&mut index, 1, now).remove(0);
    let later = now + TIMEOUT;
    let new = take(&mut index, 1, later).remove(0);
    assert!(!index.is_current("a", old.seq, old.lease));
    assert!(!index.release("a", old.seq, old.lease, later));
    assert!(index.is_current("a", new.seq, new.lease));
    assert_eq!((old.receives, new.receives), (1, 2));
}

#[test]
fn a_group_goes_on_when_all_that_was_in_flight_is_done() {
    let now = Instant::now();
    let mut index = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 4)], now);
    let first = take(&mut index, 2, now);
    assert_eq!(seqs(&first), [1, 2]);
    assert_eq!(seqs(&take(&mut index, 10, now)), [4]);
    index.remove("a", 1);
    assert!(take(&mut index, 10, now).is_empty(), "2 is still in flight");
    index.remove("a", 2);
    assert_eq!(seqs(&take(&mut index, 10, now)), [3]);
}

#[test]
fn a_released_message_holds_back_its_followers_until_its_time() {
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
fn a_message_received_too_often_is_told_apart_and_the_next_one_goes_on() {
    let mut now = Instant::now();
    let mut index = queue(&[("a", 1)], now);
    for _ in 0..2 {
        assert_eq!(take(&mut index, 10, now).len(), 1);
        now += TIMEOUT;
    }
    let (group, seq) = index.reserve("a", Uuid::from_u128(2), now, None);
    index.commit(&group, seq);
    let taken = index.take(10, now);
    let exhausted: Vec<_> =
        taken.exhausted.iter().map(|delivery| (delivery.seq, delivery.receives)).collect();
    assert_eq!(exhausted, [(1, 2)]);
    assert_eq!(seqs(&taken.deliveries), [2]);
}

#[test]
fn numbers_are_never_given_out_twice() {
    let now = Instant::now();
    let mut index = QueueIndex::new(TIMEOUT, 2);
    let once = Receives { count: 1, first: Timestamp::parse("2026-11-23T10:00:00Z").unwrap() };
    index.restore(7, "a", Uuid::from_u128(1), now, Some(once));
    index.advance_to(20);
    assert_eq!(index.reserve("a", Uuid::from_u128(2), now, None).1, 20);
    assert_eq!(index.depth(), 2);
    let first = take(&mut index, 1, now).remove(0);
    assert_eq!((first.seq, first.receives), (7, 2), "what was counted before a restart counts");
}

#[test]
fn a_busy_queue_does_not_pile_up_wakes() {
    let now = Instant::now();
    let mut index = QueueIndex::new(TIMEOUT, 2);
    for n in 0..20_000u128 {
        let (group, seq) = index.reserve(&n.to_string(), Uuid::from_u128(n), now, None);
        index.commit(&group, seq);
        assert_eq!(take(&mut index, 10, now).len(), 1);
        index.remove(&group, seq);
    }
    assert_eq!(index.depth(), 0);
    assert!(index.wakes.len() <= 2048, "{}", index.wakes.len());
}
