//! Passes operators' requests to the worker of a subscription. Only the worker changes the state of the subscription's
//! deliveries.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use domain::{EventId, OrderId, SubscriptionId};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::held::SkipRequest;
use super::monitor::Monitor;

/// How long a request waits for the worker. To answer a request, the worker makes at most a few durable writes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The number of requests that may be queued for a worker.
const MAX_QUEUED: usize = 16;

/// Why a request was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The event is not the first undelivered event of a held order.
    #[error("there is no such delivery that can be skipped")]
    NoDelivery,
    /// The worker does not run, or did not answer in time.
    #[error("the deliveries of the subscription are not running")]
    Unavailable,
}

pub(crate) enum Action {
    /// Deliver all events after the given position again.
    Replay(u64),
    /// Deliver all events of the given order again.
    ReplayOrder(OrderId),
    /// Skip the failed delivery of the given event, so that the later events of its order are delivered.
    Skip(EventId, SkipRequest),
}

pub(crate) struct Command {
    pub(crate) action: Action,
    pub(crate) reply: oneshot::Sender<Result<(), CommandError>>,
}

struct Handle {
    commands: mpsc::Sender<Command>,
    monitor: Arc<Monitor>,
}

/// The running workers.
#[derive(Default)]
pub struct Workers {
    handles: Mutex<HashMap<SubscriptionId, Handle>>,
    /// Wakes the requests that wait for a worker, because a worker was added.
    added: Notify,
}

impl Workers {
    /// Delivers all events after `position` again.
    pub async fn replay(&self, id: SubscriptionId, position: u64) -> Result<(), CommandError> {
        self.send(id, Action::Replay(position)).await
    }

    /// Delivers all events of an order again.
    pub async fn replay_order(&self, id: SubscriptionId, order_id: OrderId) -> Result<(), CommandError> {
        self.send(id, Action::ReplayOrder(order_id)).await
    }

    /// Skips the failed delivery of an event, so that the later events of its order are delivered.
    pub async fn skip(
        &self,
        id: SubscriptionId,
        event_id: EventId,
        skip: SkipRequest,
    ) -> Result<(), CommandError> {
        self.send(id, Action::Skip(event_id, skip)).await
    }

    /// The current state of a subscription's deliveries, if its worker runs.
    pub fn monitor(&self, id: SubscriptionId) -> Option<Arc<Monitor>> {
        self.lock().get(&id).map(|handle| Arc::clone(&handle.monitor))
    }

    pub(crate) fn add(&self, id: SubscriptionId) -> (mpsc::Receiver<Command>, Arc<Monitor>) {
        let (commands, received) = mpsc::channel(MAX_QUEUED);
        let monitor = Arc::<Monitor>::default();
        self.lock().insert(id, Handle { commands, monitor: Arc::clone(&monitor) });
        self.added.notify_waiters();
        (received, monitor)
    }

    pub(crate) fn remove(&self, id: SubscriptionId) {
        self.lock().remove(&id);
    }

    async fn send(&self, id: SubscriptionId, action: Action) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        let answered = async {
            let commands = self.commands_of(id).await;
            commands.send(Command { action, reply }).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, answered).await.ok().flatten().unwrap_or(Err(CommandError::Unavailable))
    }

    /// The channel to the worker of a subscription. The worker of a new subscription may not run yet, so this function waits for
    /// it.
    async fn commands_of(&self, id: SubscriptionId) -> mpsc::Sender<Command> {
        loop {
            let mut added = pin!(self.added.notified());
            // The notification is enabled before the look-up. Otherwise, a worker that is added in between would not be noticed.
            added.as_mut().enable();
            if let Some(handle) = self.lock().get(&id) {
                return handle.commands.clone();
            }
            added.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SubscriptionId, Handle>> {
        // No code panics while it holds this lock, so the lock is never poisoned.
        self.handles.lock().expect("the lock is not poisoned")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_request_waits_for_the_worker_of_a_new_subscription() {
        let (workers, id) = (Workers::default(), Uuid::from_u128(1).into());
        let work = async {
            let (mut commands, _monitor) = workers.add(id);
            let Some(Command { action: Action::Replay(7), reply }) = commands.recv().await else { panic!() };
            reply.send(Ok(())).unwrap();
        };
        // `join!` polls the request first, so the request begins before its worker exists.
        let (answer, ()) = tokio::join!(workers.replay(id, 7), work);
        assert_eq!(answer, Ok(()));
    }
}
