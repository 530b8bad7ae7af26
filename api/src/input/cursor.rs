//! Cursors: where the next page of a list begins. Cursors are opaque to clients and contain only characters that need
//! no escaping in a URL. The handlers of lists write them, and the queries read them.
//!
//! A cursor belongs to one list. The text that identifies the list is the scope of the cursor. The cursor contains a
//! checksum over the scope and the position. So a cursor that was cut off, changed or used for another list is refused
//! and never leads to a wrong page. The checksum does not prevent forgery. Forgery is harmless: a forged cursor shows
//! only what the client may see in any case.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{EventId, OrderId};
use sha2::{Digest, Sha256};

use crate::operations::{DeadLetterFilter, DeadLetterPosition};
use crate::ports::OrderPosition;
use crate::ports::feed::FeedCursor;

/// The length of the checksum, in bytes.
const CHECKSUM: usize = 8;
/// The scope of the cursors of the feed. The scope contains no filter, so a reader may change its filter at any place.
const FEED: &str = "feed";

/// The cursor of the page that begins after `version`.
pub(crate) fn after_version(version: u64, scope: &str) -> String {
    seal(&format!("v{version}"), scope)
}

/// The version in a cursor that [`after_version`] has written. `None` if the cursor is not valid for the scope.
pub(crate) fn read_version(cursor: &str, scope: &str) -> Option<u64> {
    digits(open(cursor, scope)?.strip_prefix('v')?)?.parse().ok()
}

/// The cursor of the page that begins after the receipt of this event.
pub(crate) fn after_receipt(event_id: EventId, scope: &str) -> String {
    seal(&format!("r{event_id}"), scope)
}

/// The event in a cursor that [`after_receipt`] has written. `None` if the cursor is not valid for the scope.
pub(crate) fn read_receipt(cursor: &str, scope: &str) -> Option<EventId> {
    open(cursor, scope)?.strip_prefix('r')?.parse().ok()
}

/// The cursor of the page that begins after `position` in a list of orders.
pub(crate) fn after_order(position: &OrderPosition, scope: &str) -> String {
    seal(&format!("{}.{}", position.at_micros, position.order_id), scope)
}

/// The position in a cursor that [`after_order`] has written. `None` if the cursor is not valid for the scope.
pub(crate) fn read_order(cursor: &str, scope: &str) -> Option<OrderPosition> {
    let place = open(cursor, scope)?;
    let (micros, order_id) = place.split_once('.')?;
    digits(micros.strip_prefix('-').unwrap_or(micros))?;
    Some(OrderPosition { at_micros: micros.parse().ok()?, order_id: OrderId::parse(order_id).ok()? })
}

/// The cursor of the page that begins after `position` in a list of dead letters.
pub(crate) fn after_dead_letter(position: &DeadLetterPosition, scope: &str) -> String {
    seal(&format!("d{}", position.key), scope)
}

/// The position in a cursor that [`after_dead_letter`] has written. `None` if the cursor is not valid for the scope.
pub(crate) fn read_dead_letter(cursor: &str, scope: &str) -> Option<DeadLetterPosition> {
    Some(DeadLetterPosition { key: open(cursor, scope)?.strip_prefix('d')?.to_owned() })
}

/// The cursor for the events after `place` in the feed. Readers keep such cursors for years, so this text must never
/// change.
pub(crate) fn after_event(place: &FeedCursor) -> String {
    let positions: Vec<_> = place.0.iter().map(u64::to_string).collect();
    seal(&format!("f{}", positions.join(".")), FEED)
}

/// The place in a cursor that [`after_event`] has written. `None` if the cursor is not valid.
pub(crate) fn read_feed(cursor: &str) -> Option<FeedCursor> {
    let place = open(cursor, FEED)?;
    let positions = place.strip_prefix('f')?.split('.').map(|position| digits(position)?.parse().ok());
    positions.collect::<Option<_>>().map(FeedCursor)
}

/// The cursor of the page that begins after `place` in a list of deliveries.
pub(crate) fn after_delivery(place: &str, scope: &str) -> String {
    seal(&format!("w{place}"), scope)
}

/// The place in a cursor that [`after_delivery`] has written. `None` if the cursor is not valid for the scope.
pub(crate) fn read_delivery(cursor: &str, scope: &str) -> Option<String> {
    open(cursor, scope)?.strip_prefix('w').map(str::to_owned)
}

/// The text that represents a filter in the scope of a cursor. This text must never change, because the
/// cursors that clients hold depend on it. The text is written out here, so that renaming a type does not change it.
pub(crate) fn filter_text(filter: &DeadLetterFilter) -> String {
    let DeadLetterFilter { state, reason, order_id, parked_from, parked_before } = filter;
    format!(
        "LetterFilter {{ state: {state:?}, reason: {reason:?}, order_id: {order_id:?}, parked_from: {parked_from:?}, \
         parked_before: {parked_before:?} }}"
    )
}

fn seal(place: &str, scope: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode([checksum(place, scope).as_slice(), place.as_bytes()].concat())
}

fn open(cursor: &str, scope: &str) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (sum, place) = bytes.split_at_checked(CHECKSUM)?;
    let place = std::str::from_utf8(place).ok()?;
    (sum == checksum(place, scope)).then(|| place.to_owned())
}

fn checksum(place: &str, scope: &str) -> [u8; CHECKSUM] {
    let hash =
        Sha256::new().chain_update("cursor 1\n").chain_update(place).chain_update("\n").chain_update(scope);
    *hash.finalize().first_chunk().expect("a SHA-256 hash is longer than the checksum")
}

/// Returns the text if it contains only digits. `parse` alone would also accept a sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
}

#[cfg(test)]
mod tests {
    use domain::{DeadLetterState, ParkReason, Timestamp};

    use super::*;

    #[test]
    fn cursors_are_read_as_they_were_written() {
        for n in [0, 1, u64::MAX] {
            assert_eq!(read_version(&after_version(n, "a"), "a"), Some(n));
        }
        for at_micros in [i64::MIN, -1, 0, 1_795_431_600_000_000] {
            let order_id = OrderId::parse("a_b-C").unwrap();
            let at = OrderPosition { at_micros, order_id };
            assert_eq!(read_order(&after_order(&at, "a"), "a"), Some(at));
        }
    }

    #[test]
    fn the_text_of_a_filter_never_changes() {
        let filter = DeadLetterFilter {
            state: Some(DeadLetterState::Parked),
            reason: Some(ParkReason::Invalid),
            order_id: Some(OrderId::parse("o-1").unwrap()),
            parked_from: Some(Timestamp::parse("2026-11-23T10:00:00Z").unwrap()),
            parked_before: None,
        };
        assert_eq!(
            filter_text(&filter),
            "LetterFilter { state: Some(Parked), reason: Some(Invalid), order_id: Some(OrderId(\"o-1\")), \
             parked_from: Some(Timestamp(2026-11-23T10:00:00Z)), parked_before: None }"
        );
    }

    #[test]
    fn the_text_of_a_feed_cursor_never_changes() {
        for (positions, text) in [
            (vec![0], "4cy-vgkfiEBmMA"),
            (vec![1_234_567], "OP7hjRJsjyZmMTIzNDU2Nw"),
            (vec![7, 0, u64::MAX], "jhYL3bQXgxxmNy4wLjE4NDQ2NzQ0MDczNzA5NTUxNjE1"),
        ] {
            let place = FeedCursor(positions);
            assert_eq!(after_event(&place), text);
            assert_eq!(read_feed(text), Some(place));
        }
        for place in ["f", "f1.", "f.1", "f-1", "f+1", "1", "f18446744073709551616"] {
            assert_eq!(read_feed(&seal(place, FEED)), None, "{place}");
        }
        assert_eq!(read_feed(&seal("f1", "other")), None);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        assert_eq!(read_version(&after_version(1, "a"), "b"), None);
        let at = OrderPosition { at_micros: 1, order_id: OrderId::parse("o").unwrap() };
        assert_eq!(read_order(&after_order(&at, "a"), "b"), None);
        assert_eq!(read_order(&after_version(1, "a"), "a"), None);
    }

    #[test]
    fn a_changed_cursor_is_refused() {
        let cursor = after_version(17, "a");
        for place in 0..cursor.len() {
            for other in ['A', 'z', '_', '!', 'é'] {
                let mut changed: Vec<char> = cursor.chars().collect();
                changed[place] = other;
                let changed: String = changed.into_iter().collect();
                assert!(changed == cursor || read_version(&changed, "a") != Some(17), "{changed}");
            }
            assert_eq!(read_version(&cursor[..place], "a"), None);
        }
        for cursor in ["", "v", "1", "v1", "dg"] {
            assert_eq!(read_version(cursor, ""), None, "{cursor:?}");
        }
    }
}
