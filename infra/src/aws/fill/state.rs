//! Writes receipts and dead letters. The parent module calls these functions with the rows of the source.

use anyhow::Context;
use domain::{DeadLetter, DeadLetterState, Outcome, Receipt};

use crate::backup::row::StateRow;
use crate::dynamodb::dead_letter_index::IndexedDeadLetter;
use crate::dynamodb::ledger::LedgerDeltas;
use crate::embedded::backup::decode;

use super::webhooks::WebhookFill;
use super::{Fill, FillReport, FillStep, FillTarget};

impl Fill<'_> {
    /// Writes the rows of a keyspace. The queue is written later. Rows that AWS derives or does not have are left out.
    pub(super) async fn rows(
        &self,
        keyspace: &str,
        rows: &[StateRow],
        webhooks: &mut WebhookFill,
        report: &mut FillReport,
    ) -> anyhow::Result<()> {
        match keyspace {
            "receipts" => {
                let receipts = rows.iter().map(decode::receipt).collect::<anyhow::Result<Vec<_>>>()?;
                report.receipts += self.target.receipts(receipts).await?;
                self.show(FillStep::State, report.receipts, 0);
            }
            "dead_letters" => {
                for row in rows {
                    self.target.keep(&decode::dead_letter(row)?).await?;
                    report.dead_letters += 1;
                }
            }
            "alerts" if !rows.is_empty() => {
                let count = rows.len();
                report.left_out.push(format!("alerts of {count} dead letters that were not sent yet"));
            }
            "webhooks" => rows.iter().try_for_each(|row| webhooks.add(row))?,
            // The queue is sent last. The other keyspaces belong to dead letters, or contain receive counts, which SQS
            // keeps itself.
            _ => {}
        }
        Ok(())
    }
}

impl FillTarget {
    /// Stores the receipts of events that were not recorded. Returns their number.
    async fn receipts(&self, receipts: Vec<Receipt>) -> anyhow::Result<u64> {
        let is_stored = |receipt: &Receipt| !matches!(receipt.outcome, Some(Outcome::Recorded { .. }));
        let receipts: Vec<_> = receipts.into_iter().filter(is_stored).collect();
        self.table.settle_included(&receipts).await.into_iter().collect::<anyhow::Result<()>>()?;
        Ok(receipts.len() as u64)
    }

    /// Archives a dead letter, and adds it to the index and to its order's parked sequence. Dead letters must come in the
    /// order in which they were parked.
    pub(super) async fn keep(&self, letter: &DeadLetter) -> anyhow::Result<()> {
        let bucket = self.bucket.as_ref().context(
            "the source has dead letters, and AWS keeps them in a bucket: name it with --dlq-bucket",
        )?;
        let first = match &letter.original {
            Some(original) => DeadLetter { body: original.clone(), original: None, ..letter.clone() },
            None => letter.clone(),
        };
        let mut indexed = IndexedDeadLetter::new(letter, bucket.keep(&first).await?);
        if letter.original.is_some() {
            indexed.repaired = Some(bucket.keep_repaired(letter).await?);
        }
        indexed.sends = letter.replays;
        let is_parked = letter.state == DeadLetterState::Parked;
        // If nothing is written, an earlier attempt has written the dead letter, and the ledger already counts it.
        self.table.write_dead_letter(&indexed, LedgerDeltas::parked(i64::from(is_parked))).await?;
        match &letter.order_id {
            Some(order_id) if letter.state != DeadLetterState::Discarded => {
                self.table.add_to_sequence(order_id, &letter.id).await
            }
            _ => Ok(()),
        }
    }
}
