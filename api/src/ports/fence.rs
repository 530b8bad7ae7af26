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

/// Stores the fence durably, so that it survives a restart.
#[async_trait]
pub trait FenceStore: Send + Sync {
    /// The stored fence, or `None` if no fence is set.
    fn fence(&self) -> anyhow::Result<Option<Fence>>;

    /// Stores the fence, or removes it if `fence` is `None`. The change is durable when this method returns.
    async fn put_fence(&self, fence: Option<&Fence>) -> anyhow::Result<()>;
}
