//! The write gate, which refuses writes while the service is moved. `lib.rs` puts the gate before the routes. The
//! operator endpoints of the fence close and open the gate. [`expiry`](crate::expiry) passes the gate like a client.
//!
//! Once [`WriteGate::close`] has returned, every write that passed the gate has ended, and no other write begins. So
//! whoever reads the store from then on reads all writes.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Mutex, OwnedRwLockReadGuard};

use crate::ports::fence::{Fence, FenceStore};
use crate::problem::Problem;

/// The path of the endpoint that closes and opens the gate. The gate does not stop its requests.
pub(crate) const FENCE_PATH: &str = "/v1/fence";

/// Lets writes pass while no fence is set.
pub struct WriteGate {
    store: Arc<dyn FenceStore>,
    fence: RwLock<Option<Fence>>,
    /// Every write that has passed the gate holds a read lock.
    writes: Arc<tokio::sync::RwLock<()>>,
    /// Locked while the fence changes.
    change: Mutex<()>,
}

/// The permission for one write. `WriteGate::close` waits until every `WritePass` is dropped.
#[derive(Debug)]
pub struct WritePass(#[expect(dead_code, reason = "held until it is dropped")] OwnedRwLockReadGuard<()>);

/// The error for a change of a final fence, which cannot be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FenceIsFinal;

impl WriteGate {
    /// Creates the gate, which is closed if the store has a fence.
    pub fn new(store: Arc<dyn FenceStore>) -> anyhow::Result<Arc<Self>> {
        let fence = RwLock::new(store.fence()?);
        Ok(Arc::new(Self { store, fence, writes: Arc::default(), change: Mutex::default() }))
    }

    /// The fence, if the gate is closed.
    pub fn fence(&self) -> Option<Fence> {
        self.fence.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes the gate. Fails with the fence if the gate is closed.
    pub async fn pass(&self) -> Result<WritePass, Fence> {
        if let Some(fence) = self.fence() {
            return Err(fence);
        }
        let pass = Arc::clone(&self.writes).read_owned().await;
        // The gate may have closed while this write waited for the lock.
        self.fence().map_or(Ok(WritePass(pass)), Err)
    }

    /// Closes the gate, or changes the fence of a closed gate. Returns when every write that has passed the gate has
    /// ended.
    pub(crate) async fn close(&self, fence: Fence) -> anyhow::Result<Result<Fence, FenceIsFinal>> {
        let _change = self.change.lock().await;
        let before = self.fence();
        if before.as_ref().is_some_and(|before| before.is_final && !fence.is_final) {
            return Ok(Err(FenceIsFinal));
        }
        let since = before.map_or(fence.since, |before| before.since);
        let fence = Fence { since, ..fence };
        self.store.put_fence(Some(&fence)).await?;
        self.set(Some(fence.clone()));
        drop(self.writes.write().await);
        // A request that was cut off may have left a write in the store's queue. The store writes in order, so this
        // second `put_fence` returns after that write.
        self.store.put_fence(Some(&fence)).await?;
        tracing::warn!(address = fence.address, is_final = fence.is_final, "the service accepts no writes");
        Ok(Ok(fence))
    }

    /// Opens the gate.
    pub(crate) async fn open(&self) -> anyhow::Result<Result<(), FenceIsFinal>> {
        let _change = self.change.lock().await;
        if self.fence().is_some_and(|fence| fence.is_final) {
            return Ok(Err(FenceIsFinal));
        }
        self.store.put_fence(None).await?;
        self.set(None);
        tracing::warn!("the service accepts writes again");
        Ok(Ok(()))
    }

    fn set(&self, fence: Option<Fence>) {
        *self.fence.write().unwrap_or_else(PoisonError::into_inner) = fence;
    }
}

/// Adds the gate to `routes`. Without a gate, returns `routes` unchanged.
pub(crate) fn gated<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    gate: Option<Arc<WriteGate>>,
) -> Router<S> {
    let Some(gate) = gate else { return routes };
    routes.route_layer(middleware::from_fn(move |request: Request, next: Next| {
        let gate = Arc::clone(&gate);
        async move { guarded(&gate, request, next).await }
    }))
}

async fn guarded(gate: &WriteGate, request: Request, next: Next) -> Response {
    let is_write = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if !is_write || request.uri().path().ends_with(FENCE_PATH) {
        return next.run(request).await;
    }
    match gate.pass().await {
        Ok(_pass) => next.run(request).await,
        Err(fence) => Problem::fenced(&fence).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use domain::Timestamp;
    use std::time::Duration;

    #[derive(Default)]
    struct InMemory(std::sync::Mutex<Option<Fence>>);

    #[async_trait]
    impl FenceStore for InMemory {
        fn fence(&self) -> anyhow::Result<Option<Fence>> {
            Ok(self.0.lock().unwrap().clone())
        }

        async fn put_fence(&self, fence: Option<&Fence>) -> anyhow::Result<()> {
            *self.0.lock().unwrap() = fence.cloned();
            Ok(())
        }
    }

    fn fence(is_final: bool) -> Fence {
        let since = Timestamp::parse("2026-11-30T21:00:00Z").unwrap();
        Fence { since, address: Some("https://new.example".to_owned()), is_final }
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_writes_that_passed_and_stops_new_ones_at_once() {
        let gate = WriteGate::new(Arc::new(InMemory::default())).unwrap();
        let pass = gate.pass().await.unwrap();
        let closing = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.close(fence(false)).await.unwrap().unwrap() }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!closing.is_finished());
        assert_eq!(gate.pass().await.unwrap_err(), fence(false));
        drop(pass);
        assert_eq!(closing.await.unwrap(), fence(false));
        assert!(gate.open().await.unwrap().is_ok());
        assert!(gate.pass().await.is_ok());
    }

    #[tokio::test]
    async fn a_fence_is_stored_and_a_final_one_stays() {
        let store = Arc::new(InMemory::default());
        let gate = WriteGate::new(store.clone()).unwrap();
        gate.close(fence(true)).await.unwrap().unwrap();
        let gate = WriteGate::new(store).unwrap();
        assert_eq!(gate.fence(), Some(fence(true)));
        assert_eq!(gate.open().await.unwrap(), Err(FenceIsFinal));
        assert_eq!(gate.close(fence(false)).await.unwrap(), Err(FenceIsFinal));
        assert!(gate.pass().await.is_err());
    }
}
