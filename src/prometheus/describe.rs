//! The descriptions of all metrics, which Prometheus shows. The parent module registers them at the start.

use consumer::alert::ALERTS;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use super::{
    BACKUP_BYTES, BACKUP_FAILURES, BACKUP_LAG, BACKUP_LAG_EVENTS, BACKUP_LAST, DEAD_LETTERS, DISK_FREE,
    DISK_RESERVED, DROPPED_LINES, DUE_LAG, LEDGER, OLDEST, QUEUE,
};

/// Registers the descriptions of the metrics of backups.
fn describe_backup() {
    use Unit::{Bytes, Count, Seconds};
    describe_gauge!(
        BACKUP_LAG,
        Seconds,
        "Time since the latest increment of the continuous backup; 0 if nothing has changed since"
    );
    describe_gauge!(BACKUP_LAG_EVENTS, Count, "Events after the latest increment of the continuous backup");
    describe_gauge!(BACKUP_LAST, Seconds, "When the latest increment of the continuous backup was begun");
    describe_counter!(BACKUP_FAILURES, Count, "Attempts of the continuous backup that failed");
    describe_counter!(BACKUP_BYTES, Bytes, "Size of the files that the continuous backup has written");
    describe_gauge!(
        "orders_backup_verified_age_seconds",
        Seconds,
        "Age of the latest increment that a drill has restored and verified"
    );
    describe_counter!("orders_backup_drill_failures_total", Count, "Drills of the backup that have failed");
    describe_counter!(
        "orders_backup_stream_bytes_total",
        Bytes,
        "Size of the backups that were sent to clients of the API"
    );
}

/// Registers the descriptions of the metrics of webhooks.
fn describe_webhooks() {
    use Unit::{Count, Seconds};
    describe_counter!(
        "orders_webhook_attempts_total",
        Count,
        "Attempts to deliver an event to a webhook, by subscription and result"
    );
    describe_histogram!(
        "orders_webhook_attempt_duration_seconds",
        Seconds,
        "Time from the beginning of an attempt to deliver an event until its result, by subscription"
    );
    describe_counter!(
        "orders_webhook_given_up_total",
        Count,
        "Deliveries whose last attempt has failed, by subscription"
    );
    describe_counter!(
        "orders_webhook_stopped_total",
        Count,
        "Subscriptions that were stopped because their receiver is gone or always fails, by subscription and state"
    );
    describe_gauge!("orders_webhook_lag_events", Count, "Events after the cursor of a subscription");
    describe_gauge!(
        "orders_webhook_lag_seconds",
        Seconds,
        "Age of the first event after the cursor of a subscription; 0 if there is none"
    );
    describe_gauge!(
        "orders_webhook_held_orders",
        Count,
        "Orders whose events are held back by a failed delivery, by subscription"
    );
}

/// Registers the descriptions of all metrics.
pub(super) fn all() {
    describe_service();
    describe_webhooks();
    describe_backup();
    describe_disk();
}

/// Registers the descriptions of the metrics of the disk with the data folder.
fn describe_disk() {
    describe_gauge!(DISK_FREE, Unit::Bytes, "Free space of the disk with the data folder");
    describe_gauge!(DISK_RESERVED, Unit::Bytes, "Free space below which new events are refused");
}

/// Registers the descriptions of the metrics of the API and the pipeline.
fn describe_service() {
    use Unit::{Count, Seconds};
    let counters = [
        ("orders_http_requests_total", "Answered requests, by route, method and status"),
        ("orders_connections_closed_total", "Connections closed to free their slots for others, by reason"),
        (
            "orders_feed_events_sent_total",
            "Events of the feed that were sent to readers, as a page or in a stream",
        ),
        ("orders_jwks_loads_total", "Attempts to load the keys that verify tokens, by result"),
        ("orders_events_published_total", "Events published to the queue, by result"),
        ("orders_messages_processed_total", "Messages handled, by disposition"),
        ("orders_messages_redelivered_total", "Messages received more than once"),
        (DROPPED_LINES, "Log lines dropped because standard error did not accept them in time"),
        ("orders_dead_letters_parked_total", "Messages parked as dead letters, by reason"),
        (
            "orders_relay_events_total",
            "Recorded events that the relay has passed on to the feed, to webhooks and to its outputs",
        ),
        (
            "orders_output_events_total",
            "Recorded events that the relay published to an event bus or a topic, by output and result",
        ),
        (ALERTS, "Attempts to send an alert to operators, by type and result"),
        ("orders_due_proposed_total", "Proposals to cancel an order that is unpaid at its deadline"),
    ];
    let histograms = [
        (
            "orders_http_request_duration_seconds",
            "Time from a request's headers to its answer, by route and method",
        ),
        ("orders_publish_duration_seconds", "Time to publish events durably"),
        (
            "orders_processing_duration_seconds",
            "Time from receiving a batch until all its messages are finished",
        ),
        ("orders_queue_age_seconds", "Time from accepting an event until each receive of its message"),
        ("orders_end_to_end_seconds", "Time from accepting an event until it is recorded"),
        ("orders_relay_lag_seconds", "Time from the recording of an event until the relay has passed it on"),
        (
            "orders_due_late_seconds",
            "Time from the deadline of an unpaid order until its cancellation is proposed",
        ),
    ];
    let gauges = [
        (QUEUE, "Messages on the queue, by state"),
        (LEDGER, "accepted = recorded + rejected + duplicate + parked + in flight"),
        ("orders_event_streams", "Open streams of events"),
        ("orders_jwks_keys", "Keys that verify tokens; 0 after they have expired"),
        (DEAD_LETTERS, "Dead letters that are not resolved"),
    ];
    counters.into_iter().for_each(|(name, what)| describe_counter!(name, Count, what));
    histograms.into_iter().for_each(|(name, what)| describe_histogram!(name, Seconds, what));
    gauges.into_iter().for_each(|(name, what)| describe_gauge!(name, Count, what));
    describe_histogram!("orders_batch_size", Count, "Messages per received batch");
    describe_gauge!(
        DUE_LAG,
        Seconds,
        "Time from the deadline to the latest proposal to cancel an unpaid order; 0 once no order is due"
    );
    describe_gauge!(OLDEST, Seconds, "Age of the oldest message on the queue, if it is known");
}
