//! Batches, given what the log holds and how it fails: what becomes of each message.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consumer::ports::{DEAD_LETTER, End, Message, REPLAYS};
use consumer::{Consumer, Handled, Outcome};
use domain::{OrderId, ParkReason, Timestamp};
use support::{Fake, consumer, message, messages, word};
use tokio::time::Instant;

/// Handles the messages, and tells in a word what became of each.
async fn outcomes(fake: &Arc<Fake>, messages: Vec<Message>) -> BTreeMap<String, &'static str> {
    let handled = consumer(fake).handle(messages).await;
    handled.into_iter().map(|handled| (handled.message.id, word(&handled.outcome))).collect()
}

/// The messages as they come from a queue without order.
fn without_order(what: &[&str]) -> Vec<Message> {
    messages(what).into_iter().map(|message| Message { group: None, ..message }).collect()
}

fn expected(pairs: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    pairs.iter().map(|(id, outcome)| ((*id).to_owned(), *outcome)).collect()
}

#[tokio::test]
async fn a_batch_takes_orders_through_several_events_at_once_without_loading_new_ones() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "created@b", "confirmed@a", "delivered@a", "paid@a"];
    let found = outcomes(&fake, messages(&sent)).await;
    let wanted = [
        ("created@a", "recorded"),
        ("created@b", "recorded"),
        ("confirmed@a", "recorded"),
        ("delivered@a", "illegal"),
        ("paid@a", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    assert_eq!((fake.version("a"), fake.version("b")), (3, 1));
    assert_eq!(*fake.loads.lock().unwrap(), 0, "an order that is created here needs no loading");
    assert_eq!(fake.settled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_clock_that_was_set_back_puts_no_event_before_the_one_it_follows() {
    let fake = Arc::new(Fake::default());
    let recorded_at = |fake: &Fake| fake.orders.lock().unwrap().values().next().unwrap().0.recorded_at;
    outcomes(&fake, messages(&["created@a"])).await;
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
    let found = outcomes(&fake, messages(&sent)).await;
    let wanted = [
        ("created@a", "retry"),
        ("confirmed@a", "retry"),
        ("refunded@a", "retry"),
        ("created@b", "recorded"),
        ("confirmed@b", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    assert!(fake.settled.lock().unwrap().is_empty(), "what comes behind a failure is not decided");
}

#[tokio::test]
async fn an_order_that_exists_already_is_loaded_after_the_conflict() {
    let fake = Arc::new(Fake::default());
    outcomes(&fake, messages(&["created@a", "confirmed@a"])).await;
    // The creation again: the same message, its event in another message, and another event.
    let mut again = messages(&["created@a", "created@a", "x@a"]);
    again[1].id = "copy".to_owned();
    again[1].body = again[0].body.clone();
    again[2] = Message { id: "other".to_owned(), ..message(7, "created@a") };
    let wanted = [("created@a", "recorded"), ("copy", "duplicate"), ("other", "illegal")];
    assert_eq!(outcomes(&fake, again).await, expected(&wanted));
    assert_eq!(fake.version("a"), 2);
}

#[tokio::test]
async fn behind_an_unreadable_message_its_order_is_parked_in_line_and_no_other() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "teleported@a", "confirmed@a", "created@b", "paid@a", "confirmed@b"];
    let in_one_group = |message| Message { group: Some("customer".to_owned()), ..message };
    let found = outcomes(&fake, messages(&sent).into_iter().map(in_one_group).collect()).await;
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
    assert_eq!(dead, wanted, "in line as they came");

    // What comes later stands behind them, unless it can never become legal.
    let found = outcomes(&fake, vec![message(10, "shipped@a"), message(11, "created@a")]).await;
    assert_eq!((found["shipped@a"], found["created@a"]), ("parked", "illegal"));
}

#[tokio::test]
async fn an_unreadable_message_without_an_order_holds_nobody_up() {
    let fake = Arc::new(Fake::default());
    let mut sent = messages(&["created@a", "noise@a", "confirmed@a"]);
    sent[1].body = b"{ not an event".to_vec();
    let found = outcomes(&fake, sent).await;
    let wanted = [("created@a", "recorded"), ("noise@a", "parked"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted));
}

/// The message as a redrive sends it.
fn replay(message: Message) -> Message {
    let attributes = [(DEAD_LETTER.to_owned(), message.id.clone()), (REPLAYS.to_owned(), "1".to_owned())];
    Message { attributes: attributes.into(), id: format!("replay of {}", message.id), ..message }
}

#[tokio::test]
async fn replays_are_recorded_in_line_and_released_and_what_is_new_goes_on_behind_them() {
    let fake = Arc::new(Fake::default());
    let mut sent = messages(&["created@a", "confirmed@a", "paid@a", "shipped@a", "delivered@a"]);
    let broken = std::mem::replace(&mut sent[2].body, br#"{"data":{"order_id":"a"}}"#.to_vec());
    outcomes(&fake, sent[..4].to_vec()).await;
    assert_eq!(fake.recorded("a"), ["created", "confirmed"]);

    sent[2].body = broken;
    let again = [replay(sent[2].clone()), replay(sent[3].clone()), sent[4].clone()];
    let found = outcomes(&fake, again.to_vec()).await;
    assert!(found.values().all(|outcome| *outcome == "recorded"), "{found:?}");
    assert_eq!(fake.recorded("a"), ["created", "confirmed", "paid", "shipped", "delivered"]);
    let released = fake.released.lock().unwrap().clone();
    assert_eq!(released, ["paid@a", "shipped@a"].map(|id| (id.to_owned(), End::Recorded)));

    // A second copy of a replay, as an interrupted redrive leaves it, changes nothing.
    let found = outcomes(&fake, again[..2].to_vec()).await;
    assert!(found.values().all(|outcome| *outcome == "recorded"), "{found:?}");
    assert_eq!(fake.version("a"), 5);
}

#[tokio::test]
async fn a_replay_that_fails_again_keeps_its_place_and_those_behind_it_theirs() {
    let fake = Arc::new(Fake::default());
    let sent = messages(&["created@a", "teleported@a", "confirmed@a", "paid@a"]);
    outcomes(&fake, sent.clone()).await;
    let found = outcomes(&fake, sent[1..].iter().cloned().map(replay).collect()).await;
    assert!(found.values().all(|outcome| *outcome == "parked"), "{found:?}");
    let line = fake.lines.lock().unwrap().values().next().cloned().unwrap();
    assert_eq!(line, ["teleported@a", "confirmed@a", "paid@a"]);
    assert!(fake.released.lock().unwrap().is_empty());

    // A replay that overtakes its line is put back.
    let found = outcomes(&fake, vec![replay(sent[2].clone())]).await;
    assert_eq!(found["replay of confirmed@a"], "parked");
    assert_eq!(fake.recorded("a"), ["created"]);
}

#[tokio::test]
async fn a_replay_that_cannot_be_released_is_not_done() {
    let mut fake = Arc::new(Fake::default());
    let mut sent = messages(&["created@a", "confirmed@a", "paid@a"]);
    let confirmed = std::mem::replace(&mut sent[1].body, br#"{"data":{"order_id":"a"}}"#.to_vec());
    outcomes(&fake, sent.clone()).await;
    sent[1].body = confirmed;
    let again: Vec<_> = sent[1..].iter().cloned().map(replay).collect();
    Arc::get_mut(&mut fake).unwrap().dead_letters_fail = true;
    let found = outcomes(&fake, again.clone()).await;
    assert!(found.values().all(|outcome| *outcome == "retry"), "{found:?}");

    Arc::get_mut(&mut fake).unwrap().dead_letters_fail = false;
    let found = outcomes(&fake, again).await;
    assert!(found.values().all(|outcome| *outcome == "recorded"), "{found:?}");
    assert_eq!(fake.recorded("a"), ["created", "confirmed", "paid"]);
    assert_eq!(fake.released.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_fails_the_last_time_is_parked_with_the_reason_and_its_group_behind_it() {
    let fake = Arc::new(Fake { failing: HashSet::from(["a"]), ..Fake::default() });
    let consumer = Consumer { max_receives: Some(3), ..consumer(&fake) };
    let with_count = |count: u32| {
        let count = move |message| Message { receive_count: count, ..message };
        messages(&["confirmed@a", "paid@a", "created@b"]).into_iter().map(count).collect::<Vec<_>>()
    };
    let words = |handled: Vec<Handled>| {
        handled.into_iter().map(|it| (it.message.id, word(&it.outcome))).collect::<BTreeMap<_, _>>()
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
async fn what_cannot_be_parked_stays_and_holds_back_its_group() {
    let fake = Arc::new(Fake { dead_letters_fail: true, ..Fake::default() });
    let sent = ["created@a", "teleported@a", "confirmed@a", "created@b"];
    let found = outcomes(&fake, messages(&sent)).await;
    assert_eq!((found["teleported@a"], found["confirmed@a"]), ("retry", "retry"));
    assert_eq!((found["created@a"], found["created@b"]), ("recorded", "recorded"));
}

#[tokio::test]
async fn an_early_event_is_rejected_in_order_retried_without_and_parked_behind_parked_ones() {
    let ordered = Arc::new(Fake::default());
    assert_eq!(outcomes(&ordered, messages(&["paid@a"])).await["paid@a"], "illegal");

    let unordered = Arc::new(Fake::default());
    let found = outcomes(&unordered, without_order(&["shipped@a", "created@a", "confirmed@a"])).await;
    let wanted = [("shipped@a", "retry"), ("created@a", "recorded"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted), "a queue without order fails message by message");

    let line = (OrderId::parse("a").unwrap(), vec!["letter".to_owned()]);
    let parked = Arc::new(Fake { lines: Mutex::new([line].into()), ..Fake::default() });
    assert_eq!(outcomes(&parked, messages(&["paid@a"])).await["paid@a"], "parked");
    assert_eq!(parked.dead.lock().unwrap()[0].1, ParkReason::BehindParked);
}

/// All orders that `words` can be in.
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
async fn without_order_a_batch_that_has_all_of_an_order_needs_no_second_delivery() {
    let life = ["created@a", "confirmed@a", "paid@a", "shipped@a"];
    let all = permutations(&life);
    assert_eq!(all.len(), 24);
    let version = |id: &str| 1 + life.iter().position(|event| *event == id).unwrap() as u64;
    for sent in all {
        let fake = Arc::new(Fake::default());
        for Handled { message, outcome } in consumer(&fake).handle(without_order(&sent)).await {
            assert_eq!(outcome, Outcome::Recorded(version(&message.id)), "{} of {sent:?}", message.id);
        }
        assert_eq!(fake.recorded("a"), life.map(|event| event.replace("@a", "")), "{sent:?}");
    }
}

#[tokio::test]
async fn what_was_early_is_decided_after_the_rest_of_its_batch() {
    // The cancellation and the payment are both early; the first of them leaves no place for the second.
    let fake = Arc::new(Fake::default());
    let sent = ["cancelled@a", "created@b", "paid@a", "created@a", "confirmed@a", "confirmed@c"];
    let found = outcomes(&fake, without_order(&sent)).await;
    assert_eq!((found["confirmed@c"], found["created@b"]), ("retry", "recorded"));
    assert_eq!(fake.recorded("a"), ["created", "confirmed", "cancelled"]);
    assert_eq!(found["paid@a"], "illegal");

    // In order, what is early is rejected there and then.
    let ordered = Arc::new(Fake::default());
    let found = outcomes(&ordered, messages(&["confirmed@a", "created@a"])).await;
    assert_eq!(found, expected(&[("confirmed@a", "illegal"), ("created@a", "recorded")]));
}

#[tokio::test]
async fn orders_that_share_a_group_get_each_their_own_events() {
    let fake = Arc::new(Fake::default());
    let sent = messages(&["paid@a", "created@b", "created@a", "confirmed@b"]);
    let in_one_group = |message| Message { group: Some("customer".to_owned()), ..message };
    let found = outcomes(&fake, sent.into_iter().map(in_one_group).collect()).await;
    assert_eq!((found["paid@a"], found["created@a"]), ("illegal", "recorded"));
    assert_eq!(fake.recorded("a"), ["created"]);
    assert_eq!(fake.recorded("b"), ["created", "confirmed"]);
}

/// The ids with the outcomes, in the order that they came back in.
fn in_order(handled: &[Handled]) -> Vec<(&str, &'static str)> {
    handled.iter().map(|handled| (handled.message.id.as_str(), word(&handled.outcome))).collect()
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_groups_that_are_done_have_their_outcome_and_the_others_are_retried() {
    let fake = Arc::new(Fake { hanging: HashSet::from(["a"]), ..Fake::default() });
    let started = Instant::now();
    let sent = ["created@b", "created@a", "teleported@c", "confirmed@a", "confirmed@b", "paid@c"];
    // Spawned, for callers that are tasks of a runtime with many threads.
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
async fn before_the_deadline_nothing_is_waited_for_and_after_it_nothing_is_started() {
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
fn retries_wait_longer_each_time_up_to_a_cap() {
    for receives in [1, 2, 3, 4, 5, 50, u32::MAX] {
        let most = 30u64.saturating_mul(1 << receives.saturating_sub(1).min(8)).min(300);
        for _ in 0..100 {
            assert!(consumer::poll::retry_delay(receives).as_secs() <= most, "{receives}");
        }
    }
}
