//! Messages that stay in memory until their first receive, so that the consumer need not read and decode them from the
//! store. The total size of held messages is limited. Messages beyond the limit are read from the store.

use std::collections::BTreeMap;

use domain::{Envelope, Timestamp};

/// The approximate maximum size of all held messages, in bytes.
pub(crate) const MAX_HELD_BYTES: usize = 32 << 20;

/// The approximate size of a message attribute besides its name and its value, in bytes.
const ATTRIBUTE_BYTES: usize = 2 * size_of::<String>();

/// A message that is held in memory, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldMessage {
    /// The decoded event, if the sender passed it along with the body.
    pub(crate) event: Option<Box<Envelope>>,
    pub(crate) body: Vec<u8>,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl HeldMessage {
    /// The approximate size of the message in memory. A decoded event consists of many small allocations and takes
    /// more memory than its text.
    fn bytes(&self) -> usize {
        let event = if self.event.is_some() { size_of::<Envelope>() + self.body.len() } else { 0 };
        let attributes =
            self.attributes.iter().map(|(name, value)| ATTRIBUTE_BYTES + name.len() + value.len());
        size_of::<Self>() + self.body.capacity() + event + attributes.sum::<usize>()
    }
}

/// The total size of all held messages, in bytes.
#[derive(Debug, Default)]
pub(crate) struct HeldBytes {
    bytes: usize,
}

impl HeldBytes {
    /// Adds the size of a message to the total, and returns the message to hold. Returns `None` and adds nothing if
    /// the total would exceed `MAX_HELD_BYTES`.
    pub(crate) fn add(&mut self, held: Option<Box<HeldMessage>>) -> Option<Box<HeldMessage>> {
        let held = held?;
        if self.bytes + held.bytes() > MAX_HELD_BYTES {
            return None;
        }
        self.bytes += held.bytes();
        Some(held)
    }

    /// Subtracts the size of a message that is no longer held.
    pub(crate) fn subtract(&mut self, held: &HeldMessage) {
        self.bytes -= held.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_held_messages_are_bounded() {
        let held = || {
            let enqueued_at = Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
            let attributes = BTreeMap::new();
            Some(Box::new(HeldMessage { event: None, body: vec![0; 1 << 20], enqueued_at, attributes }))
        };
        let mut held_bytes = HeldBytes::default();
        let taken: Vec<_> = std::iter::from_fn(|| held_bytes.add(held())).collect();
        assert_eq!(taken.len(), 31, "the limit of 32 MiB includes the overhead of each message");
        held_bytes.subtract(&taken[0]);
        assert!(held_bytes.add(held()).is_some());
        assert!(held_bytes.add(held()).is_none());
    }
}
