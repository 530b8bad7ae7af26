//! The flags of the roles on SQS and DynamoDB. The command line declares them, and `settings` checks their values.

use clap::{Args, Subcommand};

use crate::auth::AuthArgs;
use crate::deployment::DeploymentArgs;
use crate::http::HttpArgs;
use crate::prometheus::MetricsArgs;
use crate::webhook_values::{RetryArgs, SendingArgs, SourceArgs};

/// The flags for the queue and the table. They are read as plain strings, so that `settings` can report all errors
/// together.
#[derive(Debug, Args)]
pub(crate) struct AwsArgs {
    /// The URL of the SQS queue.
    #[arg(long, env = "QUEUE_URL", value_name = "URL")]
    pub(super) queue_url: Option<String>,
    /// The name of the DynamoDB table.
    #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
    pub(super) table_name: Option<String>,
    /// The currency (ISO 4217) of orders whose producer does not send one.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE")]
    pub(super) default_currency: String,
}

/// The search index of the table.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The table has the index `order-search`, by which the API finds orders across customers. Set this for both the API and the
    /// consumer.
    #[arg(long, env = "ORDERS_SEARCH_INDEX")]
    pub(super) search_index: bool,
}

/// How a standard queue is shared.
#[derive(Debug, Args)]
pub(crate) struct FairArgs {
    /// Share a standard queue fairly, so that the backlog of one client delays its own events and not those of others. The
    /// message group of an event is a hash of the principal that proposed it. Set this for both the API and the expiry role.
    /// It does not affect a FIFO queue.
    #[arg(long, env = "ORDERS_FAIR_QUEUE")]
    pub(super) fair_queue: bool,
}

/// The feed of recorded events.
#[derive(Debug, Args)]
pub(crate) struct FeedArgs {
    /// The name of the outbound table, which keeps the feed.
    #[arg(long, env = "OUTBOUND_TABLE", value_name = "NAME")]
    pub(super) outbound_table: Option<String>,
    /// Keep a feed of recorded events. Set this for both the API and the relay. The feed costs up to two writes for
    /// each event.
    #[arg(long, env = "ORDERS_FEED")]
    pub(super) feed: bool,
    /// The number of partitions of the feed. The number cannot change once the relay has started.
    #[arg(long, env = "ORDERS_FEED_PARTITIONS", default_value = "4", value_name = "COUNT")]
    pub(super) feed_partitions: String,
}

#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub(super) aws: AwsArgs,
    #[command(flatten)]
    pub(super) fair: FairArgs,
    #[command(flatten)]
    pub(super) search: SearchArgs,
    #[command(flatten)]
    pub(super) feed: FeedArgs,
    #[command(flatten)]
    pub(super) webhooks: WebhookQueueArgs,
    #[command(flatten)]
    pub(super) sending: SendingArgs,
    /// The address or host name to listen on, and the port.
    #[arg(long, env = "ORDERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub(super) listen: String,
    #[command(flatten)]
    pub(super) http: HttpArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
    /// Refuse events while this many messages are queued; 0 means no limit. Lambda functions do not use this setting.
    #[arg(long, env = "ORDERS_MAX_QUEUE_DEPTH", default_value = "0", value_name = "COUNT")]
    pub(super) max_queue_depth: String,
    #[command(flatten)]
    pub(super) letters: OperatorArgs,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
}

/// The flags for the places where dead letters are kept. The API's operator endpoints need them.
#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    /// The S3 bucket of archived dead letters. Without it, the API has no operator endpoints.
    #[arg(long, env = "DLQ_BUCKET", value_name = "NAME")]
    pub(super) dlq_bucket: Option<String>,
    /// The URL of the dead-letter queue, to count dead letters that are not archived yet.
    #[arg(long, env = "DLQ_URL", value_name = "URL")]
    pub(super) dlq_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConsumerArgs {
    #[command(flatten)]
    pub(super) aws: AwsArgs,
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// The URL of the dead-letter queue.
    #[arg(long, env = "DLQ_URL", value_name = "URL")]
    pub(super) dlq_url: Option<String>,
    /// The maximum number of batches that are handled concurrently.
    #[arg(long, env = "ORDERS_CONCURRENCY", default_value = "8", value_name = "COUNT")]
    pub(super) concurrency: String,
    /// The maxReceiveCount of the queue's redrive policy. A container reads it from the queue. A Lambda function
    /// needs this variable.
    #[arg(long, env = "ORDERS_MAX_RECEIVES", value_name = "COUNT")]
    pub(super) max_receives: Option<String>,
    #[command(flatten)]
    pub(super) unpaid: UnpaidArgs,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(flatten)]
    pub(super) aws: AwsArgs,
    /// The URL of the dead-letter queue.
    #[arg(long, env = "DLQ_URL", value_name = "URL")]
    pub(super) dlq_url: Option<String>,
    /// The S3 bucket to archive to.
    #[arg(long, env = "DLQ_BUCKET", value_name = "NAME")]
    pub(super) dlq_bucket: Option<String>,
    /// The ARN of the SNS topic for alerts.
    #[arg(long, env = "ALERTS_TOPIC", value_name = "ARN")]
    pub(super) alerts_topic: Option<String>,
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExpiryArgs {
    #[command(flatten)]
    pub(super) aws: AwsArgs,
    #[command(flatten)]
    pub(super) fair: FairArgs,
    #[command(flatten)]
    pub(super) unpaid: UnpaidArgs,
    /// Propose no cancellations while this many messages are queued; 0 means no limit.
    #[arg(long, env = "ORDERS_MAX_QUEUE_DEPTH", default_value = "0", value_name = "COUNT")]
    pub(super) max_queue_depth: String,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
}

/// The queue of webhook deliveries.
#[derive(Debug, Args)]
pub(crate) struct WebhookQueueArgs {
    /// The URL of the FIFO queue of webhook deliveries. To enable webhooks, set it for the API, the relay and the webhook sender.
    #[arg(long, env = "WEBHOOK_QUEUE_URL", value_name = "URL")]
    pub(super) webhook_queue_url: Option<String>,
}

/// Where the relay publishes recorded events.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// The name or ARN of an EventBridge bus. The relay publishes every recorded event to it.
    #[arg(long, env = "EVENT_BUS", value_name = "BUS")]
    pub(super) event_bus: Option<String>,
    /// The ARN of an SNS topic, FIFO or standard. The relay publishes every recorded event to it.
    #[arg(long, env = "EVENTS_TOPIC", value_name = "ARN")]
    pub(super) events_topic: Option<String>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// The currency (ISO 4217) of orders whose producer does not send one.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE")]
    pub(super) default_currency: String,
}

#[derive(Debug, Args)]
pub(crate) struct WebhooksArgs {
    /// The name of the DynamoDB table.
    #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
    pub(super) table_name: Option<String>,
    /// The currency (ISO 4217) of orders whose producer does not send one.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE")]
    pub(super) default_currency: String,
    /// The name of the outbound table, which keeps the subscriptions.
    #[arg(long, env = "OUTBOUND_TABLE", value_name = "NAME")]
    pub(super) outbound_table: Option<String>,
    #[command(flatten)]
    pub(super) queue: WebhookQueueArgs,
    #[command(flatten)]
    pub(super) sending: SendingArgs,
    #[command(flatten)]
    pub(super) retries: RetryArgs,
    /// The ARN of the SNS topic for alerts.
    #[arg(long, env = "ALERTS_TOPIC", value_name = "ARN")]
    pub(super) alerts_topic: Option<String>,
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
    /// The maximum number of batches that are handled concurrently.
    #[arg(long, env = "ORDERS_CONCURRENCY", default_value = "8", value_name = "COUNT")]
    pub(super) concurrency: String,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// The name of the DynamoDB table. Its change stream must contain new images.
    #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
    pub(super) table_name: Option<String>,
    #[command(flatten)]
    pub(super) feed: FeedArgs,
    #[command(flatten)]
    pub(super) webhooks: WebhookQueueArgs,
    /// How long the feed keeps events, such as `30d`; at least a day. A reader that reads nothing for longer misses
    /// events.
    #[arg(long, env = "ORDERS_FEED_RETENTION", default_value = "30d", value_name = "DURATION")]
    pub(super) feed_retention: String,
    #[command(flatten)]
    pub(super) outputs: OutputArgs,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
}

/// The age at which unpaid orders expire.
#[derive(Debug, Args)]
pub(crate) struct UnpaidArgs {
    /// Propose to cancel orders that are unpaid at this age, such as `48h`. The consumer and the expiry role must have
    /// the same value. With this setting, each new order costs three more writes. By default, only orders with an
    /// `expires_at` expire.
    #[arg(long, env = "ORDERS_EXPIRE_UNPAID", value_name = "DURATION")]
    pub(super) expire_unpaid: Option<String>,
}

/// The table of an export, an import or a restore.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
pub(crate) struct TransferTableArgs {
    /// Use the DynamoDB table in --table-name, and not a data folder. Credentials and region are read as by the roles.
    #[arg(long)]
    pub(crate) aws: bool,
    #[command(flatten)]
    pub(crate) table: OperatedTableArgs,
}

/// The table that an operator's command reads or writes.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
pub(crate) struct OperatedTableArgs {
    /// The name of the DynamoDB table.
    #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
    pub(super) table_name: Option<String>,
    #[command(flatten)]
    pub(super) search: SearchArgs,
    #[command(flatten)]
    pub(super) unpaid: UnpaidArgs,
}

/// The other resources on AWS that a restore fills.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
pub(crate) struct FillArgs {
    /// The URL of the SQS queue of events. It must be empty.
    #[arg(long, env = "QUEUE_URL", value_name = "URL")]
    pub(super) queue_url: Option<String>,
    /// The S3 bucket of archived dead letters. Needed if there are dead letters.
    #[arg(long, env = "DLQ_BUCKET", value_name = "NAME")]
    pub(super) dlq_bucket: Option<String>,
    /// The name of the outbound table, which keeps webhook subscriptions. Without it, they are left out.
    #[arg(long, env = "OUTBOUND_TABLE", value_name = "NAME")]
    pub(super) outbound_table: Option<String>,
    /// The URL of the FIFO queue of webhook deliveries. It starts the deliveries that were outstanding.
    #[arg(long, env = "WEBHOOK_QUEUE_URL", value_name = "URL")]
    pub(super) webhook_queue_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Create the table and its indexes, for local use. In production the deployment creates them.
    Create {
        /// The name of the table.
        #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
        table_name: Option<String>,
        #[command(flatten)]
        search: SearchArgs,
        /// Also create this outbound table, and turn on the change stream of the table of orders.
        #[arg(long, env = "OUTBOUND_TABLE", value_name = "NAME")]
        outbound_table: Option<String>,
    },
}
