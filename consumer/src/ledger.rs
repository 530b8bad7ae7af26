//! Counts handled messages for the ledger. `plan` counts what an append will record, and the consumer counts each
//! batch after handling it.

use std::iter::Sum;

use crate::disposition::Disposition;
use crate::handler::HandledMessage;
use crate::ports::{LedgerCounts, LedgerStore, Message};

impl LedgerCounts {
    /// Counts a message by its disposition.
    pub(crate) fn add(&mut self, message: &Message, disposition: &Disposition) {
        let is_replay = message.replayed().is_some();
        self.received += u64::from(!is_replay && message.receive_count == 1);
        match disposition {
            Disposition::Parked(..) => self.parked += 1,
            Disposition::Recorded(_) if !is_replay => self.recorded += 1,
            Disposition::Rejected(..) if !is_replay => self.rejected += 1,
            Disposition::Duplicate if !is_replay => self.duplicate += 1,
            Disposition::Recorded(_)
            | Disposition::Rejected(..)
            | Disposition::Duplicate
            | Disposition::Archived
            | Disposition::Completed
            | Disposition::Retry(_) => {}
        }
    }
}

impl Sum for LedgerCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| Self {
            received: sum.received + counts.received,
            recorded: sum.recorded + counts.recorded,
            rejected: sum.rejected + counts.rejected,
            duplicate: sum.duplicate + counts.duplicate,
            parked: sum.parked + counts.parked,
        })
    }
}

/// Counts a batch of handled messages. A failure is only logged, because handling the batch again would not help.
pub(crate) async fn count(store: &dyn LedgerStore, handled: &[HandledMessage]) {
    let mut counts = LedgerCounts::default();
    for HandledMessage { message, disposition, .. } in handled {
        counts.add(message, disposition);
    }
    // Counts that are all zero are reported, too. The store may have written an optimistic count, which must then be corrected.
    if let Err(error) = store.add(counts).await {
        tracing::warn!(?counts, "cannot count a batch in the ledger: {error:#}");
    }
}
