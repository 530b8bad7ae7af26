//! Imports dead letters from another archive, for `orders dlq import`. If the store has a different dead letter with
//! the same id, the import keeps the stored dead letter, reports the conflict, and imports the other dead letters.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use domain::{DeadLetter, DeadLetterState, Repair, identify};

use super::{DeadLetters, EncodedDeadLetter};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::now;

/// The maximum number of dead letters that one commit imports.
const MAX_LETTERS_OF_COMMIT: usize = 500;
/// The maximum size of the bodies that one commit imports, in bytes. A larger body has a separate commit.
const MAX_BODY_BYTES_OF_COMMIT: usize = 8 << 20;
/// The name that the import records as the author of a repair. The import has no authenticated user, because it is a
/// command on a data folder.
const REPAIRED_BY: &str = "orders dlq import";

/// A dead letter to import.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The dead letter.
    pub letter: DeadLetter,
    /// Where the dead letter was read from, for reports.
    pub from: String,
    /// Whether the archive contained the id of the dead letter. Otherwise the id was derived from the name of the file.
    pub names_itself: bool,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// The number of dead letters that were added.
    pub added: u64,
    /// The number of existing dead letters that got the imported body.
    pub repaired: u64,
    /// The number of existing dead letters that already had the imported body.
    pub unchanged: u64,
    /// The dead letters that were not imported, each with the place where it was read and the reason.
    pub conflicts: Vec<String>,
}

/// What to do with one incoming dead letter.
enum ImportAction {
    Add(Box<DeadLetter>, EncodedDeadLetter),
    Repair(u64, Box<DeadLetter>, EncodedDeadLetter),
    Keep,
    Refuse(String),
}

impl DeadLetters {
    /// Imports dead letters in the order in which they were parked. If the store already has the same dead letter in
    /// the state *parked*, the imported body repairs the stored dead letter. `progress` gets the number of dead letters
    /// processed so far.
    pub(crate) async fn import(
        self: &Arc<Self>,
        letters: Vec<Incoming>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> anyhow::Result<Imported> {
        let mut imported = Imported::default();
        let mut letters = distinct(letters, &mut imported);
        let key = |it: &Incoming| (it.letter.parked_at, it.letter.id.clone());
        letters.sort_by_cached_key(key);
        let mut done = imported.unchanged + imported.conflicts.len() as u64;
        while !letters.is_empty() {
            let rest = letters.split_off(size_of_commit(&letters));
            let chunk = std::mem::replace(&mut letters, rest);
            done += chunk.len() as u64;
            let import = move |letters: &Arc<Self>, stage: &mut Stage| letters.stage_import(stage, chunk);
            let of_chunk = self.change(Durability::Synced, import).await?;
            imported.added += of_chunk.added;
            imported.repaired += of_chunk.repaired;
            imported.unchanged += of_chunk.unchanged;
            imported.conflicts.extend(of_chunk.conflicts);
            progress(done);
        }
        self.alarm.notify_one();
        Ok(imported)
    }

    fn stage_import(&self, stage: &mut Stage, letters: Vec<Incoming>) -> anyhow::Result<Imported> {
        let mut actions = Vec::with_capacity(letters.len());
        for incoming in letters {
            let from = incoming.from.clone();
            actions.push((self.action_for(incoming)?, from));
        }
        let mut imported = Imported::default();
        for (action, from) in actions {
            match action {
                ImportAction::Add(letter, encoded) => {
                    self.stage_added(stage, &letter, encoded);
                    imported.added += 1;
                }
                ImportAction::Repair(seq, letter, encoded) => {
                    self.stage(stage, seq, &letter, encoded);
                    imported.repaired += 1;
                }
                ImportAction::Keep => imported.unchanged += 1,
                ImportAction::Refuse(why) => imported.conflicts.push(format!("{from}: {why}")),
            }
        }
        Ok(imported)
    }

    /// Stages a dead letter that the store does not have. The ledger counts the dead letter as a message that this
    /// service accepted and parked.
    fn stage_added(&self, stage: &mut Stage, letter: &DeadLetter, encoded: EncodedDeadLetter) {
        let (seq, next_seq) = {
            let mut index = self.queue.lock();
            (index.take_seq(), index.next_seq())
        };
        self.stage(stage, seq, letter, encoded);
        self.stage_alert(stage, seq, letter);
        stage.next_seq = Some(next_seq);
        stage.counters.ledger.accepted += 1;
        stage.counters.ledger.parked += 1;
    }

    fn action_for(&self, Incoming { letter, names_itself, .. }: Incoming) -> anyhow::Result<ImportAction> {
        let Some((seq, mut known)) = self.find(&letter.id)? else {
            let letter = DeadLetter { state: DeadLetterState::Parked, discarded: None, ..letter };
            let encoded = self.encode(&letter)?;
            return Ok(ImportAction::Add(Box::new(letter), encoded));
        };
        if known.body == letter.body {
            return Ok(ImportAction::Keep);
        }
        if let Some(why) = conflict(&known, &letter, names_itself) {
            return Ok(ImportAction::Refuse(why));
        }
        known.repair(letter.body.0, Repair { at: now(), by: Some(REPAIRED_BY.to_owned()) });
        let encoded = self.encode(&known)?;
        Ok(ImportAction::Repair(seq, Box::new(known), encoded))
    }
}

/// The number of dead letters in the next commit, at least one.
fn size_of_commit(letters: &[Incoming]) -> usize {
    let mut bytes = 0;
    let fits = |incoming: &&Incoming| {
        bytes += incoming.letter.body.0.len();
        bytes <= MAX_BODY_BYTES_OF_COMMIT
    };
    letters.iter().take(MAX_LETTERS_OF_COMMIT).take_while(fits).count().max(1)
}

/// The reason why the imported `letter` must not replace the body of the stored dead letter `known`, which has the same
/// id. `None` if `letter` may replace the body.
fn conflict(known: &DeadLetter, letter: &DeadLetter, names_itself: bool) -> Option<String> {
    let id = &known.id;
    if !names_itself {
        return Some(format!(
            "the id {id} is taken by another dead letter, and this file does not contain an id; give the file another name, or \
             repair the dead letter with `orders dlq repair {id} --body FILE`"
        ));
    }
    if known.state != DeadLetterState::Parked {
        return Some(format!(
            "the dead letter {id} is {}, and only a parked dead letter can be repaired",
            known.state.as_str()
        ));
    }
    let order = identify(&letter.body.0).order_id.or(letter.order_id.clone());
    if let (Some(ours), Some(theirs)) = (&known.order_id, &order)
        && ours != theirs
    {
        return Some(format!(
            "the stored dead letter {id} belongs to order {ours}, and the imported dead letter to order {theirs}"
        ));
    }
    if let (Some(ours), Some(theirs)) = (known.sent_at, letter.sent_at)
        && ours != theirs
    {
        return Some(format!(
            "the message of the stored dead letter {id} was sent at {ours}, and that of the imported dead letter at {theirs}"
        ));
    }
    None
}

/// Keeps one of the imported dead letters with the same id. A dead letter that contains its id takes precedence over a
/// dead letter with a derived id. The repaired version of a dead letter takes precedence over the original.
fn distinct(mut letters: Vec<Incoming>, imported: &mut Imported) -> Vec<Incoming> {
    letters.sort_by(|one, other| (!one.names_itself, &one.from).cmp(&(!other.names_itself, &other.from)));
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut taken: Vec<Incoming> = Vec::with_capacity(letters.len());
    for letter in letters {
        match places.entry(letter.letter.id.clone()) {
            Entry::Vacant(place) => {
                place.insert(taken.len());
                taken.push(letter);
            }
            Entry::Occupied(place) => {
                let first = &mut taken[*place.get()];
                if first.letter.body == letter.letter.body || is_repair_of(first, &letter) {
                    imported.unchanged += 1;
                } else if is_repair_of(&letter, first) {
                    imported.unchanged += 1;
                    *first = letter;
                } else {
                    imported.conflicts.push(format!(
                        "{}: the id {} is taken by {}, which has another body; give this file another name",
                        letter.from, letter.letter.id, first.from
                    ));
                }
            }
        }
    }
    taken
}

fn is_repair_of(one: &Incoming, other: &Incoming) -> bool {
    let original = one.letter.original.as_ref();
    one.names_itself && other.names_itself && original == Some(&other.letter.body)
}
