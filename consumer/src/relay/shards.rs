//! The relay in a container: reads all shards of the change stream, each under a lease. The command for containers runs it. A
//! Lambda function needs none of this, because its event source mapping reads the shards.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{ChangeStream, Checkpoint, Relay, Shard, ShardLeases, ShardPage, StreamError};
use crate::backoff::full_jitter;

/// How the relay reads shards.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// The name of this relay in leases. Each process has a different name.
    pub owner: String,
    /// How long a lease lasts. After a crash, another relay takes over when the lease has ended.
    pub lease: Duration,
    /// How often the relay looks for new shards and for leases that have ended.
    pub tick: Duration,
    /// The longest pause between two reads of a shard without changes.
    pub max_pause: Duration,
}

/// Reads shards and relays their entries.
pub struct ShardRelay {
    /// The stream.
    pub stream: Arc<dyn ChangeStream>,
    /// The leases and checkpoints.
    pub leases: Arc<dyn ShardLeases>,
    /// The relay that gets the entries of every shard.
    pub relay: Arc<Relay>,
    /// The settings for reading shards.
    pub options: ShardOptions,
}

/// Why the work on a shard ended.
enum ShardEnd {
    /// All entries of the shard are relayed.
    Complete,
    /// Another relay holds the lease, or this relay must stop.
    Left,
}

impl ShardRelay {
    /// Relays until `stop` becomes true or its sender is dropped. Then gives up its leases, so that another relay can
    /// take over immediately.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut tasks, mut active, mut complete) = (JoinSet::new(), HashMap::new(), HashSet::new());
        let mut failures = 0;
        while !*stop.borrow() {
            match self.free_shards(&active, &mut complete).await {
                Ok(free) => {
                    failures = 0;
                    for (shard, checkpoint) in free {
                        let (this, stop) = (Arc::clone(&self), stop.clone());
                        let id = shard.clone();
                        let task = tasks.spawn(async move { this.work(&id, checkpoint, stop).await });
                        active.insert(task.id(), shard);
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::error!("cannot find the shards of the change stream; trying again: {error:#}");
                }
            }
            let pause = self.options.tick + full_jitter(failures, self.options.tick, Duration::from_secs(30));
            let stopped = timeout(pause, stop.wait_for(|stop| *stop));
            tokio::select! {
                _ = stopped => {}
                // Once a shard is complete, the next round of this loop can take the shard's children.
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    self.ended(ended, &mut active, &mut complete);
                }
            }
            while let Some(ended) = tasks.try_join_next_with_id() {
                self.ended(ended, &mut active, &mut complete);
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    fn ended(
        &self,
        ended: Result<(tokio::task::Id, ShardEnd), tokio::task::JoinError>,
        active: &mut HashMap<tokio::task::Id, String>,
        complete: &mut HashSet<String>,
    ) {
        match ended {
            Ok((task, end)) => {
                let shard = active.remove(&task);
                if let (Some(shard), ShardEnd::Complete) = (shard, end) {
                    complete.insert(shard);
                }
            }
            Err(error) => {
                active.remove(&error.id());
                tracing::error!(%error, "the work on a shard panicked; it begins again at its checkpoint");
            }
        }
    }

    /// Takes the leases of shards that nobody works on and whose parent is complete.
    async fn free_shards(
        &self,
        active: &HashMap<tokio::task::Id, String>,
        complete: &mut HashSet<String>,
    ) -> anyhow::Result<Vec<(String, Checkpoint)>> {
        let shards = self.stream.shards().await?;
        let listed: HashSet<_> = shards.iter().map(|shard| shard.id.clone()).collect();
        complete.retain(|shard| listed.contains(shard));
        let mut free = Vec::new();
        for Shard { id, parent } in shards {
            if complete.contains(&id) || active.values().any(|shard| *shard == id) {
                continue;
            }
            // If the stream no longer lists the parent, all records of the parent have expired. The child need not wait for them.
            if let Some(parent) = parent.filter(|parent| listed.contains(parent))
                && !self.is_complete(&parent, complete).await?
            {
                continue;
            }
            match self.leases.take(&id, &self.options.owner, self.options.lease).await? {
                Some(Checkpoint::End) => {
                    complete.insert(id);
                }
                Some(checkpoint) => free.push((id, checkpoint)),
                None => {}
            }
        }
        Ok(free)
    }

    async fn is_complete(&self, shard: &str, complete: &mut HashSet<String>) -> anyhow::Result<bool> {
        if !complete.contains(shard) && self.leases.checkpoint(shard).await? == Checkpoint::End {
            complete.insert(shard.to_owned());
        }
        Ok(complete.contains(shard))
    }

    /// Relays a shard until the shard ends, another relay takes the lease, or this relay must stop.
    async fn work(
        &self,
        shard: &str,
        mut checkpoint: Checkpoint,
        mut stop: watch::Receiver<bool>,
    ) -> ShardEnd {
        tracing::info!(shard, "relaying a shard");
        let (mut iterator, mut pause, mut failures) = (None, Duration::ZERO, 0);
        let mut renewed = Instant::now();
        loop {
            if timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                if let Err(error) = self.leases.release(shard, &self.options.owner).await {
                    tracing::warn!(shard, "cannot give up a lease; it ends by itself: {error:#}");
                }
                return ShardEnd::Left;
            }
            match self.step(shard, &mut checkpoint, &mut iterator, &mut renewed).await {
                Ok(Step::Relayed) => (pause, failures) = (Duration::ZERO, 0),
                Ok(Step::Idle) => {
                    failures = 0;
                    pause = (pause * 2).clamp(Duration::from_millis(50), self.options.max_pause);
                }
                Ok(Step::Complete) => return ShardEnd::Complete,
                Ok(Step::LeaseLost) => {
                    tracing::info!(shard, "another relay works on the shard now");
                    return ShardEnd::Left;
                }
                Err(error) => {
                    failures += 1;
                    iterator = None;
                    pause = full_jitter(failures, Duration::from_millis(200), Duration::from_secs(30));
                    tracing::error!(shard, "cannot relay, trying again in {pause:?}: {error:#}");
                }
            }
        }
    }

    /// Reads the next page of the shard and relays its entries.
    async fn step(
        &self,
        shard: &str,
        checkpoint: &mut Checkpoint,
        iterator: &mut Option<String>,
        renewed: &mut Instant,
    ) -> anyhow::Result<Step> {
        let Some(page) = self.page(shard, checkpoint, iterator).await? else { return Ok(Step::Idle) };
        let ShardPage { entries, last, next } = page;
        let (has_entries, has_records) = (!entries.is_empty(), last.is_some());
        let (sequences, entries): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        if let Err(failure) = self.relay.relay(entries).await {
            // The entries before the failed entry are relayed. The next read begins after these entries.
            if let Some(before) = failure.first.checked_sub(1) {
                *checkpoint = Checkpoint::After(sequences[before].clone());
            }
            // The lease is renewed even if no entry was relayed. The renewal fails if another relay has taken
            // the lease.
            if !self.leases.store(shard, &self.options.owner, checkpoint, self.options.lease).await? {
                return Ok(Step::LeaseLost);
            }
            *renewed = Instant::now();
            return Err(failure.into());
        }
        if let Some(last) = last {
            *checkpoint = Checkpoint::After(last);
        }
        let is_complete = next.is_none();
        if is_complete {
            *checkpoint = Checkpoint::End;
        }
        *iterator = next;
        // Pages without log entries are frequent. Their checkpoints are only stored when the lease is renewed.
        if has_entries || is_complete || renewed.elapsed() > self.options.lease / 3 {
            if !self.leases.store(shard, &self.options.owner, checkpoint, self.options.lease).await? {
                return Ok(Step::LeaseLost);
            }
            *renewed = Instant::now();
        }
        Ok(match (is_complete, has_records) {
            (true, _) => Step::Complete,
            (false, true) => Step::Relayed,
            (false, false) => Step::Idle,
        })
    }

    /// The next page of the shard. `None` if a new iterator is needed first.
    async fn page(
        &self,
        shard: &str,
        checkpoint: &mut Checkpoint,
        iterator: &mut Option<String>,
    ) -> anyhow::Result<Option<ShardPage>> {
        let at = match iterator.take() {
            Some(at) => at,
            None => match self.stream.iterate(shard, checkpoint).await {
                Ok(at) => at,
                Err(error) => return self.recovered(shard, checkpoint, error),
            },
        };
        match self.stream.read(&at).await {
            Ok(page) => Ok(Some(page)),
            Err(error) => self.recovered(shard, checkpoint, error),
        }
    }

    fn recovered(
        &self,
        shard: &str,
        checkpoint: &mut Checkpoint,
        error: StreamError,
    ) -> anyhow::Result<Option<ShardPage>> {
        match error {
            StreamError::IteratorExpired => Ok(None),
            StreamError::Trimmed => {
                tracing::error!(
                    shard,
                    "the relay stood still for more than 24 hours, so recorded events are missing from the feed; the relay \
                     continues with the oldest change in the stream"
                );
                *checkpoint = Checkpoint::Start;
                Ok(None)
            }
            StreamError::Failed(error) => Err(error),
        }
    }
}

/// The result of reading a page.
enum Step {
    /// The page had records.
    Relayed,
    /// The page was empty.
    Idle,
    /// The shard is relayed to its end.
    Complete,
    /// Another relay holds the lease.
    LeaseLost,
}
