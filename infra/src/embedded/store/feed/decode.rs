//! Decodes the rows of the feed.

use anyhow::{Context, bail, ensure};
use domain::{EventType, OrderId};
use uuid::Uuid;

use super::{FORMAT, LOST, type_of};

#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedRow<'a> {
    /// The position of the first entry.
    pub(crate) first: u64,
    /// The latest time at which an event of the row or of an earlier row was recorded, in microseconds since 1970.
    pub(crate) time: i64,
    entries: &'a [u8],
}

impl<'a> FeedRow<'a> {
    pub(crate) fn decode(key: &[u8], value: &'a [u8]) -> anyhow::Result<Self> {
        let first = key.try_into().ok().map(u64::from_be_bytes).filter(|first| *first > 0);
        let first = first.context("a feed row with a malformed key")?;
        let parts = || {
            let (format, rest) = value.split_first()?;
            let (time, entries) = rest.split_first_chunk()?;
            (*format == FORMAT).then(|| Self { first, time: i64::from_be_bytes(*time), entries })
        };
        parts().with_context(|| format!("the feed row at position {first} is malformed"))
    }

    /// The entries of the row, in order. Iteration ends with an error at an entry that cannot be decoded.
    pub(crate) fn items(&self) -> impl Iterator<Item = anyhow::Result<FeedItem<'a>>> + use<'a> {
        let (mut rest, mut position, first) = (self.entries, self.first, self.first);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let item = FeedItem::take(&mut rest, position);
            let item = item.with_context(|| format!("cannot decode the feed row at position {first}"));
            match &item {
                Ok(item) => position = item.last_position() + 1,
                Err(_) => rest = &[],
            }
            Some(item)
        })
    }
}

/// A decoded entry of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeedItem<'a> {
    Event(FeedEntry<'a>),
    /// `count` positions without events, from `position` on.
    Lost {
        position: u64,
        count: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedEntry<'a> {
    pub(crate) position: u64,
    /// The type of the event. `None` if the log entry of the event could not be read when the event got its position.
    pub(crate) event_type: Option<EventType>,
    pub(crate) customer_hash: u32,
    pub(crate) version: u64,
    order: StoredOrderId<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoredOrderId<'a> {
    Uuid(Uuid),
    Text(&'a str),
}

impl FeedEntry<'_> {
    pub(crate) fn order_id(&self) -> anyhow::Result<OrderId> {
        match self.order {
            StoredOrderId::Uuid(uuid) => Ok(OrderId::from(uuid)),
            StoredOrderId::Text(text) => OrderId::parse(text).context("a feed entry"),
        }
    }
}

impl<'a> FeedItem<'a> {
    pub(crate) fn last_position(&self) -> u64 {
        match self {
            Self::Event(entry) => entry.position,
            Self::Lost { position, count } => position + count - 1,
        }
    }

    fn take(rest: &mut &'a [u8], position: u64) -> anyhow::Result<Self> {
        let [code] = take_bytes(rest)?;
        if code == LOST {
            let count = take_varint(rest)?;
            ensure!(count > 0 && count < u64::MAX - position, "a malformed number of lost positions");
            return Ok(Self::Lost { position, count });
        }
        let event_type = type_of(code)?;
        let customer_hash = u32::from_be_bytes(take_bytes(rest)?);
        let version = take_varint(rest)?;
        let [length] = take_bytes(rest)?;
        let order = match length {
            0 => StoredOrderId::Uuid(Uuid::from_bytes(take_bytes(rest)?)),
            length => {
                let (id, after) =
                    rest.split_at_checked(usize::from(length)).context("the row ends within an entry")?;
                *rest = after;
                StoredOrderId::Text(std::str::from_utf8(id)?)
            }
        };
        Ok(Self::Event(FeedEntry { position, event_type, customer_hash, version, order }))
    }
}

fn take_bytes<const N: usize>(rest: &mut &[u8]) -> anyhow::Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().context("the row ends within an entry")?;
    *rest = after;
    Ok(*bytes)
}

fn take_varint(rest: &mut &[u8]) -> anyhow::Result<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = take_bytes(rest)?;
        let bits = u64::from(byte & 0x7F);
        ensure!(bits << shift >> shift == bits, "a number is too large");
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    bail!("a number is too long")
}
