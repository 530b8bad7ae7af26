//! The conformance cases for the operators' actions on dead letters: list, repair, redrive and discard.

use api::operations::{DeadLetterChange, DeadLetterFilter, ReplayError};
use consumer::Disposition;
use consumer::ports::ParkRequest;
use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, Envelope, OrderId, ParkReason, RejectReason, Repair, Timestamp};
use uuid::Uuid;

use super::{Backend, QueueOptions, ack, receive_one};
use crate::support::events::{confirmed, eur, new_order_id, paid};

pub fn options(_: &str) -> QueueOptions {
    QueueOptions::default()
}

/// Parks a message for the given reason, as the consumer would. Returns the id of the dead letter.
async fn park(backend: &dyn Backend, group: &OrderId, reason: ParkReason, body: &[u8]) -> String {
    let body = std::str::from_utf8(body).unwrap();
    backend.send(group.as_str(), &Uuid::now_v7().to_string(), body).await;
    let message = receive_one(backend).await;
    let (event, order_id) =
        (Envelope::decode(&message.body, eur()).ok(), domain::identify(&message.body).order_id);
    let detail = "for this test".to_owned();
    let parking = ParkRequest { message: &message, reason, detail, event: event.as_ref(), order_id };
    backend.dead_letters().park(&[parking]).await.remove(0).unwrap();
    backend.archive().await;
    message.dead_letter_id().to_owned()
}

/// The ids of all dead letters that pass the filter, read page by page.
async fn listed(backend: &dyn Backend, filter: &DeadLetterFilter, limit: usize) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let list = backend.letters().letters(filter, after.as_ref(), limit).await.unwrap();
        assert!(list.letters.len() <= limit, "{list:?}");
        ids.extend(ids_of(&list.letters));
        after = list.next;
        if after.is_none() {
            return ids;
        }
    }
}

fn ids_of(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| letter.id.clone()).collect()
}

async fn sequence(backend: &dyn Backend, order_id: &OrderId) -> Vec<String> {
    ids_of(&backend.letters().sequence(order_id, 1000).await.unwrap().letters)
}

async fn letter(backend: &dyn Backend, id: &str) -> DeadLetter {
    backend.letters().letter(id).await.unwrap().unwrap()
}

fn repair() -> Repair {
    Repair { at: Timestamp::parse("2026-11-28T13:00:00Z").unwrap(), by: Some("ada".to_owned()) }
}

fn rejected() -> Disposition {
    Disposition::Rejected(RejectReason::IllegalTransition, "not legal".to_owned())
}

async fn discard(backend: &dyn Backend, id: &str) -> DeadLetterChange {
    let discard = Discard { reason: "paid twice".to_owned(), at: infra::now(), by: None };
    backend.letters().discard(id, discard).await.unwrap()
}

pub async fn dead_letters_are_listed_newest_first(backend: &dyn Backend) {
    let (a, b) = (new_order_id(), new_order_id());
    let first = park(backend, &a, ParkReason::Malformed, paid(&a).encode().split_last().unwrap().1).await;
    let second = park(backend, &b, ParkReason::TriesExhausted, &paid(&b).encode()).await;
    let third = park(backend, &a, ParkReason::BehindParked, &confirmed(&a).encode()).await;
    let noise = park(backend, &b, ParkReason::Malformed, b"noise").await;
    for limit in [1, 3, 10] {
        let all = listed(backend, &DeadLetterFilter::default(), limit).await;
        assert_eq!(all, [&*noise, &third, &second, &first], "with {limit} dead letters per page");
    }
    let of_order = DeadLetterFilter { order_id: Some(a.clone()), ..DeadLetterFilter::default() };
    assert_eq!(listed(backend, &of_order, 1).await, [&*third, &first]);
    let of_reason = DeadLetterFilter { reason: Some(ParkReason::Malformed), ..DeadLetterFilter::default() };
    assert_eq!(listed(backend, &of_reason, 1).await, [&*noise, &first]);
    let at = letter(backend, &third).await.parked_at;
    let before = DeadLetterFilter { parked_before: Some(at), ..DeadLetterFilter::default() };
    assert_eq!(listed(backend, &before, 10).await, [&*second, &first]);
    let from = DeadLetterFilter { parked_from: Some(at), ..DeadLetterFilter::default() };
    assert_eq!(listed(backend, &from, 10).await, [&*noise, &third]);
}

pub async fn a_dead_letter_has_the_details_of_its_message(backend: &dyn Backend) {
    let order_id = new_order_id();
    let payment = paid(&order_id);
    let id = park(backend, &order_id, ParkReason::TriesExhausted, &payment.encode()).await;
    let letter = letter(backend, &id).await;
    assert_eq!((letter.state, letter.reason), (DeadLetterState::Parked, ParkReason::TriesExhausted));
    assert_eq!((letter.detail.as_str(), letter.body.0), ("for this test", payment.encode()));
    assert_eq!((letter.order_id, letter.event_id), (Some(order_id.clone()), Some(payment.event_id)));
    assert_eq!((letter.group.as_deref(), letter.receive_count), (Some(order_id.as_str()), 1));
    assert_eq!((letter.replays, letter.original, letter.discarded), (0, None, None));
    let receipt = backend.reader().receipt(&order_id, payment.event_id).await.unwrap().unwrap();
    assert_eq!(receipt.reason(), Some(("tries_exhausted", "for this test")));
}

pub async fn a_repaired_dead_letter_is_redriven_with_the_repaired_body(backend: &dyn Backend) {
    let order_id = new_order_id();
    let whole = paid(&order_id).encode();
    let cut = &whole[..whole.len() - 4];
    let id = park(backend, &order_id, ParkReason::Malformed, cut).await;
    for _ in 0..2 {
        let DeadLetterChange::Made(repaired) =
            backend.letters().repair(&id, whole.clone(), repair()).await.unwrap()
        else {
            panic!("the dead letter is not parked")
        };
        assert_eq!((&repaired.body.0, &repaired.original.as_ref().unwrap().0[..]), (&whole, cut));
        assert_eq!(repaired.repairs, [repair()], "a second discard changes nothing");
        assert_eq!(letter(backend, &id).await, *repaired);
    }

    backend.letters().replay(&[letter(backend, &id).await]).await.remove(0).unwrap();
    let message = receive_one(backend).await;
    assert_eq!((message.dead_letter_id(), message.replays(), &message.body), (&*id, 1, &whole));
    assert_eq!(message.group.as_deref(), Some(order_id.as_str()));
    let repaired = message.repaired().unwrap();
    assert_eq!((repaired.dead_letter.as_str(), repaired.repairs), (&*id, vec![repair()]));
    assert_eq!((repaired.original.unwrap().0, repaired.original_sha256.len()), (cut.to_vec(), 64));
    let replaying = DeadLetterChange::NotParked(DeadLetterState::Replaying);
    assert_eq!(backend.letters().repair(&id, b"other".to_vec(), repair()).await.unwrap(), replaying);
    assert_eq!(discard(backend, &id).await, replaying);
    assert_eq!(
        sequence(backend, &order_id).await,
        [&*id],
        "the dead letter stays in its sequence until its outcome is known"
    );

    backend.dead_letters().release(&[(&id, &Disposition::Recorded(1))]).await.remove(0).unwrap();
    ack(backend, &[message]).await;
    assert_eq!(backend.letters().letter(&id).await.unwrap(), None);
    assert!(sequence(backend, &order_id).await.is_empty());
    assert!(listed(backend, &DeadLetterFilter::default(), 10).await.is_empty());
}

pub async fn the_parked_sequence_of_an_order_is_redriven_in_order(backend: &dyn Backend) {
    let order_id = new_order_id();
    let bodies = [confirmed(&order_id).encode(), paid(&order_id).encode()];
    let mut ids = Vec::new();
    for body in &bodies {
        ids.push(park(backend, &order_id, ParkReason::BehindParked, body).await);
    }
    assert_eq!(sequence(backend, &order_id).await, ids);
    let letters = backend.letters().sequence(&order_id, 1000).await.unwrap().letters;
    for result in backend.letters().replay(&letters).await {
        result.unwrap();
    }
    for body in &bodies {
        let message = receive_one(backend).await;
        assert_eq!(&message.body, body);
        backend.dead_letters().release(&[(message.dead_letter_id(), &rejected())]).await.remove(0).unwrap();
        ack(backend, &[message]).await;
    }
    assert!(sequence(backend, &order_id).await.is_empty());
}

pub async fn a_dead_letter_parked_again_after_a_redrive_keeps_its_id_and_place(backend: &dyn Backend) {
    let order_id = new_order_id();
    let first = park(backend, &order_id, ParkReason::TriesExhausted, &confirmed(&order_id).encode()).await;
    let second = park(backend, &order_id, ParkReason::BehindParked, &paid(&order_id).encode()).await;
    backend.letters().replay(&[letter(backend, &first).await]).await.remove(0).unwrap();

    let message = receive_one(backend).await;
    let event = Envelope::decode(&message.body, eur()).unwrap();
    let (reason, detail) = (ParkReason::Invalid, "once more".to_owned());
    let parking = ParkRequest {
        message: &message,
        reason,
        detail,
        event: Some(&event),
        order_id: Some(order_id.clone()),
    };
    backend.dead_letters().park(&[parking]).await.remove(0).unwrap();
    backend.archive().await;
    let again = letter(backend, &first).await;
    assert_eq!((again.state, again.reason, again.replays), (DeadLetterState::Parked, ParkReason::Invalid, 1));
    assert_eq!(sequence(backend, &order_id).await, [first, second]);
}

pub async fn a_discarded_dead_letter_is_kept_and_its_receipt_has_the_reason(backend: &dyn Backend) {
    let order_id = new_order_id();
    let payment = paid(&order_id);
    let id = park(backend, &order_id, ParkReason::TriesExhausted, &payment.encode()).await;
    let next = park(backend, &order_id, ParkReason::BehindParked, &confirmed(&order_id).encode()).await;
    assert!(matches!(discard(backend, &id).await, DeadLetterChange::Made(_)));

    assert_eq!(
        sequence(backend, &order_id).await,
        [&*next],
        "the next dead letter is now the first of the sequence"
    );
    assert_eq!(listed(backend, &DeadLetterFilter::default(), 10).await, [next]);
    let discarded =
        DeadLetterFilter { state: Some(DeadLetterState::Discarded), ..DeadLetterFilter::default() };
    assert_eq!(listed(backend, &discarded, 10).await, [&*id]);
    let kept = letter(backend, &id).await;
    assert_eq!(
        (kept.state, kept.discarded.as_ref().unwrap().reason.as_str()),
        (DeadLetterState::Discarded, "paid twice")
    );
    let receipt = backend.reader().receipt(&order_id, payment.event_id).await.unwrap().unwrap();
    assert_eq!(receipt.reason(), Some(("discarded", "paid twice")));

    assert_eq!(discard(backend, &id).await, DeadLetterChange::NotParked(DeadLetterState::Discarded));
    let replayed = backend.letters().replay(&[kept]).await.remove(0);
    assert!(matches!(replayed, Err(ReplayError::Gone)), "{replayed:?}");
}

pub async fn concurrent_changes_are_made_once_or_not_at_all(backend: &dyn Backend) {
    let order_id = new_order_id();
    for _ in 0..10 {
        let payment = paid(&order_id);
        let id = park(backend, &order_id, ParkReason::TriesExhausted, &payment.encode()).await;
        let letters = [letter(backend, &id).await];
        let store = backend.letters();
        let replay = async || store.replay(&letters).await.remove(0);
        let (one, other, first, second) =
            tokio::join!(discard(backend, &id), discard(backend, &id), replay(), replay());
        let discarded =
            [&one, &other].into_iter().filter(|change| matches!(change, DeadLetterChange::Made(_))).count();
        let receipt = backend.reader().receipt(&order_id, payment.event_id).await.unwrap().unwrap();
        if discarded > 0 {
            assert_eq!(discarded, 1, "{one:?}, {other:?}");
            assert!(matches!((&first, &second), (Err(ReplayError::Gone), Err(ReplayError::Gone))));
            assert_eq!(receipt.reason(), Some(("discarded", "paid twice")));
        } else {
            let replaying = DeadLetterChange::NotParked(DeadLetterState::Replaying);
            assert_eq!([&one, &other], [&replaying; 2]);
            assert!(first.is_ok() && second.is_ok(), "{first:?}, {second:?}");
            assert_eq!(receipt.reason().unwrap().0, "tries_exhausted");
            let message = receive_one(backend).await;
            backend.dead_letters().release(&[(&id, &rejected())]).await.remove(0).unwrap();
            ack(backend, &[message]).await;
        }
        assert!(sequence(backend, &order_id).await.is_empty());
        let counters = backend.pipeline().counters().await.unwrap();
        assert_eq!((counters.dead_letters, counters.ledger.parked, counters.queued()), (0, 0, 0));
    }
}

pub async fn an_unknown_dead_letter_is_missing(backend: &dyn Backend) {
    let (letters, order_id) = (backend.letters(), new_order_id());
    assert_eq!(letters.letter("nobody").await.unwrap(), None);
    assert!(sequence(backend, &order_id).await.is_empty());
    assert!(listed(backend, &DeadLetterFilter::default(), 10).await.is_empty());
    assert_eq!(letters.repair("nobody", b"{}".to_vec(), repair()).await.unwrap(), DeadLetterChange::Missing);
    assert_eq!(discard(backend, "nobody").await, DeadLetterChange::Missing);
    let letter =
        DeadLetter::new("nobody", b"{}".to_vec(), ParkReason::Malformed, String::new(), infra::now());
    let replayed = letters.replay(&[letter]).await.remove(0);
    assert!(matches!(replayed, Err(ReplayError::Gone)), "{replayed:?}");
}
