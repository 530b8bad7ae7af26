//! The index of dead letters: what is known of each but its body, which is in the archive.
//!
//! An item is written as a whole, on condition that it is still as it was read, and in one transaction with what that
//! changes in the ledger. So a letter counts once, however often its message comes. Transactions cost twice as much as
//! writes, and dead letters are rare.
//!
//! A letter that left the dead letters leaves a mark for a while: its message may still be on the queue of dead letters,
//! and must not bring it back.

use std::collections::HashMap;

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::{Body, DeadLetter, LetterState, Receipt, Timestamp};

use super::Table;
use super::items::{Item, METADATA, listed_time, string, text};
use super::ledger::Deltas;
use super::outcomes::item_of;

/// The partition of the index with what is parked or on its way back. No customer has an id with a control character.
pub(super) const OPEN: &str = "\u{1}dead-letters";
/// That with what was discarded.
pub(super) const DISCARDED: &str = "\u{1}discarded-letters";
/// How long it is remembered that a letter was released: longer than SQS keeps any message, which is 14 days.
const REMEMBERED_SECONDS: i64 = 30 * 24 * 60 * 60;
/// The longest texts of others that are indexed, in characters; the archive has them whole.
const MAX_TEXT: usize = 1000;
const RELEASED: &str = "released";

/// A letter in the index.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    /// The letter, without bodies and attributes.
    pub(crate) letter: DeadLetter,
    /// How often it was taken up to be replayed. Unlike [`DeadLetter::replays`], a repair does not reset it.
    pub(crate) sends: u32,
    /// Where in the archive it is as it came.
    pub(crate) archived: String,
    /// Where in the archive it is as it was repaired.
    pub(crate) repaired: Option<String>,
    revision: u64,
}

/// What the index knows of a letter.
#[derive(Debug)]
pub(crate) enum Known {
    Nothing,
    /// It was one, and is none any more.
    Released,
    Letter(Box<Indexed>),
}

impl Indexed {
    /// A letter that is new to the index.
    pub(crate) fn new(letter: &DeadLetter, archived: String) -> Self {
        let (body, attributes) = (Body::default(), Default::default());
        let cut = |text: &str| text.chars().take(MAX_TEXT).collect::<String>();
        let (detail, origin) = (cut(&letter.detail), cut(&letter.origin));
        let letter = DeadLetter { body, attributes, detail, origin, original: None, ..letter.clone() };
        Self { letter, sends: 0, archived, repaired: None, revision: 0 }
    }

    /// Its place in the list of letters: by the time it was put aside, then by id, as text that sorts the same way.
    pub(crate) fn listed_at(&self) -> String {
        format!("{}#{}", listed_time(self.letter.parked_at.micros()), self.letter.id)
    }

    /// The same, with what is told of its letter now.
    pub(crate) fn with(&self, letter: &DeadLetter, repaired: Option<String>) -> Self {
        let letter = Self::new(letter, String::new()).letter;
        Self { letter, repaired, ..self.clone() }
    }

    /// Whether it is not in the index yet.
    pub(crate) fn is_new(&self) -> bool {
        self.revision == 0
    }

    fn item(&self, revision: u64) -> anyhow::Result<Item> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let partition = if self.letter.state == LetterState::Discarded { DISCARDED } else { OPEN };
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

fn key(id: &str) -> Item {
    let pk = text(format!("DEADLETTER#{id}"));
    HashMap::from([("pk".to_owned(), pk), ("sk".to_owned(), text(METADATA))])
}

fn known(item: &Item) -> anyhow::Result<Known> {
    if string(item, "state")? == RELEASED {
        return Ok(Known::Released);
    }
    let number = |name: &str| {
        let value = item.get(name).and_then(|value| value.as_n().ok());
        value.and_then(|value| value.parse::<u64>().ok()).with_context(|| format!("no number {name:?}"))
    };
    let letter = serde_json::from_str(string(item, "letter")?).context("a dead letter in the index")?;
    let repaired = string(item, "repaired").ok().map(str::to_owned);
    Ok(Known::Letter(Box::new(Indexed {
        letter,
        sends: u32::try_from(number("sends")?)?,
        archived: string(item, "archived")?.to_owned(),
        repaired,
        revision: number("revision")?,
    })))
}

impl Table {
    /// What the index knows of the letter with this id, strongly consistent.
    pub(crate) async fn known_letter(&self, id: &str) -> anyhow::Result<Known> {
        let found = self.get_all(vec![key(id)]).await?.into_iter().next();
        found.map_or(Ok(Known::Nothing), |item| known(&item))
    }

    /// Those of the letters with these ids that are in the index, in the order of the ids.
    pub(crate) async fn known_letters(&self, ids: &[String]) -> anyhow::Result<Vec<Indexed>> {
        let mut found = HashMap::new();
        for item in self.get_all(ids.iter().map(|id| key(id)).collect()).await? {
            if let Known::Letter(indexed) = known(&item)? {
                found.insert(indexed.letter.id.clone(), *indexed);
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Writes what became of a letter, as it was read before, and what that changes in the ledger. `false` if it is not
    /// as it was read any more, and nothing was written.
    pub(crate) async fn write_letter(&self, indexed: &Indexed, deltas: Deltas) -> anyhow::Result<bool> {
        let item = indexed.item(indexed.revision + 1)?;
        self.put_letter(as_it_was(self.put(item), indexed.revision), None, deltas).await
    }

    /// The same of a letter that is discarded, and of its event's receipt, if it has one.
    pub(crate) async fn discard_letter(
        &self,
        indexed: &Indexed,
        receipt: Option<&Receipt>,
    ) -> anyhow::Result<bool> {
        let item = indexed.item(indexed.revision + 1)?;
        let receipt = receipt.map(item_of).transpose()?;
        let deltas = Deltas { rejected: 1, discarded: 1, ..Deltas::parked(-1) };
        self.put_letter(as_it_was(self.put(item), indexed.revision), receipt, deltas).await
    }

    /// Marks a letter as released; `read` is what it was read as, if it was in the index.
    pub(crate) async fn release_letter(
        &self,
        id: &str,
        read: Option<&Indexed>,
        now: Timestamp,
        deltas: Deltas,
    ) -> anyhow::Result<bool> {
        let until = now.micros() / 1_000_000 + REMEMBERED_SECONDS;
        let mut item = key(id);
        item.insert("state".to_owned(), text(RELEASED));
        item.insert("expires_at".to_owned(), AttributeValue::N(until.to_string()));
        self.put_letter(as_it_was(self.put(item), read.map_or(0, |read| read.revision)), None, deltas).await
    }

    fn put(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(&self.name).set_item(Some(item))
    }

    async fn put_letter(
        &self,
        letter: PutBuilder,
        receipt: Option<Item>,
        deltas: Deltas,
    ) -> anyhow::Result<bool> {
        let mut writes = Vec::new();
        for put in std::iter::once(letter).chain(receipt.map(|item| self.put(item))) {
            let put = put.build().map_err(|error| anyhow!("{error}"))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        if let Some(update) = self.of_letters(deltas)? {
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        self.transact(&writes).await.context("writing the index of dead letters")
    }

    fn of_letters(&self, deltas: Deltas) -> anyhow::Result<Option<Update>> {
        let Some((expression, values)) = deltas.expression() else { return Ok(None) };
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(super::ledger::key_of_letters()))
            .update_expression(expression)
            .set_expression_attribute_values(Some(values));
        update.build().map(Some).map_err(|error| anyhow!("{error}"))
    }
}

/// On condition that the item has this revision; 0: that there is none.
fn as_it_was(put: PutBuilder, revision: u64) -> PutBuilder {
    if revision == 0 {
        return put.condition_expression("attribute_not_exists(pk)");
    }
    put.condition_expression("revision = :revision")
        .expression_attribute_values(":revision", AttributeValue::N(revision.to_string()))
}
