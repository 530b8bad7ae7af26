//! A change stream in memory. `shards` uses this module.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use consumer::relay::{ChangeStream, Checkpoint, Shard, ShardPage, StreamEntry, StreamError};

/// A stream of shards. Each page has one entry. The sequence number of an entry is its index in the shard.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) shards: Mutex<BTreeMap<String, FakeShard>>,
    /// How many of the next reads fail because the iterator has expired.
    pub(crate) expiries: Mutex<u32>,
    /// The records before this index have expired.
    pub(crate) trimmed: Mutex<usize>,
}

#[derive(Default)]
pub(crate) struct FakeShard {
    pub(crate) parent: Option<String>,
    pub(crate) entries: Vec<StreamEntry>,
    pub(crate) is_closed: bool,
}

#[async_trait]
impl ChangeStream for Stream {
    async fn shards(&self) -> anyhow::Result<Vec<Shard>> {
        let shards = self.shards.lock().unwrap();
        // Lists children before their parents, because the relay must not depend on the order of the list.
        let shards = shards.iter().rev();
        Ok(shards.map(|(id, shard)| Shard { id: id.clone(), parent: shard.parent.clone() }).collect())
    }

    async fn iterate(&self, shard: &str, from: &Checkpoint) -> Result<String, StreamError> {
        let trimmed = *self.trimmed.lock().unwrap();
        let next = match from {
            Checkpoint::After(at) => at.parse::<usize>().unwrap() + 1,
            Checkpoint::Start | Checkpoint::End => trimmed,
        };
        if next < trimmed { Err(StreamError::Trimmed) } else { Ok(format!("{shard} {next}")) }
    }

    async fn read(&self, iterator: &str) -> Result<ShardPage, StreamError> {
        let mut expiries = self.expiries.lock().unwrap();
        if *expiries > 0 {
            *expiries -= 1;
            return Err(StreamError::IteratorExpired);
        }
        let (shard, next) = iterator.split_once(' ').unwrap();
        let next: usize = next.parse().unwrap();
        let shards = self.shards.lock().unwrap();
        let found = &shards[shard];
        let Some(entry) = found.entries.get(next) else {
            let next = (!found.is_closed).then(|| iterator.to_owned());
            return Ok(ShardPage { next, ..ShardPage::default() });
        };
        let entries = vec![(next.to_string(), Ok(entry.clone()))];
        Ok(ShardPage { entries, last: Some(next.to_string()), next: Some(format!("{shard} {}", next + 1)) })
    }
}
