//! The queue: its order in memory ([`index`]) and its numbers. The inbox, the publisher and the dead letters call it.

pub(crate) mod counters;
pub(crate) mod index;
