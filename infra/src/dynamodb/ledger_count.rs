//! Counts outcomes in the ledger, as the port [`LedgerStore`] defines. The consumer counts a batch before it acknowledges
//! the messages, so a message whose outcome is not counted comes back.
//!
//! An outcome that this process has stored is counted by the number that it got then. Any other one was stored by an
//! earlier delivery of its message, here or in another process. It is read, and counted by the number that it contains
//! ([`ledger_writer`](super::ledger_writer)).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{LedgerStore, Message};
use domain::Envelope;
use tokio::sync::oneshot;

use crate::now;

use super::Table;
use super::ledger_writer::{CountedOutcome, LedgerMark, StoredWriter, shard_of_writer};

/// A process goes on as a new writer when its item has this many gaps. A gap is left by a write whose result is not known.
const MAX_GAPS: usize = 40;
/// The maximum number of stored outcomes to remember until they are counted. An outcome that is forgotten is read again.
const MAX_REMEMBERED: usize = 10_000;

/// The ledger's writer that this process is.
#[derive(Debug)]
pub(super) struct LedgerCounter {
    numbers: Mutex<Numbers>,
    /// What is stored about writers. Only the holder of the lock counts.
    known: tokio::sync::Mutex<KnownWriter>,
    waiting: Mutex<Vec<Waiting>>,
}

/// The numbers of the outcomes that this process stores.
#[derive(Debug)]
struct Numbers {
    writer: Arc<str>,
    next: u64,
    /// The marks of outcomes that are stored and not counted, by the ids of their messages.
    stored: HashMap<String, LedgerMark>,
    /// The numbers that were not used.
    unused: Vec<LedgerMark>,
    /// The shard in which idle writers are to be folded, because a writer was added to it.
    to_fold: Option<u64>,
}

/// The last state of the writer that this process has written. `None` if the result of the last write is not known.
#[derive(Debug)]
struct KnownWriter {
    writer: Arc<str>,
    stored: Option<StoredWriter>,
}

/// Outcomes to count, and the channel for the result.
#[derive(Debug)]
struct Waiting {
    outcomes: Vec<(LedgerMark, CountedOutcome)>,
    counted: oneshot::Sender<Result<(), String>>,
}

impl Default for LedgerCounter {
    fn default() -> Self {
        let writer = new_writer();
        let known = KnownWriter { writer: Arc::clone(&writer), stored: Some(StoredWriter::Absent) };
        let numbers = Numbers { writer, next: 1, stored: HashMap::new(), unused: Vec::new(), to_fold: None };
        Self { numbers: Mutex::new(numbers), known: known.into(), waiting: Mutex::default() }
    }
}

/// A new name: a random number in base 36, which no other writer has.
fn new_writer() -> Arc<str> {
    let mut random = fastrand::u64(..);
    let mut name = String::new();
    while random > 0 {
        name.extend(char::from_digit((random % 36) as u32, 36));
        random /= 36;
    }
    name.into()
}

impl LedgerCounter {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mark of the next outcome that this process stores.
    pub(super) fn next_mark(&self) -> LedgerMark {
        let mut numbers = self.numbers();
        let number = numbers.next;
        numbers.next += 1;
        LedgerMark { writer: Arc::clone(&numbers.writer), number }
    }

    /// Remembers that the outcome of this message is stored with this mark.
    pub(super) fn remember(&self, message: &str, mark: LedgerMark) {
        let mut numbers = self.numbers();
        if numbers.stored.len() >= MAX_REMEMBERED {
            numbers.stored.clear();
        }
        numbers.stored.insert(message.to_owned(), mark);
    }

    /// Notes that nothing is stored with this mark, nor ever will be.
    pub(super) fn not_used(&self, mark: LedgerMark) {
        self.numbers().unused.push(mark);
    }

    fn remembered(&self, message: &str) -> Option<LedgerMark> {
        self.numbers().stored.get(message).cloned()
    }

    fn forget<'a>(&self, messages: impl Iterator<Item = &'a str>) {
        let mut numbers = self.numbers();
        messages.for_each(|message| drop(numbers.stored.remove(message)));
    }

    fn take_unused(&self) -> Vec<LedgerMark> {
        std::mem::take(&mut self.numbers().unused)
    }

    /// Goes on as a new writer.
    fn renew(&self) -> KnownWriter {
        let writer = new_writer();
        let mut numbers = self.numbers();
        (numbers.writer, numbers.next) = (Arc::clone(&writer), 1);
        KnownWriter { writer, stored: Some(StoredWriter::Absent) }
    }
}

#[async_trait]
impl LedgerStore for Table {
    async fn count(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let found = self.each(messages, |message| Box::pin(self.counted(message))).await;
        let marks = found.iter().filter_map(|found| found.as_ref().ok()).flatten().cloned().collect();
        let counted = self.count_marks(marks).await;
        if counted.is_ok() {
            self.ledger.forget(messages.iter().map(|(message, _)| message.dead_letter_id()));
            self.fold_some();
        }
        let result = |found: anyhow::Result<Option<_>>| match (found?, &counted) {
            (Some(_), Err(error)) => Err(anyhow!("{error:#}")),
            _ => Ok(()),
        };
        found.into_iter().map(result).collect()
    }
}

impl Table {
    /// The mark under which a message is counted. `None` if it is not counted, or was counted without a mark.
    async fn counted(
        &self,
        (message, disposition): &(&Message, &Disposition),
    ) -> anyhow::Result<Option<(LedgerMark, CountedOutcome)>> {
        let Some(outcome) = outcome_of(disposition) else { return Ok(None) };
        let id = message.dead_letter_id();
        let mark = match self.ledger.remembered(id) {
            Some(mark) => Some(mark),
            None if outcome == CountedOutcome::Duplicate => Some(self.mark_duplicate(id).await?),
            None => {
                let event = Envelope::decode(&message.body, self.default_currency)?;
                self.stored_mark(id, &event, disposition).await?
            }
        };
        Ok(mark.map(|mark| (mark, outcome)))
    }

    /// Counts the outcome of a message that the queue itself moved to the dead letters, unless it is counted already.
    pub(crate) async fn count_outcome(
        &self,
        id: &str,
        event: &Envelope,
        disposition: &Disposition,
    ) -> anyhow::Result<()> {
        let mark = match outcome_of(disposition) {
            None => None,
            Some(CountedOutcome::Duplicate) => {
                Some((self.mark_duplicate(id).await?, CountedOutcome::Duplicate))
            }
            Some(outcome) => self.stored_mark(id, event, disposition).await?.map(|mark| (mark, outcome)),
        };
        self.count_marks(mark.into_iter().collect()).await
    }

    /// Counts outcomes by their marks, each once. Callers that wait at the same time share the writes.
    pub(super) async fn count_marks(
        &self,
        outcomes: Vec<(LedgerMark, CountedOutcome)>,
    ) -> anyhow::Result<()> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let (counted, answer) = oneshot::channel();
        self.ledger.waiting().push(Waiting { outcomes, counted });
        let mut known = self.ledger.known.lock().await;
        // An earlier holder of the lock may have counted the outcomes of this caller.
        let all = std::mem::take(&mut *self.ledger.waiting());
        if !all.is_empty() {
            let result = self.count_all(&mut known, &all).await.map_err(|error| format!("{error:#}"));
            for waiting in all {
                // The caller may have been dropped at its deadline.
                let _ = waiting.counted.send(result.clone());
            }
        }
        drop(known);
        let lost = || Err("the caller that counted the outcomes was dropped".to_owned());
        answer.await.unwrap_or_else(|_| lost()).map_err(anyhow::Error::msg)
    }

    /// Counts the outcomes of all callers: one write for each writer.
    async fn count_all(&self, known: &mut KnownWriter, all: &[Waiting]) -> anyhow::Result<()> {
        let mut of_writers: HashMap<Arc<str>, Vec<(u64, CountedOutcome)>> = HashMap::new();
        let outcomes = all.iter().flat_map(|waiting| waiting.outcomes.iter().cloned());
        let unused = self.ledger.take_unused().into_iter().filter(|mark| mark.writer == known.writer);
        let unused = unused.map(|mark| (mark, CountedOutcome::Unused));
        for (LedgerMark { writer, number }, outcome) in outcomes.chain(unused) {
            of_writers.entry(writer).or_default().push((number, outcome));
        }
        for (writer, outcomes) in of_writers {
            if writer == known.writer {
                self.count_own(known, &outcomes).await?;
            } else {
                let stored = self.stored_writer(&writer).await?;
                self.count_numbers(&writer, stored, &outcomes).await?;
            }
        }
        Ok(())
    }

    async fn count_own(
        &self,
        known: &mut KnownWriter,
        outcomes: &[(u64, CountedOutcome)],
    ) -> anyhow::Result<()> {
        // If the caller is dropped or the write fails, the state is not known, and is read the next time.
        let before = match known.stored.take() {
            Some(stored) => stored,
            None => self.stored_writer(&known.writer).await?,
        };
        let is_first = before == StoredWriter::Absent;
        let after = self.count_numbers(&known.writer, before, outcomes).await?;
        if is_first {
            self.ledger.numbers().to_fold = Some(shard_of_writer(&known.writer));
        }
        match &after {
            StoredWriter::Live(state) if state.counted.gaps() < MAX_GAPS => known.stored = Some(after),
            _ => *known = self.ledger.renew(),
        }
        Ok(())
    }

    /// Folds writers that ended long ago, beside the caller's work, after this process has added a writer. What fails is
    /// left to the next process.
    fn fold_some(&self) {
        let Some(shard) = self.ledger.numbers().to_fold.take() else { return };
        let table = self.clone();
        tokio::spawn(async move {
            let now = now().micros() / 1_000_000;
            if let Err(error) = table.fold_idle_writers(shard, now).await {
                tracing::debug!("cannot fold idle writers of the ledger: {error:#}");
            }
        });
    }
}

/// What the ledger counts for a disposition. Dead letters are counted by their index.
fn outcome_of(disposition: &Disposition) -> Option<CountedOutcome> {
    match disposition {
        Disposition::Recorded(_) => Some(CountedOutcome::Recorded),
        Disposition::Rejected(..) => Some(CountedOutcome::Rejected),
        Disposition::Duplicate => Some(CountedOutcome::Duplicate),
        Disposition::Archived | Disposition::Completed | Disposition::Parked(..) | Disposition::Retry(_) => {
            None
        }
    }
}
