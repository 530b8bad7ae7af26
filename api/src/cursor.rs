//! Cursors: where a list goes on. Opaque to clients, and made of characters that need no escaping in a URL.

use domain::OrderId;

use crate::ports::ListPosition;

/// The cursor for the events behind the one of this version.
pub(crate) fn after_version(version: u64) -> String {
    format!("v{version}")
}

/// Reads what [`after_version`] wrote.
pub(crate) fn version(cursor: &str) -> Option<u64> {
    digits(cursor.strip_prefix('v')?)?.parse().ok()
}

/// The cursor for the orders behind this place in a customer's list.
pub(crate) fn after_order(position: &ListPosition) -> String {
    format!("{}.{}", position.created_at_micros, position.order_id)
}

/// Reads what [`after_order`] wrote.
pub(crate) fn position(cursor: &str) -> Option<ListPosition> {
    let (micros, order_id) = cursor.split_once('.')?;
    digits(micros.strip_prefix('-').unwrap_or(micros))?;
    Some(ListPosition { created_at_micros: micros.parse().ok()?, order_id: OrderId::parse(order_id).ok()? })
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
            assert_eq!(version(&after_version(n)), Some(n));
        }
        for created_at_micros in [i64::MIN, -1, 0, 1_795_431_600_000_000] {
            let order_id = OrderId::parse("a_b-C").unwrap();
            let at = ListPosition { created_at_micros, order_id };
            assert_eq!(position(&after_order(&at)), Some(at));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for cursor in ["", "v", "1", "v-1", "v+1", "v1 ", "v18446744073709551616", "vé"] {
            assert_eq!(version(cursor), None, "{cursor:?}");
        }
        for cursor in ["", ".", "1", "1.", ".a", "+1.a", "--1.a", "1.a b", "1.a.b", "9223372036854775808.a"] {
            assert_eq!(position(cursor), None, "{cursor:?}");
        }
    }
}
