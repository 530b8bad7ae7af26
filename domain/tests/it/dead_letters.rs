//! Tests dead letters: repairs, discards, and the JSON that each version of this program wrote.

use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, MessageBody, ParkReason, Repair, Timestamp};

use serde_json::{Value, json};

use crate::given::time;

const ID: &str = "67b14061-d374-596c-8bae-eab8d8c762d6";

fn now() -> Timestamp {
    time("2026-11-23T10:00:00Z")
}

/// A message that confirms order `o`, with the request hash `hash` or without any.
fn confirmation(event_id: &str, hash: Option<&str>) -> String {
    let hash = hash.map(|hash| format!(r#","request_hash":"{hash}""#)).unwrap_or_default();
    format!(r#"{{"event_id":"{event_id}","type":"order_confirmed"{hash},"data":{{"order_id":"o"}}}}"#)
}

fn letter(body: &str) -> DeadLetter {
    DeadLetter::new("m", body.as_bytes().to_vec(), ParkReason::BehindParked, String::new(), now())
}

fn discard() -> Discard {
    Discard { reason: "not wanted".to_owned(), at: now(), by: None }
}

fn repair(by: Option<&str>) -> Repair {
    Repair { at: now(), by: by.map(str::to_owned) }
}

#[test]
fn dead_letters_of_every_version_are_read_and_written_unchanged() {
    let corpus = include_str!("../../../tests/fixtures/golden/letters.jsonl");
    let written: Vec<Value> = corpus.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let read: Vec<DeadLetter> = corpus.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states = [
        DeadLetterState::Parked,
        DeadLetterState::Discarded,
        DeadLetterState::Parked,
        DeadLetterState::Parked,
    ];
    assert_eq!(read.iter().map(|letter| letter.state).collect::<Vec<_>>(), states);
    for (mut line, letter) in written.into_iter().zip(&read) {
        // Older versions of the program did not write these members. The current version reads a missing
        // member as the value below.
        for (member, absent) in [
            ("state", json!("parked")),
            ("origin", json!("")),
            ("receive_count", json!(0)),
            ("replays", json!(0)),
        ] {
            line.as_object_mut().unwrap().entry(member).or_insert(absent);
        }
        assert_eq!(serde_json::to_value(letter).unwrap(), line);
    }
    assert_eq!(read[0].repairs, [], "the old version that repaired the dead letter wrote no list of repairs");
    assert_eq!(read[3].repairs[1].by.as_deref(), Some("https://issuer|ada"));
}

#[test]
fn every_repair_is_listed_and_the_original_body_is_kept() {
    let mut letter = letter("first");
    letter.repair(b"second".to_vec(), repair(Some("ada")));
    letter.repair(b"second".to_vec(), repair(Some("the author of a repair that changes nothing")));
    letter.repair(b"third".to_vec(), repair(None));
    assert_eq!(letter.repairs, [repair(Some("ada")), repair(None)]);
    assert_eq!(
        (letter.body, letter.original),
        (MessageBody(b"third".to_vec()), Some(MessageBody(b"first".to_vec())))
    );
}

#[test]
fn the_first_and_the_latest_of_many_repairs_are_listed() {
    let mut letter = letter("first");
    for number in 0..30 {
        letter.repair(format!("{number}").into_bytes(), repair(Some(&number.to_string())));
    }
    let by: Vec<_> = letter.repairs.iter().map(|repair| repair.by.clone().unwrap()).collect();
    assert_eq!((by.len(), by[0].as_str(), by[1].as_str(), by[19].as_str()), (20, "0", "11", "29"));
}

#[test]
fn the_receipt_of_a_discarded_event_contains_the_reason() {
    let mut letter = letter(&confirmation(ID, Some("5a")));
    let receipt = letter.discard(discard()).unwrap();
    assert_eq!((letter.state, letter.discarded), (DeadLetterState::Discarded, Some(discard())));
    assert_eq!((receipt.order_id.as_str(), receipt.event_id.to_string().as_str()), ("o", ID));
    assert_eq!(receipt.reason(), Some(("discarded", "not wanted")));
    assert_eq!((receipt.request_hash.as_deref(), receipt.message.as_deref()), (Some("5a"), Some("m")));
}

#[test]
fn a_repair_keeps_the_request_hash_unless_it_changes_the_event_id() {
    let sent = confirmation(ID, Some("5a"));
    for (repaired, hash) in [
        (confirmation(ID, None), Some("5a")),
        (confirmation("00000000-0000-7000-8000-000000000001", None), None),
    ] {
        let mut letter = letter(&sent);
        letter.repair(repaired.into_bytes(), repair(None));
        assert_eq!(letter.discard(discard()).unwrap().request_hash.as_deref(), hash);
    }
    // The request hash is found even in a truncated body.
    assert_eq!(
        letter(&sent[..sent.len() - 2]).discard(discard()).unwrap().request_hash.as_deref(),
        Some("5a")
    );
}

#[test]
fn a_discarded_letter_without_a_known_event_has_no_receipt() {
    let known = confirmation(ID, None);
    for unknown in [
        "noise",
        &known.replace("order_confirmed", "order_blessed"),
        &known.replace("\"o\"", "7"),
        &known.replace(ID, "x"),
    ] {
        let mut letter = letter(unknown);
        assert_eq!(letter.discard(discard()), None, "{unknown}");
        assert_eq!(letter.state, DeadLetterState::Discarded);
    }
}
