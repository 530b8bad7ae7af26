//! Dead letters that are not to happen.

use domain::dead_letter::Discard;
use domain::{DeadLetter, LetterState, ParkReason, Timestamp};

use crate::given::time;

const ID: &str = "67b14061-d374-596c-8bae-eab8d8c762d6";

fn now() -> Timestamp {
    time("2026-11-23T10:00:00Z")
}

/// A confirmation of order `o`, from a request with this hash if it has one.
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

#[test]
fn whoever_holds_the_receipt_of_what_is_discarded_is_told_why() {
    let mut letter = letter(&confirmation(ID, Some("5a")));
    let receipt = letter.discard(discard()).unwrap();
    assert_eq!((letter.state, letter.discarded), (LetterState::Discarded, Some(discard())));
    assert_eq!((receipt.order_id.as_str(), receipt.event_id.to_string().as_str()), ("o", ID));
    assert_eq!(receipt.reason(), Some(("discarded", "not wanted")));
    assert_eq!((receipt.request_hash.as_deref(), receipt.message.as_deref()), (Some("5a"), Some("m")));
}

#[test]
fn the_request_is_known_through_a_repair_unless_that_made_another_event_of_it() {
    let sent = confirmation(ID, Some("5a"));
    for (repaired, hash) in [
        (confirmation(ID, None), Some("5a")),
        (confirmation("00000000-0000-7000-8000-000000000001", None), None),
    ] {
        let mut letter = letter(&sent);
        letter.repair(repaired.into_bytes());
        assert_eq!(letter.discard(discard()).unwrap().request_hash.as_deref(), hash);
    }
    // It was cut off on its way.
    assert_eq!(
        letter(&sent[..sent.len() - 2]).discard(discard()).unwrap().request_hash.as_deref(),
        Some("5a")
    );
}

#[test]
fn what_nobody_can_hold_a_receipt_of_has_none() {
    let known = confirmation(ID, None);
    for unknown in [
        "noise",
        &known.replace("order_confirmed", "order_blessed"),
        &known.replace("\"o\"", "7"),
        &known.replace(ID, "x"),
    ] {
        let mut letter = letter(unknown);
        assert_eq!(letter.discard(discard()), None, "{unknown}");
        assert_eq!(letter.state, LetterState::Discarded);
    }
}
