//! What messages are counted as in the ledger.

use std::iter::Sum;

use crate::execute::{Consumer, Handled, Outcome};
use crate::ports::{Counts, Message};

impl Counts {
    /// Adds a message that came to this outcome.
    pub(crate) fn add(&mut self, message: &Message, outcome: &Outcome) {
        let is_replay = message.replayed().is_some();
        self.received += u64::from(!is_replay && message.receive_count == 1);
        match outcome {
            Outcome::Parked(..) => self.parked += 1,
            Outcome::Recorded(_) if !is_replay => self.recorded += 1,
            Outcome::Rejected(..) if !is_replay => self.rejected += 1,
            Outcome::Duplicate if !is_replay => self.duplicate += 1,
            _ => {}
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, of| Self {
            received: sum.received + of.received,
            recorded: sum.recorded + of.recorded,
            rejected: sum.rejected + of.rejected,
            duplicate: sum.duplicate + of.duplicate,
            parked: sum.parked + of.parked,
        })
    }
}

impl Consumer {
    /// Counts what became of a batch of messages. That this fails is no reason to handle them again.
    pub(crate) async fn count(&self, handled: &[Handled]) {
        let Some(tally) = &self.tally else { return };
        let mut counts = Counts::default();
        for Handled { message, outcome } in handled {
            counts.add(message, outcome);
        }
        // Even if that is nothing: something else may have been counted ahead.
        if let Err(error) = tally.add(counts).await {
            tracing::warn!(?counts, "the ledger lacks a batch: {error:#}");
        }
    }
}
