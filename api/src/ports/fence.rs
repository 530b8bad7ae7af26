//! The port through which the API keeps the fence of a service that is moved.

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The fence of a service: while it is set, the service accepts no writes. Stores keep it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// When the fence was set.
    pub since: Timestamp,
    /// The URL of the service that takes the writes instead, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether the fence stays for ever. A final fence cannot be lifted.
    #[serde(default, rename = "final")]
    pub is_final: bool,
}

/// Keeps the fence, so that it lasts through a restart.
#[async_trait]
pub trait FenceStore: Send + Sync {
    /// The fence that was put last.
    fn fence(&self) -> anyhow::Result<Option<Fence>>;

    /// Puts the fence, or removes it. Durable once it returns.
    async fn put_fence(&self, fence: Option<&Fence>) -> anyhow::Result<()>;
}
