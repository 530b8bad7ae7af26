//! When an append writes the projection of its order. [`append`](super::append) and [`import`](super::import) call this module.
//!
//! A projection saves reads, and costs a write. As long as the events since the last projection are few and small, a reader
//! folds them at the price of the projection alone: up to 4 KB are one read unit
//! ([capacity](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-unit-calculations.html)). So
//! an order has no projection until its sixth event, and then a new one with every fifth event. After an event larger than
//! 1 KB the projection is written immediately, so that such events are not read again and again.
//!
//! The search index lists orders by their projections, so with it every event after the first one is projected.

use consumer::ports::Append;

/// The maximum number of events that a reader folds into a projection, unless a process has crashed between the two writes. Also
/// the number of items that a reader asks for: the projection, and the events after it.
pub(super) const MAX_UNPROJECTED: usize = 5;
/// The size of an event's data from which it is projected immediately, in bytes.
const LARGE: usize = 1024;

/// Whether the projection of the order must be written after these events were appended.
pub(super) fn is_due(append: &Append, search_index: bool) -> bool {
    let later = || append.events.iter().filter(|event| event.version > 1);
    let is_large = || later().any(|event| event.envelope.encode_data_without_ids().len() > LARGE);
    later().any(|event| search_index || is_at_boundary(event.version)) || is_large()
}

/// Whether the order's first projection belongs to this append, if none was written early because of a large event.
pub(super) fn is_first(append: &Append, search_index: bool) -> bool {
    let first = append.events.first().map_or(1, |event| event.version);
    first <= if search_index { 2 } else { MAX_UNPROJECTED as u64 + 1 }
}

/// Whether an order of this version needs a projection: 6, 11, 16 and so on.
fn is_at_boundary(version: u64) -> bool {
    version > 1 && version % MAX_UNPROJECTED as u64 == 1
}
