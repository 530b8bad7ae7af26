//! Tests batches of messages: the disposition of each message, given the state of the log and its failures.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consumer::ports::{DEAD_LETTER, Message, REPLAYS};
use consumer::{Consumer, Disposition, HandledMessage};
use domain::{OrderId, ParkReason, Timestamp};
use support::{Fake, consumer, message, messages, word};
use tokio::time::Instant;

/// Handles the messages, and returns the disposition of each in one word.
async fn dispositions(fake: &Arc<Fake>, messages: Vec<Message>) -> BTreeMap<String, &'static str> {
    let handled = consumer(fake).handle(messages).await;
    handled.into_iter().map(|handled| (handled.message.id, word(&handled.disposition))).collect()
}

/// The messages as a queue without order delivers them: without a group.
fn without_order(what: &[&str]) -> Vec<Message> {
    messages(what).into_iter().map(|message| Message { group: None, ..message }).collect()
}

fn expected(pairs: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    pairs.iter().map(|(id, disposition)| ((*id).to_owned(), *disposition)).collect()
}

#[tokio::test]
async fn a_batch_records_several_events_of_an_order_and_does_not_load_new_orders() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "created@b", "confirmed@a", "delivered@a", "paid@a"];
    let found = dispositions(&fake, messages(&sent)).await;
    let wanted = [
        ("created@a", "recorded"),
        ("created@b", "recorded"),
        ("confirmed@a", "recorded"),
        ("delivered@a", "illegal"),
        ("paid@a", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    assert_eq!((fake.version("a"), fake.version("b")), (3, 1));
    assert_eq!(*fake.loads.lock().unwrap(), 0, "an order that is created in the batch is not loaded");
    assert_eq!(fake.settled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn recording_times_do_not_decrease_if_the_clock_is_set_back() {
    let fake = Arc::new(Fake::default());
    let recorded_at = |fake: &Fake| fake.orders.lock().unwrap().values().next().unwrap().0.recorded_at;
    dispositions(&fake, messages(&["created@a"])).await;
    assert_eq!(recorded_at(&fake), Some(support::now()));
    let earlier: fn() -> Timestamp = || Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
    let late = Consumer { clock: earlier, ..consumer(&fake) };
    late.handle(vec![message(1, "confirmed@a")]).await;
    assert_eq!((fake.version("a"), recorded_at(&fake)), (2, Some(support::now())));
}

#[tokio::test]
async fn a_failing_order_holds_back_its_group_and_no_other() {
    let fake = Arc::new(Fake { failing: HashSet::from(["a"]), ..Fake::default() });
    let sent = ["created@a", "created@b", "confirmed@a", "refunded@a", "confirmed@b"];
    let found = dispositions(&fake, messages(&sent)).await;
    let wanted = [
        ("created@a", "retry"),
        ("confirmed@a", "retry"),
        ("refunded@a", "retry"),
        ("created@b", "recorded"),
        ("confirmed@b", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    assert!(fake.settled.lock().unwrap().is_empty(), "messages after a failed message are not decided");
}

#[tokio::test]
async fn an_order_assumed_to_be_new_is_loaded_after_a_conflict() {
    let fake = Arc::new(Fake::default());
    dispositions(&fake, messages(&["created@a", "confirmed@a"])).await;
    // The `order_created` event is delivered again: as the same message, as another message with the same
    // event, and as another event.
    let mut again = messages(&["created@a", "created@a", "x@a"]);
    again[1].id = "copy".to_owned();
    again[1].body = again[0].body.clone();
    again[2] = Message { id: "other".to_owned(), ..message(7, "created@a") };
    let wanted = [("created@a", "recorded"), ("copy", "duplicate"), ("other", "illegal")];
    assert_eq!(dispositions(&fake, again).await, expected(&wanted));
    assert_eq!(fake.version("a"), 2);
}

#[tokio::test]
async fn an_unreadable_message_parks_later_events_of_its_order_in_order_and_no_other() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "teleported@a", "confirmed@a", "created@b", "paid@a", "confirmed@b"];
    let in_one_group = |message| Message { group: Some("customer".to_owned()), ..message };
    let found = dispositions(&fake, messages(&sent).into_iter().map(in_one_group).collect()).await;
    let wanted = [
        ("created@a", "recorded"),
        ("teleported@a", "parked"),
        ("confirmed@a", "parked"),
        ("created@b", "recorded"),
        ("paid@a", "parked"),
        ("confirmed@b", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    let dead = fake.dead.lock().unwrap().clone();
    let dead: Vec<_> = dead.iter().map(|(id, reason, _)| (id.as_str(), *reason)).collect();
    let wanted = [
        ("teleported@a", ParkReason::UnknownType),
        ("confirmed@a", ParkReason::BehindParked),
        ("paid@a", ParkReason::BehindParked),
    ];
    assert_eq!(dead, wanted, "the dead letters are in the order of the batch");

    // Later events of the order are parked, too, unless they can never become legal.
    let found = dispositions(&fake, vec![message(10, "shipped@a"), message(11, "created@a")]).await;
    assert_eq!((found["shipped@a"], found["created@a"]), ("parked", "illegal"));
}

#[tokio::test]
async fn an_unreadable_message_without_an_order_holds_back_no_order() {
    let fake = Arc::new(Fake::default());
    let mut sent = messages(&["created@a", "noise@a", "confirmed@a"]);
    sent[1].body = b"{ not an event".to_vec();
    let found = dispositions(&fake, sent).await;
    let wanted = [("created@a", "recorded"), ("noise@a", "parked"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted));
}

/// The message as a redrive sends it.
fn replay(message: Message) -> Message {
    let attributes = [(DEAD_LETTER.to_owned(), message.id.clone()), (REPLAYS.to_owned(), "1".to_owned())];
    Message { attributes: attributes.into(), id: format!("replay of {}", message.id), ..message }
}

#[tokio::test]
async fn replays_are_recorded_in_order_and_released_and_new_events_follow_them() {
    let fake = Arc::new(Fake::default());
    let mut sent = messages(&["created@a", "confirmed@a", "paid@a", "shipped@a", "delivered@a"]);
    let broken = std::mem::replace(&mut sent[2].body, br#"{"data":{"order_id":"a"}}"#.to_vec());
    dispositions(&fake, sent[..4].to_vec()).await;
    assert_eq!(fake.recorded("a"), ["created", "confirmed"]);

    sent[2].body = broken;
    let again = [replay(sent[2].clone()), replay(sent[3].clone()), sent[4].clone()];
    let found = dispositions(&fake, again.to_vec()).await;
    assert!(found.values().all(|disposition| *disposition == "recorded"), "{found:?}");
    assert_eq!(fake.recorded("a"), ["created", "confirmed", "paid", "shipped", "delivered"]);
    let released = fake.released.lock().unwrap().clone();
    assert_eq!(
        released,
        [("paid@a", 3), ("shipped@a", 4)]
            .map(|(id, version)| (id.to_owned(), Disposition::Recorded(version)))
    );

    // An interrupted redrive may send a replay twice. The second copy changes nothing.
    let found = dispositions(&fake, again[..2].to_vec()).await;
    assert!(found.values().all(|disposition| *disposition == "recorded"), "{found:?}");
    assert_eq!(fake.version("a"), 5);
}

#[tokio::test]
async fn a_replay_that_fails_again_keeps_its_place_and_so_do_the_ones_after_it() {
    let fake = Arc::new(Fake::default());
    let sent = messages(&["created@a", "teleported@a", "confirmed@a", "paid@a"]);
    dispositions(&fake, sent.clone()).await;
    let found = dispositions(&fake, sent[1..].iter().cloned().map(replay).collect()).await;
    assert!(found.values().all(|disposition| *disposition == "parked"), "{found:?}");
    let sequence = fake.sequences.lock().unwrap().values().next().cloned().unwrap();
    assert_eq!(sequence, ["teleported@a", "confirmed@a", "paid@a"]);
    assert!(fake.released.lock().unwrap().is_empty());

    // A replay that arrives before its predecessors is parked again.
    let found = dispositions(&fake, vec![replay(sent[2].clone())]).await;
    assert_eq!(found["replay of confirmed@a"], "parked");
    assert_eq!(fake.recorded("a"), ["created"]);
}

#[tokio::test]
async fn a_replay_that_cannot_be_released_is_retried() {
    let mut fake = Arc::new(Fake::default());
    let mut sent = messages(&["created@a", "confirmed@a", "paid@a"]);
    let confirmed = std::mem::replace(&mut sent[1].body, br#"{"data":{"order_id":"a"}}"#.to_vec());
    dispositions(&fake, sent.clone()).await;
    sent[1].body = confirmed;
    let again: Vec<_> = sent[1..].iter().cloned().map(replay).collect();
    Arc::get_mut(&mut fake).unwrap().dead_letters_fail = true;
    let found = dispositions(&fake, again.clone()).await;
    assert!(found.values().all(|disposition| *disposition == "retry"), "{found:?}");

    Arc::get_mut(&mut fake).unwrap().dead_letters_fail = false;
    let found = dispositions(&fake, again).await;
    assert!(found.values().all(|disposition| *disposition == "recorded"), "{found:?}");
    assert_eq!(fake.recorded("a"), ["created", "confirmed", "paid"]);
    assert_eq!(fake.released.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_message_that_fails_on_its_last_delivery_is_parked_with_the_reason_and_its_group_after_it() {
    let fake = Arc::new(Fake { failing: HashSet::from(["a"]), ..Fake::default() });
    let consumer = Consumer { max_receives: Some(3), ..consumer(&fake) };
    let with_count = |count: u32| {
        let count = move |message| Message { receive_count: count, ..message };
        messages(&["confirmed@a", "paid@a", "created@b"]).into_iter().map(count).collect::<Vec<_>>()
    };
    let words = |handled: Vec<HandledMessage>| {
        handled.into_iter().map(|it| (it.message.id, word(&it.disposition))).collect::<BTreeMap<_, _>>()
    };
    let found = words(consumer.handle(with_count(2)).await);
    assert_eq!((found["confirmed@a"], found["paid@a"]), ("retry", "retry"));
    let found = words(consumer.handle(with_count(3)).await);
    assert_eq!((found["confirmed@a"], found["paid@a"], found["created@b"]), ("parked", "parked", "recorded"));
    let dead = fake.dead.lock().unwrap().clone();
    let reasons: Vec<_> = dead.iter().map(|(id, reason, _)| (id.as_str(), *reason)).collect();
    let wanted = [("confirmed@a", ParkReason::TriesExhausted), ("paid@a", ParkReason::BehindParked)];
    assert_eq!(reasons, wanted);
}

#[tokio::test]
async fn a_message_that_cannot_be_parked_is_retried_and_holds_back_its_group() {
    let fake = Arc::new(Fake { dead_letters_fail: true, ..Fake::default() });
    let sent = ["created@a", "teleported@a", "confirmed@a", "created@b"];
    let found = dispositions(&fake, messages(&sent)).await;
    assert_eq!((found["teleported@a"], found["confirmed@a"]), ("retry", "retry"));
    assert_eq!((found["created@a"], found["created@b"]), ("recorded", "recorded"));
}

#[tokio::test]
async fn an_early_event_is_rejected_if_ordered_retried_if_not_and_parked_after_a_parked_event() {
    let ordered = Arc::new(Fake::default());
    assert_eq!(dispositions(&ordered, messages(&["paid@a"])).await["paid@a"], "illegal");

    let unordered = Arc::new(Fake::default());
    let found = dispositions(&unordered, without_order(&["delivered@a", "created@a", "confirmed@a"])).await;
    let wanted = [("delivered@a", "retry"), ("created@a", "recorded"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted), "on a queue without order, only the early message is retried");

    let sequence = (OrderId::parse("a").unwrap(), vec!["letter".to_owned()]);
    let parked = Arc::new(Fake { sequences: Mutex::new([sequence].into()), ..Fake::default() });
    assert_eq!(dispositions(&parked, messages(&["paid@a"])).await["paid@a"], "parked");
    assert_eq!(parked.dead.lock().unwrap()[0].1, ParkReason::BehindParked);
}

fn permutations<'a>(words: &[&'a str]) -> Vec<Vec<&'a str>> {
    if words.is_empty() {
        return vec![Vec::new()];
    }
    let starting_with = |first: usize| {
        let others: Vec<_> = [&words[..first], &words[first + 1..]].concat();
        permutations(&others).into_iter().map(move |rest| [vec![words[first]], rest].concat())
    };
    (0..words.len()).flat_map(starting_with).collect()
}

#[tokio::test]
async fn a_batch_with_all_events_of_an_order_needs_no_second_delivery_whatever_their_order() {
    let life = ["created@a", "confirmed@a", "shipped@a", "delivered@a"];
    let all = permutations(&life);
    assert_eq!(all.len(), 24);
    let version = |id: &str| 1 + life.iter().position(|event| *event == id).unwrap() as u64;
    for sent in all {
        let fake = Arc::new(Fake::default());
        for HandledMessage { message, disposition, .. } in consumer(&fake).handle(without_order(&sent)).await
        {
            assert_eq!(
                disposition,
                Disposition::Recorded(version(&message.id)),
                "{} of {sent:?}",
                message.id
            );
        }
        assert_eq!(fake.recorded("a"), life.map(|event| event.replace("@a", "")), "{sent:?}");
    }
}

#[tokio::test]
async fn an_early_event_is_decided_again_after_the_rest_of_its_batch() {
    // The cancellation and the shipment are both early. Once the cancellation is recorded, the shipment is illegal.
    let fake = Arc::new(Fake::default());
    let sent = ["cancelled@a", "created@b", "shipped@a", "created@a", "confirmed@a", "confirmed@c"];
    let found = dispositions(&fake, without_order(&sent)).await;
    assert_eq!((found["confirmed@c"], found["created@b"]), ("retry", "recorded"));
    assert_eq!(fake.recorded("a"), ["created", "confirmed", "cancelled"]);
    assert_eq!(found["shipped@a"], "illegal");

    // On an ordered queue, an early event is rejected immediately.
    let ordered = Arc::new(Fake::default());
    let found = dispositions(&ordered, messages(&["confirmed@a", "created@a"])).await;
    assert_eq!(found, expected(&[("confirmed@a", "illegal"), ("created@a", "recorded")]));
}

#[tokio::test]
async fn orders_that_share_a_group_get_only_their_own_events() {
    let fake = Arc::new(Fake::default());
    let sent = messages(&["paid@a", "created@b", "created@a", "confirmed@b"]);
    let in_one_group = |message| Message { group: Some("customer".to_owned()), ..message };
    let found = dispositions(&fake, sent.into_iter().map(in_one_group).collect()).await;
    assert_eq!((found["paid@a"], found["created@a"]), ("illegal", "recorded"));
    assert_eq!(fake.recorded("a"), ["created"]);
    assert_eq!(fake.recorded("b"), ["created", "confirmed"]);
}

/// The message ids with their dispositions, in the order of the result.
fn in_order(handled: &[HandledMessage]) -> Vec<(&str, &'static str)> {
    handled.iter().map(|handled| (handled.message.id.as_str(), word(&handled.disposition))).collect()
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_finished_groups_have_their_disposition_and_the_others_are_retried() {
    let fake = Arc::new(Fake { hanging: HashSet::from(["a"]), ..Fake::default() });
    let started = Instant::now();
    let sent = ["created@b", "created@a", "teleported@c", "confirmed@a", "confirmed@b", "paid@c"];
    // The handling runs as a task, because the real callers are tasks of a multi-threaded runtime.
    let consumer = consumer(&fake);
    let handling =
        async move { consumer.handle_until(messages(&sent), started + Duration::from_secs(5)).await };
    let handled = tokio::spawn(handling).await.unwrap();
    let wanted = ["recorded", "retry", "parked", "retry", "recorded", "parked"];
    assert_eq!(in_order(&handled), sent.into_iter().zip(wanted).collect::<Vec<_>>());
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!((fake.version("a"), fake.version("b")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_batch_does_not_wait_for_the_deadline_and_starts_nothing_after_it() {
    let sent: Vec<String> = (0..300).map(|order| format!("created@{order}")).collect();
    let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
    let fake = Arc::new(Fake::default());
    let started = Instant::now();

    let late = consumer(&fake).handle_until(messages(&sent), started).await;
    assert_eq!(in_order(&late), sent.iter().map(|id| (*id, "retry")).collect::<Vec<_>>());
    assert_eq!(fake.version("0"), 0);

    let in_time = consumer(&fake).handle_until(messages(&sent), started + Duration::from_secs(5)).await;
    assert_eq!(in_order(&in_time), sent.iter().map(|id| (*id, "recorded")).collect::<Vec<_>>());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[test]
fn the_backoff_grows_up_to_a_cap() {
    for receives in [1, 2, 3, 4, 5, 50, u32::MAX] {
        let most = 30u64.saturating_mul(1 << receives.saturating_sub(1).min(8)).min(300);
        for _ in 0..100 {
            assert!(consumer::poll::retry_delay(receives).as_secs() <= most, "{receives}");
        }
    }
}
