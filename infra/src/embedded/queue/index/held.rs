//! Messages that are kept in memory until they are received for the first time, so that whoever receives them right after
//! they came need not read and decode them again. Bounded in bytes: what is not kept is read from the store.

use std::collections::BTreeMap;

use domain::{Envelope, Timestamp};

/// About how many bytes are held at most.
pub(crate) const MOST_HELD: usize = 32 << 20;

/// What an attribute takes beside its texts, about.
const ENTRY: usize = 2 * size_of::<String>();

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The event in the body, if its producer told.
    pub(crate) event: Option<Box<Envelope>>,
    pub(crate) body: Vec<u8>,
    pub(crate) enqueued_at: Timestamp,
    /// What came with it.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Held {
    /// What it takes, about: the event is some small pieces, which take as much as its text and more.
    fn bytes(&self) -> usize {
        let event = if self.event.is_some() { size_of::<Envelope>() + self.body.len() } else { 0 };
        let attributes = self.attributes.iter().map(|(name, value)| ENTRY + name.len() + value.len());
        size_of::<Self>() + self.body.capacity() + event + attributes.sum::<usize>()
    }
}

/// How much is held.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    bytes: usize,
}

impl Holding {
    /// The message, if there is room for it.
    pub(crate) fn take(&mut self, held: Option<Box<Held>>) -> Option<Box<Held>> {
        let held = held?;
        if self.bytes + held.bytes() > MOST_HELD {
            return None;
        }
        self.bytes += held.bytes();
        Some(held)
    }

    /// The message is not held any more.
    pub(crate) fn give(&mut self, held: &Held) {
        self.bytes -= held.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded() {
        let held = || {
            let enqueued_at = Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
            let attributes = BTreeMap::new();
            Some(Box::new(Held { event: None, body: vec![0; 1 << 20], enqueued_at, attributes }))
        };
        let mut holding = Holding::default();
        let taken: Vec<_> = std::iter::from_fn(|| holding.take(held())).collect();
        assert_eq!(taken.len(), 31, "32 MiB, less what is beside the bodies");
        holding.give(&taken[0]);
        assert!(holding.take(held()).is_some());
        assert!(holding.take(held()).is_none());
    }
}
