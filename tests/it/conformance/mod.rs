//! The conformance suite: the behaviour that every backend must have. A backend runs the suite with
//! [`conformance_suite!`].
//!
//! The suite requires only what an SQS FIFO queue and a DynamoDB table guarantee: visibility timeouts in whole seconds,
//! batches of at most 10, at-least-once delivery, and eventually consistent lists of a customer's orders.

#[cfg(feature = "aws")]
pub mod aws;
mod dead_letters;
mod embedded;
pub mod feed;
pub mod finding;
pub mod listing;
mod log;
mod queue;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api::operations::{DeadLetterStore, Pipeline};
use api::ports::feed::EventFeed;
use api::ports::{EventPublisher, OrderReader};
use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{DeadLetters, Inbox, Message, OrderLog};
use domain::{Envelope, ParkReason, RecordedEvent};

pub use crate::support::QueueOptions;

/// The time that a receive call waits, which is the maximum of SQS.
const WAIT: Duration = Duration::from_secs(20);
/// How long a test waits for a message that should not exist.
const MOMENT: Duration = Duration::from_secs(1);

/// A backend with a queue, dead letters and a store, all of them empty at first.
#[async_trait]
pub trait Backend: Send + Sync {
    fn publisher(&self) -> Arc<dyn EventPublisher>;
    fn inbox(&self) -> Arc<dyn Inbox>;
    fn dead_letters(&self) -> Arc<dyn DeadLetters>;
    fn log(&self) -> Arc<dyn OrderLog>;
    fn reader(&self) -> Arc<dyn OrderReader>;
    fn letters(&self) -> Arc<dyn DeadLetterStore>;
    fn pipeline(&self) -> Arc<dyn Pipeline>;
    /// The feed. Only backends that run [`feed_suite!`] have one.
    fn feed(&self) -> Arc<dyn EventFeed> {
        panic!("this backend has no feed")
    }

    /// Puts a message on the queue in the way another producer would.
    async fn send(&self, group: &str, deduplication_id: &str, body: &str);
    /// The bodies of all dead letters, each with its reason if the backend stores it.
    async fn dead(&self) -> Vec<(String, Option<ParkReason>)>;
    /// Archives parked messages. Does nothing on backends that archive messages when they park them.
    async fn archive(&self);
    /// Appends an event to the log without projecting it, as a crash would leave it.
    async fn append_without_projecting(&self, event: RecordedEvent);
}

/// Runs every case against a backend. `$open` is an async function from [`QueueOptions`] to a [`Backend`].
macro_rules! conformance_suite {
    ($open:path) => {
        $crate::conformance::conformance_suite!($open, queue {
            messages_of_a_group_are_delivered_in_order,
            a_group_is_held_while_one_of_its_messages_is_in_flight,
            a_message_is_delivered_again_after_its_visibility_timeout,
            a_retried_message_is_delivered_before_later_ones_of_its_group,
            an_event_published_twice_is_delivered_once,
            a_message_received_too_often_becomes_a_dead_letter,
            a_parked_message_becomes_a_dead_letter,
            a_delayed_message_is_delivered_later,
            a_waiting_receive_returns_when_a_message_arrives,
            many_groups_are_received_in_batches,
            an_acked_message_is_gone,
            messages_of_other_producers_arrive_unchanged
        });
        $crate::conformance::conformance_suite!($open, log {
            an_unknown_order_is_empty,
            appended_events_are_loaded_and_read,
            repeating_an_append_changes_nothing,
            another_event_at_the_same_version_is_a_conflict,
            appends_of_a_batch_are_independent,
            a_crash_before_the_projection_heals_on_the_next_load,
            a_crash_before_the_projection_heals_on_redelivery,
            outcomes_are_stored,
            waiting_readers_receive_the_outcome,
            the_hash_of_a_request_is_stored_with_its_receipt,
            rejected_events_are_listed,
            long_logs_are_paged
        });
        $crate::conformance::conformance_suite!($open, listing {
            a_customers_orders_are_listed_newest_first,
            orders_of_the_same_moment_are_listed_once_each,
            a_list_shows_the_current_orders,
            a_list_shows_only_orders_that_pass_the_filter,
            paging_continues_in_place_while_orders_are_added
        });
        $crate::conformance::conformance_suite!($open, dead_letters {
            dead_letters_are_listed_newest_first,
            a_dead_letter_has_the_details_of_its_message,
            a_repaired_dead_letter_is_redriven_with_the_repaired_body,
            the_parked_sequence_of_an_order_is_redriven_in_order,
            a_dead_letter_parked_again_after_a_redrive_keeps_its_id_and_place,
            a_discarded_dead_letter_is_kept_and_its_receipt_has_the_reason,
            concurrent_changes_are_made_once_or_not_at_all,
            an_unknown_dead_letter_is_missing
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

/// Runs the cases for backends that have indexes over the orders of all customers.
macro_rules! finding_suite {
    ($open:path) => {
        $crate::conformance::conformance_suite!(
            $open,
            finding {
                orders_of_all_customers_are_found_by_each_of_their_words,
                updated_orders_are_listed_from_the_least_recently_updated_one,
                a_list_of_all_orders_continues_in_place_while_orders_change,
                an_order_is_found_by_its_reference_alone,
                a_reference_belongs_to_one_order_at_a_time,
                of_concurrent_orders_with_one_reference_exactly_one_is_recorded
            }
        );
    };
}
pub(crate) use finding_suite;

/// Runs the cases of a backend that has a feed.
macro_rules! feed_suite {
    ($open:path) => {
        $crate::conformance::conformance_suite!(
            $open,
            feed {
                every_recorded_event_is_in_the_feed_in_the_order_of_its_order,
                a_filter_selects_customers_and_types,
                the_cursor_of_each_event_resumes_after_it,
                a_reader_that_starts_at_the_latest_event_sees_only_later_ones,
                a_reader_that_starts_at_a_time_misses_no_later_event,
                a_waiting_reader_is_woken_by_an_event_that_passes_its_filter,
                a_wait_ends_at_its_time,
                a_cursor_after_the_end_of_the_feed_is_refused
            }
        );
    };
}
pub(crate) use feed_suite;

/// Checks that a case has consumed every message, so that an unexpected message fails the test.
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

/// Receives `count` messages, at most 10 at a time. Fails if a message is delivered twice.
async fn receive(backend: &dyn Backend, count: usize) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    while all.len() < count {
        let more = backend.inbox().receive((count - all.len()).min(10), WAIT).await.unwrap();
        assert!(!more.is_empty(), "only {} of {count} messages arrived", all.len());
        all.extend(more);
    }
    let distinct: HashSet<_> = all.iter().map(|message| &message.id).collect();
    assert_eq!(distinct.len(), count, "{all:?}");
    all
}

async fn receive_one(backend: &dyn Backend) -> Message {
    receive(backend, 1).await.remove(0)
}

async fn ack(backend: &dyn Backend, messages: &[Message]) {
    for chunk in messages.chunks(10) {
        let chunk: Vec<_> = chunk.iter().map(|message| (message, &Disposition::Recorded(1))).collect();
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
