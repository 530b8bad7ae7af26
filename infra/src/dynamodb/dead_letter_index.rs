//! The index of dead letters, in the table. It holds everything about a dead letter except its body, which is in the
//! archive. The archiver, the parking consumer and the operators' store use the index.
//!
//! Each write replaces the whole item of a dead letter, on condition that the item has not changed since it was read.
//! The same transaction changes the ledger. So the ledger counts a dead letter once, however often its message is
//! delivered. A transaction costs twice as much as a write, but dead letters are rare.
//!
//! A released dead letter leaves a marker for some time. A copy of its message may still be on the dead-letter queue,
//! and the marker prevents that copy from becoming a dead letter again.

use std::collections::HashMap;

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::{DeadLetter, DeadLetterState, MessageBody, Receipt, Timestamp};

use crate::now;

use super::Table;
use super::items::{METADATA, TableItem, listed_time, string, text};
use super::ledger::LedgerDeltas;
use super::outcomes::item_of;

/// The index partition of parked and replaying dead letters. It contains a control character, so it differs from every
/// customer id.
pub(super) const OPEN: &str = "\u{1}dead-letters";
/// The index partition of discarded dead letters.
pub(super) const DISCARDED: &str = "\u{1}discarded-letters";
/// How long the marker of a released dead letter is kept: longer than the 14 days for which SQS can keep a message.
const MARKER_SECONDS: i64 = 30 * 24 * 60 * 60;
/// The maximum length of an indexed detail or origin, in characters. The archive contains the full texts.
const MAX_TEXT: usize = 1000;
const RELEASED: &str = "released";

/// A dead letter in the index.
#[derive(Debug, Clone)]
pub(crate) struct IndexedDeadLetter {
    /// The dead letter, without bodies and attributes.
    pub(crate) letter: DeadLetter,
    /// How often the dead letter was redriven. Unlike [`DeadLetter::replays`], this number is not reset by a repair.
    pub(crate) sends: u32,
    /// The archive key of the dead letter as it was parked.
    pub(crate) archived: String,
    /// The archive key of the repaired dead letter.
    pub(crate) repaired: Option<String>,
    revision: u64,
}

/// What the index contains for the id of a dead letter.
#[derive(Debug)]
pub(crate) enum IndexLookup {
    Absent,
    /// The marker that the dead letter was released, because its event has an outcome.
    Released,
    Found(Box<IndexedDeadLetter>),
}

impl IndexedDeadLetter {
    /// A dead letter that is not in the index yet.
    pub(crate) fn new(letter: &DeadLetter, archived: String) -> Self {
        let (body, attributes) = (MessageBody::default(), Default::default());
        let cut = |text: &str| text.chars().take(MAX_TEXT).collect::<String>();
        let (detail, origin) = (cut(&letter.detail), cut(&letter.origin));
        let letter = DeadLetter { body, attributes, detail, origin, original: None, ..letter.clone() };
        Self { letter, sends: 0, archived, repaired: None, revision: 0 }
    }

    /// The sort key in the list of dead letters: the time of parking, then the dead letter's id.
    pub(crate) fn listed_at(&self) -> String {
        format!("{}#{}", listed_time(self.letter.parked_at.micros()), self.letter.id)
    }

    /// This index entry with the current state of its dead letter, and the archive key of the repaired version.
    pub(crate) fn with(&self, letter: &DeadLetter, repaired: Option<String>) -> Self {
        let letter = Self::new(letter, String::new()).letter;
        Self { letter, repaired, ..self.clone() }
    }

    /// Whether the dead letter is absent from the index.
    pub(crate) fn is_new(&self) -> bool {
        self.revision == 0
    }

    fn item(&self, revision: u64) -> anyhow::Result<TableItem> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let partition = if self.letter.state == DeadLetterState::Discarded { DISCARDED } else { OPEN };
        let mut item = key(&self.letter.id);
        item.extend([
            ("state".to_owned(), text(self.letter.state.as_str())),
            ("letter".to_owned(), text(serde_json::to_string(&self.letter)?)),
            ("sends".to_owned(), number(self.sends.into())),
            ("archived".to_owned(), text(&self.archived)),
            ("revision".to_owned(), number(revision)),
            ("customer_id".to_owned(), text(partition)),
            ("listed_at".to_owned(), text(self.listed_at())),
        ]);
        if let Some(repaired) = &self.repaired {
            item.insert("repaired".to_owned(), text(repaired));
        }
        Ok(item)
    }
}

fn key(id: &str) -> TableItem {
    let pk = text(format!("DEADLETTER#{id}"));
    HashMap::from([("pk".to_owned(), pk), ("sk".to_owned(), text(METADATA))])
}

fn lookup(item: &TableItem) -> anyhow::Result<IndexLookup> {
    if string(item, "state")? == RELEASED {
        return Ok(IndexLookup::Released);
    }
    let number = |name: &str| {
        let value = item.get(name).and_then(|value| value.as_n().ok());
        value.and_then(|value| value.parse::<u64>().ok()).with_context(|| format!("no number {name:?}"))
    };
    let letter = serde_json::from_str(string(item, "letter")?)
        .context("the index entry of a dead letter is malformed")?;
    let repaired = string(item, "repaired").ok().map(str::to_owned);
    Ok(IndexLookup::Found(Box::new(IndexedDeadLetter {
        letter,
        sends: u32::try_from(number("sends")?)?,
        archived: string(item, "archived")?.to_owned(),
        repaired,
        revision: number("revision")?,
    })))
}

impl Table {
    /// Looks up the dead letter with this id. The read is strongly consistent.
    pub(crate) async fn look_up_dead_letter(&self, id: &str) -> anyhow::Result<IndexLookup> {
        let found = self.get_all(vec![key(id)]).await?.into_iter().next();
        found.map_or(Ok(IndexLookup::Absent), |item| lookup(&item))
    }

    /// Looks up dead letters by id, in the order of the ids. Leaves out ids that are not in the index.
    pub(crate) async fn look_up_dead_letters(
        &self,
        ids: &[String],
    ) -> anyhow::Result<Vec<IndexedDeadLetter>> {
        let mut found = HashMap::new();
        for item in self.get_all(ids.iter().map(|id| key(id)).collect()).await? {
            if let IndexLookup::Found(indexed) = lookup(&item)? {
                found.insert(indexed.letter.id.clone(), *indexed);
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Writes a dead letter and the ledger's change. Returns `false` and writes nothing if the item has changed since
    /// it was read.
    pub(crate) async fn write_dead_letter(
        &self,
        indexed: &IndexedDeadLetter,
        deltas: LedgerDeltas,
    ) -> anyhow::Result<bool> {
        let item = indexed.item(indexed.revision + 1)?;
        self.put_dead_letter(if_unchanged(self.put(item), indexed.revision), None, deltas).await
    }

    /// Writes a discarded dead letter, like `write_dead_letter`. If a `receipt` is given, the same transaction stores
    /// the receipt.
    pub(crate) async fn discard_dead_letter(
        &self,
        indexed: &IndexedDeadLetter,
        receipt: Option<&Receipt>,
    ) -> anyhow::Result<bool> {
        let item = indexed.item(indexed.revision + 1)?;
        let receipt = receipt.map(item_of).transpose()?;
        let deltas = LedgerDeltas { rejected: 1, discarded: 1, ..LedgerDeltas::parked(-1) };
        self.put_dead_letter(if_unchanged(self.put(item), indexed.revision), receipt, deltas).await
    }

    /// Replaces a dead letter in the index with a marker that it was released. `read` is the entry that the caller
    /// has read, or `None` if there was none. Returns `false` if the entry has changed since then.
    pub(crate) async fn release_dead_letter(
        &self,
        id: &str,
        read: Option<&IndexedDeadLetter>,
        now: Timestamp,
        deltas: LedgerDeltas,
    ) -> anyhow::Result<bool> {
        let until = now.micros() / 1_000_000 + MARKER_SECONDS;
        let mut item = key(id);
        item.insert("state".to_owned(), text(RELEASED));
        item.insert("expires_at".to_owned(), AttributeValue::N(until.to_string()));
        self.put_dead_letter(if_unchanged(self.put(item), read.map_or(0, |read| read.revision)), None, deltas)
            .await
    }

    /// Releases a dead letter: removes it from its order's parked sequence and from the index. Does nothing if the dead
    /// letter is discarded or not in the index.
    pub(crate) async fn release(&self, id: &str) -> anyhow::Result<()> {
        loop {
            let IndexLookup::Found(read) = self.look_up_dead_letter(id).await? else { return Ok(()) };
            if read.letter.state == DeadLetterState::Discarded || self.release_if_unchanged(&read).await? {
                return Ok(());
            }
        }
    }

    /// Releases a dead letter that the caller has read from the index. Returns `false` if its entry has changed since then.
    pub(crate) async fn release_if_unchanged(&self, read: &IndexedDeadLetter) -> anyhow::Result<bool> {
        // The parked sequence is changed before the index. If a crash prevents the second change, the dead letter is
        // still in the index, so it can be released again.
        if let Some(order_id) = &read.letter.order_id {
            self.remove_from_sequence(order_id, &read.letter.id).await?;
        }
        let parked = if read.letter.state == DeadLetterState::Parked { -1 } else { 0 };
        let deltas = LedgerDeltas::parked(parked);
        self.release_dead_letter(&read.letter.id, Some(read), now(), deltas).await
    }

    fn put(&self, item: TableItem) -> PutBuilder {
        Put::builder().table_name(&self.name).set_item(Some(item))
    }

    async fn put_dead_letter(
        &self,
        letter: PutBuilder,
        receipt: Option<TableItem>,
        deltas: LedgerDeltas,
    ) -> anyhow::Result<bool> {
        let mut writes = Vec::new();
        for put in std::iter::once(letter).chain(receipt.map(|item| self.put(item))) {
            let put = put.build().map_err(|error| anyhow!("{error}"))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        if let Some(update) = self.ledger_update(deltas)? {
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        self.transact(&writes).await.context("writing the dead-letter index")
    }

    fn ledger_update(&self, deltas: LedgerDeltas) -> anyhow::Result<Option<Update>> {
        let Some((expression, values)) = deltas.expression() else { return Ok(None) };
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(super::ledger::dead_letters_key()))
            .update_expression(expression)
            .set_expression_attribute_values(Some(values));
        update.build().map(Some).map_err(|error| anyhow!("{error}"))
    }
}

/// Adds the condition that the stored item has this revision, or that no item exists if the revision is 0.
fn if_unchanged(put: PutBuilder, revision: u64) -> PutBuilder {
    if revision == 0 {
        return put.condition_expression("attribute_not_exists(pk)");
    }
    put.condition_expression("revision = :revision")
        .expression_attribute_values(":revision", AttributeValue::N(revision.to_string()))
}
