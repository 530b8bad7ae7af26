//! Takes in dead letters of another archive. Nothing that is here is replaced by what only happens to have the same name:
//! whatever cannot be taken in without that is a conflict, which is reported, and the rest goes on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use domain::{DeadLetter, DeadLetterState, Repair, identify};

use crate::embedded::Embedded;
use crate::embedded::dead_letters::LetterRows;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::now;

/// The most letters in one commit, and the most bytes of their bodies.
const CHUNK: (usize, usize) = (500, 8 << 20);
/// Who repairs a letter by an import, for the record: nobody has to say who they are to write to a data folder.
const BY: &str = "orders dlq import";

/// A letter to take in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The letter.
    pub letter: DeadLetter,
    /// Where it was read, for reports.
    pub from: String,
    /// Whether what was read says that it is a dead letter, and which one. Otherwise only a file's name does.
    pub names_itself: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Letters that were not there.
    pub added: u64,
    /// Letters that were there with another body, which is the one that is replayed now.
    pub repaired: u64,
    /// Letters that were there.
    pub unchanged: u64,
    /// What was left out, where it was read and why.
    pub conflicts: Vec<String>,
}

/// What is to be done with one letter.
enum Fate {
    Add(Box<DeadLetter>, LetterRows),
    Repair(u64, Box<DeadLetter>, LetterRows),
    Keep,
    Refuse(String),
}

impl Embedded {
    /// Takes in letters in the order in which they were put aside. One that is here already is repaired: it gets the body
    /// that is brought, if it is parked and is the same letter. `progress` is given the number of letters dealt with.
    pub async fn import(
        &self,
        letters: Vec<Incoming>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> anyhow::Result<Imported> {
        let mut imported = Imported::default();
        let mut letters = distinct(letters, &mut imported);
        let key = |it: &Incoming| (it.letter.parked_at, it.letter.id.clone());
        letters.sort_by_cached_key(key);
        let mut done = imported.unchanged + imported.conflicts.len() as u64;
        while !letters.is_empty() {
            let rest = letters.split_off(chunk_of(&letters));
            let chunk = std::mem::replace(&mut letters, rest);
            done += chunk.len() as u64;
            let import = move |engine: &Self, stage: &mut Stage| engine.stage_import(stage, chunk);
            let of_chunk = self.change_letters(Durability::Synced, import).await?;
            imported.added += of_chunk.added;
            imported.repaired += of_chunk.repaired;
            imported.unchanged += of_chunk.unchanged;
            imported.conflicts.extend(of_chunk.conflicts);
            progress(done);
        }
        self.0.alarm.notify_one();
        Ok(imported)
    }

    fn stage_import(&self, stage: &mut Stage, letters: Vec<Incoming>) -> anyhow::Result<Imported> {
        let mut fates = Vec::with_capacity(letters.len());
        for incoming in letters {
            let from = incoming.from.clone();
            fates.push((self.fate_of(incoming)?, from));
        }
        let mut imported = Imported::default();
        for (fate, from) in fates {
            match fate {
                Fate::Add(letter, rows) => {
                    self.stage_added(stage, &letter, rows);
                    imported.added += 1;
                }
                Fate::Repair(seq, letter, rows) => {
                    self.stage_letter(stage, seq, &letter, rows);
                    imported.repaired += 1;
                }
                Fate::Keep => imported.unchanged += 1,
                Fate::Refuse(why) => imported.conflicts.push(format!("{from}: {why}")),
            }
        }
        Ok(imported)
    }

    /// A letter of elsewhere counts here as a message that was accepted and parked.
    fn stage_added(&self, stage: &mut Stage, letter: &DeadLetter, rows: LetterRows) {
        let seq = self.new_seq();
        self.stage_letter(stage, seq, letter, rows);
        let since = letter.parked_at.micros().to_be_bytes();
        stage.put(&self.0.keys.alerts, seq.to_be_bytes(), since);
        stage.next_seq = Some(self.0.queue.lock().next_seq());
        stage.books.ledger.accepted += 1;
        stage.books.ledger.parked += 1;
    }

    fn fate_of(&self, Incoming { letter, names_itself, .. }: Incoming) -> anyhow::Result<Fate> {
        let Some((seq, mut known)) = self.find_letter(&letter.id)? else {
            let letter = DeadLetter { state: DeadLetterState::Parked, discarded: None, ..letter };
            let rows = self.letter_rows(&letter)?;
            return Ok(Fate::Add(Box::new(letter), rows));
        };
        if known.body == letter.body {
            return Ok(Fate::Keep);
        }
        if let Some(why) = conflict(&known, &letter, names_itself) {
            return Ok(Fate::Refuse(why));
        }
        known.repair(letter.body.0, Repair { at: now(), by: Some(BY.to_owned()) });
        let rows = self.letter_rows(&known)?;
        Ok(Fate::Repair(seq, Box::new(known), rows))
    }
}

/// How many of the letters go into one commit; at least one.
fn chunk_of(letters: &[Incoming]) -> usize {
    let mut bytes = 0;
    let fits = |incoming: &&Incoming| {
        bytes += incoming.letter.body.0.len();
        bytes <= CHUNK.1
    };
    letters.iter().take(CHUNK.0).take_while(fits).count().max(1)
}

/// Why a letter must not replace the body of the one that has its id here, if it must not.
fn conflict(known: &DeadLetter, letter: &DeadLetter, names_itself: bool) -> Option<String> {
    let id = &known.id;
    if !names_itself {
        return Some(format!(
            "the id {id} is taken by another dead letter, and this file does not say which one it is; give it another \
             name, or repair that letter with `orders dlq repair {id} --body FILE`"
        ));
    }
    if known.state != DeadLetterState::Parked {
        return Some(format!(
            "the dead letter {id} is {}, and only a parked one can be repaired",
            known.state.as_str()
        ));
    }
    let order = identify(&letter.body.0).order_id.or(letter.order_id.clone());
    if let (Some(ours), Some(theirs)) = (&known.order_id, &order)
        && ours != theirs
    {
        return Some(format!(
            "the dead letter {id} is about order {ours}, and this one about order {theirs}"
        ));
    }
    if let (Some(ours), Some(theirs)) = (known.sent_at, letter.sent_at)
        && ours != theirs
    {
        return Some(format!(
            "the dead letter {id} was sent at {ours}, and this one at {theirs}: it is another one"
        ));
    }
    None
}

/// One letter for each id; those that name themselves come first. Of two that are the same letter, one of them repaired,
/// that one is taken.
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
                        "{}: the id {} is taken by {}, which has another content; give this file another name",
                        letter.from, letter.letter.id, first.from
                    ));
                }
            }
        }
    }
    taken
}

/// Whether the one is the other after a repair.
fn is_repair_of(one: &Incoming, other: &Incoming) -> bool {
    let original = one.letter.original.as_ref();
    one.names_itself && other.names_itself && original == Some(&other.letter.body)
}
