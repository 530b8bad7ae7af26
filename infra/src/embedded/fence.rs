//! Keeps the fence of the service in the data folder, as JSON in a row of `meta`. The API closes the service for
//! writes, and opens it again, with these functions.

use anyhow::Context;
use api::ports::fence::{Fence, FenceStore};
use async_trait::async_trait;

use super::Embedded;
use super::store::keyspaces;
use super::store::views::ReadStore;
use super::store::writer::Durability;

#[async_trait]
impl FenceStore for Embedded {
    fn fence(&self) -> anyhow::Result<Option<Fence>> {
        let store = &self.0.store;
        let row = store.view().get(&store.keys.meta, keyspaces::FENCE)?;
        row.map(|row| serde_json::from_slice(&row).context("the fence in the data folder")).transpose()
    }

    async fn put_fence(&self, fence: Option<&Fence>) -> anyhow::Result<()> {
        let meta = self.0.store.keys.meta.clone();
        let row = fence.map(serde_json::to_vec).transpose()?;
        let write = move |stage: &mut super::store::stage::Stage| {
            match row {
                Some(row) => stage.put(&meta, keyspaces::FENCE, row),
                None => stage.remove(&meta, keyspaces::FENCE),
            }
            Ok(())
        };
        self.0.store.writer.write(Durability::Synced, write).await
    }
}
