//! One batch of messages, from their bodies to what became of each: the I/O around the plans of [`crate::group`].

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Currency, Event, OrderId, ParkReason, RejectReason};
use foldhash::fast::RandomState;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::backoff;
use crate::plan::{Item, KnownOrders, Plan, plan};
use crate::ports::{
    Append, AppendError, Appended, Clock, DeadLetters, End, Loaded, Message, OrderLog, Tally, Wanted,
};

/// How often a group is planned again because another writer took its versions, before it is left for a retry.
const ROUNDS: u32 = 4;
/// The longest pause before a group is planned again, so that two consumers do not get into each other's way for ever.
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// How many groups [`Consumer::handle_until`] has in hand at the same time. A batch of a queue without order can have
/// thousands, and each has connections to the store.
const GROUPS_AT_ONCE: usize = 100;

/// Handles batches of messages.
#[derive(Clone)]
pub struct Consumer {
    /// Where events are recorded.
    pub log: Arc<dyn OrderLog>,
    /// Where messages go that cannot be processed.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// The time that events are recorded as of.
    pub clock: Clock,
    /// The currency of article orders, which state none.
    pub default_currency: Currency,
    /// How often the queue delivers a message before it moves it to the dead letters by itself, if it does. What fails
    /// the last time is put aside here, so that its order's line and the reason are known at once.
    pub max_receives: Option<u32>,
    /// Where the ends of messages are counted, if the inbox does not do that.
    pub tally: Option<Arc<dyn Tally>>,
}

/// A message, and what became of it.
#[derive(Debug)]
pub struct Handled {
    /// The message.
    pub message: Message,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a message. But for a parked one, it is still on the queue: [`Outcome::Retry`] says what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its event is in the log, as this version. To be acked.
    Recorded(u64),
    /// Its event broke this rule. To be acked.
    Rejected(RejectReason, String),
    /// Its event was handled before. To be acked.
    Duplicate,
    /// It is in the dead letters for this reason, and off the queue.
    Parked(ParkReason, String),
    /// It came by the queue of dead letters, and is in the archive. To be acked.
    Archived,
    /// It has to be received again, for this reason.
    Retry(String),
}

impl Outcome {
    /// The end that the message came to and is to be acked with, if it did.
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Recorded(_) => Some(End::Recorded),
            Self::Rejected(..) => Some(End::Rejected),
            Self::Duplicate => Some(End::Duplicate),
            Self::Archived => Some(End::Archived),
            Self::Parked(..) | Self::Retry(_) => None,
        }
    }

    /// What it is called in metrics and traces.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::Rejected(..) => "rejected",
            Self::Duplicate => "duplicate",
            Self::Parked(..) => "parked",
            Self::Archived => "archived",
            Self::Retry(_) => "retried",
        }
    }
}

/// Handles batches, for whoever received them: the poll loop, or the event source mapping of a function.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles a batch to its end.
    async fn handle(&self, messages: Vec<Message>) -> Vec<Handled>;

    /// Handles a batch, and tells at the deadline what became of each message, in the order given.
    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<Handled>;

    /// Counts what became of a batch, once its messages are acked. What could not be acked is to be retried by then.
    async fn count(&self, handled: &[Handled]);
}

#[async_trait]
impl Handler for Consumer {
    async fn handle(&self, messages: Vec<Message>) -> Vec<Handled> {
        Self::handle(self, messages).await
    }

    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<Handled> {
        Self::handle_until(self, messages, deadline).await
    }

    async fn count(&self, handled: &[Handled]) {
        Self::count(self, handled).await;
    }
}

/// The messages of one ordering group, on their way through a batch.
pub(crate) struct Group {
    pub(crate) items: Vec<Item>,
    /// Where in the batch each item came.
    places: Vec<usize>,
    pub(crate) plan: Plan,
    /// The result of each append of the plan.
    pub(crate) appended: Vec<Result<Appended, AppendError>>,
}

/// What makes messages of a batch one group.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Group(String),
    Order(OrderId),
    Message(String),
}

impl Group {
    fn new() -> Self {
        Self { items: Vec::new(), places: Vec::new(), plan: Plan::default(), appended: Vec::new() }
    }

    fn has_conflict(&self) -> bool {
        self.appended.iter().any(|result| matches!(result, Err(AppendError::Conflict { .. })))
    }
}

impl Consumer {
    /// Handles `messages`, group by group, each group in the order given. A failure touches no other group.
    ///
    /// Each step is one call to the store for all groups, and the slowest decides when all are done.
    pub async fn handle(&self, messages: Vec<Message>) -> Vec<Handled> {
        self.handle_groups(self.groups(messages)).await
    }

    /// Handles `messages` like [`Consumer::handle`], but each group by itself, and tells at the `deadline` what became
    /// of each, in the order given: a group that is not done by then has to be retried as a whole. When the deadline
    /// has passed nothing is started any more.
    ///
    /// A group is dropped wherever it is. That loses nothing: its messages are still on the queue (or parked, and then
    /// they are parked twice at worst). What was written counts, and the next delivery finds it: an appended event is
    /// a duplicate then, and a projection that was not written yet is healed.
    pub async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<Handled> {
        let groups = self.groups(messages.clone());
        let outcomes: Vec<OnceLock<Outcome>> = messages.iter().map(|_| OnceLock::new()).collect();
        let open = &outcomes;
        let work = stream::iter(groups).for_each_concurrent(GROUPS_AT_ONCE, |group| async move {
            if Instant::now() >= deadline {
                return;
            }
            let places = group.places.clone();
            for (place, handled) in places.into_iter().zip(self.handle_groups(vec![group]).await) {
                // Nobody else sets it: every place is in one group.
                let _ = open[place].set(handled.outcome);
            }
        });
        // Whether it came in time is told by the outcomes.
        let _ = timeout_at(deadline, work).await;
        messages.into_iter().zip(outcomes).map(|(message, outcome)| in_time(message, outcome)).collect()
    }

    /// Takes groups all the way.
    async fn handle_groups(&self, mut open: Vec<Group>) -> Vec<Handled> {
        let mut done: Vec<Group> = Vec::new();
        for round in 1..=ROUNDS {
            if round > 2 {
                // Twice in a row: not an order that was there already, but another consumer at work on it.
                tokio::time::sleep(backoff::full_jitter(1, CONFLICT_PAUSE, CONFLICT_PAUSE)).await;
            }
            self.record(&mut open, round == 1).await;
            let (conflicts, recorded): (Vec<_>, Vec<_>) = open.into_iter().partition(Group::has_conflict);
            done.extend(recorded);
            open = conflicts;
            if open.is_empty() {
                break;
            }
        }
        done.extend(open);
        self.finish(done).await
    }

    /// Reads the messages and groups them by the queue's group, or else by order: without either, each is its own.
    fn groups(&self, messages: Vec<Message>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Key, usize, RandomState> = HashMap::default();
        for (number, message) in messages.into_iter().enumerate() {
            let item = Item::read(message, self.default_currency);
            let key = match (&item.message.group, &item.order_id) {
                (Some(group), _) => Key::Group(group.clone()),
                (None, Some(order_id)) => Key::Order(order_id.clone()),
                (None, None) => Key::Message(item.message.id.clone()),
            };
            let place = *places.entry(key).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Group::new());
            }
            groups[place].items.push(item);
            groups[place].places.push(number);
        }
        groups
    }

    /// Loads, plans and appends.
    async fn record(&self, groups: &mut [Group], first_round: bool) {
        let known = self.load(groups, first_round).await;
        let now = (self.clock)();
        let mut appends: Vec<Append> = Vec::new();
        let mut counts = Vec::with_capacity(groups.len());
        for (group, mut orders) in groups.iter_mut().zip(known) {
            group.plan = plan(&group.items, &mut orders, now);
            counts.push(group.plan.appends.len());
            appends.append(&mut group.plan.appends);
        }
        let results = if appends.is_empty() { Vec::new() } else { self.log.append(&appends).await };
        let mut results = results.into_iter();
        for (group, count) in groups.iter_mut().zip(counts) {
            group.appended = results.by_ref().take(count).collect();
        }
    }

    /// What is known of each group's orders.
    async fn load(&self, groups: &[Group], first_round: bool) -> Vec<KnownOrders> {
        let mut known: Vec<KnownOrders> = Vec::with_capacity(groups.len());
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut places: Vec<usize> = Vec::new();
        for (place, group) in groups.iter().enumerate() {
            let (assumed, to_load) = first_look(&group.items, first_round);
            known.push(assumed);
            places.extend(to_load.iter().map(|_| place));
            wanted.extend(to_load);
        }
        let loaded = if wanted.is_empty() { Vec::new() } else { self.log.load(&wanted).await };
        for ((place, wanted), loaded) in places.into_iter().zip(wanted).zip(loaded) {
            known[place].insert(wanted.order_id, loaded.map_err(|error| format!("{error:#}")));
        }
        known
    }
}

/// A message with its outcome; without one, its group was not done at the deadline.
fn in_time(message: Message, outcome: OnceLock<Outcome>) -> Handled {
    let outcome = outcome.into_inner().unwrap_or_else(|| {
        let why = "out of time: its group was not done at the deadline";
        let (message_id, receives) = (message.id.as_str(), message.receive_count);
        tracing::warn!(message_id, receives, why, "to be retried");
        Outcome::Retry(why.to_owned())
    });
    Handled { message, outcome }
}

/// Which orders of a group need no loading, and which do. In the first round an order whose first event here creates
/// it, received for the first time, is taken not to exist. If it does, the append says so, and the next round loads.
fn first_look(items: &[Item], first_round: bool) -> (KnownOrders, Vec<Wanted>) {
    let mut assumed = KnownOrders::default();
    let mut wanted: Vec<Wanted> = Vec::new();
    for item in items {
        let Ok(envelope) = &item.event else { continue };
        let order_id = &envelope.order_id;
        if assumed.contains_key(order_id) {
            continue;
        }
        if let Some(wanted) = wanted.iter_mut().find(|wanted| wanted.order_id == *order_id) {
            wanted.event_ids.push(envelope.event_id);
        } else if first_round
            && matches!(envelope.event, Event::Created(_))
            && item.message.receive_count == 1
        {
            assumed.insert(order_id.clone(), Ok(Loaded::default()));
        } else {
            wanted.push(Wanted { order_id: order_id.clone(), event_ids: vec![envelope.event_id] });
        }
    }
    (assumed, wanted)
}
