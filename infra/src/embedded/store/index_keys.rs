//! The keys of the indexes that find orders. [`indexes`](super::indexes) writes the keys, and the reader merges ranges
//! of keys.
//!
//! Each key of `by_status`, `by_update`, `by_metadata` and `customers` ends with a position: a time and an order id. So
//! the rows with one prefix are sorted by time, and a list of orders merges the ranges of a few prefixes.

use anyhow::Context;
use api::ports::OrderPosition;
use domain::{FulfilmentStatus, Order, OrderId, OrderStatus, PaymentStatus};
use xxhash_rust::xxh3::xxh3_128;

/// The status words of an order, as encoded in the first two bytes of a key of `by_status`. In hexadecimal, the first
/// digit is the status, the second digit the payment status, and the third digit the fulfilment status. The last digit
/// is 1 if the order has one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) status: OrderStatus,
    pub(crate) payment: PaymentStatus,
    pub(crate) fulfilment: FulfilmentStatus,
    /// Whether the order has only one event. The update time of such an order is its creation time, and the order has
    /// no row in `by_update`.
    pub(crate) has_one_event: bool,
}

impl Words {
    pub(crate) fn of(order: &Order) -> Self {
        Self {
            status: order.status,
            payment: order.payment_status(),
            fulfilment: order.fulfilment_status(),
            has_one_event: order.version == 1,
        }
    }

    pub(crate) fn prefix(self) -> [u8; 2] {
        let first = status_code(self.status) << 4 | payment_code(self.payment);
        [first, fulfilment_code(self.fulfilment) << 4 | u8::from(self.has_one_event)]
    }

    /// Decodes the words of a key of `by_status`.
    pub(crate) fn of_key(key: &[u8]) -> anyhow::Result<Self> {
        let words = || {
            let [first, second] = *key.first_chunk()?;
            let status = OrderStatus::ALL.into_iter().find(|word| status_code(*word) == first >> 4)?;
            let payment = PaymentStatus::ALL.into_iter().find(|word| payment_code(*word) == first & 15)?;
            let fulfilment =
                FulfilmentStatus::ALL.into_iter().find(|word| fulfilment_code(*word) == second >> 4)?;
            Some(Self { status, payment, fulfilment, has_one_event: second & 15 == 1 })
        };
        words().context("a key of the index by status has unknown words")
    }
}

// Keys in data folders contain the numbers of statuses, so these numbers never change.

fn status_code(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Pending => 1,
        OrderStatus::Confirmed => 2,
        OrderStatus::Paid => 3,
        OrderStatus::PartiallyShipped => 4,
        OrderStatus::Shipped => 5,
        OrderStatus::Delivered => 6,
        OrderStatus::Returned => 7,
        OrderStatus::Cancelled => 8,
        OrderStatus::Refunded => 9,
    }
}

fn payment_code(status: PaymentStatus) -> u8 {
    match status {
        PaymentStatus::Unpaid => 1,
        PaymentStatus::Authorized => 2,
        PaymentStatus::PartiallyPaid => 3,
        PaymentStatus::Paid => 4,
        PaymentStatus::Overpaid => 5,
        PaymentStatus::PartiallyRefunded => 6,
        PaymentStatus::Refunded => 7,
    }
}

fn fulfilment_code(status: FulfilmentStatus) -> u8 {
    match status {
        FulfilmentStatus::Unfulfilled => 1,
        FulfilmentStatus::PartiallyShipped => 2,
        FulfilmentStatus::Shipped => 3,
        FulfilmentStatus::PartiallyDelivered => 4,
        FulfilmentStatus::Delivered => 5,
        FulfilmentStatus::PartiallyReturned => 6,
        FulfilmentStatus::Returned => 7,
    }
}

/// A whole key: the prefix, the time and the order id.
pub(crate) fn position_key(prefix: &[u8], at_micros: i64, order_id: &OrderId) -> Vec<u8> {
    [prefix, &sortable(at_micros), order_id.as_str().as_bytes()].concat()
}

/// A lower bound for the keys with the given prefix and a time of at least `at_micros`.
pub(crate) fn time_key(prefix: &[u8], at_micros: i64) -> Vec<u8> {
    [prefix, &sortable(at_micros)].concat()
}

/// Decodes the position at the end of a key, after a prefix of `prefix_bytes`.
pub(crate) fn position_of(key: &[u8], prefix_bytes: usize) -> anyhow::Result<OrderPosition> {
    let position = key.get(prefix_bytes..).and_then(<[u8]>::split_first_chunk);
    let (time, order_id) = position.context("a key of an index is too short")?;
    let at_micros = (u64::from_be_bytes(*time) ^ (1 << 63)) as i64;
    Ok(OrderPosition { at_micros, order_id: OrderId::parse(std::str::from_utf8(order_id)?)? })
}

/// Encodes a time with its sign bit flipped, so that times before 1970 sort before later times.
pub(crate) fn sortable(micros: i64) -> [u8; 8] {
    (micros as u64 ^ (1 << 63)).to_be_bytes()
}

/// The size of the hash of a metadata value, in bytes.
const HASH_BYTES: usize = 16;

/// The prefix of the keys of all orders whose metadata contains the entry: the metadata key, a zero byte, and a hash of
/// the value, because the value may be long. The reader compares the values themselves.
pub(crate) fn metadata_prefix(key: &str, value: &str) -> Vec<u8> {
    [key.as_bytes(), &[0], &xxh3_128(value.as_bytes()).to_be_bytes()].concat()
}

/// Decodes the metadata key in a key of `by_metadata`. Also returns the length of the key's prefix.
pub(crate) fn metadata_key_of(key: &[u8]) -> anyhow::Result<(&str, usize)> {
    let zero = key
        .iter()
        .position(|byte| *byte == 0)
        .context("a key of the index by metadata contains no separator")?;
    Ok((std::str::from_utf8(&key[..zero])?, zero + 1 + HASH_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_words_is_read_as_it_was_written() {
        for status in OrderStatus::ALL {
            for payment in PaymentStatus::ALL {
                for fulfilment in FulfilmentStatus::ALL {
                    for has_one_event in [false, true] {
                        let words = Words { status, payment, fulfilment, has_one_event };
                        assert_eq!(Words::of_key(&words.prefix()).unwrap(), words);
                    }
                }
            }
        }
        assert!(Words::of_key(&[0, 0x11]).is_err() && Words::of_key(&[0x11]).is_err());
    }

    #[test]
    fn positions_are_sorted_by_time_and_read_as_they_were_written() {
        let prefix = metadata_prefix("channel", "web");
        let keys: Vec<_> = [i64::MIN, -1, 0, 1_795_431_600_000_000]
            .map(|at| position_key(&prefix, at, &OrderId::parse("o").unwrap()))
            .into();
        assert!(keys.is_sorted());
        let (key, prefix_bytes) = metadata_key_of(&keys[1]).unwrap();
        assert_eq!(
            (key, prefix_bytes, position_of(&keys[1], prefix_bytes).unwrap().at_micros),
            ("channel", prefix.len(), -1)
        );
        assert!(position_of(&keys[1][..prefix_bytes + 7], prefix_bytes).is_err());
    }
}
