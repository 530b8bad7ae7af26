//! Cursors: where the next page of a list begins. Cursors are opaque to clients and contain only characters that need
//! no escaping in a URL. The handlers of lists write them, and the queries read them.
//!
//! A cursor belongs to one list, which is its scope. The cursor ends with a checksum over the scope and the position.
//! So a cursor that was cut off, changed or used for another list is an error and never leads to a wrong page. The
//! checksum does not prevent forgery, and need not: a forged cursor shows only what the client may see anyway.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::OrderId;
use sha2::{Digest, Sha256};

use crate::operations::{DeadLetterFilter, DeadLetterPosition};
use crate::ports::OrderPosition;

/// The length of the checksum, in bytes.
const CHECKSUM: usize = 8;

/// The cursor for the events after this version.
pub(crate) fn after_version(version: u64, scope: &str) -> String {
    seal(&format!("v{version}"), scope)
}

/// Reads a cursor of [`after_version`].
pub(crate) fn read_version(cursor: &str, scope: &str) -> Option<u64> {
    digits(open(cursor, scope)?.strip_prefix('v')?)?.parse().ok()
}

/// The cursor for the orders after this position in a list.
pub(crate) fn after_order(position: &OrderPosition, scope: &str) -> String {
    seal(&format!("{}.{}", position.at_micros, position.order_id), scope)
}

/// Reads a cursor of [`after_order`].
pub(crate) fn read_order(cursor: &str, scope: &str) -> Option<OrderPosition> {
    let place = open(cursor, scope)?;
    let (micros, order_id) = place.split_once('.')?;
    digits(micros.strip_prefix('-').unwrap_or(micros))?;
    Some(OrderPosition { at_micros: micros.parse().ok()?, order_id: OrderId::parse(order_id).ok()? })
}

/// The cursor for the dead letters after this position.
pub(crate) fn after_dead_letter(position: &DeadLetterPosition, scope: &str) -> String {
    seal(&format!("d{}", position.key), scope)
}

/// Reads a cursor of [`after_dead_letter`].
pub(crate) fn read_dead_letter(cursor: &str, scope: &str) -> Option<DeadLetterPosition> {
    Some(DeadLetterPosition { key: open(cursor, scope)?.strip_prefix('d')?.to_owned() })
}

/// A filter as part of a scope. Cursors that clients hold depend on this text, so it must never change. The text is
/// written out here, so that renaming a type does not change it.
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
    *hash.finalize().first_chunk().expect("the hash is longer")
}

/// The text, if it contains only digits. `parse` would also accept a sign.
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
