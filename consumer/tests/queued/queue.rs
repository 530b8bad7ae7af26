//! A FIFO queue in memory that behaves like SQS. Groups keep their order. A message in flight or hidden
//! blocks its group. A repeated deduplication id is dropped for five minutes. A message that was received too
//! often becomes a dead letter.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use consumer::webhooks::queued::Job;

use crate::fixtures::now;

/// The redrive policy of the deployment.
const MAX_RECEIVES: u32 = 1000;
const DEDUPLICATION: i64 = 300 * 1_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) job: Job,
    visible_at: i64,
    pub(crate) receives: u32,
}

#[derive(Debug, Default)]
pub(crate) struct FifoQueue {
    messages: VecDeque<Queued>,
    sent: BTreeMap<String, i64>,
    pub(crate) dead: Vec<Queued>,
    /// The highest receive count of any message.
    pub(crate) max_receives: u32,
    /// The number of sweeps that were kept.
    pub(crate) sweeps: usize,
}

impl FifoQueue {
    pub(crate) fn send(&mut self, job: &Job) {
        let sent_at = now().micros();
        self.sent.retain(|_, at| sent_at - *at < DEDUPLICATION);
        match job.deduplication_id() {
            Some(id) if self.sent.contains_key(&id) => return,
            Some(id) => drop(self.sent.insert(id, sent_at)),
            None => {}
        }
        self.sweeps += usize::from(matches!(job, Job::Sweep { .. }));
        self.repeat(job);
    }

    /// Adds the message even if its deduplication id is repeated, as SQS does after five minutes.
    pub(crate) fn repeat(&mut self, job: &Job) {
        self.messages.push_back(Queued { job: job.clone(), visible_at: now().micros(), receives: 0 });
    }

    pub(crate) fn jobs(&self) -> Vec<&Job> {
        self.messages.iter().map(|queued| &queued.job).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// When the next message can be received. `None` if there is no message.
    pub(crate) fn next_at(&self) -> Option<i64> {
        let mut groups = HashSet::new();
        let first = self.messages.iter().filter(|message| groups.insert(message.job.group()));
        first.map(|message| message.visible_at).min()
    }

    /// Receives up to ten visible messages. In each group, a hidden message blocks all later messages.
    pub(crate) fn receive(&mut self) -> Vec<Queued> {
        let (mut blocked, mut taken, mut left) = (HashSet::new(), Vec::new(), VecDeque::new());
        for mut message in std::mem::take(&mut self.messages) {
            let group = message.job.group();
            let is_free = message.visible_at <= now().micros() && !blocked.contains(&group);
            if is_free && taken.len() < 10 {
                message.receives += 1;
                self.max_receives = self.max_receives.max(message.receives);
                if message.receives > MAX_RECEIVES {
                    self.dead.push(message);
                } else {
                    taken.push(message);
                }
            } else {
                blocked.insert(group);
                left.push_back(message);
            }
        }
        self.messages = left;
        taken
    }

    /// Puts messages back to the front, in order, so that they stay before later messages of their groups.
    pub(crate) fn come_back(&mut self, messages: Vec<(Queued, Duration)>) {
        for (message, delay) in messages.into_iter().rev() {
            let visible_at = now().micros() + i64::try_from(delay.as_micros()).unwrap();
            self.messages.push_front(Queued { visible_at, ..message });
        }
    }
}
