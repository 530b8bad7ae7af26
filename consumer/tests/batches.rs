//! Batches, given what the log holds and how it fails: what becomes of each message.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use consumer::ports::Message;
use consumer::{Handled, Outcome};
use domain::ParkReason;
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
    // The creation again, under its own id and under another one.
    let mut again = messages(&["created@a", "x@a"]);
    again[1] = Message { id: "other".to_owned(), ..message(7, "created@a") };
    assert_eq!(outcomes(&fake, again).await, expected(&[("created@a", "duplicate"), ("other", "illegal")]));
    assert_eq!(fake.version("a"), 2);
}

#[tokio::test]
async fn an_unreadable_message_is_parked_and_holds_nobody_up() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "teleported@a", "confirmed@a"];
    let found = outcomes(&fake, messages(&sent)).await;
    let wanted = [("created@a", "recorded"), ("teleported@a", "parked"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted));
    let dead = fake.dead.lock().unwrap();
    let [(id, reason, _)] = dead.as_slice() else { panic!("one, not {dead:?}") };
    assert_eq!((id.as_str(), *reason), ("teleported@a", ParkReason::UnknownType));
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

    let parked = Arc::new(Fake { parked_before: 1, ..Fake::default() });
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
    let wanted = ["recorded", "retry", "parked", "retry", "recorded", "illegal"];
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
