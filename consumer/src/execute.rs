//! Handles batches of messages. It groups the messages, loads their orders, plans, and appends, and then calls `settle`
//! to finish. The poll loop and the Lambda handler call this module through [`BatchHandler`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Currency, Event, OrderId};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::backoff::full_jitter;
use crate::decide::reference_of;
use crate::disposition::Disposition;
use crate::group::{DecodedMessage, MessageGroup, group_messages};
use crate::handler::{BatchHandler, HandledMessage};
use crate::ledger;
use crate::plan::{LoadedOrders, plan_group};
use crate::ports::{Append, Clock, DeadLetters, LedgerStore, LoadRequest, LoadedOrder, Message, OrderLog};
use crate::settle::{ExecutedGroup, Settler};

/// How often a group is planned, at most, while other writers keep appending to its orders. After that, the
/// messages of the group are retried later.
const ROUNDS: u32 = 4;
/// The maximum pause before a group is planned again. The pause keeps two consumers from conflicting repeatedly.
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// How many groups [`Consumer::handle_until`] handles concurrently. A batch of a queue without order can contain
/// thousands of groups, and each group needs connections to the store.
const CONCURRENT_GROUPS: usize = 100;

/// Handles batches of messages.
#[derive(Clone)]
pub struct Consumer {
    /// The log in which events are recorded.
    pub log: Arc<dyn OrderLog>,
    /// The store for messages that cannot be processed.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Supplies the time at which events are recorded.
    pub clock: Clock,
    /// The currency of orders in schema version 0, whose messages contain no currency.
    pub default_currency: Currency,
    /// How often the queue delivers a message before the queue itself moves it to the dead letters. `None` if the
    /// queue never moves messages. The consumer parks a message that fails on its last delivery, so that the parked
    /// sequence and the reason are complete.
    pub max_receives: Option<u32>,
    /// Counts messages before they are acknowledged. `None` if the inbox counts the messages that it acknowledges.
    pub ledger: Option<Arc<dyn LedgerStore>>,
}

#[async_trait]
impl BatchHandler for Consumer {
    async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage> {
        Self::handle(self, messages).await
    }

    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage> {
        Self::handle_until(self, messages, deadline).await
    }

    async fn count(&self, handled: &mut [HandledMessage]) {
        if let Some(store) = &self.ledger {
            ledger::count(store.as_ref(), handled).await;
        }
    }
}

impl Consumer {
    /// Handles `messages` group by group. The messages of a group are handled in the given order. A failure affects
    /// no other group.
    ///
    /// Each step is one call to the store for all groups. So the slowest group determines how long every group takes.
    pub async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage> {
        self.handle_groups(group_messages(messages, self.default_currency)).await
    }

    /// Like [`Consumer::handle`], but handles each group independently and ends at `deadline`. Returns the
    /// disposition of each message, in the given order. A group that is not finished at the deadline is retried as a
    /// whole. No group is started after the deadline.
    ///
    /// The deadline can interrupt a group at any point without loss. The messages of the group are still on the queue
    /// or parked; at worst, a message is parked twice. The next delivery continues from what was written: an appended
    /// event counts as a duplicate, and a missing projection is written.
    pub async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage> {
        let groups = group_messages(messages.clone(), self.default_currency);
        let dispositions: Vec<OnceLock<Disposition>> = messages.iter().map(|_| OnceLock::new()).collect();
        let dispositions_ref = &dispositions;
        let work = stream::iter(groups).for_each_concurrent(CONCURRENT_GROUPS, |group| async move {
            if Instant::now() >= deadline {
                return;
            }
            let places = group.places.clone();
            for (place, handled) in places.into_iter().zip(self.handle_groups(vec![group]).await) {
                // Each message belongs to exactly one group, so its disposition is set only once.
                let _ = dispositions_ref[place].set(handled.disposition);
            }
        });
        // After a timeout, the messages of unfinished groups have no dispositions.
        let _ = timeout_at(deadline, work).await;
        let all = messages.into_iter().zip(dispositions);
        all.map(|(message, disposition)| at_deadline(message, disposition)).collect()
    }

    /// Handles groups until each one is settled. A group with a conflict is planned again.
    async fn handle_groups(&self, mut open: Vec<MessageGroup>) -> Vec<HandledMessage> {
        let mut executed: Vec<ExecutedGroup> = Vec::new();
        for round in 1..=ROUNDS {
            if round > 2 {
                // The second round loads every order. So a conflict after that round means that another consumer is writing to
                // the same order at the same time.
                tokio::time::sleep(full_jitter(1, CONFLICT_PAUSE, CONFLICT_PAUSE)).await;
            }
            let (conflicts, done): (Vec<_>, Vec<_>) =
                self.execute(open, round == 1).await.into_iter().partition(ExecutedGroup::has_conflict);
            executed.extend(done);
            if conflicts.is_empty() || round == ROUNDS {
                executed.extend(conflicts);
                break;
            }
            open = conflicts.into_iter().map(|conflict| conflict.group).collect();
        }
        let (log, dead_letters) = (self.log.as_ref(), self.dead_letters.as_ref());
        Settler { log, dead_letters, max_receives: self.max_receives }.settle(executed).await
    }

    /// Loads the orders of all groups, plans each group, and appends the planned events.
    async fn execute(&self, groups: Vec<MessageGroup>, is_first_round: bool) -> Vec<ExecutedGroup> {
        let orders = self.load(&groups, is_first_round).await;
        let now = (self.clock)();
        let mut appends: Vec<Append> = Vec::new();
        let mut planned = Vec::with_capacity(groups.len());
        for (group, mut orders) in groups.into_iter().zip(orders) {
            let plan = plan_group(&group.messages, &mut orders, now);
            let order_ids: Vec<OrderId> =
                plan.appends.iter().map(|append| append.order.order_id.clone()).collect();
            appends.extend(plan.appends);
            planned.push((group, plan.plans, order_ids));
        }
        let results = if appends.is_empty() { Vec::new() } else { self.log.append(&appends).await };
        let mut results = results.into_iter();
        let executed = planned.into_iter().map(|(group, plans, order_ids)| {
            let appended = order_ids.into_iter().zip(results.by_ref()).collect();
            ExecutedGroup { group, plans, appended }
        });
        executed.collect()
    }

    /// Loads the orders of each group, except those that are assumed not to exist.
    async fn load(&self, groups: &[MessageGroup], is_first_round: bool) -> Vec<LoadedOrders> {
        let mut orders: Vec<LoadedOrders> = Vec::with_capacity(groups.len());
        let mut requests: Vec<LoadRequest> = Vec::new();
        let mut group_of_request: Vec<usize> = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            let (assumed, to_load) = orders_to_load(&group.messages, is_first_round);
            orders.push(assumed);
            group_of_request.extend(to_load.iter().map(|_| number));
            requests.extend(to_load);
        }
        let loaded = if requests.is_empty() { Vec::new() } else { self.log.load(&requests).await };
        for ((number, request), loaded) in group_of_request.into_iter().zip(requests).zip(loaded) {
            orders[number].insert(request.order_id, loaded.map_err(|error| format!("{error:#}")));
        }
        orders
    }
}

/// A message with its disposition. A message whose group was not finished at the deadline is retried.
fn at_deadline(message: Message, disposition: OnceLock<Disposition>) -> HandledMessage {
    let disposition = disposition.into_inner().unwrap_or_else(|| {
        let why = "out of time: the group was not finished by the deadline";
        let (message_id, receives) = (message.id.as_str(), message.receive_count);
        tracing::warn!(message_id, receives, why, "to be retried");
        Disposition::Retry(why.to_owned())
    });
    HandledMessage { message, disposition, delay: None }
}

/// Divides the orders of a group into those that are assumed not to exist, and those that must be loaded. In
/// the first round, an order is assumed not to exist if its first event in the group is an `order_created`
/// event that is received for the first time. The reference of such an order is assumed to be free. If an
/// assumption is wrong, the append fails, and the next round loads every order.
fn orders_to_load(messages: &[DecodedMessage], is_first_round: bool) -> (LoadedOrders, Vec<LoadRequest>) {
    let mut assumed = LoadedOrders::default();
    let mut requests: Vec<LoadRequest> = Vec::new();
    for decoded in messages {
        let Ok(envelope) = &decoded.event else { continue };
        let order_id = &envelope.order_id;
        if assumed.contains_key(order_id) {
            continue;
        }
        if let Some(request) = requests.iter_mut().find(|request| request.order_id == *order_id) {
            request.event_ids.push(envelope.event_id);
            request.references.extend(reference_of(&envelope.event).cloned());
        } else if is_first_round
            && matches!(envelope.event, Event::Created(_))
            && decoded.message.receive_count == 1
        {
            assumed.insert(order_id.clone(), Ok(LoadedOrder::default()));
        } else {
            requests.push(LoadRequest {
                order_id: order_id.clone(),
                event_ids: vec![envelope.event_id],
                references: reference_of(&envelope.event).cloned().into_iter().collect(),
            });
        }
    }
    (assumed, requests)
}
