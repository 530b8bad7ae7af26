//! Fakes of the operators' ports, in memory: dead letters and counters.

use std::collections::HashSet;
use std::sync::Mutex;

use api::operations::{
    DeadLetterChange, DeadLetterFilter, DeadLetterList, DeadLetterPosition, DeadLetterStore, ParkedSequence,
    Pipeline, PipelineCounters, ReplayError,
};
use async_trait::async_trait;
use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, Ledger, OrderId, ParkReason, Repair, Timestamp};

/// Dead letters in the order in which they were parked.
#[derive(Default)]
pub(crate) struct FakeDeadLetters {
    pub(crate) all: Mutex<Vec<DeadLetter>>,
    /// The ids of the dead letters that were sent back to the queue, in order.
    pub(crate) sent: Mutex<Vec<String>>,
    /// The ids of the dead letters that cannot be sent back to the queue.
    pub(crate) unsendable: HashSet<&'static str>,
}

/// A dead letter with the given body, parked at the given minute.
pub(crate) fn letter(id: &str, minute: u32, body: &str) -> DeadLetter {
    let at = Timestamp::parse(&format!("2026-11-23T10:{minute:02}:00Z")).unwrap();
    DeadLetter::new(id, body.as_bytes().to_vec(), ParkReason::Malformed, "it is broken".to_owned(), at)
}

/// The JSON of an event of order `o-1`.
pub(crate) fn event(kind: &str, number: u32) -> String {
    let id = format!("0199d3a0-0000-7000-8000-{number:012}");
    format!(
        r#"{{"event_id":"{id}","type":"order_{kind}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","data":{{"order_id":"o-1"}}}}"#
    )
}

impl FakeDeadLetters {
    pub(crate) fn of(all: Vec<DeadLetter>) -> Self {
        Self { all: Mutex::new(all), ..Self::default() }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut DeadLetter)) -> DeadLetterChange {
        let mut all = self.all.lock().unwrap();
        let Some(letter) = all.iter_mut().find(|letter| letter.id == id) else {
            return DeadLetterChange::Missing;
        };
        if letter.state != DeadLetterState::Parked {
            return DeadLetterChange::NotParked(letter.state);
        }
        change(letter);
        DeadLetterChange::Made(Box::new(letter.clone()))
    }
}

#[async_trait]
impl DeadLetterStore for FakeDeadLetters {
    async fn letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        let key = |letter: &DeadLetter| format!("{:020}{}", letter.parked_at.micros(), letter.id);
        let mut letters = self.all.lock().unwrap().clone();
        letters.retain(|letter| filter.passes(letter) && after.is_none_or(|after| key(letter) < after.key));
        letters.sort_by_key(|letter| std::cmp::Reverse(key(letter)));
        let more = letters.len() > limit;
        letters.truncate(limit);
        let next = letters.last().filter(|_| more).map(|letter| DeadLetterPosition { key: key(letter) });
        Ok(DeadLetterList { letters, next })
    }

    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        Ok(self.all.lock().unwrap().iter().find(|letter| letter.id == id).cloned())
    }

    async fn sequence(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<ParkedSequence> {
        let mut line = self.all.lock().unwrap().clone();
        line.retain(|it| it.order_id.as_ref() == Some(order_id) && it.state != DeadLetterState::Discarded);
        let is_longer = line.len() > limit;
        line.truncate(limit);
        Ok(ParkedSequence { letters: line, is_longer })
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>> {
        let mut failed = false;
        let send = |letter: &DeadLetter| {
            if failed {
                return Err(ReplayError::EarlierFailed);
            }
            if self.unsendable.contains(letter.id.as_str()) {
                failed = true;
                return Err(ReplayError::Unavailable(anyhow::anyhow!("no route to the queue")));
            }
            self.sent.lock().unwrap().push(letter.id.clone());
            Ok(())
        };
        letters.iter().map(send).collect()
    }

    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<DeadLetterChange> {
        Ok(self.change(id, |letter| letter.repair(body, by)))
    }

    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<DeadLetterChange> {
        Ok(self.change(id, |letter| {
            letter.state = DeadLetterState::Discarded;
            letter.discarded = Some(discard);
        }))
    }
}

#[async_trait]
impl Pipeline for FakeDeadLetters {
    async fn counters(&self) -> anyhow::Result<PipelineCounters> {
        let ledger = Ledger { accepted: 20, recorded: 9, rejected: 3, discarded: 1, duplicate: 2, parked: 4 };
        let oldest = Some(std::time::Duration::from_millis(1500));
        Ok(PipelineCounters {
            ledger,
            visible: 1,
            in_flight: 1,
            delayed: 0,
            oldest,
            dead_letters: 5,
            exact: false,
            counts_accepted: true,
        })
    }
}
