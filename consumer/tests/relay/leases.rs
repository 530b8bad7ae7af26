//! Leases of shards in memory. `shards` uses this module.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use consumer::relay::{Checkpoint, ShardLeases};

/// Leases that end when a test ends them.
#[derive(Default)]
pub(crate) struct Leases(pub(crate) Mutex<HashMap<String, StoredLease>>);

/// The owner of a lease and the checkpoint of its shard.
pub(crate) type StoredLease = (Option<String>, Option<Checkpoint>);

#[async_trait]
impl ShardLeases for Leases {
    async fn checkpoint(&self, shard: &str) -> anyhow::Result<Checkpoint> {
        let leases = self.0.lock().unwrap();
        Ok(leases.get(shard).and_then(|(_, at)| at.clone()).unwrap_or(Checkpoint::Start))
    }

    async fn take(&self, shard: &str, owner: &str, _: Duration) -> anyhow::Result<Option<Checkpoint>> {
        let mut leases = self.0.lock().unwrap();
        let (holder, at) = leases.entry(shard.to_owned()).or_default();
        if holder.as_deref().is_some_and(|holder| holder != owner) {
            return Ok(None);
        }
        *holder = Some(owner.to_owned());
        Ok(Some(at.clone().unwrap_or(Checkpoint::Start)))
    }

    async fn store(&self, shard: &str, owner: &str, at: &Checkpoint, _: Duration) -> anyhow::Result<bool> {
        let mut leases = self.0.lock().unwrap();
        let (holder, stored) = leases.get_mut(shard).unwrap();
        let is_ours = holder.as_deref() == Some(owner);
        if is_ours {
            *stored = Some(at.clone());
        }
        Ok(is_ours)
    }

    async fn release(&self, shard: &str, owner: &str) -> anyhow::Result<()> {
        let mut leases = self.0.lock().unwrap();
        let (holder, _) = leases.get_mut(shard).unwrap();
        if holder.as_deref() == Some(owner) {
            *holder = None;
        }
        Ok(())
    }
}

impl Leases {
    pub(crate) fn of(&self, shard: &str) -> StoredLease {
        self.0.lock().unwrap().get(shard).cloned().unwrap_or_default()
    }
}
