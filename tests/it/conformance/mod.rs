//! What every backend must do, whatever it is made of. A backend joins with [`conformance_suite!`].
//!
//! The suite asks only what an SQS FIFO queue and a DynamoDB table can give: whole-second visibility timeouts,
//! batches of at most 10, delivery at least once, and a customer's list of orders that may lag.

#[cfg(feature = "aws")]
pub mod aws;
mod embedded;
mod letters;
pub mod listing;
mod log;
mod queue;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api::operations::{DeadLetterStore, Pipeline};
use api::ports::{EventPublisher, OrderReader};
use async_trait::async_trait;
use consumer::ports::{DeadLetters, End, Inbox, Message, OrderLog};
use domain::{Envelope, ParkReason, RecordedEvent};

pub use crate::support::QueueOptions;

/// The longest that a receive waits at one go: the most that SQS allows.
const WAIT: Duration = Duration::from_secs(20);
/// How long to look for something that should not be there.
const MOMENT: Duration = Duration::from_secs(1);

/// A backend with a queue, dead letters and a store of its own, all empty at first.
#[async_trait]
pub trait Backend: Send + Sync {
    fn publisher(&self) -> Arc<dyn EventPublisher>;
    fn inbox(&self) -> Arc<dyn Inbox>;
    fn dead_letters(&self) -> Arc<dyn DeadLetters>;
    fn log(&self) -> Arc<dyn OrderLog>;
    fn reader(&self) -> Arc<dyn OrderReader>;
    fn letters(&self) -> Arc<dyn DeadLetterStore>;
    fn pipeline(&self) -> Arc<dyn Pipeline>;

    /// Sends a message as a foreign producer would.
    async fn send(&self, group: &str, deduplication_id: &str, body: &str);
    /// The bodies of all dead letters, with the reason where the backend knows one.
    async fn dead(&self) -> Vec<(String, Option<ParkReason>)>;
    /// Brings parked messages to where operators find them, if something has to.
    async fn archive(&self);
    /// Puts an event into the log, and dies before it is projected.
    async fn append_without_projecting(&self, event: RecordedEvent);
}

/// Runs every case against a backend: `$open` is an async function from [`QueueOptions`] to a [`Backend`].
macro_rules! conformance_suite {
    ($open:path) => {
        $crate::conformance::conformance_suite!($open, queue {
            messages_of_a_group_come_in_order,
            a_group_waits_while_one_of_it_is_in_flight,
            a_message_comes_back_at_its_visibility_timeout,
            a_retried_message_comes_back_before_its_followers,
            an_event_published_twice_is_delivered_once,
            a_message_tried_too_often_goes_to_the_dead_letters,
            a_parked_message_goes_to_the_dead_letters,
            a_delayed_message_comes_later,
            a_waiting_receive_wakes_up,
            many_groups_come_in_batches,
            an_acked_message_is_gone,
            messages_of_foreign_producers_arrive_as_they_are
        });
        $crate::conformance::conformance_suite!($open, log {
            an_unknown_order_is_empty,
            appended_events_are_loaded_and_read,
            the_same_append_again_changes_nothing,
            another_event_at_the_same_version_is_a_conflict,
            appends_of_a_batch_stand_alone,
            a_crash_before_the_projection_heals_on_the_next_load,
            a_crash_before_the_projection_heals_on_redelivery,
            outcomes_are_kept,
            an_outcome_is_told_to_those_who_wait,
            the_hash_of_a_request_is_kept_with_its_receipt,
            long_logs_are_paged
        });
        $crate::conformance::conformance_suite!($open, listing {
            a_customers_orders_come_newest_first,
            orders_of_the_same_moment_are_neither_lost_nor_doubled,
            a_list_shows_orders_as_they_are_now,
            a_list_shows_only_what_is_asked_for,
            a_list_goes_on_where_it_was_while_orders_are_added
        });
        $crate::conformance::conformance_suite!($open, letters {
            letters_are_listed_newest_first,
            a_letter_tells_what_is_known_of_its_message,
            a_repaired_letter_is_replayed_as_it_was_repaired,
            an_orders_letters_come_back_in_line,
            a_letter_parked_again_after_its_replay_keeps_its_name_and_its_place,
            a_discarded_letter_is_kept_and_the_receipt_tells_why,
            of_changes_at_the_same_time_each_is_made_once_or_not_at_all,
            a_letter_that_is_not_there_is_missing
        });
    };
    ($open:path, $module:ident { $($case:ident),* }) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let case = $crate::conformance::$module::$case;
                let options = $crate::conformance::$module::options(stringify!($case));
                let backend = $open(options).await;
                case(&backend).await;
                $crate::conformance::assert_queue_is_empty(&backend).await;
            }
        )*
    };
}
pub(crate) use conformance_suite;

/// Every case cleans up after itself, so that nothing it did not expect stays unseen.
pub async fn assert_queue_is_empty(backend: &dyn Backend) {
    let left = backend.inbox().receive(10, MOMENT).await.unwrap();
    assert!(left.is_empty(), "left on the queue: {left:?}");
}

/// Publishes events, which must all be accepted.
async fn publish(backend: &dyn Backend, events: &[Envelope]) {
    for result in backend.publisher().publish(events).await {
        result.unwrap();
    }
}

/// Receives until `count` different messages are there, at most 10 at a time; none may come twice.
async fn receive(backend: &dyn Backend, count: usize) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    while all.len() < count {
        let more = backend.inbox().receive((count - all.len()).min(10), WAIT).await.unwrap();
        assert!(!more.is_empty(), "only {} of {count} messages came", all.len());
        all.extend(more);
    }
    let distinct: HashSet<_> = all.iter().map(|message| &message.id).collect();
    assert_eq!(distinct.len(), count, "{all:?}");
    all
}

/// Receives one message.
async fn receive_one(backend: &dyn Backend) -> Message {
    receive(backend, 1).await.remove(0)
}

async fn ack(backend: &dyn Backend, messages: &[Message]) {
    for chunk in messages.chunks(10) {
        let chunk: Vec<_> = chunk.iter().map(|message| (message, End::Recorded)).collect();
        for result in backend.inbox().ack(&chunk).await {
            result.unwrap();
        }
    }
}

async fn retry(backend: &dyn Backend, message: &Message, delay: Duration) {
    for result in backend.inbox().retry(&[(message, delay)]).await {
        result.unwrap();
    }
}

fn event_of(message: &Message) -> Envelope {
    Envelope::decode(&message.body, crate::support::events::eur()).unwrap()
}
