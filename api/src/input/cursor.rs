//! Cursors: where a list goes on. Opaque to clients, and made of characters that need no escaping in a URL.
//!
//! A cursor belongs to one list, its scope, and carries a checksum over both. It is no secret and guards none: whoever
//! forged one would see what they may see anyway. It is there so that a cursor that was cut off, changed or used for
//! another list is an error, and not a page of something else.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::OrderId;
use sha2::{Digest, Sha256};

use crate::operations::LetterPosition;
use crate::ports::ListPosition;

/// Bytes of the checksum.
const CHECKSUM: usize = 8;

/// The cursor for the events behind the one of this version.
pub(crate) fn after_version(version: u64, scope: &str) -> String {
    seal(&format!("v{version}"), scope)
}

/// Reads what [`after_version`] wrote.
pub(crate) fn version(cursor: &str, scope: &str) -> Option<u64> {
    digits(open(cursor, scope)?.strip_prefix('v')?)?.parse().ok()
}

/// The cursor for the orders behind this place in a customer's list.
pub(crate) fn after_order(position: &ListPosition, scope: &str) -> String {
    seal(&format!("{}.{}", position.created_at_micros, position.order_id), scope)
}

/// Reads what [`after_order`] wrote.
pub(crate) fn position(cursor: &str, scope: &str) -> Option<ListPosition> {
    let place = open(cursor, scope)?;
    let (micros, order_id) = place.split_once('.')?;
    digits(micros.strip_prefix('-').unwrap_or(micros))?;
    Some(ListPosition { created_at_micros: micros.parse().ok()?, order_id: OrderId::parse(order_id).ok()? })
}

/// The cursor for the letters behind this place in the dead letters.
pub(crate) fn after_letter(position: &LetterPosition, scope: &str) -> String {
    seal(&format!("d{}", position.key), scope)
}

/// Reads what [`after_letter`] wrote.
pub(crate) fn letter(cursor: &str, scope: &str) -> Option<LetterPosition> {
    Some(LetterPosition { key: open(cursor, scope)?.strip_prefix('d')?.to_owned() })
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

/// The text, if it is digits only: `parse` would take a sign too.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for n in [0, 1, u64::MAX] {
            assert_eq!(version(&after_version(n, "a"), "a"), Some(n));
        }
        for created_at_micros in [i64::MIN, -1, 0, 1_795_431_600_000_000] {
            let order_id = OrderId::parse("a_b-C").unwrap();
            let at = ListPosition { created_at_micros, order_id };
            assert_eq!(position(&after_order(&at, "a"), "a"), Some(at));
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        assert_eq!(version(&after_version(1, "a"), "b"), None);
        let at = ListPosition { created_at_micros: 1, order_id: OrderId::parse("o").unwrap() };
        assert_eq!(position(&after_order(&at, "a"), "b"), None);
        assert_eq!(position(&after_version(1, "a"), "a"), None);
    }

    #[test]
    fn a_changed_cursor_is_refused() {
        let cursor = after_version(17, "a");
        for place in 0..cursor.len() {
            for other in ['A', 'z', '_', '!', 'é'] {
                let mut changed: Vec<char> = cursor.chars().collect();
                changed[place] = other;
                let changed: String = changed.into_iter().collect();
                assert!(changed == cursor || version(&changed, "a") != Some(17), "{changed}");
            }
            assert_eq!(version(&cursor[..place], "a"), None);
        }
        for cursor in ["", "v", "1", "v1", "dg"] {
            assert_eq!(version(cursor, ""), None, "{cursor:?}");
        }
    }
}
