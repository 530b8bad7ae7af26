//! The items in which the ledger counts outcomes. Each process is a *writer* with an item of its own, and numbers the
//! outcomes that it stores. [`ledger_count`](super::ledger_count) calls this module.
//!
//! A stored outcome contains its [`LedgerMark`]: the writer and the number under which it is counted. The writer's item
//! contains the totals, and the set of the numbers that they include. A write replaces the item on condition that nobody
//! has changed it since it was read. So each number is counted once, however often it is tried and whoever tries: after a
//! lost answer, and after a kill, when another process finds the outcome and counts it for the dead writer.
//!
//! Writers come and go, so idle ones are folded ([`ledger_fold`](super::ledger_fold)).

use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail};
use aws_sdk_dynamodb::types::AttributeValue;

use crate::now;

use super::Table;
use super::conditional_put::{ConditionalPut, put_on_condition};
use super::items::{TableItem, string, text};
use super::ledger_numbers::NumberSet;

/// The number of partition keys over which the items of writers are spread, so that none becomes hot.
pub(super) const SHARDS: u64 = 8;
/// The beginning of a writer's sort key.
pub(super) const WRITER: &str = "WRITER#";
/// The beginning of the sort key of a folded writer.
const FOLDED: &str = "FOLDED#";
/// The maximum number of attempts to write an item that other processes change at the same time.
const ATTEMPTS: u32 = 50;

/// The writer that counts an outcome, and the number under which it does. Stored with the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LedgerMark {
    pub(super) writer: Arc<str>,
    pub(super) number: u64,
}

impl LedgerMark {
    /// The mark of an outcome that totals of another origin include: those of a restore or a move. Numbers begin with 1, so
    /// every set contains 0, and the outcome is never counted again.
    pub(super) fn included() -> Self {
        Self { writer: Arc::from("restored"), number: 0 }
    }
}

impl fmt::Display for LedgerMark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.writer, self.number)
    }
}

impl FromStr for LedgerMark {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mark = text.split_once('.').and_then(|(writer, number)| {
            Some(Self { writer: Arc::from(writer), number: number.parse().ok()? })
        });
        mark.with_context(|| format!("{text:?} is not a writer of the ledger with a number"))
    }
}

/// An outcome that the ledger counts by its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountedOutcome {
    Recorded,
    Rejected,
    Duplicate,
    /// No outcome: the number was not used.
    Unused,
}

/// The numbers of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OutcomeTotals {
    pub(super) recorded: u64,
    pub(super) rejected: u64,
    pub(super) duplicate: u64,
}

impl OutcomeTotals {
    pub(super) fn add(&mut self, outcome: CountedOutcome) {
        match outcome {
            CountedOutcome::Recorded => self.recorded += 1,
            CountedOutcome::Rejected => self.rejected += 1,
            CountedOutcome::Duplicate => self.duplicate += 1,
            CountedOutcome::Unused => {}
        }
    }

    /// What was added since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            recorded: self.recorded - earlier.recorded,
            rejected: self.rejected - earlier.rejected,
            duplicate: self.duplicate - earlier.duplicate,
        }
    }

    pub(super) fn fields(self) -> [(&'static str, u64); 3] {
        [("recorded", self.recorded), ("rejected", self.rejected), ("duplicate", self.duplicate)]
    }

    pub(super) fn read(item: &TableItem) -> Self {
        let of = |name| number(item, name).unwrap_or_default();
        Self { recorded: of("recorded"), rejected: of("rejected"), duplicate: of("duplicate") }
    }
}

impl AddAssign for OutcomeTotals {
    fn add_assign(&mut self, other: Self) {
        self.recorded += other.recorded;
        self.rejected += other.rejected;
        self.duplicate += other.duplicate;
    }
}

/// The content of a writer's item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WriterState {
    /// The number of writes of the item.
    pub(super) revision: u64,
    pub(super) totals: OutcomeTotals,
    /// The numbers that `totals` includes.
    pub(super) counted: NumberSet,
}

impl WriterState {
    /// The state with these numbers counted. `None` if all of them are counted already.
    fn with(&self, outcomes: &[(u64, CountedOutcome)]) -> Option<Self> {
        let mut next = Self { revision: self.revision + 1, ..self.clone() };
        let mut changed = false;
        for (number, outcome) in outcomes {
            if next.counted.insert(*number) {
                next.totals.add(*outcome);
                changed = true;
            }
        }
        changed.then_some(next)
    }

    /// The item with this content, without its key.
    fn item(&self) -> TableItem {
        let n = |value: u64| AttributeValue::N(value.to_string());
        let mut item: TableItem =
            self.totals.fields().into_iter().map(|(name, value)| (name.to_owned(), n(value))).collect();
        item.extend([
            ("revision".to_owned(), n(self.revision)),
            ("counted_to".to_owned(), n(self.counted.to())),
            ("open".to_owned(), text(self.counted.open())),
        ]);
        item
    }

    pub(super) fn read(item: &TableItem) -> anyhow::Result<Self> {
        Ok(Self {
            revision: number(item, "revision")?,
            totals: OutcomeTotals::read(item),
            counted: NumberSet::parse(number(item, "counted_to")?, string(item, "open")?)?,
        })
    }
}

/// What the table contains about a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredWriter {
    /// Nothing: the writer has counted nothing yet.
    Absent,
    Live(WriterState),
    /// The totals of the writer are included in the sum of folded writers.
    Folded(WriterState),
}

impl StoredWriter {
    pub(super) fn state(&self) -> WriterState {
        match self {
            Self::Absent => WriterState::default(),
            Self::Live(state) | Self::Folded(state) => state.clone(),
        }
    }
}

/// A required number attribute.
pub(super) fn number(item: &TableItem, name: &str) -> anyhow::Result<u64> {
    let value = item.get(name).and_then(|value| value.as_n().ok()).and_then(|value| value.parse().ok());
    value.with_context(|| format!("an item lacks the number attribute {name:?}"))
}

/// The partition of a writer. Its name is a random number in base 36.
pub(super) fn shard_of_writer(writer: &str) -> u64 {
    writer.bytes().fold(0, |sum, byte| sum + u64::from(byte)) % SHARDS
}

pub(super) fn shard_pk(shard: u64) -> AttributeValue {
    text(format!("LEDGER#{shard}"))
}

fn key(prefix: &str, writer: &str) -> TableItem {
    let sk = text(format!("{prefix}{writer}"));
    HashMap::from([("pk".to_owned(), shard_pk(shard_of_writer(writer))), ("sk".to_owned(), sk)])
}

pub(super) fn live_key(writer: &str) -> TableItem {
    key(WRITER, writer)
}

pub(super) fn folded_key(writer: &str) -> TableItem {
    key(FOLDED, writer)
}

/// The item of a live writer.
pub(super) fn live_item(writer: &str, state: &WriterState) -> TableItem {
    let at = AttributeValue::N((now().micros() / 1_000_000).to_string());
    live_key(writer).into_iter().chain(state.item()).chain([("at".to_owned(), at)]).collect()
}

/// The item of a folded writer, which DynamoDB deletes at `expires_at` (in seconds).
pub(super) fn folded_item(writer: &str, state: &WriterState, expires_at: i64) -> TableItem {
    let expiry = ("expires_at".to_owned(), AttributeValue::N(expires_at.to_string()));
    folded_key(writer).into_iter().chain(state.item()).chain([expiry]).collect()
}

impl Table {
    /// Reads a writer. The two items are read at one moment, so a writer that is being folded is never missed.
    pub(super) async fn stored_writer(&self, writer: &str) -> anyhow::Result<StoredWriter> {
        let items = self.read_at_once([live_key(writer), folded_key(writer)]).await?;
        let read = |item: &TableItem| WriterState::read(item).context("the item of a writer of the ledger");
        Ok(match items {
            [_, Some(folded)] => StoredWriter::Folded(read(&folded)?),
            [Some(live), None] => StoredWriter::Live(read(&live)?),
            [None, None] => StoredWriter::Absent,
        })
    }

    /// Counts these numbers of a writer, each once. Begins with what the caller knows of the writer, and returns what is
    /// stored afterwards. After an error, the numbers may be counted or not; counting them again is safe.
    pub(super) async fn count_numbers(
        &self,
        writer: &str,
        mut stored: StoredWriter,
        outcomes: &[(u64, CountedOutcome)],
    ) -> anyhow::Result<StoredWriter> {
        for _ in 0..ATTEMPTS {
            let Some(next) = stored.state().with(outcomes) else { return Ok(stored) };
            stored = match stored {
                StoredWriter::Folded(before) => {
                    if self.count_late(writer, &before, &next).await? {
                        return Ok(StoredWriter::Folded(next));
                    }
                    self.stored_writer(writer).await?
                }
                StoredWriter::Absent | StoredWriter::Live(_) => match self.put_writer(writer, &next).await? {
                    None => return Ok(StoredWriter::Live(next)),
                    Some(found) => found,
                },
            };
        }
        bail!("other processes changed the writer {writer} of the ledger {ATTEMPTS} times")
    }

    /// Replaces a writer's item, if it still has the revision before. Otherwise returns what is stored.
    async fn put_writer(&self, writer: &str, next: &WriterState) -> anyhow::Result<Option<StoredWriter>> {
        let call = self.client.put_item().table_name(&self.name).set_item(Some(live_item(writer, next)));
        let call = match next.revision - 1 {
            0 => call.condition_expression("attribute_not_exists(pk)"),
            before => call
                .condition_expression("revision = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string())),
        };
        match put_on_condition(call).await.context("counting in the ledger")? {
            ConditionalPut::Put => Ok(None),
            ConditionalPut::Refused(Some(item)) => Ok(Some(StoredWriter::Live(WriterState::read(&item)?))),
            ConditionalPut::Refused(None) => self.stored_writer(writer).await.map(Some),
        }
    }
}
